//! The upgrade: a request that asks for a WebSocket is answered 101, and its stream is taken over.
//!
//! An extractor for `server/src/http/upgrade.rs`, which decides in between who may. Its law (RFC
//! 6455, 4.2): a request that does not ask rightly is told what is missing; what was read behind its
//! head belongs to the socket; the socket's task begins only when the task of the request is over.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use protocol::codec::SUB_PROTOCOL;
use sha1::{Digest, Sha1};

use super::patience::Patience;
use super::wire::Wire;

/// What the key is hashed with (RFC 6455, 1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version of WebSocket there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A request that asks for a WebSocket, rightly.
pub struct Handshake {
    accept: HeaderValue,
    is_spoken: bool,
    upgrade: OnUpgrade,
}

/// A stream that was upgraded.
pub(super) struct Upgraded {
    /// The stream.
    pub(super) wire: Wire,
    /// What was read behind the request's head.
    pub(super) unread: Bytes,
    /// Whether the client speaks our sub-protocol.
    pub(super) is_spoken: bool,
}

impl<S: Sync> FromRequestParts<S> for Handshake {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let headers = &parts.headers;
        let asks = parts.method == Method::GET
            && names(headers, &CONNECTION, "upgrade")
            && names(headers, &UPGRADE, "websocket");
        let body = "This address is a WebSocket's: ask for an upgrade, in version 13.\n";
        if !asks || headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
            let told = [
                (UPGRADE, HeaderValue::from_static("websocket")),
                (SEC_WEBSOCKET_VERSION, VERSION),
            ];
            return Err((StatusCode::UPGRADE_REQUIRED, told, body).into_response());
        }
        let accept = headers.get(SEC_WEBSOCKET_KEY).and_then(accept_of);
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let (Some(accept), Some(upgrade)) = (accept, upgrade) else {
            return Err(
                (StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing.\n").into_response()
            );
        };
        let is_spoken = headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|name| name.trim() == SUB_PROTOCOL);
        Ok(Self { accept, is_spoken, upgrade })
    }
}

impl Handshake {
    /// Answers 101, and hands the stream on as soon as it is free.
    pub(super) fn answer(self, then: impl FnOnce(Upgraded) + Send + 'static) -> Response {
        let Self { accept, is_spoken, upgrade } = self;
        tokio::spawn(async move {
            match upgrade.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<Patience>>) {
                Ok(Ok(parts)) => {
                    let wire = Wire::new(parts.io.into_inner().into_stream());
                    then(Upgraded { wire, unread: parts.read_buf, is_spoken });
                }
                Ok(Err(_)) => tracing::error!("a socket's stream is not of our own loop"),
                Err(fault) => tracing::debug!(%fault, "an upgrade ended before it was one"),
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if is_spoken {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUB_PROTOCOL));
        }
        response
    }
}

/// Whether one of the header's words is this one.
fn names(headers: &HeaderMap, header: &HeaderName, word: &str) -> bool {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(word))
}

/// The answer to a key of 16 bytes; none to anything else.
fn accept_of(key: &HeaderValue) -> Option<HeaderValue> {
    let key = key.as_bytes().trim_ascii();
    STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 16)?;
    let hash = Sha1::new().chain_update(key).chain_update(SALT).finalize();
    HeaderValue::try_from(STANDARD.encode(hash)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_has_the_answer_of_the_rfc() {
        let accept = |key| accept_of(&HeaderValue::from_static(key));
        let expected = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), Some(expected));
        for wrong in ["", "dGhl", "dGhlIHNhbXBsZSBub25jZQ", "not base64 at all!=="] {
            assert_eq!(accept(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_word_is_found_among_others_in_any_case() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(names(&headers, &CONNECTION, "upgrade"));
        assert!(!names(&headers, &CONNECTION, "up"));
        assert!(!names(&headers, &UPGRADE, "upgrade"));
    }
}
