//! The open rooms of the house, to be entered. On a phone also where one's own rooms stand.
//!
//! Always asked of the server, page by page: what others made meanwhile comes with the next look.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};
use protocol::act::{Act, Enter};
use protocol::ids::OpId;

use super::fetched::fetched;
use super::sheet;
use crate::browser::lowercase;
use crate::components::form::{Sending, act_form};
use crate::components::header::navigated;
use crate::first_page;
use crate::first_page::{FirstPage, FormOps, OpenRoom, RoomPage, Shown};
use crate::live::{effect, live};
use crate::part::IntoPart;
use crate::routes::{ROOMS_PATH, room_part_path, room_path};
use crate::store::Store;
use crate::text::{Count, Text, counted, t};

/// The page of all rooms: the first page has them, and any later one asks for them.
#[component]
pub fn RoomsPage() -> impl IntoView {
    let query = use_query_map();
    let rooms = live(move || rooms_behind(query.with(|query| query.get("after"))));
    sheet("pane page-rooms", t(Text::AllRooms).to_owned(), rooms.into_part())
}

/// The open rooms behind this key.
fn rooms_behind(after: Option<String>) -> AnyView {
    let draw = |shown| match shown {
        Shown::Rooms(page) => list(page),
        _ => ().into_part(),
    };
    if !navigated() {
        return draw(use_context::<FirstPage>().map(|page| page.shown).unwrap_or_default());
    }
    let path = after.map_or_else(|| ROOMS_PATH.to_owned(), |after| page_path(&after));
    fetched(path, None, Box::new(draw)).into_part()
}

fn page_path(after: &str) -> String {
    format!("{ROOMS_PATH}?after={after}")
}

fn list(page: first_page::RoomsPage) -> AnyView {
    let op = use_context::<FormOps>().unwrap_or_default().enter;
    let next = page.after.map(|after| page_path(&after));
    let empty = page.rooms.is_empty();
    let name = |room: &OpenRoom| lowercase(&room.entry.name);
    let names: Vec<String> = page.rooms.iter().map(name).collect();
    let store = expect_context::<Store>();
    let is_alone = |room: &OpenRoom| {
        names.iter().filter(|other| **other == name(room)).count() == 1
            && !untrack(|| store.has_namesake(room.entry.id, &room.entry.name))
    };
    let (told, visited) = (page.rooms.clone(), store.clone());
    effect(move || {
        for OpenRoom { entry, member_count, .. } in told.iter().filter(|room| !room.member) {
            let (entry, member_count) = (entry.clone(), *member_count);
            visited.visit(&RoomPage { entry, member_count, inside: None });
        }
    });
    view! {
        {empty.then(|| view! { <p class="page-words">{t(Text::NoRooms)}</p> })}
        <ul>
            {page
                .rooms
                .into_iter()
                .map(|room| {
                    let keyed = !is_alone(&room);
                    view! { <OpenRoomRow room keyed op/> }
                })
                .collect_view()}
        </ul>
        {next.map(|next| view! {
            <p class="page-next"><a href=next>{t(Text::MoreRooms)}</a></p>
        })}
    }
    .into_part()
}

/// A room with its topic, its count and the one thing to do. Only one Join form of a page can be
/// sent without a script, so all of them carry the same op.
#[component]
fn OpenRoomRow(
    room: OpenRoom,
    /// Another is called so, too.
    keyed: bool,
    op: OpId,
) -> impl IntoView {
    let OpenRoom { entry, member_count, member } = room;
    let (path, id, store) = (room_path(&entry.key), entry.id, expect_context::<Store>());
    let (sending, rooms) = (Sending::new(None), store.rooms.clone());
    let is_own = move || member || rooms.with(|rooms| rooms.iter().any(|room| room.id == id));
    let (entered, open, entering) = (sending.clone(), path.clone(), is_own.clone());
    effect(move || {
        if entered.done().is_some() && entering() {
            use_navigate()(&open, NavigateOptions::default());
        }
    });
    let (open, key) = (path.clone(), entry.key.clone());
    let act = move || {
        if is_own() {
            view! { <a class="button" href=open.clone()>{t(Text::OpenRoom)}</a> }.into_part()
        } else {
            let button = view! { <button class="button">{t(Text::JoinRoom)}</button> };
            let form = ("rooms-join", room_part_path(&key, "join"), op);
            let act = Act::Enter(Enter { key: key.clone() });
            act_form(sending.clone(), form, act, button.into_part())
        }
    };
    let count = counted(Count::Members, member_count);
    let topic = (!entry.topic.is_empty()).then(|| entry.topic.into_string());
    view! {
        <li class="rooms-row">
            <div class="rooms-words">
                <a class="rooms-name" href=path dir="auto">{entry.name.into_string()}</a>
                <span class="rooms-about">
                    {keyed.then(|| view! { <bdi>{entry.key.into_string()}</bdi> " · " })}
                    {count}
                    {topic.map(|topic| view! { " · " <bdi>{topic}</bdi> })}
                </span>
            </div>
            {live(act)}
        </li>
    }
    .into_part()
}
