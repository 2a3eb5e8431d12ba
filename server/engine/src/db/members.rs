//! Queries about who stands in which room.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: in a room of everybody a row exists
//! only where somebody's role differs; who has none there is a member all the same.

use protocol::ids::{RoomId, UserId};
use protocol::model::Role;
use sea_orm::{FromQueryResult, QueryResult, Value};

use super::entity::members::Model;
use super::fault::Fault;
use super::statement::{Named, Question, Sql, signed, unsigned};
use super::transaction::Transaction;

/// A user's part in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// What he may do there.
    pub role: Role,
    /// The number of the event by which he joined; 0 where everybody is a member by rule.
    pub joined_seq: u64,
}

/// The part of everybody in a room of everybody.
pub const BY_RULE: Membership = Membership { role: Role::Member, joined_seq: 0 };

/// A row of the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRecord {
    /// The room.
    pub room: RoomId,
    /// The member.
    pub user: UserId,
    /// His part in it.
    pub membership: Membership,
}

/// A reader's part in a room, by the roster or by the room's rule; nothing for a stranger, for who
/// is not signed in (but where everybody is a member), and for a room that does not exist.
pub async fn part(
    transaction: &mut Transaction,
    room: RoomId,
    reader: Option<UserId>,
) -> Result<Option<Membership>, Fault> {
    let text = "select rooms.everyone as everyone, members.role as role, \
        members.joined_seq as joined_seq from rooms left join members \
        on members.room_id = rooms.id and members.user_id = ";
    let statement = Sql::new(transaction.backend(), text)
        .value(reader.unwrap_or(UserId::NIL).uuid())
        .text(" where rooms.id = ")
        .value(room.uuid())
        .build();
    let rows = transaction.rows(statement).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let role: Option<i16> = row.try_get("", "role")?;
    let joined_seq: Option<i64> = row.try_get("", "joined_seq")?;
    if let Some((role, joined_seq)) = role.zip(joined_seq) {
        return membership(role, joined_seq).map(Some);
    }
    let everyone: bool = row.try_get("", "everyone")?;
    Ok(everyone.then_some(BY_RULE))
}

/// Those of the named pairs that stand in the roster.
pub fn known(
    transaction: &Transaction,
    pairs: impl ExactSizeIterator<Item = (RoomId, UserId)>,
) -> Question<MemberRecord> {
    if pairs.len() == 0 {
        return Question::none(record);
    }
    let text = "select room_id, user_id, role, joined_seq from members \
        where (room_id, user_id) in (values ";
    let sql = Sql::new(transaction.backend(), text)
        .rows(pairs.map(|(room, user)| [room.value(), user.value()]))
        .text(")");
    Question::new(sql, record)
}

/// Adds rows.
pub async fn insert(
    transaction: &mut Transaction,
    members: impl ExactSizeIterator<Item = MemberRecord>,
) -> Result<(), Fault> {
    if members.len() == 0 {
        return Ok(());
    }
    let rows = members.map(|member| -> [Value; 4] {
        let Membership { role, joined_seq } = member.membership;
        let role = role_number(role).into();
        [member.room.value(), member.user.value(), role, signed(joined_seq).into()]
    });
    let text = "insert into members (room_id, user_id, role, joined_seq) values ";
    let statement = Sql::new(transaction.backend(), text).rows(rows).build();
    transaction.execute(statement).await
}

/// Takes rows away.
pub async fn remove(
    transaction: &mut Transaction,
    pairs: impl ExactSizeIterator<Item = (RoomId, UserId)>,
) -> Result<(), Fault> {
    if pairs.len() == 0 {
        return Ok(());
    }
    let text = "delete from members where (room_id, user_id) in (values ";
    let statement = Sql::new(transaction.backend(), text)
        .rows(pairs.map(|(room, user)| [room.value(), user.value()]))
        .text(")")
        .build();
    transaction.execute(statement).await
}

const fn role_number(role: Role) -> i16 {
    match role {
        Role::Member => 0,
        Role::Moderator => 1,
        Role::Owner => 2,
    }
}

pub(super) fn role_of(number: i16) -> Result<Role, Fault> {
    let roles = [Role::Member, Role::Moderator, Role::Owner];
    let found = roles.into_iter().find(|role| role_number(*role) == number);
    found.ok_or_else(|| Fault::damaged("a member of an unknown role"))
}

fn membership(role: i16, joined_seq: i64) -> Result<Membership, Fault> {
    Ok(Membership { role: role_of(role)?, joined_seq: unsigned(joined_seq)? })
}

fn record(row: &QueryResult) -> Result<MemberRecord, Fault> {
    let model = Model::from_query_result(row, "")?;
    Ok(MemberRecord {
        room: RoomId::from_bytes(*model.room_id.as_bytes()),
        user: UserId::from_bytes(*model.user_id.as_bytes()),
        membership: membership(model.role, model.joined_seq)?,
    })
}
