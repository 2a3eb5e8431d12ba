//! What a page shows first: loaded before it is drawn, and handed over to the browser as text.
//!
//! The server's page door calls `FirstPage::load` and provides the value as context; the root of
//! the app reads it on both sides through `SharedValue`. Its law: whatever the first drawing needs
//! is in here, so that drawing waits for nothing and both sides draw the same.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use protocol::codec::{decode_text, encode_text};
use protocol::cursor::Cursor;
use protocol::ids::{OpId, RoomId};
use protocol::limits::TEXT_CHARS_DEFAULT;
use protocol::model::{Me, Message, Role, RoomEntry, RoomKey, RoomName, Topic};
use protocol::refusal::{Fault, Refusal, RetryReason};

use crate::backend::{AnyBackend, Unavailable};
use crate::routes::Address;
use crate::text::PageLanguage;

/// All that the first drawing of a page needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct FirstPage {
    /// The language of the page.
    pub language: PageLanguage,
    /// Who looks; nobody yet for a visitor who did nothing so far.
    pub me: Option<Me>,
    /// His rooms, the lobby first; the lobby alone for a visitor.
    pub rooms: Vec<RoomEntry>,
    /// Characters that a message may have.
    pub text_chars_max: u32,
    /// The op ids of the forms on the page.
    pub op_ids: FormOps,
    /// What stands in the middle.
    pub shown: Shown,
    /// A form that was not accepted, to be drawn again as it was sent.
    pub refused: Option<SentBack>,
}

/// The kind of content of a page that is asked for without its drawing: `InText`.
pub const PAGE_TYPE: &str = "application/x-wasmchannel-page";

/// How a page stands in its document: the wire's own codec, as text. A second one, for JSON, would
/// be a twelfth of the browser's build.
#[derive(Debug, PartialEq, Eq)]
pub struct InText(pub FirstPage);

impl fmt::Display for InText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_text(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for InText {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        decode_text(text).map(Self)
    }
}

/// What stands in the middle of a page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub enum Shown {
    /// A room.
    Room(RoomPage),
    /// The open rooms of the house.
    Rooms(RoomsPage),
    /// A room's name and topic, to be changed.
    RoomSettings(RoomEntry),
    /// The visitor's own name and language.
    Me {
        /// He was led here by a form that was just done.
        saved: bool,
    },
    /// The button that makes the visitor the owner; where the link is void, there is none.
    Setup {
        /// What stands in the address behind `/setup/`.
        token: String,
        /// Whether the link is good.
        valid: bool,
    },
    /// There is no such page, or it is not open to this visitor.
    #[default]
    NotFound,
    /// The house could not answer.
    Broken,
    /// It has too much to do to show this now.
    Busy,
}

/// A room as its page shows it first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RoomPage {
    /// The room.
    pub entry: RoomEntry,
    /// How many members it has.
    pub member_count: u64,
    /// What only its members see; nothing for others, who may join.
    pub inside: Option<Inside>,
}

impl RoomPage {
    /// The page of a room that nobody made yet, under the nil id: whoever joins it makes it.
    #[must_use]
    pub fn unmade(key: RoomKey) -> Self {
        let entry = RoomEntry {
            id: RoomId::NIL,
            name: RoomName::cut(&key),
            key,
            topic: Topic::default(),
            everyone: false,
            role: Role::default(),
            head: 0,
        };
        Self { entry, member_count: 0, inside: None }
    }
}

/// What only the members of a room see.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Inside {
    /// Where the room's log stood.
    pub cursor: Cursor,
    /// Its newest messages at that cursor, or those before an asked number; oldest first.
    pub messages: Vec<Message>,
    /// Whether there are older ones.
    pub older: bool,
    /// Whether newer ones are left out, because older ones were asked for.
    pub newer: bool,
}

/// One page of the open rooms, by key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct RoomsPage {
    /// The rooms.
    pub rooms: Vec<OpenRoom>,
    /// The key behind which the next page begins; nothing at the end.
    pub after: Option<RoomKey>,
}

