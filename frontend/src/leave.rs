//! What loads another page, or this one anew, does so where the server is there; else the page stays
//! and says that it is not: nobody loses what he has before him.
//!
//! Heard of here are the forms and links that do not act by the `Link`. Without a script the browser
//! does all of it by itself.

use std::cell::Cell;
use std::rc::Rc;

use app::link::Link;
use app::store::Store;
use leptos::prelude::{Set, document, untrack, window};
use leptos::task::spawn_local;
use protocol::client::exchange::Ask;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlFormElement, SubmitEvent};

use crate::{clock, guest, page};

/// A link that loads the page anew.
const RELOADS: &str = "a[href=''][rel]";

/// Where the page stands with its leaving.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Nobody wants to.
    No,
    /// The server is asked whether it is there; what else is pressed meanwhile is one too many.
    Asks,
    /// The browser does it, in this moment.
    Goes,
    /// It has begun, at this Unix millisecond: the answer is under way, and what else is pressed
    /// would take it away.
    Gone(i64),
}

/// How long an answer is waited for before the page may be left anew.
const GONE_MS_MAX: i64 = 5_000;

/// Guards the page from now on.
pub(crate) fn guard(store: &Store, link: &Link) {
    let (connection, link) = (store.connection.clone(), link.clone());
    let leaving = Rc::new(Cell::new(Leaving::No));
    let shown = Rc::clone(&leaving);
    let leave = move |event: Event| {
        if event.default_prevented() || leaving.get() == Leaving::Goes {
            return;
        }
        let Some(go) = way(&event) else { return };
        event.prevent_default();
        match leaving.get() {
            Leaving::Asks => return,
            Leaving::Gone(at) if clock::now() - at < GONE_MS_MAX => return,
            _ => {}
        }
        // Known to be away: a try that is made by hand is made at once.
        let is_away = untrack(|| connection.is_away());
        connection.missed.set(is_away);
        if is_away {
            return link.ask(Ask::ConnectNow);
        }
        leaving.set(Leaving::Asks);
        let (missed, leaving) = (connection.missed.clone(), Rc::clone(&leaving));
        spawn_local(async move {
            let is_there = guest::is_there().await;
            missed.set(!is_there);
            leaving.set(if is_there { Leaving::Goes } else { Leaving::No });
            if is_there {
                let goes = go();
                leaving.set(if goes { Leaving::Gone(clock::now()) } else { Leaving::No });
            }
        });
    };
    // The page is there again, as it was left.
    page::listen(&window(), "pageshow", move |_| shown.set(Leaving::No));
    page::listen(&document(), "submit", leave.clone());
    page::listen(&document(), "click", leave);
}

/// What the browser would do; gives whether it does: a field that was emptied meanwhile holds it up.
fn way(event: &Event) -> Option<Box<dyn FnOnce() -> bool>> {
    let target: Element = event.target()?.dyn_into().ok()?;
    if let Some(submit) = event.dyn_ref::<SubmitEvent>() {
        let (form, button) = (target.dyn_into::<HtmlFormElement>().ok()?, submit.submitter());
        return Some(Box::new(move || {
            form.request_submit_with_submitter(button.as_ref()).is_ok() && form.check_validity()
        }));
    }
    target.closest(RELOADS).ok()??;
    Some(Box::new(|| window().location().reload().is_ok()))
}
