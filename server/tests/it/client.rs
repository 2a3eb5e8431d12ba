//! A client of the tests: it speaks frames over a real socket and remembers what it was told.
//!
//! Made by every story. Its law: it checks what every client may rely on (numbers of a log follow
//! each other, a ping's positions are at most what was told), and whatever it waits for must come
//! within five seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::act::{Act, Enter, Leave, OpHead, Post};
use protocol::bounded::Text;
use protocol::change::{Envelope, Posted};
use protocol::close::CloseCode;
use protocol::codec::{SUB_PROTOCOL, decode_event, encode_command};
use protocol::command::{Hello, PageAck, Pong, Sub};
use protocol::cursor::Cursor;
use protocol::event::{Accepted, Event, RefuseRetry, Reset, Welcome};
use protocol::frame::{Change, Command};
use protocol::ids::{DeviceId, LogId, OpId, PageId, RoomId};
use protocol::model::MessageText;
use protocol::refusal::Fault;
use server::clock::{Chance, SystemChance};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(5);

/// One connection.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    sub: u32,
    op: u32,
    lane_generation: u32,
    chance: [u8; 10],
    /// The page load that it says it is.
    pub(crate) page: PageId,
    /// Where each log stands for it.
    pub(crate) cursors: BTreeMap<LogId, Cursor>,
    /// Events that came while it waited for another.
    pub(crate) seen: Vec<Event>,
    /// What `Welcome` told.
    pub(crate) welcome: Option<Welcome>,
}

/// A server over memory, two who are welcome there, and the lobby that both are in.
pub(crate) async fn ada_and_bob() -> (World, Client, Client, RoomId) {
    let world = World::new().await;
    let ada = Client::arrive(&world, "ada").await;
    let bob = Client::arrive(&world, "bob").await;
    let lobby = ada.lobby();
    (world, ada, bob, lobby)
}

/// What the server says is wrong with a frame, and the kind that it named.
pub(crate) fn faulty(event: &Event) -> Option<(Fault, u16)> {
    match event {
        Event::Faulty(faulty) => Some((faulty.fault, faulty.kind)),
        _ => None,
    }
}

impl Client {
    /// A socket that has said nothing yet.
    pub(crate) async fn connect(world: &World, name: &str) -> Self {
        Self::connect_with(world, name, Some(SUB_PROTOCOL)).await
    }

    /// A socket that asks for this sub-protocol.
    pub(crate) async fn connect_with(world: &World, name: &str, protocol: Option<&str>) -> Self {
        world.account(name).await;
        let mut request = format!("ws://{}/ws/{name}", world.addr).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let (socket, _) = connect_async(request).await.unwrap();
        Self {
            socket,
            sub: 0,
            op: 0,
            lane_generation: 0,
            chance: SystemChance.id_bytes(),
            page: PageId::make(0, SystemChance.id_bytes()),
            cursors: BTreeMap::new(),
            seen: Vec::new(),
            welcome: None,
        }
    }

    /// A client that is welcome and subscribed to its user's log.
    pub(crate) async fn arrive(world: &World, name: &str) -> Self {
        let mut client = Self::connect(world, name).await;
        client.say_hello().await;
        client
    }

    /// A client that comes back with what it knew.
    pub(crate) async fn come_back(
        world: &World,
        name: &str,
        known: BTreeMap<LogId, Cursor>,
    ) -> Self {
        let mut client = Self::arrive(world, name).await;
        client.cursors = known;
        client
    }

    /// Says hello and waits until the user's log is subscribed.
    pub(crate) async fn say_hello(&mut self) {
        self.send(&self.hello()).await;
        self.until(|event| matches!(event, Event::SubOk(_) | Event::Reset(_)).then_some(())).await;
        self.seen.clear();
    }

    /// What it says first.
    pub(crate) fn hello(&self) -> Command {
        Command::Hello(Hello {
            version: 1,
            build: Text::cut("test"),
            page: self.page,
            device: DeviceId::from_bytes(self.page.bytes()),
            abilities: 0,
            user_cursor: None,
        })
    }

