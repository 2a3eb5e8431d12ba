//! Queries about rooms.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: a key is compared in its canonical
//! form, which its callers have made, and never changes.

use protocol::ids::{RoomId, UserId};
use protocol::model::{Role, RoomEntry, RoomKey, RoomName, Topic};
use sea_orm::{FromQueryResult, QueryResult, Value};

use super::entity::rooms::Model;
use super::fault::Fault;
use super::logs::number;
use super::members::role_of;
use super::statement::{Named, Question, Sql, from_bits};
use super::transaction::Transaction;

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// The room; also the id of its log.
    pub id: RoomId,
    /// Its address.
    pub key: RoomKey,
    /// How it is called.
    pub name: RoomName,
    /// What it is about; empty for nothing.
    pub topic: Topic,
    /// Everybody is a member by rule.
    pub everyone: bool,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
}

/// A room with where its log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomAtHead {
    /// The room.
    pub room: RoomRecord,
    /// The life of its log's numbering.
    pub epoch: u64,
    /// Its log's last number.
    pub head: u64,
}

/// A room with how many members it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRoom {
    /// The room.
    pub room: RoomRecord,
    /// Its members; accounts, where everybody is one.
    pub member_count: u64,
}

const COLUMNS: &str = "select rooms.id as id, rooms.key as key, rooms.name as name, \
    rooms.topic as topic, rooms.everyone as everyone, rooms.created_at as created_at";

const MEMBER_COUNT: &str = ", case when rooms.everyone then (select users from totals) \
    else (select count(*) from members where members.room_id = rooms.id) end as member_count \
    from rooms";

/// The rooms that are there of those named by id or by key.
pub fn known<'a>(
    transaction: &Transaction,
    ids: impl ExactSizeIterator<Item = RoomId>,
    keys: impl ExactSizeIterator<Item = &'a RoomKey>,
) -> Question<RoomAtHead> {
    let (by_id, by_key) = (ids.len() > 0, keys.len() > 0);
    if !by_id && !by_key {
        return Question::none(at_head);
    }
    let mut sql = Sql::new(transaction.backend(), COLUMNS)
        .text(", logs.epoch as epoch, logs.head as head")
        .text(" from rooms join logs on logs.id = rooms.id where ");
    if by_id {
        let rows = ids.map(|id| [id.value()]);
        sql = sql.text("rooms.id in (values ").rows(rows).text(")");
    }
    if by_id && by_key {
        sql = sql.text(" or ");
    }
    if by_key {
        let rows = keys.map(|key| [key.to_string().into()]);
        sql = sql.text("rooms.key in (values ").rows(rows).text(")");
    }
    Question::new(sql, at_head)
}

/// The rooms of a user: those of everybody first, then by key.
pub async fn of_user(transaction: &mut Transaction, user: UserId) -> Result<Vec<RoomEntry>, Fault> {
    let statement = Sql::new(transaction.backend(), COLUMNS)
        .text(", logs.epoch as epoch, logs.head as head, members.role as role from rooms")
        .text(" join logs on logs.id = rooms.id left join members")
        .text(" on members.room_id = rooms.id and members.user_id = ")
        .value(user.uuid())
        .text(" where rooms.everyone = true")
        .text(" or rooms.id in (select room_id from members where user_id = ")
        .value(user.uuid())
        .text(") order by rooms.everyone desc, rooms.key")
        .build();
    transaction.rows(statement).await?.iter().map(entry).collect()
}

/// One room with its count of members, by id.
pub async fn by_id(
    transaction: &mut Transaction,
    id: RoomId,
) -> Result<Option<CountedRoom>, Fault> {
    let sql = Sql::new(transaction.backend(), COLUMNS).text(MEMBER_COUNT);
    let statement = sql.text(" where rooms.id = ").value(id.uuid()).build();
    transaction.rows(statement).await?.first().map(counted).transpose()
}

/// One room with its count of members, by key.
pub async fn by_key(
    transaction: &mut Transaction,
    key: &str,
) -> Result<Option<CountedRoom>, Fault> {
    let sql = Sql::new(transaction.backend(), COLUMNS).text(MEMBER_COUNT);
    let statement = sql.text(" where rooms.key = ").value(key).build();
    transaction.rows(statement).await?.first().map(counted).transpose()
}

/// Rooms that one joins, by key, behind the key `after`.
pub async fn open(
    transaction: &mut Transaction,
    after: &str,
    count_max: usize,
) -> Result<Vec<CountedRoom>, Fault> {
    let statement = Sql::new(transaction.backend(), COLUMNS)
        .text(MEMBER_COUNT)
        .text(" where not rooms.everyone and rooms.key > ")
        .value(after)
        .text(" order by rooms.key limit ")
        .value(i64::try_from(count_max).unwrap_or(i64::MAX))
        .build();
    transaction.rows(statement).await?.iter().map(counted).collect()
}

/// Makes rooms; their logs are there already.
pub async fn insert(transaction: &mut Transaction, rooms: &[RoomRecord]) -> Result<(), Fault> {
    if rooms.is_empty() {
        return Ok(());
    }
    let rows = rooms.iter().map(|room| -> [Value; 6] {
        [
            room.id.value(),
            room.key.to_string().into(),
            room.name.to_string().into(),
            room.topic.to_string().into(),
            room.everyone.into(),
            room.created_at.into(),
        ]
    });
    let text = "insert into rooms (id, key, name, topic, everyone, created_at) values ";
    let statement = Sql::new(transaction.backend(), text).rows(rows).build();
    transaction.execute(statement).await
}

/// Gives rooms other names and topics.
pub async fn configure(
    transaction: &mut Transaction,
    rooms: impl ExactSizeIterator<Item = (RoomId, &RoomName, &Topic)>,
) -> Result<(), Fault> {
    if rooms.len() == 0 {
        return Ok(());
    }
    let rows = rooms.map(|(room, name, topic)| -> [Value; 3] {
        [room.value(), name.to_string().into(), topic.to_string().into()]
    });
    let statement = Sql::new(transaction.backend(), "with v(id, name, topic) as (values ")
        .rows(rows)
        .text(") update rooms set name = v.name, topic = v.topic from v where rooms.id = v.id")
        .build();
    transaction.execute(statement).await
}

fn record(row: &QueryResult) -> Result<RoomRecord, Fault> {
    let model = Model::from_query_result(row, "")?;
    Ok(RoomRecord {
        id: RoomId::from_bytes(*model.id.as_bytes()),
        key: RoomKey::new(model.key).map_err(Fault::damaged)?,
        name: RoomName::new(model.name).map_err(Fault::damaged)?,
        topic: Topic::new(model.topic).map_err(Fault::damaged)?,
        everyone: model.everyone,
        created_at: model.created_at,
    })
}

fn at_head(row: &QueryResult) -> Result<RoomAtHead, Fault> {
    let epoch = from_bits(row.try_get("", "epoch")?);
    Ok(RoomAtHead { room: record(row)?, epoch, head: number(row, "head")? })
}

fn counted(row: &QueryResult) -> Result<CountedRoom, Fault> {
    Ok(CountedRoom { room: record(row)?, member_count: number(row, "member_count")? })
}

fn entry(row: &QueryResult) -> Result<RoomEntry, Fault> {
    let role: Option<i16> = row.try_get("", "role")?;
    let room = record(row)?;
    Ok(RoomEntry {
        id: room.id,
        key: room.key,
        name: room.name,
        topic: room.topic,
        everyone: room.everyone,
        role: role.map_or(Ok(Role::Member), role_of)?,
        head: number(row, "head")?,
    })
}
