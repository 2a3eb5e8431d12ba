//! A lane: what one connection sends to one log, under a generation that a retry raises.
//!
//! Made by the session, carried by every op it hands on, and looked at by the log before an op is
//! judged. Its law: once an op of a generation was put off, no *later* op of the same generation is
//! done, so that what is sent again comes in the order in which it was written. What was sent before
//! it stays: else a client that sends a little too fast would void itself for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The generations of one lane, shared by its session and the log that holds its ops.
#[derive(Debug, Clone, Default)]
pub struct Lane(Arc<Generations>);

#[derive(Debug, Default)]
struct Generations {
    /// Ops of another one are not taken in.
    taken_in: AtomicU32,
    /// Ops of a lower one that still wait in the mailbox are not done.
    void_below: AtomicU32,
}

impl Lane {
    /// The generation whose ops are taken in.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.0.taken_in.load(Ordering::Acquire)
    }

    /// An op's mark of the lane's present generation.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { lane: self.clone(), generation: self.generation() }
    }
}

/// The lane and generation in which an op was sent.
#[derive(Debug, Clone)]
pub struct Mark {
    lane: Lane,
    generation: u32,
}

impl Mark {
    /// Whether an earlier op of the generation was put off, so that this one must not be done.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.lane.0.void_below.load(Ordering::Acquire) > self.generation
    }

    /// The op was not taken in: the generation ends behind it. Whether this call ended it, so that
    /// the client is to be told.
    #[must_use]
    pub fn end(&self) -> bool {
        let (old, new) = (self.generation, self.generation.saturating_add(1));
        let taken_in = &self.lane.0.taken_in;
        taken_in.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The op was taken in and is not done: neither is what waits behind it. Whether this call ended
    /// the generation, so that the client is to be told.
    #[must_use]
    pub fn put_off(&self) -> bool {
        let new = self.generation.saturating_add(1);
        self.lane.0.void_below.fetch_max(new, Ordering::AcqRel);
        self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_put_off_voids_the_others() {
        let lane = Lane::default();
        let (first, second) = (lane.mark(), lane.mark());
        assert!(!second.is_void());
        assert!(first.put_off());
        assert!(second.is_void());
        assert!(!second.put_off(), "the client is told once");
        assert!(!lane.mark().is_void());
    }

    #[test]
    fn what_was_taken_in_before_a_refusal_is_done_unless_it_fails_itself() {
        let lane = Lane::default();
        let (first, second, refused) = (lane.mark(), lane.mark(), lane.mark());
        assert!(refused.end());
        assert!(!first.is_void() && !second.is_void());
        assert!(!first.put_off(), "the client was told at the refusal");
        assert!(second.is_void());
    }
}
