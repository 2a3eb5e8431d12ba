//! Every kind of frame before everybody: what a client may ask and do in whose room.
//!
//! Over the house's own door, three rooms each: the members' `tea`, a stranger's `ink`, and one that
//! does not exist. Its law: a kind is asked by a `match` without a rest, so a new one does not compile
//! before it stands here; whoever loses his sign-in while his socket is open does nothing more by it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::act::{Act, Configure, Create, Enter, Leave, OpHead, Post, Rename};
use protocol::bounded::Text;
use protocol::codec::{SUB_PROTOCOL, VERSION, decode_event, encode_command};
use protocol::command::{Command, Hello, History, PageAck, Pong, Probe, Sub, Typing, Unsub};
use protocol::event::Event;
use protocol::frame::{Family, Kind};
use protocol::ids::{DeviceId, OpId, PageId, RoomId};
use protocol::model::{RoomKey, Topic};
use server::clock::{Chance, SystemChance};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::matrix::{EVERYBODY, Matrix, SECRET, Who};

const PATIENCE: Duration = Duration::from_secs(5);
/// For a sign that somebody types to reach the others; where it may not, so long is waited.
const WHISPER: Duration = Duration::from_millis(400);
/// So long who asks is believed to stand as he stood a moment ago.
const BELIEVED: Duration = Duration::from_millis(2_100);

/// A house that looks so seldom looks at nobody while a story lasts.
const NEVER: &str = "3600000";

/// The keys of the rooms that are asked about, in the order of a cell's parts.
const ROOMS: [&str; 3] = ["tea", "ink", "nowhere"];

/// A kind, and a cell for each of Other, Left, Member, Moderator, Maker, Owner, Revoked, Disabled:
/// one word for all rooms, or one for each of them. The last two lost what they had while their
/// sockets were open, in a house that does not look by itself: nothing that they do is done, and
/// nothing that they ask for is read.
#[rustfmt::skip]
const ROWS: &[(Kind, &str)] = &[
    (Kind::Hello, "4003 4003 4003 4003 4003 4003 4003 4003"),
    (Kind::Sub, "gone gone read/gone/gone read/gone/gone read/gone/gone gone 4500 4501"),
    (Kind::Unsub, "quiet quiet quiet quiet quiet quiet quiet quiet"),
    (Kind::PageAck, "quiet quiet quiet quiet quiet quiet quiet quiet"),
    (Kind::Pong, "quiet quiet quiet quiet quiet quiet quiet quiet"),
    (Kind::Probe, "quiet quiet quiet quiet quiet quiet quiet quiet"),
    (Kind::Typing, "quiet quiet quiet quiet quiet quiet quiet quiet"),
    (Kind::History, "nothing nothing read/nothing/nothing read/nothing/nothing read/nothing/nothing nothing 4500 4501"),
    (Kind::Post, "NotMember NotMember done/NotMember/NotMember done/NotMember/NotMember done/NotMember/NotMember NotMember 4500 AccountDisabled/4501"),
    (Kind::Create, "done done done done done done 4500 AccountDisabled/4501"),
    (Kind::Enter, "done done done done done done 4500 AccountDisabled/4501"),
    (Kind::Leave, "NotMember NotMember done/NotMember/NotMember done/NotMember/NotMember done/NotMember/NotMember NotMember 4500 AccountDisabled/4501"),
    (Kind::Configure, "NotMember NotMember NotAllowed/NotMember/NotMember done/NotMember/NotMember done/NotMember/NotMember done/done/NotMember 4500 AccountDisabled/4501"),
    (Kind::Rename, "done done done done done done 4500 AccountDisabled/4501"),
];

/// One socket of somebody's.
struct Seat {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The last of his rooms.
    room: RoomId,
    number: u32,
}

impl Seat {
    /// A socket behind its greeting; or why there is none.
    async fn take(matrix: &Matrix, who: Who) -> Result<Self, String> {
        Self::with(matrix, matrix.cookie(who)).await
    }

    async fn with(matrix: &Matrix, cookie: Option<&str>) -> Result<Self, String> {
        let mut request = format!("ws://{}/ws", matrix.world.house.addr).into_client_request();
        let headers = request.as_mut().unwrap().headers_mut();
        headers.insert("origin", matrix.world.url.parse().unwrap());
        headers.insert("sec-websocket-protocol", SUB_PROTOCOL.parse().unwrap());
        if let Some(cookie) = cookie {
            headers.insert("cookie", cookie.parse().unwrap());
        }
        let socket = match connect_async(request.unwrap()).await {
            Ok((socket, _)) => socket,
            Err(Error::Http(answer)) => return Err(answer.status().as_u16().to_string()),
            Err(fault) => panic!("{fault}"),
        };
        let mut seat = Self { socket, room: RoomId::NIL, number: 0 };
        seat.send(&hello()).await;
        let last = |event: &Event| match event {
            Event::Welcome(welcome) => welcome.rooms.last().map(|room| room.id),
            _ => None,
        };
        seat.room = seat.until(last).await?;
        Ok(seat)
    }

