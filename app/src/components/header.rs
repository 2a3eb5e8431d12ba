//! The head of a pane: the way back on a phone, the title on the axis, the topic, and tools.

use leptos::prelude::*;

use super::icon::{Icon, Sign};
use crate::routes::ROOMS_PATH;
use crate::text::{Text, t};

/// The head of a pane. It also names the browser's tab, which a change of page does not do.
#[component]
pub fn Header(
    /// What the pane shows.
    #[prop(into)]
    title: Signal<String>,
    /// What it is about; empty for nothing.
    #[prop(into, optional)]
    topic: Signal<String>,
    /// Buttons at its end.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    Effect::new(move || document().set_title(&title.with(|title| crate::pages::tab_title(title))));
    view! {
        <header class="header">
            <a class="header-back" href=ROOMS_PATH rel="external" aria-label=t(Text::Rooms)>
                <Icon sign=Sign::Back/>
            </a>
            <div class="header-words">
                <h1 class="header-title" dir="auto">{title}</h1>
                {move || {
                    let topic = topic.get();
                    (!topic.is_empty())
                        .then(|| view! { <p class="header-topic" dir="auto">{topic}</p> })
                }}
            </div>
            {children.map(|children| children())}
        </header>
    }
    .into_any()
}
