//! All that a page knows: who looks, his rooms, their messages, the connection, the outbox.
//!
//! Made once from the first page, it lives as long as the page and is in context everywhere.
//! Components read its signals; `apply` is the one way by which anything changes, for own messages
//! as for others'. Its law: a snapshot with events applied is the same as a fresh snapshot.
//!
//! Everything is `Arc`-based, so it may be used outside any reactive owner.

pub mod afresh;
pub mod cached;
pub mod connection;
pub mod delay;
pub mod drafts;
pub mod grouping;
pub mod reading;
pub mod room;
pub mod row;
#[cfg(test)]
mod tests;
mod unplaced;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use leptos::prelude::{ArcRwSignal, Get, GetUntracked, Set, Update, With, WithUntracked, untrack};
use protocol::act::{Op, Post};
use protocol::change::{Envelope, RoomAdded};
use protocol::client::exchange::Told;
use protocol::event::{GoneReason, ResetReason};
use protocol::frame::{Act, Change};
use protocol::ids::{LogId, OpId, RoomId, UserId};
use protocol::model::{Me, Rank, Role, RoomEntry, RoomKey, RoomName};
use protocol::refusal::Refusal;

pub use afresh::Afresh;
pub use connection::{Connection, Pill};
pub use delay::Delay;
pub use drafts::{Drafts, Keeper, NoKeeper};
pub use grouping::{Opens, Zone};
pub use reading::{Far, Gaze, Look};
pub use room::{Membership, OlderState, Room};
pub use row::{Row, RowState};

use self::unplaced::{Unplaced, UnplacedOps};
use crate::browser::lowercase;
use crate::first_page::{FirstPage, RoomPage, Shown};

/// Rooms besides the user's own of which a page knows at most: as many as the list of all rooms has.
const OTHERS_MAX: usize = 50;

/// What a page knows; a clone is the same store.
#[derive(Clone)]
pub struct Store {
    /// Who looks; nobody until the server has greeted a visitor as a guest.
    pub me: ArcRwSignal<Option<Me>>,
    /// His rooms, the lobby first, then by name.
    pub rooms: ArcRwSignal<Vec<Room>>,
    /// Characters that a message may have.
    pub text_chars_max: ArcRwSignal<u32>,
    /// How the connection stands, and what is shown of it.
    pub connection: Connection,
    /// The outbox takes no more: the composer says so and keeps its text.
    pub outbox_full: ArcRwSignal<bool>,
    /// Whether messages that wait outlive the page; else whoever closes it loses them.
    pub keeps: ArcRwSignal<bool>,
    /// What the server was too busy for, by strand; each ends by itself at its time.
    pub delays: ArcRwSignal<Vec<Delay>>,
    /// A room was read anew instead of going on; ends by itself, once it was there to be seen.
    pub afresh: ArcRwSignal<Option<Afresh>>,
    /// Nobody sees the page: nothing on it is being read.
    pub hidden: ArcRwSignal<bool>,
    /// What came of acts that are no messages, by the id that `Link::act` gave.
    pub fates: ArcRwSignal<BTreeMap<OpId, Fate>>,
    /// What was written and will not be sent by itself: by the former guest of this page, or into
    /// an outbox that was full. To be offered again.
    pub kept: ArcRwSignal<Vec<Act>>,
    /// The texts that are being written, by room.
    pub drafts: Drafts,
    /// Rooms that are none of his: the one that is shown, and those he looked at last.
    others: ArcRwSignal<Vec<Room>>,
    unplaced: Arc<UnplacedOps>,
    keeper: Arc<dyn Keeper>,
    zone: Arc<Mutex<Zone>>,
}

/// What came of an act that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Queued or under way.
    Pending,
    /// Stored in this log: for `Create` and `Enter` the room's.
    Done(LogId),
    /// It will not be done.
    Failed(Refusal),
    /// It was not even taken into the outbox, which is full.
    Full,
}

