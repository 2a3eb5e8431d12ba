//! Queries about logs: where they stand, making them, raising their heads.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: a head rises only here, by one
//! statement a batch, and to exactly the number that was judged.

use protocol::cursor::Cursor;
use protocol::ids::{LogId, LogKind};
use sea_orm::prelude::Uuid;
use sea_orm::{QueryResult, Value};

use super::fault::Fault;
use super::statement::{Named, Sql, bits, from_bits, signed, unsigned};
use super::transaction::Transaction;

/// A log that may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord {
    /// The log.
    pub log: LogId,
    /// The life of its numbering.
    pub epoch: u64,
    /// Its last number.
    pub head: u64,
}

/// Where a log begins and ends, and what stands at one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogExtent {
    /// Epoch, last number, and that event's tag.
    pub head: Cursor,
    /// The first number still kept.
    pub floor: u64,
    /// The tag of number `floor - 1`.
    pub floor_tag: u64,
    /// The tag of the event asked about, if it is there.
    pub tag: Option<u64>,
}

/// Makes logs without events.
pub async fn insert(transaction: &mut Transaction, logs: &[LogRecord]) -> Result<(), Fault> {
    if logs.is_empty() {
        return Ok(());
    }
    let rows = logs.iter().map(|made| -> [Value; 6] {
        let (epoch, head) = (bits(made.epoch), signed(made.head));
        let kind = kind_number(made.log.kind);
        [made.log.value(), kind.into(), epoch.into(), head.into(), 1_i64.into(), 0_i64.into()]
    });
    let text = "insert into logs (id, kind, epoch, head, floor, floor_tag) values ";
    let statement = Sql::new(transaction.backend(), text).rows(rows).build();
    transaction.execute(statement).await
}

/// Raises heads by the number of events written; `head` is what each must be afterwards.
pub async fn raise(
    transaction: &mut Transaction,
    raised: impl ExactSizeIterator<Item = (LogId, u64, u64)> + Clone,
) -> Result<(), Fault> {
    if raised.len() == 0 {
        return Ok(());
    }
    let rows = raised.clone().map(|(log, by, _)| [log.value(), signed(by).into()]);
    let statement = Sql::new(transaction.backend(), "with v(id, n) as (values ")
        .rows(rows)
        .text(") update logs set head = head + v.n from v where logs.id = v.id")
        .text(" returning logs.id as id, head")
        .build();
    let mut heads = Vec::with_capacity(raised.len());
    for row in transaction.rows(statement).await? {
        let id: Uuid = row.try_get("", "id")?;
        heads.push((*id.as_bytes(), number(&row, "head")?));
    }
    heads.sort_unstable();
    let mut expected: Vec<_> = raised.map(|(log, _, head)| (log.id, head)).collect();
    expected.sort_unstable();
    if heads == expected {
        return Ok(());
    }
    Err(transaction.broken_by(Fault::damaged("heads are not what was judged")))
}

/// Where a log stands, and the tag of its event `seq`.
pub async fn extent(
    transaction: &mut Transaction,
    log: LogId,
    seq: Option<u64>,
) -> Result<Option<LogExtent>, Fault> {
    let statement = Sql::new(transaction.backend(), HEADS)
        .text(", a.id as asked_id from logs left join events h on h.log_id = logs.id")
        .text(" and h.seq = logs.head left join events a on a.log_id = logs.id and a.seq = ")
        .value(signed(seq.unwrap_or(0)))
        .text(" where logs.id = ")
        .value(log.uuid())
        .text(" and logs.kind = ")
        .value(kind_number(log.kind))
        .build();
    let rows = transaction.rows(statement).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let asked: Option<Uuid> = row.try_get("", "asked_id")?;
    Ok(Some(LogExtent {
        head: head(row)?,
        floor: number(row, "floor")?,
        floor_tag: from_bits(row.try_get("", "floor_tag")?),
        tag: asked.map(tag),
    }))
}

/// Where several logs end; those that do not exist are left out.
pub async fn heads(
    transaction: &mut Transaction,
    logs: &[LogId],
) -> Result<Vec<(LogId, Cursor)>, Fault> {
    if logs.is_empty() {
        return Ok(Vec::new());
    }
    let statement = Sql::new(transaction.backend(), HEADS)
        .text(" from logs left join events h on h.log_id = logs.id and h.seq = logs.head")
        .text(" where logs.id in (values ")
        .rows(logs.iter().map(|log| [log.value()]))
        .text(") order by logs.id")
        .build();
    let rows = transaction.rows(statement).await?;
    rows.iter().map(|row| Ok((log_of(row)?, head(row)?))).collect()
}

/// What `log_of` and `head` read.
const HEADS: &str = "select logs.id as id, logs.kind as kind, logs.epoch as epoch, \
    logs.head as head, logs.floor as floor, logs.floor_tag as floor_tag, h.id as head_id";

pub(super) const fn kind_number(kind: LogKind) -> i16 {
    match kind {
        LogKind::Room => 0,
        LogKind::User => 1,
    }
}

pub(super) fn kind_of(number: i16) -> Result<LogKind, Fault> {
    match number {
        0 => Ok(LogKind::Room),
        1 => Ok(LogKind::User),
        _ => Err(Fault::damaged("a log of an unknown kind")),
    }
}

pub(super) fn number(row: &QueryResult, column: &str) -> Result<u64, Fault> {
    unsigned(row.try_get("", column)?)
}

fn log_of(row: &QueryResult) -> Result<LogId, Fault> {
    let id: Uuid = row.try_get("", "id")?;
    Ok(LogId { kind: kind_of(row.try_get("", "kind")?)?, id: *id.as_bytes() })
}

/// The tag of a head whose event is no longer kept stands in the log's row.
fn head(row: &QueryResult) -> Result<Cursor, Fault> {
    let last: Option<Uuid> = row.try_get("", "head_id")?;
    let kept = from_bits(row.try_get("", "floor_tag")?);
    let epoch = from_bits(row.try_get("", "epoch")?);
    Ok(Cursor { epoch, seq: number(row, "head")?, tag: last.map_or(kept, tag) })
}

fn tag(id: Uuid) -> u64 {
    protocol::ids::EventId::from_bytes(*id.as_bytes()).tag()
}
