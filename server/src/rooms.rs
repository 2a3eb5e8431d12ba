//! Rooms: what a key is, what may be written, who may do what.
//!
//! Called by the judge inside the transaction and by the doors. Its law: nothing here knows a
//! socket, a page or the database.

pub mod key;
pub mod roster;
pub mod words;
