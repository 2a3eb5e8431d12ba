//! What every answer says about itself, over every route.
//!
//! A new route belongs into one of the two lists, so that none answers without these headers.

use crate::house::World;

/// The policy of guarantees 4.5, letter by letter but for the nonce.
const POLICY: &str = "default-src 'none'; script-src 'nonce-R' 'strict-dynamic' \
    'wasm-unsafe-eval'; style-src 'self' 'nonce-R'; img-src 'self' data: blob:; \
    media-src 'self' blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; \
    manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; \
    frame-ancestors 'none'; report-to csp";

const PAGES: &[&str] =
    &["/", "/rooms", "/me", "/r/tea", "/r/%D8%BA%D8%B1%D9%81%D8%A9", "/setup/0", "/no/such/page"];
const OTHERS: &[&str] = &[
    "/language",
    "/r/Tea",
    "/r/tea/join",
    "/healthz",
    "/readyz",
    "/health",
    "/status",
    "/ws",
    "/api/guest",
    "/api/csp-reports",
    "/icon.svg",
    "/pkg/wasmchannel.hash.js",
    "/pkg/none.js",
];

#[tokio::test]
async fn every_answer_has_the_headers_that_close_what_is_not_needed() {
    let world = World::open().await;
    let browser = world.browser();
    for path in PAGES.iter().chain(OTHERS) {
        let answer = browser.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path} {name}");
        }
        assert!(answer.header("permissions-policy").contains("camera=()"), "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
        assert_eq!(answer.header("strict-transport-security"), "", "{path}: it is plain http");
        let kept = path.starts_with("/pkg/wasmchannel.hash") || *path == "/icon.svg";
        assert_eq!(answer.header("cache-control").contains("no-store"), !kept, "{path}");
    }
}

#[tokio::test]
async fn a_page_runs_what_carries_its_nonce_and_nothing_else() {
    let world = World::open().await;
    let browser = world.browser();
    let mut nonces = Vec::new();
    for path in PAGES {
        let answer = browser.get(path).await;
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        let policy = answer.header("content-security-policy").to_owned();
        let (_, rest) = policy.split_once("'nonce-").unwrap();
        let nonce = rest.split('\'').next().unwrap().to_owned();
        assert_eq!(policy.replace(&nonce, "R"), POLICY, "{path}");
        assert!(answer.header("reporting-endpoints").starts_with("csp="), "{path}");
        for (at, _) in answer.body.match_indices("<script") {
            let tag = answer.body[at..].split('>').next().unwrap();
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{path}: {tag}");
        }
        assert!(!answer.body.contains(" style="), "{path}: no nonce covers an attribute");
        nonces.push(nonce);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), PAGES.len(), "a nonce is used once");
}

#[tokio::test]
async fn pages_travel_compressed_as_the_browser_takes_them() {
    let world = World::open().await;
    let browser = world.browser();
    let plain = browser.get("/").await;
    assert_eq!(plain.header("content-encoding"), "");
    for (accepted, used) in [("br, gzip", "br"), ("gzip", "gzip")] {
        // The body is not text then, so only what is said of it is looked at.
        let client = reqwest::Client::new().get(format!("{}/", world.url));
        let answer = client.header("accept-encoding", accepted).send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], used);
        let length = answer.bytes().await.unwrap().len();
        assert!(length * 2 < plain.body.len(), "{used}: {length} of {}", plain.body.len());
    }
}

#[tokio::test]
async fn files_with_a_hash_are_kept_for_ever_and_nothing_leads_out_of_the_site() {
    let world = World::open().await;
    let browser = world.browser();
    let wasm = browser.get("/pkg/wasmchannel.hash.wasm").await;
    assert_eq!(wasm.header("content-type"), "application/wasm");
    assert_eq!(wasm.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(browser.get("/icon.svg").await.header("content-type"), "image/svg+xml");
    for path in ["/pkg/..%2f..%2fdata/setup-token", "/data/setup-token", "/pkg/"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn reports_of_browsers_are_counted() {
    let world = World::open().await;
    let browser = world.browser();
    assert_eq!(browser.send("/api/csp-reports", &[]).await.status, 204);
    assert!(browser.get("/status").await.body.contains("\"policy_reports\":1"));
}
