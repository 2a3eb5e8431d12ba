//! `docs/seeds.md` keeps its word: every row is there, and every test it names exists.
//!
//! A test is named by its file and its name there. The rows are those that this house has promised
//! so far; a row is added with its tests, never without.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rows that must have a test.
const ROWS: &str = "P3 P8 L1 L2 L3 L4 L5 L6 L7 L8 L9 L15 R1 C1 C2 C3 C4 C5 C10 C11 C12 O2 O6 O7 O16 \
                    O17 O18 O19 O20 O23 O24 T1 T2 T3 T4 T5 T6 T7 T8 T10 T11 T15";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the repository")
}

/// The rows of the table: a name, and the tests as file and name.
fn rows() -> Vec<(String, Vec<(String, String)>)> {
    let text = fs::read_to_string(repository().join("docs/seeds.md")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Row"));
    lines.map(row).collect()
}

fn row(line: &str) -> (String, Vec<(String, String)>) {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let name = cells[0].to_owned();
    let tests = cells[cells.len() - 1].split("<br>");
    let named = tests.map(|test| {
        let (file, name) =
            test.strip_prefix('`').and_then(|test| test.split_once("` ")).expect(test);
        (file.to_owned(), name.to_owned())
    });
    (name, named.collect())
}

#[test]
fn every_row_has_its_tests_and_every_test_exists() {
    let rows = rows();
    let named: BTreeSet<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ROWS.split_whitespace().collect());
    for (row, tests) in &rows {
        for (file, name) in tests {
            let text = fs::read_to_string(repository().join(file)).expect(file);
            let is_there = if file.ends_with(".rs") {
                text.contains(&format!("fn {name}("))
            } else {
                text.contains(name.as_str())
            };
            assert!(is_there, "docs/seeds.md, {row}: {file} has no test \"{name}\"");
        }
    }
}
