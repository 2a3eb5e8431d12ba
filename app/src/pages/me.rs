//! The user's own page: his name and the language of the house.
//!
//! The name goes over the socket where there is one; the language is always a form, because it
//! changes every word of the page.

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;
use protocol::act::{Act, Rename};
use protocol::limits::NAME_CHARS_MAX;
use protocol::model::DisplayName;

use super::sheet;
use crate::components::form::{Field, FormOp, Missed, RefusedForm, Sending};
use crate::first_page::{FirstPage, Form, FormOps, Shown};
use crate::live::live;
use crate::part::IntoPart;
use crate::routes::{LANGUAGE_PATH, ME_PATH};
use crate::store::Store;
use crate::text::{PageLanguage, Text, language, t};

/// The page on which the user changes his name and his language.
#[component]
pub fn MePage() -> impl IntoView {
    let content = view! {
        <NameForm/>
        <h2 class="page-part">{t(Text::Language)}</h2>
        <LanguageForm/>
    };
    sheet("pane", t(Text::Yourself).to_owned(), content.into_part())
}

#[component]
fn NameForm() -> impl IntoView {
    let refused = RefusedForm::take(Form::Rename);
    let sending = Sending::new(refused.clone());
    let op = use_context::<FormOps>().unwrap_or_default().rename;
    let input = NodeRef::<html::Input>::new();
    let me = expect_context::<Store>().me.get_untracked();
    let name = me.map(|me| me.name.into_string()).unwrap_or_default();
    let value = refused.map_or(name, |refused| refused.text);
    let (noted, done) = (sending.clone(), sending.clone());
    let led_here =
        matches!(use_context(), Some(FirstPage { shown: Shown::Me { saved: true }, .. }));
    let saved =
        move || (done.done().is_some() || (led_here && !done.began())).then(|| t(Text::Saved));
    let submit = move |event: SubmitEvent| {
        let name = input.get_untracked().and_then(|input| DisplayName::new(input.value()).ok());
        sending.submit(&event, name.map(|name| Act::Rename(Rename { name })));
    };
    view! {
        <form class="form" method="post" action=ME_PATH on:submit=submit>
            <FormOp op/>
            <Field
                label=Text::YourName
                name="name"
                value
                chars_max=NAME_CHARS_MAX
                help=Text::YourNameHelp
                sending=Some(noted)
                input
            />
            <div class="form-actions">
                <button class="button button-main">{t(Text::Save)}</button>
                <span class="form-done" role="status">{live(saved)}</span>
            </div>
        </form>
    }
    .into_part()
}

/// A button for each language, in that language; the page comes back in it.
#[component]
fn LanguageForm() -> impl IntoView {
    let spoken = language();
    view! {
        <form class="form-actions" method="post" action=LANGUAGE_PATH>
            {PageLanguage::ALL
                .map(|(language, name)| {
                    view! {
                        <button
                            class="button"
                            name="lang"
                            value=language.tag()
                            lang=language.tag()
                            aria-pressed=(language == spoken).to_string()
                        >
                            {name}
                        </button>
                    }
                })
                .collect_view()}
            <Missed/>
        </form>
    }
    .into_part()
}
