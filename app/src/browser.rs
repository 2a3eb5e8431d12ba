//! What only a browser can tell; on the server each of these has a plain answer.
//!
//! The two builds differ in these answers and never in the structure they draw: whatever follows
//! from them is done after the page is hydrated.

use leptos::prelude::RwSignal;

/// Whether the page is hydrated; a context of every page, false until both sides have drawn the
/// same. What is drawn later was opened in the browser.
#[derive(Debug, Clone, Copy)]
pub struct Hydrated(pub RwSignal<bool>);

#[cfg(feature = "hydrate")]
pub use here::{early_enter, touch, zone_minutes};
#[cfg(not(feature = "hydrate"))]
pub use nowhere::{early_enter, touch, zone_minutes};

#[cfg(feature = "hydrate")]
mod here {
    use js_sys::{Date, Reflect};
    use leptos::prelude::window;
    use wasm_bindgen::JsValue;

    /// Minutes that the visitor's clocks are east of Greenwich at a moment, summer time included.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "exact below 2^53, and a zone is a small number")]
    pub fn zone_minutes(at_ms: i64) -> i64 {
        -(Date::new(&JsValue::from_f64(at_ms as f64)).get_timezone_offset() as i64)
    }

    /// Whether Enter was pressed on a text before the app came; told once. The head script writes
    /// `window.earlyEnter`, and `done` in it says from then on that the app is at work.
    #[must_use]
    pub fn early_enter() -> bool {
        let (window, name) = (window(), JsValue::from_str("earlyEnter"));
        let early = Reflect::get(&window, &name).is_ok_and(|early| early == true);
        let _ = Reflect::set(&window, &name, &JsValue::from_str("done"));
        early
    }

    /// Whether a finger is the main pointer here.
    #[must_use]
    pub fn touch() -> bool {
        let query = window().match_media("(pointer: coarse)").ok().flatten();
        query.is_some_and(|query| query.matches())
    }
}

#[cfg(not(feature = "hydrate"))]
mod nowhere {
    /// The server knows no visitor's clock: UTC.
    #[must_use]
    pub const fn zone_minutes(_at_ms: i64) -> i64 {
        0
    }

    /// Nobody pressed anything yet.
    #[must_use]
    pub const fn early_enter() -> bool {
        false
    }

    /// Nobody points at anything yet.
    #[must_use]
    pub const fn touch() -> bool {
        false
    }
}
