//! What stands where no page can: it does not exist, or the house could not answer, or not now.
//!
//! Drawn by any page whose `FirstPage` has nothing to show; which of these it is, is told there.

use leptos::prelude::*;

use crate::components::Header;
use crate::first_page::{FirstPage, Shown};
use crate::part::IntoPart;
use crate::text::{Text, t};

/// The page for what cannot be shown. The neutral words do not tell whether something is hidden.
#[component]
pub fn Error() -> impl IntoView {
    let (title, words) = match use_context::<FirstPage>().map(|page| page.shown) {
        Some(Shown::Broken) => (Text::OurFault, Text::OurFaultHelp),
        Some(Shown::Busy) => (Text::Busy, Text::BusyHelp),
        _ => (Text::NotFound, Text::NotFoundHelp),
    };
    notice(t(title), t(words), None)
}

/// A page that says one thing, and leads to the lobby.
pub(super) fn notice(
    title: &'static str,
    words: &'static str,
    help: Option<&'static str>,
) -> AnyView {
    view! {
        <main id="main" class="pane">
            <div class="room">
                <Header title=title.to_owned()/>
                <div class="log column">
                    <div class="empty contours">
                        <h2 class="heading">{words}</h2>
                        {help.map(|help| view! { <p class="empty-words">{help}</p> })}
                        <p class="form-actions">
                            <a class="button button-main" href="/">{t(Text::GoToLobby)}</a>
                        </p>
                    </div>
                </div>
            </div>
        </main>
    }
    .into_part()
}
