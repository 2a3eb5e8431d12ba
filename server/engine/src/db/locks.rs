//! The locks of a batch, for a database in which several transactions write at once.
//!
//! Taken by `history/sql.rs` before its reads. Its law: users first, then logs, each in the order of
//! their ids and as strongly as they are written, so that nobody waits in a circle (decision 0010).
//! What a batch is judged by cannot change before it is stored. SQLite has one writer, whose
//! transaction is the lock.

use protocol::ids::{LogId, UserId};
use protocol::model::RoomKey;
use sea_orm::DbBackend;

use super::fault::Fault;
use super::statement::{Named, Sql};
use super::transaction::Transaction;

/// What a transaction does with the accounts that it locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accounts {
    /// Others may do the same meanwhile.
    Read,
    /// It may write to any of them. A lock that is raised only then could be waited for in a circle
    /// with who has it shared, too; all of them, for they are locked in one order.
    Changed,
}

/// Holds these accounts as they are, and these logs, and the logs of the rooms with these keys, for
/// this transaction alone.
pub async fn take(
    transaction: &mut Transaction,
    (users, use_of_them): (impl ExactSizeIterator<Item = UserId>, Accounts),
    logs: impl ExactSizeIterator<Item = LogId>,
    keys: impl ExactSizeIterator<Item = &RoomKey>,
) -> Result<(), Fault> {
    if transaction.backend() != DbBackend::Postgres {
        return Ok(());
    }
    if users.len() > 0 {
        let statement = Sql::new(DbBackend::Postgres, "select id from users where id in (values ")
            .rows(users.map(|user| [user.value()]))
            .text(match use_of_them {
                Accounts::Read => ") order by id for share",
                Accounts::Changed => ") order by id for no key update",
            })
            .build();
        transaction.execute(statement).await?;
    }
    take_logs(transaction, logs, keys).await
}

/// `for no key update` excludes every other writer, but not the foreign key of a row that names a
/// log without writing to it: that would be a wait out of order.
async fn take_logs(
    transaction: &mut Transaction,
    logs: impl ExactSizeIterator<Item = LogId>,
    keys: impl ExactSizeIterator<Item = &RoomKey>,
) -> Result<(), Fault> {
    let (by_id, by_key) = (logs.len() > 0, keys.len() > 0);
    if !by_id && !by_key {
        return Ok(());
    }
    let mut sql = Sql::new(DbBackend::Postgres, "select id from logs where ");
    if by_id {
        sql = sql.text("id in (values ").rows(logs.map(|log| [log.value()])).text(")");
    }
    if by_id && by_key {
        sql = sql.text(" or ");
    }
    if by_key {
        let rows = keys.map(|key| [key.to_string().into()]);
        sql = sql.text("id in (select rooms.id from rooms where rooms.key in (values ");
        sql = sql.rows(rows).text("))");
    }
    let statement = sql.text(" order by id for no key update").build();
    transaction.execute(statement).await
}
