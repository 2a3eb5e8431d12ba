//! The root of the app: what is in context on every page, and the router with its pages.
//!
//! The server draws `App` inside the shell; the browser hydrates the same tree as `Root` over a
//! live store. Its law: both read the first page by `handed_over`, once.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::components::Router;

use crate::browser::zone_minutes;
use crate::first_page::{FirstPage, InText};
use crate::link::Link;
use crate::live::effect;
use crate::pages::{Pages, provide_page};
use crate::store::{NoKeeper, Store};

/// The first page: on the server from the context, from where it goes into the document; in the
/// browser from the document. To be called once, inside an owner.
#[must_use]
pub fn handed_over() -> FirstPage {
    SharedValue::new_str(|| InText(use_context().unwrap_or_default())).into_inner().0
}

/// The app as the server draws it: nobody speaks, forms are forms.
#[component]
pub fn App() -> impl IntoView {
    let page = handed_over();
    let store = Store::new(&page, Arc::new(NoKeeper));
    view! { <Root page store link=Link::default()/> }
}

/// The app over a store and a link.
#[component]
pub fn Root(
    /// What is drawn first.
    page: FirstPage,
    /// What is drawn from then on.
    store: Store,
    /// Where asks go.
    link: Link,
) -> impl IntoView {
    provide_context(store.clone());
    provide_context(link);
    provide_page(page);
    // An effect: it runs when the page is hydrated as the server drew it.
    effect(move || {
        store.set_zone(zone_minutes);
        store.look_up_read();
        store.look_up_place();
    });
    view! {
        <Router>
            <Pages/>
        </Router>
    }
}
