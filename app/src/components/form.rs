//! What forms share: a field, the act that a form sends over the socket, and why it was refused.
//!
//! Without a script a form is posted and the server answers with a page; with one its act goes
//! through the `Link`, and what comes of it is read from the `Store`. The law: both ways end in
//! the same words at the same place.

use leptos::ev::{Event, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use protocol::act::Act;
use protocol::ids::{LogId, OpId, UserId};
use protocol::refusal::{Refusal, RetryReason};

use super::icon::{Icon, Sign};
use crate::calendar::Moment;
use crate::first_page::{Form, SentBack, Why};
use crate::link::Link;
use crate::live::{effect, live};
use crate::part::IntoPart;
use crate::store::{Delay, Fate, Store};
use crate::text::{Count, Text, counted, fill, t};

/// The form that the server refused when it drew this page; a context of every page. It is shown
/// once, in the first view: a page that is opened later has nothing to redraw.
#[derive(Clone, Copy)]
pub struct RefusedForm(StoredValue<Option<SentBack>>);

impl RefusedForm {
    /// Holds what the first page brought.
    #[must_use]
    pub fn new(refused: Option<SentBack>) -> Self {
        Self(StoredValue::new(refused))
    }

    /// What was refused of this form, once.
    #[must_use]
    pub fn take(form: Form) -> Option<SentBack> {
        let held = use_context::<Self>()?.0;
        let taken = held.with_value(|refused| refused.clone().filter(|it| it.form == form));
        if taken.is_some() {
            held.set_value(None);
        }
        taken
    }
}

/// What a form sent over the socket, and what came of it.
#[derive(Clone)]
pub struct Sending {
    link: Link,
    store: Store,
    op: RwSignal<Option<OpId>>,
    act: StoredValue<Option<Act>>,
    refused: RwSignal<Option<SentBack>>,
}

impl Sending {
    /// For a form whose page may have come back refused.
    #[must_use]
    pub fn new(refused: Option<SentBack>) -> Self {
        Self {
            link: use_context().unwrap_or_default(),
            store: expect_context(),
            op: RwSignal::new(None),
            act: StoredValue::new(None),
            refused: RwSignal::new(refused),
        }
    }

    /// Sends the act instead of the form, where the link leads somewhere. An act that cannot be
    /// made is left to the server, which says why. The same act a second time, as by a double
    /// click, is the same act.
    pub fn submit(&self, event: &SubmitEvent, act: Option<Act>) {
        if let Some(act) = act.filter(|_| self.link.leads()) {
            event.prevent_default();
            if self.stands(&act) {
                return;
            }
            self.refused.set(None);
            self.act.set_value(Some(act.clone()));
            self.op.set(Some(self.link.act(act)));
        }
    }

    /// The form begins anew: what it sends next is another act.
    pub fn forget(&self) {
        self.act.set_value(None);
    }

    /// Something else stands in the form than what was done, or will be: that is not said of it any more.
    pub fn edited(&self) {
        if untrack(|| !self.began() || self.done().is_some()) {
            self.op.set(Some(OpId::NIL));
        }
        self.forget();
    }

    /// Whether this act was sent and did not fail.
    fn stands(&self, act: &Act) -> bool {
        let is_last = self.act.with_value(|last| last.as_ref() == Some(act));
        is_last && !matches!(untrack(|| self.fate()), Some(Fate::Failed(_) | Fate::Full))
    }

    /// Whether anything was sent, or written to be sent; tracked.
    #[must_use]
    pub fn began(&self) -> bool {
        self.op.with(Option::is_some)
    }

    /// The log in which the act was stored, if the form still says that act; tracked.
    #[must_use]
    pub fn done(&self) -> Option<LogId> {
        match self.fate()? {
            Fate::Done(log) => self.act.with_value(Option::is_some).then_some(log),
            Fate::Pending | Fate::Failed(_) | Fate::Full => None,
        }
    }

    /// Why it was refused, in words; tracked.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        match self.fate() {
            Some(Fate::Failed(refusal)) => Some(refusal_words(&refusal)),
            Some(Fate::Full) => Some(t(Text::OutboxFull).to_owned()),
            _ => self.refused.with(|refused| refused.as_ref().map(why_words)),
        }
    }

    /// Why it is not done yet and when it will be, where that takes a while; tracked.
    #[must_use]
    pub fn waits(&self) -> Option<String> {
        let user = self.store.me.with(|me| me.as_ref().map_or(UserId::NIL, |me| me.id));
        let is_pending = self.fate() == Some(Fate::Pending);
        let act = self.act.get_value().filter(|_| is_pending)?;
        if let Some(delay) = self.store.delay(act.strand(user)) {
            return Some(delay_words(&delay, rate_text(&act)));
        }
        self.store.connection.is_away().then(|| t(Text::WaitsForConnection).to_owned())
    }

    fn fate(&self) -> Option<Fate> {
        let op = self.op.get()?;
        self.store.fates.with(|fates| fates.get(&op).cloned())
    }
}

