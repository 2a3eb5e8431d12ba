//! Whether a request comes from a page of this server: the rule of the socket and of every write.
//!
//! Without configuration a page's origin must name the same host and port as the Host header, and
//! that host must be an IP address or `localhost`: a name that nobody configured may have been
//! pointed here by its owner (DNS rebinding). With `--public-url` its origin is the one that counts.
//! Its law: exact comparison, `Origin: null` is no origin, and a refusal names both sides.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, StatusCode};

use super::health;
use crate::config::PublicUrl;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may write here and open sockets.
#[derive(Debug, Clone)]
pub struct OriginRule {
    /// The configured address.
    pub public_url: Option<PublicUrl>,
}

/// A request that is not from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where it should have come from.
    pub expected: String,
    /// What it says that it comes from.
    pub seen: String,
}

impl OriginRule {
    /// Whether the server may be reached by this name; gives the Host as it came.
    pub fn check_host<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, Foreign> {
        let seen = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if self.is_bare(seen) || self.is_public(seen) {
            return Ok(seen);
        }
        let expected = match &self.public_url {
            Some(url) => url.origin.clone(),
            None => "an IP address or localhost (no --public-url is set)".to_owned(),
        };
        Err(Foreign { expected, seen: seen.to_owned() })
    }

    /// Whether a write comes from a page of ours. Browsers of today say so themselves.
    pub fn check_write(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let host = self.check_host(headers)?;
        let origin = origin(headers);
        let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
        let fits = origin.is_some_and(|origin| self.is_expected(host, origin));
        match site {
            Some(b"same-origin") if fits || origin.is_none() => Ok(()),
            None if fits => Ok(()),
            _ => Err(self.foreign(host, origin)),
        }
    }

    /// Whether a socket comes from a page of ours. Programs send no Origin and need a token.
    pub fn check_socket(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let host = self.check_host(headers)?;
        match origin(headers) {
            Some(origin) if self.is_expected(host, origin) => Ok(()),
            origin => Err(self.foreign(host, origin)),
        }
    }

    fn is_expected(&self, host: &str, origin: &str) -> bool {
        if self.public_url.as_ref().is_some_and(|url| url.origin == origin) {
            return true;
        }
        // The configured host is reached by its configured origin alone, never by plain http.
        !self.is_public(host)
            && (origin.strip_prefix("http://") == Some(host)
                || origin.strip_prefix("https://") == Some(host))
    }

    fn is_public(&self, host: &str) -> bool {
        let name = authority(host).map(|host| host.host().to_ascii_lowercase());
        self.public_url.as_ref().is_some_and(|url| name.as_ref() == Some(&url.host))
    }

    fn is_bare(&self, host: &str) -> bool {
        authority(host).is_some_and(|host| {
            let name = host.host();
            let inner = name.trim_start_matches('[').trim_end_matches(']');
            name.eq_ignore_ascii_case("localhost") || inner.parse::<IpAddr>().is_ok()
        })
    }

    fn foreign(&self, host: &str, origin: Option<&str>) -> Foreign {
        let expected = match &self.public_url {
            Some(url) if !self.is_bare(host) => url.origin.clone(),
            _ => format!("http://{host}"),
        };
        Foreign { expected, seen: origin.unwrap_or("no origin").to_owned() }
    }
}

/// A Host is a name and perhaps a port; whatever else an authority may hold is none.
fn authority(host: &str) -> Option<Authority> {
    host.parse::<Authority>().ok().filter(|_| !host.contains('@'))
}

/// The origin that a browser named; `null` is what it says when it names none.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let origin = headers.get(ORIGIN)?.to_str().unwrap_or("unreadable");
    (origin != "null").then_some(origin)
}

impl IntoResponse for Foreign {
    fn into_response(self) -> Response {
        let Self { expected, seen } = self;
        let body = format!(
            "Refused: this came from {seen}, and was expected from {expected}. If {seen} is how \
             people reach this server, start it with --public-url.\n"
        );
        (StatusCode::FORBIDDEN, body).into_response()
    }
}

