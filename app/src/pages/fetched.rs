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

/// What came of asking so far.
#[derive(Clone, Default)]
struct Answer {
    told: ArcRwSignal<bool>,
    missed: ArcRwSignal<bool>,
    shown: Arc<Mutex<Option<Shown>>>,
}

impl Answer {
    /// Takes what one request brought. More than one may be under way, and they end in any order:
    /// what is drawn stays, whatever an older one says of the server as it was.
    fn take(&self, shown: Option<Shown>) {
        if self.told.get_untracked() {
            return;
        }
        let is_told = shown.is_some();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        self.missed.set(!is_told);
        self.told.set(is_told);
    }
}

/// Draws something of what is told.
pub(super) type Part<T> = Box<dyn Fn(T) -> AnyView + Send>;

/// What the page at this path shows, drawn by `draw` as soon as it is told; until then, where that
/// takes long, why. A `title` stands above that, where what is told is a whole page.
pub(super) fn fetched(path: String, title: Option<String>, draw: Part<Shown>) -> Live<AnyView> {
    let (link, store) = (use_context::<Link>().unwrap_or_default(), expect_context::<Store>());
    let answer = Answer::default();
    let Answer { told, missed, shown } = answer.clone();
    // As soon as the server is there again, too.
    effect(move || {
        store.connection.live.track();
        if !answer.told.get_untracked() {
            let answer = answer.clone();
            link.load(path.clone(), Box::new(move |shown| answer.take(shown)));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_drawn_is_not_taken_away_by_an_older_request() {
        let answer = Answer::default();
        let held = || answer.shown.lock().expect("nobody panicked").clone();
        answer.take(None);
        assert!(answer.missed.get_untracked());
        answer.take(Some(Shown::Me { saved: true }));
        answer.take(None);
        answer.take(Some(Shown::Broken));
        assert!(answer.told.get_untracked() && !answer.missed.get_untracked());
        assert_eq!(held(), Some(Shown::Me { saved: true }));
    }
}
