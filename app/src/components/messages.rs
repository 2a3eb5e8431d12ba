//! The messages of a room, oldest first, and the way to still older ones.
//!
//! The pane around it opens at its end and holds what is read where it is (`style/layout.css`), so
//! nothing here moves it. Older messages are a link to a page; with a script they are read into
//! the list when its beginning comes near.

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use protocol::client::exchange::Ask;

use super::message::MessageRow;
use crate::browser::Hydrated;
use crate::link::Link;
use crate::live::live;
use crate::part::IntoPart;
use crate::routes::room_path;
use crate::store::{OlderState, Room, Row};
use crate::text::{Text, t};

/// The messages of a room.
#[component]
pub fn Messages(
    /// Whose messages.
    room: Room,
    /// Whether older ones come, which nobody reads aloud unasked.
    busy: RwSignal<bool>,
) -> impl IntoView {
    let shown = room.clone();
    let empty = {
        let (rows, older) = (room.rows.clone(), room.older.clone());
        move || older.get() == OlderState::Start && rows.with(Vec::is_empty)
    };
    view! {
        <div
            class="log column"
            role="log"
            tabindex="0"
            aria-label=t(Text::Messages)
            aria-busy=live(move || busy.get().then_some("true"))
        >
            {live(move || empty().then(|| view! { <EmptyRoom/> }.into_part()))}
            <ol class="rows">
                <li class="older"><Older room=room.clone()/></li>
                <For each=move || shown.shown() key=|row| row.number let:row>
                    <MessageRow row is_inside=true/>
                </For>
            </ol>
        </div>
    }
    .into_part()
}

/// Asks for older messages, where there are some that were not asked for yet.
pub fn ask_older(room: &Room, link: &Link) {
    if room.older.get_untracked() == OlderState::More
        && let Some(before) = first_number(room)
    {
        room.older.set(OlderState::Loading);
        link.ask(Ask::Older { room: room.id, before });
    }
}

fn first_number(room: &Room) -> Option<u64> {
    room.rows.with_untracked(|rows| rows.iter().find_map(Row::seq))
}

/// What stands above the first message.
#[component]
fn Older(room: Room) -> impl IntoView {
    let link = use_context::<Link>().unwrap_or_default();
    let hydrated = use_context::<Hydrated>();
    live(move || match room.older.get() {
        OlderState::More | OlderState::Loading => {
            let before = first_number(&room).unwrap_or_default();
            let address = format!("{}?before={before}", room_path(&room.key));
            let (room, link) = (room.clone(), link.clone());
            let read = move |event: MouseEvent| {
                if link.leads() {
                    event.prevent_default();
                    ask_older(&room, &link);
                }
            };
            // With a script the way from the head to the composer does not lead over the beginning.
            let index = hydrated.is_some_and(|hydrated| hydrated.0.get()).then_some("-1");
            view! {
                <a href=address rel="external" tabindex=index on:click=read>{t(Text::ShowOlder)}</a>
            }
            .into_part()
        }
        OlderState::Start if !room.rows.with(Vec::is_empty) => {
            view! { <span>{t(Text::RoomBegins)}</span> }.into_part()
        }
        OlderState::Unread | OlderState::Start => ().into_part(),
    })
}

#[component]
fn EmptyRoom() -> impl IntoView {
    view! {
        <div class="empty contours">
            <h2 class="heading">{t(Text::EmptyRoom)}</h2>
            <p class="empty-words">{t(Text::EmptyRoomHelp)}</p>
        </div>
    }
}
