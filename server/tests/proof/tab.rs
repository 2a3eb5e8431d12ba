//! A person before a page without a screen: the client's machine, its socket, and a journal.
//!
//! One task each. What the machine tells goes into the journal; what it shows must follow on what
//! it showed before, else the machine itself is wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use protocol::act::{Op, Post};
use protocol::bounded::Text;
use protocol::client::exchange::{Ask, Checked, Input, Output, Standing, Told};
use protocol::client::{Client, Setup};
use protocol::close::CloseCode;
use protocol::codec::SUB_PROTOCOL;
use protocol::event::ResetReason;
use protocol::frame::Act;
use protocol::ids::{DeviceId, OpId, PageId, RoomId, UserId};
use protocol::refusal::RetryReason;
use server::clock::{Chance, Clock, SeededChance, SystemClock};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::journal::{Accepted, Journal, Shown};

/// Between two messages of one person, unless so many wait already.
const PAUSE: Duration = Duration::from_millis(5);
const WAITING_MAX: usize = 64;

/// What the test is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The server lives for the so-manieth time: come back, and write.
    Life(u64),
    /// Write no more; who has nothing left to send is done.
    Settle,
    /// Read to this number; then a reader is done.
    Until(u64),
    /// Go at once.
    Leave,
}

/// What everybody together has seen so far, for a story that waits for it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Messages that were accepted.
    pub(crate) accepted: AtomicU64,
    /// Times that the server asked to wait because its store does not answer.
    pub(crate) away: AtomicU64,
    /// Times that it did so because its disk is full.
    pub(crate) full: AtomicU64,
    /// Events that were shown.
    pub(crate) shown: AtomicU64,
}

/// What happens to a socket, by its number.
enum Happened {
    Opened(u32),
    Frame(u32, Vec<u8>),
    Closed(u32, CloseCode),
}

/// A person.
pub(crate) struct Tab {
    address: SocketAddr,
    cookie: String,
    client: Client,
    journal: Journal,
    chance: SeededChance,
    seen: Arc<Seen>,
    writes: bool,
    room: Option<RoomId>,
    socket: Option<(u32, mpsc::UnboundedSender<Vec<u8>>)>,
    happened: mpsc::UnboundedSender<Happened>,
    happening: mpsc::UnboundedReceiver<Happened>,
}

impl Tab {
    /// A new guest's page.
    pub(crate) async fn arrive(
        address: SocketAddr,
        number: usize,
        writes: bool,
        seed: u64,
        seen: Arc<Seen>,
    ) -> Self {
        let origin = format!("http://{address}");
        let asked = reqwest::Client::new().post(format!("{origin}/api/guest"));
        let answer = asked.header("origin", &origin).send().await.unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let me: serde_json::Value = answer.json().await.unwrap();
        let me: UserId = me.get("id").and_then(serde_json::Value::as_str).unwrap().parse().unwrap();
        let mut chance = SeededChance::new(seed);
        let setup = Setup {
            page: PageId::make(0, chance.id_bytes()),
            device: DeviceId::make(0, chance.id_bytes()),
            build: Text::cut(&format!("proof {number}")),
            user: Some(me),
            shelf: false,
            cache: false,
            reloaded: false,
            seed: chance.number(),
        };
        let (happened, happening) = mpsc::unbounded_channel();
        Self {
            address,
            cookie,
            client: Client::new(setup),
            journal: Journal { user: me, ..Journal::default() },
            chance,
            seen,
            writes,
            room: None,
            socket: None,
            happened,
            happening,
        }
    }

    /// Lives until its phase is over, and gives its journal.
    pub(crate) async fn live(mut self, mut phases: watch::Receiver<Phase>) -> Journal {
        self.step(Input::Awake).await;
        let mut post_at = Instant::now() + PAUSE;
        loop {
            let phase = *phases.borrow_and_update();
            if self.is_done(phase) {
                return self.journal;
            }
            let writes = self.writes && matches!(phase, Phase::Life(_)) && self.room.is_some();
            let timer = self.client.wake_at(now());
            let wait = timer.map_or(1_000, |at| at.saturating_sub(now()).clamp(0, 1_000));
            let wait = Duration::from_millis(wait.unsigned_abs());
            tokio::select! {
                Some(happened) = self.happening.recv() => match happened {
                    Happened::Opened(socket) => self.step(Input::Opened(socket)).await,
                    Happened::Frame(socket, bytes) => self.step(Input::Frame(socket, &bytes)).await,
                    Happened::Closed(socket, code) => self.step(Input::Closed(socket, code)).await,
                },
                Ok(()) = phases.changed() => self.step(Input::Ask(Ask::ConnectNow)).await,
                () = sleep_until(post_at), if writes => {
                    post_at = Instant::now() + PAUSE;
                    if self.client.waiting_count() < WAITING_MAX {
                        self.post().await;
                    }
                }
                () = tokio::time::sleep(wait) => self.step(Input::Timer).await,
            }
        }
    }

    fn is_done(&self, phase: Phase) -> bool {
        match phase {
            Phase::Life(_) => false,
            Phase::Leave => true,
            Phase::Settle => self.writes && self.client.waiting_count() == 0,
            Phase::Until(head) => {
                let seq = self.room.and_then(|room| self.client.cursor(room)).map(|at| at.seq);
                !self.writes && seq >= Some(head)
            }
        }
    }

