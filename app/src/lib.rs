//! Pages, components and the client's store, built twice: for the server and for the browser.
//!
//! It sees only `protocol`; what it needs of a server it asks through the trait `Backend`. What a
//! page shows first is loaded before it is drawn; from then on every change comes over the socket
//! into the one `Store`.

#![forbid(unsafe_code)]

pub mod backend;
pub mod browser;
pub mod calendar;
pub mod components;
pub mod first_page;
pub mod link;
pub mod live;
pub mod pages;
pub mod part;
pub mod root;
pub mod routes;
#[cfg(feature = "ssr")]
pub mod shell;
pub mod store;
pub mod text;
