//! Web Locks: what one tab at a time may do, and the sign that a tab lives.
//!
//! Asked by hand, since the browser's bindings count locks as unstable. A browser has none on plain
//! http from another host than this machine; then every answer is nothing.

use futures_channel::oneshot;
use js_sys::{Function, Object, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

/// What ends a lock. Dropped uncalled, the lock is held for as long as the page lives.
pub(crate) type Release = Box<dyn FnOnce()>;

/// Whether the browser has locks here.
pub(crate) fn are_known() -> bool {
    manager().is_some()
}

/// Waits for a lock.
pub(crate) async fn hold(name: &str) -> Option<Release> {
    request(name, false)?.await.ok()?
}

/// Takes a lock that nobody holds.
pub(crate) async fn try_hold(name: &str) -> Option<Release> {
    request(name, true)?.await.ok()?
}

fn manager() -> Option<JsValue> {
    let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
    (!locks.is_undefined()).then_some(locks)
}

/// Asks for a lock, which is held until the promise that it is given is kept.
fn request(name: &str, if_available: bool) -> Option<oneshot::Receiver<Option<Release>>> {
    let locks = manager()?;
    let request: Function = Reflect::get(&locks, &"request".into()).ok()?.dyn_into().ok()?;
    let options = Object::new();
    Reflect::set(&options, &"ifAvailable".into(), &if_available.into()).ok()?;
    let (tell, told) = oneshot::channel();
    let granted = Closure::once_into_js(move |lock: JsValue| {
        if lock.is_null() {
            let _ = tell.send(None);
            return JsValue::UNDEFINED;
        }
        let mut tell = Some(tell);
        let held = Promise::new(&mut |release: Function, _| {
            if let Some(tell) = tell.take() {
                let release: Release = Box::new(move || {
                    let _ = release.call0(&JsValue::UNDEFINED);
                });
                let _ = tell.send(Some(release));
            }
        });
        held.into()
    });
    request.call3(&locks, &name.into(), &options, &granted).ok()?;
    Some(told)
}