/// A room that anyone may enter.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OpenRoom {
    /// The room.
    pub entry: RoomEntry,
    /// How many members it has.
    pub member_count: u64,
    /// Whether the visitor is one of them.
    pub member: bool,
}

/// One op id for each form of a page, so that Back and Reload cannot send a form twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct FormOps {
    /// Of the composer.
    pub post: OpId,
    /// Of Join.
    pub enter: OpId,
    /// Of Leave.
    pub leave: OpId,
    /// Of the room's name and topic.
    pub configure: OpId,
    /// Of a new room.
    pub create: OpId,
    /// Of the visitor's name.
    pub rename: OpId,
}

impl FormOps {
    /// Takes an id for each form from `make`.
    pub fn make(mut make: impl FnMut() -> OpId) -> Self {
        Self {
            post: make(),
            enter: make(),
            leave: make(),
            configure: make(),
            create: make(),
            rename: make(),
        }
    }

    /// Gives a form back the id it was sent with: what became of it is not known, or comes later.
    pub fn keep(&mut self, form: Form, op_id: OpId) {
        match form {
            Form::Post => self.post = op_id,
            Form::Enter => self.enter = op_id,
            Form::Leave => self.leave = op_id,
            Form::Configure => self.configure = op_id,
            Form::Create => self.create = op_id,
            Form::Rename => self.rename = op_id,
            Form::Language | Form::Setup => {}
        }
    }
}

/// The forms of the house; each has its own path, and all but the last two a field `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Form {
    /// Write into a room: `text`, to the room's own path.
    Post,
    /// Become a member of a room, to `/r/<key>/join`.
    Enter,
    /// Stop being one, to `/r/<key>/leave`.
    Leave,
    /// Name a room: `name` and `topic`, to `/r/<key>/settings`.
    Configure,
    /// Make a room: `name`, to `/rooms`.
    Create,
    /// Be called otherwise: `name`, to `/me`.
    Rename,
    /// Read in another language: `lang` is `en` or `ar`, to `/language`.
    Language,
    /// Become the owner of the house, to the setup link itself.
    Setup,
}

/// A form that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SentBack {
    /// Which.
    pub form: Form,
    /// The id it was sent with.
    pub op_id: OpId,
    /// Its field `text` or `name`, letter by letter.
    pub text: String,
    /// Its field `topic`, letter by letter.
    pub topic: String,
    /// Why.
    pub why: Why,
}

/// Why a form was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Why {
    /// It cannot be done.
    Refused(Refusal),
    /// It cannot be done now.
    Later {
        /// Why.
        reason: RetryReason,
        /// In how many milliseconds it can.
        wait_ms: u32,
    },
}

impl FirstPage {
    /// Asks the house for what the page at this address shows to this visitor.
    ///
    /// Fails when the house cannot answer; the caller then draws `Shown::Broken` with 503.
    pub async fn load(
        house: &AnyBackend,
        me: Option<Me>,
        address: &Address,
    ) -> Result<Self, Unavailable> {
        let user = me.as_ref().map(|me| me.id);
        let rooms = house.rooms(user).await?;
        let shown = match address {
            Address::Room { key, before } => {
                let room = house.room(user, key.clone(), *before).await?;
                Shown::Room(room.unwrap_or_else(|| RoomPage::unmade(key.clone())))
            }
            Address::RoomSettings(key) => rooms
                .iter()
                .find(|room| room.key == *key)
                .map_or(Shown::NotFound, |room| Shown::RoomSettings(room.clone())),
            Address::Rooms { after } => Shown::Rooms(house.open_rooms(user, after.clone()).await?),
            Address::Me { saved } => Shown::Me { saved: *saved },
            Address::Setup { token } => Shown::Setup {
                token: token.clone(),
                valid: house.setup_is_open(token.clone()).await?,
            },
        };
        Ok(Self { me, rooms, shown, text_chars_max: TEXT_CHARS_DEFAULT, ..Self::default() })
    }
}
