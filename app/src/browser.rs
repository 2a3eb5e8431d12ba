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
pub use here::{
    early_texts, focus_on_talk, forget_posted, grow, is_posted, lowercase, touch, zone_minutes,
};
#[cfg(not(feature = "hydrate"))]
pub use nowhere::{
    early_texts, focus_on_talk, forget_posted, grow, is_posted, lowercase, touch, zone_minutes,
};

#[cfg(feature = "hydrate")]
mod here {
    use js_sys::{Array, Date, JsString, Number, Reflect};
    use leptos::prelude::{document, window};
    use wasm_bindgen::{JsCast, JsValue};
    use web_sys::{HtmlElement, HtmlTextAreaElement};

    /// Lines that a composer shows at most where the browser does not measure it by its text.
    const LINES_MAX: i32 = 12;
    /// When the head script let the composer's form be posted, on the form.
    const POSTED: &str = "data-posted";
    /// How long the answer to that is waited for.
    const POST_MS_MAX: f64 = 10_000.0;

    /// Minutes that the visitor's clocks are east of Greenwich at a moment, summer time included.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "exact below 2^53, and a zone is a small number")]
    pub fn zone_minutes(at_ms: i64) -> i64 {
        -(Date::new(&JsValue::from_f64(at_ms as f64)).get_timezone_offset() as i64)
    }

    /// A text in small letters, by the browser's tables: those of `str` would be its second copy.
    #[must_use]
    pub fn lowercase(text: &str) -> String {
        if text.is_ascii() {
            return text.to_ascii_lowercase();
        }
        JsString::from(text).to_lower_case().into()
    }

    /// The texts on which Enter was pressed before the app came; told once. The head script writes
    /// them into `window.early`, and `done` in it says from then on that the app is at work.
    #[must_use]
    pub fn early_texts() -> Vec<String> {
        let (window, name) = (window(), JsValue::from_str("early"));
        let early = Reflect::get(&window, &name).ok().and_then(|it| it.dyn_into::<Array>().ok());
        let _ = Reflect::set(&window, &name, &JsValue::from_str("done"));
        early
            .map(|texts| texts.iter().filter_map(|it| it.as_string()).collect())
            .unwrap_or_default()
    }

    /// Whether what stands in the composer was just posted as a form, and the answer is under way:
    /// by the head script's note, which holds for ten seconds, or until something is typed.
    #[must_use]
    pub fn is_posted(area: &HtmlTextAreaElement) -> bool {
        let form = area.closest("form").ok().flatten();
        let at = form.and_then(|form| form.get_attribute(POSTED));
        at.is_some_and(|at| Date::now() - Number::parse_float(&at) < POST_MS_MAX)
    }

    /// Something was typed: the composer is the app's again.
    pub fn forget_posted(area: &HtmlTextAreaElement) {
        if let Ok(Some(form)) = area.closest("form") {
            let _ = form.remove_attribute(POSTED);
        }
    }

    /// Gives the composer the height of its text in browsers that do not do it by themselves.
    pub fn grow(area: &HtmlTextAreaElement) {
        let does_itself = Reflect::has(&area.style(), &JsValue::from_str("fieldSizing"));
        if does_itself != Ok(true) {
            area.set_rows(2);
            let two = area.client_height();
            area.set_rows(1);
            let one = area.client_height();
            let line = (two - one).max(1);
            let lines = 1 + (area.scroll_height() - one + line / 2) / line;
            area.set_rows(u32::try_from(lines.clamp(1, LINES_MAX)).unwrap_or(1));
        }
    }

    /// Gives the focus to where the talk goes on: the composer; on touch, where that would open the
    /// keyboard, the messages.
    pub fn focus_on_talk() {
        let place = if touch() { ".log" } else { ".composer-text" };
        let found = document().query_selector(place).ok().flatten();
        if let Some(place) = found.and_then(|it| it.dyn_into::<HtmlElement>().ok()) {
            let _ = place.focus();
        }
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

    /// A text in small letters.
    #[must_use]
    pub fn lowercase(text: &str) -> String {
        text.to_lowercase()
    }

    /// Nobody pressed anything yet.
    #[must_use]
    pub const fn early_texts() -> Vec<String> {
        Vec::new()
    }

    /// A page that is drawn was not posted yet.
    #[must_use]
    pub const fn is_posted(_area: &leptos::web_sys::HtmlTextAreaElement) -> bool {
        false
    }

    /// As little can it be forgotten.
    pub const fn forget_posted(_area: &leptos::web_sys::HtmlTextAreaElement) {}

    /// Nothing is measured yet.
    pub const fn grow(_area: &leptos::web_sys::HtmlTextAreaElement) {}

    /// Nothing has the focus yet.
    pub const fn focus_on_talk() {}

    /// Nobody points at anything yet.
    #[must_use]
    pub const fn touch() -> bool {
        false
    }
}
