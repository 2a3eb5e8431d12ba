//! The server outside the socket: is it ready, and will it take this browser for a guest?
//!
//! Asked when a socket never opened or a sign-in is over. Two tabs make one guest: the request
//! goes out under a lock that all tabs share, the Web Lock `guest`, or where the browser has none
//! (plain http on a host that is not this machine) a lease in `localStorage`.

use futures_channel::oneshot;
use js_sys::{Function, Promise, Reflect};
use leptos::prelude::window;
use protocol::client::exchange::Checked;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{RequestInit, Response};

use crate::{clock, storage};

const LOCK: &str = "guest";
const LEASE_MS: i64 = 3_000;
const LEASE_PAUSE_MS: i32 = 60;

/// Asks; where it is not known to be there, first whether it is.
pub(crate) async fn check(guest_only: bool) -> Checked {
    if !guest_only {
        match ask("GET", "/readyz").await {
            None => return Checked::Silent,
            Some(answer) if !answer.ok() => return later(&answer),
            Some(_) => {}
        }
    }
    let unlock = lock().await;
    let answer = ask("POST", "/api/guest").await;
    unlock();
    match answer {
        None => Checked::Silent,
        Some(answer) if answer.ok() => Checked::Ready,
        Some(answer) if answer.status() == 403 => Checked::Refused(text(&answer).await),
        Some(answer) => later(&answer),
    }
}

async fn ask(method: &str, path: &str) -> Option<Response> {
    let request = RequestInit::new();
    request.set_method(method);
    let answer = JsFuture::from(window().fetch_with_str_and_init(path, &request)).await;
    answer.ok()?.dyn_into().ok()
}

fn later(answer: &Response) -> Checked {
    let seconds = answer.headers().get("retry-after").ok().flatten();
    let seconds: u32 = seconds.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0);
    Checked::Later { ms_min: seconds.saturating_mul(1_000) }
}

async fn text(answer: &Response) -> String {
    let Ok(text) = answer.text() else { return String::new() };
    JsFuture::from(text).await.ok().and_then(|text| text.as_string()).unwrap_or_default()
}

/// Waits for the lock; gives what releases it.
async fn lock() -> Box<dyn FnOnce()> {
    if let Some(held) = web_lock() {
        if let Ok(release) = held.await {
            return Box::new(move || {
                let _ = release.call0(&JsValue::UNDEFINED);
            });
        }
        return Box::new(|| {});
    }
    lease().await
}

/// Asks for the Web Lock, which is held until the function that comes is called. By hand, since
/// the browser's bindings count locks as unstable.
fn web_lock() -> Option<oneshot::Receiver<Function>> {
    let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
    let request = Reflect::get(&locks, &"request".into()).ok()?;
    let request: Function = request.dyn_into().ok()?;
    let (hold, held) = oneshot::channel();
    let mut hold = Some(hold);
    let granted = Closure::once_into_js(move |_lock: JsValue| {
        Promise::new(&mut |release, _| {
            if let Some(hold) = hold.take() {
                let _ = hold.send(release);
            }
        })
    });
    request.call2(&locks, &LOCK.into(), &granted).ok()?;
    Some(held)
}

/// Writes a lease and goes on once it was its own for a moment; a dead tab's lease runs out.
async fn lease() -> Box<dyn FnOnce()> {
    let own = u64::from_le_bytes(clock::chance());
    let begun_at = clock::now();
    while let Some(shelf) = storage::local() {
        let held = shelf.get_item(LOCK).ok().flatten();
        let (until, holder) = held.as_deref().and_then(parse_lease).unwrap_or((0, own));
        let mine = holder == own;
        if mine && until > clock::now() || clock::now() - begun_at > LEASE_MS {
            break;
        }
        if until <= clock::now()
            && shelf.set_item(LOCK, &format!("{} {own}", clock::now() + LEASE_MS)).is_err()
        {
            break;
        }
        pause(LEASE_PAUSE_MS).await;
    }
    Box::new(move || {
        let Some(shelf) = storage::local() else { return };
        let held = shelf.get_item(LOCK).ok().flatten();
        // Who gave up waiting leaves the other tab's lease alone.
        if held.as_deref().and_then(parse_lease).is_some_and(|(_, holder)| holder == own) {
            let _ = shelf.remove_item(LOCK);
        }
    })
}

fn parse_lease(lease: &str) -> Option<(i64, u64)> {
    let (until, holder) = lease.split_once(' ')?;
    Some((until.parse().ok()?, holder.parse().ok()?))
}

async fn pause(ms: i32) {
    let wait = Promise::new(&mut |done, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&done, ms);
    });
    let _ = JsFuture::from(wait).await;
}
