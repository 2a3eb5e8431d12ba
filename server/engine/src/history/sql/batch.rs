//! The writes of history over a database: one transaction a batch.
//!
//! Its law: locks first, then at most four reads for the whole batch, judged in memory, one insert a
//! table, one update of all heads, commit. After any error only rollback. A batch before which another
//! transaction was first is judged once more; one that an op spoils is run again op by op, so that it
//! harms no other; an op that fails alone, and not by the store's silence, is refused for ever, if
//! that can be stored.

use std::collections::BTreeSet;

use protocol::change::Envelope;
use protocol::ids::{LogId, UserId};
use protocol::model::{Rank, RoomKey, RoomName};
use protocol::refusal::{Refusal, RetryReason};

use crate::clock::Chance;
use crate::db::locks::Accounts;
use crate::db::members::MemberRecord;
use crate::db::{CommitFault, Db, Fault, Transaction};
use crate::db::{events, locks, logs, members, messages, ops, people, rooms};
use crate::history::facts::{Facts, Need};
use crate::history::judge::{self, Judge, Rules};
use crate::history::{Answer, Effects, Outcome, Pending, Verdict};
use crate::rooms::key;

/// Why a transaction did not happen, or may not have.
enum Failure {
    Certain(Fault),
    Unknown(Fault),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Certain(fault)
    }
}

impl From<CommitFault> for Failure {
    fn from(fault: CommitFault) -> Self {
        match fault {
            CommitFault::Failed(fault) => Self::Certain(fault),
            CommitFault::Unknown(fault) => Self::Unknown(fault),
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Certain(fault) | Failure::Unknown(fault) => fault,
        }
    }
}

