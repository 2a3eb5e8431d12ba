//! Queries about ops: which are known, and adding what was answered.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: an op has one row for ever, whose
//! answer never changes; the row outlives the event, so that a late copy cannot act again.

use protocol::ids::{EventId, LogId, OpId, UserId};
use protocol::refusal::Refusal;
use sea_orm::prelude::Uuid;
use sea_orm::{QueryResult, Value};

use super::fault::Fault;
use super::logs::kind_of;
use super::statement::{Named, Question, Sql, signed, unsigned};
use super::transaction::Transaction;

/// An op that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpRecord {
    /// Whose it is.
    pub author: UserId,
    /// Its key.
    pub op_id: OpId,
    /// What it was, so that another act under the same key is told apart.
    pub payload_hash: i64,
    /// Why it was refused; nothing for an accepted one.
    pub refusal: Option<Refusal>,
    /// The log that holds its event; the lane's, where it made none.
    pub log: LogId,
    /// The event's number; 0 where it made none.
    pub seq: u64,
    /// The event's id; nil where it made none.
    pub id: EventId,
    /// When it was answered, in Unix milliseconds.
    pub at: i64,
}

/// Those of the named ops that were answered before.
pub fn known(
    transaction: &Transaction,
    keys: impl ExactSizeIterator<Item = (UserId, OpId)>,
) -> Question<OpRecord> {
    if keys.len() == 0 {
        return Question::none(record);
    }
    let text = "select ops.author as author, ops.op_id as op_id, ops.payload_hash as payload_hash, \
        ops.refusal as refusal, ops.log_id as log_id, ops.seq as seq, ops.id as id, ops.at as at, \
        logs.kind as kind from ops join logs on logs.id = ops.log_id \
        where (ops.author, ops.op_id) in (values ";
    let sql = Sql::new(transaction.backend(), text)
        .rows(keys.map(|(author, op_id)| [author.value(), op_id.value()]))
        .text(")");
    Question::new(sql, record)
}

/// Adds answered ops.
pub async fn insert(transaction: &mut Transaction, ops: &[OpRecord]) -> Result<(), Fault> {
    if ops.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<[Value; 8]> = Vec::with_capacity(ops.len());
    for op in ops {
        let refusal = op.refusal.as_ref().map(serde_json::to_string).transpose();
        rows.push([
            op.author.value(),
            op.op_id.value(),
            op.payload_hash.into(),
            refusal.map_err(Fault::damaged)?.into(),
            op.log.value(),
            (op.seq > 0).then(|| signed(op.seq)).into(),
            (op.seq > 0).then(|| op.id.uuid()).into(),
            op.at.into(),
        ]);
    }
    let text =
        "insert into ops (author, op_id, payload_hash, refusal, log_id, seq, id, at) values ";
    let statement = Sql::new(transaction.backend(), text).rows(rows.into_iter()).build();
    transaction.execute(statement).await
}

fn record(row: &QueryResult) -> Result<OpRecord, Fault> {
    let uuid = |column: &str| row.try_get("", column).map(|id: Uuid| *id.as_bytes());
    let refusal: Option<String> = row.try_get("", "refusal")?;
    let seq: Option<i64> = row.try_get("", "seq")?;
    let id: Option<Uuid> = row.try_get("", "id")?;
    Ok(OpRecord {
        author: UserId::from_bytes(uuid("author")?),
        op_id: OpId::from_bytes(uuid("op_id")?),
        payload_hash: row.try_get("", "payload_hash")?,
        refusal: refusal
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(Fault::damaged)?,
        log: LogId { kind: kind_of(row.try_get("", "kind")?)?, id: uuid("log_id")? },
        seq: unsigned(seq.unwrap_or(0))?,
        id: id.map_or(EventId::NIL, |id| EventId::from_bytes(*id.as_bytes())),
        at: row.try_get("", "at")?,
    })
}
