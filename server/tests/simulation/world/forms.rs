//! Plain forms: acts of people without a script, each sent until it has its verdict.
//!
//! Part of the world. A form keeps its op id, as the page that comes back does. Its person waits for
//! the answer, at times clicks twice, sends it again where it says *later* or where the house is
//! gone, and gives up in the end: then it may be stored or not. What was answered he may send again,
//! and the answer must not change.

use protocol::act::Op;
use protocol::ids::{DeviceId, UserId};
use server::clock::Chance;
use server::history::{Pending, Verdict};

use super::World;
use crate::house::House;
use crate::plan::What;
use crate::store::sign_in;

/// How often a form is sent.
const TRIES: u32 = 6;
/// The most milliseconds before it is sent again.
const AGAIN_MS_MAX: u64 = 3_000;

/// A form somebody filled in.
pub(super) struct Form {
    user: UserId,
    op: Op,
    /// When it is sent; nothing while an answer is awaited, and when it is over.
    pub(super) again_at: Option<u64>,
    tries_left: u32,
    is_over: bool,
}

impl World<'_> {
    /// The person of this tab sends a form.
    pub(super) fn fill_in(&mut self, tab: usize, act: &What) {
        let user = self.tabs[tab].user;
        if let Some(op) = self.tabs[tab].op(act, self.now) {
            let again_at = Some(self.now);
            self.forms.push(Form { user, op, again_at, tries_left: TRIES, is_over: false });
        }
    }

    /// He goes back to his last form that was answered, and sends it as it is.
    pub(super) fn press_again(&mut self, tab: usize) {
        let (user, now) = (self.tabs[tab].user, self.now);
        let is_his = |form: &&mut Form| form.user == user && form.is_over;
        if let Some(form) = self.forms.iter_mut().rfind(is_his) {
            (form.again_at, form.tries_left) = (Some(now), 1);
        }
    }

    pub(super) fn send_form(&mut self, place: usize) {
        let form = &mut self.forms[place];
        form.again_at = None;
        let Some(tries_left) = form.tries_left.checked_sub(1) else { return };
        form.tries_left = tries_left;
        let (author, op) = (form.user, form.op.clone());
        let (sign_in, device) = (sign_in(author), DeviceId::NIL);
        let pending = Pending { author, sign_in, device, op, check_only: false };
        let clicks = if self.chance.below(4) == 0 { 2 } else { 1 };
        match self.house.as_mut().filter(|house| house.takes_new()) {
            Some(house) => {
                let number = u64::try_from(place).unwrap();
                (0..clicks).for_each(|_| house.take_form(number, pending.clone(), self.now));
            }
            None => self.try_again(place),
        }
        self.hear_of_forms();
    }

    /// Takes in what the house answered.
    pub(super) fn hear_of_forms(&mut self) {
        for (number, verdict) in self.house.as_mut().map(House::answered).unwrap_or_default() {
            let place = usize::try_from(number).unwrap();
            let user = self.forms[place].user;
            match verdict {
                Verdict::Accepted(accepted) => self.ledger.accepted(user, accepted),
                Verdict::Refused(refused) => {
                    self.ledger.refused(user, refused.op_id, refused.refusal);
                }
                Verdict::Retry(_) | Verdict::SignedOut => {
                    self.try_again(place);
                    continue;
                }
            }
            self.forms[place].is_over = true;
            self.forms[place].again_at = None;
        }
    }

    /// The house is gone, and with it every answer that was awaited.
    pub(super) fn lose_forms(&mut self) {
        (0..self.forms.len()).for_each(|place| self.try_again(place));
    }

    fn try_again(&mut self, place: usize) {
        let at = self.now + 1 + self.chance.below(AGAIN_MS_MAX);
        let form = &mut self.forms[place];
        if !form.is_over {
            form.again_at.get_or_insert(at);
        }
    }
}
