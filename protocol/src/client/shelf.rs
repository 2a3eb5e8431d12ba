//! What holds messages over the end of a page: which of the outbox are on it, and how they are written.
//!
//! Part of the machine. The shelf itself (in a browser its database) is somebody else's: `Output`
//! says what goes on it and comes off, `Input` what was done. Its laws: where there is a shelf, a
//! message is on it before it is first sent, and on the next page it is sent under the same op id;
//! one that failed stays there as that, is shown again and never sent; what lay on it at the beginning
//! goes out first; a shelf that fails or is silent ends none of it: all goes on in memory, and the
//! screen is told. Acts that are no messages stay in memory, since no later page could show what
//! became of them.

use super::exchange::{Output, Told};
use super::{Client, Turn};
use crate::act::{Act, Op, OpHead, Post};
use crate::codec::{decode_command, decode_event, encode_command, encode_event};
use crate::event::Refused;
use crate::frame::{Command, Event};
use crate::ids::{OpId, UserId};
use crate::limits::{OUTBOX_DAYS_MAX, OUTBOX_OPS_MAX};
use crate::refusal::Refusal;

/// Milliseconds after which a shelf that does not answer is done without.
pub(super) const SHELF_MS_MAX: i64 = 3_000;
/// Milliseconds that another user's message lies here: it could but be asked for, and the server
/// forgets ops, too.
const FOREIGN_MS_MAX: i64 = 4 * OUTBOX_DAYS_MAX * 24 * 60 * 60 * 1_000;
/// The first byte of what is written, never 0: of a message that waits,
const WAITS: u8 = 1;
/// or of one that failed. Another one is of another build, and is left alone.
const FAILED: u8 = 2;

/// A message as it lies on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The op, under the id it was made with.
    pub op: Op,
    /// Who wrote it; nobody while the visitor had no name yet.
    pub user: Option<UserId>,
    /// When, in Unix milliseconds.
    pub queued_at: i64,
    /// Its place among those of that moment.
    pub number: u32,
    /// Why it will not be done; nothing while it waits.
    pub failed: Option<Refusal>,
}

impl Kept {
    /// As bytes: layout, user (zeros for nobody), time and number in little-endian, where it failed the
    /// frame in which that is said, behind its length, and the op as the frame in which it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let head = OpHead { op_id: self.op.op_id, lane_generation: 0, check_only: false };
        let frame = encode_command(&Command::Op(head, self.op.act.clone())).ok()?;
        let mut bytes = vec![if self.failed.is_some() { FAILED } else { WAITS }];
        bytes.extend(self.user.unwrap_or_default().bytes());
        bytes.extend(self.queued_at.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        if let Some(refusal) = self.failed.clone() {
            let said = Event::Refused(Refused { op_id: self.op.op_id, refusal });
            let said = encode_event(&said).ok()?;
            bytes.extend(u16::try_from(said.len()).ok()?.to_le_bytes());
            bytes.extend(said);
        }
        bytes.extend(frame);
        Some(bytes)
    }

    /// Reads what `to_bytes` wrote; nothing for anything else, whatever it is.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (layout, rest) = bytes.split_first()?;
        let (user, rest) = rest.split_first_chunk()?;
        let (queued_at, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (failed, frame) = match *layout {
            WAITS => (None, rest),
            FAILED => {
                let (length, rest) = rest.split_first_chunk()?;
                let (said, frame) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
                let Ok(Some(Event::Refused(said))) = decode_event(said) else { return None };
                (Some(said.refusal), frame)
            }
            _ => return None,
        };
        let Ok(Command::Op(head, act)) = decode_command(frame) else { return None };
        Some(Self {
            op: Op { op_id: head.op_id, act },
            user: Some(UserId::from_bytes(*user)).filter(|user| !user.is_nil()),
            queued_at: i64::from_le_bytes(*queued_at),
            number: u32::from_le_bytes(*number),
            failed,
        })
    }
}

/// How the shelf stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    /// There is none, or it failed.
    Absent,
    /// What lies on it is not known yet; at first not even since when.
    Opening { until: Option<i64> },
    /// It takes what it is given.
    Open,
}

impl Shelf {
    /// Whether nothing may be sent yet, since older messages may be on it.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Opening { .. })
    }

    pub(super) const fn wake_at(self) -> Option<i64> {
        match self {
            Self::Opening { until } => until,
            Self::Absent | Self::Open => None,
        }
    }
}

impl Client {
    /// Puts a message that was just queued on the shelf, if there is one.
    pub(super) fn shelve(&mut self, op_id: OpId, turn: &mut Turn<'_>) {
        if self.shelf != Shelf::Absent
            && let Some(kept) = self.outbox.shelve(op_id, turn.now)
        {
            self.put_on_shelf(kept, turn);
        }
    }

    fn put_on_shelf(&mut self, kept: Kept, turn: &mut Turn<'_>) {
        self.puts.push(kept.op.op_id);
        turn.put(Output::Shelve(kept));
    }

