//! A room: its head, its messages and the composer; for who is no member, a form to join.
//!
//! The room comes from the store. The page tells the machine that it is on the screen, and asks
//! for older messages when their beginning comes near.

mod pane;

use leptos::ev::KeyboardEvent;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use protocol::act::{Act, Enter, Leave};
use protocol::client::exchange::Ask;
use protocol::model::Role;

use self::pane::Pane;
use super::{is_told, room_or_error};
use crate::browser::{Hydrated, focus_on_talk};
use crate::components::composer::Returned;
use crate::components::form::{RefusedForm, Sending, act_form};
use crate::components::message::MessageRow;
use crate::components::{Composer, Header, Icon, Messages, Sign, Status};
use crate::first_page::{FirstPage, Form, FormOps, RoomPage, Shown};
use crate::link::Link;
use crate::live::{Live, effect, live};
use crate::part::IntoPart;
use crate::routes::{ROOMS_PATH, room_part_path, room_path};
use crate::store::{Membership, Room, Store};
use crate::text::{Count, Text, counted, t};

/// The page of the room with this key.
#[component]
pub fn RoomView(
    /// The room's key.
    key: String,
) -> impl IntoView {
    let store = expect_context::<Store>();
    // A list of one: where a room is only made by joining it, the made one is another element.
    let asked = key.clone();
    let page = move |known: Room| {
        let (store, key) = (store.clone(), key.clone());
        let room = move || store.room(&key).unwrap_or_else(|| known.clone());
        view! {
            <For each=move || [room()] key=|room| room.id let:room>
                <KnownRoom room/>
            </For>
        }
        .into_part()
    };
    room_or_error(&asked, Box::new(page))
}

#[component]
fn KnownRoom(room: Room) -> impl IntoView {
    let link = use_context::<Link>().unwrap_or_default();
    provide_context(Returned(RwSignal::new(None)));
    show(&room, &link);
    let pane = Pane::begin(&room, link);
    let (away, unheld, element) = (pane.away, pane.unheld, pane.element);
    let (scrolled, pressed) = (pane.clone(), pane.clone());
    let to_the_newest = Callback::new(move |()| pane.to_the_newest());
    let (named, topic, menu) = (room.clone(), room.topic.clone(), room.clone());
    let (keyed, store) = (room.clone(), expect_context::<Store>());
    view! {
        <main
            id="main"
            class="pane pane-room"
            class:pane-unheld=live(move || unheld.get())
            node_ref=element
            on:scroll=move |_| scrolled.scrolled()
            on:keydown=move |event: KeyboardEvent| pressed.pressed(&event)
        >
            <div class="room">
                <Header
                    room=room.id
                    title=Signal::derive(move || named.title())
                    key=Signal::derive(move || store.key_among(&keyed).unwrap_or_default())
                    topic=Signal::derive(move || topic.get().to_string())
                >
                    <RoomMenu room=menu/>
                </Header>
                {live(move || match room.membership.get() {
                    Membership::Member => {
                        view! { <Inside room=room.clone() away unheld on_sent=to_the_newest/> }.into_part()
                    }
                    Membership::Outside => view! { <Join room=room.clone()/> }.into_part(),
                })}
            </div>
        </main>
    }
    .into_part()
}

/// Tells the machine that the room is on the screen, with what the first page knew of it. Rooms of
/// the list stay told when their page goes (`pages::listen`); any other does not.
fn show(room: &Room, link: &Link) {
    let id = room.id;
    if id.is_nil() {
        return;
    }
    let (shown, hidden, room) = (link.clone(), link.clone(), room.clone());
    let (left, store) = (room.clone(), expect_context::<Store>());
    effect(move || {
        room.membership.track();
        shown.ask(Ask::Show { room: id, cursor: room.cursor.get_untracked() });
        shown.ask(Ask::Opened(id));
    });
    on_cleanup(move || {
        store.part(&left);
        if !store.rooms.with_untracked(|rooms| is_told(rooms, id)) {
            hidden.ask(Ask::Hide(id));
        }
    });
}

#[component]
fn Inside(
    room: Room,
    /// Whether the reader is away from the newest message.
    away: RwSignal<bool>,
    /// Whether older messages come.
    unheld: RwSignal<bool>,
    #[prop(into)] on_sent: Callback<()>,
) -> impl IntoView {
    let op = use_context::<FormOps>().unwrap_or_default().post;
    let news = room.clone();
    // The button goes when it is pressed, and the focus with it.
    let to_newest = move |_| {
        focus_on_talk();
        on_sent.run(());
    };
    let count = Signal::derive(move || news.unread().0);
    let words = move |none: &str| match count.get() {
        0 => none.to_owned(),
        count => counted(Count::New, count),
    };
    view! {
        <Messages room=room.clone() busy=unheld/>
        <div class="foot column">
            {newest_link(&room)}
            // Always there: what comes into the pane or goes from it ends a scroll by key half way.
            <button
                type="button"
                class="float"
                class:float-off=live(move || !away.get())
                class:float-news=live(move || count.get() > 0)
                aria-label=live(move || words(t(Text::ShowNewest)))
                on:click=to_newest
            >
                <Icon sign=Sign::Down small=true/>
                <span class="float-words">{live(move || words(""))}</span>
            </button>
            <Status room=room.clone()/>
            <Composer room op on_sent/>
        </div>
    }
    .into_part()
}