/// Judges and stores a batch; see `History::commit`.
pub(super) async fn commit(
    db: &Db,
    rules: Rules,
    batch: &[Pending],
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Outcome {
    match judged(db, rules, batch, chance, now_ms).await {
        Ok(answers) => Outcome::Committed(answers),
        Err(Failure::Certain(
            // Who needs a page that is damaged does not keep the others from theirs.
            fault @ (Fault::Statement(_)
            | Fault::Damaged(_)
            | Fault::Corrupt(_)
            | Fault::Collision(_)),
        )) => {
            tracing::error!(%fault, ops = batch.len(), "a batch is run again op by op");
            one_by_one(db, rules, batch, chance, now_ms).await
        }
        Err(failure) => outcome(failure),
    }
}

/// An attempt; where another transaction was first, one more, which sees what that one wrote.
async fn judged(
    db: &Db,
    rules: Rules,
    batch: &[Pending],
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Result<Vec<Answer>, Failure> {
    match attempt(db, rules, batch, chance, now_ms).await {
        Err(Failure::Certain(Fault::Collision(cause))) => {
            tracing::info!(%cause, ops = batch.len(), "a batch is judged again");
            attempt(db, rules, batch, chance, now_ms).await
        }
        done => done,
    }
}

/// Stores each op by itself. Behind one that is not stored nothing of its lane is, for order.
async fn one_by_one(
    db: &Db,
    rules: Rules,
    batch: &[Pending],
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Outcome {
    let mut stopped: BTreeSet<(LogId, UserId)> = BTreeSet::new();
    let mut answers = Vec::with_capacity(batch.len());
    for pending in batch {
        let lane = (pending.lane(), pending.author);
        let mut reason = RetryReason::Unavailable;
        if !stopped.contains(&lane) {
            match judged(db, rules, std::slice::from_ref(pending), chance, now_ms).await {
                Ok(answered) => {
                    answers.extend(answered);
                    continue;
                }
                Err(Failure::Certain(Fault::Statement(_) | Fault::Damaged(_)))
                    if refuse(db, pending, now_ms).await =>
                {
                    let refused = judge::refused(pending.op.op_id, Refusal::NotStorable);
                    answers.push(Answer { verdict: refused, events: Vec::new() });
                    continue;
                }
                Err(failure) => match outcome(failure) {
                    Outcome::Failed(failed) => reason = failed,
                    unknown => return unknown,
                },
            }
        }
        stopped.insert(lane);
        answers.push(Answer { verdict: Verdict::Retry(reason), events: Vec::new() });
    }
    Outcome::Committed(answers)
}

/// Refuses an op that the store does not take, for ever: else it would hold up its lane for ever.
/// Where not even that can be stored it is the store that fails, and the op may be tried again.
async fn refuse(db: &Db, pending: &Pending, now_ms: i64) -> bool {
    let refusal = judge::not_storable(pending, now_ms);
    let stored = async {
        let mut transaction = db.write().await?;
        ops::insert(&mut transaction, std::slice::from_ref(&refusal)).await?;
        Ok(transaction.unbroken().await?.commit().await?)
    };
    let stored: Result<(), Failure> = stored.await;
    tracing::error!(op = ?pending.op.op_id, refused = stored.is_ok(), "the store does not take an op");
    stored.is_ok()
}

fn outcome(failure: Failure) -> Outcome {
    match failure {
        Failure::Certain(Fault::Disk(cause)) | Failure::Unknown(Fault::Disk(cause)) => {
            tracing::error!(%cause, "the disk failed");
            Outcome::DiskBroken
        }
        Failure::Unknown(fault) => {
            tracing::error!(%fault, "whether a batch is stored is not known");
            Outcome::Unknown
        }
        Failure::Certain(fault) => {
            tracing::error!(%fault, "a batch was not stored");
            Outcome::Failed(match fault {
                Fault::DiskFull => RetryReason::DiskFull,
                _ => RetryReason::Unavailable,
            })
        }
    }
}

async fn attempt(
    db: &Db,
    rules: Rules,
    batch: &[Pending],
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Result<Vec<Answer>, Failure> {
    let mut transaction = db.write().await?;
    let facts = read(&mut transaction, batch).await?;
    let mut judge = Judge::new(facts, rules, chance, now_ms);
    let answers = judge.batch(batch);
    let effects = judge.effects;
    store(transaction, &effects).await?;
    Ok(answers)
}

/// Makes the room of everybody where there is none.
pub(super) async fn make_lobby(
    db: &Db,
    rules: Rules,
    name: RoomName,
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Result<(), Fault> {
    let mut transaction = db.write().await?;
    if rooms::by_key(&mut transaction, key::LOBBY).await?.is_some() {
        return Ok(());
    }
    let mut judge = Judge::new(Facts::default(), rules, chance, now_ms);
    judge.lobby(name);
    let effects = judge.effects;
    Ok(store(transaction, &effects).await?)
}

/// Makes a user the owner where there is none; where another transaction was first, tried once more.
pub(super) async fn make_owner(
    db: &Db,
    rules: Rules,
    user: UserId,
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Result<Option<Envelope>, Fault> {
    match owner(db, rules, user, chance, now_ms).await {
        Err(Failure::Certain(Fault::Collision(cause))) => {
            tracing::info!(%cause, "an owner is made again");
            Ok(owner(db, rules, user, chance, now_ms).await?)
        }
        done => Ok(done?),
    }
}

async fn owner(
    db: &Db,
    rules: Rules,
    user: UserId,
    chance: &mut dyn Chance,
    now_ms: i64,
) -> Result<Option<Envelope>, Failure> {
    let mut transaction = db.write().await?;
    // Whoever makes an owner holds the lobby, so that two at once cannot both find none.
    let lobby = [RoomKey::cut(key::LOBBY)];
    let (users, logs) = ([user].into_iter(), [user.log()].into_iter());
    locks::take(&mut transaction, (users, Accounts::Changed), logs, lobby.iter()).await?;
    if people::has_owner(&mut transaction).await? {
        return Ok(None);
    }
    let mut facts = Facts::default();
    for (log, cursor) in logs::heads(&mut transaction, &[user.log()]).await? {
        facts.add_log(log, cursor.epoch, cursor.seq);
    }
    let mut judge = Judge::new(facts, rules, chance, now_ms);
    let event = judge.rank(user, Rank::Owner);
    let effects = judge.effects;
    store(transaction, &effects).await?;
    Ok(event)
}

/// The locks, and the four reads.
async fn read(transaction: &mut Transaction, batch: &[Pending]) -> Result<Facts, Fault> {
    let need = Need::of(batch);
    let authors: BTreeSet<UserId> = need.people.iter().map(|(user, _)| *user).collect();
    let logs: BTreeSet<LogId> =
        need.rooms.iter().map(|room| room.log()).chain(need.own_logs.iter().copied()).collect();
    let use_of_them = if need.changes_people { Accounts::Changed } else { Accounts::Read };
    let (authors, logs) = ((authors.into_iter(), use_of_them), logs.into_iter());
    locks::take(transaction, authors, logs, need.keys.iter()).await?;
    let mut facts = Facts::default();
    // Who names a room by its key may be a member of what is only found by it.
    let named = if need.keys.is_empty() { facts.pairs(batch) } else { BTreeSet::new() };
    let questions = (
        ops::known(transaction, need.ops.iter().copied()),
        rooms::known(transaction, need.rooms.iter().copied(), need.keys.iter()),
        people::known(transaction, need.people.iter().copied()),
        members::known(transaction, named.iter().copied()),
    );
    let (ops, rooms, people, mut members) = transaction.ask_all(questions).await?;
    ops.into_iter().for_each(|op| facts.add_op(op));
    rooms.into_iter().for_each(|room| facts.add_room(room));
    people.into_iter().for_each(|person| facts.add_person(person));
    let found: Vec<_> = facts.pairs(batch).difference(&named).copied().collect();
    let known = members::known(transaction, found.into_iter());
    members.extend(transaction.ask(known).await?);
    members.into_iter().for_each(|member| facts.add_member(member));
    Ok(facts)
}

/// Writes what was judged and commits it. Answers that repeat what is stored need no commit.
async fn store(mut transaction: Transaction, effects: &Effects) -> Result<(), Failure> {
    if effects.is_empty() {
        return Ok(());
    }
    write(&mut transaction, effects).await?;
    Ok(transaction.unbroken().await?.commit().await?)
}

async fn write(transaction: &mut Transaction, effects: &Effects) -> Result<(), Fault> {
    logs::insert(transaction, &effects.logs).await?;
    events::insert(transaction, &effects.events).await?;
    ops::insert(transaction, &effects.ops).await?;
    rooms::insert(transaction, &effects.rooms).await?;
    let configured = effects.configured.iter().map(|(room, (name, topic))| (*room, name, topic));
    rooms::configure(transaction, configured).await?;
    members::remove(transaction, effects.left.iter().copied()).await?;
    let joined = effects.joined.iter().map(|((room, user), membership)| MemberRecord {
        room: *room,
        user: *user,
        membership: *membership,
    });
    members::insert(transaction, joined).await?;
    messages::insert(transaction, &effects.messages).await?;
    people::rename(transaction, effects.names.iter().map(|(user, name)| (*user, name))).await?;
    for (user, rank) in &effects.ranks {
        people::set_rank(transaction, *user, *rank).await?;
    }
    let raised = effects.raised.iter().map(|(log, raise)| (*log, raise.by, raise.head));
    logs::raise(transaction, raised).await
}
