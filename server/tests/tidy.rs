//! `tidy`: the house rules that a machine can check, over the whole repository.
//!
//! The rules are the tables below; `tidy/check.rs` holds the checkers, `tidy/tries.rs` tries
//! them. A finding reads `path:line: what; do this instead`. To allow something new, change
//! the table, and say why in the commit.

#[path = "tidy/check.rs"]
mod check;
#[path = "tidy/tries.rs"]
mod tries;

use std::fs;
use std::path::{Path, PathBuf};

use check::{Ban, Finding, Source};
use protocol::frame::Kind;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const HEADER_LINES_MIN: usize = 3;
const HEADER_LINES_MAX: usize = 15;

const BANNED_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "mod", "util", "utils"];
const PROMISES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// The server's modules by floor, lowest first; the last one is the assembly.
const FLOORS: &[&[&str]] = &[
    &[
        "bus",
        "clock",
        "config",
        "db",
        "error",
        "hub",
        "open_files",
        "outlet",
        "overload",
        "resting",
        "telemetry",
        "throttle",
    ],
    &["files", "history", "rooms"],
    &["auth", "session"],
    &["frame_command", "http", "jobs", "services", "socket"],
    &["frame_command", "lib", "main", "state"],
];

/// What decides without waiting: no clock, no chance, no order of a hash map.
const PURE: &[&str] = &[
    "protocol/src/",
    "server/engine/src/history/judge",
    "server/engine/src/outlet",
    "server/engine/src/overload.rs",
    "server/engine/src/rooms/lane",
    "server/engine/src/rooms/mailbox",
    "server/engine/src/rooms/room",
    "server/engine/src/rooms/tail",
    "server/engine/src/rooms/typing",
    "server/engine/src/session",
];

/// Two libraries: the pages and the assembly, and what lies below them.
const SERVER: &[&str] = &["server/src/", "server/engine/src/"];

const BANS: &[Ban] = &[
    Ban {
        words: &["axum", "tokio", "leptos", "sea_orm", "gloo_net", "web_sys"],
        under: &["protocol/"],
        except: &[],
        instead: "the ground knows no transport, runtime, page or database",
    },
    Ban {
        words: &["Instant::now", "SystemTime", "Uuid::now_v7", "getrandom", "HashMap", "HashSet"],
        under: PURE,
        except: &[],
        instead: "take time, chance and ids as inputs, and keep order in a BTreeMap",
    },
    Ban {
        words: &["std::time::Instant", "SystemTime::now", "getrandom::fill"],
        under: SERVER,
        except: &["server/engine/src/clock"],
        instead: "let time and chance come in by `clock`",
    },
    Ban {
        words: &["axum", "tungstenite"],
        under: SERVER,
        except: &[
            "server/engine/src/auth/extract",
            "server/src/http",
            "server/src/lib.rs",
            "server/src/main.rs",
            "server/engine/src/socket",
            "server/src/state.rs",
        ],
        instead: "below the doors nobody knows the transport",
    },
    Ban {
        words: &["leptos", "leptos_axum", "leptos_router"],
        under: SERVER,
        except: &["server/src/http/pages"],
        instead: "draw pages in http/pages.rs",
    },
    Ban {
        words: &["sea_orm", "sqlx"],
        under: SERVER,
        except: &["server/engine/src/db", "server/engine/src/history/sql"],
        instead: "write a query in db/, and give out types of the protocol",
    },
    Ban {
        words: &["into_any"],
        under: &["app/", "frontend/"],
        except: &["app/src/part.rs"],
        instead: "forget a view's type by `into_part`: `into_any` keeps a way to hydrate that nobody goes",
    },
    Ban {
        words: &["axum", "leptos_axum", "server::"],
        under: &["app/src/", "frontend/src/"],
        except: &[],
        instead: "ask through the trait `Backend`, or over the socket",
    },
    Ban {
        words: &["style=", "style:"],
        under: &["app/src/"],
        except: &[],
        instead: "use a class: the policy allows no style attribute",
    },
    Ban {
        words: &["inner_html"],
        under: &["app/src/"],
        except: &["app/src/components/icon.rs"],
        instead: "draw text as text; only the sprite is markup of our own",
    },
    Ban {
        words: &["#[allow", "#![allow"],
        under: &[""],
        except: &["server/tests/tidy"],
        instead: "write #[expect(…, reason = \"…\")], which ends when its cause does",
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> Source {
    let text = fs::read_to_string(root().join(path));
    assert!(text.is_ok(), "{path} cannot be read: {text:?}");
    Source::new(path, &text.unwrap_or_default())
}

/// Every file below the folder whose name ends so, in the order of their paths.
fn sources(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            if entry.path().is_dir() && !["target", "node_modules"].contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust() -> Vec<Source> {
    let crates = ["app", "frontend", "migrations", "protocol", "server"];
    crates.iter().flat_map(|folder| sources(folder, ".rs")).collect()
}

fn written_by_hand() -> Vec<Source> {
    let mut all = rust();
    all.extend(sources("end2end", ".ts"));
    all.extend(sources("style", ".css"));
    all
}

#[track_caller]
fn none(findings: impl Iterator<Item = Finding>) {
    let list: Vec<String> = findings.map(|finding| format!("\n{finding}")).collect();
    assert!(list.is_empty(), "{}\n", list.concat());
}

#[test]
fn files_and_functions_are_short() {
    none(written_by_hand().iter().flat_map(|source| check::file_length(source, FILE_LINES_MAX)));
    none(rust().iter().flat_map(|source| check::function_lengths(source, FUNCTION_LINES_MAX)));
}

#[test]
fn every_rust_file_says_what_it_is() {
    let header = |source| check::header(source, HEADER_LINES_MIN, HEADER_LINES_MAX);
    none(rust().iter().flat_map(header));
}

#[test]
fn names_and_words_are_our_own() {
    none(written_by_hand().iter().flat_map(|source| check::file_name(source, BANNED_NAMES)));
    none(written_by_hand().iter().flat_map(|source| check::promises(source, PROMISES)));
    let banned = |source: &Source| -> Vec<Finding> {
        BANS.iter().flat_map(|ban| check::banned_words(source, ban)).collect()
    };
    none(rust().iter().flat_map(banned));
}

#[test]
fn the_server_imports_downward() {
    for folder in SERVER {
        let sources = sources(folder.trim_end_matches('/'), ".rs");
        none(sources.iter().flat_map(|source| check::floors(source, folder, FLOORS)));
    }
}

#[test]
fn the_documents_name_what_exists() {
    let exists = |path: &str| root().join(path.trim_start_matches('/')).exists();
    none(check::paths_named(&read("ARCHITECTURE.md"), exists).into_iter());
    let mut documents = sources("docs", ".md");
    documents.extend(["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"].map(read));
    none(documents.iter().flat_map(|document| check::links(document, exists)));
}

#[test]
fn the_document_lists_the_kinds_of_the_code() {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| (kind.number(), kind.name())).collect();
    none(check::kinds_listed(&read("docs/PROTOCOL.md"), &kinds).into_iter());
}

#[test]
fn every_kind_has_golden_bytes() {
    let golden = |name: &str| root().join(format!("protocol/golden/{name}.hex")).exists();
    let bare: Vec<_> =
        Kind::ALL.iter().map(|kind| kind.name()).filter(|name| !golden(name)).collect();
    assert!(bare.is_empty(), "protocol/golden/<Kind>.hex is missing for {bare:?}; write the bytes");
}