/// The rooms as they stand in the list: the lobby first, then by name; of one name, by key. The
/// server draws them so, too.
fn in_order(mut rooms: Vec<Room>) -> Vec<Room> {
    rooms.sort_by_cached_key(|room| {
        let name = room.name.with_untracked(|name| lowercase(name));
        (!room.everyone, name, room.key.clone())
    });
    rooms
}

/// A room of which no more is known than what it is called.
fn entry(id: RoomId, key: RoomKey, name: RoomName) -> RoomEntry {
    let (topic, role, everyone) = Default::default();
    RoomEntry { id, key, name, topic, everyone, role, head: 0 }
}

/// Sets a signal only where that changes it.
fn set<T: PartialEq + Send + Sync + 'static>(signal: &ArcRwSignal<T>, value: T) {
    if signal.with_untracked(|known| *known != value) {
        signal.set(value);
    }
}

impl Store {
    /// The store of a page, as it is first drawn.
    #[must_use]
    pub fn new(page: &FirstPage, keeper: Arc<dyn Keeper>) -> Self {
        let me = page.me.as_ref().map(|me| me.id);
        let shown = match &page.shown {
            Shown::Room(shown) => Some(Room::of_page(shown, me)),
            _ => None,
        };
        let listed = |entry: &RoomEntry| {
            let shown = shown.iter().find(|shown| shown.id == entry.id);
            shown.cloned().unwrap_or_else(|| Room::new(entry))
        };
        let rooms = in_order(page.rooms.iter().map(listed).collect());
        let other = shown.filter(|shown| rooms.iter().all(|room| room.id != shown.id));
        Self {
            me: ArcRwSignal::new(page.me.clone()),
            rooms: ArcRwSignal::new(rooms),
            text_chars_max: ArcRwSignal::new(page.text_chars_max),
            connection: Connection::default(),
            outbox_full: ArcRwSignal::default(),
            keeps: ArcRwSignal::new(true),
            delays: ArcRwSignal::default(),
            afresh: ArcRwSignal::default(),
            hidden: ArcRwSignal::default(),
            fates: ArcRwSignal::default(),
            kept: ArcRwSignal::default(),
            drafts: Drafts::new(Arc::clone(&keeper)),
            keeper,
            others: ArcRwSignal::new(other.into_iter().collect()),
            unplaced: Arc::default(),
            zone: Arc::new(Mutex::new(|_| 0)),
        }
    }

    /// The room with this key, tracked: one of the user's own, or the one the page was loaded for.
    /// Nothing for any other: the server is asked for it (`visit`).
    #[must_use]
    pub fn room(&self, key: &str) -> Option<Room> {
        let find = |rooms: &Vec<Room>| rooms.iter().find(|room| *room.key == *key).cloned();
        self.rooms.with(find).or_else(|| self.others.with(find))
    }

    /// The room of a page that is shown: one of the user's own, else the one that is shown besides
    /// them from now on.
    pub fn visit(&self, page: &RoomPage) -> Room {
        let known = untrack(|| self.room(&page.entry.key));
        let room = known.unwrap_or_else(|| Room::of_page(page, self.me()));
        if room.membership.get_untracked() == Membership::Outside {
            room.describe(&page.entry);
            set(&room.member_count, Some(page.member_count));
        }
        if self.rooms.with_untracked(|rooms| rooms.iter().all(|own| own.id != room.id)) {
            self.note_other(&room);
        }
        room
    }

    /// Notes a room that is none of his, for as long as not too many others are looked at; one that
    /// holds what was not sent for as long as it does.
    fn note_other(&self, room: &Room) {
        self.others.update(|others| {
            others.retain(|other| other.key != room.key);
            let mut beyond = (others.len() + 1).saturating_sub(OTHERS_MAX);
            others.retain(|other| {
                let goes = beyond > 0 && !other.holds_unsent();
                beyond -= usize::from(goes);
                !goes
            });
            others.push(room.clone());
        });
        self.place_ops(room);
    }