/// Why a form was refused, in words.
#[must_use]
pub fn why_words(refused: &SentBack) -> String {
    match &refused.why {
        Why::Refused(refusal) => refusal_words(refusal),
        Why::Later { reason, wait_ms } => {
            let rate = match refused.form {
                Form::Create => Text::LaterRoomsMade,
                Form::Enter => Text::LaterRoomsEntered,
                _ => Text::LaterSent,
            };
            let seconds = wait_ms.div_ceil(1_000).max(1);
            let again = match seconds {
                ..60 => counted(Count::AgainInSeconds, seconds.into()),
                _ => counted(Count::AgainInMinutes, seconds.div_ceil(60).into()),
            };
            format!("{} {again}", t(later_text(*reason, rate)))
        }
    }
}

/// Why an act waits, and when this page does it: in words that stay right while they stand.
fn delay_words(delay: &Delay, rate: Text) -> String {
    let goes_on = if delay.long {
        fill(Text::GoesOnAt, [&*until_words(delay)])
    } else {
        t(Text::GoesOnSoon).to_owned()
    };
    format!("{} {goes_on}", t(later_text(delay.reason, rate)))
}

/// How many messages wait, why, and that they are sent by themselves: when, where that takes long.
#[must_use]
pub fn waiting_words(count: u64, delay: &Delay) -> String {
    let waiting = counted(Count::Waiting, count);
    let goes_on = if delay.long {
        fill(Text::SendingGoesOnAt, [&*until_words(delay)])
    } else {
        t(Text::SendingGoesOnSoon).to_owned()
    };
    format!("{waiting}. {} {goes_on}", t(later_text(delay.reason, Text::LaterSent)))
}

/// The minute behind it, for a clock that shows no seconds.
fn until_words(delay: &Delay) -> String {
    const MINUTE_MS: i64 = 60_000;
    Moment::shown(delay.until + MINUTE_MS - 1).clock()
}

/// What there is too much of where an act of this kind must wait.
const fn rate_text(act: &Act) -> Text {
    match act {
        Act::Create(_) => Text::LaterRoomsMade,
        Act::Enter(_) => Text::LaterRoomsEntered,
        _ => Text::LaterSent,
    }
}

const fn later_text(reason: RetryReason, rate: Text) -> Text {
    match reason {
        RetryReason::Rate => rate,
        RetryReason::Busy => Text::LaterBusy,
        RetryReason::Unavailable => Text::LaterUnavailable,
        RetryReason::DiskFull => Text::LaterDiskFull,
        RetryReason::Draining => Text::LaterDraining,
    }
}

/// Why an op will not be done, in words.
#[must_use]
pub fn refusal_words(refusal: &Refusal) -> String {
    let text = match refusal {
        Refusal::TooLong { chars_max } => {
            return counted(Count::CharactersMax, (*chars_max).into());
        }
        Refusal::TooManyRooms { rooms_max } => {
            return counted(Count::RoomsMax, (*rooms_max).into());
        }
        Refusal::Empty => Text::RefusedEmpty,
        Refusal::BadName => Text::RefusedBadName,
        Refusal::NotMember => Text::RefusedNotMember,
        Refusal::NotAllowed => Text::RefusedNotAllowed,
        Refusal::OpIdReused => Text::RefusedReused,
        Refusal::AccountDisabled => Text::RefusedDisabled,
        Refusal::Unknown => Text::RefusedUnknown,
        Refusal::Expired => Text::RefusedExpired,
        Refusal::NotStorable => Text::RefusedNotStorable,
        Refusal::TooBig => Text::RefusedTooBig,
    };
    t(text).to_owned()
}

