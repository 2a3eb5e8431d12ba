//! What happens to the page: hidden, shown, frozen, woken, on and off the network.
//!
//! Each is told to the machine by one call. The listeners live as long as the page.

use leptos::prelude::{document, window};
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventTarget, VisibilityState};

/// What the machine is told of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is shown, thawed, or on the network again.
    Awake,
    /// It is frozen, or there is no network.
    Asleep,
    /// Nobody sees it, or somebody does.
    Hidden(bool),
    /// It may end now, without another word.
    Leaving,
    /// Its window is the one that is written in.
    Focused,
    /// Another tab kept something.
    Kept,
}

/// Tells of every change from now on.
pub(crate) fn watch(tell: impl Fn(Change) + Clone + 'static) {
    let (page, window) = (document(), window());
    let on = |target: &EventTarget, name: &str, change: Change| {
        let tell = tell.clone();
        listen(target, name, move |_| tell(change));
    };
    on(&window, "online", Change::Awake);
    on(&window, "offline", Change::Asleep);
    on(&window, "pageshow", Change::Awake);
    on(&window, "pagehide", Change::Leaving);
    on(&window, "focus", Change::Focused);
    on(&window, "storage", Change::Kept);
    on(&page, "freeze", Change::Asleep);
    on(&page, "resume", Change::Awake);
    let shown = tell.clone();
    listen(&page, "visibilitychange", move |_| {
        let hidden = is_hidden();
        shown(Change::Hidden(hidden));
        if !hidden {
            shown(Change::Awake);
        }
    });
    tell(Change::Hidden(is_hidden()));
}

/// Says in the document that the page is at work, for whoever drives it from outside.
pub(crate) fn tell_hydrated() {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-hydrated", "true");
    }
}

/// Calls `act` at each such event for as long as the page lives.
pub(crate) fn listen(target: &EventTarget, name: &str, act: impl Fn(Event) + 'static) {
    let listener = Closure::<dyn Fn(Event)>::new(act);
    let _ = target.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
    listener.forget();
}

fn is_hidden() -> bool {
    document().visibility_state() == VisibilityState::Hidden
}
