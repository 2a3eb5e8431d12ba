//! Ties the binary that holds the pages to the built pages.
//!
//! Run by cargo. Without it cargo would not see that `target/site` changed and keep a binary with
//! old pages, or with none (rust-embed takes an empty folder for an empty site). Its law: with
//! the feature `embed` there is no build without a built site.

use std::path::Path;
use std::process::ExitCode;

const PAGES: &str = "../target/site/pkg";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_EMBED").is_none() {
        return ExitCode::SUCCESS;
    }
    println!("cargo::rerun-if-changed=../target/site");
    if holds_wasm(Path::new(PAGES)) {
        return ExitCode::SUCCESS;
    }
    println!("cargo::error=there are no built pages in target/site: run `tools/build`");
    ExitCode::FAILURE
}

fn holds_wasm(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().extension().is_some_and(|end| end == "wasm"))
    })
}
