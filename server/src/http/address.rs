//! What a request's path means: decoded once, strictly, before anything is drawn.
//!
//! Called by the doors of pages and forms. A room has one address; whatever else spells its key is
//! answered by 308 to that one, and what spells no key by 404. Its law: a path is taken from the
//! request itself (leptos_router decodes its parameters twice, so what it says is never trusted).

use std::fmt::Write;

use app::routes::{
    Address, LANGUAGE_PATH, LOBBY_KEY, ME_PATH, ROOM_PREFIX, ROOMS_PATH, SETUP_PREFIX,
};
use http::Uri;
use protocol::cursor::SEQ_MAX;
use protocol::model::RoomKey;

use crate::rooms::key;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// A place of the house, at its one address.
    At(Spot),
    /// A place whose one address this is.
    Moved(String),
    /// Nothing.
    Nowhere,
}

/// A place of the house: what is read there, what is written there, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// A room, and where its messages are sent.
    Room(RoomKey),
    /// Where one becomes a member.
    Join(RoomKey),
    /// Where one stops being one.
    Leave(RoomKey),
    /// A room's name and topic.
    RoomSettings(RoomKey),
    /// The open rooms, and where a room is made.
    Rooms,
    /// The visitor's own page, and where he changes his name.
    Me,
    /// Where the language is chosen.
    Language,
    /// The setup link, by its token.
    Setup(String),
}

impl Spot {
    /// The page that is read there; where only a form is sent, the path of the page it is on.
    pub fn page(&self, uri: &Uri) -> Result<Address, String> {
        Ok(match self {
            Self::Room(key) => Address::Room { key: key.clone(), before: before(uri) },
            Self::RoomSettings(key) => Address::RoomSettings(key.clone()),
            Self::Join(key) | Self::Leave(key) => return Err(encoded_room_path(key)),
            Self::Rooms => Address::Rooms { after: after(uri) },
            Self::Me => Address::Me { saved: uri.query() == Some("saved") },
            Self::Language => return Err(ME_PATH.to_owned()),
            Self::Setup(token) => Address::Setup { token: token.clone() },
        })
    }
}

/// Reads a request's path. A place with a slash behind it is the place, at another address.
#[must_use]
pub fn parse(uri: &Uri) -> Path {
    let bare = uri.path().trim_end_matches('/');
    if bare.is_empty() || bare == uri.path() || bare.starts_with(SETUP_PREFIX) {
        return place(uri.path(), uri.query());
    }
    match place(bare, uri.query()) {
        Path::At(_) => Path::Moved(with_query(bare.to_owned(), uri.query())),
        elsewhere => elsewhere,
    }
}

fn place(path: &str, query: Option<&str>) -> Path {
    match path {
        "/" => key::canonical(LOBBY_KEY).map_or(Path::Nowhere, |key| Path::At(Spot::Room(key))),
        ROOMS_PATH => Path::At(Spot::Rooms),
        ME_PATH => Path::At(Spot::Me),
        LANGUAGE_PATH => Path::At(Spot::Language),
        path => {
            if let Some(rest) = path.strip_prefix(ROOM_PREFIX) {
                room(path, rest, query)
            } else if let Some(token) = path.strip_prefix(SETUP_PREFIX) {
                Path::At(Spot::Setup(token.to_owned()))
            } else {
                Path::Nowhere
            }
        }
    }
}

/// The path of a room's page as it travels: what is not unreserved is percent-encoded.
#[must_use]
pub fn encoded_room_path(key: &str) -> String {
    if key == LOBBY_KEY { "/".to_owned() } else { format!("{ROOM_PREFIX}{}", encoded(key)) }
}

