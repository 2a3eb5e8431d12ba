//! A socket as the world sees it: its pipe, its bystander, and what each end knows of its end.
//!
//! Made when a tab opens a socket, forgotten when both ends know that it is over.

use std::collections::BTreeMap;

use protocol::ids::UserId;
use server::outlet::SocketId;

use crate::pipe::Pipe;
use crate::wire::Wire;

/// All sockets, by a number that is never used again.
pub(crate) type Links = BTreeMap<SocketId, Link>;

/// A socket between a tab and the house, from opening to the last byte.
pub(crate) struct Link {
    pub(crate) pipe: Pipe,
    pub(crate) user: UserId,
    pub(crate) wire: Wire,
    pub(crate) tab: usize,
    pub(crate) number: u32,
    pub(crate) opens_at: Option<u64>,
    pub(crate) client_hears_at: Option<u64>,
    pub(crate) house_hears_at: Option<u64>,
    pub(crate) client_open: bool,
    pub(crate) house_open: bool,
}

impl Link {
    /// A socket that a tab opens, which the house may take at `opens_at`.
    pub(crate) fn new(pipe: Pipe, user: UserId, tab: usize, number: u32, opens_at: u64) -> Self {
        Self {
            pipe,
            user,
            wire: Wire::default(),
            tab,
            number,
            opens_at: Some(opens_at),
            client_hears_at: None,
            house_hears_at: None,
            client_open: true,
            house_open: false,
        }
    }
}
