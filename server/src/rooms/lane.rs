//! A lane: what one connection sends to one log, under a generation that a retry raises.
//!
//! Made by the session, carried by every op it hands on, and looked at by the log before an op is
//! judged. Its law: once an op of a generation was put off, no later op of the same generation is
//! done, so that what is sent again comes in the order in which it was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The generation of one lane, shared by its session and the logs that hold its ops.
#[derive(Debug, Clone, Default)]
pub struct Lane(Arc<AtomicU32>);

impl Lane {
    /// The generation whose ops are done.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.0.load(Ordering::Acquire)
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
        self.lane.generation() != self.generation
    }

    /// Voids the generation; whether this call was the one that did.
    #[must_use]
    pub fn put_off(&self) -> bool {
        let (old, new) = (self.generation, self.generation.wrapping_add(1));
        self.lane.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
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
}
