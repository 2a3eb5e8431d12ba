//! The house's kind of history, over the queries in `db`: here the reads, in `batch` the writes.
//!
//! Called by `history/writer.rs` to write and by sessions and pages to read. Its law: what one read
//! answers with was read in one transaction, so head, membership and messages fit each other.

mod batch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::bounded::Text;
use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::ids::{LogId, RoomId, UserId};
use protocol::limits::PAGE_EVENTS_MAX;
use protocol::model::Me;
use protocol::refusal::RetryReason;

use crate::clock::Chance;
use crate::db::{Db, Fault, Transaction};
use crate::db::{accounts, events, logs, members, messages, people, rooms};
use crate::history::disk::Disk;
use crate::history::judge::Rules;
use crate::history::{
    Admission, Arrival, Head, History, Later, OlderMessages, Outcome, Pending, Read, RoomCard,
    RoomState, RoomView, SignInHash, Standing, Unavailable, views,
};

/// What the lobby is called until somebody configures it.
const LOBBY_NAME: &str = "Lobby";
/// What must be free on a disk that was full, where no setting says otherwise.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// History over a database.
#[derive(Debug)]
pub struct SqlHistory {
    db: Arc<Db>,
    rules: Rules,
    disk: Mutex<Disk>,
}

impl From<Fault> for Unavailable {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

impl SqlHistory {
    /// Takes an open store, and makes the lobby where there is none.
    pub async fn open(
        db: Arc<Db>,
        rules: Rules,
        chance: &mut dyn Chance,
        now_ms: i64,
    ) -> Result<Self, Unavailable> {
        batch::make_lobby(&db, rules, Text::cut(LOBBY_NAME), chance, now_ms).await?;
        Ok(Self { db, rules, disk: Mutex::new(Disk::new(FREE_BYTES_MIN)) })
    }

    /// Writes again after a full disk as soon as this much is free on it.
    #[must_use]
    pub fn with_free_bytes_min(self, free_bytes_min: u64) -> Self {
        Self { disk: Mutex::new(Disk::new(free_bytes_min)), ..self }
    }

    /// Whether the disk is full: what is stored is read on, nothing is written.
    pub fn is_disk_full(&self, now_ms: i64) -> bool {
        self.with_disk(|disk| disk.is_full(now_ms, || self.db.space()))
    }

    fn with_disk<T>(&self, change: impl FnOnce(&mut Disk) -> T) -> T {
        // Every change of it is one assignment.
        change(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn write(&self, batch: &[Pending], chance: &mut dyn Chance, now_ms: i64) -> Outcome {
        if self.is_disk_full(now_ms) {
            return Outcome::Failed(RetryReason::DiskFull);
        }
        let outcome = batch::commit(&self.db, self.rules, batch, chance, now_ms).await;
        if outcome == Outcome::Failed(RetryReason::DiskFull) {
            tracing::error!("the disk is full: nothing is written until there is room again");
            self.with_disk(|disk| disk.fill(now_ms));
        }
        outcome
    }

    /// Makes this user the owner of the server, if it has none yet; the event is his log's, whose
    /// task is to be hinted.
    pub async fn make_owner(
        &self,
        user: UserId,
        chance: &mut dyn Chance,
        now_ms: i64,
    ) -> Result<Option<Envelope>, Unavailable> {
        Ok(batch::make_owner(&self.db, self.rules, user, chance, now_ms).await?)
    }
}

impl History for SqlHistory {
    fn commit<'a>(
        &'a self,
        batch: &'a [Pending],
        chance: &'a mut dyn Chance,
        now_ms: i64,
    ) -> Later<'a, Outcome> {
        Box::pin(self.write(batch, chance, now_ms))
    }

    fn commits_at_once(&self) -> usize {
        self.db.writes_at_once()
    }

