//! The document around the app: its head, the scripts that stand in it, and nothing that moves.
//!
//! Drawn by the server only. Every tag that loads or runs something carries the page's nonce, and
//! no element has a style of its own (`Content-Security-Policy`). leptos' own tags for the browser
//! build are not used: they put the nonce into `crossorigin`, which stops Firefox (leptos#4843).

use std::sync::Arc;

use leptos::config::LeptosOptions;
use leptos::hydration::AutoReload;
use leptos::nonce::use_nonce;
use leptos::prelude::*;

use crate::components::Sprite;
use crate::components::status::NOT_LOADED_ID;
use crate::first_page::FirstPage;
use crate::pages::title_of;
use crate::root::App;

/// Where the files are that every page loads; found once when the server starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The style sheet.
    pub css: Arc<str>,
    /// The module that loads the WASM.
    pub js: Arc<str>,
    /// The WASM.
    pub wasm: Arc<str>,
}

/// Takes the text on which Enter is pressed before the app comes, which sends it as soon as it is
/// there and says `done`; until then it is shown to wait, and what is typed is the next text. Who
/// presses Send before posts it with what he typed since, and the app that comes meanwhile leaves that
/// text alone; who goes otherwise sends it as he goes,
/// as the form would have, unless the browser refuses: then it goes on waiting. On touch Enter
/// makes a line.
const EARLY_ENTER: &str = "\
addEventListener('keydown', (event) => {
  const area = event.target, isWord = event.isComposing || event.keyCode === 229;
  if (window.early === 'done' || area.id !== 'text' || event.key !== 'Enter') return;
  if (event.shiftKey || isWord || matchMedia('(pointer: coarse)').matches) return;
  event.preventDefault();
  if (area.value.trim() === '') return;
  area.form.dataset.early = (window.early = [...(window.early ?? []), area.value]).join('\\n');
  area.value = '';
}, true);
addEventListener('submit', ({ target: { dataset, elements: { text: area } } }) => {
  if (!area || window.early === 'done') return;
  if (window.early) area.value = [...window.early, area.value].join('\\n').trimEnd();
  (window.early = 'done', dataset.posted = Date.now(), delete dataset.early);
}, true);
addEventListener('pagehide', () => {
  if (!Array.isArray(window.early)) return;
  const form = document.getElementById('text').form, fields = new FormData(form);
  fields.set('text', form.dataset.early);
  if (navigator.sendBeacon(form.action, new URLSearchParams(fields))) window.early = 'done';
});";

/// Shows clock times in the visitor's zone while the page is still being read, so that they do not
/// change under his eyes. Hydration compares no text.
const LOCAL_TIMES: &str = "\
const clock = new Intl.DateTimeFormat(document.documentElement.lang === 'ar' ? 'ar-EG' : 'en-GB',
  { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
for (const time of document.querySelectorAll('.message-time')) {
  if (time.firstChild) time.firstChild.data = clock.format(new Date(time.dateTime));
}";

/// Asks for the WASM at once. A `preload` would also bring it to browsers that run no script, and
/// have them complain that nobody used it. That it failed is said where it is awaited.
fn fetch(files: &Files) -> String {
    format!("window.wasm = fetch('{}');\nwindow.wasm.catch(() => {{}});", files.wasm)
}

/// Starts the app. Where it cannot be loaded, that is said, and what an early Enter took is put
/// back; it is sent as a plain form, unless that would lose what was typed since.
fn start(files: &Files) -> String {
    let js = &files.js;
    format!(
        "import('{js}')
  .then(async (app) => {{ await app.default({{ module_or_path: window.wasm }}); app.hydrate(); }})
  .catch((fault) => {{
    const notice = document.getElementById('{NOT_LOADED_ID}');
    if (notice) notice.hidden = false;
    const early = window.early, area = document.getElementById('text');
    window.early = 'done';
    if (Array.isArray(early) && area) {{
      const isLast = area.value === '';
      area.value = [...early, area.value].join('\\n').trimEnd();
      delete area.form.dataset.early;
      if (isLast) area.form.requestSubmit();
    }}
    console.warn('the app did not load', fault);
  }});"
    )
}

/// The socket that loads the page anew when its sources change, under `make dev` alone.
fn reloading() -> impl IntoView {
    let port = std::env::var("LEPTOS_RELOAD_PORT").ok().and_then(|port| port.parse().ok());
    let options = LeptosOptions::builder().output_name("wasmchannel");
    view! { <AutoReload options=options.reload_port(port.unwrap_or(3001)).build()/> }
}

/// The whole document of a page.
#[component]
pub fn Shell(
    /// What it loads.
    files: Files,
    /// What it shows first.
    page: FirstPage,
) -> impl IntoView {
    let (fetch, start) = (fetch(&files), start(&files));
    let Files { css, js, .. } = files;
    let language = page.language;
    view! {
        <!DOCTYPE html>
        <html lang=language.tag() dir=language.direction()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <title>{title_of(&page)}</title>
                <link rel="icon" href="/icon.svg" type="image/svg+xml"/>
                <link rel="manifest" href="/manifest.webmanifest"/>
                <link rel="stylesheet" href=css.to_string() nonce=use_nonce()/>
                <link rel="modulepreload" href=js.to_string() nonce=use_nonce() crossorigin=""/>
                <script nonce=use_nonce()>{fetch}</script>
                <script nonce=use_nonce()>{EARLY_ENTER}</script>
                {reloading()}
            </head>
            <body>
                <App/>
                <Sprite/>
                <script nonce=use_nonce()>{LOCAL_TIMES}</script>
                <script type="module" nonce=use_nonce()>{start}</script>
            </body>
        </html>
    }
}
