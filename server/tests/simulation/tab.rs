//! One tab: a client's machine, the screen it fills, and the person before it.
//!
//! The world steps it and carries out what it wants done. Its law: the person knows only what the
//! screen shows, and every act of his goes into the ledger in the order he did it.

use std::collections::BTreeMap;

use protocol::act::{Configure, Create, Enter, Leave, Op, Post, Rename};
use protocol::bounded::{List, Text};
use protocol::client::cache::Cached;
use protocol::client::exchange::{Ask, Input, Output, Told};
use protocol::client::{Client, Setup};
use protocol::cursor::Cursor;
use protocol::frame::Act;
use protocol::ids::{DeviceId, LogId, OpId, PageId, RoomId, UserId};
use server::clock::{Chance, SeededChance};

use crate::ledger::Ledger;
use crate::mutants::{Mutant, Planted};
use crate::pages::Pages;
use crate::plan::What;
use crate::screen::{KEPT, Screen};
use crate::shelf::Shelf;

/// Unix time in milliseconds at which every run begins.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// The time of a run as Unix milliseconds.
pub(crate) fn unix(now: u64) -> i64 {
    i64::try_from(START_MS + now).unwrap()
}

/// A page load of one person.
pub(crate) struct Tab {
    pub(crate) user: UserId,
    pub(crate) screen: Screen,
    pub(crate) shown: Vec<RoomId>,
    pub(crate) asleep_until: u64,
    /// When the network is back, where the browser says that there is none.
    pub(crate) online_at: Option<u64>,
    /// As whom the browser opens its next socket.
    pub(crate) cookie: UserId,
    /// What outlives the page.
    pub(crate) shelf: Shelf,
    pub(crate) pages: Pages,
    /// Rooms that began by a page of those.
    pub(crate) resumed: u64,
    timer_at: Option<u64>,
    client: Client,
    /// The number of the page load, which is the number of the outbox.
    outbox: usize,
    act_count: u64,
    /// The life of the store in which the page began.
    life: Option<u64>,
    chance: SeededChance,
}

impl Tab {
    /// A page that was just loaded, over what earlier ones left on the shelf.
    pub(crate) fn new(
        user: UserId,
        outbox: usize,
        seed: u64,
        (shelf, pages): (Shelf, Pages),
    ) -> Self {
        let mut chance = SeededChance::new(seed);
        let setup = Setup {
            page: PageId::make(0, chance.id_bytes()),
            device: DeviceId::make(0, chance.id_bytes()),
            build: Text::cut("simulation"),
            user: Some(user),
            shelf: true,
            cache: true,
            reloaded: false,
            seed: chance.number(),
        };
        Self {
            user,
            screen: Screen::default(),
            shown: Vec::new(),
            asleep_until: 0,
            online_at: None,
            cookie: user,
            shelf,
            pages,
            resumed: 0,
            timer_at: None,
            client: Client::new(setup),
            outbox,
            act_count: 0,
            life: None,
            chance,
        }
    }

    /// When its timer is due.
    pub(crate) fn wake_at(&self) -> Option<u64> {
        Some(self.timer_at?.max(self.asleep_until))
    }

    /// When it is told what came of what it asked of the shelf.
    pub(crate) fn shelf_at(&self) -> Option<u64> {
        Some(self.shelf.due_at()?.max(self.asleep_until))
    }

    /// When it is told what lies in its cache.
    pub(crate) fn pages_at(&self) -> Option<u64> {
        Some(self.pages.due_at()?.max(self.asleep_until))
    }

    /// Lets the machine take something in; shows what it tells and gives what else it wants.
    pub(crate) fn step(&mut self, input: Input<'_>, now: u64, ledger: &mut Ledger) -> Vec<Output> {
        let mut outputs = Vec::new();
        let life = *self.life.get_or_insert(ledger.life());
        let is_left = matches!(input, Input::Restore { .. });
        self.client.step(input, unix(now), &mut outputs);
        let timer_at = self.client.wake_at(unix(now));
        self.timer_at = timer_at.map(|at| u64::try_from(at).unwrap().saturating_sub(START_MS));
        for output in &outputs {
            let Output::Tell(told) = output else { continue };
            if let Told::Queued { op, .. } = told {
                let strand = (self.outbox, op.act.strand(self.user));
                ledger.acted(strand, is_left, (self.user, op.op_id));
            }
            match told {
                Told::Welcomed { me, .. } => self.user = me.id,
                Told::Reset { snapshot: Some(snapshot), .. } => {
                    self.resumed += u64::from(snapshot.member_count == KEPT);
                }
                Told::Shelved(op_id) if self.screen.waiting().any(|waits| waits == *op_id) => {
                    ledger.kept(self.user, *op_id);
                }
                Told::Accepted { op_id, seq, .. } => {
                    ledger.sent((self.user, *op_id), *seq, life);
                }
                Told::Failed { op_id, .. } | Told::Discarded(op_id) => {
                    ledger.decided(self.user, *op_id);
                }
                _ => {}
            }
            self.screen.tell(told, ledger);
        }
        outputs.retain(|output| !matches!(output, Output::Tell(_)));
        outputs
    }

