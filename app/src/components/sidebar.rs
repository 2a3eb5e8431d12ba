//! The sidebar: the brand, the user's rooms, a form for a new one, and himself at the foot.
//!
//! It stands beside every page and outlives a change of page. On a phone it is shown with the
//! list of rooms only.

use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_navigate};
use leptos_router::location::Url;
use protocol::act::{Act, Create};
use protocol::ids::UserId;
use protocol::limits::ROOM_NAME_CHARS_MAX;
use protocol::model::{Me, Rank, RoomName};

use super::flag::Flag;
use super::form::{Field, FormOp, RefusedForm, Sending};
use super::icon::{Icon, Sign};
use crate::first_page::{Form, FormOps};
use crate::live::{effect, live};
use crate::part::IntoPart;
use crate::routes::{ME_PATH, ROOMS_PATH, room_path};
use crate::store::{Room, Store};
use crate::text::{Count, Text, counted, new_digits, t};

/// The sidebar of every page.
#[component]
pub fn Sidebar() -> impl IntoView {
    let store = expect_context::<Store>();
    let pathname = use_location().pathname;
    let here = Memo::new(move |_| pathname.with(|pathname| Url::unescape(pathname)));
    let current = move |path: &str| here.with(|here| here == path).then_some("page");
    view! {
        <nav class="sidebar" aria-label=t(Text::Rooms)>
            <a class="brand" href="/">
                <Icon sign=Sign::Brand/>
                <span>"WasmChannel"</span>
            </a>
            <div class="sidebar-rooms">
                <NewRoom/>
                <ul>
                    <For each=move || store.listed() key=|room| room.id let:room>
                        <RoomItem room current/>
                    </For>
                </ul>
                <a
                    class="sidebar-item sidebar-item-all"
                    href=ROOMS_PATH
                    aria-current=live(move || current(ROOMS_PATH))
                >
                    <Icon sign=Sign::List small=true/>
                    {t(Text::AllRooms)}
                </a>
            </div>
            <Oneself current/>
        </nav>
    }
    .into_part()
}

#[component]
fn RoomItem<F>(room: Room, current: F) -> impl IntoView
where
    F: Fn(&str) -> Option<&'static str> + Copy + Send + 'static,
{
    let path = room_path(&room.key);
    let (named, counted_room, store) = (room.clone(), room.clone(), expect_context::<Store>());
    let (tried, tried_in) = (room.clone(), path.clone());
    let unsent = move || {
        let (sign, class, words) = match tried.has_failed() {
            true => (Sign::Alert, "sidebar-unsent sidebar-failed", Text::Failed),
            // Of the room that is open the page says so.
            false if tried.has_waiting() && current(&tried_in).is_none() => {
                (Sign::Clock, "sidebar-unsent", Text::Pending)
            }
            false => return None,
        };
        let mark = view! {
            <span class=class>
                <Icon sign=sign small=true/>
                <span class="spoken">{t(words)}</span>
            </span>
        };
        Some(mark.into_part())
    };
    let key = move || {
        let key = store.key_among(&room);
        key.map(|key| view! { <bdi class="sidebar-item-key">{key}</bdi> }.into_part())
    };
    let unread = move || {
        let (count, more) = counted_room.unread();
        (count > 0).then(|| {
            view! {
                <span class="sidebar-count">
                    <span aria-hidden="true">{new_digits(count, more)}</span>
                    <span class="spoken">{counted(Count::New, count)}</span>
                </span>
            }
            .into_part()
        })
    };
    view! {
        <li>
            <a class="sidebar-item" href=path.clone() aria-current=live(move || current(&path))>
                <bdi class="sidebar-item-name">{live(move || named.title())}</bdi>
                {live(key)}
                {live(unsent)}
                {live(unread)}
            </a>
        </li>
    }
    .into_part()
}

/// Where and with which name a room was asked for: its page is opened for who stays there.
#[derive(Clone, Copy)]
struct Asked {
    /// The page; empty as soon as the focus went elsewhere in it, where one writes or reads.
    path: StoredValue<String>,
    /// What stood in the field.
    name: StoredValue<String>,
}

