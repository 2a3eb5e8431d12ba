//! The entry of the browser build: it hydrates the page and stands between the machine and the
//! browser.
//!
//! `socket` carries bytes, `page` hears of sleep and network, `guest` asks the server outside the
//! socket, `leave` keeps the page while that is away, `storage` keeps texts, `outbox` messages and
//! `cache` pages of rooms (in `database`), `lock` knows of other tabs, `clock` gives time and chance.
//! Its law: no rule of the protocol is here, and none of this is called but from the page's script.

#![forbid(unsafe_code)]

mod cache;
mod clock;
mod database;
mod guest;
mod leave;
mod lock;
mod outbox;
mod page;
mod socket;
mod storage;

use std::sync::Arc;

use app::link::{Link, Then};
use app::root::{Root, handed_over};
use app::store::Store;
use futures_channel::mpsc;
use leptos::prelude::*;
use leptos::task::{spawn_local, tick};
use protocol::bounded::Text;
use protocol::client::Setup;
use protocol::ids::{DeviceId, OpId, PageId};
use wasm_bindgen::prelude::wasm_bindgen;

/// Brings the page to life; called once by the script of its shell.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    let (asks, asked) = mpsc::unbounded();
    let load = |path: String, then: Then| {
        spawn_local(async move { then(guest::load(&path).await) });
    };
    let link = Link::new(asks, || OpId::make(clock::now(), clock::chance()), load);
    hydrate_body(move || {
        let page = handed_over();
        let shelf = storage::Shelf::open();
        let store = Store::new(&page, Arc::new(shelf.clone()));
        let setup = Setup {
            page: PageId::make(clock::now(), clock::chance()),
            device: DeviceId::make(clock::now(), clock::chance()),
            build: Text::cut(concat!("browser ", env!("CARGO_PKG_VERSION"))),
            shelf: true,
            cache: true,
            user: page.me.as_ref().map(|me| me.id),
            reloaded: storage::was_reloaded(),
            seed: u64::from_le_bytes(clock::chance()),
        };
        leave::guard(&store, &link);
        socket::start(setup, store.clone(), asked, shelf);
        view! { <Root page store link/> }
    });
    spawn_local(async {
        // The effects of the first drawing come first: from then on keys and clicks are heard.
        tick().await;
        page::tell_hydrated();
    });
}
