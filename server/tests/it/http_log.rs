//! The log holds neither what was said nor who may say it.
//!
//! One story in this process keeps the log of all, in more detail than any default, and looks for
//! what it said itself.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use server::config::LogFormat;
use server::telemetry;

use crate::house::World;

/// A log in memory.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_text_no_cookie_and_no_setup_link_is_logged_even_in_detail() {
    let kept = Kept::default();
    let writer = kept.clone();
    let detail = "debug,server=trace,sqlx=trace,sea_orm=trace";
    let subscriber =
        telemetry::subscriber(detail, LogFormat::Json, move || writer.clone()).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let world = World::open().await;
    let browser = world.browser();
    let guest = browser.send("/api/guest", &[]).await;
    let secret = guest.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned();
    assert_eq!(browser.send("/", &[("text", "canary-in-a-text")]).await.status, 303);
    assert_eq!(browser.send("/", &[("text", "")]).await.status, 422);
    assert_eq!(browser.send("/rooms", &[("name", "canary-in-a-name")]).await.status, 303);
    let setup = world.house.setup_path.clone().unwrap();
    let setup_token = setup.rsplit('/').next().unwrap().to_owned();
    assert_eq!(browser.send(&setup, &[]).await.status, 303);
    browser.get(&setup).await;
    world.reopened().await;

    let log = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a guest came in") && log.contains("/setup/{token}"), "{log}");
    for line in log.lines() {
        assert!(line.starts_with('{'), "each line is an object: {line}");
    }
    for canary in [secret.as_str(), setup_token.as_str(), "canary-in-a-text"] {
        let line = log.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{canary}");
    }
}