/// The head of the list of rooms, which unfolds into the form for a new one. When the room is
/// made, its page is opened.
#[component]
fn NewRoom() -> impl IntoView {
    let refused = RefusedForm::take(Form::Create);
    let sending = Sending::new(refused.clone());
    let op = use_context::<FormOps>().unwrap_or_default().create;
    let (input, details) = (NodeRef::<html::Input>::new(), NodeRef::<html::Details>::new());
    let summary = NodeRef::<html::Summary>::new();
    let (open, value) = (refused.is_some(), refused.map(|it| it.text).unwrap_or_default());
    let pathname = use_location().pathname;
    let asked =
        Asked { path: StoredValue::new(String::new()), name: StoredValue::new(String::new()) };
    open_when_made(sending.clone(), input, details, asked);
    let noted = sending.clone();
    let submit = move |event: SubmitEvent| {
        let value = input.get_untracked().map(|input| input.value()).unwrap_or_default();
        let name = RoomName::new(&*value).ok();
        asked.path.set_value(pathname.get_untracked());
        asked.name.set_value(value);
        sending.submit(&event, name.map(|name| Act::Create(Create { name })));
    };
    let escape = move |event: KeyboardEvent| {
        if let Some(details) = details.get_untracked().filter(|_| event.key() == "Escape") {
            let _ = details.remove_attribute("open");
            let _ = summary.get_untracked().map(|summary| summary.focus());
        }
    };
    let unfolded = move |_| {
        if details.get_untracked().is_some_and(|details| details.open()) {
            let _ = input.get_untracked().map(|input| input.focus());
        }
    };
    view! {
        <details open=open node_ref=details on:keydown=escape on:toggle=unfolded>
            <summary class="section" node_ref=summary>
                <span>{t(Text::Rooms)}</span>
                <span class="section-new">
                    <Icon sign=Sign::Plus small=true/>
                    <span class="spoken">{t(Text::CreateRoom)}</span>
                </span>
            </summary>
            <form class="form section-form" method="post" action=ROOMS_PATH on:submit=submit>
                <FormOp op/>
                <Field
                    label=Text::RoomName
                    name="name"
                    value
                    chars_max=ROOM_NAME_CHARS_MAX
                    help=Text::RoomNameHelp
                    sending=Some(noted)
                    input
                />
                <button class="button">{t(Text::Create)}</button>
            </form>
        </details>
    }
    .into_part()
}

/// As soon as the user's own log has brought the made room into his list, folds the form away and
/// opens the room, if he is still where he asked for it: it may have taken long. Who has gone to
/// another page or into this one keeps his place, and who writes another name keeps that.
fn open_when_made(
    sending: Sending,
    input: NodeRef<html::Input>,
    details: NodeRef<html::Details>,
    asked: Asked,
) {
    let rooms = expect_context::<Store>().rooms;
    let pathname = use_location().pathname;
    let mut opened = None;
    effect(move || {
        window_event_listener_untyped("focusin", move |_| {
            let form = details.get_untracked();
            if form.is_some_and(|form| form.matches(":focus-within") == Ok(false)) {
                asked.path.set_value(String::new());
            }
        });
    });
    effect(move || {
        let made = sending.done().and_then(|log| log.room());
        let key = made.filter(|made| opened != Some(*made)).and_then(|made| {
            rooms.with(|rooms| rooms.iter().find(|room| room.id == made).map(|it| it.key.clone()))
        });
        let Some(key) = key else { return };
        opened = made;
        sending.forget();
        let (Some(input), Some(details)) = (input.get_untracked(), details.get_untracked()) else {
            return;
        };
        if asked.name.with_value(|name| *name != input.value()) {
            return;
        }
        input.set_value("");
        let _ = details.remove_attribute("open");
        if pathname.with_untracked(|pathname| asked.path.with_value(|path| path == pathname)) {
            use_navigate()(&room_path(&key), leptos_router::NavigateOptions::default());
        }
    });
}

/// The user's flag and name, which lead to the page where he changes them.
#[component]
fn Oneself<F>(current: F) -> impl IntoView
where
    F: Fn(&str) -> Option<&'static str> + Send + 'static,
{
    let me: Signal<Option<Me>> = expect_context::<Store>().me.into();
    let user = move || me.with(|me| me.as_ref().map_or(UserId::NIL, |me| me.id));
    let name = move || {
        me.with(|me| me.as_ref().map_or_else(|| t(Text::Visitor).into(), |me| me.name.to_string()))
    };
    let kind = move || {
        t(match me.with(|me| me.as_ref().map(|me| me.rank)) {
            None => Text::VisitorHelp,
            Some(Rank::Guest) => Text::Guest,
            Some(Rank::User) => Text::User,
            Some(Rank::Admin) => Text::Admin,
            Some(Rank::Owner) => Text::Owner,
        })
    };
    view! {
        <a class="self" href=ME_PATH aria-current=live(move || current(ME_PATH))>
            <Flag user=Signal::derive(user)/>
            <span class="self-words">
                <bdi class="self-name" title=live(name)>{live(name)}</bdi>
                <span class="self-kind">{live(kind)}</span>
            </span>
            <Icon sign=Sign::Sliders/>
            <span class="spoken">{t(Text::YourName)}</span>
        </a>
    }
    .into_part()
}
