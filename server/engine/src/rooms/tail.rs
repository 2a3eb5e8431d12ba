//! A log's tail: its last events in memory, encoded, for everybody who follows.
//!
//! Written by the log's own task alone, emptied by whoever keeps all tails within their bound, and
//! read by the outlets, under a lock that is taken last.
//! Its law: chunks follow each other without a gap, the last of them ends at `head`, and at most
//! 512 events or 512 KiB are kept, so that whoever is further behind reads the store.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use protocol::change::Envelope;
use protocol::codec::EncodeFault;

use crate::outlet::chunk::Chunk;
use crate::outlet::{Edges, Edition, Ring};

/// Events that a tail keeps.
pub const TAIL_EVENTS_MAX: usize = 512;
/// Bytes that a tail keeps.
pub const TAIL_BYTES_MAX: usize = 512 * 1024;

/// The last events of one log.
#[derive(Debug)]
pub struct Tail {
    head: u64,
    edition: Edition,
    chunks: VecDeque<Chunk>,
    event_count: usize,
    byte_count: usize,
}

impl Tail {
    /// The empty tail of a log that ends at `head`.
    #[must_use]
    pub fn new(head: u64) -> Self {
        let edition = Edition::begin();
        Self { head, edition, chunks: VecDeque::new(), event_count: 0, byte_count: 0 }
    }

    /// Adds what the log says next, and drops the oldest beyond the bounds. A chunk that does not
    /// follow on the head is not taken, and is given back.
    pub fn push(&mut self, chunk: Chunk) -> Result<(), Chunk> {
        if chunk.first() != self.head.saturating_add(1) {
            return Err(chunk);
        }
        self.head = chunk.next().saturating_sub(1);
        self.event_count += chunk.event_count();
        self.byte_count += chunk.byte_count();
        self.chunks.push_back(chunk);
        while self.chunks.len() > 1
            && (self.event_count > TAIL_EVENTS_MAX || self.byte_count > TAIL_BYTES_MAX)
        {
            if let Some(oldest) = self.chunks.pop_front() {
                self.event_count -= oldest.event_count();
                self.byte_count -= oldest.byte_count();
            }
        }
        Ok(())
    }

    /// Makes the chunks of these events anew, after their bodies were overwritten in the store. What
    /// was read before is read again: this is another edition.
    pub fn remake(&mut self, events: &[Envelope]) -> Result<(), EncodeFault> {
        self.edition = Edition::begin();
        for chunk in &mut self.chunks {
            if events.iter().any(|event| (chunk.first()..chunk.next()).contains(&event.seq)) {
                let before = chunk.byte_count();
                *chunk = chunk.remade(events)?;
                self.byte_count = self.byte_count + chunk.byte_count() - before;
            }
        }
        Ok(())
    }

    /// Forgets what it holds; who is behind then reads the store, or is closed and comes back.
    fn clear(&mut self) {
        self.chunks = VecDeque::new();
        (self.event_count, self.byte_count) = (0, 0);
    }

    /// The number of the last event spoken.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.head
    }

    fn edges(&self) -> Edges {
        let floor = self.chunks.front().map_or(self.head.saturating_add(1), Chunk::first);
        Edges { head: self.head, floor, edition: self.edition }
    }

    fn read(&self, next: u64, bytes_max: usize, into: &mut Vec<Chunk>) -> Edges {
        let edges = self.edges();
        if (edges.floor..=edges.head).contains(&next) {
            let mut byte_count = 0;
            let from = self.chunks.partition_point(|chunk| chunk.next() <= next);
            for chunk in self.chunks.iter().skip(from) {
                byte_count += chunk.byte_count();
                if !into.is_empty() && byte_count > bytes_max {
                    break;
                }
                into.push(chunk.clone());
            }
        }
        edges
    }
}

/// A tail under its lock: its log's task writes it, outlets read it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedTail(Arc<RwLock<Tail>>);

impl SharedTail {
    /// Shares a tail.
    #[must_use]
    pub fn new(tail: Tail) -> Self {
        Self(Arc::new(RwLock::new(tail)))
    }

