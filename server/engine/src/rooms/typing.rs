//! Who is writing in a room just now. Never stored, never waited for.
//!
//! Held by the room's log, which tells its subscribers what comes out. Its law: at most one frame a
//! second a room, somebody whose client died is forgotten after six seconds, and a room with more
//! than a hundred connected subscribers tells nobody.

use std::collections::BTreeMap;

use protocol::event::Typist;
use protocol::ids::UserId;
use protocol::limits::{TYPING_MS_MAX, TYPISTS_MAX};
use protocol::model::DisplayName;

/// Milliseconds between two frames of one room.
const TOLD_MS: i64 = 1_000;
/// Connected subscribers above which nothing is told.
const CONNECTED_MAX: usize = 100;

/// The people who write in one room.
#[derive(Debug, Default)]
pub struct Typing {
    people: BTreeMap<UserId, Spell>,
    changed: bool,
    told_at: Option<i64>,
}

#[derive(Debug)]
struct Spell {
    name: DisplayName,
    until: i64,
}

impl Typing {
    /// Somebody writes still, or has stopped.
    pub fn note(&mut self, user: UserId, name: DisplayName, active: bool, now: i64) {
        if active {
            let until = now.saturating_add(TYPING_MS_MAX);
            let before = self.people.insert(user, Spell { name: name.clone(), until });
            self.changed |= before.is_none_or(|before| before.name != name);
        } else {
            self.changed |= self.people.remove(&user).is_some();
        }
    }

    /// What is to be told to so many connected subscribers now, if anything.
    pub fn tell(&mut self, connected_count: usize, now: i64) -> Option<Vec<Typist>> {
        if connected_count > CONNECTED_MAX {
            *self = Self::default();
            return None;
        }
        let before = self.people.len();
        self.people.retain(|_, spell| spell.until > now);
        self.changed |= self.people.len() != before;
        if !self.changed || self.quiet_until().is_some_and(|until| now < until) {
            return None;
        }
        self.changed = false;
        self.told_at = Some(now);
        let typist =
            |(user, spell): (&UserId, &Spell)| Typist { user: *user, name: spell.name.clone() };
        Some(self.people.iter().take(TYPISTS_MAX).map(typist).collect())
    }

    /// When there may be something to tell.
    #[must_use]
    pub fn wakes_at(&self) -> Option<i64> {
        let next_end = self.people.values().map(|spell| spell.until).min();
        if self.changed { Some(self.quiet_until().unwrap_or(i64::MIN)) } else { next_end }
    }

    fn quiet_until(&self) -> Option<i64> {
        self.told_at.map(|told_at| told_at.saturating_add(TOLD_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(typing: &mut Typing, user: u8, active: bool, now: i64) {
        typing.note(UserId::from_bytes([user; 16]), DisplayName::cut("Ada"), active, now);
    }

    fn told(typing: &mut Typing, now: i64) -> Option<usize> {
        typing.tell(2, now).map(|people| people.len())
    }

    #[test]
    fn a_room_tells_at_most_once_a_second() {
        let mut typing = Typing::default();
        note(&mut typing, 1, true, 0);
        assert_eq!(told(&mut typing, 0), Some(1));
        note(&mut typing, 2, true, 10);
        assert_eq!(told(&mut typing, 10), None);
        assert_eq!(typing.wakes_at(), Some(1_000));
        note(&mut typing, 1, false, 20);
        assert_eq!(told(&mut typing, 1_000), Some(1));
        assert_eq!(told(&mut typing, 2_000), None, "nothing changed");
    }

    #[test]
    fn a_crash_leaves_no_ghost_after_six_seconds() {
        let mut typing = Typing::default();
        note(&mut typing, 1, true, 0);
        told(&mut typing, 0);
        note(&mut typing, 1, true, 3_000);
        assert_eq!(typing.wakes_at(), Some(9_000));
        assert_eq!(told(&mut typing, 9_000), Some(0));
        assert_eq!(typing.wakes_at(), None);
    }

    #[test]
    fn who_is_called_otherwise_meanwhile_is_told_by_his_new_name() {
        let mut typing = Typing::default();
        note(&mut typing, 1, true, 0);
        told(&mut typing, 0);
        typing.note(UserId::from_bytes([1; 16]), DisplayName::cut("Grace"), true, 3_000);
        let names = typing.tell(2, 3_000).unwrap_or_default().into_iter().map(|typist| typist.name);
        assert_eq!(names.collect::<Vec<_>>(), [DisplayName::cut("Grace")]);
    }

    #[test]
    fn a_large_room_tells_nobody() {
        let mut typing = Typing::default();
        note(&mut typing, 1, true, 0);
        assert!(typing.tell(101, 0).is_none());
        assert_eq!(typing.wakes_at(), None);
    }
}
