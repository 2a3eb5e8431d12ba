//! Deliberate faults, and the proof that the simulation sees each of them.
//!
//! A fault is planted where the simulation stands in for production's tasks: in what it carries
//! between the machines. So a check that has gone blind shows here. The list names for each fault
//! the invariants that may catch it, by a kept plan or within `SEEDS_MAX` seeds. A new fault is a row
//! of the list and a line at its seam; what can only be broken inside of a machine is no matter of
//! this file.

use bytes::Bytes;
use protocol::act::OpHead;
use protocol::client::shelf::Kept;
use protocol::codec::{decode_command, decode_event, encode_command, encode_event};
use protocol::cursor::Cursor;
use protocol::event::Event;
use protocol::frame::Command;
use protocol::ids::{OpId, UserId};
use protocol::refusal::{Refusal, RetryReason};
use server::clock::{Chance, SeededChance};
use server::db::members::BY_RULE;
use server::history::memory::MemoryHistory;
use server::history::{Admission, History, Outcome, Pending, RoomView, Verdict};
use server::rooms::room::Reply;

use crate::house::Asked;
use crate::plan::Plan;
use crate::store::{Store, at_once};
use crate::trial::tried;

/// The seeds within which every fault is found, if no kept plan finds it.
const SEEDS_MAX: u64 = 500;

/// A deliberate fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The writer answers before the commit, which then does not happen.
    AnswersBeforeCommit,
    /// The writer takes a batch from its end.
    BatchTurnedAround,
    /// A commit of unknown outcome is called failed.
    UnknownIsFailed,
    /// An acceptance names the number behind the event's.
    AcceptedElsewhere,
    /// What is stored is refused.
    StoredIsRefused,
    /// What is refused is accepted without an event of its own, at the first number.
    RefusedIsAccepted,
    /// Ops behind one that was put off are done.
    LaneForgotten,
    /// A chunk is not offered to some subscriber.
    OfferForgotten,
    /// No log is told what another log's op wrote into it.
    HintForgotten,
    /// A cursor of another life is taken for one of this.
    EpochForgotten,
    /// A cursor of a history that was put back is taken for one of this.
    TagForgotten,
    /// Whoever asks for a room is taken for its member.
    MembershipForgotten,
    /// A page begins one event too late.
    PageSkipsOne,
    /// Nobody sees that the reader's own membership ends.
    EndForgotten,
    /// A snapshot's messages are read after its cursor.
    SnapshotBeforeItsMessages,
    /// An event is said twice.
    LoggedTwice,
    /// An event is said otherwise than it is stored.
    LoggedOtherwise,
    /// The client never raises the generation of a lane.
    GenerationStuck,
    /// The client sends an act again under another op id.
    OpIdRenewed,
    /// No acceptance reaches a client.
    AnswerLost,
    /// A message that is said to outlive its page does not.
    KeptForgotten,
    /// What an earlier page kept is given out newest first.
    KeptTurnedAround,
    /// A cursor is kept before the last message of its page.
    CursorBeforeItsPage,
}

/// Each fault, and the invariants whose checks may see it.
const MUTANTS: [(Mutant, &[&str]); 23] = [
    (Mutant::AnswersBeforeCommit, &["I1", "I5"]),
    (Mutant::BatchTurnedAround, &["I7"]),
    (Mutant::UnknownIsFailed, &["I12"]),
    (Mutant::AcceptedElsewhere, &["I1"]),
    (Mutant::StoredIsRefused, &["I8"]),
    (Mutant::RefusedIsAccepted, &["I1", "I2"]),
    (Mutant::LaneForgotten, &["I7"]),
    (Mutant::OfferForgotten, &["I6", "I12"]),
    (Mutant::HintForgotten, &["I12"]),
    (Mutant::EpochForgotten, &["I13"]),
    (Mutant::TagForgotten, &["I13"]),
    (Mutant::MembershipForgotten, &["I10"]),
    (Mutant::PageSkipsOne, &["I6"]),
    (Mutant::EndForgotten, &["I10"]),
    (Mutant::SnapshotBeforeItsMessages, &["I13"]),
    (Mutant::LoggedTwice, &["I6"]),
    (Mutant::LoggedOtherwise, &["I5"]),
    (Mutant::GenerationStuck, &["I12"]),
    (Mutant::OpIdRenewed, &["I12"]),
    (Mutant::AnswerLost, &["I12"]),
    (Mutant::KeptForgotten, &["G7"]),
    (Mutant::KeptTurnedAround, &["I7"]),
    (Mutant::CursorBeforeItsPage, &["I12"]),
];

/// The fault of a run, if one is planted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Planted(Option<Mutant>);