    /// The rooms of the list: the user's own, and behind them those that he is no member of any more
    /// while they hold what he could not send there; tracked.
    #[must_use]
    pub fn listed(&self) -> Vec<Room> {
        let mut rooms = self.rooms.get();
        let is_own = |room: &Room| rooms.iter().any(|own| own.id == room.id);
        let left = self.others.get().into_iter().filter(|room| !is_own(room) && room.has_failed());
        let left: Vec<Room> = left.collect();
        rooms.extend(left);
        rooms
    }

    /// The key of the room, where another of the user's rooms is called as it is; tracked.
    #[must_use]
    pub fn key_among(&self, room: &Room) -> Option<String> {
        self.has_namesake(room.id, &room.title()).then(|| room.key.to_string())
    }

    /// Whether another of the user's rooms is called so, in capitals or not; tracked.
    #[must_use]
    pub fn has_namesake(&self, id: RoomId, name: &str) -> bool {
        let name = lowercase(name);
        let is_namesake = |room: &Room| room.id != id && lowercase(&room.title()) == name;
        self.rooms.with(|rooms| rooms.iter().any(is_namesake))
    }

    /// From now on days begin at the visitor's own midnight: the page is hydrated.
    pub fn set_zone(&self, zone: Zone) {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = zone;
        self.each_room(|room| room.regroup(zone));
    }

    /// The page's clock stands at `now`; gives when it wants to be told again.
    pub fn tick(&self, now: i64) -> Option<i64> {
        let (ends, said) = (self.tick_delays(now), self.tick_afresh(now));
        self.connection.show(now).into_iter().chain(ends).chain(said).min()
    }

    /// Whether the user may change the name and the topic of this room, as far as is known here;
    /// tracked.
    #[must_use]
    pub fn configures(&self, room: &Room) -> bool {
        let operates = self.me.with(|me| me.as_ref().is_some_and(|me| me.rank >= Rank::Admin));
        operates || room.role.get() >= Role::Moderator
    }

    /// Takes in what the machine tells. `now` is on the machine's clock.
    pub fn apply(&self, told: Told, now: i64) {
        match told {
            Told::Standing(standing) => self.connection.stands(standing, now),
            Told::Welcomed { me, text_chars_max, .. } => self.welcome(me, text_chars_max),
            Told::Rooms(entries) => self.list(&entries),
            Told::Queued { op, at } => self.queue(op, at),
            Told::Shelved(op_id) => self.settle(op_id),
            Told::Keeps(keeps) => set(&self.keeps, keeps),
            Told::Full(op) => self.turn_away(op),
            Told::Accepted { op_id, log, seq, at } => self.accept(op_id, log, seq, at),
            Told::Failed { op_id, refusal } => self.fail(op_id, &refusal),
            Told::Discarded(op_id) => self.discard(op_id),
            Told::Waiting { full, .. } => set(&self.outbox_full, full),
            Told::Delayed { strand, reason, until } => {
                self.put_off(Delay { strand, reason, until, long: until - now > 60_000 }, now);
            }
            Told::Logged { envelope, change } => self.logged(&envelope, change),
            Told::Reset { log, reason, cursor, snapshot: Some(snapshot) } => {
                self.say_afresh(log, reason, now);
                self.in_room(log, |room| {
                    if reason == ResetReason::Diverged {
                        self.undo_behind(room, cursor.seq);
                    }
                    room.reset(&snapshot, cursor.seq, self.me(), self.zone());
                });
                self.look_up_read();
            }
            Told::Gone { room, reason: GoneReason::NotMember | GoneReason::Ended } => {
                self.gone(room);
            }
            Told::Older { room, before, messages, older } => {
                let (me, zone) = (self.me(), self.zone());
                self.in_room(room.log(), |room| {
                    if room.begins_at(before) {
                        room.prepend(&messages, older, me, zone);
                    } else {
                        room.lose_older();
                    }
                });
            }
            Told::OlderLost(room) => self.in_room(room.log(), Room::lose_older),
            Told::Typists { room, names } => {
                self.in_room(room.log(), |room| set(&room.typists, names));
            }
            Told::Kept(acts) => self.kept.update(|kept| kept.extend(acts)),
            Told::Reset { .. } | Told::Gone { .. } => {}
        }
    }