/// Lets pass what may be read by anyone who reaches the server under its own name, and writes of
/// its own pages. The socket's door asks for itself; probes come by any name.
pub(super) async fn layer(
    State(rule): State<OriginRule>,
    request: Request,
    next: Next,
) -> Response {
    let checked = if health::PATHS.contains(&request.uri().path()) {
        Ok(())
    } else if request.method().is_safe() {
        rule.check_host(request.headers()).map(|_| ())
    } else {
        rule.check_write(request.headers())
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(foreign) => {
            tracing::info!(expected = %foreign.expected, seen = %foreign.seen, "foreign origin");
            foreign.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn rule(url: Option<&str>) -> OriginRule {
        OriginRule { public_url: url.map(|url| url.parse().unwrap()) }
    }

    #[test]
    fn a_socket_needs_the_origin_of_the_host_it_asks() {
        let rule = rule(None);
        for (host, origin, good) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000", true),
            ("localhost:3000", "http://localhost:3000", true),
            ("[::1]:3000", "http://[::1]:3000", true),
            ("127.0.0.1:3000", "https://127.0.0.1:3000", true),
            ("127.0.0.1:3000", "null", false),
            ("127.0.0.1:3000", "http://127.0.0.1:3000.evil.example", false),
            ("127.0.0.1:3000", "http://127.0.0.1:3001", false),
            ("127.0.0.1:3000", "http://127.0.0.1", false),
            ("127.0.0.1:3000", "HTTP://127.0.0.1:3000", false),
            ("127.0.0.1:3000", "http://evil.example", false),
            ("localhost:3000", "http://sub.localhost:3000", false),
            ("localhost:3000", "http://localhost:3000/", false),
            ("evil.example:3000", "http://evil.example:3000", false),
            ("u@localhost:3000", "http://u@localhost:3000", false),
        ] {
            let sent = headers(&[("host", host), ("origin", origin)]);
            assert_eq!(rule.check_socket(&sent).is_ok(), good, "{host} {origin}");
        }
        assert!(rule.check_socket(&headers(&[("host", "localhost")])).is_err(), "absent");
        assert!(rule.check_socket(&headers(&[("origin", "http://localhost")])).is_err(), "no host");
    }

    #[test]
    fn the_configured_address_is_reached_by_its_own_origin_alone() {
        let rule = rule(Some("https://chat.example.org"));
        for (host, origin, good) in [
            ("chat.example.org", "https://chat.example.org", true),
            ("Chat.Example.org", "https://chat.example.org", true),
            ("127.0.0.1:3000", "https://chat.example.org", true),
            ("127.0.0.1:3000", "http://127.0.0.1:3000", true),
            ("chat.example.org", "http://chat.example.org", false),
            ("chat.example.org", "https://chat.example.org:444", false),
            ("chat.example.org", "https://chat.example.org.evil.example", false),
            ("evil.example", "https://chat.example.org", false),
        ] {
            let sent = headers(&[("host", host), ("origin", origin)]);
            assert_eq!(rule.check_socket(&sent).is_ok(), good, "{host} {origin}");
        }
    }

    #[test]
    fn a_write_is_believed_by_fetch_metadata_or_origin_and_never_by_neither() {
        let rule = rule(None);
        let host = ("host", "127.0.0.1:3000");
        let ours = ("origin", "http://127.0.0.1:3000");
        let theirs = ("origin", "http://evil.example");
        for (sent, good) in [
            (headers(&[host, ours]), true),
            (headers(&[host, ours, ("sec-fetch-site", "same-origin")]), true),
            (headers(&[host, ("sec-fetch-site", "same-origin")]), true),
            (headers(&[host, ("origin", "null"), ("sec-fetch-site", "same-origin")]), true),
            (headers(&[host]), false),
            (headers(&[host, ("origin", "null")]), false),
            (headers(&[host, theirs]), false),
            (headers(&[host, theirs, ("sec-fetch-site", "same-origin")]), false),
            (headers(&[host, ours, ("sec-fetch-site", "same-site")]), false),
            (headers(&[host, ours, ("sec-fetch-site", "cross-site")]), false),
            (headers(&[host, ours, ("sec-fetch-site", "none")]), false),
        ] {
            assert_eq!(rule.check_write(&sent).is_ok(), good, "{sent:?}");
        }
    }

    #[test]
    fn a_refusal_names_both_sides() {
        let sent = headers(&[("host", "127.0.0.1:3000"), ("origin", "http://evil.example")]);
        let foreign = rule(None).check_socket(&sent).unwrap_err();
        assert_eq!(foreign.expected, "http://127.0.0.1:3000");
        assert_eq!(foreign.seen, "http://evil.example");
    }
}
