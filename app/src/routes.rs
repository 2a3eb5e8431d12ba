//! The addresses of the house: what a path means, and which path a thing has.
//!
//! Links and forms take their paths from here; the server's page door parses a request's path
//! itself, strictly and once (leptos_router decodes its parameters twice), and makes an `Address`.

use protocol::model::RoomKey;

/// The key of the room that everybody belongs to.
pub const LOBBY_KEY: &str = "lobby";
/// The list of open rooms: a page, and by POST where a room is made.
pub const ROOMS_PATH: &str = "/rooms";
/// The visitor's own page; by POST where his name changes.
pub const ME_PATH: &str = "/me";
/// Where, by POST, the language changes.
pub const LANGUAGE_PATH: &str = "/language";
/// What stands before the token of the setup link.
pub const SETUP_PREFIX: &str = "/setup/";
/// What stands before the key of a room that is not the lobby.
pub const ROOM_PREFIX: &str = "/r/";

/// What a page is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A room by its canonical key; `/` is the lobby.
    Room {
        /// Its key.
        key: RoomKey,
        /// The query's `before`: show the messages just before this number, not the newest.
        before: Option<u64>,
    },
    /// A room's name and topic, to be changed.
    RoomSettings(RoomKey),
    /// The open rooms behind a key.
    Rooms {
        /// The query's `after`.
        after: Option<RoomKey>,
    },
    /// The visitor's name and language.
    Me {
        /// The query's `saved`: say that the form was done.
        saved: bool,
    },
    /// The setup link.
    Setup {
        /// Its token.
        token: String,
    },
}

/// The path of a room's page, which is also where its messages are sent: `/` for the lobby. The
/// key is left as it reads; browsers encode it.
#[must_use]
pub fn room_path(key: &str) -> String {
    if key == LOBBY_KEY { "/".to_owned() } else { format!("{ROOM_PREFIX}{key}") }
}

/// The path of something about a room: `join`, `leave` or `settings`; the lobby has its key too.
#[must_use]
pub fn room_part_path(key: &str, part: &str) -> String {
    format!("{ROOM_PREFIX}{key}/{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lobby_is_at_the_root() {
        assert_eq!(room_path(LOBBY_KEY), "/");
        assert_eq!(room_path("غرفة"), "/r/غرفة");
    }
}
