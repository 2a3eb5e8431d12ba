//! Time and chance, as the machine wants them.
//!
//! The clock is Unix time that never goes back while the page lives: the page's beginning plus the
//! browser's monotonic clock. Chance is the browser's own, from the system.

use js_sys::Promise;
use leptos::prelude::window;
use wasm_bindgen_futures::JsFuture;

/// Unix milliseconds.
#[expect(clippy::as_conversions, reason = "a time in milliseconds is exact far beyond any date")]
pub(crate) fn now() -> i64 {
    let Some(performance) = window().performance() else { return js_sys::Date::now() as i64 };
    (performance.time_origin() + performance.now()) as i64
}

/// Bytes nobody can guess.
pub(crate) fn chance<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Ok(crypto) = window().crypto() {
        // It fails only for more than 64 KiB at once.
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    bytes
}

/// Lets this many milliseconds go by; a hidden page may be kept waiting for longer.
pub(crate) async fn pause(ms: i32) {
    let wait = Promise::new(&mut |done, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&done, ms);
    });
    let _ = JsFuture::from(wait).await;
}
