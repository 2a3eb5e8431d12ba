//! What each person saw, and the judgement of it against what is stored.
//!
//! The invariants are those of the simulation's ledger (I1 accepted is stored, I2 once, I3 no holes,
//! I4 contiguous and the same, I7 in the order of the acts, I8 never both failed and stored).

use std::collections::BTreeMap;
use std::fmt;

use protocol::ids::{EventId, OpId, UserId};

/// An op that was accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) seq: u64,
    /// When it was heard, in Unix microseconds.
    pub(crate) at_us: u128,
}

/// An event that was shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) seq: u64,
    pub(crate) id: EventId,
    /// When, in Unix microseconds.
    pub(crate) at_us: u128,
}

/// One person's.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) user: UserId,
    /// What he wrote, in the order he did.
    pub(crate) written: Vec<OpId>,
    /// What he was told is stored, and where.
    pub(crate) accepted: BTreeMap<OpId, Accepted>,
    /// What he was told will never be.
    pub(crate) failed: Vec<OpId>,
    /// The number at which his page began.
    pub(crate) began: u64,
    /// What his page showed behind it, in the order it came.
    pub(crate) shown: Vec<Shown>,
}

/// An event of the file.
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) id: [u8; 16],
    pub(crate) author: [u8; 16],
    pub(crate) op_id: [u8; 16],
}

/// A log as the file holds it.
pub(crate) struct Stored(Vec<Event>);

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    events: usize,
    written: usize,
    accepted: usize,
    shown: usize,
}

impl Stored {
    pub(crate) fn new(events: Vec<Event>) -> Self {
        for (event, seq) in events.iter().zip(1..) {
            assert_eq!(event.seq, seq, "I3: a hole in the log");
        }
        Self(events)
    }

    pub(crate) fn head(&self) -> u64 {
        self.0.last().map_or(0, |event| event.seq)
    }

    /// Holds every journal against the log.
    pub(crate) fn judge(&self, writers: &[Journal], readers: &[Journal]) -> Totals {
        let mut totals = Totals { events: self.0.len(), ..Totals::default() };
        for journal in writers.iter().chain(readers) {
            self.judge_writing(journal);
            self.judge_shown(journal);
            totals.written += journal.written.len();
            totals.accepted += journal.accepted.len();
            totals.shown += journal.shown.len();
        }
        for reader in readers {
            let last = reader.shown.last().map_or(reader.began, |shown| shown.seq);
            assert_eq!(last, self.head(), "I12: a reader did not come to the head");
        }
        totals
    }

    fn judge_writing(&self, journal: &Journal) {
        let mut places: BTreeMap<OpId, u64> = BTreeMap::new();
        let own = self.0.iter().filter(|event| event.author == journal.user.bytes());
        for event in own {
            let twin = places.insert(OpId::from_bytes(event.op_id), event.seq);
            assert_eq!(twin, None, "I2: an op has two events");
        }
        for (op_id, Accepted { seq, .. }) in &journal.accepted {
            assert_eq!(places.get(op_id), Some(seq), "I1: accepted {op_id} is not at {seq}");
        }
        for op_id in &journal.failed {
            assert!(!places.contains_key(op_id), "I8: {op_id} failed and is stored");
        }
        let written: Vec<u64> = journal
            .written
            .iter()
            .map(|op_id| *places.get(op_id).expect("I12: all is stored"))
            .collect();
        assert!(written.is_sorted(), "I7: one device's acts stand in another order");
    }

    fn judge_shown(&self, journal: &Journal) {
        for (shown, expected) in journal.shown.iter().zip(journal.began + 1..) {
            let Shown { seq, id, .. } = *shown;
            assert_eq!(seq, expected, "I4: a hole on the screen");
            let stored = self.0.get(usize::try_from(seq - 1).unwrap());
            let stored = stored.expect("I5: what is shown is stored");
            assert_eq!(stored.id, id.bytes(), "I4: {seq} is shown otherwise than it is stored");
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, written, accepted, shown } = self;
        write!(f, "{written} written, {accepted} accepted, {events} stored, {shown} shown")
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    /// Five events of one person, who knows them all.
    fn told() -> (Vec<Event>, Journal) {
        let user = UserId::from_bytes([1; 16]);
        let events: Vec<Event> = (1..=5)
            .map(|seq: u8| Event {
                seq: seq.into(),
                id: [seq; 16],
                author: user.bytes(),
                op_id: [seq; 16],
            })
            .collect();
        let mut journal = Journal { user, ..Journal::default() };
        for event in &events {
            let (seq, at_us) = (event.seq, 0);
            journal.written.push(OpId::from_bytes(event.op_id));
            journal.accepted.insert(OpId::from_bytes(event.op_id), Accepted { seq, at_us });
            journal.shown.push(Shown { seq, id: EventId::from_bytes(event.id), at_us });
        }
        (events, journal)
    }

    /// The invariant by which a change of what is stored or told is found.
    fn found(change: impl FnOnce(&mut Vec<Event>, &mut Journal)) -> String {
        let (mut events, mut journal) = told();
        change(&mut events, &mut journal);
        let judged = catch_unwind(move || Stored::new(events).judge(&[journal], &[]));
        let words = judged.expect_err("nothing was found");
        let words = words
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| words.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        let words = words.unwrap();
        let invariant = words.split('I').find(|part| part.starts_with(|c: char| c.is_numeric()));
        format!("I{}", invariant.unwrap().split(':').next().unwrap())
    }

    #[test]
    fn what_is_lost_doubled_moved_or_forgotten_is_found() {
        let (events, journal) = told();
        Stored::new(events).judge(&[journal], &[]);
        assert_eq!(found(|events, _| events.truncate(4)), "I1");
        assert_eq!(found(|events, _| events[4].op_id = events[0].op_id), "I2");
        assert_eq!(found(|events, _| events.retain(|event| event.seq != 3)), "I3");
        assert_eq!(found(|events, _| events[2].id = [9; 16]), "I4");
        assert_eq!(found(|_, journal| journal.written.swap(0, 1)), "I7");
        assert_eq!(found(|_, journal| journal.failed.push(journal.written[0])), "I8");
        assert_eq!(found(|_, journal| journal.written.push(OpId::from_bytes([8; 16]))), "I12");
    }
}
