//! The shelf of the machine's outbox: a task over the browser's database.
//!
//! A message lies there with the name of the tab that answers for it and, as the store writes it, its
//! room's address, since the page that finds it may not know the room. Its law: one page sends a tab's
//! messages: the tab itself while it lives, then the first page that gets its lock, which puts them
//! under its own name and gives the lock back, since the tab may come back; where the browser has no
//! locks, its lease, which a dead page no longer renews. Nobody else touches them, so no tab waits for
//! another one, and were there ever two, the op id makes both sends one.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender};
use futures_util::StreamExt;
use leptos::leptos_dom::helpers::set_timeout;
use leptos::task::spawn_local;
use protocol::client::shelf::Kept;
use protocol::ids::OpId;

use crate::database::{Database, OUTBOX};
use crate::storage::{Shelf, TAB_BYTES};
use crate::{clock, lock};

/// The byte before an address and its length. Without it there stands what `Kept` begins with, none of
/// whose layouts is this one.
const ADDRESSED: u8 = 0;
/// Milliseconds for which a lease is taken, and after which it is renewed.
const LEASE_MS: i64 = 15_000;
const RENEWED_MS: i32 = 5_000;
/// Milliseconds for which a page asks for its own tab's name, and between two times: longer than
/// another page needs to take over what the tab left, shorter than the machine waits for the shelf.
const NAMED_MS: i64 = 1_000;
const NAME_PAUSE_MS: i32 = 50;
/// Milliseconds after which it is looked again whether a tab with texts or messages still lives.
const LOOKED_MS: u64 = 10_000;

/// What is to be done.
pub(crate) enum Job {
    /// Keep this message of a room with this address.
    Shelve(Kept, String),
    /// Forget this one.
    Unshelve(OpId),
    /// Look for what tabs that are gone have left.
    Look,
    /// The same, when it is time to.
    LookAgain,
}

/// What came of it.
pub(crate) enum Report {
    /// A message is kept, or not.
    Shelved(OpId, bool),
    /// These are this page's to send now; whether the database keeps more.
    Found(Vec<Found>, bool),
}

/// A message as it lay there.
pub(crate) struct Found {
    tab: String,
    /// Its room's address; empty for the room of everybody, and where an older build put it there.
    pub(crate) address: String,
    pub(crate) kept: Kept,
}

struct Task {
    shelf: Shelf,
    database: Option<Rc<Database>>,
    jobs: UnboundedSender<Job>,
    /// What the tab's former page left is this page's now.
    took_back: bool,
    looks_again: bool,
}

/// Does the jobs for as long as the page lives; tells of the database as soon as it is `opened`.
pub(crate) async fn keep(
    shelf: Shelf,
    jobs: (UnboundedSender<Job>, UnboundedReceiver<Job>),
    opened: impl FnOnce(Option<Rc<Database>>),
    tell: impl Fn(Report) + Clone + 'static,
) {
    let (sender, mut jobs) = jobs;
    let mut task =
        Task { shelf, database: None, jobs: sender, took_back: false, looks_again: false };
    // Before anything that takes time: nobody may take this tab for one that is gone.
    if lock::are_known() {
        task.own().await;
    }
    task.database = Database::open().await.map(Rc::new);
    opened(task.database.clone());
    if let (false, Some(database)) = (lock::are_known(), task.database.clone()) {
        task.own().await;
        renew(database, task.shelf.tab());
    }
    tell(task.look().await);
    while let Some(job) = jobs.next().await {
        match job {
            Job::Shelve(kept, address) => {
                let (op_id, done, tell) = (kept.op.op_id, task.put(&kept, &address), tell.clone());
                spawn_local(async move {
                    let done = match done {
                        Some(done) => done.await.unwrap_or(false),
                        None => false,
                    };
                    tell(Report::Shelved(op_id, done));
                });
            }
            Job::Unshelve(op_id) => {
                if let Some(database) = &task.database {
                    database.remove(OUTBOX, &op_id.to_string());
                }
            }
            Job::Look => tell(task.look().await),
            Job::LookAgain => {
                task.looks_again = false;
                tell(task.look().await);
            }
        }
    }
}

impl Task {
    fn put(&self, kept: &Kept, address: &str) -> Option<futures_channel::oneshot::Receiver<bool>> {
        let mut bytes = self.shelf.tab().into_bytes();
        bytes.push(ADDRESSED);
        bytes.extend(u16::try_from(address.len()).ok()?.to_le_bytes());
        bytes.extend(address.bytes());
        bytes.extend(kept.to_bytes()?);
        self.database.as_ref()?.put(OUTBOX, &kept.op.op_id.to_string(), &bytes)
    }

