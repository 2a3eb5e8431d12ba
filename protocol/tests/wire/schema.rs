//! What the types themselves forbid: depth without end, and fields without a bound.
//!
//! Reads the crate's own source: of all types that can be decoded it makes a graph, which must have
//! no circle (a nested frame of 800 bytes would overflow a stack and end the process), and in whose
//! fields no type may stand that grows without a bound. The macros of `frame` only wrap these types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Types that grow as they like, or hide what they hold.
const UNBOUNDED: [&str; 9] =
    ["Vec", "String", "Box", "Rc", "Arc", "HashMap", "BTreeMap", "VecDeque", "Cow"];

/// Every type with a derived decoder, and the names that stand in its body.
fn decoded_types() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut types = BTreeMap::new();
    for file in std::fs::read_dir(source).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        for item in code.split("#[derive(").skip(1) {
            let (derives, rest) = item.split_once(")]").unwrap();
            if !derives.split(", ").any(|derive| derive == "Decode") {
                continue;
            }
            let (name, body) = declaration(rest);
            types.insert(name, body);
        }
    }
    types
}

/// The name of the type that is declared first in this code, and the names in its body.
fn declaration(code: &str) -> (String, BTreeSet<String>) {
    let start = ["pub struct ", "pub enum "]
        .iter()
        .filter_map(|keyword| code.find(keyword).map(|at| at + keyword.len()))
        .min()
        .expect("a type follows its derive");
    let declared = &code[start..];
    let end = declared.find("\n}").into_iter().chain(declared.find(";\n")).min().unwrap();
    let mut names = declared[..end]
        .split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .filter(|word| word.starts_with(char::is_uppercase))
        .map(str::to_owned);
    let name = names.next().unwrap_or_else(|| "identifiers".to_owned());
    (name, names.collect())
}

#[test]
fn no_type_of_the_wire_holds_itself() {
    let types = decoded_types();
    assert!(types.len() > 40, "only {} types were found", types.len());
    let mut settled = BTreeSet::new();
    while let Some((name, _)) = types.iter().find(|(name, fields)| {
        let settled_or_foreign =
            |field: &String| settled.contains(field) || !types.contains_key(field);
        !settled.contains(*name) && fields.iter().all(settled_or_foreign)
    }) {
        settled.insert(name.clone());
    }
    let circle: Vec<_> = types.keys().filter(|name| !settled.contains(*name)).collect();
    assert!(circle.is_empty(), "these hold each other: {circle:?}");
}

#[test]
fn no_field_of_the_wire_grows_without_a_bound() {
    for (name, fields) in decoded_types() {
        for unbounded in UNBOUNDED {
            assert!(!fields.contains(unbounded), "{name} holds a {unbounded}: take one of bounded");
        }
    }
}