/// From a page of older messages back to the newest. With a script the room begins anew with
/// these by itself, so the link goes when the page is hydrated.
fn newest_link(room: &Room) -> Live<Option<AnyView>> {
    let shown = use_context::<FirstPage>().map(|page| page.shown);
    let older_page = matches!(shown, Some(Shown::Room(RoomPage { entry, inside: Some(inside), .. }))
        if inside.newer && entry.id == room.id);
    let (hydrated, path) = (use_context::<Hydrated>(), room_path(&room.key));
    live(move || {
        let plain = hydrated.is_none_or(|hydrated| !hydrated.0.get());
        (older_page && plain).then(|| {
            view! { <a class="float" href=path.clone() rel="external">{t(Text::ShowNewest)}</a> }
                .into_part()
        })
    })
}

/// What a member can do about the room: read what it is about or change that, and leave it, which
/// is asked a second time, with what it costs.
#[component]
fn RoomMenu(room: Room) -> impl IntoView {
    let store = expect_context::<Store>();
    let settings = room_part_path(&room.key, "settings");
    live(move || {
        let about = if store.configures(&room) { Text::RoomSettings } else { Text::AboutRoom };
        (room.membership.get() == Membership::Member).then(|| {
            view! {
                <button
                    type="button"
                    class="button-icon"
                    popovertarget="room-menu"
                    aria-label=t(Text::RoomMenu)
                >
                    <Icon sign=Sign::More/>
                </button>
                <div class="menu" id="room-menu" popover="auto">
                    <a class="menu-row" href=settings.clone()>
                        <Icon sign=Sign::Sliders/>
                        {t(about)}
                    </a>
                    {(!room.everyone).then(|| view! { <LeaveForm room=room.clone()/> })}
                </div>
            }
            .into_part()
        })
    })
    .into_part()
}

#[component]
fn LeaveForm(room: Room) -> impl IntoView {
    let refused = RefusedForm::take(Form::Leave);
    let (open, sending) = (refused.is_some(), Sending::new(refused));
    let op = use_context::<FormOps>().unwrap_or_default().leave;
    let left = sending.clone();
    effect(move || {
        if left.done().is_some() {
            use_navigate()("/", NavigateOptions::default());
        }
    });
    let (act, role) = (Act::Leave(Leave { room: room.id }), room.role);
    let lost = move || match role.get() {
        Role::Member => t(Text::LeaveHelp),
        Role::Moderator | Role::Owner => t(Text::LeaveRoleHelp),
    };
    let button = view! { <button class="button menu-button">{t(Text::Leave)}</button> }.into_part();
    let form = ("", room_part_path(&room.key, "leave"), op);
    view! {
        <details class="menu-part" open=open>
            <summary class="menu-row menu-row-danger">
                <Icon sign=Sign::Leave/>
                {t(Text::LeaveRoom)}
            </summary>
            <p class="menu-words">{live(lost)}</p>
            {act_form(sending, form, act, button)}
        </details>
    }
    .into_part()
}

/// What is seen of a room by who is no member: how many are, and the form to become one.
#[component]
fn Join(room: Room) -> impl IntoView {
    let sending = Sending::new(RefusedForm::take(Form::Enter));
    let op = use_context::<FormOps>().unwrap_or_default().enter;
    let act = Act::Enter(Enter { key: room.key.clone() });
    let made = !room.id.is_nil();
    let buttons = view! {
        <button class="button button-main">{t(Text::JoinRoom)}</button>
        <a class="button" href=ROOMS_PATH>{t(Text::AllRooms)}</a>
    };
    let form = ("form-actions", room_part_path(&room.key, "join"), op);
    let form = act_form(sending, form, act, buttons.into_part());
    let (unsent, has_unsent) = (room.rows.clone(), room.rows.clone());
    view! {
        <div class="log column">
            // What he wrote here and could not send.
            {live(move || (!has_unsent.with(Vec::is_empty)).then(|| {
                let unsent = unsent.clone();
                view! {
                    <ol class="rows">
                        <For each=move || unsent.get() key=|row| row.number let:row>
                            <MessageRow row is_inside=false/>
                        </For>
                    </ol>
                }
                .into_part()
            }))}
            <div class="empty contours">
                <p class="empty-words">
                    {live(move || made.then(|| room.member_count.get()).flatten().map(|count| {
                        format!("{}. ", counted(Count::Members, count))
                    }))}
                    {t(if made { Text::JoinToRead } else { Text::NotYetMade })}
                </p>
                {form}
            </div>
        </div>
    }
    .into_part()
}