    /// A message is on the shelf, or could not be put there.
    pub(super) fn shelved(&mut self, op_id: OpId, done: bool, turn: &mut Turn<'_>) {
        self.shelf = if done { Shelf::Open } else { Shelf::Absent };
        if let Some(place) = self.puts.iter().position(|put| *put == op_id) {
            self.puts.swap_remove(place);
        }
        let is_last = !self.puts.contains(&op_id);
        match (self.outbox.shelved(op_id, done, is_last), done) {
            // As it is now it is only on its way there, which tells what lies there in the end.
            (Some(_), _) if !is_last => {}
            (Some(_), true) => turn.tell(Told::Shelved(op_id)),
            // It lies there for another user, who is not greeted now.
            (None, true) if self.foreign.iter().any(|kept| kept.op.op_id == op_id) => {}
            // It was over before it was there, or waits there while it has failed here.
            (None, true) | (Some(true), false) => turn.put(Output::Unshelve(op_id)),
            (None | Some(false), false) => {}
        }
    }

    /// An op will not be done. On the shelf it takes its own place as one that failed, so that no page
    /// sends it again.
    pub(super) fn fail(&mut self, op_id: OpId, refusal: Refusal, turn: &mut Turn<'_>) {
        let Some(kept) = self.outbox.fail(op_id, refusal.clone()) else { return };
        if self.setup.shelf && is_kept(&kept.op.act) {
            self.put_on_shelf(kept, turn);
        }
        turn.tell(Told::Failed { op_id, refusal });
    }

    /// What lay on the shelf is to be sent by this page, or shown where it failed: at its beginning, and
    /// whenever another page of this browser has ended. `keeps` says whether the shelf takes anything.
    pub(super) fn restore(&mut self, all: Vec<Kept>, keeps: bool, turn: &mut Turn<'_>) {
        self.shelf = if keeps { Shelf::Open } else { Shelf::Absent };
        self.take_in(all, false, turn);
    }

    fn take_in(&mut self, mut all: Vec<Kept>, has_waited: bool, turn: &mut Turn<'_>) {
        // A shelf gives them as it likes, and a screen shows them as they are told.
        all.sort_by_key(|kept| (kept.queued_at, kept.number));
        for kept in all {
            let op = kept.op.clone();
            match (kept.user, self.user) {
                // Not this user's: it waits until he is back, but not for ever.
                (Some(owner), user) if user != Some(owner) => {
                    if turn.now - kept.queued_at > FOREIGN_MS_MAX {
                        turn.put(Output::Unshelve(op.op_id));
                    } else if self.foreign.len() < OUTBOX_OPS_MAX {
                        self.foreign.push(kept);
                    }
                }
                // Whose it is nobody can say any more, so a person has to.
                (None, Some(_)) => {
                    turn.put(Output::Unshelve(op.op_id));
                    turn.tell(Told::Kept(vec![op.act]));
                }
                _ => {
                    let (at, failed) = (kept.queued_at + self.clock_ahead, kept.failed.clone());
                    if self.outbox.restore(kept, has_waited) {
                        let op_id = op.op_id;
                        turn.tell(Told::Queued { op, at });
                        if let Some(refusal) = failed {
                            turn.tell(Told::Failed { op_id, refusal });
                        }
                        turn.tell(Told::Shelved(op_id));
                    }
                }
            }
        }
    }

    /// Somebody is greeted: what waited for him on the shelf is sent by this page.
    pub(super) fn restore_own(&mut self, user: UserId, turn: &mut Turn<'_>) {
        let is_own = |kept: &Kept| kept.user == Some(user);
        let (own, foreign) = std::mem::take(&mut self.foreign).into_iter().partition(is_own);
        self.foreign = foreign;
        self.take_in(own, true, turn);
    }

    /// Another user is greeted: what waited here for somebody else, and was not answered while that one
    /// was greeted, waits for him again. Nobody else reads it.
    pub(super) fn put_back(&mut self, user: UserId, turn: &mut Turn<'_>) {
        for kept in self.outbox.take_waiting(user) {
            turn.tell(Told::Discarded(kept.op.op_id));
            self.foreign.push(kept);
        }
    }

    /// The visitor has a name now: what he wrote without one is his.
    pub(super) fn sign_kept(&mut self, user: UserId, turn: &mut Turn<'_>) {
        for kept in self.outbox.sign(user, turn.now) {
            self.put_on_shelf(kept, turn);
        }
    }

    /// Does without a shelf that is silent for too long.
    pub(super) fn tend_shelf(&mut self, turn: &mut Turn<'_>) {
        if let Shelf::Opening { until } = &mut self.shelf {
            let until = *until.get_or_insert(turn.now + SHELF_MS_MAX);
            if until <= turn.now {
                self.shelf = Shelf::Absent;
            }
        }
        if self.outbox.shelf_is_silent(turn.now) {
            self.shelf = Shelf::Absent;
        }
    }

    /// Clears the shelf of what needs no keeping after this step, and tells whether it keeps.
    pub(super) fn announce_shelf(&mut self, turn: &mut Turn<'_>) {
        for op_id in self.outbox.take_done() {
            turn.put(Output::Unshelve(op_id));
        }
        let keeps = self.shelf != Shelf::Absent && self.outbox.is_shelved();
        if keeps != self.told_keeps {
            self.told_keeps = keeps;
            turn.tell(Told::Keeps(keeps));
        }
    }
}

/// Whether an act is kept over the end of the page.
pub(super) const fn is_kept(act: &Act) -> bool {
    matches!(act, Act::Post(Post { .. }))
}
