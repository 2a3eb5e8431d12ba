//! A site that has names and nothing in its files, for a server that is tried without a browser.
//!
//! Used by these stories, by the proof and by the loads. Its law: what the server looks for at its
//! start is there, and no more.

use std::path::Path;

/// Makes the folder `site` in this one.
pub(crate) fn make_site(folder: &Path) -> std::io::Result<()> {
    let package = folder.join("site/pkg");
    std::fs::create_dir_all(&package)?;
    for ending in ["css", "js", "wasm"] {
        std::fs::write(package.join(format!("wasmchannel.hash.{ending}")), "")?;
    }
    std::fs::write(folder.join("site/icon.svg"), "<svg/>")
}