    async fn post(&mut self) {
        let Some(room) = self.room else { return };
        let op_id = OpId::make(now(), self.chance.id_bytes());
        let text = Text::cut(&format!("message {}", self.journal.written.len()));
        self.journal.written.push(op_id);
        let act = Act::Post(Post { room, text });
        self.step(Input::Ask(Ask::Act(Op { op_id, act }))).await;
    }

    async fn step(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.client.step(input, now(), &mut outputs);
        let mut next: Vec<Input<'static>> = Vec::new();
        for output in outputs {
            match output {
                Output::Open(number) => self.open(number),
                Output::Send(number, frame) => {
                    if let Some((_, frames)) =
                        self.socket.as_ref().filter(|(open, _)| *open == number)
                    {
                        // A socket whose task has ended says so by `Closed`.
                        let _ = frames.send(frame);
                    }
                }
                Output::Close(number, _) => drop(self.socket.take_if(|(open, _)| *open == number)),
                Output::Check { .. } => {
                    let up = TcpStream::connect(self.address).await.is_ok();
                    let answer = if up { Checked::Ready } else { Checked::Silent };
                    next.push(Input::Checked(answer));
                }
                Output::Shelve(_) | Output::Unshelve(_) => panic!("there is no shelf"),
                Output::Cache { .. } | Output::Uncache(_) | Output::UncacheAll => {
                    panic!("there is no cache")
                }
                Output::Reload => panic!("the server speaks another version"),
                Output::Tell(told) => next.extend(self.hear(told).map(Input::Ask)),
            }
        }
        for input in next {
            Box::pin(self.step(input)).await;
        }
    }

    /// Writes into the journal; gives what the person wants next.
    fn hear(&mut self, told: Told) -> Option<Ask> {
        match told {
            Told::Rooms(rooms) if self.room.is_none() => {
                let lobby = rooms.iter().find(|room| &*room.key == "lobby").unwrap().id;
                self.room = Some(lobby);
                return Some(Ask::Show { room: lobby, cursor: None });
            }
            Told::Accepted { op_id, seq, .. } => {
                let accepted = Accepted { seq, at_us: now_us() };
                let before = self.journal.accepted.insert(op_id, accepted);
                assert!(before.is_none(), "I9: {op_id} is accepted twice");
                self.seen.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Told::Delayed { reason: RetryReason::Unavailable, .. } => {
                self.seen.away.fetch_add(1, Ordering::Relaxed);
            }
            Told::Delayed { reason: RetryReason::DiskFull, .. } => {
                self.seen.full.fetch_add(1, Ordering::Relaxed);
            }
            Told::Failed { op_id, .. } => self.journal.failed.push(op_id),
            Told::Full(op) => panic!("the outbox is full at {}", op.op_id),
            Told::Reset { log, reason, cursor, .. } if log.room().is_some() => {
                assert_eq!(reason, ResetReason::FirstLoad, "I13: the log is another one");
                self.journal.began = cursor.seq;
            }
            Told::Logged { envelope, .. } if envelope.log.room().is_some() => {
                let shown = Shown { seq: envelope.seq, id: envelope.id, at_us: now_us() };
                self.journal.shown.push(shown);
                self.seen.shown.fetch_add(1, Ordering::Relaxed);
            }
            Told::Standing(Standing::Stopped(stop)) => panic!("a client gave up: {stop:?}"),
            _ => {}
        }
        None
    }

    fn open(&mut self, number: u32) {
        let (frames, sent) = mpsc::unbounded_channel();
        self.socket = Some((number, frames));
        let happened = self.happened.clone();
        tokio::spawn(carry(self.address, self.cookie.clone(), number, sent, happened));
    }
}

/// Carries frames between a socket and its person, from the opening to the end.
async fn carry(
    address: SocketAddr,
    cookie: String,
    number: u32,
    mut sent: mpsc::UnboundedReceiver<Vec<u8>>,
    happened: mpsc::UnboundedSender<Happened>,
) {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    let origin = format!("http://{address}");
    for (name, value) in
        [("origin", &*origin), ("cookie", &*cookie), ("sec-websocket-protocol", SUB_PROTOCOL)]
    {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let mut code = CloseCode(1006);
    if let Ok((mut socket, _)) = connect_async(request).await {
        // Who does not listen any more has ended.
        let _ = happened.send(Happened::Opened(number));
        loop {
            tokio::select! {
                frame = sent.recv() => {
                    let Some(frame) = frame else { break };
                    if socket.send(Message::Binary(frame.into())).await.is_err() {
                        break;
                    }
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(frame))) => {
                        let _ = happened.send(Happened::Frame(number, frame.to_vec()));
                    }
                    Some(Ok(Message::Close(Some(close)))) => code = CloseCode(close.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
            }
        }
    }
    let _ = happened.send(Happened::Closed(number, code));
}

/// Microseconds of the clock by which `strace` stamps a call.
pub(crate) fn now_us() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}

fn now() -> i64 {
    SystemClock.unix_ms()
}
