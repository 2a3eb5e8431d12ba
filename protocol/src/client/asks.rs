//! What the person wants, turned into commands and entries of the outbox.
//!
//! Part of the machine. Its law: an act is in the outbox before it is sent, and the screen is told
//! of it by the same road as of everything else.

use super::exchange::{Ask, Told};
use super::shelf::is_kept;
use super::{Client, OLDER_MS_MAX, Turn, Wanted};
use crate::act::{Op, Post};
use crate::command::{History, Typing};
use crate::frame::{Act, Command};
use crate::ids::{OpId, RoomId};

/// Messages of a page that is asked for: as many as the first page shows.
const OLDER_COUNT: u16 = 50;

impl Client {
    pub(super) fn ask(&mut self, ask: Ask, turn: &mut Turn<'_>) {
        match ask {
            Ask::Act(op) => self.act(op, turn),
            Ask::Retry { failed, op_id } => self.retry(failed, op_id, turn),
            Ask::Discard(op_id) => {
                if self.outbox.discard(op_id).is_some() {
                    turn.tell(Told::Discarded(op_id));
                }
            }
            Ask::Show { room, cursor } => {
                self.logs.show(room, cursor);
                self.subscribe(room, false, turn);
            }
            Ask::Opened(room) => self.room_opened(room, turn.now),
            Ask::Hide(room) => self.hide(room, turn),
            Ask::Older { room, before } => self.ask_older(room, before, turn),
            Ask::Typing { room, text } => {
                let signs = self.typing.key(room, text, turn.now);
                self.say_typing(signs.into_iter().flatten(), turn);
            }
            Ask::ConnectNow => self.connect_now(turn),
            Ask::Hurry => self.hurry(turn),
        }
    }

    fn act(&mut self, op: Op, turn: &mut Turn<'_>) {
        let told = op.clone();
        let (op_id, kept) = (op.op_id, is_kept(&op.act));
        match self.outbox.push(op, self.user, turn.now) {
            Ok(()) => {
                if let Act::Post(Post { room, .. }) = told.act {
                    let sign = self.typing.stop(room);
                    self.say_typing(sign, turn);
                }
                turn.tell(Told::Queued { op: told, at: turn.now + self.clock_ahead });
                if kept {
                    self.shelve(op_id, turn);
                }
                self.hurry(turn);
            }
            Err(op) => turn.tell(Told::Full(op)),
        }
    }

    fn retry(&mut self, failed: OpId, op_id: OpId, turn: &mut Turn<'_>) {
        if let Some(op) = self.outbox.take_failed(failed) {
            turn.tell(Told::Discarded(failed));
            self.act(Op { op_id, act: op.act }, turn);
        }
    }

    /// Asks to be told of a room that is on the screen, where that can be asked now.
    pub(super) fn subscribe(&mut self, room: RoomId, again: bool, turn: &mut Turn<'_>) {
        if !self.connection.takes_ops() || !(again || self.begin_by_cache(room, turn)) {
            return;
        }
        if let Some(sub) = self.logs.ask(room, again) {
            self.say(&Command::Sub(sub), turn);
        }
    }

    /// The same for all rooms that are on the screen and not told.
    pub(super) fn subscribe_shown(&mut self, turn: &mut Turn<'_>) {
        for room in self.logs.shown() {
            self.subscribe(room, false, turn);
        }
    }

    fn hide(&mut self, room: RoomId, turn: &mut Turn<'_>) {
        let sign = self.typing.stop(room);
        self.say_typing(sign, turn);
        if let Some(unsub) = self.logs.hide(room) {
            self.say(&Command::Unsub(unsub), turn);
        }
        self.typing.heard(room, false, turn.now);
        turn.tell(Told::Typists { room, names: Vec::new() });
    }

    fn ask_older(&mut self, room: RoomId, before: u64, turn: &mut Turn<'_>) {
        if !self.connection.takes_ops() {
            return turn.tell(Told::OlderLost(room));
        }
        self.older_count = self.older_count.wrapping_add(1);
        let number = self.older_count;
        self.older.insert(number, Wanted { room, before, until: turn.now + OLDER_MS_MAX });
        self.say(&Command::History(History { number, room, before, count: OLDER_COUNT }), turn);
    }

    /// Gives up pages that did not come.
    pub(super) fn older_passed(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.older.retain(|_, wanted| {
            let waits = wanted.until > now;
            if !waits {
                turn.tell(Told::OlderLost(wanted.room));
            }
            waits
        });
    }

    /// Ends the typing that time ends, here and on the screen.
    pub(super) fn typing_passed(&mut self, turn: &mut Turn<'_>) {
        let (own, over) = self.typing.expire(turn.now);
        self.say_typing(own, turn);
        for room in over {
            turn.tell(Told::Typists { room, names: Vec::new() });
        }
    }

    fn say_typing(&mut self, signs: impl IntoIterator<Item = Typing>, turn: &mut Turn<'_>) {
        for sign in signs {
            if self.connection.takes_ops() {
                self.say(&Command::Typing(sign), turn);
            }
        }
    }
}
