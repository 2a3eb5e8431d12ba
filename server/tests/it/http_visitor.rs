//! A visitor becomes a guest by his first write, and stays the same one.
//!
//! Rows of the store are counted, so that "nothing was written" is seen and not believed.

use app::first_page::{InText, PAGE_TYPE, RoomPage, Shown};

use crate::house::World;

#[tokio::test]
async fn a_get_never_writes() {
    let world = World::open().await;
    let tables = ["users", "sign_ins", "events", "ops", "rooms", "members"];
    let mut before = Vec::new();
    for table in tables {
        before.push(world.count(table).await);
    }
    let browser = world.browser();
    let paths =
        ["/", "/rooms", "/me", "/r/tea", "/setup/0", "/no", "/status", "/health", "/api/guest"];
    for path in paths {
        let answer = browser.get(path).await;
        assert_eq!(answer.header("set-cookie"), "", "{path}");
    }
    for (table, before) in tables.into_iter().zip(before) {
        assert_eq!(world.count(table).await, before, "{table}");
    }
}

#[tokio::test]
async fn the_lobby_is_drawn_for_anybody_with_its_composer() {
    let world = World::open().await;
    let answer = world.browser().get("/").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("<textarea"), "{}", answer.body);
    assert!(!answer.op_of("/").is_empty());
}

#[tokio::test]
async fn a_browser_is_one_guest_however_often_it_asks() {
    let world = World::open().await;
    let browser = world.browser();
    let first = browser.send("/api/guest", &[]).await;
    let again = browser.send("/api/guest", &[]).await;
    assert_eq!((first.status, again.status), (200.try_into().unwrap(), 200.try_into().unwrap()));
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("set-cookie"), "", "the secret is given once");
    assert_eq!(world.count("users").await, 1);
    let other = world.browser().send("/api/guest", &[]).await;
    assert_ne!(other.body, first.body);
}

#[tokio::test]
async fn the_secret_is_in_a_cookie_that_no_script_reads_and_nowhere_else() {
    let world = World::over_file(&[]).await;
    let browser = world.browser();
    let answer = browser.send("/api/guest", &[]).await;
    let cookie = answer.header("set-cookie").to_owned();
    for flag in ["sid=", "; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(secret.len(), 64, "256 bits");
    assert!(!answer.body.contains(secret));
    for path in ["/", "/me", "/rooms", "/status", "/health"] {
        assert!(!browser.get(path).await.body.contains(secret), "{path}");
    }
    let rows = std::fs::read(world.data().join("wasmchannel.db-wal")).unwrap();
    let stored = rows.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
    assert!(!stored, "only its hash is stored");
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let world = World::with(&["--public-url", "https://chat.example.org"]).await;
    let origin = [("origin", "https://chat.example.org"), ("host", "chat.example.org")];
    let answer = world.browser().send_with("/api/guest", &[], &origin).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-sid=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(answer.header("strict-transport-security").contains("31536000"));
}

#[tokio::test]
async fn a_sign_in_that_is_unknown_becomes_a_new_guest() {
    let world = World::open().await;
    let cookie = format!("sid={}", "0".repeat(64));
    let headers = [("origin", world.url.as_str()), ("cookie", cookie.as_str())];
    let answer = world.browser().send_with("/api/guest", &[], &headers).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("set-cookie").starts_with("sid="));
}

#[tokio::test]
async fn who_draws_a_page_himself_is_told_what_it_shows() {
    let world = World::open().await;
    let browser = world.browser();
    browser.send("/rooms", &[("name", "Harbour")]).await;
    let draws = [("accept", PAGE_TYPE)];
    for (path, status) in [("/rooms", 200), ("/r/harbour", 200), ("/r/tea", 404), ("/no", 404)] {
        let (told, drawn) = (browser.get_with(path, &draws).await, browser.get(path).await);
        assert_eq!((told.status.as_u16(), drawn.status.as_u16()), (status, status), "{path}");
        assert_eq!(told.header("content-type"), PAGE_TYPE);
        assert!(told.header("vary").contains("accept"), "no cache takes one for the other");
        let InText(page) = told.body.parse().unwrap();
        match (path, page.shown) {
            ("/rooms", Shown::Rooms(page)) => assert_eq!(page.rooms.len(), 1),
            ("/r/harbour", Shown::Room(room)) => assert!(room.inside.is_some(), "his own room"),
            ("/r/tea", Shown::Room(room)) => {
                assert_eq!(room, RoomPage::unmade(room.entry.key.clone()))
            }
            ("/no", Shown::NotFound) => {}
            (path, shown) => panic!("{path}: {shown:?}"),
        }
    }
    let stranger = world.browser().get_with("/r/harbour", &draws).await;
    let InText(page) = stranger.body.parse().unwrap();
    assert!(matches!(page.shown, Shown::Room(RoomPage { inside: None, .. })), "{page:?}");
}

#[tokio::test]
async fn the_language_is_the_chosen_one_else_the_browsers() {
    let world = World::open().await;
    let browser = world.browser();
    let arabic = [("accept-language", "ar-EG,ar;q=0.9,en;q=0.5")];
    assert!(browser.get_with("/", &arabic).await.body.contains("<html lang=\"ar\" dir=\"rtl\""));
    let chosen = browser.send("/language", &[("lang", "en")]).await;
    assert_eq!((chosen.status.as_u16(), chosen.location()), (303, "/me"));
    assert!(browser.get_with("/", &arabic).await.body.contains("<html lang=\"en\" dir=\"ltr\""));
    assert_eq!(world.count("users").await, 0, "a language needs no account");
}
