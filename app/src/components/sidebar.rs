//! The sidebar: the brand, the user's rooms, a form for a new one, and himself at the foot.
//!
//! It stands beside every page and outlives a change of page. On a phone it is shown with the
//! list of rooms only.

use leptos::ev::SubmitEvent;
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
use crate::routes::{ME_PATH, ROOMS_PATH, room_path};
use crate::store::{Room, Store};
use crate::text::{Text, t};

/// The sidebar of every page.
#[component]
pub fn Sidebar() -> impl IntoView {
    let rooms = expect_context::<Store>().rooms;
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
                    <For each=move || rooms.get() key=|room| room.id let:room>
                        <RoomItem room current/>
                    </For>
                </ul>
                <a
                    class="sidebar-item sidebar-item-all"
                    href=ROOMS_PATH
                    rel="external"
                    aria-current=move || current(ROOMS_PATH)
                >
                    <Icon sign=Sign::List small=true/>
                    {t(Text::AllRooms)}
                </a>
            </div>
            <Oneself current/>
        </nav>
    }
    .into_any()
}

#[component]
fn RoomItem<F>(room: Room, current: F) -> impl IntoView
where
    F: Fn(&str) -> Option<&'static str> + Send + 'static,
{
    let path = room_path(&room.key);
    view! {
        <li>
            <a class="sidebar-item" href=path.clone() aria-current=move || current(&path)>
                <bdi class="sidebar-item-name">{move || room.name.get()}</bdi>
            </a>
        </li>
    }
    .into_any()
}

/// The head of the list of rooms, which unfolds into the form for a new one. When the room is
/// made, its page is opened.
#[component]
fn NewRoom() -> impl IntoView {
    let refused = RefusedForm::take(Form::Create);
    let sending = Sending::new(refused.as_ref());
    let op = use_context::<FormOps>().unwrap_or_default().create;
    let (input, details) = (NodeRef::<html::Input>::new(), NodeRef::<html::Details>::new());
    let (open, value) = (refused.is_some(), refused.map(|it| it.text).unwrap_or_default());
    open_when_made(sending.clone(), input, details);
    let wrong = {
        let sending = sending.clone();
        Signal::derive(move || sending.wrong())
    };
    let submit = move |event: SubmitEvent| {
        let name = input.get_untracked().and_then(|input| RoomName::new(input.value()).ok());
        sending.submit(&event, name.map(|name| Act::Create(Create { name })));
    };
    view! {
        <details open=open node_ref=details>
            <summary class="section">
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
                    wrong
                    input
                />
                <button class="button">{t(Text::Create)}</button>
            </form>
        </details>
    }
    .into_any()
}

/// Opens the made room as soon as the user's own log has brought it into his list, and folds the
/// form away.
fn open_when_made(sending: Sending, input: NodeRef<html::Input>, details: NodeRef<html::Details>) {
    let rooms = expect_context::<Store>().rooms;
    Effect::new(move |opened: Option<Option<_>>| {
        let opened = opened.flatten();
        let made = sending.done().and_then(|log| log.room());
        let key = made.filter(|made| opened != Some(*made)).and_then(|made| {
            rooms.with(|rooms| rooms.iter().find(|room| room.id == made).map(|it| it.key.clone()))
        });
        let Some(key) = key else { return opened };
        if let (Some(input), Some(details)) = (input.get_untracked(), details.get_untracked()) {
            input.set_value("");
            let _ = details.remove_attribute("open");
        }
        sending.forget();
        use_navigate()(&room_path(&key), leptos_router::NavigateOptions::default());
        made
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
        <a class="self" href=ME_PATH aria-current=move || current(ME_PATH)>
            <Flag user=Signal::derive(user)/>
            <span class="self-words">
                <bdi class="self-name">{name}</bdi>
                <span class="self-kind">{kind}</span>
            </span>
            <Icon sign=Sign::Sliders/>
            <span class="spoken">{t(Text::YourName)}</span>
        </a>
    }
    .into_any()
}
