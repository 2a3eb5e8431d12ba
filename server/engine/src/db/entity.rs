//! The rows of the tables as sea-orm reads and writes them, one table a file.
//!
//! Private to `db`: what leaves it are records in the types of the protocol. `logs` and `ops` have
//! no entity, for they are only ever read and written in batches.

#![expect(unreachable_pub, reason = "sea-orm's derive makes all of an entity public")]

pub(super) mod events;
pub(super) mod members;
pub(super) mod messages;
pub(super) mod rooms;
pub(super) mod sign_ins;
pub(super) mod users;