    /// Lets the log's own task change it. Nothing else is locked or awaited meanwhile.
    pub fn change<T>(&self, change: impl FnOnce(&mut Tail) -> T) -> T {
        // A tail is changed in steps that cannot panic half-way, so a poisoned one is whole.
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn look<T>(&self, look: impl FnOnce(&Tail) -> T) -> T {
        look(&looked_at(&self.0))
    }

    /// The tail as a slot reads it.
    #[must_use]
    pub fn ring(&self) -> Arc<dyn Ring> {
        self.0.clone()
    }
}

/// Empties tails until all together hold at most `bytes_max`: those first whose logs were silent for
/// longest, because nobody is behind in them. Each tail comes with the time its log last spoke.
pub fn keep_within(mut tails: Vec<(i64, SharedTail)>, bytes_max: usize) {
    let mut byte_count: usize =
        tails.iter().map(|(_, tail)| tail.look(|tail| tail.byte_count)).sum();
    if byte_count <= bytes_max {
        return;
    }
    tails.sort_by_key(|(spoken_at, _)| *spoken_at);
    for (_, tail) in tails {
        if byte_count <= bytes_max {
            return;
        }
        byte_count = byte_count.saturating_sub(tail.look(|tail| tail.byte_count));
        tail.change(Tail::clear);
    }
}

impl Ring for RwLock<Tail> {
    fn edges(&self) -> Edges {
        looked_at(self).edges()
    }

    fn read(&self, next: u64, bytes_max: usize, into: &mut Vec<Chunk>) -> Edges {
        looked_at(self).read(next, bytes_max, into)
    }
}

fn looked_at(tail: &RwLock<Tail>) -> RwLockReadGuard<'_, Tail> {
    // A tail is changed in steps that cannot panic half-way, so a poisoned one is whole.
    tail.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlet::chunk::CHUNK_BYTES_MAX;
    use crate::outlet::chunk::tests::{noise, posted, seqs};

    fn tail_of(events: std::ops::RangeInclusive<u64>, text: &str) -> Tail {
        let mut tail = Tail::new(events.start() - 1);
        for seq in events {
            for chunk in Chunk::cut(&[posted(seq, text)]).unwrap() {
                tail.push(chunk).unwrap();
            }
        }
        tail
    }

    fn told(tail: &Tail, next: u64) -> Vec<u64> {
        let mut chunks = Vec::new();
        tail.read(next, CHUNK_BYTES_MAX, &mut chunks);
        chunks.iter().flat_map(|chunk| seqs(chunk.bytes_from(next))).collect()
    }

    #[test]
    fn a_tail_keeps_the_last_512_events() {
        let tail = tail_of(1..=600, "a");
        assert_eq!((tail.edges().head, tail.edges().floor), (600, 89));
        assert_eq!(told(&tail, 598), [598, 599, 600]);
        assert_eq!(told(&tail, 88), [0; 0], "older ones are the store's");
        assert_eq!(told(&tail, 601), [0; 0]);
    }

    #[test]
    fn a_tail_keeps_at_most_512_kib() {
        let tail = tail_of(1..=600, &noise(8_000));
        assert!(tail.byte_count <= TAIL_BYTES_MAX && tail.event_count < 512);
        assert_eq!(told(&tail, 599), [599, 600]);
    }

    #[test]
    fn what_does_not_follow_is_not_taken() {
        let mut tail = tail_of(5..=6, "a");
        for seq in [6, 8] {
            let chunk = Chunk::cut(&[posted(seq, "b")]).unwrap().remove(0);
            assert!(tail.push(chunk).is_err());
        }
        assert_eq!(tail.head(), 6);
    }

    #[test]
    fn an_erased_body_leaves_the_tail_and_begins_another_edition() {
        let mut tail = tail_of(5..=6, "secret");
        let before = tail.edges().edition;
        tail.remake(&[posted(5, "")]).unwrap();
        assert_ne!(tail.edges().edition, before);
        assert_eq!(told(&tail, 5), [5, 6]);
        let bytes: usize = tail.chunks.iter().map(Chunk::byte_count).sum();
        assert_eq!(tail.byte_count, bytes);
    }

    #[test]
    fn the_tails_of_silent_logs_make_way_for_the_others() {
        let tails: Vec<_> = (1..=3).map(|at| (at, SharedTail::new(tail_of(1..=4, "a")))).collect();
        let bytes = tails[0].1.look(|tail| tail.byte_count);
        let (silent, last) = (tails[0].1.clone(), tails[2].1.clone());
        keep_within(vec![tails[2].clone(), tails[0].clone(), tails[1].clone()], 2 * bytes);
        let edges = |tail: &SharedTail| tail.look(|tail| (tail.edges().head, tail.edges().floor));
        assert_eq!((edges(&silent), edges(&last)), ((4, 5), (4, 1)));
        let next = Chunk::cut(&[posted(5, "b")]).unwrap().remove(0);
        silent.change(|tail| tail.push(next)).unwrap();
        assert_eq!(silent.look(|tail| told(tail, 5)), [5], "it goes on from its head");
    }
}
