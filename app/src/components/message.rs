//! One row of the list: a message, and above it the day or the news that begin with it.
//!
//! Its element lives as long as the row: what changes are classes and texts. Flag and name are in
//! every row and shown in the first of a group, so that a row may change its place in a group.

use std::sync::Arc;

use leptos::prelude::*;
use protocol::client::exchange::Ask;
use protocol::ids::OpId;
use protocol::refusal::Refusal;

use super::composer::Returned;
use super::flag::Flag;
use super::form::refusal_words;
use super::icon::Sign;
use crate::calendar::{Moment, stamp};
use crate::link::Link;
use crate::live::live;
use crate::part::IntoPart;
use crate::store::{Opens, Row, RowState};
use crate::text::{Count, Text, counted, fill, t};

/// A message as one row of the list.
#[component]
pub fn MessageRow(
    /// What it shows.
    row: Row,
    /// Whether what was not sent may be tried again, or edited into the composer that stands beside it:
    /// not by who has left the room.
    is_inside: bool,
) -> impl IntoView {
    let Row { op_id, author, name, text, own, state, at, opens, .. } = row;
    let (at, state): (Signal<i64>, Signal<RowState>) = (at.into(), state.into());
    let (name, text): (Signal<Arc<str>>, Signal<Arc<str>>) = (name.into(), text.into());
    let opens: Signal<Opens> = opens.into();
    view! {
        <li>
            {live(move || match opens.get() {
                Opens::Day => Some(view! { <DayLine at/> }.into_part()),
                Opens::New(count) => Some(view! { <NewLine count/> }.into_part()),
                Opens::NewDay(count) => Some(view! { <DayLine at/> <NewLine count/> }.into_part()),
                Opens::Nothing | Opens::Group => None,
            })}
            <div class=live(move || state.with(|state| class(own, state, opens.get())))>
                <Flag user=author/>
                <p class="message-byline">
                    // Whole, where the row is too short for it.
                    <bdi class="message-name" title=live(move || name.get())>
                        {live(move || name.get())}
                    </bdi>
                </p>
                <p class="message-text" dir="auto">{live(move || text.get())}</p>
                <div class="message-aside">
                    <time class="message-time" datetime=live(move || stamp(at.get()))>
                        {live(move || Moment::shown(at.get()).clock())}
                    </time>
                    {own.then(|| view! { <StateIcon state/> })}
                </div>
                {live(move || match state.get() {
                    RowState::Failed(refusal) => {
                        let reason = match refusal {
                            Refusal::NotMember if !is_inside => t(Text::UnsentOutside).to_owned(),
                            _ => unsent_words(&refusal),
                        };
                        Some(view! { <FailureNote op_id reason text is_inside/> }.into_part())
                    }
                    RowState::Pending | RowState::Sent { .. } => None,
                })}
            </div>
        </li>
    }
    .into_part()
}

const fn class(own: bool, state: &RowState, opens: Opens) -> &'static str {
    match (own, state, opens) {
        (false, _, Opens::Nothing) => "message",
        (false, _, _) => "message message-head",
        (true, RowState::Pending, Opens::Nothing) => "message message-own message-pending",
        (true, RowState::Pending, _) => "message message-own message-pending message-head",
        (true, RowState::Failed(_), Opens::Nothing) => "message message-own message-failed",
        (true, RowState::Failed(_), _) => "message message-own message-failed message-head",
        (true, RowState::Sent { .. }, Opens::Nothing) => "message message-own",
        (true, RowState::Sent { .. }, _) => "message message-own message-head",
    }
}

/// The line with the day's name, which the text below it begins on.
#[component]
fn DayLine(at: Signal<i64>) -> impl IntoView {
    let moment = move || Moment::shown(at.get());
    view! {
        <p class="day">
            <time datetime=live(move || moment().day_stamp())>{live(move || moment().day_words())}</time>
        </p>
    }
}

/// The line before what was new when the reader came.
#[component]
fn NewLine(
    /// How many there are, where more are above, else 0.
    count: u64,
) -> impl IntoView {
    let words = match count {
        0 => t(Text::NewLine).to_owned(),
        count => fill(Text::NewLineAndAbove, [&*counted(Count::New, count)]),
    };
    view! { <p class="new-line">{words}</p> }
}

/// Tick, clock or alert, with the word for those who do not see it.
#[component]
fn StateIcon(state: Signal<RowState>) -> impl IntoView {
    let sign = move || match state.get() {
        RowState::Pending => (Sign::Clock, Text::Pending, "message-state"),
        RowState::Sent { .. } => (Sign::Tick, Text::Sent, "message-state message-tick"),
        RowState::Failed(_) => (Sign::Alert, Text::Failed, "message-state"),
    };
    view! {
        <span class=live(move || sign().2)>
            <svg class="icon icon-small" aria-hidden="true">
                <use href=live(move || sign().0.reference())></use>
            </svg>
            <span class="spoken">{live(move || t(sign().1))}</span>
        </span>
    }
    .into_part()
}

/// Why a message is not in the room and what helps, in words.
fn unsent_words(refusal: &Refusal) -> String {
    let text = match refusal {
        Refusal::TooLong { .. } => {
            return format!("{} {}", refusal_words(refusal), t(Text::UnsentTooLong));
        }
        // No message is refused so.
        Refusal::BadName | Refusal::TooManyRooms { .. } => return refusal_words(refusal),
        Refusal::Empty => Text::UnsentEmpty,
        Refusal::NotMember => Text::UnsentNotMember,
        Refusal::NotAllowed => Text::UnsentNotAllowed,
        Refusal::OpIdReused => Text::UnsentReused,
        Refusal::AccountDisabled => Text::UnsentDisabled,
        Refusal::Unknown => Text::UnsentUnknown,
        Refusal::Expired => Text::UnsentExpired,
        Refusal::NotStorable => Text::UnsentNotStorable,
        Refusal::TooBig => Text::UnsentTooBig,
    };
    t(text).to_owned()
}

/// Why a message is not in the room, and what can be done about it.
#[component]
fn FailureNote(
    op_id: OpId,
    reason: String,
    text: Signal<Arc<str>>,
    is_inside: bool,
) -> impl IntoView {
    let link = use_context::<Link>().unwrap_or_default();
    let (retry, edit, discard) = (link.clone(), link.clone(), link);
    let retry = is_inside.then(|| {
        view! {
            <button type="button" class="button-text" on:click=move |_| { retry.retry(op_id); }>
                {t(Text::Retry)}
            </button>
        }
    });
    let returned = use_context::<Returned>().filter(|_| is_inside);
    let edit = returned.map(|Returned(returned)| {
        let edited = move |_| {
            // A composer stands beside it, and takes it from the signal.
            if returned.try_set(Some(text.get_untracked())).is_none() {
                edit.ask(Ask::Discard(op_id));
            }
        };
        view! {
            <button type="button" class="button-text" on:click=edited>{t(Text::Edit)}</button>
        }
    });
    view! {
        <p class="message-note" role="alert">
            <span>{t(Text::Failed)} ": " {reason}</span>
            {retry}
            {edit}
            <button
                type="button"
                class="button-text"
                on:click=move |_| discard.ask(Ask::Discard(op_id))
            >
                {t(Text::Discard)}
            </button>
        </p>
    }
}
