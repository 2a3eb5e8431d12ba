//! The status slot above the composer: a row that is always there and says one thing at a time.
//!
//! The connection comes first, then why messages wait, then the typing line. It counts seconds for
//! the eye only; those who listen hear each standing once.

use leptos::prelude::*;
use protocol::client::exchange::{Ask, Stop};
use protocol::event::ResetReason;

use super::form::waiting_words;
use super::icon::{Icon, Sign};
use crate::link::Link;
use crate::live::live;
use crate::part::IntoPart;
use crate::store::{Pill, Room, Store};
use crate::text::{Count, Text, counted, fill, isolated, language, t};

/// Characters of all names in the typing line: so many stand on a phone beside the words, and where
/// the line itself were cut, a name of the other direction would lose its beginning.
const NAMES_CHARS: usize = 18;

/// The element that the shell's script shows when the app cannot be loaded.
pub const NOT_LOADED_ID: &str = "app-did-not-load";

/// What is going on in a room and with the connection.
#[component]
pub fn Status(
    /// Whose typing line.
    room: Room,
) -> impl IntoView {
    let store = expect_context::<Store>();
    let pill: Signal<Pill> = store.connection.pill.clone().into();
    let (log, strand) = (room.id.log(), room.strand());
    let (waits, keeps) = (store.clone(), store.keeps.clone());
    let pending = room.clone();
    let said = store.afresh.clone();
    let afresh = Signal::derive(move || {
        let said = said.get().filter(|said| said.log == log && pill.get() == Pill::Hidden)?;
        afresh_text(said.reason).map(t)
    });
    let line = move || match pill.get() {
        Pill::Hidden if store.delay(strand).is_some() => ().into_part(),
        Pill::Hidden if afresh.get().is_some() => {
            view! { <p class="pill" aria-hidden="true">{afresh.get()}</p> }.into_part()
        }
        Pill::Hidden => view! { <TypingLine names=room.typists.get()/> }.into_part(),
        pill => view! { <PillView pill/> }.into_part(),
    };
    let waiting = move || {
        let count = Some(pending.pending_count()).filter(|count| *count > 0)?;
        let (class, words) = match pill.get() {
            Pill::Hidden => ("", waiting_words(count, &waits.delay(strand)?)),
            _ if keeps.get() => ("status-words", counted(Count::Waiting, count)),
            _ => ("", format!("{}. {}", counted(Count::Waiting, count), t(Text::NotKept))),
        };
        let digits = language().digits(&count.to_string());
        let waiting = view! {
            <span class="status-count" aria-hidden="true">
                <Icon sign=Sign::Clock small=true/>
                {digits}
            </span>
            <span class=class>{words}</span>
        };
        Some(waiting.into_part())
    };
    view! {
        <div class="status">
            <p class="pill pill-notice" id=NOT_LOADED_ID hidden>
                {t(Text::AppDidNotLoad)}
                <a class="pill-action" href="" rel="external">{t(Text::Retry)}</a>
            </p>
            <span class="spoken" role="status">{live(move || afresh.get().unwrap_or_else(|| pill.with(spoken)))}</span>
            {live(line)}
            <span class="status-waiting">{live(waiting)}</span>
        </div>
    }
    .into_part()
}

fn spoken(pill: &Pill) -> &'static str {
    match pill {
        Pill::Hidden => "",
        Pill::Reconnecting { .. } => t(Text::Reconnecting),
        Pill::Offline => t(Text::Offline),
        Pill::Updating => t(Text::Updating),
        Pill::Stopped(stop) => t(stop_text(stop)),
    }
}

/// What is said of a room that begins anew; nothing where it is read for the first time.
const fn afresh_text(reason: ResetReason) -> Option<Text> {
    match reason {
        ResetReason::FirstLoad => None,
        ResetReason::TooOld => Some(Text::AfreshTooOld),
        ResetReason::Diverged => Some(Text::AfreshDiverged),
    }
}

const fn stop_text(stop: &Stop) -> Text {
    match stop {
        Stop::SignedOut => Text::SignedOut,
        Stop::Replaced => Text::StoppedReplaced,
        Stop::Disabled => Text::RefusedDisabled,
        Stop::Version => Text::StoppedVersion,
        Stop::TooManySockets => Text::StoppedTooMany,
        Stop::Policy(_) | Stop::Broken => Text::StoppedBroken,
    }
}

/// What is said of the connection on a page without a status slot. It floats, so it moves nothing.
#[component]
pub fn Afloat() -> impl IntoView {
    let pill: Signal<Pill> = expect_context::<Store>().connection.pill.into();
    view! {
        <div class="afloat">
            <span class="spoken" role="status">{live(move || pill.with(spoken))}</span>
            {live(move || match pill.get() {
                Pill::Hidden => None,
                pill => Some(view! { <PillView pill/> }.into_part()),
            })}
        </div>
    }
    .into_part()
}

/// The pill with its one button; `aria-hidden` words, for `spoken` says them once.
#[component]
fn PillView(pill: Pill) -> impl IntoView {
    let link = use_context::<Link>().unwrap_or_default();
    let missed = expect_context::<Store>().connection.missed;
    match pill {
        Pill::Reconnecting { seconds } => {
            // On a phone there is no room for the whole of it.
            let next = (seconds > 0).then(|| {
                let short = language().digits(&seconds.to_string());
                view! {
                    <span class="pill-next">". " {counted(Count::NextTry, seconds.into())}</span>
                    <span class="pill-next-short">{fill(Text::InSeconds, [&*short])}</span>
                }
            });
            view! {
                <p class="pill">
                    <span class="spinner" aria-hidden="true"></span>
                    <span aria-hidden="true">{t(Text::Reconnecting)} {next}</span>
                    <button type="button" class="pill-action" on:click=move |_| link.ask(Ask::ConnectNow)>
                        {t(Text::RetryNow)}
                    </button>
                </p>
            }
            .into_part()
        }
        Pill::Updating => view! {
            <p class="pill">
                <span class="spinner" aria-hidden="true"></span>
                <span aria-hidden="true">{t(Text::Updating)}</span>
            </p>
        }
        .into_part(),
        Pill::Stopped(stop) => view! {
            <p class="pill">
                <span aria-hidden="true">{live(move || {
                    t(if missed.get() { Text::NeedsServer } else { stop_text(&stop) })
                })}</span>
                <a class="pill-action" href="" rel="external">{t(Text::Reload)}</a>
            </p>
        }
        .into_part(),
        Pill::Hidden | Pill::Offline => {
            view! { <p class="pill" aria-hidden="true">{t(Text::Offline)}</p> }.into_part()
        }
    }
}

/// Who is writing just now: up to three by name.
#[component]
fn TypingLine(names: Vec<String>) -> impl IntoView {
    let text = match names.len() {
        0 => return ().into_part(),
        1 => Text::OneTyping,
        2 => Text::TwoTyping,
        3 => Text::ThreeTyping,
        _ => Text::SeveralTyping,
    };
    let chars = NAMES_CHARS / names.len().max(1);
    let short = |name: &String| match name.char_indices().nth(chars) {
        Some((end, _)) => isolated(&format!("{}…", name.get(..end).unwrap_or(name))),
        None => isolated(name),
    };
    let names: Vec<String> = names.iter().map(short).collect();
    view! {
        <p class="typing">
            <span class="typing-dots" aria-hidden="true"><i></i><i></i><i></i></span>
            {fill(text, names.iter().map(String::as_str))}
        </p>
    }
    .into_part()
}