impl Planted {
    /// Whether this fault is planted.
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        self.0 == Some(mutant)
    }

    /// What the writer does with its ops.
    pub(crate) fn commit(
        self,
        store: &Store,
        mut ops: Vec<Pending>,
        chance: &mut SeededChance,
        now: u64,
    ) -> Outcome {
        if self.is(Mutant::AnswersBeforeCommit) && chance.below(8) == 0 {
            return store.copy().commit(&ops, chance, now);
        }
        let is_turned = self.is(Mutant::BatchTurnedAround);
        if is_turned {
            ops.reverse();
        }
        match store.commit(&ops, chance, now) {
            Outcome::Committed(mut answers) if is_turned => {
                answers.reverse();
                Outcome::Committed(answers)
            }
            Outcome::Unknown if self.is(Mutant::UnknownIsFailed) => {
                Outcome::Failed(RetryReason::Unavailable)
            }
            outcome => outcome,
        }
    }

    /// What a log answers to an op.
    pub(crate) fn reply(self, mut reply: Reply) -> Reply {
        let Reply::Verdict(verdict) = &mut reply else { return reply };
        match verdict {
            Verdict::Accepted(accepted) if self.is(Mutant::AcceptedElsewhere) => accepted.seq += 1,
            Verdict::Accepted(accepted) if self.is(Mutant::StoredIsRefused) => {
                let refused = protocol::event::Refused {
                    op_id: accepted.op_id,
                    refusal: Refusal::NotAllowed,
                };
                *verdict = Verdict::Refused(refused);
            }
            Verdict::Refused(refused) if self.is(Mutant::RefusedIsAccepted) => {
                let accepted = protocol::event::Accepted {
                    op_id: refused.op_id,
                    log: UserId::NIL.log(),
                    seq: 1,
                    id: protocol::ids::EventId::NIL,
                    at: 0,
                };
                *verdict = Verdict::Accepted(accepted);
            }
            _ => {}
        }
        reply
    }

    /// How the store says that a user stands to a log.
    pub(crate) fn admission(
        self,
        admission: Option<Admission>,
        history: &MemoryHistory,
        asked: &mut Asked,
    ) -> Option<Admission> {
        let Some(mut admission) = admission else {
            let heads = at_once(history.heads(&[asked.log])).ok()?;
            let head = heads.first().filter(|_| self.is(Mutant::MembershipForgotten))?;
            let cursor_tag = asked.cursor.map(|cursor| cursor.tag);
            let (head, membership) = (head.cursor, BY_RULE);
            return Some(Admission { membership, head, floor: 1, floor_tag: 0, cursor_tag });
        };
        if let Some(cursor) = &mut asked.cursor {
            if self.is(Mutant::EpochForgotten) {
                cursor.epoch = admission.head.epoch;
            }
            if self.is(Mutant::TagForgotten) {
                admission.cursor_tag = admission.cursor_tag.map(|_| cursor.tag);
            }
        }
        Some(admission)
    }

    /// The number behind which a page is read.
    pub(crate) fn page(self, after: u64) -> u64 {
        if self.is(Mutant::PageSkipsOne) { after + 1 } else { after }
    }

    /// Whose end of membership is looked for.
    pub(crate) fn reader(self, user: UserId) -> UserId {
        if self.is(Mutant::EndForgotten) { UserId::NIL } else { user }
    }

    /// A snapshot as it is read.
    pub(crate) fn view(self, mut view: RoomView, history: &MemoryHistory) -> RoomView {
        let is_older = view.cursor.seq > view.membership.joined_seq + 1;
        if self.is(Mutant::SnapshotBeforeItsMessages) && is_older {
            let (log, seq) = (view.snapshot.room.id.log(), view.cursor.seq - 1);
            let events = at_once(history.page(log, seq - 1)).unwrap();
            view.cursor = Cursor { seq, tag: events[0].id.tag(), ..view.cursor };
        }
        view
    }

    /// What a page is told that earlier ones kept.
    pub(crate) fn restored(self, mut kept: Vec<Kept>) -> Vec<Kept> {
        if self.is(Mutant::KeptTurnedAround) {
            kept.sort_by_key(|kept| (kept.queued_at, kept.number));
            let places: Vec<_> = kept.iter().map(|kept| (kept.queued_at, kept.number)).collect();
            for (kept, place) in kept.iter_mut().zip(places.into_iter().rev()) {
                (kept.queued_at, kept.number) = place;
            }
        }
        kept
    }

    /// What a client says in the place of this frame.
    pub(crate) fn said(self, frame: Vec<u8>, chance: &mut SeededChance) -> Vec<u8> {
        if self.0.is_none() {
            return frame;
        }
        let mut command = decode_command(&frame).expect("a client's frame decodes");
        let Command::Op(OpHead { op_id, lane_generation, .. }, _) = &mut command else {
            return frame;
        };
        if self.is(Mutant::GenerationStuck) {
            *lane_generation = 0;
        } else if self.is(Mutant::OpIdRenewed) {
            *op_id = OpId::make(1, chance.id_bytes());
        } else {
            return frame;
        }
        encode_command(&command).unwrap()
    }

    /// What a client hears in the place of this frame.
    pub(crate) fn heard(self, frame: Bytes) -> Vec<Bytes> {
        if self.0.is_none() {
            return vec![frame];
        }
        match decode_event(&frame) {
            Ok(Some(Event::Logged(mut logged))) if self.is(Mutant::LoggedOtherwise) => {
                logged.envelope.at += 1;
                vec![encode_event(&Event::Logged(logged)).unwrap().into()]
            }
            Ok(Some(Event::Logged(_))) if self.is(Mutant::LoggedTwice) => {
                vec![frame.clone(), frame]
            }
            Ok(Some(Event::Accepted(_))) if self.is(Mutant::AnswerLost) => Vec::new(),
            _ => vec![frame],
        }
    }
}

/// Whether a plan breaks one of these invariants with the fault; on the way to it others may break.
fn is_found(mutant: Mutant, invariants: &[&str]) -> bool {
    let names = |words: &str| invariants.iter().any(|name| words.contains(&format!("{name}: ")));
    let breaks = |plan: &Plan| {
        let failure = tried(plan, Planted(Some(mutant))).err();
        failure.is_some_and(|failure| names(&failure.message))
    };
    crate::kept_plans().iter().any(|(_, plan)| breaks(plan))
        || (0..SEEDS_MAX).any(|seed| breaks(&Plan::of(seed)))
}

#[test]
fn every_planted_fault_is_found_by_the_check_that_is_meant_for_it() {
    let missed = MUTANTS.iter().filter(|(mutant, invariants)| !is_found(*mutant, invariants));
    let missed: Vec<_> = missed.collect();
    assert!(missed.is_empty(), "the checks are blind to {missed:?}");
}
