//! Queries about who stands in which room.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: in a room of everybody a row exists
//! only where somebody's role differs; who has none there is a member all the same.

use protocol::ids::{RoomId, UserId};
use protocol::model::Role;
use sea_orm::{FromQueryResult, Value};

use super::entity::members::Model;
use super::fault::Fault;
use super::statement::{Named, Sql, signed, unsigned};
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

/// Those of the named pairs that stand in the roster.
pub async fn known(
    transaction: &mut Transaction,
    pairs: impl ExactSizeIterator<Item = (RoomId, UserId)>,
) -> Result<Vec<MemberRecord>, Fault> {
    if pairs.len() == 0 {
        return Ok(Vec::new());
    }
    let text = "select room_id, user_id, role, joined_seq from members \
        where (room_id, user_id) in (values ";
    let statement = Sql::new(transaction.backend(), text)
        .rows(pairs.map(|(room, user)| [room.value(), user.value()]))
        .text(")")
        .build();
    let rows = transaction.rows(statement).await?;
    rows.iter().map(|row| record(&Model::from_query_result(row, "")?)).collect()
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
    transaction.execute(statement).await.map(drop)
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
    transaction.execute(statement).await.map(drop)
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

fn record(model: &Model) -> Result<MemberRecord, Fault> {
    Ok(MemberRecord {
        room: RoomId::from_bytes(*model.room_id.as_bytes()),
        user: UserId::from_bytes(*model.user_id.as_bytes()),
        membership: Membership {
            role: role_of(model.role)?,
            joined_seq: unsigned(model.joined_seq)?,
        },
    })
}
