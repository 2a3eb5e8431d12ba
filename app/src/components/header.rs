//! The head of a pane: the way back on a phone, the title on the axis, the topic, and tools.
//!
//! Every page begins with one. Its law: what stands in it never moves, however long a name is; a
//! topic that is cut off is read whole by going to it.

use leptos::html;
use leptos::prelude::*;
use protocol::ids::RoomId;

use super::icon::{Icon, Sign};
use crate::browser::Hydrated;
use crate::live::{effect, live};
use crate::pages::tab_title;
use crate::part::IntoPart;
use crate::routes::ROOMS_PATH;
use crate::store::Store;
use crate::text::{Count, Text, counted, new_digits, t};

/// Whether what is being made now is drawn after a change of page, not with the first one.
#[must_use]
pub fn navigated() -> bool {
    use_context::<Hydrated>().is_some_and(|hydrated| hydrated.0.get_untracked())
}

/// The head of a pane. It also does what a change of page does not: it names the browser's tab,
/// where it also tells how much is new in all rooms, and takes the focus.
#[component]
pub fn Header(
    /// What the pane shows.
    #[prop(into)]
    title: Signal<String>,
    /// Its key, where another has this title; empty for nothing.
    #[prop(into, optional)]
    key: Signal<String>,
    /// What it is about; empty for nothing.
    #[prop(into, optional)]
    topic: Signal<String>,
    /// The room that the pane shows: what is new or failed in others is told beside the way back.
    #[prop(optional)]
    room: Option<RoomId>,
    /// Buttons at its end.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let heading = NodeRef::<html::H1>::new();
    let navigated = navigated();
    let store = expect_context::<Store>();
    let all = store.clone();
    let tried = store.clone();
    let failed = Signal::derive(move || tried.has_failed(room));
    let news = Signal::derive(move || store.unread(room).0);
    let back = move || {
        let mut words = vec![t(Text::Rooms).to_owned()];
        words.extend(failed.get().then(|| t(Text::Failed).to_owned()));
        words.extend(
            Some(news.get()).filter(|count| *count > 0).map(|count| counted(Count::New, count)),
        );
        words.join(". ")
    };
    let new = move || {
        let (count, more) = all.unread(None);
        new_digits(count, more)
    };
    effect(move || document().set_title(&title.with(|title| tab_title(title, &new()))));
    // The focus would stay on the link that led here, and a reader would not hear of the new page.
    effect(move || {
        if let Some(heading) = heading.get().filter(|_| navigated) {
            let _ = heading.focus();
        }
    });
    view! {
        <header class="header">
            <a
                class="header-back"
                class:header-back-news=live(move || news.get() > 0)
                class:header-back-failed=live(move || failed.get())
                href=ROOMS_PATH
                aria-label=live(back)
            >
                <Icon sign=Sign::Back/>
            </a>
            <div class="header-words">
                <h1 class="header-title" dir="auto" tabindex="-1" node_ref=heading>
                    {title}
                    {live(move || {
                        let key = key.get();
                        (!key.is_empty())
                            .then(|| view! { " " <bdi class="header-key">{key}</bdi> }.into_part())
                    })}
                </h1>
                {live(move || {
                    let topic = topic.get();
                    (!topic.is_empty()).then(|| {
                        view! { <p class="header-topic" dir="auto" tabindex="0">{topic}</p> }
                            .into_part()
                    })
                })}
            </div>
            {children.map(|children| children())}
        </header>
    }
    .into_part()
}
