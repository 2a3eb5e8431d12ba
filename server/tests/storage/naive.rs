//! Permissions, numbers and answers against brute force (T2 of the test plan).
//!
//! The model here knows nothing but the list of what was done, and goes through all of it for every
//! question; the judge keeps facts. Random batches must get the model's answers from it, letter by
//! letter. Words, names and keys are so plain that their rules fit in a line each.

use proptest::prelude::*;
use protocol::act::{Act, Configure, Create, Enter, Leave, Post, Rename};
use protocol::event::{Accepted, Refused};
use protocol::ids::{LogId, RoomId, UserId};
use protocol::model::RoomKey;
use protocol::refusal::Refusal;
use server::history::{Answer, Pending, Verdict};

use crate::fold::{cases, plans, room_ids};
use crate::world::{RULES, World, account};

/// What was done, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Made(UserId, RoomId),
    Joined(UserId, RoomId),
    Left(UserId, RoomId),
    Said(RoomId),
    Renamed(UserId),
}

/// What is to be answered: a place in a log, whose event is not there where its number is 0; in a
/// room of its own where there is no log.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Accepted(Option<LogId>, u64),
    Refused(Refusal),
    SignedOut,
}

struct Model {
    lobby: RoomId,
    keys: Vec<(RoomKey, RoomId)>,
    done: Vec<Done>,
    answered: Vec<(Pending, Verdict)>,
}

impl Model {
    fn exists(&self, room: RoomId) -> bool {
        self.keys.iter().any(|(_, known)| *known == room)
    }

    /// What he did last to his being in this room.
    fn last_step(&self, user: UserId, room: RoomId) -> Option<Done> {
        let his = [Done::Made(user, room), Done::Joined(user, room), Done::Left(user, room)];
        self.done.iter().rev().copied().find(|done| his.contains(done))
    }

    fn is_member(&self, user: UserId, room: RoomId) -> bool {
        let last = self.last_step(user, room);
        room == self.lobby || last.is_some_and(|step| step != Done::Left(user, room))
    }

    fn check_room_count(&self, user: UserId) -> Result<(), Refusal> {
        let rooms = self.keys.iter().map(|(_, room)| *room).filter(|room| *room != self.lobby);
        let count = rooms.filter(|room| self.is_member(user, *room)).count();
        let rooms_max = RULES.rooms_max;
        let may_join = u32::try_from(count).is_ok_and(|count| count < rooms_max);
        if may_join { Ok(()) } else { Err(Refusal::TooManyRooms { rooms_max }) }
    }

    /// The number of the next event in a room: its first is its making.
    fn next_in(&self, room: RoomId) -> u64 {
        let events = self.done.iter().map(|done| match done {
            Done::Made(_, made) if *made == room => 2,
            Done::Joined(_, of) | Done::Left(_, of) | Done::Said(of) if *of == room => 1,
            _ => 0,
        });
        events.sum::<u64>() + 1 + u64::from(room == self.lobby)
    }

    /// The number of the next event in a user's log.
    fn next_of(&self, user: UserId) -> u64 {
        let is_his = |done: &&Done| match done {
            Done::Made(by, _) | Done::Joined(by, _) | Done::Left(by, _) | Done::Renamed(by) => {
                *by == user
            }
            Done::Said(_) => false,
        };
        self.done.iter().filter(is_his).map(|_| 1_u64).sum::<u64>() + 1
    }

    fn expected(&self, pending: &Pending) -> Expected {
        let earlier = self.answered.iter().find(|(other, _)| other.key() == pending.key());
        match earlier {
            Some((other, _)) if other.op.act != pending.op.act => {
                return Expected::Refused(Refusal::OpIdReused);
            }
            Some((_, Verdict::Accepted(first))) => {
                return Expected::Accepted(Some(first.log), first.seq);
            }
            Some((_, Verdict::Refused(first))) => return Expected::Refused(first.refusal.clone()),
            _ => {}
        }
        if (0..4).all(|person| account(person).user.id != pending.author) {
            return Expected::SignedOut;
        }
        match self.decided(pending.author, &pending.op.act) {
            Ok((log, seq)) => Expected::Accepted(log, seq),
            Err(refusal) => Expected::Refused(refusal),
        }
    }

