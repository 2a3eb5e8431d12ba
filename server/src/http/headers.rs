//! What every answer says about itself: policies, caching, and the nonce of a page.
//!
//! The outermost layer of the door. It makes the nonce before the page is drawn and writes the
//! headers after. Its law (guarantees 4.5): a page's policy allows scripts by nonce alone, what is
//! no page may run nothing, nothing but hashed files is ever cached.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use crate::clock::{Chance, SystemChance};

/// Where browsers report what a page's policy forbade.
pub const REPORTS_PATH: &str = "/api/csp-reports";
/// The policy of whatever is no page.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// What no page of ours may ask a browser for.
const PERMISSIONS: &str =
    "camera=(), clipboard-write=(self), geolocation=(), microphone=(), payment=(), usb=()";

/// The one word by which a page's own scripts and styles are known; fresh for every answer.
#[derive(Debug, Clone)]
pub struct PageNonce(pub Arc<str>);

impl PageNonce {
    fn make() -> Self {
        let mut bytes = [0; 16];
        SystemChance.fill(&mut bytes);
        let mut text = String::with_capacity(32);
        for byte in bytes {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }
}

/// What the headers depend on, fixed at the start.
#[derive(Debug, Clone)]
pub struct Policies {
    /// Browsers reach the server by https and shall not try anything else for a year.
    pub https: bool,
    /// Where a development build's pages hear that they were built anew; nothing in a release.
    pub reload_port: Option<u32>,
}

impl Policies {
    /// The policy of a page, letter by letter as guarantees 4.5 has it.
    fn of_page(&self, nonce: &str) -> String {
        let reload_socket =
            self.reload_port.map(|port| format!(" ws://127.0.0.1:{port}")).unwrap_or_default();
        format!(
            "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic' 'wasm-unsafe-eval'; \
             style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; media-src 'self' blob:; \
             font-src 'self'; connect-src 'self'{reload_socket}; worker-src 'self'; \
             manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; \
             frame-ancestors 'none'; report-to csp"
        )
    }

    fn write(&self, headers: &mut HeaderMap, nonce: &PageNonce) {
        let page =
            headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if page && let Ok(policy) = HeaderValue::from_str(&self.of_page(&nonce.0)) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
            let endpoint = HeaderValue::from_static("csp=\"/api/csp-reports\"");
            headers.insert(HeaderName::from_static("reporting-endpoints"), endpoint);
        } else {
            headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
        }
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store, private"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        for (name, value) in [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", PERMISSIONS),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if self.https {
            let year = HeaderValue::from_static("max-age=31536000");
            headers.insert(STRICT_TRANSPORT_SECURITY, year);
        }
    }
}

/// Gives the request its nonce and the answer its headers.
pub(super) async fn layer(
    State(policies): State<Policies>,
    mut request: Request,
    next: Next,
) -> Response {
    let nonce = PageNonce::make();
    request.extensions_mut().insert(nonce.clone());
    let mut response = next.run(request).await;
    policies.write(response.headers_mut(), &nonce);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(https: bool, kind: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let policies = Policies { https, reload_port: None };
        policies.write(&mut headers, &PageNonce("R".into()));
        headers
    }

    #[test]
    fn the_policy_of_a_page_is_the_promised_one_letter_by_letter() {
        let promised = "default-src 'none'; \
            script-src 'nonce-R' 'strict-dynamic' 'wasm-unsafe-eval'; style-src 'self' 'nonce-R'; \
            img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; \
            connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; \
            base-uri 'none'; object-src 'none'; frame-ancestors 'none'; report-to csp";
        let headers = written(false, "text/html; charset=utf-8");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], promised);
        assert_eq!(headers["reporting-endpoints"], format!("csp=\"{REPORTS_PATH}\""));
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn what_is_no_page_has_no_nonce() {
        let headers = written(true, "application/json");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], NOTHING);
        assert_eq!(headers[CACHE_CONTROL], "no-store, private");
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=31536000");
    }

    #[test]
    fn no_nonce_comes_twice() {
        assert_ne!(PageNonce::make().0, PageNonce::make().0);
    }
}
