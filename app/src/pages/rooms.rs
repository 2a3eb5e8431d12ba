//! The open rooms of the house, to be entered. On a phone also where one's own rooms stand.
//!
//! Always asked of the server, page by page: what others made meanwhile comes with the next look.

use leptos::prelude::*;
use protocol::ids::OpId;

use super::error::Error;
use crate::components::Header;
use crate::components::form::FormOp;
use crate::first_page::{FirstPage, FormOps, OpenRoom, Shown};
use crate::part::IntoPart;
use crate::routes::{ROOMS_PATH, room_part_path, room_path};
use crate::store::Store;
use crate::text::{Count, Text, counted, t};

/// The page of all rooms, as it was loaded: it is always opened by a link that loads it.
#[component]
pub fn RoomsPage() -> impl IntoView {
    let Some(FirstPage { shown: Shown::Rooms(page), .. }) = use_context() else {
        return view! { <Error/> }.into_part();
    };
    let op = use_context::<FormOps>().unwrap_or_default().enter;
    let next = page.after.map(|after| format!("{ROOMS_PATH}?after={}", &*after));
    let empty = page.rooms.is_empty();
    let name = |room: &OpenRoom| room.entry.name.to_lowercase();
    let names: Vec<String> = page.rooms.iter().map(name).collect();
    let store = expect_context::<Store>();
    let is_alone = |room: &OpenRoom| {
        names.iter().filter(|other| **other == name(room)).count() == 1
            && !untrack(|| store.has_namesake(room.entry.id, &room.entry.name))
    };
    view! {
        <main id="main" class="pane page-rooms">
            <Header title=t(Text::AllRooms).to_owned()/>
            <div class="page">
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
                    <p class="page-next"><a href=next rel="external">{t(Text::MoreRooms)}</a></p>
                })}
            </div>
        </main>
    }
    .into_part()
}

/// A room with its topic, its count and the one thing to do. Only one Join form of a page can be
/// sent, so all of them carry the same op.
#[component]
fn OpenRoomRow(
    room: OpenRoom,
    /// Another is called so, too.
    keyed: bool,
    op: OpId,
) -> impl IntoView {
    let OpenRoom { entry, member_count, member } = room;
    let path = room_path(&entry.key);
    let count = counted(Count::Members, member_count);
    let topic = (!entry.topic.is_empty()).then(|| entry.topic.into_string());
    let act = if member {
        view! { <a class="button" href=path.clone() rel="external">{t(Text::OpenRoom)}</a> }
            .into_part()
    } else {
        view! {
            <form method="post" action=room_part_path(&entry.key, "join")>
                <FormOp op/>
                <button class="button">{t(Text::JoinRoom)}</button>
            </form>
        }
        .into_part()
    };
    view! {
        <li class="rooms-row">
            <div class="rooms-words">
                <a class="rooms-name" href=path rel="external" dir="auto">{entry.name.into_string()}</a>
                <span class="rooms-about">
                    {keyed.then(|| view! { <bdi>{entry.key.into_string()}</bdi> " · " })}
                    {count}
                    {topic.map(|topic| view! { " · " <bdi>{topic}</bdi> })}
                </span>
            </div>
            {act}
        </li>
    }
    .into_part()
}
