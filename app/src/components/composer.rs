//! The composer: a form with one text, which the socket sends where there is one.
//!
//! Its element has neither children nor a bound value, so that what was typed before the app came
//! stays in it; the head script notes what an early Enter sends. Its law: a text leaves the
//! composer only when the outbox has taken it, and the network never greys it.

use std::sync::Arc;

use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use protocol::act::{Act, Post};
use protocol::client::exchange::Ask;
use protocol::ids::{OpId, UserId};
use protocol::model::MessageText;
use protocol::refusal::Refusal;
use protocol::words::{check_message, shows_something};

use super::flag::Flag;
use super::form::{FormOp, RefusedForm, count_words, refusal_words, why_words};
use super::header::navigated;
use super::icon::{Icon, Sign};
use crate::browser::{early_texts, forget_posted, grow, is_posted, touch};
use crate::first_page::{Form, SentBack};
use crate::link::Link;
use crate::live::{Live, effect, live};
use crate::part::IntoPart;
use crate::routes::room_path;
use crate::store::{Room, Store};
use crate::text::{Text, fill, isolated, t};

/// A failed message's text on its way back into the composer; a context of a room's page.
#[derive(Debug, Clone, Copy)]
pub struct Returned(pub RwSignal<Option<Arc<str>>>);

/// What the composer's closures share.
#[derive(Clone)]
struct Writing {
    room: Room,
    store: Store,
    link: Link,
    area: NodeRef<html::Textarea>,
    text: RwSignal<String>,
    /// Why the text that stands here was not taken.
    refused: RwSignal<Option<Refusal>>,
    on_sent: Callback<()>,
}

/// The composer of a room.
#[component]
pub fn Composer(
    /// Where its text goes.
    room: Room,
    /// The op of the plain form.
    op: OpId,
    /// Called when a text was taken into the outbox.
    #[prop(into)]
    on_sent: Callback<()>,
) -> impl IntoView {
    let store = expect_context::<Store>();
    let writing = Writing {
        room: room.clone(),
        store: store.clone(),
        link: use_context().unwrap_or_default(),
        area: NodeRef::new(),
        text: RwSignal::new(String::new()),
        refused: RwSignal::new(None),
        on_sent,
    };
    writing.clone().begin();
    let refused = RefusedForm::take(Form::Post);
    let wrong = refused.as_ref().map(why_words);
    let me = store.me.clone();
    let flag = move || me.with(|me| me.as_ref().map_or(UserId::NIL, |me| me.id));
    let submit = {
        let writing = writing.clone();
        move |event: SubmitEvent| {
            if writing.link.leads() {
                event.prevent_default();
                writing.send();
            }
        }
    };
    let (full, here) = (store.outbox_full, writing.refused);
    view! {
        {wrong
            .map(|wrong| {
                view! {
                    <p class="composer-wrong" role="alert">
                        <Icon sign=Sign::Alert small=true/>
                        {wrong}
                    </p>
                }
            })}
        {live(move || {
            let full = || full.get().then(|| t(Text::OutboxFull).to_owned());
            let words = here.with(|refused| refused.as_ref().map(refusal_words)).or_else(full)?;
            Some(view! { <p class="composer-wrong" role="alert">{words}</p> }.into_part())
        })}
        <form class="composer" method="post" action=room_path(&room.key) on:submit=submit>
            <FormOp op/>
            <Flag user=Signal::derive(flag)/>
            {area(&writing, refused)}
            {counter(&writing)}
            <button class="composer-send" aria-label=t(Text::Send)>
                <Icon sign=Sign::Send/>
            </button>
        </form>
    }
    .into_part()
}

/// The text area. A text that was refused stands in it again, in the first view only: an element
/// of this kind prints its child without escaping it, so that is done here, and the parser eats
/// the first line end.
fn area(writing: &Writing, refused: Option<SentBack>) -> AnyView {
    let room = writing.room.clone();
    let label = move || fill(Text::MessageTo, [&*isolated(&room.title())]);
    let (input, keydown) = (writing.clone(), writing.clone());
    let shared = view! {
        <{..}
            id="text"
            class="composer-text"
            name="text"
            rows="1"
            dir="auto"
            autocomplete="off"
            aria-label=label.clone()
            placeholder=label
            on:input=move |_| input.changed()
            on:keydown=move |event: KeyboardEvent| keydown.pressed(&event)
        />
    };
    match refused {
        Some(SentBack { text, .. }) => {
            let escaped = format!("\n{}", text.replace('&', "&amp;").replace('<', "&lt;"));
            view! { <textarea node_ref=writing.area {..shared}>{escaped}</textarea> }.into_part()
        }
        None => view! { <textarea node_ref=writing.area {..shared}></textarea> }.into_part(),
    }
}