    async fn send(&mut self, command: &Command) {
        let frame = encode_command(command).unwrap();
        // A socket that was closed meanwhile says so where it is read.
        let _ = self.socket.send(Message::Binary(frame.into())).await;
    }

    /// The first event that is picked, or the code of the close.
    async fn until<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> Result<T, String> {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await.expect("something comes");
            match next.expect("the close comes before the end").unwrap() {
                Message::Binary(frame) => {
                    let event = decode_event(&frame).unwrap().unwrap();
                    if let Some(picked) = pick(&event) {
                        return Ok(picked);
                    }
                }
                Message::Close(close) => return Err(u16::from(close.unwrap().code).to_string()),
                _ => {}
            }
        }
    }

    /// Asks, and says in a word what came of it.
    async fn ask(&mut self, kind: Kind, room: RoomId) -> String {
        self.number += 1;
        let (number, op_id) = (self.number, OpId::make(1, SystemChance.id_bytes()));
        self.send(&command(kind, room, (number, op_id))).await;
        if kind.family() == Family::Command && !matches!(kind, Kind::Sub | Kind::History) {
            self.send(&Command::Probe(Probe { number })).await;
        }
        let word = self.until(|event| word(event, (number, op_id))).await;
        word.unwrap_or_else(|code| code)
    }
}

/// What an event says about this question, in a word.
fn word(event: &Event, (number, op_id): (u32, OpId)) -> Option<String> {
    Some(match event {
        Event::SubOk(ok) if ok.sub == number => "ok".to_owned(),
        Event::Reset(reset) if reset.sub == number => {
            let told = reset.snapshot.as_ref()?.messages.iter();
            let reads = told.into_iter().any(|message| &*message.text == SECRET);
            if reads { "read" } else { "state" }.to_owned()
        }
        Event::Gone(gone) if gone.sub == number => "gone".to_owned(),
        Event::Older(older) if older.number == number => {
            if older.messages.is_empty() { "nothing" } else { "read" }.to_owned()
        }
        Event::Probed(probed) if probed.number == number => "quiet".to_owned(),
        Event::Accepted(accepted) if accepted.op_id == op_id => "done".to_owned(),
        Event::Refused(refused) if refused.op_id == op_id => format!("{:?}", refused.refusal),
        Event::RefuseRetry(refused) if refused.op_id == op_id => format!("{:?}", refused.reason),
        _ => return None,
    })
}

fn hello() -> Command {
    Command::Hello(Hello {
        version: VERSION.into(),
        build: Text::cut("matrix"),
        page: PageId::make(0, SystemChance.id_bytes()),
        device: DeviceId::make(0, SystemChance.id_bytes()),
        abilities: 0,
        user_cursor: None,
    })
}

/// The frame of this kind about this room.
fn command(kind: Kind, room: RoomId, (number, op_id): (u32, OpId)) -> Command {
    let key = RoomKey::cut(if room == RoomId::NIL { "nowhere" } else { "lobby" });
    let act = |act| Command::Op(OpHead { op_id, lane_generation: 0, check_only: false }, act);
    match kind {
        Kind::Hello => hello(),
        Kind::Sub => Command::Sub(Sub { sub: number, room, cursor: None }),
        Kind::Unsub => Command::Unsub(Unsub { sub: 1_000 }),
        Kind::PageAck => Command::PageAck(PageAck { sub: 1_000 }),
        Kind::Pong => Command::Pong(Pong { number }),
        Kind::Probe => Command::Probe(Probe { number }),
        Kind::Typing => Command::Typing(Typing { room, active: true }),
        Kind::History => Command::History(History { number, room, before: 1_000, count: 10 }),
        Kind::Post => act(Act::Post(Post { room, text: Text::cut("a word") })),
        Kind::Create => act(Act::Create(Create { name: Text::cut("a room") })),
        Kind::Enter => act(Act::Enter(Enter { key })),
        Kind::Leave => act(Act::Leave(Leave { room })),
        Kind::Configure => act(Act::Configure(Configure {
            room,
            name: Text::cut("a name"),
            topic: Topic::cut(""),
        })),
        Kind::Rename => act(Act::Rename(Rename { name: Text::cut("a name") })),
        Kind::Welcome
        | Kind::Rooms
        | Kind::SubOk
        | Kind::Reset
        | Kind::Page
        | Kind::Logged
        | Kind::Gone
        | Kind::Accepted
        | Kind::Refused
        | Kind::RefuseRetry
        | Kind::Older
        | Kind::Typists
        | Kind::Ping
        | Kind::Probed
        | Kind::Drain
        | Kind::Faulty
        | Kind::Created
        | Kind::Joined
        | Kind::Left
        | Kind::Posted
        | Kind::Configured
        | Kind::RoomAdded
        | Kind::RoomRemoved
        | Kind::Renamed
        | Kind::Ranked => unreachable!("no client says {}", kind.name()),
    }
}