    /// Takes up what this tab's former page left, then what tabs have left that are gone.
    async fn look(&mut self) -> Report {
        let all = match &self.database {
            Some(database) => database.all(OUTBOX).await,
            None => None,
        };
        let keeps = all.is_some();
        let all = read_all(&all.unwrap_or_default());
        let own = self.shelf.tab();
        let mut tabs = self.shelf.other_tabs();
        tabs.extend(all.iter().map(|it| it.tab.clone()).filter(|tab| *tab != own));
        let mut found = Vec::new();
        if !std::mem::replace(&mut self.took_back, true) {
            self.shelf.take_back(&op_ids(&all));
            found = of_tab(all, &own);
        }
        for tab in tabs {
            match self.take_over(&tab).await {
                Some(left) => found.extend(left),
                None => self.look_again(),
            }
        }
        Report::Found(found, keeps)
    }

    /// Makes what a tab has left this one's, if that tab is gone. Its name is free again then: were it
    /// held, the tab could come back, and what it writes would be nobody's once it is loaded anew.
    async fn take_over(&self, tab: &str) -> Option<Vec<Found>> {
        let release = self.hold(tab).await?;
        let all = match &self.database {
            Some(database) => {
                let (from, to) = (tab.to_owned(), self.shelf.tab());
                database.change(OUTBOX, move |bytes| moved(bytes, &from, &to)).await
            }
            None => Some(Vec::new()),
        };
        let left = all.map(|all| {
            let all = read_all(&all);
            self.shelf.inherit(tab, &op_ids(&all));
            of_tab(all, tab)
        });
        release();
        left
    }

    /// Says that this tab lives. A page that takes over what the tab's former page left has the name
    /// for a moment; where one does not give it back, or is a copy of this tab, this one is called
    /// otherwise.
    async fn own(&mut self) {
        let until = clock::now() + NAMED_MS;
        while clock::now() < until {
            if self.hold(&self.shelf.tab()).await.is_some() {
                return;
            }
            clock::pause(NAME_PAUSE_MS).await;
        }
        self.shelf.rename();
        let _ = self.hold(&self.shelf.tab()).await;
    }

    /// The sign that a tab's messages are this page's, if they can be.
    async fn hold(&self, tab: &str) -> Option<lock::Release> {
        if lock::are_known() {
            return lock::try_hold(&lock_name(tab)).await;
        }
        let (database, name) = (self.database.clone()?, lock_name(tab));
        let now = clock::now();
        let is_held = database.lease(&name, &self.shelf.tab(), now, now + LEASE_MS).await;
        is_held.then(|| -> lock::Release { Box::new(move || database.end_lease(&name)) })
    }

    fn look_again(&mut self) {
        if !std::mem::replace(&mut self.looks_again, true) {
            let jobs = self.jobs.clone();
            let look = move || {
                let _ = jobs.unbounded_send(Job::LookAgain);
            };
            set_timeout(look, Duration::from_millis(LOOKED_MS));
        }
    }
}

/// Renews a tab's own lease for as long as its page lives. It may be another page's for a moment,
/// when this one was frozen for longer than a lease.
fn renew(database: Rc<Database>, tab: String) {
    spawn_local(async move {
        loop {
            clock::pause(RENEWED_MS).await;
            let now = clock::now();
            database.lease(&lock_name(&tab), &tab, now, now + LEASE_MS).await;
        }
    });
}

fn lock_name(tab: &str) -> String {
    format!("tab:{tab}")
}

fn read(bytes: &[u8]) -> Option<Found> {
    let (tab, rest) = bytes.split_at_checked(TAB_BYTES)?;
    let (address, kept) = match rest {
        [ADDRESSED, low, high, rest @ ..] => {
            rest.split_at_checked(u16::from_le_bytes([*low, *high]).into())?
        }
        rest => (&[][..], rest),
    };
    let text = |bytes: &[u8]| str::from_utf8(bytes).ok().map(str::to_owned);
    Some(Found { tab: text(tab)?, address: text(address)?, kept: Kept::from_bytes(kept)? })
}

fn read_all(all: &[Vec<u8>]) -> Vec<Found> {
    all.iter().filter_map(|bytes| read(bytes)).collect()
}

/// The key and the bytes of a tab's message as another tab's; nothing for anything else.
fn moved(bytes: &[u8], from: &str, to: &str) -> Option<(String, Vec<u8>)> {
    let found = read(bytes)?;
    let moved = [to.as_bytes(), bytes.get(TAB_BYTES..)?].concat();
    (found.tab == from).then(|| (found.kept.op.op_id.to_string(), moved))
}

fn of_tab(mut all: Vec<Found>, tab: &str) -> Vec<Found> {
    all.retain(|it| it.tab == tab);
    all
}

fn op_ids(all: &[Found]) -> BTreeSet<OpId> {
    all.iter().map(|it| it.kept.op.op_id).collect()
}
