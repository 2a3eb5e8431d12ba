//! What outlives the page: texts and how far rooms were read, in `localStorage`; one note, the tab's
//! name and where its reader was in `sessionStorage`.
//!
//! Either may be full or forbidden; then nothing is kept and nothing fails. No secret is ever in
//! here: the sign-in is a cookie that no script reads. A text belongs to one tab. A tab says by a
//! lock that it lives; what tabs left that are gone is taken over by another one (`outbox` decides
//! when). A text that left the composer stays until its message is kept there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use app::store::Keeper;
use leptos::prelude::window;
use protocol::ids::{OpId, RoomId};
use web_sys::Storage;

use crate::{clock, lock, page};

const RELOADED: &str = "reloaded";
const TAB: &str = "tab";
const PLACE: &str = "place";
const DRAFT: &str = "draft:";
const SENT: &str = "sent:";
/// Letters of a tab's name.
pub(crate) const TAB_BYTES: usize = 16;

/// The browser's shelf, as this tab uses it.
#[derive(Clone)]
pub(crate) struct Shelf {
    /// The tab's name, one for all that use the shelf.
    tab: Arc<Mutex<String>>,
    /// What this tab's former page had sent, by key.
    sent_before: Vec<String>,
}

/// What the key of a text says.
struct Text<'a> {
    room: &'a str,
    tab: &'a str,
    /// It was sent; else it stood in a composer.
    op_id: Option<OpId>,
}

impl Shelf {
    /// Takes up the name under which this tab kept its texts before it was loaded anew, or a new
    /// one. While the page lives its name is not in `sessionStorage`: a browser that duplicates a
    /// tab copies that, and two tabs would be one. Without locks it stays there, since nobody else
    /// would find the texts of a tab that crashed.
    pub(crate) fn open() -> Self {
        let kept = session().and_then(|storage| storage.get_item(TAB).ok().flatten());
        let kept = kept.filter(|name| name.len() == TAB_BYTES);
        let tab = kept.unwrap_or_else(new_name);
        let sent = |key: &String| parse(key).is_some_and(|it| it.tab == tab && it.op_id.is_some());
        let sent_before = keys().into_iter().filter(sent).collect();
        let shelf = Self { tab: Arc::new(Mutex::new(tab)), sent_before };
        if lock::are_known() {
            drop_name();
            let left = shelf.clone();
            page::listen(&window(), "pagehide", move |_| put_name(&left.tab()));
            page::listen(&window(), "pageshow", |_| drop_name());
        } else {
            put_name(&shelf.tab());
        }
        shelf
    }

