//! A room's name and topic, to be changed by those who may.
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
use crate::routes::{room_part_path, room_path};
use crate::store::Room;
use crate::text::{Text, t};

/// The page on which the room with this key gets another name and topic.
#[component]
pub fn RoomSettingsPage(
    /// The room's key.
    key: String,
) -> impl IntoView {
    room_or_error(&key, |room| view! { <Settings room/> }.into_any())
}

#[component]
fn Settings(room: Room) -> impl IntoView {
    let refused = RefusedForm::take(Form::Configure);
    let sending = Sending::new(refused.as_ref());
    let op = use_context::<FormOps>().unwrap_or_default().configure;
    let (name, topic) = (NodeRef::<html::Input>::new(), NodeRef::<html::Input>::new());
    let (first_name, first_topic) = match refused {
        Some(refused) => (refused.text, refused.topic),
        None => (room.name.get_untracked().to_string(), room.topic.get_untracked().to_string()),
    };
    let (path, id) = (room_path(&room.key), room.id);
    let back = path.clone();
    let done = sending.clone();
    Effect::new(move |_| {
        if done.done().is_some() {
            use_navigate()(&back, NavigateOptions::default());
        }
    });
    let wrong = sending.clone();
    let submit = move |event: SubmitEvent| {
        let act = || {
            let name = RoomName::new(name.get_untracked()?.value()).ok()?;
            let topic = Topic::new(topic.get_untracked()?.value()).ok()?;
            Some(Act::Configure(Configure { room: id, name, topic }))
        };
        sending.submit(&event, act());
    };
    let title = room.name.clone();
    view! {
        <main class="pane">
            <Header
                title=Signal::derive(move || title.get().to_string())
                topic=t(Text::RoomSettings).to_owned()
            />
            <div class="page">
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
                        wrong=Signal::derive(move || wrong.wrong())
                        input=name
                    />
                    <Field
                        label=Text::Topic
                        name="topic"
                        value=first_topic
                        chars_max=TOPIC_CHARS_MAX
                        optional=true
                        help=Text::TopicHelp
                        input=topic
                    />
                    <div class="form-actions">
                        <button class="button button-main">{t(Text::Save)}</button>
                        <a class="button" href=path>{t(Text::Back)}</a>
                    </div>
                </form>
            </div>
        </main>
    }
    .into_any()
}
