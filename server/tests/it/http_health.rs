//! What probes are told, and that a broken store shows.
//!
//! The store is broken from outside, under a house that runs: by cutting its file, by removing it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::house::World;

#[tokio::test]
async fn a_house_that_can_serve_says_so() {
    let world = World::open().await;
    let browser = world.browser();
    for path in ["/healthz", "/readyz", "/health"] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
    let health = browser.get("/health").await.body;
    for part in ["store", "accounts", "codec"] {
        assert!(health.contains(&format!("\"{part}\":\"good\"")), "{health}");
    }
    let by_name = browser.get_with("/readyz", &[("host", "some.name.of.the.cluster")]).await;
    assert_eq!(by_name.status, 200, "probes come by any name");
}

#[tokio::test]
async fn a_broken_database_is_seen_at_once() {
    let world = World::over_file(&[]).await;
    let world = world.reopened().await;
    let file = world.data().join("wasmchannel.db");
    OpenOptions::new().write(true).open(file).unwrap().set_len(100).unwrap();
    let browser = world.browser();
    assert_eq!(browser.get("/health").await.status, 503);
    assert_eq!(browser.get("/readyz").await.status, 503);
    assert_eq!(browser.get("/healthz").await.status, 200, "the process lives");
}

#[tokio::test]
async fn a_database_that_is_gone_is_seen_at_once() {
    let world = World::over_file(&[]).await;
    std::fs::remove_file(world.data().join("wasmchannel.db")).unwrap();
    let health = world.browser().get("/health").await;
    assert_eq!(health.status, 503);
    assert!(health.body.contains("\"store\":\"broken\""), "{}", health.body);
}

#[tokio::test]
async fn a_file_that_is_damaged_behind_a_kill_serves_and_says_so() {
    let world = World::over_file(&[]).await;
    let numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 900)";
    world.write(&format!("create table filler as {numbers} select randomblob(1000) from n")).await;
    world.write("pragma wal_checkpoint(truncate)").await;
    world.write("create table another (words)").await;
    let harm = |data: &Path| {
        let file = OpenOptions::new().write(true).open(data.join("wasmchannel.db")).unwrap();
        let middle = file.metadata().unwrap().len() / 2 / 4_096 * 4_096;
        file.write_all_at(&[0; 4_096], middle).unwrap();
    };
    let harmed = world.killed(harm).await;
    let browser = harmed.browser();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let ready = browser.get("/readyz").await;
        assert_eq!(ready.status, 200, "what is there is served");
        if ready.body == "ready\ndegraded: damaged\n" {
            break;
        }
        assert!(Instant::now() < deadline, "{}", ready.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let health = browser.get("/health").await.body;
    assert!(health.contains("\"degraded\":\"damaged\""), "{health}");
}

#[tokio::test]
async fn the_status_counts_and_says_for_how_long_nobody_was_there() {
    let world = World::open().await;
    let status = world.browser().get("/status").await.body;
    assert!(
        status.contains("\"connections\":0") && status.contains("\"idle_seconds\":0"),
        "{status}"
    );
    assert!(status.contains("\"closed\":{}"), "{status}");
    assert!(status.contains("\"diverged\":0"), "{status}");
}