    /// The tab's name: `TAB_BYTES` letters.
    pub(crate) fn tab(&self) -> String {
        self.tab.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a new name. What lies under the old one is another tab's then.
    pub(crate) fn rename(&mut self) {
        let name = new_name();
        if !lock::are_known() {
            put_name(&name);
        }
        self.sent_before.clear();
        *self.tab.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// The other tabs whose texts are here, each once.
    pub(crate) fn other_tabs(&self) -> BTreeSet<String> {
        let own = self.tab();
        let tabs = keys().into_iter().filter_map(|key| {
            let owner = parse(&key)?.tab;
            (owner != own).then(|| owner.to_owned())
        });
        tabs.collect()
    }

    /// Takes over all texts of a tab that is gone, but those of messages that are kept.
    pub(crate) fn inherit(&self, tab: &str, kept: &BTreeSet<OpId>) {
        let of_tab = |key: &String| parse(key).is_some_and(|it| it.tab == tab);
        self.find(keys().into_iter().filter(of_tab).collect(), kept);
    }

    /// Takes back what this tab's former page had sent, but what is kept.
    pub(crate) fn take_back(&self, kept: &BTreeSet<OpId>) {
        self.find(self.sent_before.clone(), kept);
    }

    /// Makes these texts found ones of this tab, in their order.
    fn find(&self, mut keys: Vec<String>, kept: &BTreeSet<OpId>) {
        let Some(storage) = local() else { return };
        keys.sort_by_key(|key| !key.starts_with(SENT));
        for key in keys {
            let (Some(Text { room, op_id, .. }), Ok(Some(text))) =
                (parse(&key), storage.get_item(&key))
            else {
                continue;
            };
            let is_kept = op_id.is_some_and(|op_id| kept.contains(&op_id));
            let heir = found_key(room, &self.tab());
            let before = storage.get_item(&heir).ok().flatten();
            let all = before.map_or_else(|| text.clone(), |before| format!("{before}\n{text}"));
            if is_kept || storage.set_item(&heir, &all).is_ok() {
                let _ = storage.remove_item(&key);
            }
        }
    }
}

impl Keeper for Shelf {
    fn draft(&self, room: RoomId) -> Option<String> {
        local()?.get_item(&draft_key(&room.to_string(), &self.tab())).ok().flatten()
    }

    fn keep_draft(&self, room: RoomId, text: &str) {
        write(&draft_key(&room.to_string(), &self.tab()), text);
    }

    fn note_sent(&self, room: RoomId, op_id: OpId, text: &str) {
        write(&format!("{SENT}{room}:{}:{op_id}", self.tab()), text);
    }

    fn take_found(&self, room: RoomId) -> Option<String> {
        let key = found_key(&room.to_string(), &self.tab());
        let found = local()?.get_item(&key).ok().flatten();
        write(&key, "");
        found
    }

    fn read_to(&self, room: RoomId) -> Option<u64> {
        local()?.get_item(&read_key(room)).ok().flatten()?.parse().ok()
    }

    fn keep_read_to(&self, room: RoomId, seq: u64) {
        write(&read_key(room), &seq.to_string());
    }

    fn take_place(&self, room: RoomId, newest: u64) -> Option<u64> {
        let storage = session()?;
        let kept = storage.get_item(PLACE).ok().flatten()?;
        let _ = storage.remove_item(PLACE);
        kept.strip_prefix(&place_of(room, newest))?.parse().ok()
    }

    fn keep_place(&self, place: Option<(RoomId, u64, u64)>) {
        let Some(storage) = session() else { return };
        let _ = match place {
            None => storage.remove_item(PLACE),
            Some((room, newest, below)) => {
                storage.set_item(PLACE, &(place_of(room, newest) + &below.to_string()))
            }
        };
    }
}

fn write(key: &str, text: &str) {
    let Some(storage) = local() else { return };
    let _ = if text.is_empty() { storage.remove_item(key) } else { storage.set_item(key, text) };
}

fn draft_key(room: &str, tab: &str) -> String {
    format!("{DRAFT}{room}:{tab}")
}

fn found_key(room: &str, tab: &str) -> String {
    format!("{DRAFT}{room}:{tab}:found")
}

fn place_of(room: RoomId, newest: u64) -> String {
    format!("{room}:{newest}:")
}

fn read_key(room: RoomId) -> String {
    format!("read:{room}")
}

fn parse(key: &str) -> Option<Text<'_>> {
    let sent = key.strip_prefix(SENT);
    let mut parts = sent.or_else(|| key.strip_prefix(DRAFT))?.split(':');
    let (room, tab) = (parts.next()?, parts.next()?);
    let op_id = match sent {
        Some(_) => Some(parts.next()?.parse().ok()?),
        None => None,
    };
    Some(Text { room, tab, op_id })
}

fn keys() -> Vec<String> {
    let Some(storage) = local() else { return Vec::new() };
    let count = storage.length().unwrap_or(0);
    (0..count).filter_map(|index| storage.key(index).ok().flatten()).collect()
}

fn new_name() -> String {
    format!("{:016x}", u64::from_le_bytes(clock::chance()))
}

fn put_name(tab: &str) {
    let _ = session().map(|storage| storage.set_item(TAB, tab));
}

fn drop_name() {
    let _ = session().map(|storage| storage.remove_item(TAB));
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
