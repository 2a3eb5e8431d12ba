//! Statements of many rows: SQL text with a place for every value, for both databases.
//!
//! Used by the queries that a batch runs, where sea-query's rebuilding of a statement would cost a
//! sixth of the batch (`docs/decisions`). Its law: a value is only ever bound, never written into
//! the text; the same number of rows gives the same text, which the connection has prepared.

use std::fmt::Write;

use protocol::ids::{EventId, LogId, OpId, RoomId, UserId};
use sea_orm::prelude::Uuid;
use sea_orm::{DbBackend, QueryResult, Statement, Value};

use super::fault::Fault;

/// A statement being written.
pub(super) struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(backend: DbBackend, text: &str) -> Self {
        Self { backend, text: text.to_owned(), values: Vec::new() }
    }

    /// Appends text as it is.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends the place of one value.
    pub(super) fn value(mut self, value: impl Into<Value>) -> Self {
        self.place(value.into());
        self
    }

    /// Appends `(…), (…)`, one pair of brackets a row.
    pub(super) fn rows<const N: usize>(mut self, rows: impl Iterator<Item = [Value; N]>) -> Self {
        for (index, row) in rows.enumerate() {
            self.text.push_str(if index == 0 { "(" } else { ", (" });
            for (index, value) in row.into_iter().enumerate() {
                if index > 0 {
                    self.text.push_str(", ");
                }
                self.place(value);
            }
            self.text.push(')');
        }
        self
    }

    pub(super) fn build(self) -> Statement {
        Statement::from_sql_and_values(self.backend, self.text, self.values)
    }

    fn place(&mut self, value: Value) {
        self.values.push(value);
        if self.backend == DbBackend::Postgres {
            // Writing into a string cannot fail.
            let _ = write!(self.text, "${}", self.values.len());
        } else {
            self.text.push('?');
        }
    }
}

/// A statement that reads, and how a row of its answer is understood.
pub struct Question<T> {
    pub(super) statement: Option<Statement>,
    pub(super) read: fn(&QueryResult) -> Result<T, Fault>,
}

impl<T> Question<T> {
    pub(super) fn new(sql: Sql, read: fn(&QueryResult) -> Result<T, Fault>) -> Self {
        Self { statement: Some(sql.build()), read }
    }

    /// One about nothing, whose answer is known to be empty.
    pub(super) const fn none(read: fn(&QueryResult) -> Result<T, Fault>) -> Self {
        Self { statement: None, read }
    }
}

/// Sixteen bytes that name something.
pub(super) trait Named: Copy {
    fn raw(self) -> [u8; 16];

    fn uuid(self) -> Uuid {
        Uuid::from_bytes(self.raw())
    }

    fn value(self) -> Value {
        self.uuid().into()
    }
}

macro_rules! named {
    ($($type:ty)*) => {$(
        impl Named for $type {
            fn raw(self) -> [u8; 16] {
                self.bytes()
            }
        }
    )*};
}

named! { RoomId UserId OpId EventId protocol::ids::DeviceId }

impl Named for LogId {
    fn raw(self) -> [u8; 16] {
        self.id
    }
}

/// A 64-bit value that is no number (epoch, tag, hash), as the databases hold it.
pub(super) const fn bits(value: u64) -> i64 {
    i64::from_le_bytes(value.to_le_bytes())
}

/// The same read back.
pub(super) const fn from_bits(value: i64) -> u64 {
    u64::from_le_bytes(value.to_le_bytes())
}

/// A number as the databases hold it; none of ours comes near the bound.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How many rows or bytes are asked for.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number read back.
pub(super) fn unsigned(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(Fault::damaged)
}
