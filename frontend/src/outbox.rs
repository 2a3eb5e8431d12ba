//! The shelf of the machine's outbox: a task over the browser's database.
//!
//! A message lies there with the name of the tab that wrote it. Its law: one page sends a tab's
//! messages: the tab itself while it lives, then the first page that gets its lock; where the
//! browser has no locks, its lease, which a dead page no longer renews. Nobody else touches them, so
//! no tab waits for another one, and were there ever two, the op id makes both sends one.

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

/// Milliseconds for which a lease is taken, and after which it is renewed.
const LEASE_MS: i64 = 15_000;
const RENEWED_MS: u64 = 5_000;
/// Milliseconds after which it is looked again whether a tab with texts or messages still lives.
const LOOKED_MS: u64 = 10_000;

/// What is to be done.
pub(crate) enum Job {
    /// Keep this message.
    Shelve(Kept),
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
    Found(Vec<Kept>, bool),
}

struct Task {
    shelf: Shelf,
    database: Option<Rc<Database>>,
    jobs: UnboundedSender<Job>,
    /// This page is the one that sends its own tab's messages.
    owns: bool,
    /// What the tab's former page left is this page's now.
    took_back: bool,
    /// The tabs that are gone and whose messages are this page's: once held, until it ends.
    held: BTreeSet<String>,
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
    let (owns, took_back, held, looks_again) = (false, false, BTreeSet::new(), false);
    let mut task = Task { shelf, database: None, jobs: sender, owns, took_back, held, looks_again };
    // Before anything that takes time: nobody may take this tab for one that is gone.
    task.own().await;
    task.database = Database::open().await.map(Rc::new);
    opened(task.database.clone());
    tell(task.look().await);
    while let Some(job) = jobs.next().await {
        match job {
            Job::Shelve(kept) => {
                let (op_id, done, tell) = (kept.op.op_id, task.put(&kept), tell.clone());
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
    fn put(&self, kept: &Kept) -> Option<futures_channel::oneshot::Receiver<bool>> {
        let mut bytes = self.shelf.tab().as_bytes().to_vec();
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
        let all: Vec<(String, Kept)> =
            all.unwrap_or_default().iter().filter_map(|bytes| read(bytes)).collect();
        let op_ids: BTreeSet<OpId> = all.iter().map(|(_, kept)| kept.op.op_id).collect();
        let own = self.shelf.tab().to_owned();
        let mut tabs = self.shelf.other_tabs();
        tabs.extend(all.iter().map(|(tab, _)| tab.clone()).filter(|tab| *tab != own));
        tabs.retain(|tab| !self.held.contains(tab));
        let mut found = BTreeSet::new();
        self.own().await;
        // Without a database there is no lease, and whose these are is not in doubt.
        if (self.owns || self.database.is_none()) && !std::mem::replace(&mut self.took_back, true) {
            self.shelf.take_back(&op_ids);
            found.insert(own);
        }
        for tab in tabs {
            let Some(release) = self.hold(&tab).await else {
                self.look_again();
                continue;
            };
            self.shelf.inherit(&tab, &op_ids);
            if all.iter().any(|(owner, _)| *owner == tab) {
                self.held.insert(tab.clone());
                found.insert(tab);
            } else {
                release();
            }
        }
        let kept = all.into_iter().filter(|(tab, _)| found.contains(tab));
        Report::Found(kept.map(|(_, kept)| kept).collect(), keeps)
    }

    /// Says that this tab lives.
    async fn own(&mut self) {
        self.owns = self.owns || self.hold(self.shelf.tab()).await.is_some();
    }

    /// The sign that a tab's messages are this page's, if they can be.
    async fn hold(&self, tab: &str) -> Option<lock::Release> {
        let name = format!("tab:{tab}");
        if lock::are_known() {
            return lock::try_hold(&name).await;
        }
        let (database, holder) = (self.database.clone()?, self.shelf.tab().to_owned());
        let now = clock::now();
        if !database.lease(&name, &holder, now, now + LEASE_MS).await {
            return None;
        }
        let ended = Rc::new(std::cell::Cell::new(false));
        renew(Rc::clone(&database), name.clone(), holder, Rc::clone(&ended));
        Some(Box::new(move || {
            ended.set(true);
            database.end_lease(&name);
        }))
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

/// Renews a lease again and again, until it is ended or another one's.
fn renew(database: Rc<Database>, name: String, holder: String, ended: Rc<std::cell::Cell<bool>>) {
    let again = move || {
        if ended.get() {
            return;
        }
        spawn_local(async move {
            let now = clock::now();
            if database.lease(&name, &holder, now, now + LEASE_MS).await {
                renew(database, name, holder, ended);
            }
        });
    };
    set_timeout(again, Duration::from_millis(RENEWED_MS));
}

/// A tab's name and its message.
fn read(bytes: &[u8]) -> Option<(String, Kept)> {
    let (tab, kept) = bytes.split_at_checked(TAB_BYTES)?;
    Some((str::from_utf8(tab).ok()?.to_owned(), Kept::from_bytes(kept)?))
}
