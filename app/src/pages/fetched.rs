//! What a page shows that is not in the store: asked of the server, without loading the page anew.
//!
//! Drawn for a change of page in the browser; the first page has all that it shows. Its law: where
//! the server is away the page stays, says so, and is there as soon as the server is.

use std::sync::{Arc, Mutex, PoisonError};

use leptos::prelude::*;

use super::sheet;
use crate::first_page::Shown;
use crate::link::Link;
use crate::live::{Live, effect, live};
use crate::part::IntoPart;
use crate::store::Store;
use crate::text::{Text, t};

/// Draws something of what is told.
pub(super) type Part<T> = Box<dyn Fn(T) -> AnyView + Send>;

/// What the page at this path shows, drawn by `draw` as soon as it is told; until then, where that
/// takes long, why. A `title` stands above that, where what is told is a whole page.
pub(super) fn fetched(path: String, title: Option<String>, draw: Part<Shown>) -> Live<AnyView> {
    let (link, store) = (use_context::<Link>().unwrap_or_default(), expect_context::<Store>());
    let (told, missed) = (ArcRwSignal::new(false), ArcRwSignal::new(false));
    let shown = Arc::new(Mutex::new(None));
    let (is_told, is_missed, answer) = (told.clone(), missed.clone(), Arc::clone(&shown));
    // As soon as the server is there again, too.
    effect(move || {
        store.connection.live.track();
        if is_told.get_untracked() {
            return;
        }
        let (told, missed, answer) = (is_told.clone(), is_missed.clone(), Arc::clone(&answer));
        let then = move |shown: Option<Shown>| {
            let is_told = shown.is_some();
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = shown;
            missed.set(!is_told);
            told.set(is_told);
        };
        link.load(path.clone(), Box::new(then));
    });
    live(move || {
        let shown = told.get().then(|| shown.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(shown) = shown.flatten() {
            return draw(shown);
        }
        let words = missed.get().then(|| {
            view! {
                <p class="page-words" role="status">
                    {t(Text::NeedsServer)} " " <a href="" rel="external">{t(Text::Retry)}</a>
                </p>
            }
        });
        match &title {
            Some(title) => sheet("pane", title.clone(), words.into_part()),
            None => words.into_part(),
        }
    })
}