    fn admission(
        &self,
        user: UserId,
        log: LogId,
        cursor: Option<Cursor>,
    ) -> Read<'_, Option<Admission>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            Ok(admission(&mut transaction, user, log, cursor).await?)
        })
    }

    fn arrival(&self, user: UserId, cursor: Option<Cursor>) -> Read<'_, Option<Arrival>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            let Some(account) = people::user(&mut transaction, user).await? else {
                return Ok(None);
            };
            let found = admission(&mut transaction, user, user.log(), cursor).await?;
            let Some(admission) = found else { return Ok(None) };
            let rooms = rooms::of_user(&mut transaction, user).await?;
            let me = Me { id: user, name: account.name, rank: account.rank };
            Ok(Some(Arrival { me, disabled: account.disabled_at.is_some(), rooms, admission }))
        })
    }

    fn standing(&self, sign_in: SignInHash, now_ms: i64) -> Read<'_, Standing> {
        Box::pin(async move { Ok(accounts::standing(&self.db, sign_in, now_ms).await?) })
    }

    fn fallen<'a>(
        &'a self,
        sign_ins: &'a [SignInHash],
        now_ms: i64,
    ) -> Read<'a, BTreeMap<SignInHash, Standing>> {
        Box::pin(async move { Ok(accounts::fallen(&self.db, sign_ins, now_ms).await?) })
    }

    fn answers(&self) -> Later<'_, bool> {
        Box::pin(self.db.answers())
    }

    fn note_use(&self, sign_in: SignInHash, now_ms: i64) -> Read<'_, Standing> {
        Box::pin(async move { Ok(accounts::note_use(&self.db, sign_in, now_ms).await?) })
    }

    fn page(&self, log: LogId, after: u64) -> Read<'_, Vec<Envelope>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            let events = events::page(&mut transaction, log, after, PAGE_EVENTS_MAX).await?;
            Ok(views::page(events))
        })
    }

    fn snapshot(&self, reader: Option<UserId>, room: RoomId) -> Read<'_, Option<RoomView>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            let Some(part) = members::part(&mut transaction, room, reader).await? else {
                return Ok(None);
            };
            Ok(state(&mut transaction, room).await?.map(|state| state.seen_by(part)))
        })
    }

    fn state(&self, room: RoomId) -> Read<'_, Option<RoomState>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            Ok(state(&mut transaction, room).await?)
        })
    }

    fn older(
        &self,
        reader: Option<UserId>,
        room: RoomId,
        before: u64,
        count: usize,
    ) -> Read<'_, Option<OlderMessages>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            if members::part(&mut transaction, room, reader).await?.is_none() {
                return Ok(None);
            }
            let newest =
                messages::newest(&mut transaction, room, before, count.saturating_add(1)).await?;
            Ok(Some(views::older(newest, count)))
        })
    }

    fn heads<'a>(&'a self, logs: &'a [LogId]) -> Read<'a, Vec<Head>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            let heads = logs::heads(&mut transaction, logs).await?;
            Ok(heads.into_iter().map(|(log, cursor)| Head { log, cursor }).collect())
        })
    }

    fn room_by_key<'a>(&'a self, key: &'a str) -> Read<'a, Option<RoomCard>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            Ok(rooms::by_key(&mut transaction, key).await?.map(views::card))
        })
    }

    fn open_rooms<'a>(&'a self, after: Option<&'a str>) -> Read<'a, Vec<RoomCard>> {
        Box::pin(async move {
            let mut transaction = self.db.read().await?;
            let after = after.unwrap_or_default();
            let found = rooms::open(&mut transaction, after, views::ROOMS_READ).await?;
            Ok(found.into_iter().map(views::card).collect())
        })
    }
}

/// A room with its newest messages.
async fn state(transaction: &mut Transaction, room: RoomId) -> Result<Option<RoomState>, Fault> {
    let counted = rooms::by_id(transaction, room).await?;
    let extent = logs::extent(transaction, room.log(), None).await?;
    let Some((counted, extent)) = counted.zip(extent) else { return Ok(None) };
    let newest = messages::newest(transaction, room, u64::MAX, views::SNAPSHOT_READ).await?;
    Ok(Some(views::state(counted, extent.head, newest)))
}

/// How a user stands to a log: his own, or a room's where he is a member.
async fn admission(
    transaction: &mut Transaction,
    user: UserId,
    log: LogId,
    cursor: Option<Cursor>,
) -> Result<Option<Admission>, Fault> {
    let seq = cursor.map(|cursor| cursor.seq);
    let part = match log.room() {
        Some(room) => members::part(transaction, room, Some(user)).await?,
        None => (log == user.log()).then_some(members::BY_RULE),
    };
    let extent = logs::extent(transaction, log, seq).await?;
    Ok(part.zip(extent).map(|(part, extent)| views::admission(extent, part)))
}
