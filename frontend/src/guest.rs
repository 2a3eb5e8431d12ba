//! The server outside the socket: is it ready, what does a page show, and will it take this browser
//! for a guest?
//!
//! The last is asked when a socket never opened or a sign-in is over. Two tabs make one guest: the
//! request goes out under a lock that all tabs share, the Web Lock `guest`, or where the browser has none
//! (plain http on a host that is not this machine) a lease in `localStorage`.

use app::first_page::{InText, PAGE_TYPE, Shown};
use app::routes::ME_PATH;
use leptos::prelude::window;
use protocol::client::exchange::Checked;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, RequestInit, Response};

use crate::lock::{self, Release};
use crate::{clock, storage};

const LOCK: &str = "guest";
const LEASE_MS: i64 = 3_000;
const LEASE_PAUSE_MS: i32 = 60;
/// The longest wait that is taken from an answer, whoever gives it.
const LATER_S_MAX: u32 = 60;
/// How long an answer is waited for while somebody looks on.
const PATIENCE_MS: u32 = 5_000;
/// How long it is where nobody does: as long as the machine waits. Who asks for a guest holds up
/// all tabs meanwhile.
const ANSWER_MS_MAX: u32 = 15_000;

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
        Some(answer) if answer.status() == 403 => {
            Checked::Refused(text(&answer).await.unwrap_or_default())
        }
        Some(answer) => later(&answer),
    }
}

/// Whether the server gives pages now, of whatever version.
pub(crate) async fn is_there() -> bool {
    page(ME_PATH).await.is_some()
}

/// What the page at this path shows; nothing where the server does not say that whole and soon. A
/// server whose pages this build cannot read is another version, and gives its own build with the
/// page.
pub(crate) async fn load(path: &str) -> Option<Shown> {
    let answer = page(path).await?;
    match text(&answer).await?.parse() {
        Ok(InText(page)) => Some(page.shown),
        Err(_) => {
            let _ = window().location().set_href(path);
            None
        }
    }
}

/// The answer to who asks for a page without its drawing, its body still under way.
async fn page(path: &str) -> Option<Response> {
    let (request, headers) = (RequestInit::new(), Headers::new().ok()?);
    request.set_signal(Some(&AbortSignal::timeout_with_u32(PATIENCE_MS)));
    headers.set("accept", PAGE_TYPE).ok()?;
    request.set_headers_headers(&headers);
    let answer = send(path, &request).await?;
    let kind = answer.headers().get("content-type").ok().flatten();
    (kind.as_deref() == Some(PAGE_TYPE) && answer.status() != 503).then_some(answer)
}

async fn ask(method: &str, path: &str) -> Option<Response> {
    let request = RequestInit::new();
    request.set_method(method);
    request.set_signal(Some(&AbortSignal::timeout_with_u32(ANSWER_MS_MAX)));
    send(path, &request).await
}

async fn send(path: &str, request: &RequestInit) -> Option<Response> {
    let answer = JsFuture::from(window().fetch_with_str_and_init(path, request)).await;
    answer.ok()?.dyn_into().ok()
}

fn later(answer: &Response) -> Checked {
    let seconds = answer.headers().get("retry-after").ok().flatten();
    let seconds: u32 = seconds.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0);
    Checked::Later { ms_min: seconds.min(LATER_S_MAX) * 1_000 }
}

/// The whole body; nothing where it was cut off.
async fn text(answer: &Response) -> Option<String> {
    JsFuture::from(answer.text().ok()?).await.ok()?.as_string()
}

/// Waits for the lock; gives what releases it.
async fn lock() -> Release {
    if !lock::are_known() {
        return lease().await;
    }
    lock::hold(LOCK).await.unwrap_or_else(|| Box::new(|| {}))
}

/// Writes a lease and goes on once it was its own for a moment; a dead tab's lease runs out.
async fn lease() -> Release {
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
        clock::pause(LEASE_PAUSE_MS).await;
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