    /// Does what the machine wants of its cache; gives what it is told of it.
    pub(crate) fn keep(
        &mut self,
        output: &Output,
        ledger: &Ledger,
        planted: Planted,
    ) -> Option<Input<'static>> {
        match *output {
            Output::Cache { user, room, opened_at, cursor } => {
                let Some(mut snapshot) = self.screen.page(room, ledger) else {
                    return Some(Input::Unwritten(room));
                };
                assert_eq!(snapshot.room.head, cursor.seq, "I4: a page under another cursor");
                if planted.is(Mutant::CursorBeforeItsPage) {
                    let messages = snapshot.messages.into_vec();
                    let count = messages.len().saturating_sub(1);
                    snapshot.messages = List::cut(messages.into_iter().take(count));
                }
                self.pages.put(Cached { user, opened_at, cursor, snapshot });
            }
            Output::Uncache(room) => self.pages.take(room),
            Output::UncacheAll => self.pages.take_all(),
            _ => {}
        }
        None
    }

    /// The page ends here, whatever is under way.
    pub(crate) fn end(&self, ledger: &mut Ledger) {
        let unheard: Vec<_> = self.screen.waiting().map(|op_id| (self.user, op_id)).collect();
        ledger.page_ended(self.outbox, &unheard);
    }

    /// A room of his on the screen whose log stands otherwise in the store.
    pub(crate) fn stands_elsewhere(&self, heads: &BTreeMap<LogId, Cursor>) -> Option<LogId> {
        let stands = |room: &&RoomId| {
            !self.screen.lists(**room)
                || self.client.cursor(**room) == heads.get(&room.log()).copied()
        };
        self.shown.iter().find(|room| !stands(room)).map(|room| room.log())
    }

    /// What this step of the plan makes the person want, if it is possible now.
    pub(crate) fn ask(&mut self, what: &What, now: u64) -> Option<Ask> {
        let ask = match what {
            What::Show { room, .. } => {
                let room = self.screen.room(*room)?;
                if !self.shown.contains(&room) {
                    self.shown.push(room);
                }
                Ask::Show { room, cursor: None }
            }
            What::Hide { room, .. } => {
                let room = self.screen.room(*room)?;
                self.shown.retain(|shown| *shown != room);
                Ask::Hide(room)
            }
            What::Older { room, .. } => {
                let room = self.screen.room(*room)?;
                Ask::Older { room, before: self.screen.oldest(room)? }
            }
            What::Typing { room, text, .. } => {
                Ask::Typing { room: self.screen.room(*room)?, text: *text }
            }
            What::ConnectNow { .. } => Ask::ConnectNow,
            What::Retry { discard: true, .. } => Ask::Discard(self.screen.failed()?),
            What::Retry { .. } => {
                let failed = self.screen.failed()?;
                Ask::Retry { failed, op_id: self.op_id(now) }
            }
            other => Ask::Act(self.op(other, now)?),
        };
        Some(ask)
    }

    /// The act that this step of the plan is, under an op id of its own.
    pub(crate) fn op(&mut self, what: &What, now: u64) -> Option<Op> {
        Some(Op { act: self.act(what)?, op_id: self.op_id(now) })
    }

    fn op_id(&mut self, now: u64) -> OpId {
        self.act_count += 1;
        OpId::make(unix(now), self.chance.id_bytes())
    }

    /// So many letters, which do not compress where there are many.
    fn letters(&mut self, count: usize) -> String {
        if count < 4_000 {
            return "ab".repeat(count / 2);
        }
        let mut bytes = vec![0; count];
        self.chance.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(b'0' + byte % 75)).collect()
    }

    fn act(&mut self, what: &What) -> Option<Act> {
        let mark = format!("{} of {}", self.act_count, self.outbox);
        let act = match what {
            What::Post { room, letters, .. } => {
                let room = self.screen.room(*room)?;
                let text = Text::cut(&format!("{mark} {}", self.letters(*letters)));
                Act::Post(Post { room, text })
            }
            What::Create { .. } => Act::Create(Create { name: Text::cut(&format!("Room {mark}")) }),
            What::Enter { key, .. } => Act::Enter(Enter { key: Text::cut(&format!("key-{key}")) }),
            What::Leave { room, .. } => Act::Leave(Leave { room: self.screen.room(*room)? }),
            What::Configure { room, .. } => Act::Configure(Configure {
                room: self.screen.room(*room)?,
                name: Text::cut(&format!("Named {mark}")),
                topic: Text::cut("a topic"),
            }),
            What::Rename { .. } => Act::Rename(Rename { name: Text::cut(&format!("Name {mark}")) }),
            _ => return None,
        };
        Some(act)
    }
}
