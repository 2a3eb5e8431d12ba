//! The one port of the app: what it asks of a server before it draws a page.
//!
//! The server implements `Backend` and provides a `AnyBackend`; tests can implement it with a few
//! lines. Its law: values of the protocol only, no type of a database or of a web framework.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use protocol::ids::UserId;
use protocol::model::{RoomEntry, RoomKey};

use crate::first_page::{RoomPage, RoomsPage};

/// An answer under way, in a box so that the port can be a trait object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// The house cannot answer now; it has logged why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// What a page needs to know before it is drawn. The user is nobody for a visitor without a
/// cookie, who sees what everybody may see.
pub trait Backend: Send + Sync + 'static {
    /// His rooms, the lobby first.
    fn rooms(&self, user: Option<UserId>) -> Answer<'_, Vec<RoomEntry>>;

    /// The room with this key as its page shows it first, with its newest messages or those
    /// before a number; nothing where there is no such room.
    fn room(
        &self,
        user: Option<UserId>,
        key: RoomKey,
        before: Option<u64>,
    ) -> Answer<'_, Option<RoomPage>>;

    /// The open rooms behind this key.
    fn open_rooms(&self, user: Option<UserId>, after: Option<RoomKey>) -> Answer<'_, RoomsPage>;

    /// Whether this token of a setup link is good.
    fn setup_is_open(&self, token: String) -> Answer<'_, bool>;
}

/// The server's side of the port.
#[derive(Clone)]
pub struct AnyBackend(Arc<dyn Backend>);

impl AnyBackend {
    /// Takes whoever answers.
    pub fn new(backend: impl Backend) -> Self {
        Self(Arc::new(backend))
    }
}

impl Deref for AnyBackend {
    type Target = dyn Backend;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
