//! What outlives the page: drafts in `localStorage`, and one note in `sessionStorage`.
//!
//! Either may be full or forbidden; then nothing is kept and nothing fails. No secret is ever in
//! here: the sign-in is a cookie that no script reads.

use app::store::Keeper;
use leptos::prelude::window;
use web_sys::Storage;

const RELOADED: &str = "reloaded";

/// The browser's shelf of texts.
pub(crate) struct Shelf;

impl Keeper for Shelf {
    fn read(&self, name: &str) -> Option<String> {
        local()?.get_item(name).ok().flatten()
    }

    fn write(&self, name: &str, text: &str) {
        let Some(storage) = local() else { return };
        let _ =
            if text.is_empty() { storage.remove_item(name) } else { storage.set_item(name, text) };
    }
}

/// The storage that all tabs of the browser share.
pub(crate) fn local() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// Whether this tab was loaded anew because it spoke another version than the server.
pub(crate) fn was_reloaded() -> bool {
    session().is_some_and(|storage| storage.get_item(RELOADED).ok().flatten().is_some())
}

/// Notes that it is, or that all is well again.
pub(crate) fn note_reloaded(reloaded: bool) {
    let Some(storage) = session() else { return };
    let _ = if reloaded { storage.set_item(RELOADED, "1") } else { storage.remove_item(RELOADED) };
}

fn session() -> Option<Storage> {
    window().session_storage().ok().flatten()
}
