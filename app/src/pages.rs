//! The pages of the house and which path shows which.
//!
//! `App` provides the `Store`, the `Link` and, by `provide_page`, what the first page brought,
//! and draws `Pages` inside its router. Their law: a page is drawn whole from what is in context,
//! and what is not in the store after a change of page is asked of the server (`fetched`).

pub mod error;
mod fetched;
pub mod me;
pub mod room;
pub mod room_settings;
pub mod rooms;
pub mod setup;

use leptos::prelude::*;
use leptos_router::components::{Route, Routes};
use leptos_router::hooks::use_params_map;
use leptos_router::path;
use protocol::client::exchange::Ask;
use protocol::ids::RoomId;

use self::fetched::{Part, fetched};
use crate::browser::Hydrated;
use crate::components::form::RefusedForm;
use crate::components::header::navigated;
use crate::components::{Afloat, Header, Sidebar};
use crate::first_page::{FirstPage, RoomPage, Shown};
use crate::link::Link;
use crate::live::effect;
use crate::part::IntoPart;
use crate::routes::{LOBBY_KEY, room_path};
use crate::store::{Room, Store};
use crate::text::{Text, room_name, t};

/// Rooms of the list of which the machine is told while they are not on the screen.
const ROOMS_TOLD_MAX: usize = 32;

/// Provides what the parts of a page read of the first page: its language, the ops of its forms,
/// a refused form, and the page itself. The effect runs when the page is hydrated as it was drawn.
pub fn provide_page(page: FirstPage) {
    let hydrated = RwSignal::new(false);
    effect(move || hydrated.set(true));
    provide_context(Hydrated(hydrated));
    provide_context(page.language);
    provide_context(page.op_ids);
    provide_context(RefusedForm::new(page.refused.clone()));
    provide_context(page);
}

/// The title of the browser's tab for a page of this title, with how much is new in the user's
/// rooms, in digits; empty for nothing.
#[must_use]
pub fn tab_title(title: &str, new: &str) -> String {
    let title = format!("{title} · WasmChannel");
    if new.is_empty() { title } else { format!("({new}) {title}") }
}

/// The title of the first page, for the shell; `Header` keeps it right from then on.
#[must_use]
pub fn title_of(page: &FirstPage) -> String {
    let words = |text: Text| text.in_language(page.language).to_owned();
    let title = match &page.shown {
        Shown::Room(RoomPage { entry, .. }) | Shown::RoomSettings(entry) => {
            room_name(page.language, entry.everyone, &entry.name).to_owned()
        }
        Shown::Rooms(_) => words(Text::AllRooms),
        Shown::Me { .. } => words(Text::Yourself),
        Shown::Setup { .. } => words(Text::SetUp),
        Shown::NotFound => words(Text::NotFound),
        Shown::Broken => words(Text::OurFault),
        Shown::Busy => words(Text::Busy),
    };
    tab_title(&title, "")
}

/// The sidebar, and beside it the page of the address. `join`, `leave` and `language` are where
/// forms are sent; a refused one is answered there with the page it came from.
#[component]
pub fn Pages() -> impl IntoView {
    listen();
    view! {
        <a class="skip" href="#main" rel="external">{t(Text::SkipToPage)}</a>
        <div class="house">
            <Sidebar/>
            <Routes fallback=error::Error>
                <Route path=path!("/") view=|| view! { <room::RoomView key=LOBBY_KEY.to_owned()/> }/>
                <Route path=path!("/r/:key") view=KeyedRoom/>
                <Route path=path!("/r/:key/join") view=KeyedRoom/>
                <Route path=path!("/r/:key/leave") view=KeyedRoom/>
                <Route path=path!("/r/:key/settings") view=KeyedRoomSettings/>
                <Route path=path!("/rooms") view=rooms::RoomsPage/>
                <Route path=path!("/me") view=me::MePage/>
                <Route path=path!("/language") view=me::MePage/>
                <Route path=path!("/setup/:token") view=setup::SetupPage/>
            </Routes>
            <Afloat/>
        </div>
    }
}

/// Has the machine told of the first rooms of the list, so that what is new in them shows there and
/// opening one waits for nothing. A room that leaves the list is told no more; if it is on the
/// screen, its page asks itself when it is entered again.
fn listen() {
    let (store, link) = (expect_context::<Store>(), use_context::<Link>().unwrap_or_default());
    let mut told: Vec<RoomId> = Vec::new();
    effect(move || {
        let rooms = store.rooms.get();
        for gone in told.iter().filter(|room| !is_told(&rooms, **room)) {
            link.ask(Ask::Hide(*gone));
        }
        let now = rooms.iter().take(ROOMS_TOLD_MAX).map(|room| {
            link.ask(Ask::Show { room: room.id, cursor: room.cursor.get_untracked() });
            room.id
        });
        told = now.collect();
    });
}

/// Whether the machine is told of this room while it is not on the screen.
fn is_told(rooms: &[Room], room: RoomId) -> bool {
    rooms.iter().take(ROOMS_TOLD_MAX).any(|told| told.id == room)
}

/// The room with this key, or the page that says there is none. A room that the store does not
/// know when one comes to its page in the browser may still exist: the server is asked for it.
fn room_or_error(key: &str, page: Part<Room>) -> AnyView {
    let store = expect_context::<Store>();
    if let Some(room) = untrack(|| store.room(key)) {
        return page(room);
    }
    if !navigated() {
        return view! { <error::Error/> }.into_part();
    }
    let draw = move |shown| match shown {
        Shown::Room(shown) => page(store.visit(&shown)),
        _ => view! { <error::Error/> }.into_part(),
    };
    fetched(room_path(key), Some(key.to_owned()), Box::new(draw)).into_part()
}

/// A page that is no talk.
fn sheet(class: &'static str, title: String, content: AnyView) -> AnyView {
    view! {
        <main id="main" class=class>
            <Header title/>
            <div class="page">{content}</div>
        </main>
    }
    .into_part()
}

fn key_of_path() -> Memo<String> {
    let params = use_params_map();
    Memo::new(move |_| params.with(|params| params.get("key").unwrap_or_default()))
}

/// A room by the key of the path. A list of one key, because another key must be another element:
/// a view that only changes keeps its elements, and with them the other room's draft.
#[component]
fn KeyedRoom() -> impl IntoView {
    let key = key_of_path();
    view! {
        <For each=move || [key.get()] key=String::clone let:key>
            <room::RoomView key/>
        </For>
    }
    .into_part()
}

#[component]
fn KeyedRoomSettings() -> impl IntoView {
    let key = key_of_path();
    view! {
        <For each=move || [key.get()] key=String::clone let:key>
            <room_settings::RoomSettingsPage key/>
        </For>
    }
    .into_part()
}
