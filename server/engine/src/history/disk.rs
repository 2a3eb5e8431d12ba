//! Whether the store takes writes: what follows from a disk that was full.
//!
//! Asked by `history/sql.rs` before every batch, and by probes. Its law: pure; one failure for want
//! of room makes the store read-only, and only the room itself lets it write again, looked at every
//! five seconds at most, for a small write may succeed between two that fail.

use crate::db::space::Space;

/// Milliseconds between two looks at the room.
const LOOK_EVERY_MS: i64 = 5_000;
/// The part of the disk that is enough, where the setting asks for more of a small one.
const ENOUGH_OF: u64 = 10;

/// A disk as the store knows it.
#[derive(Debug)]
pub struct Disk {
    free_bytes_min: u64,
    /// When it was last seen to be full, in Unix milliseconds; nothing while it is not.
    full_at: Option<i64>,
}

impl Disk {
    /// A disk that was never full, and how much must be free once it was.
    #[must_use]
    pub const fn new(free_bytes_min: u64) -> Self {
        Self { free_bytes_min, full_at: None }
    }

    /// A write found no room.
    pub const fn fill(&mut self, now_ms: i64) {
        self.full_at = Some(now_ms);
    }

    /// Whether nothing is to be written; looks when it is time to. Where nobody knows the room the
    /// next write finds out.
    pub fn is_full(&mut self, now_ms: i64, look: impl FnOnce() -> Option<Space>) -> bool {
        let Some(full_at) = self.full_at else { return false };
        // A clock that was set back is no reason to wait for it.
        if (0..LOOK_EVERY_MS).contains(&now_ms.saturating_sub(full_at)) {
            return true;
        }
        let is_full = look().is_some_and(|space| space.free < self.enough(space));
        self.full_at = is_full.then_some(now_ms);
        is_full
    }

    fn enough(&self, space: Space) -> u64 {
        self.free_bytes_min.min(space.total / ENOUGH_OF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn free(mib: u64) -> impl FnOnce() -> Option<Space> {
        move || Some(Space { free: mib * MIB, total: 10_000 * MIB })
    }

    fn unseen() -> Option<Space> {
        panic!("it is not time to look")
    }

    #[test]
    fn only_room_lets_a_full_disk_be_written_again_and_it_is_looked_at_every_five_seconds() {
        let mut disk = Disk::new(64 * MIB);
        assert!(!disk.is_full(0, unseen), "nobody looks at a disk that takes what it is given");
        disk.fill(1_000);
        assert!(disk.is_full(5_999, unseen));
        assert!(disk.is_full(6_000, free(63)));
        assert!(disk.is_full(10_999, unseen));
        assert!(!disk.is_full(11_000, free(64)));
        assert!(!disk.is_full(11_001, unseen));
    }

    #[test]
    fn a_tenth_of_a_small_disk_is_enough() {
        let small = |free: u64| move || Some(Space { free: free * MIB, total: 20 * MIB });
        let mut disk = Disk::new(64 * MIB);
        disk.fill(0);
        assert!(disk.is_full(5_000, small(1)));
        assert!(!disk.is_full(10_000, small(2)));
    }

    #[test]
    fn a_clock_that_was_set_back_and_a_disk_of_which_nothing_is_known_do_not_wait() {
        let mut disk = Disk::new(64 * MIB);
        disk.fill(1_000_000);
        assert!(disk.is_full(10, free(1)));
        assert!(!disk.is_full(5_010, || None));
    }
}