    /// The lobby.
    pub(crate) fn lobby(&self) -> RoomId {
        self.welcome.as_ref().unwrap().rooms[0].id
    }

    pub(crate) async fn send(&mut self, command: &Command) {
        self.send_bytes(encode_command(command).unwrap()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.send_message(Message::Binary(bytes.into())).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends an act under an op id of its own.
    pub(crate) async fn act(&mut self, act: Act) -> OpId {
        self.op += 1;
        let op_id = OpId::make(i64::from(self.op), self.chance);
        self.act_as(op_id, act).await;
        op_id
    }

    /// Sends an act under this op id.
    pub(crate) async fn act_as(&mut self, op_id: OpId, act: Act) {
        let head = OpHead { op_id, lane_generation: self.lane_generation, check_only: false };
        self.send(&Command::Op(head, act)).await;
    }

    pub(crate) async fn post(&mut self, room: RoomId, text: &str) -> OpId {
        let text = MessageText::new(text).unwrap();
        self.act(Act::Post(Post { room, text })).await
    }

    pub(crate) async fn enter(&mut self, key: &str) -> RoomId {
        let op = self.act(Act::Enter(Enter { key: Text::cut(key) })).await;
        self.accepted(op).await.log.room().unwrap()
    }

    pub(crate) async fn leave(&mut self, room: RoomId) -> OpId {
        self.act(Act::Leave(Leave { room })).await
    }

    /// Subscribes with what it knows, and gives the first frame of the answer.
    pub(crate) async fn subscribe(&mut self, room: RoomId) -> Event {
        self.sub += 1;
        let (sub, cursor) = (self.sub, self.cursors.get(&room.log()).copied());
        self.send(&Command::Sub(Sub { sub, room, cursor })).await;
        self.until(|event| match event {
            Event::SubOk(ok) if ok.sub == sub => Some(event.clone()),
            Event::Reset(reset) if reset.sub == sub => Some(event.clone()),
            Event::Gone(gone) if gone.sub == sub => Some(event.clone()),
            _ => None,
        })
        .await
    }

    /// Subscribes to all of these before it reads the first answer, under the numbers from 1 on.
    pub(crate) async fn send_all_subs(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            self.sub += 1;
            self.send(&Command::Sub(Sub { sub: self.sub, room: *room, cursor: None })).await;
        }
    }

    /// Subscribes and gives the texts of the snapshot, oldest first.
    pub(crate) async fn snapshot(&mut self, room: RoomId) -> Vec<String> {
        match self.subscribe(room).await {
            Event::Reset(Reset { snapshot: Some(snapshot), .. }) => {
                snapshot.messages.iter().map(|message| message.text.to_string()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The acceptance of an op.
    pub(crate) async fn accepted(&mut self, op_id: OpId) -> Accepted {
        self.until(|event| match event {
            Event::Accepted(accepted) if accepted.op_id == op_id => Some(accepted.clone()),
            Event::Refused(refused) if refused.op_id == op_id => panic!("{refused:?}"),
            _ => None,
        })
        .await
    }

    /// The next op that is not done now.
    pub(crate) async fn put_off(&mut self) -> RefuseRetry {
        self.until(|event| match event {
            Event::RefuseRetry(refused) => Some(refused.clone()),
            _ => None,
        })
        .await
    }

    /// The next texts of a room, so many of them, live or by pages.
    pub(crate) async fn texts(&mut self, room: RoomId, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for event in std::mem::take(&mut self.seen) {
            texts.extend(texts_of(room, &event));
        }
        while texts.len() < count {
            let event = self.event().await;
            texts.extend(texts_of(room, &event));
        }
        assert_eq!(texts.len(), count, "{texts:?}");
        texts
    }

    /// The first event that `pick` takes; the others are kept in `seen`.
    pub(crate) async fn until<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        if let Some(index) = self.seen.iter().position(|event| pick(event).is_some()) {
            let event = self.seen.remove(index);
            return pick(&event).unwrap();
        }
        loop {
            let event = self.event().await;
            match pick(&event) {
                Some(picked) => return picked,
                None => self.seen.push(event),
            }
        }
    }

    /// The next event; pings are answered on the way.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            match self.message().await {
                Message::Binary(bytes) => {
                    let event = decode_event(&bytes).unwrap().unwrap();
                    self.take_in(&event).await;
                    if !matches!(event, Event::Ping(_)) {
                        return event;
                    }
                }
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The code with which the server closes, after whatever comes before it.
    pub(crate) async fn closed(&mut self) -> CloseCode {
        loop {
            if let Message::Close(frame) = self.message().await {
                return CloseCode(frame.unwrap().code.into());
            }
        }
    }

    /// Sends further acts under this generation of their lane.
    pub(crate) fn set_generation(&mut self, lane_generation: u32) {
        self.lane_generation = lane_generation;
    }

    /// The length of the next message as it comes, the code of a close, or nothing at the end.
    pub(crate) async fn raw(&mut self) -> Option<Result<usize, u16>> {
        match timeout(PATIENCE, self.socket.next()).await.expect("something comes")? {
            Ok(Message::Close(frame)) => Some(Err(frame?.code.into())),
            Ok(message) => Some(Ok(message.len())),
            Err(_) => None,
        }
    }

    /// Takes in what comes within so many milliseconds.
    pub(crate) async fn drink(&mut self, ms: u64) {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(ms);
        while let Ok(event) = tokio::time::timeout_at(deadline, self.event()).await {
            self.seen.push(event);
        }
    }

    /// Whether the last event that `pick` takes of those seen says this.
    pub(crate) fn is_told<T: PartialEq>(
        &self,
        pick: impl Fn(&Event) -> Option<T>,
        expected: &T,
    ) -> bool {
        self.seen.iter().filter_map(pick).next_back().as_ref() == Some(expected)
    }

    async fn message(&mut self) -> Message {
        let next = timeout(PATIENCE, self.socket.next()).await.expect("something comes");
        next.expect("the socket is open").unwrap()
    }

    async fn take_in(&mut self, event: &Event) {
        match event {
            Event::Welcome(welcome) => self.welcome = Some(welcome.clone()),
            Event::Reset(reset) => {
                let room = reset.snapshot.as_ref().map(|snapshot| snapshot.room.id.log());
                let own = || self.welcome.as_ref().unwrap().user.id.log();
                let log = room.unwrap_or_else(own);
                self.cursors.insert(log, reset.cursor);
            }
            Event::Logged(logged) => self.advance(&logged.envelope),
            Event::Page(page) => {
                page.events.iter().for_each(|envelope| self.advance(envelope));
                self.send(&Command::PageAck(PageAck { sub: page.sub })).await;
            }
            Event::Ping(ping) => self.send(&Command::Pong(Pong { number: ping.number })).await,
            _ => {}
        }
    }

    fn advance(&mut self, envelope: &Envelope) {
        let cursor = self.cursors.get_mut(&envelope.log).expect("the log is subscribed");
        assert_eq!(envelope.seq, cursor.seq + 1, "numbers follow each other");
        (cursor.seq, cursor.tag) = (envelope.seq, envelope.id.tag());
    }
}

fn texts_of(room: RoomId, event: &Event) -> Vec<String> {
    let envelopes: Vec<&Envelope> = match event {
        Event::Logged(logged) => vec![&logged.envelope],
        Event::Page(page) => page.events.iter().collect(),
        _ => Vec::new(),
    };
    let text = |envelope: &Envelope| match Change::decode(envelope.kind, &envelope.body) {
        Ok(Some(Change::Posted(Posted { text, .. }))) => Some(text.to_string()),
        _ => None,
    };
    envelopes.into_iter().filter(|envelope| envelope.log == room.log()).filter_map(text).collect()
}
