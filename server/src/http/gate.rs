//! The throttles before every door, and whose address a request comes from.
//!
//! An address is the connection's own, or behind configured proxies the one they name: the last in
//! `X-Forwarded-For` that is not a proxy of ours (what stands before it, the client may have
//! written). Its law: files that carry their hash and the process's own pulse are free; whoever is
//! turned away is told the limit and when to come again.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::assets::is_hashed;
use super::health;
use crate::auth::cookie::Cookies;
use crate::config::{Limits, Network};
use crate::socket::Held;
use crate::throttle::{Gauge, Peak, Rate, Source, Throttle, Turns};

/// When somebody who found no place may look again.
const FULL_WAIT: Duration = Duration::from_secs(5);
/// How long somebody may wait to be let in, whatever holds the house up. A crowd that comes back is
/// let in at its rate; turned away, its last would come again and again, and ever later.
const TURN_WAIT_MAX: Duration = Duration::from_secs(2);
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The throttles of this server. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Throttles>);

struct Throttles {
    proxies: Vec<Network>,
    cookies: Cookies,
    limits: Limits,
    requests_per_address: Throttle<Source>,
    requests_per_sign_in: Throttle<[u8; 32]>,
    guests_per_address: Throttle<Source>,
    /// Says at once who would wait too long.
    upgrades: Turns,
    /// The same rate, of those who are let in: who is woken late does not come in a crowd.
    passes: Turns,
    /// Held by the first of those who wait; the others are behind it in the order in which they came.
    queue: Mutex<()>,
    /// How many came in within a second at most.
    most: Peak,
    /// What turns are counted from.
    opened_at: Instant,
    sockets: Gauge<()>,
    sockets_of_address: Gauge<Source>,
    sockets_before_hello: Gauge<Source>,
}

/// A limit was reached.
#[derive(Debug, Clone, Copy)]
pub struct TooMany {
    /// The status that says so.
    status: StatusCode,
    /// Of what there were too many.
    what: &'static str,
    /// The limit.
    limit: Limit,
    /// When the next is free, or may be.
    wait: Duration,
}

/// A limit as it is named to who reached it.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Rate(Rate),
    Count(u32),
}

impl Gate {
    /// A gate at which everybody is at rest.
    #[must_use]
    pub fn new(limits: &Limits, proxies: Vec<Network>, cookies: Cookies) -> Self {
        Self(Arc::new(Throttles {
            proxies,
            cookies,
            requests_per_address: Throttle::new(limits.requests_per_address),
            requests_per_sign_in: Throttle::new(limits.requests_per_sign_in),
            guests_per_address: Throttle::new(limits.guests_per_address),
            upgrades: Turns::new(limits.upgrades),
            passes: Turns::new(limits.upgrades),
            queue: Mutex::default(),
            most: Peak::default(),
            opened_at: Instant::now(),
            sockets: Gauge::default(),
            sockets_of_address: Gauge::default(),
            sockets_before_hello: Gauge::default(),
            limits: limits.clone(),
        }))
    }

    /// Takes the place of one more guest.
    pub fn guest(&self, source: Source) -> Result<(), TooMany> {
        let limit = Limit::Rate(self.0.limits.guests_per_address);
        let status = StatusCode::TOO_MANY_REQUESTS;
        let full = |wait| TooMany { status, what: "new guests of one address", limit, wait };
        self.0.guests_per_address.take(&source).map_err(full)
    }

    /// Waits for the turn of one more socket, if that is soon.
    pub(super) async fn turn(&self) -> Result<(), TooMany> {
        let Throttles { limits, upgrades, passes, queue, most, opened_at, .. } = &*self.0;
        let too_many = |wait| {
            let (status, limit) = (StatusCode::SERVICE_UNAVAILABLE, Limit::Rate(limits.upgrades));
            TooMany { status, what: "new sockets of this server", limit, wait }
        };
        let until = Instant::now() + TURN_WAIT_MAX;
        upgrades.take(opened_at.elapsed(), TURN_WAIT_MAX).map_err(too_many)?;
        let pass = async {
            let _first = queue.lock().await;
            while let Err(wait) = passes.take(opened_at.elapsed(), Duration::ZERO) {
                sleep(wait).await;
            }
        };
        // Behind a stall there are more turns due than may pass.
        timeout_at(until, pass).await.map_err(|_| too_many(FULL_WAIT))?;
        most.note(opened_at.elapsed());
        Ok(())
    }

    /// The most sockets whose turn came within one second.
    pub(super) fn upgrades_most(&self) -> usize {
        self.0.most.get()
    }

    /// Takes the places of one more socket.
    pub(super) fn upgrade(&self, source: Source) -> Result<Held, TooMany> {
        let Throttles { limits, sockets, sockets_of_address, sockets_before_hello, .. } = &*self.0;
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let full = |status, what, count| {
            move || TooMany { status, what, limit: Limit::Count(count), wait: FULL_WAIT }
        };
        let of_server = sockets.enter((), limits.sockets).ok_or_else(full(
            status,
            "sockets of this server",
            limits.sockets,
        ))?;
        let status = StatusCode::TOO_MANY_REQUESTS;
        let count = limits.sockets_per_address;
        let of_address = sockets_of_address.enter(source, count).ok_or_else(full(
            status,
            "sockets of one address",
            count,
        ))?;
        let count = limits.sockets_before_hello;
        let before_hello = sockets_before_hello.enter(source, count).ok_or_else(full(
            status,
            "sockets of one address that said no Hello",
            count,
        ))?;
        Ok(Held {
            until_hello: Some(Box::new(before_hello)),
            until_end: Some(Box::new((of_server, of_address))),
        })
    }

