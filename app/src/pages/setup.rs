//! The setup link: one button, whose press makes the visitor the owner of the house.
//!
//! Drawn for a good token alone; a void one is told why, and answered as a page that does not
//! exist. A look changes nothing.

use leptos::prelude::*;

use super::error::{Error, notice};
use crate::components::Header;
use crate::components::form::{Missed, RefusedForm, why_words};
use crate::first_page::{FirstPage, Form, Shown};
use crate::part::IntoPart;
use crate::routes::SETUP_PREFIX;
use crate::text::{Text, t};

/// The page behind the setup link.
#[component]
pub fn SetupPage() -> impl IntoView {
    let Some(FirstPage { shown: Shown::Setup { token, valid }, .. }) = use_context() else {
        return view! { <Error/> }.into_part();
    };
    if !valid {
        return notice(t(Text::SetUp), t(Text::SetUpVoid), Some(t(Text::SetUpVoidHelp)));
    }
    let wrong = RefusedForm::take(Form::Setup).map(|refused| why_words(&refused));
    view! {
        <main id="main" class="pane">
            <div class="room">
                <Header title=t(Text::SetUp).to_owned()/>
                <div class="log column">
                    <div class="empty contours">
                        <h2 class="heading">{t(Text::SetUpHelp)}</h2>
                        <p class="empty-words">{t(Text::SetUpOnce)}</p>
                        <form class="form-actions" method="post" action=format!("{SETUP_PREFIX}{token}")>
                            <button class="button button-main">{t(Text::BecomeOwner)}</button>
                            <Missed/>
                        </form>
                        {wrong.map(|wrong| view! { <p class="wrong" role="alert">{wrong}</p> })}
                    </div>
                </div>
            </div>
        </main>
    }
    .into_part()
}
