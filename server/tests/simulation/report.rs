//! What runs came to: counts to print, and a digest that two runs of one plan must share.
//!
//! Filled by the world, added up by the trials.

use std::fmt;

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Of every frame that arrived and when, over the whole run.
    pub(crate) digest: u64,
    pub(crate) runs: u64,
    pub(crate) turns: u64,
    pub(crate) frames: u64,
    pub(crate) sockets: u64,
    pub(crate) crashes: u64,
    pub(crate) restores: u64,
    /// Rooms that began by what an earlier page had kept of them.
    pub(crate) resumed: u64,
    pub(crate) events: u64,
    pub(crate) slowest_agreement_ms: u64,
}

impl Report {
    /// Puts a frame that arrived, and when, into the digest (FNV-1a).
    pub(crate) fn note(&mut self, bytes: &[u8], now: u64) {
        self.frames += 1;
        let mut digest = self.digest ^ now;
        for byte in bytes {
            digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.digest = digest.rotate_left(5);
    }

    /// Adds another run's figures.
    pub(crate) fn add(&mut self, other: &Self) {
        // Runs end in any order, so their digests are added up.
        self.digest = self.digest.wrapping_add(other.digest);
        self.runs += other.runs;
        self.turns += other.turns;
        self.frames += other.frames;
        self.sockets += other.sockets;
        self.crashes += other.crashes;
        self.restores += other.restores;
        self.resumed += other.resumed;
        self.events += other.events;
        self.slowest_agreement_ms = self.slowest_agreement_ms.max(other.slowest_agreement_ms);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, runs, turns, frames, sockets, crashes, restores, events, .. } = self;
        let Self { resumed, .. } = self;
        let slowest = self.slowest_agreement_ms;
        write!(
            f,
            "{runs} runs, {turns} turns, {frames} frames, {sockets} sockets, {events} events, "
        )?;
        write!(
            f,
            "{crashes} crashes, {restores} restores, {resumed} rooms resumed after a reload, "
        )?;
        write!(f, "agreement within {slowest} ms, ")?;
        write!(f, "digest {digest:016x}")
    }
}
