//! The built files that pages need: from inside the binary, or from the site's folder.
//!
//! The names of script, style and WASM are found once, at the start; pages print them. Its law: a
//! name that carries its hash is kept by browsers for ever, and is free of every throttle; only
//! plain names below the site are ever opened.

#[cfg(feature = "embed")]
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use app::shell::Files;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::compress::Encoding;
use crate::error::Error;

/// The folder of what the build made, inside the site.
const PACKAGE: &str = "pkg/";
/// What the names of script, style and WASM begin with.
const STEM: &str = "wasmchannel";

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Assets {
    source: Source,
    /// The addresses of the three that every page loads.
    pub files: Files,
}

#[derive(Debug, Clone)]
enum Source {
    #[cfg(feature = "embed")]
    Binary,
    #[cfg(not(feature = "embed"))]
    Folder(PathBuf),
}

/// The site as the build left it.
#[cfg(feature = "embed")]
#[derive(rust_embed::RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../target/site"]
#[allow_missing = true]
struct Site;

impl Assets {
    /// Finds the files: those in the binary, where it was built with them.
    #[cfg(feature = "embed")]
    pub fn find(_folder: PathBuf) -> Result<Self, Error> {
        let names = Site::iter().map(Cow::into_owned);
        let files = files_among(names)
            .ok_or_else(|| Error::NoPages("this binary was built without its pages".to_owned()))?;
        Ok(Self { source: Source::Binary, files })
    }

    /// Finds the files in the site's folder.
    #[cfg(not(feature = "embed"))]
    pub fn find(folder: PathBuf) -> Result<Self, Error> {
        let entries = std::fs::read_dir(folder.join(PACKAGE)).into_iter().flatten().flatten();
        let names = entries
            .filter_map(|entry| entry.file_name().to_str().map(|name| format!("{PACKAGE}{name}")));
        let files = files_among(names)
            .ok_or_else(|| Error::NoPages(format!("{} holds no built pages", folder.display())))?;
        Ok(Self { source: Source::Folder(folder), files })
    }

    /// Answers a request for a file; nothing where there is none of this name.
    pub async fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let name = path.strip_prefix('/').filter(|name| is_plain(name))?;
        let accepted = Encoding::accepted(headers);
        let packed = match accepted {
            Encoding::Brotli => self.read(&format!("{name}.br")).await.map(|body| (body, accepted)),
            Encoding::Gzip => self.read(&format!("{name}.gz")).await.map(|body| (body, accepted)),
            Encoding::Identity => None,
        };
        let (body, encoding) = match packed {
            Some(packed) => packed,
            None => (self.read(name).await?, Encoding::Identity),
        };
        let mut response = (StatusCode::OK, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching(name)));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(name) = encoding.name() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        Some(response)
    }

    async fn read(&self, name: &str) -> Option<Bytes> {
        match &self.source {
            #[cfg(feature = "embed")]
            Source::Binary => Site::get(name).map(|file| match file.data {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            }),
            #[cfg(not(feature = "embed"))]
            Source::Folder(folder) => {
                tokio::fs::read(folder.join(name)).await.ok().map(Bytes::from)
            }
        }
    }
}

/// The three files that every page loads, among the names of all. The build empties its folder
/// first, so there is one of each.
fn files_among(names: impl Iterator<Item = String>) -> Option<Files> {
    let names: Vec<String> = names.filter(|name| is_ours(name)).collect();
    let ending = |ending: &str| {
        let name = names.iter().find(|name| name.ends_with(ending))?;
        Some(Arc::from(format!("/{name}")))
    };
    Some(Files { css: ending(".css")?, js: ending(".js")?, wasm: ending(".wasm")? })
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix(PACKAGE).is_some_and(|file| file.starts_with(STEM) && !file.contains('/'))
}

/// Whether the path carries its hash, so that what it names never changes: `name.hash.ending`.
#[must_use]
pub fn is_hashed(name: &str) -> bool {
    name.trim_start_matches('/')
        .strip_prefix(PACKAGE)
        .is_some_and(|file| file.split('.').filter(|part| !part.is_empty()).count() == 3)
}

fn is_plain(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    name.split('/').all(plain)
}

fn caching(name: &str) -> &'static str {
    if is_hashed(name) {
        "public, max-age=31536000, immutable"
    } else if name.starts_with(PACKAGE) {
        "no-cache"
    } else {
        "public, max-age=3600"
    }
}

fn content_type(name: &str) -> &'static str {
    let ending = name.rsplit('.').next().unwrap_or_default();
    match ending {
        "css" => "text/css; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_files_of_a_page_are_found_among_all() {
        let built = [
            "icon.svg",
            "pkg/wasmchannel.4GtK.css",
            "pkg/wasmchannel.4GtK.css.br",
            "pkg/wasmchannel.d.4GtK.ts",
            "pkg/wasmchannel.Zx1_.js",
            "pkg/wasmchannel.b-2p.wasm",
        ];
        let files = files_among(built.into_iter().map(str::to_owned)).unwrap();
        assert_eq!(&*files.js, "/pkg/wasmchannel.Zx1_.js");
        assert_eq!(&*files.css, "/pkg/wasmchannel.4GtK.css");
        assert_eq!(&*files.wasm, "/pkg/wasmchannel.b-2p.wasm");
        assert_eq!(files_among(["icon.svg".to_owned()].into_iter()), None);
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(caching("pkg/wasmchannel.4GtK.css").ends_with("immutable"));
        assert_eq!(caching("pkg/wasmchannel.css"), "no-cache");
        assert_eq!(caching("icon.svg"), "public, max-age=3600");
        assert!(is_hashed("/pkg/wasmchannel.4GtK.wasm") && !is_hashed("/pkg/wasmchannel.wasm"));
    }

    #[test]
    fn no_name_leads_out_of_the_site() {
        for name in ["../x", "pkg/../../x", "pkg//x", "/etc/passwd", ".hidden", "a%2e", ""] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("pkg/snippets/a-1/inline0.js"));
    }
}
