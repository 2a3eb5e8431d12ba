//! The loop that takes connections in: hyper's HTTP/1 with limits on head, time and number.
//!
//! axum's own loop closes neither a silent connection nor half a head. Here a head has 8 to 10 s (a
//! setting; not all that came together end together), 16 KiB and 100 fields, so long a kept-alive
//! connection may rest and an answer may wait for its reader, and an address has so many connections.
//! Its law: the send buffer is small from the listener on, so that a stuck reader is noticed after a
//! quarter of a megabyte; at the end idle connections close at once and requests under way are
//! answered.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::Service;

use crate::config::{Network, Settings};
use crate::socket::Patience;
use crate::throttle::{Counted, Gauge, Source};

/// Bytes that the kernel buffers towards one client; without it 3.9 MB go to a client that reads
/// nothing before anybody notices.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Fields of a request's head.
const HEAD_FIELDS_MAX: usize = 100;
/// Connections that wait in the kernel to be taken in.
const BACKLOG: u32 = 1_024;
/// How long requests under way may take once the server is stopping.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// The rest after the system had no file for another connection.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// What a connection may take.
pub struct Allowed {
    /// Time for a request's head, for the rest between two requests, and for a byte of an answer.
    pub time: Duration,
    /// Connections that speak HTTP at once; sockets are counted elsewhere.
    pub connections: u32,
    /// Connections of one address.
    pub per_address: u32,
    /// Whose connections are not counted: each of them speaks for many.
    pub proxies: Vec<Network>,
}

impl Allowed {
    /// What the settings allow.
    #[must_use]
    pub fn by(settings: &Settings) -> Self {
        Self {
            time: Duration::from_millis(settings.limits.request_ms.into()),
            connections: settings.limits.connections,
            per_address: settings.limits.connections_per_address,
            proxies: settings.trusted_proxies.clone(),
        }
    }

    fn counts(&self, address: IpAddr) -> bool {
        !self.proxies.iter().any(|proxy| proxy.contains(address))
    }
}

/// Opens the address with buffers as small as promised; what it accepts inherits them.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` says so, then answers what is under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    allowed: Allowed,
    mut stop: watch::Receiver<bool>,
) {
    let (mut connections, of_addresses) = (JoinSet::new(), Gauge::default());
    let stopped = stop.clone();
    let connections_max = usize::try_from(allowed.connections).unwrap_or(usize::MAX);
    let mut number: u32 = 0;
    loop {
        let full = connections.len() >= connections_max;
        tokio::select! {
            () = stopped_by(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, peer)) => {
                    let Ok(counted) = count(&of_addresses, &allowed, peer.ip()) else { continue };
                    // A frame shall not wait for the next one; where the system does not know how,
                    // it waits.
                    let _ = stream.set_nodelay(true);
                    let stream = Patience::new(stream, allowed.time);
                    number = number.wrapping_add(1);
                    let head_time = spread(allowed.time, number);
                    let answering = (router.clone(), head_time, stopped.clone());
                    connections.spawn(connection(stream, peer, answering, counted));
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a connection cannot be taken in");
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
    }
    drop(listener);
    let answered = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS, answered).await.is_err() {
        connections.shutdown().await;
    }
}

/// The address has as many connections as it may have.
struct TooMany;

fn count(
    of_addresses: &Gauge<Source>,
    allowed: &Allowed,
    address: IpAddr,
) -> Result<Option<Counted<Source>>, TooMany> {
    if !allowed.counts(address) {
        return Ok(None);
    }
    let counted = of_addresses.enter(Source::from(address), allowed.per_address);
    counted.map(Some).ok_or(TooMany)
}

/// Four fifths of this time to the whole of it, far apart for connections that come one behind the
/// other: thousands that open together and say nothing would else be closed in one moment, and
/// everybody's messages would wait behind them.
fn spread(time: Duration, number: u32) -> Duration {
    /// 2^32 divided by the golden ratio: its multiples lie evenly, however many there are.
    const GOLDEN: u32 = 0x9e37_79b9;
    let part = f64::from(number.wrapping_mul(GOLDEN)) / f64::from(u32::MAX);
    time.mul_f64(part.mul_add(-0.2, 1.0))
}

/// Speaks HTTP with one client; ends with an upgrade, whose socket has its own task and is counted
/// by itself.
async fn connection(
    stream: Patience,
    peer: SocketAddr,
    (router, head_time, mut stop): (Router, Duration, watch::Receiver<bool>),
    _counted: Option<Counted<Source>>,
) {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(answer(&mut router, request.map(Body::new)).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_headers(HEAD_FIELDS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let speaking = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut speaking = std::pin::pin!(speaking);
    let ended = tokio::select! {
        ended = speaking.as_mut() => ended,
        () = stopped_by(&mut stop) => {
            speaking.as_mut().graceful_shutdown();
            speaking.await
        }
    };
    if let Err(fault) = ended {
        tracing::debug!(%fault, "a connection ended");
    }
}

/// Ends when the server stops, or when nobody is left who could say so.
async fn stopped_by(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopping| *stopping).await.map(drop);
}

async fn answer(router: &mut Router, request: Request<Body>) -> axum::response::Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_come_together_end_apart() {
        let time = Duration::from_secs(10);
        let mut ends: Vec<_> = (1..=2_000).map(|number| spread(time, number)).collect();
        ends.sort_unstable();
        assert!(ends.first() >= Some(&Duration::from_secs(8)) && ends.last() <= Some(&time));
        for window in ends.windows(21) {
            let [first, .., last] = window else { unreachable!() };
            assert!(*last - *first > Duration::from_millis(10), "{first:?}: 1,000 a second");
        }
    }
}
