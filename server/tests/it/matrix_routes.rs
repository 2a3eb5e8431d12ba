//! Every route before everybody: what is answered, who reads the members' words, who writes.
//!
//! A cell is the status; an `r` behind it says that what only members may read stood in the answer,
//! a `w` that an event was written to their room. Its law: `server/src/http.rs` names no route that
//! no row tries.

use std::collections::BTreeSet;

use crate::house::Answer;
use crate::matrix::{EVERYBODY, Matrix, SECRET, Who};

/// A pattern of the router, a method, a path, the form's fields, and a cell for each.
struct Row(&'static str, &'static str, &'static str, Fields, &'static str);

type Fields = &'static [(&'static str, &'static str)];

const TEXT: Fields = &[("text", "a word")];
const NAME: Fields = &[("name", "a name")];

/// Nobody, Other, Left, Member, Moderator, Maker, Owner, Revoked, Disabled.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("/", "GET", "/", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/", "POST", "/", TEXT, "303 303 303 303 303 303 303 303 422"),
    Row("/r/{*room}", "GET", "/r/tea", &[], "200 200 200 200r 200r 200r 200 200 200"),
    Row("/r/{*room}", "GET", "/r/tea?before=9", &[], "200 200 200 200r 200r 200r 200 200 200"),
    Row("/r/{*room}", "GET", "/r/tea/settings", &[], "404 404 404 200 200 200 404 404 404"),
    Row("/r/{*room}", "GET", "/r/tea/join", &[], "303 303 303 303 303 303 303 303 303"),
    Row("/r/{*room}", "GET", "/r/tea/leave", &[], "303 303 303 303 303 303 303 303 303"),
    Row("/r/{*room}", "GET", "/r/nowhere", &[], "404 404 404 404 404 404 404 404 404"),
    Row("/r/{*room}", "GET", "/r/nowhere/settings", &[], "404 404 404 404 404 404 404 404 404"),
    Row("/r/{*room}", "GET", "/r/ink", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/r/{*room}", "POST", "/r/tea", TEXT, "422 422 422 303w 303w 303w 422 422 422"),
    Row("/r/{*room}", "POST", "/r/tea/join", &[], "303w 303w 303w 303 303 303 303w 303w 422"),
    Row("/r/{*room}", "POST", "/r/tea/leave", &[], "422 422 422 303w 303w 303w 422 422 422"),
    Row("/r/{*room}", "POST", "/r/tea/settings", NAME, "422 422 422 422 303w 303w 303w 422 422"),
    Row("/r/{*room}", "POST", "/r/ink", TEXT, "422 422 422 422 422 422 422 422 422"),
    Row("/r/{*room}", "POST", "/r/ink/leave", &[], "422 422 422 422 422 422 422 422 422"),
    Row("/r/{*room}", "POST", "/r/ink/settings", NAME, "422 422 422 422 422 422 303 422 422"),
    Row("/r/{*room}", "POST", "/r/nowhere", TEXT, "404 404 404 404 404 404 404 404 404"),
    Row("/r/{*room}", "POST", "/r/nowhere/join", &[], "303 303 303 303 303 303 303 303 422"),
    Row("/r/{*room}", "POST", "/r/nowhere/leave", &[], "404 404 404 404 404 404 404 404 404"),
    Row("/r/{*room}", "POST", "/r/nowhere/settings", NAME, "404 404 404 404 404 404 404 404 404"),
    Row("/rooms", "GET", "/rooms", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/rooms", "POST", "/rooms", NAME, "303 303 303 303 303 303 303 303 422"),
    Row("/me", "GET", "/me", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/me", "POST", "/me", NAME, "303 303 303 303 303 303 303 303 422"),
    Row("/language", "GET", "/language", &[], "303 303 303 303 303 303 303 303 303"),
    Row("/language", "POST", "/language", &[("lang", "en")], "303 303 303 303 303 303 303 303 303"),
    Row("/setup/{token}", "GET", "/setup/0", &[], "404 404 404 404 404 404 404 404 404"),
    Row("/setup/{token}", "POST", "/setup/0", &[], "404 404 404 404 404 404 404 404 404"),
    Row("/ws", "GET", "/ws", &[], "426 426 426 426 426 426 426 426 426"),
    Row("/ws", "POST", "/ws", &[], "405 405 405 405 405 405 405 405 405"),
    Row("/api/guest", "GET", "/api/guest", &[], "405 405 405 405 405 405 405 405 405"),
    Row("/api/guest", "POST", "/api/guest", &[], "200 200 200 200 200 200 200 200 200"),
    Row("headers::REPORTS_PATH", "GET", "/api/csp-reports", &[], "405 405 405 405 405 405 405 405 405"),
    Row("headers::REPORTS_PATH", "POST", "/api/csp-reports", &[], "204 204 204 204 204 204 204 204 204"),
    Row("health::PULSE", "GET", "/healthz", &[], "200 200 200 200 200 200 200 200 200"),
    Row("health::PULSE", "POST", "/healthz", &[], "405 405 405 405 405 405 405 405 405"),
    Row("/readyz", "GET", "/readyz", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/readyz", "POST", "/readyz", &[], "405 405 405 405 405 405 405 405 405"),
    Row("/health", "GET", "/health", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/health", "POST", "/health", &[], "405 405 405 405 405 405 405 405 405"),
    Row("/status", "GET", "/status", &[], "200 200 200 200 200 200 200 200 200"),
    Row("/status", "POST", "/status", &[], "405 405 405 405 405 405 405 405 405"),
    Row("no route", "GET", "/no/such/page", &[], "404 404 404 404 404 404 404 404 404"),
    Row("no route", "POST", "/no/such/page", &[], "404 404 404 404 404 404 404 404 404"),
];

#[tokio::test]
async fn reading_is_for_whom_the_table_says() {
    let matrix = Matrix::open().await;
    matrix.take_away().await;
    for row in ROWS.iter().filter(|Row(_, method, ..)| *method == "GET") {
        tried(&matrix, row).await;
    }
}

#[tokio::test]
async fn writing_is_for_whom_the_table_says() {
    // What is written changes who somebody is: every row has a house of its own.
    for row in ROWS.iter().filter(|Row(_, method, ..)| *method == "POST") {
        let matrix = Matrix::open().await;
        matrix.take_away().await;
        tried(&matrix, row).await;
    }
}

#[tokio::test]
async fn what_a_cookie_or_a_header_claims_opens_nothing() {
    let matrix = Matrix::open().await;
    let claims = [
        ("cookie", "room=42; admin=1; role=owner; user=Owner"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-user", "Owner"),
        ("x-forwarded-proto", "https"),
    ];
    for Row(_, method, path, fields, expected) in ROWS {
        let nobody = matrix.anew();
        let answer = if *method == "GET" {
            nobody.get_with(path, &claims).await
        } else if path.starts_with("/r/tea") || path.starts_with("/setup") {
            let origin = ("origin", matrix.origin());
            nobody.send_with(path, fields, &[&[origin], &claims[..]].concat()).await
        } else {
            continue;
        };
        let allowed = expected.split_whitespace().next().unwrap().trim_end_matches('w');
        assert_eq!(answer.status.as_str(), allowed, "{method} {path}");
        assert!(!answer.body.contains(SECRET), "{method} {path}");
    }
}

async fn tried(matrix: &Matrix, Row(_, method, path, fields, expected): &Row) {
    let mut cells = Vec::new();
    for who in EVERYBODY {
        let before = matrix.events().await;
        let answer = asked(matrix, who, method, path, fields).await;
        let mut cell = answer.status.as_u16().to_string();
        if answer.body.contains(SECRET) {
            cell.push('r');
        }
        if matrix.events().await > before {
            cell.push('w');
        }
        cells.push(cell);
    }
    let expected: Vec<&str> = expected.split_whitespace().collect();
    assert_eq!(cells, expected, "{method} {path} for {EVERYBODY:?}");
}

async fn asked(matrix: &Matrix, who: Who, method: &str, path: &str, fields: Fields) -> Answer {
    let browser = matrix.browser(who);
    if method == "GET" { browser.get(path).await } else { browser.send(path, fields).await }
}

#[test]
fn every_route_of_the_house_is_tried() {
    let source = include_str!("../../src/http.rs");
    let routes = source.split(".route(").skip(1).map(|rest| rest.split(',').next().unwrap());
    let routes: BTreeSet<&str> = routes.map(|route| route.trim_matches('"')).collect();
    assert!(routes.len() > 10, "{routes:?}");
    let tried: BTreeSet<&str> = ROWS.iter().map(|Row(route, ..)| *route).collect();
    assert_eq!(routes.difference(&tried).collect::<Vec<_>>(), Vec::<&&str>::new());
    for method in ["GET", "POST"] {
        let missing = routes.iter().filter(|route| {
            !ROWS.iter().any(|Row(tried, by, ..)| tried == *route && *by == method)
        });
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new(), "{method}");
    }
}
