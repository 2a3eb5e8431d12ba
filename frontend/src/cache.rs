//! The machine's cache: the newest pages of the last rooms, in the browser's database.
//!
//! Its law: a page and its cursor are one record, put in one transaction, and nobody waits for it.
//! Where there is no database, or it refuses, nothing is kept and nothing fails.

use std::cell::OnceCell;
use std::rc::Rc;

use protocol::client::cache::Cached;
use protocol::ids::RoomId;

use crate::database::{Database, PAGES};

/// The pages, once the database is open and was read; a clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Cache(Rc<OnceCell<Rc<Database>>>);

impl Cache {
    /// Gives what lies there, and whether more is taken. What this build cannot read another one
    /// wrote: all of it goes.
    pub(crate) async fn open(&self, database: Option<Rc<Database>>) -> (Vec<Cached>, bool) {
        let Some(database) = database else { return (Vec::new(), false) };
        let Some(all) = database.all(PAGES).await else { return (Vec::new(), false) };
        let pages: Option<Vec<Cached>> = all.iter().map(|it| Cached::from_bytes(it)).collect();
        if pages.is_none() {
            database.clear(PAGES);
        }
        let _ = self.0.set(database);
        (pages.unwrap_or_default(), true)
    }

    /// Writes a page in the place of the room's last one; `false` where it cannot be.
    pub(crate) fn write(&self, page: Cached) -> bool {
        let room = page.snapshot.room.id;
        let (Some(database), Some(bytes)) = (self.0.get(), page.into_bytes()) else { return false };
        let _ = database.put(PAGES, &room.to_string(), &bytes);
        true
    }

    /// Throws the page of this room away.
    pub(crate) fn forget(&self, room: RoomId) {
        if let Some(database) = self.0.get() {
            database.remove(PAGES, &room.to_string());
        }
    }

    /// Throws all pages away. Before they were read it cannot; the machine says it again then.
    pub(crate) fn forget_all(&self) {
        if let Some(database) = self.0.get() {
            database.clear(PAGES);
        }
    }
}
