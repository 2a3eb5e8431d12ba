//! What waits in an outlet: the rest of a begun message, answers, reads under way.
//!
//! Held by an outlet only while there is something, so that who is idle pays for none of it. Its law:
//! a frame that is begun is the rest and no answer any more; answers go out in the order they came.

use std::collections::VecDeque;

use bytes::Bytes;

use super::chunk::{CHUNK_BYTES_MAX, Frame};

/// What waits to be written or is being read.
#[derive(Default)]
pub(super) struct Backlog {
    /// What is left of the one message that is begun.
    pub(super) rest: Bytes,
    answers: VecDeque<Frame>,
    answer_bytes: usize,
    /// How many of the answers come before every slot.
    greeting: usize,
    /// The close frame of a connection that is being closed.
    pub(super) last: Option<Frame>,
    /// Whose turn is next: 0 the answers', n the nth slot's.
    pub(super) turn: usize,
    /// Reads under way.
    pub(super) reading: usize,
}

impl Backlog {
    /// Whether it is as good as none; whose turn is next counts only while something waits.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.answers.is_empty() && self.last.is_none() && self.reading == 0
    }

    /// Drops everything but the message that is begun; this one is the last behind it.
    pub(super) fn end(&mut self, last: Frame) {
        let rest = std::mem::take(&mut self.rest);
        *self = Self { rest, last: Some(last), ..Self::default() };
    }

    /// Adds the frames that come before every slot.
    pub(super) fn greet(&mut self, frames: Vec<Frame>) {
        self.greeting = frames.len();
        frames.into_iter().for_each(|frame| self.push(frame));
    }

    /// Adds an answer.
    pub(super) fn push(&mut self, frame: Frame) {
        self.answer_bytes += frame.bytes().len();
        self.answers.push_back(frame);
    }

    /// How many answers wait.
    pub(super) fn answer_count(&self) -> usize {
        self.answers.len()
    }

    /// How many bytes they have.
    pub(super) const fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// Whether frames wait that come before every slot.
    pub(super) const fn is_greeting(&self) -> bool {
        self.greeting > 0
    }

    /// The answers of one write, and how many bytes they have: at most a chunk's, but at least one.
    pub(super) fn next_answers(&self) -> (Vec<Bytes>, usize) {
        let mut parts: Vec<Bytes> = Vec::new();
        let mut planned = 0;
        for frame in &self.answers {
            if planned > 0 && planned + frame.bytes().len() > CHUNK_BYTES_MAX {
                break;
            }
            planned += frame.bytes().len();
            parts.push(frame.bytes().clone());
        }
        (parts, planned)
    }

    /// Counts what a write has taken of the answers.
    pub(super) fn answered(&mut self, taken: usize) {
        let mut left = taken;
        while left > 0 {
            let Some(frame) = self.answers.pop_front() else { break };
            self.greeting = self.greeting.saturating_sub(1);
            self.answer_bytes = self.answer_bytes.saturating_sub(frame.bytes().len());
            let of_this = left.min(frame.bytes().len());
            self.rest = frame.bytes().slice(of_this..);
            left -= of_this;
        }
    }
}
