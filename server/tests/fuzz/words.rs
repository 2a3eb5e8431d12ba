//! What people and links spell: paths, room keys, names, topics, texts, languages, ids.
//!
//! What was brought into its one form stays as it is; where a path leads to another address, that
//! address is the last.

use app::text::PageLanguage;
use http::Uri;
use protocol::bounded::Text;
use protocol::ids::OpId;
use protocol::model::{DisplayName, MessageText, RoomName, Topic};
use protocol::words;
use server::clock::{Chance, SeededChance};
use server::http::address::{Path, encoded_room_path, parse};
use server::rooms::key;

use crate::mutate::bend;
use crate::{below, fuzz};

/// Pieces of paths, good and bad.
const PATHS: [&str; 22] = [
    "/",
    "/r/",
    "/r/tea",
    "/rooms",
    "/me",
    "/setup/",
    "/language",
    "/join",
    "/leave",
    "/settings",
    "?after=",
    "?before=",
    "?saved",
    "%",
    "%2F",
    "%2e",
    "%C3%A9",
    "%00",
    "%E2%80%AE",
    "caf%65",
    "&",
    "T\u{e9}",
];
/// Pieces of texts: letters that change when they are folded or joined, marks, what shows nothing,
/// what turns lines, line ends, and plain words.
const PIECES: [&str; 33] = [
    "a",
    "Z",
    "9",
    " ",
    "-",
    "_",
    ".",
    "\u{130}",
    "\u{131}",
    "\u{df}",
    "\u{1e9e}",
    "\u{17f}",
    "\u{3a3}",
    "\u{3c2}",
    "\u{212a}",
    "\u{301}",
    "\u{308}",
    "\u{345}",
    "\u{1100}\u{1161}\u{11a8}",
    "\u{200d}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{3164}",
    "\u{1f468}\u{200d}\u{1f467}",
    "\0",
    "\r\n",
    "\n",
    "\u{63a}\u{631}\u{641}\u{629}",
    "\u{d28}",
    "\u{d4d}",
    "\u{d7b}",
    "tea",
];

fn put_together(pieces: &[&str], count_max: usize, chance: &mut SeededChance) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..=below(chance, count_max) {
        let letter = char::from_u32(u32::try_from(chance.below(0x0011_0000)).unwrap());
        match (chance.below(12), letter) {
            (0, Some(letter)) => text.push(letter),
            (1, _) => text.push_str(&pieces[below(chance, pieces.len())].repeat(9)),
            _ => text.push_str(pieces[below(chance, pieces.len())]),
        }
    }
    text.into_bytes()
}

#[test]
fn paths() {
    let others: Vec<Vec<u8>> = PATHS.iter().map(|path| path.as_bytes().to_vec()).collect();
    let make = |chance: &mut SeededChance| {
        let mut path = [b"/".to_vec(), put_together(&PATHS, 4, chance)].concat();
        if chance.below(2) == 0 {
            path.drain(..1);
            bend(&mut path, &others, chance);
        }
        path
    };
    fuzz("paths", make, |bytes| {
        let Ok(uri) = Uri::try_from(bytes) else { return false };
        match parse(&uri) {
            Path::Nowhere => false,
            Path::Moved(to) => {
                let there: Uri = to.parse().expect("where it leads is an address");
                assert!(matches!(parse(&there), Path::At(_)), "{uri} leads to {there}, and on");
                true
            }
            Path::At(spot) => {
                if let Err(page) = spot.page(&uri) {
                    page.parse::<Uri>().expect("the page of a form is an address");
                }
                true
            }
        }
    });
}

#[test]
fn keys_names_and_texts() {
    let make = |chance: &mut SeededChance| put_together(&PIECES, 12, chance);
    fuzz("texts", make, |bytes| {
        let text = std::str::from_utf8(bytes).unwrap();
        let canonical = key::canonical(text);
        if let Some(key) = &canonical {
            assert_eq!(key::canonical(key).as_ref(), Some(key));
            let path: Uri = encoded_room_path(key).parse().expect("a room has an address");
            assert!(matches!(parse(&path), Path::At(_)), "{path} is not the room's one address");
        }
        // Thirty-three keys a name would be most of the time.
        if bytes.len().is_multiple_of(32) {
            for key in key::candidates(text, 7) {
                assert_eq!(key::canonical(&key), Some(key));
            }
        }
        names(text);
        let text = words::with_plain_line_ends(text);
        let message = MessageText::cut(&text);
        assert!(text.starts_with(&*message));
        let _ = words::check_message(&message, 10_000);
        let _ = PageLanguage::preferred(&text);
        if let Ok(id) = text.parse::<OpId>() {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        canonical.is_some()
    });
}

/// A name that was brought into its form is in it, and its other spelling comes to the same.
fn names(text: &str) {
    if let Ok(name) = words::display_name(&DisplayName::cut(text)) {
        assert_eq!(words::display_name(&name).as_ref(), Ok(&name));
        if let Ok(older) = DisplayName::new(name.replace('\u{d7b}', "\u{d28}\u{d4d}\u{200d}")) {
            assert_eq!(words::display_name(&older).as_ref(), Ok(&name));
        }
    }
    if let Ok(name) = words::room_name(&RoomName::cut(text)) {
        assert_eq!(words::room_name(&name).as_ref(), Ok(&name));
    }
    if let Ok(topic) = words::topic(&Topic::cut(text)) {
        assert_eq!(words::topic(&topic).as_ref(), Ok(&topic));
    }
    assert!(text.starts_with(&*Text::<7>::cut(text)));
}