fn room(path: &str, rest: &str, query: Option<&str>) -> Path {
    let (raw, part) = match rest.split_once('/') {
        Some((raw, part)) => (raw, Some(part)),
        None => (rest, None),
    };
    let Some(key) = decode(raw).and_then(|decoded| key::canonical(&decoded)) else {
        return Path::Nowhere;
    };
    let one = match part {
        None => encoded_room_path(&key),
        Some(part) => format!("{ROOM_PREFIX}{}/{part}", encoded(&key)),
    };
    let spot = match part {
        None => Spot::Room(key),
        Some("join") => Spot::Join(key),
        Some("leave") => Spot::Leave(key),
        Some("settings") => Spot::RoomSettings(key),
        Some(_) => return Path::Nowhere,
    };
    if one == path {
        return Path::At(spot);
    }
    Path::Moved(with_query(one, query))
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// The key behind which a list of rooms goes on; what is no key begins at the start.
fn after(uri: &Uri) -> Option<RoomKey> {
    decode(queried(uri, "after=")?).and_then(|decoded| key::canonical(&decoded))
}

/// The number before which messages are shown; what is no number shows the newest.
fn before(uri: &Uri) -> Option<u64> {
    queried(uri, "before=")?.parse().ok().filter(|seq| (1..=SEQ_MAX).contains(seq))
}

fn queried<'u>(uri: &'u Uri, name: &str) -> Option<&'u str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name))
}

fn encoded(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            path.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// Undoes percent-encoding once; nothing where a sign of it is broken or the bytes are no UTF-8.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Path {
        parse(&text.parse().unwrap())
    }

    fn key(key: &str) -> RoomKey {
        RoomKey::new(key).unwrap()
    }

    #[test]
    fn a_room_has_one_address() {
        let arabic = "/r/%D8%BA%D8%B1%D9%81%D8%A9";
        assert_eq!(parsed("/"), Path::At(Spot::Room(key("lobby"))));
        assert_eq!(parsed("/r/rust?a=b"), Path::At(Spot::Room(key("rust"))));
        assert_eq!(parsed(arabic), Path::At(Spot::Room(key("غرفة"))));
        assert_eq!(parsed("/r/lobby/leave"), Path::At(Spot::Leave(key("lobby"))));
        for (other, one) in [
            ("/r/lobby", "/"),
            ("/r/LOBBY", "/"),
            ("/r/Rust", "/r/rust"),
            ("/r/RUST?a=b", "/r/rust?a=b"),
            ("/r/%72ust/join", "/r/rust/join"),
            ("/r/cafe%CC%81", "/r/caf%C3%A9"),
            ("/r/%d8%ba%D8%B1%D9%81%D8%A9", arabic),
            ("/r/rust/", "/r/rust"),
            ("/r/Rust//", "/r/rust"),
            ("/r/rust/settings/?a=b", "/r/rust/settings?a=b"),
            ("/me/", "/me"),
            ("/rooms/", "/rooms"),
        ] {
            assert_eq!(parsed(other), Path::Moved(one.to_owned()), "{other}");
        }
    }

    #[test]
    fn what_spells_no_key_leads_nowhere() {
        for path in [
            "/r/", "/r", "/r/%2525", "/r/%25", "/r/a%2Fb", "/r/a/b", "/r/%D8", "/r/%", "/r/%4",
            "/r/%GG", "/r/a%20b", "/r/..", "/r/.a", "/r/a.", "/r/a%00", "/r//", "/setup", "/x",
            "/x/",
        ] {
            assert_eq!(parsed(path), Path::Nowhere, "{path}");
        }
    }

    #[test]
    fn a_page_reads_its_query_and_a_form_has_its_page() {
        let page = |text: &str| match parsed(text) {
            Path::At(spot) => spot.page(&text.parse().unwrap()),
            other => panic!("{other:?}"),
        };
        assert_eq!(page("/rooms"), Ok(Address::Rooms { after: None }));
        let after = Some(key("café"));
        assert_eq!(page("/rooms?x=1&after=caf%C3%A9"), Ok(Address::Rooms { after }));
        assert_eq!(page("/rooms?after=%2F"), Ok(Address::Rooms { after: None }));
        let at = |before| Ok(Address::Room { key: key("tea"), before });
        assert_eq!(page("/r/tea?before=7"), at(Some(7)));
        for none in ["0", "-1", "", "9007199254740992"] {
            assert_eq!(page(&format!("/r/tea?before={none}")), at(None), "{none}");
        }
        assert_eq!(page("/r/tea/join"), Err("/r/tea".to_owned()));
        assert_eq!(page("/language"), Err("/me".to_owned()));
        assert_eq!(page("/me"), Ok(Address::Me { saved: false }));
        assert_eq!(page("/me?saved"), Ok(Address::Me { saved: true }));
    }
}