/// How many characters are left, in the last tenth, or are too many.
fn counter(writing: &Writing) -> Live<Option<AnyView>> {
    let (text, chars_max) = (writing.text, writing.store.text_chars_max.clone());
    live(move || {
        let chars_max = u64::from(chars_max.get());
        let chars = text.with(|text| u64::try_from(text.chars().count()).unwrap_or(u64::MAX));
        let (class, words) = match count_words(chars, chars_max)? {
            Ok(left) => ("composer-count", left),
            Err(over) => ("composer-count composer-count-over", over),
        };
        Some(view! { <span class=class role="status">{words}</span> }.into_part())
    })
}

impl Writing {
    /// Sends what an early Enter was pressed on and takes up what was typed since, else the room's
    /// draft; then what a failed message gives back, and, while nothing is written, what could not
    /// be sent or what a tab that is gone has left.
    fn begin(self) {
        let writing = self.clone();
        let navigated = navigated();
        let mut begun = false;
        effect(move || {
            let area = writing.area.get();
            let is_new = area.is_some() && !begun;
            begun = area.is_some();
            if let Some(area) = area.filter(|_| is_new) {
                let (typed, kept) = (area.value(), writing.store.drafts.restore(writing.room.id));
                if navigated && !touch() {
                    let _ = area.focus();
                }
                // It is no draft: the next page begins with the answer to it.
                if is_posted(&area) {
                    let _ = early_texts();
                    writing.text.set(typed);
                    return grow(&area);
                }
                if typed.is_empty() {
                    area.set_value(&kept);
                } else {
                    writing.store.drafts.keep(writing.room.id, &typed);
                }
                writing.text.set(area.value());
                // What an earlier page kept is not lost to what was typed since.
                if !typed.is_empty() && !typed.contains(&kept) {
                    writing.put_back(&kept);
                }
                let early = early_texts();
                let kept: Vec<&str> =
                    early.iter().map(|it| &**it).filter(|text| !writing.takes(text)).collect();
                if !kept.is_empty() {
                    writing.put_back(&kept.join("\n"));
                }
                grow(&area);
            }
        });
        let writing = self.clone();
        effect(move || {
            let Returned(returned) = use_context()?;
            let text = returned.get()?;
            writing.put_back(&text);
            returned.set(None);
            let _ = writing.area.get_untracked()?.focus();
            Some(())
        });
        effect(move || {
            let empty = self.area.get().is_some() && self.text.with(String::is_empty);
            let kept = || self.take_kept().map(|text| text.into_string());
            let found = || self.store.drafts.take_found(self.room.id);
            if let Some(text) = empty.then(|| kept().or_else(found)).flatten() {
                self.put_back(&text);
            }
        });
    }

    /// The first text that was written here and not sent, if any; tracked.
    fn take_kept(&self) -> Option<MessageText> {
        let here = |act: &Act| matches!(act, Act::Post(post) if post.room == self.room.id);
        let index = self.store.kept.with(|kept| kept.iter().position(here))?;
        match self.store.kept.try_update(|kept| kept.remove(index))? {
            Act::Post(post) => Some(post.text),
            _ => None,
        }
    }

    /// Puts a text before what is being written.
    fn put_back(&self, text: &str) {
        let Some(area) = self.area.get_untracked() else { return };
        let written = area.value();
        let between = if written.is_empty() { "" } else { "\n" };
        area.set_value(&format!("{text}{between}{written}"));
        self.changed();
    }

    fn changed(&self) {
        let Some(area) = self.area.get_untracked() else { return };
        let text = area.value();
        forget_posted(&area);
        self.store.drafts.keep(self.room.id, &text);
        grow(&area);
        self.link.ask(Ask::Typing { room: self.room.id, text: shows_something(&text) });
        self.text.set(text);
        self.refused.set(None);
    }

    /// Enter sends, Shift and Enter make a line; the Enter that ends an input method's word (229
    /// is its key code where `isComposing` comes too late) does neither. On touch Enter makes a
    /// line, for there is no Shift to hold.
    fn pressed(&self, event: &KeyboardEvent) {
        let composing = event.is_composing() || event.key_code() == 229;
        if event.key() == "Enter" && !event.shift_key() && !composing && !touch() {
            event.prevent_default();
            self.send();
        }
    }

    fn send(&self) {
        let Some(area) = self.area.get_untracked() else { return };
        // Who pressed the button goes on writing, too.
        let _ = area.focus();
        if !is_posted(&area) && self.takes(&area.value()) {
            area.set_value("");
            self.changed();
            self.on_sent.run(());
        } else {
            // With nothing to send it is pressed for what waits.
            self.link.ask(Ask::Hurry);
        }
    }

    /// Sends a text, where the server would take it and there is a place for it. Of blanks there is
    /// nothing to be said.
    fn takes(&self, value: &str) -> bool {
        if value.trim().is_empty() || self.store.outbox_full.get_untracked() {
            return false;
        }
        let chars_max = self.store.text_chars_max.get_untracked();
        let text = MessageText::new(value).map_err(|_| Refusal::TooBig);
        let good = text.and_then(|text| check_message(&text, chars_max).map(|()| text));
        match good {
            Ok(text) => {
                self.link.act(Act::Post(Post { room: self.room.id, text }));
                true
            }
            Err(refusal) => {
                self.refused.set(Some(refusal));
                false
            }
        }
    }
}
