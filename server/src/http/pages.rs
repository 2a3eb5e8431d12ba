//! Pages, drawn whole on the server: what they show is loaded before, sent compressed after.
//!
//! Used for every page that is read, and by `forms` for a page that comes back refused. A browser in
//! which the app is at work asks for what a page shows and draws that itself. Its law: a GET writes
//! nothing; drawing waits for nothing and asks nobody; the path that is drawn is one that `address`
//! has parsed.

use std::sync::Arc;

use app::backend::AnyBackend;
use app::first_page::{FirstPage, FormOps, PAGE_TYPE, SentBack, Shown, Why};
use app::routes::Address;
use app::shell::Shell;
use app::text::PageLanguage;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use leptos::nonce::Nonce;
use leptos::prelude::{provide_context, view};
use leptos_axum::render_app_async_with_context;
use protocol::codec::encode_text;
use protocol::ids::OpId;
use protocol::model::Me;
use protocol::refusal::RetryReason;

use super::Door;
use super::address::{self, Path};
use super::compress::Encoding;
use super::guest::no_store;
use super::headers::PageNonce;
use crate::auth::cookie::Cookies;
use crate::clock::{Chance, SystemChance};
use crate::overload::Stage;

/// No page is longer: fifty messages of 40 KiB, drawn and handed over.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Seconds after which a page that could not be loaded is worth another try.
const BROKEN_SECONDS: u32 = 5;

/// How somebody wants a page.
pub(super) struct Reader {
    uri: Uri,
    nonce: PageNonce,
    language: PageLanguage,
    encoding: Encoding,
    /// He draws it himself.
    draws: bool,
}

impl Reader {
    /// What the request says about its reader.
    pub(super) fn of(request: &Request, cookies: Cookies) -> Self {
        let headers = request.headers();
        let nonce = request.extensions().get::<PageNonce>().cloned();
        let chosen = cookies.language(headers).and_then(PageLanguage::from_tag);
        let preferred = || {
            let header = headers.get(ACCEPT_LANGUAGE).and_then(|header| header.to_str().ok());
            header.map(PageLanguage::preferred).unwrap_or_default()
        };
        Self {
            uri: request.uri().clone(),
            nonce: nonce.unwrap_or_else(|| PageNonce(Arc::default())),
            language: chosen.unwrap_or_else(preferred),
            encoding: Encoding::accepted(headers),
            draws: headers.get(ACCEPT).is_some_and(|accept| accept == PAGE_TYPE),
        }
    }
}

/// Makes ready for drawing: leptos draws nothing without an executor. A second router in one
/// process finds it started, which is no fault.
pub(super) fn prepare() {
    let _ = any_spawner::Executor::init_tokio();
}

/// A GET of a page.
pub(super) async fn show(State(door): State<Arc<Door>>, request: Request) -> Response {
    let address = match address::parse(request.uri()) {
        Path::At(spot) => match spot.page(request.uri()) {
            Ok(address) => Some(address),
            Err(elsewhere) => return moved(StatusCode::SEE_OTHER, &elsewhere),
        },
        Path::Moved(to) => return moved(StatusCode::PERMANENT_REDIRECT, &to),
        Path::Nowhere => None,
    };
    let reader = Reader::of(&request, door.accounts.cookies());
    let (head, _) = request.into_parts();
    read(&door, &reader, &head.headers, address.as_ref()).await
}

/// A request for nothing that has a route: a file of the build, or the page that says so.
pub(super) async fn file_or_nothing(State(door): State<Arc<Door>>, request: Request) -> Response {
    let reader = Reader::of(&request, door.accounts.cookies());
    let (head, _) = request.into_parts();
    if matches!(head.method, Method::GET | Method::HEAD)
        && let Some(file) = door.assets.answer(head.uri.path(), &head.headers).await
    {
        return file;
    }
    if let Path::Moved(to) = address::parse(&head.uri) {
        return moved(StatusCode::PERMANENT_REDIRECT, &to);
    }
    read(&door, &reader, &head.headers, None).await
}

async fn read(
    door: &Door,
    reader: &Reader,
    headers: &HeaderMap,
    address: Option<&Address>,
) -> Response {
    match door.accounts.visitor(headers).await {
        Ok(visitor) => {
            let me = visitor.principal().and_then(|principal| principal.reader());
            draw(door, reader, me, address, None).await
        }
        Err(fault) => no_store(fault),
    }
}

