//! The checkers of `tidy`, each tried on lines that break its rule and lines that keep it.
//!
//! A checker that cannot fail says nothing when it passes.

use super::check::{self, Ban, Finding, Source};

fn at(findings: &[Finding]) -> Vec<usize> {
    findings.iter().map(|finding| finding.line).collect()
}

#[test]
fn a_finding_reads_as_path_line_what_and_what_instead() {
    let found = check::header(&Source::new("a/b.rs", "use x;\n"), 3, 15);
    assert!(found[0].to_string().starts_with("a/b.rs:1: the header has 0 lines, not 3 to 15; say"));
}

#[test]
fn a_long_file_is_found() {
    let source = Source::new("a.rs", "1\n2\n3\n");
    assert_eq!(at(&check::file_length(&source, 2)), [3]);
    assert!(check::file_length(&source, 3).is_empty());
}

#[test]
fn a_long_function_is_found_and_a_view_counts_half() {
    let plain = "impl A {\n    pub async fn a() {\n        1;\n        2;\n    }\n}\n";
    assert_eq!(at(&check::function_lengths(&Source::new("a.rs", plain), 3)), [2]);
    assert!(check::function_lengths(&Source::new("a.rs", plain), 4).is_empty());
    let view = "fn a() {\n    view! {\n        <p>\n        </p>\n    }\n}\n";
    assert!(check::function_lengths(&Source::new("a.rs", view), 4).is_empty());
    assert_eq!(at(&check::function_lengths(&Source::new("a.rs", view), 3)), [1]);
    let wrapped = "fn a(\n    b: u8,\n) -> u8\nwhere\n    u8: Copy,\n{\n    b\n}\nfn c();\n";
    assert_eq!(at(&check::function_lengths(&Source::new("a.rs", wrapped), 7)), [1]);
}

#[test]
fn a_missing_or_chatty_header_is_found() {
    let source = |lines: usize| Source::new("a.rs", &"//! A line.\n".repeat(lines));
    assert_eq!(check::header(&source(2), 3, 15).len(), 1);
    assert!(check::header(&source(3), 3, 15).is_empty());
    assert_eq!(check::header(&source(16), 3, 15).len(), 1);
}

#[test]
fn a_file_named_after_nothing_is_found() {
    assert_eq!(check::file_name(&Source::new("a/util.rs", ""), &["util"]).len(), 1);
    assert!(check::file_name(&Source::new("a/utility.rs", ""), &["util"]).is_empty());
}

#[test]
fn a_promise_is_found_in_a_comment_too() {
    let source = Source::new("a.rs", "let a = 1;\n// LATER: do it\nlet collateral = LATER1;\n");
    assert_eq!(at(&check::promises(&source, &["LATER"])), [2]);
}

#[test]
fn a_banned_word_is_found_where_it_is_banned() {
    let ban = Ban { words: &["axum"], under: &["in/"], except: &["in/door"], instead: "no" };
    let text = "// axum may be named in a comment\nuse axum::Router;\nlet my_axum = 1;\n";
    assert_eq!(at(&check::banned_words(&Source::new("in/a.rs", text), &ban)), [2]);
    assert!(check::banned_words(&Source::new("in/door.rs", text), &ban).is_empty());
    assert!(check::banned_words(&Source::new("out/a.rs", text), &ban).is_empty());
}

#[test]
fn tests_may_name_what_the_code_may_not() {
    let ban = Ban { words: &["axum"], under: &[""], except: &[], instead: "no" };
    let text = "use a;\n#[cfg(test)]\nmod tests {\n    use axum::Router;\n}\n";
    assert!(check::banned_words(&Source::new("in/a.rs", text), &ban).is_empty());
    let text = "use axum::Router;\n";
    assert!(check::banned_words(&Source::new("a/src/b/tests.rs", text), &ban).is_empty());
}

#[test]
fn a_word_may_begin_or_end_in_a_sign() {
    assert!(check::has_word("<p style=x>", "style="));
    assert!(check::has_word("#[allow(x)]", "#[allow"));
    assert!(!check::has_word("mystyle=x", "style="));
    assert!(!check::has_word("// https://a.b", "https://a.b/c"));
}

#[test]
fn an_import_that_goes_up_is_found() {
    let floors: &[&[&str]] = &[&["clock", "db"], &["rooms"], &["http"]];
    let found = |path: &str, text: &str| {
        at(&check::floors(&Source::new(path, text), "server/src/", floors))
    };
    assert_eq!(found("server/src/rooms/room.rs", "use crate::http::pages;\n"), [1]);
    assert_eq!(
        found("server/src/db.rs", "use crate::{\n    clock::{now, then},\n    rooms::A,\n};\n"),
        [1]
    );
    assert_eq!(
        found("server/src/http.rs", "use crate::{db, rooms};\nlet a = crate::clock::now();\n"),
        []
    );
    assert_eq!(found("server/src/attic.rs", ""), [1]);
}

#[test]
fn a_path_that_is_not_there_is_found() {
    let source =
        Source::new("MAP.md", "`a/b.rs`, `a/c.rs` and `Makefile`\n`/healthz`, `step(input)`\n");
    assert_eq!(check::paths_named(&source, |path| path == "a/b.rs").len(), 1);
    assert!(check::paths_named(&source, |_| true).is_empty());
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let source = Source::new("docs/a.md", "[b](b.md) and\n[c](../c.md#d), [e](https://e)\n");
    assert_eq!(at(&check::links(&source, |path| path == "docs/b.md")), [2]);
    assert!(check::links(&source, |path| path != "docs/e").is_empty());
}

#[test]
fn a_table_that_differs_from_the_kinds_is_found() {
    let source =
        Source::new("P.md", "| number | kind |\n|---|---|\n| 1 | `Hello` |\n| 2 | `Old` |\n");
    assert!(check::kinds_listed(&source, &[(1, "Hello"), (2, "Old")]).is_empty());
    assert_eq!(at(&check::kinds_listed(&source, &[(1, "Hello")])), [4]);
    assert_eq!(at(&check::kinds_listed(&source, &[(1, "Hello"), (2, "Old"), (3, "New")])), [1]);
}
