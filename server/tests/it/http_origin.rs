//! Who may open the socket and who may write: pages of this house, and nobody else.
//!
//! The rule itself is tried in `http/origin.rs`; here it is asked through the door, so that no route
//! can stand beside it.

use crate::house::World;

/// What a browser sends to open a socket.
const UPGRADE: [(&str, &str); 5] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "wasmchannel.v1"),
];

#[tokio::test]
async fn twelve_origins_and_the_one_that_opens_the_socket() {
    let world = World::open().await;
    let browser = world.browser();
    assert_eq!(browser.send("/api/guest", &[]).await.status, 200);
    let host = world.house.addr.to_string();
    let port = world.house.addr.port();
    let ours = format!("http://{host}");
    let others = [
        "null".to_owned(),
        String::new(),
        format!("{ours}.evil.example"),
        format!("http://evil.example/{ours}"),
        format!("http://127.0.0.1:{}", port - 1),
        "http://127.0.0.1".to_owned(),
        ours.to_uppercase(),
        format!("http://sub.127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("{ours}/"),
        format!("ws://{host}"),
        "http://evil.example".to_owned(),
    ];
    for origin in &others {
        let headers: Vec<_> = UPGRADE.into_iter().chain([("origin", origin.as_str())]).collect();
        let answer = browser.get_with("/ws", &headers).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.body.contains(&ours), "{origin}: {}", answer.body);
    }
    assert_eq!(browser.get_with("/ws", &UPGRADE).await.status, 401, "no origin, no token");
    let headers: Vec<_> = UPGRADE.into_iter().chain([("origin", ours.as_str())]).collect();
    assert_eq!(browser.get_with("/ws", &headers).await.status, 101);
    assert_eq!(world.browser().get_with("/ws", &headers).await.status, 401, "no cookie");
}

#[tokio::test]
async fn a_write_comes_from_a_page_of_ours() {
    let world = World::open().await;
    let browser = world.browser();
    let ours = world.url.as_str();
    for (headers, status) in [
        (vec![], 403),
        (vec![("origin", "null")], 403),
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", ours), ("sec-fetch-site", "cross-site")], 403),
        (vec![("origin", ours), ("sec-fetch-site", "same-site")], 403),
        (vec![("sec-fetch-site", "same-origin")], 303),
        (vec![("origin", ours)], 303),
    ] {
        for (path, fields) in [("/me", [("name", "x")]), ("/rooms", [("name", "x")])] {
            let answer = browser.send_with(path, &fields, &headers).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {headers:?}");
        }
    }
    for path in ["/", "/r/tea/join", "/language", "/setup/0", "/api/guest", "/api/csp-reports"] {
        let answer = browser.send_with(path, &[], &[("origin", "http://evil.example")]).await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_configured_reads_nothing() {
    let world = World::open().await;
    let browser = world.browser();
    for path in ["/", "/rooms", "/ws", "/icon.svg"] {
        let answer = browser.get_with(path, &[("host", "evil.example")]).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.body.contains("evil.example"), "{}", answer.body);
    }
    let configured = World::with(&["--public-url", "https://chat.example.org"]).await;
    let browser = configured.browser();
    assert_eq!(browser.get_with("/", &[("host", "chat.example.org")]).await.status, 200);
    assert_eq!(browser.get_with("/", &[("host", "evil.example")]).await.status, 403);
}
