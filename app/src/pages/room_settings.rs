//! A room's name and topic, to be changed by those who may and read by the others.
//!
//! Reached from the room's menu. The address of a room is not here: it never changes.

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use protocol::act::{Act, Configure};
use protocol::limits::{ROOM_NAME_CHARS_MAX, TOPIC_CHARS_MAX};
use protocol::model::{RoomName, Topic};

use super::room_or_error;
use crate::components::Header;
use crate::components::form::{Field, FormOp, RefusedForm, Sending};
use crate::first_page::{Form, FormOps};
use crate::live::{effect, live};
use crate::part::IntoPart;
use crate::routes::{room_part_path, room_path};
use crate::store::{Room, Store};
use crate::text::{Text, t};

/// The page on which the room with this key gets another name and topic.
#[component]
pub fn RoomSettingsPage(
    /// The room's key.
    key: String,
) -> impl IntoView {
    let store = expect_context::<Store>();
    let page = move |room: Room| {
        let store = store.clone();
        // Who has just made it is told later that it is his.
        let page = move || {
            let configures = store.configures(&room);
            let about = if configures { Text::RoomSettings } else { Text::AboutRoom };
            let (titled, room) = (room.clone(), room.clone());
            view! {
                <main id="main" class="pane">
                    <Header
                        title=Signal::derive(move || titled.title())
                        topic=t(about).to_owned()
                    />
                    <div class="page">
                        {if configures { settings(room) } else { about_room(room) }}
                    </div>
                </main>
            }
            .into_part()
        };
        live(page).into_part()
    };
    room_or_error(&key, Box::new(page))
}

/// What the room is about, for who may not change it.
fn about_room(room: Room) -> AnyView {
    let (path, named, topic) = (room_path(&room.key), room.clone(), room.topic);
    let topic = move || {
        topic.with(|topic| if topic.is_empty() { t(Text::NoTopic) } else { topic }.to_owned())
    };
    view! {
        <dl class="about">
            <dt>{t(Text::RoomName)}</dt>
            <dd dir="auto">{live(move || named.title())}</dd>
            <dt>{t(Text::Topic)}</dt>
            <dd dir="auto">{live(topic)}</dd>
        </dl>
        <p class="about-note">{t(Text::OthersConfigure)}</p>
        <a class="button" href=path>{t(Text::Back)}</a>
    }
    .into_part()
}

fn settings(room: Room) -> AnyView {
    let refused = RefusedForm::take(Form::Configure);
    let sending = Sending::new(refused.clone());
    let op = use_context::<FormOps>().unwrap_or_default().configure;
    let (name, topic) = (NodeRef::<html::Input>::new(), NodeRef::<html::Input>::new());
    let (first_name, first_topic) = match refused {
        Some(refused) => (refused.text, refused.topic),
        None => (room.name.get_untracked().to_string(), room.topic.get_untracked().to_string()),
    };
    // A refusal says a limit and not of what.
    let of_topic = first_topic.chars().count() > TOPIC_CHARS_MAX;
    let (path, id) = (room_path(&room.key), room.id);
    let back = path.clone();
    let done = sending.clone();
    effect(move || {
        if done.done().is_some() {
            use_navigate()(&back, NavigateOptions::default());
        }
    });
    let (stored_name, stored_topic) = (room.name.clone(), room.topic.clone());
    let noted = sending.clone();
    let submit = move |event: SubmitEvent| {
        let act = || {
            let name = RoomName::new(name.get_untracked()?.value()).ok()?;
            let topic = Topic::new(topic.get_untracked()?.value()).ok()?;
            Some(Act::Configure(Configure { room: id, name, topic }))
        };
        sending.submit(&event, act());
    };
    view! {
        <form
            class="form"
            method="post"
            action=room_part_path(&room.key, "settings")
            on:submit=submit
        >
            <FormOp op/>
            <Field
                label=Text::RoomName
                name="name"
                value=first_name
                chars_max=ROOM_NAME_CHARS_MAX
                help=Text::RoomRenameHelp
                sending=(!of_topic).then(|| noted.clone())
                stored=Signal::derive(move || stored_name.get().to_string())
                input=name
            />
            <Field
                label=Text::Topic
                name="topic"
                value=first_topic
                chars_max=TOPIC_CHARS_MAX
                optional=true
                help=Text::TopicHelp
                sending=of_topic.then_some(noted)
                stored=Signal::derive(move || stored_topic.get().to_string())
                input=topic
            />
            <div class="form-actions">
                <button class="button button-main">{t(Text::Save)}</button>
                <a class="button" href=path>{t(Text::Back)}</a>
            </div>
        </form>
    }
    .into_part()
}
