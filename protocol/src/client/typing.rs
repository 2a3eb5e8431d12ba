//! The typing line, both ways: what this user lets others know, and what is shown of others.
//!
//! A sign goes out at most every three seconds while keys arrive, and a last one three seconds
//! after the last key or when the text is gone. What is shown ends six seconds after the last
//! word of the server, for clients that died.

use std::collections::BTreeMap;

use crate::command::Typing as Sign;
use crate::ids::RoomId;
use crate::limits::{TYPING_MS, TYPING_MS_MAX};

/// Who is typing, here and elsewhere.
#[derive(Debug, Default)]
pub(super) struct Typing {
    own: Option<Own>,
    others: BTreeMap<RoomId, i64>,
}

#[derive(Debug, Clone, Copy)]
struct Own {
    room: RoomId,
    key_at: i64,
    sign_at: i64,
}

impl Typing {
    /// A key was pressed in a room; gives the signs to send.
    pub(super) fn key(&mut self, room: RoomId, text: bool, now: i64) -> [Option<Sign>; 2] {
        let elsewhere = self.own.filter(|own| own.room != room || !text);
        let ended = elsewhere.map(|own| Sign { room: own.room, active: false });
        if ended.is_some() {
            self.own = None;
        }
        if !text {
            return [ended, None];
        }
        let due = self.own.is_none_or(|own| now - own.sign_at >= TYPING_MS);
        let sign_at = self.own.filter(|_| !due).map_or(now, |own| own.sign_at);
        self.own = Some(Own { room, key_at: now, sign_at });
        [ended, due.then_some(Sign { room, active: true })]
    }

    /// A message went out, or the room left the screen; the sign that ends the typing there.
    pub(super) fn stop(&mut self, room: RoomId) -> Option<Sign> {
        self.own.take_if(|own| own.room == room).map(|own| Sign { room: own.room, active: false })
    }

    /// Others are typing in a room, or nobody is.
    pub(super) fn heard(&mut self, room: RoomId, anybody: bool, now: i64) {
        if anybody {
            self.others.insert(room, now + TYPING_MS_MAX);
        } else {
            self.others.remove(&room);
        }
    }

    /// What time ends: the own typing, and the rooms where nobody types any more.
    pub(super) fn expire(&mut self, now: i64) -> (Option<Sign>, Vec<RoomId>) {
        let own = self.own.take_if(|own| now - own.key_at >= TYPING_MS);
        let over: Vec<RoomId> =
            self.others.iter().filter(|(_, until)| **until <= now).map(|(room, _)| *room).collect();
        self.others.retain(|_, until| *until > now);
        (own.map(|own| Sign { room: own.room, active: false }), over)
    }

    /// The connection is over; gives the rooms whose line must be emptied.
    pub(super) fn disconnected(&mut self) -> Vec<RoomId> {
        self.own = None;
        std::mem::take(&mut self.others).into_keys().collect()
    }

    /// When `expire` has something to do.
    pub(super) fn wake_at(&self) -> Option<i64> {
        let own = self.own.map(|own| own.key_at + TYPING_MS);
        self.others.values().copied().chain(own).min()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const ROOM: RoomId = RoomId::from_bytes([1; 16]);
    const OTHER: RoomId = RoomId::from_bytes([2; 16]);

    fn sign(active: bool) -> Option<Sign> {
        Some(Sign { room: ROOM, active })
    }

    #[test]
    fn a_sign_goes_out_every_three_seconds_while_keys_arrive() {
        let mut typing = Typing::default();
        assert_eq!(typing.key(ROOM, true, 0), [None, sign(true)]);
        assert_eq!(typing.key(ROOM, true, 2_900), [None, None]);
        assert_eq!(typing.key(ROOM, true, 3_000), [None, sign(true)]);
    }

    #[test]
    fn three_seconds_after_the_last_key_it_ends() {
        let mut typing = Typing::default();
        typing.key(ROOM, true, 0);
        typing.key(ROOM, true, 1_000);
        assert_eq!(typing.wake_at(), Some(4_000));
        assert_eq!(typing.expire(3_999).0, None);
        assert_eq!(typing.expire(4_000).0, sign(false));
        assert_eq!(typing.wake_at(), None);
    }

    #[test]
    fn an_emptied_composer_and_another_room_end_it() {
        let mut typing = Typing::default();
        typing.key(ROOM, true, 0);
        assert_eq!(typing.key(ROOM, false, 10), [sign(false), None]);
        assert_eq!(typing.key(ROOM, false, 20), [None, None]);
        typing.key(ROOM, true, 30);
        let moved = typing.key(OTHER, true, 40);
        assert_eq!(moved, [sign(false), Some(Sign { room: OTHER, active: true })]);
    }

    #[test]
    fn a_typist_whose_client_died_is_gone_after_six_seconds() {
        let mut typing = Typing::default();
        typing.heard(ROOM, true, 0);
        assert_eq!(typing.expire(5_999).1, []);
        assert_eq!(typing.expire(6_000).1, [ROOM]);
    }
}