/// The members' room.
async fn tea(matrix: &Matrix) -> RoomId {
    Seat::take(matrix, Who::Maker).await.unwrap().room
}

/// Every kind that a client may say.
fn said() -> impl Iterator<Item = Kind> {
    let is_said = |kind: &Kind| matches!(kind.family(), Family::Command | Family::Act);
    Kind::ALL.iter().copied().filter(is_said)
}

#[tokio::test]
async fn every_kind_is_for_whom_the_table_says() {
    assert!(said().eq(ROWS.iter().map(|(kind, _)| *kind)), "every kind has its row, in order");
    for (kind, expected) in ROWS {
        // What is done changes who somebody is: every kind has a house of its own.
        let matrix = Matrix::with(&["--limits-look-ms", NEVER]).await;
        let stranger = Seat::with(&matrix, Some(&matrix.stranger)).await.unwrap();
        let ids = [tea(&matrix).await, stranger.room, RoomId::NIL];
        let mut seats = Vec::new();
        for who in EVERYBODY.into_iter().filter(|who| *who != Who::Nobody) {
            seats.push(Seat::take(&matrix, who).await.unwrap());
        }
        // Their sockets are open, and stay so.
        matrix.take_away().await;
        tokio::time::sleep(BELIEVED).await;
        let mut cells = Vec::new();
        for seat in &mut seats {
            let mut words = Vec::new();
            for id in ids {
                words.push(seat.ask(*kind, id).await);
                if words.last().is_some_and(|word| word.parse::<u16>().is_ok()) {
                    break;
                }
            }
            let is_one = words.iter().all(|word| *word == words[0]);
            cells.push(if is_one { words.swap_remove(0) } else { words.join("/") });
        }
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(cells, expected, "{} for {EVERYBODY:?} in {ROOMS:?}", kind.name());
    }
}

#[tokio::test]
async fn who_has_no_account_that_stands_gets_no_frame_at_all() {
    let matrix = Matrix::open().await;
    matrix.take_away().await;
    for (who, why) in [(Who::Nobody, "401"), (Who::Revoked, "4500"), (Who::Disabled, "4501")] {
        assert_eq!(Seat::take(&matrix, who).await.err().as_deref(), Some(why), "{who:?}");
    }
    for who in EVERYBODY {
        let is_in = ![Who::Nobody, Who::Revoked, Who::Disabled].contains(&who);
        assert_eq!(Seat::take(&matrix, who).await.is_ok(), is_in, "{who:?}");
    }
}

#[tokio::test]
async fn who_asks_for_nothing_is_told_all_the_same_that_he_may_not_stay() {
    let matrix = Matrix::with(&["--limits-look-ms", "100"]).await;
    let mut seats = Vec::new();
    for who in [Who::Revoked, Who::Disabled, Who::Member] {
        seats.push(Seat::take(&matrix, who).await.unwrap());
    }
    matrix.take_away().await;
    let [revoked, disabled, member] = seats.as_mut_slice() else { unreachable!("three") };
    let nothing = |_: &Event| None::<()>;
    assert_eq!(revoked.until(nothing).await, Err("4500".to_owned()));
    assert_eq!(disabled.until(nothing).await, Err("4501".to_owned()));
    assert!(timeout(WHISPER, member.until(nothing)).await.is_err(), "he stays");
}

#[tokio::test]
async fn only_a_member_is_seen_to_type() {
    for who in [Who::Other, Who::Left, Who::Member, Who::Moderator, Who::Owner] {
        // A room says who types now and then, not at once: each finds it silent.
        let matrix = Matrix::open().await;
        let tea = tea(&matrix).await;
        let mut maker = Seat::take(&matrix, Who::Maker).await.unwrap();
        assert_eq!(maker.ask(Kind::Sub, tea).await, "read");
        let mut typist = Seat::take(&matrix, who).await.unwrap();
        let is_member = [Who::Member, Who::Moderator].contains(&who);
        let asked = typist.ask(Kind::Sub, tea).await;
        assert_eq!(asked, if is_member { "read" } else { "gone" }, "{who:?}");
        typist.ask(Kind::Typing, tea).await;
        let typists = maker.until(|event| matches!(event, Event::Typists(_)).then_some(()));
        assert_eq!(timeout(WHISPER, typists).await.is_ok(), is_member, "{who:?}");
    }
}