/// A form of one button that does an act: a post without a script, else over the socket; what is
/// wrong with it, or why it waits, is said below the button.
pub fn act_form(
    sending: Sending,
    (class, action, op): (&'static str, String, OpId),
    act: Act,
    button: AnyView,
) -> AnyView {
    let (wrong, waits) = (sending.clone(), sending.clone());
    view! {
        <form
            class=class
            method="post"
            action=action
            on:submit=move |event: SubmitEvent| sending.submit(&event, Some(act.clone()))
        >
            <FormOp op/>
            {button}
            <p class="form-wrong" role="alert">{live(move || wrong.wrong())}</p>
            <p class="form-waits" role="status">{live(move || waits.waits())}</p>
        </form>
    }
    .into_part()
}

/// Says under a form that only the server answers, with another page, that it is not there now.
#[component]
pub fn Missed() -> impl IntoView {
    let missed = expect_context::<Store>().connection.missed;
    let words = move || missed.get().then(|| t(Text::NeedsServer));
    view! { <p class="form-waits" role="status">{live(words)}</p> }
}

/// The id under which a plain form sends its act, so that Back and Reload cannot do it twice.
#[component]
pub fn FormOp(
    /// The op.
    op: OpId,
) -> impl IntoView {
    view! { <input type="hidden" name="op" value=op.to_string()/> }
}

/// How many characters are left, in the last tenth, else how many are too many.
pub fn count_words(chars: u64, chars_max: u64) -> Option<Result<String, String>> {
    match chars_max.checked_sub(chars) {
        Some(left) if left > chars_max / 10 => None,
        Some(left) => Some(Ok(counted(Count::CharactersLeft, left))),
        None => Some(Err(counted(Count::CharactersOver, chars.saturating_sub(chars_max)))),
    }
}

fn chars_of(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// A line of text with its label above, and help or what is wrong below. What is too long
/// is counted and kept as it is; a form with it is not sent.
#[component]
pub fn Field(
    /// What it asks for.
    label: Text,
    /// Its name in the form.
    name: &'static str,
    /// What stands in it first.
    value: String,
    /// The most characters it takes.
    chars_max: usize,
    /// Whether it may stay empty.
    #[prop(optional)]
    optional: bool,
    /// What helps to fill it in.
    help: Text,
    /// What is sent, where this is the field that what comes of it is said below.
    #[prop(optional_no_strip)]
    sending: Option<Sending>,
    /// What is stored, where a field that nobody has changed says that, also when somebody else
    /// changes it: what is saved with it must not undo it.
    #[prop(optional)]
    stored: Option<Signal<String>>,
    /// Its element, to be read when the form is sent.
    input: NodeRef<html::Input>,
) -> impl IntoView {
    let (waits, edited, chars) =
        (sending.clone(), sending.clone(), RwSignal::new(chars_of(&value)));
    let chars_max = u64::try_from(chars_max).unwrap_or(u64::MAX);
    let count = Signal::derive(move || count_words(chars.get(), chars_max));
    let over = move || count.get().and_then(Result::err);
    let empty = RwSignal::new(false);
    let missing = move || empty.get().then(|| t(Text::RefusedEmpty).to_owned());
    let wrong = Signal::derive(move || {
        over().or_else(missing).or_else(|| sending.as_ref().and_then(Sending::wrong))
    });
    let note = move || {
        let waits = || waits.as_ref().and_then(Sending::waits);
        let left = || count.get().and_then(Result::ok);
        wrong.get().or_else(waits).or_else(left).unwrap_or_else(|| t(help).to_owned())
    };
    let changed = move || {
        let Some(input) = input.get_untracked() else { return };
        chars.set(chars_of(&input.value()));
        input.set_custom_validity(&untrack(over).unwrap_or_default());
        empty.set(false);
    };
    if let Some(stored) = stored {
        follow(input, stored, changed);
    }
    // What the browser would say in a bubble of its own, in its own language.
    let refused = move |event: Event| {
        event.prevent_default();
        let Some(input) = input.get_untracked() else { return };
        empty.set(input.value().is_empty());
        let _ = input.focus();
    };
    view! {
        <label class="field" class:field-wrong=live(move || wrong.with(Option::is_some))>
            <span class="field-label">{t(label)}</span>
            <input
                class="field-input"
                name=name
                value=value
                required=!optional
                autocomplete="off"
                dir="auto"
                aria-invalid=live(move || wrong.with(Option::is_some).then_some("true"))
                node_ref=input
                on:input=typed(changed, edited)
                on:invalid=refused
            />
            <span class="field-note" role="status">
                {live(move || {
                    wrong
                        .with(Option::is_some)
                        .then(|| view! { <Icon sign=Sign::Alert small=true/> }.into_part())
                })}
                <span>{live(note)}</span>
            </span>
        </label>
    }
    .into_part()
}

/// What is typed changes the field, and what its form says of what was done.
fn typed(changed: impl Fn() + 'static, sending: Option<Sending>) -> impl Fn(Event) + 'static {
    move |_| {
        changed();
        if let Some(sending) = &sending {
            sending.edited();
        }
    }
}

/// Puts what is stored in the place of what was stored, where that is what stands there.
fn follow(field: NodeRef<html::Input>, stored: Signal<String>, changed: impl Fn() + 'static) {
    let mut last = None;
    effect(move || {
        let now = stored.get();
        let before = last.replace(now.clone());
        if let Some(input) = field.get_untracked()
            && before.is_some_and(|before| before == input.value())
        {
            input.set_value(&now);
            changed();
        }
    });
}
