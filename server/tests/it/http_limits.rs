//! What is too much is refused by its name, with the time to come again; what is slow is cut.
//!
//! Limits are set so low that a story reaches them by a handful of requests; raw connections are
//! used where a client would be too well-behaved.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::house::World;

/// Sends bytes as they are and reads until the house closes; nothing if it does not in time.
async fn raw(world: &World, bytes: &[u8], patience: Duration) -> Option<String> {
    let mut stream = TcpStream::connect(world.house.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    timeout(patience, stream.read_to_end(&mut answer)).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn requests_of_one_address_have_a_limit_that_is_named() {
    let world = World::with(&["--limits-requests-per-address", "1/h burst 3"]).await;
    let browser = world.browser();
    for _ in 0..3 {
        assert_eq!(browser.get("/me").await.status, 200);
    }
    let refused = browser.get("/me").await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("1/h burst 3"), "{}", refused.body);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 3_000);
    assert_eq!(browser.get("/pkg/wasmchannel.hash.js").await.status, 200, "these are free");
    assert_eq!(browser.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn guests_of_one_address_have_a_limit_and_who_is_known_stays() {
    let world = World::with(&["--limits-guests-per-address", "1/h burst 2"]).await;
    let known = world.browser();
    assert_eq!(known.send("/api/guest", &[]).await.status, 200);
    assert_eq!(world.browser().send("/api/guest", &[]).await.status, 200);
    assert_eq!(world.browser().send("/api/guest", &[]).await.status, 429);
    assert_eq!(world.browser().send("/", &[("text", "x")]).await.status, 429);
    assert_eq!(known.send("/api/guest", &[]).await.status, 200);
}

#[tokio::test]
async fn who_sends_too_fast_gets_his_text_back_for_later() {
    let world = World::with(&["--limits-sends-per-user", "1/h burst 1"]).await;
    let browser = world.browser();
    assert_eq!(browser.send("/", &[("text", "first")]).await.status, 303);
    let later = browser.send("/", &[("text", "second")]).await;
    assert_eq!(later.status, 429);
    assert!(later.body.contains("second"), "{}", later.body);
    assert_ne!(later.header("retry-after"), "");
}

#[tokio::test]
async fn a_body_and_a_head_have_a_size() {
    let world = World::open().await;
    let browser = world.browser();
    let answer = browser.send("/", &[("text", &"x".repeat(130_000))]).await;
    assert_eq!(answer.status, 413);
    let host = world.house.addr;
    let long = format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: {}\r\n\r\n", "x".repeat(17_000));
    let many = format!("GET / HTTP/1.1\r\nhost: {host}\r\n{}\r\n", "x: y\r\n".repeat(101));
    for head in [long, many] {
        let answer = raw(&world, head.as_bytes(), Duration::from_secs(5)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn a_form_takes_the_longest_text_in_every_script() {
    let world = World::open().await;
    let browser = world.browser();
    for (sign, chars, status) in [("😀", 10_000, 303), ("海", 10_000, 303), ("海", 10_001, 422)]
    {
        let answer = browser.send("/", &[("text", &sign.repeat(chars))]).await;
        assert_eq!(answer.status, status, "{chars} of {sign}");
    }
}

#[tokio::test]
async fn half_a_head_silence_and_half_a_body_are_cut_in_time() {
    let world = World::with(&["--limits-request-ms", "300"]).await;
    let host = world.house.addr;
    let half_body = format!(
        "POST /me HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\ncontent-length: 10\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\nname="
    );
    for bytes in ["", "GET / HTTP/1.1\r\nho", &half_body] {
        let begun = Instant::now();
        let answer = raw(&world, bytes.as_bytes(), Duration::from_secs(10)).await;
        assert!(answer.is_some(), "still open: {bytes}");
        assert!(begun.elapsed() >= Duration::from_millis(250), "{bytes}");
        if bytes == half_body {
            assert!(answer.unwrap().starts_with("HTTP/1.1 408"));
        }
    }
}

/// Whether a new connection is answered.
async fn is_answered(world: &World) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let Ok(mut stream) = TcpStream::connect(world.house.addr).await else { return false };
    let mut answer = Vec::new();
    let is_sent = stream.write_all(request).await.is_ok();
    is_sent && stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

async fn until_answered(world: &World) {
    let answered = async {
        while !is_answered(world).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), answered).await.expect("a place is given back");
}

#[tokio::test]
async fn connections_of_one_address_have_a_limit() {
    let world = World::with(&["--limits-connections-per-address", "2"]).await;
    let first = TcpStream::connect(world.house.addr).await.unwrap();
    let _second = TcpStream::connect(world.house.addr).await.unwrap();
    assert!(!is_answered(&world).await);
    drop(first);
    until_answered(&world).await;
}

#[tokio::test]
async fn who_finds_all_connections_taken_waits_for_one() {
    let world = World::with(&["--limits-connections", "2"]).await;
    let first = TcpStream::connect(world.house.addr).await.unwrap();
    let _second = TcpStream::connect(world.house.addr).await.unwrap();
    let moment = Duration::from_millis(300);
    assert!(timeout(moment, is_answered(&world)).await.is_err(), "there are two");
    drop(first);
    until_answered(&world).await;
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_are_not_counted() {
    let flags = ["--limits-connections-per-address", "1", "--trusted-proxies", "127.0.0.0/8"];
    let world = World::with(&flags).await;
    let _held = TcpStream::connect(world.house.addr).await.unwrap();
    assert!(is_answered(&world).await);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let flags = ["--limits-connections-per-address", "1", "--limits-request-ms", "500"];
    let world = World::with(&flags).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut greedy = socket.connect(world.house.addr).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", world.house.addr);
    greedy.write_all(request.repeat(300).as_bytes()).await.unwrap();
    assert!(!is_answered(&world).await, "the one place is taken");
    until_answered(&world).await;
}

#[tokio::test]
async fn sockets_of_one_address_have_a_limit() {
    let world = World::with(&["--limits-sockets-per-address", "1"]).await;
    let browser = world.browser();
    browser.send("/api/guest", &[]).await;
    let headers = [
        ("origin", world.url.as_str()),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "wasmchannel.v1"),
    ];
    let held = reqwest::Client::new();
    let guest = held.post(format!("{}/api/guest", world.url)).header("origin", &world.url);
    let guest = guest.send().await.unwrap();
    let cookie = guest.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let request = headers.iter().fold(
        held.get(format!("{}/ws", world.url)).header("cookie", cookie),
        |request, (name, value)| request.header(*name, *value),
    );
    let socket = request.send().await.unwrap();
    assert_eq!(socket.status(), 101);
    assert_eq!(browser.get_with("/ws", &headers).await.status, 429);
    drop(socket);
    let mut status = 429;
    for _ in 0..100 {
        status = browser.get_with("/ws", &headers).await.status.as_u16();
        if status == 101 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 101, "a place is given back");
}