    fn decided(&self, user: UserId, act: &Act) -> Result<(Option<LogId>, u64), Refusal> {
        let must = |holds: bool, refusal| if holds { Ok(()) } else { Err(refusal) };
        let said_in = |room: RoomId| (Some(room.log()), self.next_in(room));
        match act {
            Act::Post(Post { room, text }) => {
                must(self.exists(*room) && self.is_member(user, *room), Refusal::NotMember)?;
                must(!text.trim().is_empty(), Refusal::Empty)?;
                Ok(said_in(*room))
            }
            Act::Leave(Leave { room }) => {
                must(*room != self.lobby, Refusal::NotAllowed)?;
                must(self.is_member(user, *room), Refusal::NotMember)?;
                Ok(said_in(*room))
            }
            Act::Configure(Configure { room, name, topic }) => {
                must(self.exists(*room) && self.is_member(user, *room), Refusal::NotMember)?;
                let made = self.last_step(user, *room) == Some(Done::Made(user, *room));
                must(made, Refusal::NotAllowed)?;
                check_name(name)?;
                must(!topic.trim().contains('\n'), Refusal::BadName)?;
                Ok(said_in(*room))
            }
            Act::Rename(Rename { name }) => {
                check_name(name)?;
                Ok((Some(user.log()), self.next_of(user)))
            }
            Act::Create(Create { name }) => {
                check_name(name)?;
                self.check_room_count(user)?;
                Ok((None, 1))
            }
            Act::Enter(Enter { key }) => {
                let key = key.to_lowercase();
                must(!key.is_empty() && !key.starts_with('.'), Refusal::BadName)?;
                must(!key.ends_with('.'), Refusal::BadName)?;
                let known = self.keys.iter().find(|(known, _)| **known == *key);
                let Some((_, room)) = known else {
                    self.check_room_count(user)?;
                    return Ok((None, 2));
                };
                if self.is_member(user, *room) {
                    return Ok((Some(room.log()), 0));
                }
                self.check_room_count(user)?;
                Ok(said_in(*room))
            }
        }
    }

    /// Takes in what was answered to an op that was not answered before.
    fn learn(&mut self, pending: &Pending, answer: &Answer, tables_keys: &[(RoomKey, RoomId)]) {
        let user = pending.author;
        if self.answered.iter().any(|(other, _)| other.key() == pending.key()) {
            return;
        }
        let Verdict::Accepted(Accepted { log, seq, .. }) = answer.verdict else {
            if !matches!(answer.verdict, Verdict::SignedOut) {
                self.answered.push((pending.clone(), answer.verdict.clone()));
            }
            return;
        };
        self.answered.push((pending.clone(), answer.verdict.clone()));
        match (&pending.op.act, log.room()) {
            (Act::Rename(_), _) => self.done.push(Done::Renamed(user)),
            (Act::Leave(_), Some(room)) => self.done.push(Done::Left(user, room)),
            (Act::Post(_) | Act::Configure(_), Some(room)) => self.done.push(Done::Said(room)),
            (Act::Create(_) | Act::Enter(_), Some(room)) if !self.exists(room) => {
                let made = tables_keys.iter().find(|(_, id)| *id == room).unwrap().clone();
                assert!(self.keys.iter().all(|(key, _)| *key != made.0), "a key names one room");
                self.keys.push(made);
                self.done.push(Done::Made(user, room));
            }
            (Act::Enter(_), Some(room)) if seq > 0 => self.done.push(Done::Joined(user, room)),
            _ => {}
        }
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    match name.trim() {
        "" => Err(Refusal::Empty),
        name if name.contains('\n') => Err(Refusal::BadName),
        _ => Ok(()),
    }
}

/// The answer, as far as it can be foreseen: which room a making makes cannot.
fn seen(verdict: &Verdict, is_new: bool) -> Expected {
    match verdict {
        Verdict::Accepted(Accepted { log, seq, .. }) => {
            Expected::Accepted((!is_new).then_some(*log), *seq)
        }
        Verdict::Refused(Refused { refusal, .. }) => Expected::Refused(refusal.clone()),
        Verdict::SignedOut => Expected::SignedOut,
        Verdict::Retry(reason) => panic!("a store in memory does not put off: {reason:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(10_000), ..ProptestConfig::default() })]

    #[test]
    fn the_judge_answers_as_brute_force_does(plan in plans()) {
        let mut world = World::new();
        let lobby = world.lobby();
        let keys = vec![(RoomKey::new("lobby").unwrap(), lobby)];
        let mut model = Model { lobby, keys, done: Vec::new(), answered: Vec::new() };
        let mut tables = world.history.tables();
        for steps in plan {
            let rooms = room_ids(&tables);
            let batch: Vec<Pending> = steps.iter().map(|step| step.pending(&rooms)).collect();
            let answers = world.answers(&batch);
            tables = world.history.tables();
            let keys: Vec<_> =
                tables.rooms.values().map(|room| (room.key.clone(), room.id)).collect();
            for (pending, answer) in batch.iter().zip(&answers) {
                let expected = model.expected(pending);
                let is_new = matches!(expected, Expected::Accepted(None, _));
                prop_assert_eq!(seen(&answer.verdict, is_new), expected, "{:?}", pending);
                model.learn(pending, answer, &keys);
            }
        }
    }
}