    /// Another history took the place of this room's, which ends here: what was stored and read behind
    /// its end is not there any more.
    fn undo_behind(&self, room: &Room, seq: u64) {
        room.forget_behind(seq);
        if room.read_to.get_untracked() > Some(seq) {
            room.read_to.set(Some(seq));
            self.keeper.keep_read_to(room.id, seq);
        }
    }

    fn welcome(&self, me: Me, text_chars_max: u32) {
        set(&self.text_chars_max, text_chars_max);
        self.each_room(|room| room.sign(&me));
        set(&self.me, Some(me));
    }

    /// These are the user's rooms; those that stay keep their signals.
    fn list(&self, entries: &[RoomEntry]) {
        let former = self.rooms.get_untracked();
        let others = self.others.get_untracked();
        let known = |entry: &RoomEntry| {
            let room = former.iter().chain(&others).find(|room| room.id == entry.id);
            room.inspect(|room| room.describe(entry)).cloned()
        };
        let rooms =
            entries.iter().map(|entry| known(entry).unwrap_or_else(|| Room::new(entry))).collect();
        for room in former.iter().filter(|room| entries.iter().all(|entry| entry.id != room.id)) {
            self.leave(room);
        }
        self.show_rooms(rooms);
    }

    fn show_rooms(&self, rooms: Vec<Room>) {
        for room in &rooms {
            set(&room.membership, Membership::Member);
            self.place_ops(room);
        }
        let rooms = in_order(rooms);
        let ids = |rooms: &[Room]| rooms.iter().map(|room| room.id).collect::<Vec<_>>();
        if self.rooms.with_untracked(|known| ids(known) != ids(&rooms)) {
            self.rooms.set(rooms);
            self.look_up_read();
        }
    }

    /// A room that is left may still be on the screen, from where it can be entered again.
    fn leave(&self, room: &Room) {
        room.close();
        self.note_other(room);
    }

    fn gone(&self, room: RoomId) {
        let rooms = self.rooms.get_untracked();
        if let Some(gone) = rooms.iter().find(|listed| listed.id == room) {
            self.leave(gone);
            self.show_rooms(rooms.iter().filter(|listed| listed.id != room).cloned().collect());
        }
    }

    fn added(&self, entry: &RoomEntry) {
        let mut rooms = self.rooms.get_untracked();
        if rooms.iter().all(|room| room.id != entry.id) {
            let other = self
                .others
                .with_untracked(|others| others.iter().find(|room| room.id == entry.id).cloned());
            rooms.push(other.unwrap_or_else(|| Room::new(entry)));
            self.show_rooms(rooms);
        }
    }

    fn queue(&self, op: Op, at: i64) {
        let Op { op_id, act } = op;
        let Act::Post(Post { room, text }) = act else {
            return self.fates.update(|fates| {
                fates.insert(op_id, Fate::Pending);
            });
        };
        self.drafts.sent(room, op_id, &text);
        let (me, zone) = (self.me.get_untracked(), self.zone());
        match self.find(room.log()).or_else(|| self.addressed(room)) {
            Some(room) => room.queue(op_id, &text, me.as_ref(), at, zone),
            None => self.unplaced.add(Unplaced { op_id, room, text, at, failed: None }),
        }
    }