/// A redirect; `to` is a path that this server has written itself.
pub(super) fn moved(status: StatusCode, to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (status, [(LOCATION, to)]).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The page at this address for this visitor; without an address the page that says there is none.
pub(super) async fn draw(
    door: &Door,
    reader: &Reader,
    me: Option<Me>,
    address: Option<&Address>,
    refused: Option<SentBack>,
) -> Response {
    let (now, mut chance) = (door.engine.clock.unix_ms(), SystemChance);
    let mut op_ids = FormOps::make(|| OpId::make(now, chance.id_bytes()));
    // Sent again under its own id, a form finds out whether it was done after all.
    let later = match &refused {
        Some(SentBack { form, op_id, why: Why::Later { wait_ms, .. }, .. }) => {
            op_ids.keep(*form, *op_id);
            Some(wait_ms.div_ceil(1_000).max(1))
        }
        _ => None,
    };
    let page = FirstPage {
        language: reader.language,
        text_chars_max: door.limits.text_chars,
        op_ids,
        refused,
        ..load(door, me, address).await
    };
    let status = status_of(&page);
    let kind = if reader.draws { PAGE_TYPE } else { "text/html; charset=utf-8" };
    let written = if reader.draws { in_text(&page) } else { html(door, reader, page).await };
    let body = match written {
        Ok(body) => body,
        Err(fault) => {
            tracing::error!(%fault, "a page was not drawn");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let packed = reader.encoding.encode(&body);
    let encoding = reader.encoding.name().filter(|_| packed.is_some());
    let mut response = (status, Body::from(packed.map_or(body, Into::into))).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if later.is_some() || status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from(later.unwrap_or(BROKEN_SECONDS)));
    }
    response
}

/// Asks for what the page shows; a house that cannot answer says so on the page.
async fn load(door: &Door, me: Option<Me>, address: Option<&Address>) -> FirstPage {
    let house = AnyBackend::new(door.port.clone());
    let broken = |me| FirstPage { me, shown: Shown::Broken, ..FirstPage::default() };
    match address {
        Some(Address::Room { before: Some(_), .. })
            if door.engine.shedding.sheds(Stage::History) =>
        {
            FirstPage { me, shown: Shown::Busy, ..FirstPage::default() }
        }
        Some(address) => {
            FirstPage::load(&house, me.clone(), address).await.unwrap_or_else(|_| broken(me))
        }
        None => match house.rooms(me.as_ref().map(|me| me.id)).await {
            Ok(rooms) => FirstPage { me, rooms, ..FirstPage::default() },
            Err(_) => broken(me),
        },
    }
}

fn status_of(page: &FirstPage) -> StatusCode {
    match (&page.refused, &page.shown) {
        (_, Shown::Broken | Shown::Busy) => StatusCode::SERVICE_UNAVAILABLE,
        (Some(SentBack { why: Why::Later { reason: RetryReason::Rate, .. }, .. }), _) => {
            StatusCode::TOO_MANY_REQUESTS
        }
        (Some(SentBack { why: Why::Later { .. }, .. }), _) => StatusCode::SERVICE_UNAVAILABLE,
        (Some(_), _) => StatusCode::UNPROCESSABLE_ENTITY,
        (None, Shown::NotFound | Shown::Setup { valid: false, .. }) => StatusCode::NOT_FOUND,
        (None, Shown::Room(room)) if room.entry.id.is_nil() => StatusCode::NOT_FOUND,
        (None, _) => StatusCode::OK,
    }
}

/// What a page shows, for who draws it himself.
fn in_text(page: &FirstPage) -> Result<Bytes, axum::Error> {
    encode_text(page).map(Bytes::from).map_err(|fault| axum::Error::new(fault.to_string()))
}

/// The document of a page.
async fn html(door: &Door, reader: &Reader, page: FirstPage) -> Result<Bytes, axum::Error> {
    let nonce = Nonce::from_value(reader.nonce.0.to_string());
    let files = door.assets.files.clone();
    let context = {
        let page = page.clone();
        move || {
            provide_context(nonce.clone());
            provide_context(page.clone());
        }
    };
    let document = move || {
        let (files, page) = (files.clone(), page.clone());
        view! { <Shell files page/> }
    };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = reader.uri.clone();
    let drawn = render_app_async_with_context(context, document)(request).await;
    to_bytes(drawn.into_body(), PAGE_BYTES_MAX).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_app_draws_has_an_address() {
        prepare();
        let routes = leptos_axum::generate_route_list(app::root::App);
        let patterns: Vec<String> = routes.iter().map(|route| route.path().to_owned()).collect();
        assert!(patterns.len() > 5, "{patterns:?}");
        for pattern in patterns {
            let path = pattern.replace("{key}", "tea").replace("{token}", "0");
            let parsed = address::parse(&path.parse().unwrap());
            assert!(matches!(parsed, Path::At(_)), "{pattern} is {parsed:?}");
        }
    }
}