    fn request(&self, source: Source, headers: &HeaderMap) -> Result<(), TooMany> {
        let Throttles { limits, requests_per_address, requests_per_sign_in, .. } = &*self.0;
        let status = StatusCode::TOO_MANY_REQUESTS;
        requests_per_address.take(&source).map_err(|wait| {
            let limit = Limit::Rate(limits.requests_per_address);
            TooMany { status, what: "requests of one address", limit, wait }
        })?;
        let Some(token) = self.0.cookies.sign_in(headers) else { return Ok(()) };
        requests_per_sign_in.take(&token.hash().bytes()).map_err(|wait| {
            let limit = Limit::Rate(limits.requests_per_sign_in);
            TooMany { status, what: "requests of one sign-in", limit, wait }
        })
    }
}

/// The address a request comes from, believing no more than the configured proxies.
fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let trusted = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut address = peer;
    let mut named: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .collect();
    while trusted(address) {
        let Some(before) = named.pop().and_then(|name| name.trim().parse().ok()) else { break };
        address = before;
    }
    address
}

impl IntoResponse for TooMany {
    fn into_response(self) -> Response {
        let Self { status, what, limit, wait } = self;
        let limit = match limit {
            Limit::Rate(rate) => rate.to_string(),
            Limit::Count(count) => count.to_string(),
        };
        let seconds = wait.as_secs().saturating_add(1);
        let body = format!("Too many {what}: the limit is {limit}. Try again in {seconds} s.\n");
        let mut response = (status, body).into_response();
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        response
    }
}

/// Lets pass what is within its limits, and tells the handlers its source, as limits see it.
pub(super) async fn layer(
    State(gate): State<Gate>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let source = Source::from(client_address(peer.ip(), request.headers(), &gate.0.proxies));
    request.extensions_mut().insert(source);
    let path = request.uri().path();
    let is_free = path == health::PULSE || is_hashed(path);
    if !is_free && let Err(too_many) = gate.request(source, request.headers()) {
        return too_many.into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let headers = forwarded
            .iter()
            .map(|line| (FORWARDED_FOR, line.parse::<HeaderValue>().unwrap()))
            .collect();
        let proxies: Vec<Network> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn nobody_is_believed_without_configuration() {
        assert_eq!(seen("10.0.0.1", &["1.2.3.4"], &[]), "10.0.0.1");
        assert_eq!(seen("5.6.7.8", &["1.2.3.4"], &["10.0.0.0/8"]), "5.6.7.8");
    }

    #[test]
    fn the_last_address_that_is_no_proxy_of_ours_counts() {
        let ours = &["10.0.0.0/8"][..];
        assert_eq!(seen("10.0.0.1", &["1.2.3.4"], ours), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["9.9.9.9, 1.2.3.4, 10.0.0.2"], ours), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["9.9.9.9", "1.2.3.4"], ours), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", &["1.2.3.4, rubbish"], ours), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[], ours), "10.0.0.1");
    }

    #[test]
    fn a_socket_holds_its_places_until_hello_and_until_its_end() {
        let limits = Limits {
            sockets: 3,
            sockets_per_address: 2,
            sockets_before_hello: 1,
            ..Limits::default()
        };
        let gate = Gate::new(&limits, Vec::new(), Cookies { https: false });
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        let (here, there) = (source("10.0.0.1"), source("10.0.0.2"));
        let what = |full: Result<Held, TooMany>| full.err().map(|full| full.what);
        let mut first = gate.upgrade(here).unwrap();
        let silent = "sockets of one address that said no Hello";
        assert_eq!(what(gate.upgrade(here)), Some(silent));
        first.until_hello = None;
        let mut second = gate.upgrade(here).unwrap();
        second.until_hello = None;
        assert_eq!(what(gate.upgrade(here)), Some("sockets of one address"));
        let third = gate.upgrade(there).unwrap();
        assert_eq!(what(gate.upgrade(there)), Some("sockets of this server"));
        drop(third);
        assert_eq!(what(gate.upgrade(there)), None);
    }

    #[tokio::test]
    async fn behind_a_stall_all_come_in_order_and_in_time_and_not_in_a_crowd() {
        let limits = Limits { upgrades: Rate::per_second(100, 50), ..Limits::default() };
        let gate = Gate::new(&limits, Vec::new(), Cookies { https: false });
        let (sender, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let begun = Instant::now();
        for number in 0..240 {
            let (gate, sender) = (gate.clone(), sender.clone());
            tokio::spawn(async move {
                let is_in = gate.turn().await.is_ok();
                sender.send((number, is_in, begun.elapsed())).unwrap();
            });
        }
        drop(sender);
        // The runtime looks elsewhere now and then: more than once, so that all have come.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        // All wait for their turns, and those of a second and a half come to nobody.
        std::thread::sleep(Duration::from_millis(1_500));
        let (mut let_in, mut last) = (Vec::new(), Duration::ZERO);
        while let Some((number, is_in, at)) = ends.recv().await {
            last = last.max(at);
            if is_in {
                let_in.push(number);
            }
        }
        assert!(let_in.is_sorted(), "who came first is let in first: {let_in:?}");
        assert!((100..240).contains(&let_in.len()), "{} of 240 had a pass in time", let_in.len());
        assert!(last < TURN_WAIT_MAX + Duration::from_millis(700), "somebody waited {last:?}");
        assert!((50..=150).contains(&gate.upgrades_most()), "{}", gate.upgrades_most());
    }
}