    /// The message is kept elsewhere, or over: its text need not come back in a composer.
    fn settle(&self, op_id: OpId) {
        self.each_room(|room| self.drafts.settled(room.id, op_id));
        if let Some(room) = self.unplaced.room_of(op_id) {
            self.drafts.settled(room, op_id);
        }
    }

    /// The outbox is full. What was written is kept; any other act is made again by its form.
    fn turn_away(&self, op: Op) {
        if matches!(op.act, Act::Post(_)) {
            return self.kept.update(|kept| kept.push(op.act));
        }
        self.fates.update(|fates| {
            fates.insert(op.op_id, Fate::Full);
        });
    }

    fn accept(&self, op_id: OpId, log: LogId, seq: u64, at: i64) {
        if self.decide(op_id, Fate::Done(log)) {
            return;
        }
        if let Some(room) = log.room() {
            self.drafts.settled(room, op_id);
        }
        self.unplaced.end(op_id);
        self.in_room(log, |room| room.accept(op_id, seq, at, self.zone()));
    }

    fn fail(&self, op_id: OpId, refusal: &Refusal) {
        if !self.decide(op_id, Fate::Failed(refusal.clone())) {
            self.unplaced.fail(op_id, refusal);
            self.each_room(|room| {
                if let Some(text) = room.fail(op_id, refusal.clone(), self.zone()) {
                    self.drafts.sent(room.id, op_id, &text);
                }
            });
        }
    }

    fn discard(&self, op_id: OpId) {
        self.settle(op_id);
        self.unplaced.end(op_id);
        self.each_room(|room| room.discard(op_id, self.zone()));
        if self.fates.with_untracked(|fates| fates.contains_key(&op_id)) {
            self.fates.update(|fates| {
                fates.remove(&op_id);
            });
        }
    }

    /// Says what came of an act that is no message; `false` where it is one.
    fn decide(&self, op_id: OpId, fate: Fate) -> bool {
        let known = self.fates.with_untracked(|fates| fates.contains_key(&op_id));
        if known {
            self.fates.update(|fates| {
                fates.insert(op_id, fate);
            });
        }
        known
    }

    fn logged(&self, envelope: &Envelope, change: Option<Change>) {
        if envelope.log.room().is_some() {
            let (me, zone) = (self.me(), self.zone());
            let renamed = matches!(change, Some(Change::Configured(_)));
            self.in_room(envelope.log, |room| room.logged(envelope, change, me, zone));
            if renamed {
                self.show_rooms(self.rooms.get_untracked());
            }
            return;
        }
        match change {
            Some(Change::RoomAdded(RoomAdded { room, key, name })) => {
                self.added(&entry(room, key, name));
            }
            Some(Change::RoomRemoved(removed)) => self.gone(removed.room),
            Some(Change::Renamed(renamed)) => self.change_me(|me| me.name = renamed.name),
            Some(Change::Ranked(ranked)) => self.change_me(|me| me.rank = ranked.rank),
            _ => {}
        }
    }

    fn change_me(&self, change: impl FnOnce(&mut Me)) {
        if let Some(mut me) = self.me.get_untracked() {
            change(&mut me);
            set(&self.me, Some(me));
        }
    }

    fn me(&self) -> Option<UserId> {
        self.me.with_untracked(|me| me.as_ref().map(|me| me.id))
    }

    fn zone(&self) -> Zone {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, log: LogId) -> Option<Room> {
        let find = |room: &&Room| room.id.log() == log;
        let find = |rooms: &Vec<Room>| rooms.iter().find(find).cloned();
        self.rooms.with_untracked(find).or_else(|| self.others.with_untracked(find))
    }

    fn in_room(&self, log: LogId, act: impl FnOnce(&Room)) {
        if let Some(room) = self.find(log) {
            act(&room);
        }
    }

    fn each_room(&self, mut act: impl FnMut(&Room)) {
        self.rooms.get_untracked().iter().for_each(&mut act);
        self.others.get_untracked().iter().for_each(act);
    }
}
