//! What of a browser outlives its pages: a database that answers late, in order, and at times not well.
//!
//! Asked by a tab's machine, carried out by the world. Its law: what was asked for is done in the
//! order of the asking, as transactions of one store are; when a page ends, the last of what it asked
//! for may be undone, and what the next page asks for comes behind the rest.

use std::collections::{BTreeMap, VecDeque};

use protocol::client::exchange::Input;
use protocol::client::shelf::Kept;
use protocol::ids::{OpId, UserId};
use protocol::limits::OUTBOX_DAYS_MAX;
use server::clock::{Chance, SeededChance};

use crate::mutants::{Mutant, Planted};
use crate::screen::Screen;

/// No answer takes longer, but for those that come when nobody waits for them any more.
const SLOW_MS_MAX: u64 = 2_500;
/// Longer than an act waits to be sent.
const LONG_MS: i64 = (OUTBOX_DAYS_MAX + 1) * 24 * 60 * 60 * 1_000;
/// Longer than any page waits.
const LOST_MS: u64 = 4_000;

/// One tab's messages in the browser's database.
#[derive(Debug)]
pub(crate) struct Shelf {
    kept: BTreeMap<OpId, Kept>,
    asked: VecDeque<(u64, Request)>,
    planted: Planted,
    chance: SeededChance,
}

#[derive(Debug)]
enum Request {
    /// Read everything: what a page does first.
    Open,
    Put(Kept),
    Take(OpId),
}

impl Shelf {
    /// An empty one.
    pub(crate) fn new(seed: u64, planted: Planted) -> Self {
        let chance = SeededChance::new(seed);
        Self { kept: BTreeMap::new(), asked: VecDeque::new(), planted, chance }
    }

    /// A page begins, and whatever was before it has ended.
    pub(crate) fn open(&mut self, now: u64) {
        self.end();
        self.ask(Request::Open, now);
    }

    /// The page that asked has ended.
    fn end(&mut self) {
        let left = self.chance.below(u64::try_from(self.asked.len()).unwrap() + 1);
        self.asked.truncate(usize::try_from(left).unwrap());
        while let Some((_, request)) = self.asked.pop_front() {
            self.carry_out(request);
        }
    }

    /// More than a week passes before the next page: what lies here is asked for, and not sent.
    pub(crate) fn grow_old(&mut self) {
        self.end();
        self.kept.values_mut().for_each(|kept| kept.queued_at -= LONG_MS);
    }

    /// Keep this message.
    pub(crate) fn put(&mut self, kept: Kept, now: u64) {
        self.ask(Request::Put(kept), now);
    }

    /// Keep it no longer.
    pub(crate) fn take(&mut self, op_id: OpId, now: u64) {
        self.ask(Request::Take(op_id), now);
    }

    fn ask(&mut self, request: Request, now: u64) {
        let takes = match self.chance.below(200) {
            0 if matches!(request, Request::Put(_)) => LOST_MS,
            0..=3 => self.chance.below(SLOW_MS_MAX),
            4..=40 => self.chance.below(40),
            _ => self.chance.below(3),
        };
        let before = self.asked.back().map_or(0, |(at, _)| *at);
        self.asked.push_back((before.max(now + takes), request));
    }

    /// When the next request is carried out.
    pub(crate) fn due_at(&self) -> Option<u64> {
        self.asked.front().map(|(at, _)| *at)
    }

    /// Carries the next request out, if it is time; gives what the page is told of it.
    pub(crate) fn turn(&mut self, now: u64) -> Option<Input<'static>> {
        let (at, request) = self.asked.pop_front()?;
        if at > now {
            self.asked.push_front((at, request));
            return None;
        }
        self.carry_out(request)
    }

    fn carry_out(&mut self, request: Request) -> Option<Input<'static>> {
        match request {
            Request::Open => {
                // In the order of their ids, which are chance within a millisecond.
                let kept = self.kept.values().cloned().collect();
                Some(Input::Restore { kept: self.planted.restored(kept), keeps: true })
            }
            Request::Put(kept) => {
                let op_id = kept.op.op_id;
                let done = self.chance.below(100) > 0;
                if done && !self.planted.is(Mutant::KeptForgotten) {
                    self.kept.insert(op_id, kept);
                }
                Some(Input::Shelved { op_id, done })
            }
            Request::Take(op_id) => {
                self.kept.remove(&op_id);
                None
            }
        }
    }

    /// What is kept and asked for of this user, once all of it should be over, but what his screen
    /// shows as failed.
    pub(crate) fn rest(&self, user: UserId, screen: &Screen) -> Option<String> {
        let is_shown = |kept: &Kept| kept.failed.is_some() && screen.has_failed(kept.op.op_id);
        let own = self.kept.values().filter(|kept| kept.user == Some(user));
        let kept: Vec<_> = own.filter(|kept| !is_shown(kept)).collect();
        let rests = kept.is_empty() && self.asked.is_empty();
        (!rests).then(|| format!("{kept:?}, {:?}", self.asked))
    }

    /// What waits for another user of the browser than this one.
    pub(crate) fn of_others(&self, user: UserId) -> impl Iterator<Item = (UserId, OpId)> {
        let others = self.kept.values().filter(move |kept| kept.user != Some(user));
        others.filter_map(|kept| Some((kept.user?, kept.op.op_id)))
    }
}
