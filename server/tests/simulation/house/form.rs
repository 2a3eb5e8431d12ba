//! What production's `Rooms::act` does for a form: the rate, the mailbox, and one verdict.
//!
//! Part of the house. Its law: a form has no lane and no connection; an outcome that is lost, or an
//! answer that cannot be had now, shows as `Retry`.

use protocol::refusal::RetryReason;
use server::history::{Pending, Verdict};
use server::rooms::room::Reply;

use super::{House, Task};
use crate::log::WayBack;
use crate::tab::unix;

impl House {
    /// A form has come.
    pub(crate) fn take_form(&mut self, number: u64, pending: Pending, now: u64) {
        if self.rates(pending.author).take(&pending.op.act, unix(now)).is_err() {
            return self.answered.push((number, Verdict::Retry(RetryReason::Rate)));
        }
        let log = pending.lane();
        let pushed = self.log(log, now).push(WayBack::Form(number), None, pending, unix(now));
        match pushed {
            Ok(()) => self.later(Task::Log(log), now),
            Err((_, away)) => self.answered.push((number, Verdict::Retry(away.reason))),
        }
    }

    pub(super) fn answer_form(&mut self, number: u64, reply: Reply) {
        let verdict = match reply {
            Reply::Verdict(verdict) => verdict,
            Reply::Void | Reply::Unknown => Verdict::Retry(RetryReason::Unavailable),
        };
        self.answered.push((number, verdict));
    }

    /// The verdicts since the last time.
    pub(crate) fn answered(&mut self) -> Vec<(u64, Verdict)> {
        std::mem::take(&mut self.answered)
    }
}
