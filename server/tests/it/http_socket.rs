//! The socket behind its real door: a guest is greeted, and who is turned away reads why.
//!
//! Only what the HTTP door decides is tried here; what a conversation may rely on is told by the
//! stories beside it, over a bare door.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::bounded::Text;
use protocol::codec::{SUB_PROTOCOL, VERSION, decode_event, encode_command};
use protocol::command::{Command, Hello};
use protocol::event::Event;
use protocol::ids::{DeviceId, PageId};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::house::World;

const PATIENCE: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A new guest's cookie, as a browser sends it back.
async fn cookie(world: &World) -> String {
    let answer = world.browser().send("/api/guest", &[]).await;
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn open(world: &World, cookie: &str) -> Socket {
    try_open(world, cookie).await.unwrap()
}

/// Whether no socket is opened at all.
async fn is_refused(world: &World, cookie: &str) -> bool {
    try_open(world, cookie).await.is_err()
}

async fn try_open(world: &World, cookie: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/ws", world.house.addr).into_client_request().unwrap();
    for (name, value) in [
        ("origin", world.url.as_str()),
        ("cookie", cookie),
        ("sec-websocket-protocol", SUB_PROTOCOL),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    Ok(connect_async(request).await?.0)
}

fn hello() -> Message {
    let hello = Hello {
        version: VERSION.into(),
        build: Text::cut("test"),
        page: PageId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([2; 16]),
        abilities: 0,
        user_cursor: None,
    };
    Message::Binary(encode_command(&Command::Hello(hello)).unwrap().into())
}

/// The next event, or the code of the close frame.
async fn next(socket: &mut Socket) -> Result<Event, u16> {
    match timeout(PATIENCE, socket.next()).await.expect("something comes") {
        Some(Ok(Message::Binary(frame))) => Ok(decode_event(&frame).unwrap().unwrap()),
        Some(Ok(Message::Close(Some(close)))) => Err(close.code.into()),
        other => panic!("{other:?}"),
    }
}

/// The code of the close frame that comes before anything else.
async fn code(socket: &mut Socket) -> u16 {
    // A page says Hello at once, so what is unread when the house closes must not cost the code.
    let _ = socket.send(hello()).await;
    match socket.next().await {
        Some(Ok(Message::Close(Some(close)))) => close.code.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_guest_is_greeted_with_his_name_and_the_lobby() {
    let world = World::open().await;
    let mut socket = open(&world, &cookie(&world).await).await;
    socket.send(hello()).await.unwrap();
    let Some(Ok(Message::Binary(frame))) = socket.next().await else { panic!("no frame") };
    let Ok(Some(Event::Welcome(welcome))) = decode_event(&frame) else { panic!("no welcome") };
    assert!(!welcome.user.name.is_empty());
    assert_eq!(&*welcome.rooms[0].key, "lobby");
    let status = world.browser().get("/status").await.body;
    assert!(status.contains("\"connections\":1"), "{status}");
}

#[tokio::test]
async fn a_socket_keeps_its_sign_in_alive_from_hello_on_and_no_get_does() {
    let world = World::open().await;
    let cookie = cookie(&world).await;
    world.write("update sign_ins set seen_at = seen_at - 7200000").await;
    let stale = "sign_ins where seen_at < created_at";
    let mut socket = open(&world, &cookie).await;
    assert_eq!(world.count(stale).await, 1, "the upgrade writes nothing");
    socket.send(hello()).await.unwrap();
    socket.next().await.unwrap().unwrap();
    for _ in 0..500 {
        if world.count(stale).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("its use is not noted");
}

#[tokio::test]
async fn who_may_not_stay_reads_why() {
    let world = World::with(&["--limits-sockets-per-user", "1"]).await;
    let ended = format!("sid={}", "0".repeat(64));
    assert_eq!(code(&mut open(&world, &ended).await).await, 4500, "signed out");

    let cookie = cookie(&world).await;
    let mut first = open(&world, &cookie).await;
    first.send(hello()).await.unwrap();
    first.next().await.unwrap().unwrap();
    assert_eq!(code(&mut open(&world, &cookie).await).await, 4503, "too many");
    drop(first);

    world.write("update users set disabled_at = 1").await;
    assert_eq!(code(&mut open(&world, &cookie).await).await, 4501, "disabled");
}

#[tokio::test]
async fn a_house_without_its_database_sends_everybody_away_and_lets_him_in_again() {
    let world = World::over_file(&["--limits-look-ms", "50", "--limits-away-ms", "1000"]).await;
    let (here, away) = (world.data().join("wasmchannel.db"), world.data().join("away.db"));
    let cookie = cookie(&world).await;
    let mut socket = open(&world, &cookie).await;
    socket.send(hello()).await.unwrap();
    next(&mut socket).await.unwrap();

    std::fs::rename(&here, &away).unwrap();
    let mut after_ms = None;
    let code = loop {
        match next(&mut socket).await {
            Ok(Event::Drain(drain)) => after_ms = Some(drain.after_ms),
            Ok(_) => {}
            Err(code) => break code,
        }
    };
    assert_eq!(code, 1013);
    assert!(after_ms.is_some_and(|ms| ms >= 5_000), "told when to come back: {after_ms:?}");
    for path in ["/ws", "/readyz"] {
        let asked = [
            ("origin", world.url.as_str()),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let answer = world.browser().get_with(path, &asked).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"), "{path}");
    }

    std::fs::rename(&away, &here).unwrap();
    let back = async {
        while world.browser().get("/readyz").await.status != 200
            || is_refused(&world, &cookie).await
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, back).await.expect("he is let in again");
}

#[tokio::test]
async fn who_speaks_no_version_of_ours_is_told_so() {
    let world = World::open().await;
    let mut request = format!("ws://{}/ws", world.house.addr).into_client_request().unwrap();
    request.headers_mut().insert("origin", world.url.parse().unwrap());
    request.headers_mut().insert("cookie", cookie(&world).await.parse().unwrap());
    let mut socket = connect_async(request).await.unwrap().0;
    assert_eq!(code(&mut socket).await, 4502);
}

#[tokio::test]
async fn who_asks_for_no_socket_is_told_what_is_missing() {
    let world = World::open().await;
    let asked = |missing: &str| {
        let all = [
            ("origin", world.url.as_str()),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.into_iter().filter(|(name, _)| *name != missing).collect::<Vec<_>>()
    };
    let browser = world.browser();
    browser.send("/api/guest", &[]).await;
    for missing in ["upgrade", "sec-websocket-version"] {
        let answer = browser.get_with("/ws", &asked(missing)).await;
        assert_eq!(answer.status, 426, "without {missing}");
        assert_eq!(answer.header("sec-websocket-version"), "13");
    }
    assert_eq!(browser.get_with("/ws", &asked("sec-websocket-key")).await.status, 400);
}
