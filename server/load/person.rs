//! A person before a page without a screen: the client's own machine and one light socket.
//!
//! One task each, told what to do by orders. Its law: when to come back is the machine's to decide;
//! what it shows must follow on what it showed before, and what was accepted is written down.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::act::{Act, Enter, Op, Post};
use protocol::bounded::Text;
use protocol::change::Posted;
use protocol::client::exchange::{Ask, Checked, Input, Output, Standing, Told};
use protocol::client::{Client, Setup};
use protocol::close::CloseCode;
use protocol::event::ResetReason;
use protocol::frame::Change;
use protocol::ids::{DeviceId, LogId, OpId, PageId, RoomId, UserId};
use protocol::model::{MessageText, RoomKey};
use server::clock::{Chance, Clock, SeededChance, SystemClock};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::socket::{Frames, Heard, Place, Refused, closing, message};
use crate::tally::Tally;

/// For the server to take what is sent.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Bytes that who reads slowly takes at once.
const SIP_BYTES: usize = 256;

/// What a person is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Write this into the room with this key.
    Post(RoomKey, MessageText),
    /// Become a member of a room, and look at it.
    Enter(RoomKey),
    /// Read like this from now on.
    Read(Pace),
    /// Lose the network.
    Leave,
    /// Have it back.
    Return,
}

/// How a socket is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    AsItComes,
    BytesPerSecond(u32),
    NotAtAll,
}

/// How a person begins.
#[derive(Debug, Clone)]
pub(crate) struct Begin {
    pub(crate) place: Place,
    pub(crate) user: UserId,
    pub(crate) seed: u64,
    /// The kernel's buffer for what he receives.
    pub(crate) receive_bytes: Option<u32>,
    /// Whether the delay of what he is shown is written down.
    pub(crate) measured: bool,
}

/// What is left of a person.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// What he was told is stored, and where.
    pub(crate) accepted: Vec<(OpId, LogId, u64)>,
    /// The last number that he was shown of each room.
    pub(crate) last: BTreeMap<RoomId, u64>,
    /// Acts without an answer.
    pub(crate) waiting: usize,
    /// Events that came twice.
    pub(crate) dropped: u64,
    /// How often he ceased to be live.
    pub(crate) fell: u64,
}

pub(crate) struct Person {
    begin: Begin,
    tally: Arc<Tally>,
    client: Client,
    chance: SeededChance,
    socket: Option<(u32, TcpStream, Frames)>,
    pace: Pace,
    sip_at: Instant,
    is_live: bool,
    rooms: BTreeMap<RoomKey, RoomId>,
    journal: Journal,
}

impl Person {
    pub(crate) fn new(begin: Begin, tally: Arc<Tally>) -> Self {
        let mut chance = SeededChance::new(begin.seed);
        let setup = Setup {
            page: PageId::make(0, chance.id_bytes()),
            device: DeviceId::make(0, chance.id_bytes()),
            shelf: false,
            cache: false,
            build: Text::cut("load"),
            user: Some(begin.user),
            reloaded: false,
            seed: chance.number(),
        };
        Self {
            begin,
            tally,
            client: Client::new(setup),
            chance,
            socket: None,
            pace: Pace::AsItComes,
            sip_at: Instant::now(),
            is_live: false,
            rooms: BTreeMap::new(),
            journal: Journal::default(),
        }
    }

    /// Lives until nobody gives orders any more.
    pub(crate) async fn live(mut self, mut orders: UnboundedReceiver<Order>) -> Journal {
        self.step(Input::Awake).await;
        loop {
            let timer = self.client.wake_at(now());
            let wait = timer.map_or(60_000, |at| at.saturating_sub(now()).clamp(0, 60_000));
            let wait = Duration::from_millis(wait.unsigned_abs());
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => break,
                },
                read = read(&mut self.socket, self.pace, &mut self.sip_at) => {
                    self.take_in(read).await;
                }
                () = sleep(wait) => self.step(Input::Timer).await,
            }
        }
        if self.is_live {
            self.tally.live.fetch_sub(1, Ordering::Relaxed);
        }
        self.journal.waiting = self.client.waiting_count();
        self.journal.dropped = self.client.dropped_count();
        self.journal
    }

    async fn obey(&mut self, order: Order) {
        let act = match order {
            Order::Read(pace) => {
                self.pace = pace;
                return;
            }
            Order::Leave => return self.step(Input::Asleep).await,
            Order::Return => return self.step(Input::Awake).await,
            Order::Enter(key) => match self.rooms.get(&key) {
                Some(room) => {
                    let show = Ask::Show { room: *room, cursor: None };
                    return self.step(Input::Ask(show)).await;
                }
                None => Act::Enter(Enter { key }),
            },
            Order::Post(key, text) => match self.rooms.get(&key) {
                Some(room) => Act::Post(Post { room: *room, text }),
                None => return self.tally.wrong(format!("nobody knows the room {}", &*key)),
            },
        };
        let op_id = OpId::make(now(), self.chance.id_bytes());
        self.step(Input::Ask(Ask::Act(Op { op_id, act }))).await;
    }

    /// Something was read, or the socket is over.
    async fn take_in(&mut self, read: io::Result<usize>) {
        let Some(number) = self.socket.as_ref().map(|(number, ..)| *number) else { return };
        if !matches!(read, Ok(bytes) if bytes > 0) {
            return self.lose(number, CloseCode(1006)).await;
        }
        while let Some((_, _, frames)) = self.socket.as_mut().filter(|(open, ..)| *open == number) {
            match frames.next() {
                Some(Heard::Message(bytes)) => self.step(Input::Frame(number, &bytes)).await,
                Some(Heard::Closed(code)) => {
                    if let Some((_, stream, _)) = &mut self.socket {
                        // Who is closed answers, if he still can.
                        let _ = stream.write_all(&closing(code)).await;
                    }
                    return self.lose(number, code).await;
                }
                Some(Heard::Other) => {}
                None => return,
            }
        }
    }

    async fn lose(&mut self, number: u32, code: CloseCode) {
        self.socket = None;
        self.tally.closed(code.0);
        self.step(Input::Closed(number, code)).await;
    }

    async fn step(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.client.step(input, now(), &mut outputs);
        for output in outputs {
            match output {
                Output::Open(number) => self.open(number).await,
                Output::Send(number, frame) => self.send(number, &frame).await,
                Output::Close(number, code) => {
                    let open = self.socket.take_if(|(open, ..)| *open == number);
                    if let Some((_, mut stream, _)) = open {
                        // It is gone either way.
                        let _ = stream.write_all(&closing(code)).await;
                    }
                }
                Output::Check { guest_only } => {
                    let answer = self.check(guest_only).await;
                    Box::pin(self.step(Input::Checked(answer))).await;
                }
                Output::Reload => self.tally.wrong("the server speaks another version"),
                Output::Shelve(_) | Output::Unshelve(_) => {}
                Output::Cache { .. } | Output::Uncache(_) | Output::UncacheAll => {}
                Output::Tell(told) => {
                    if let Some(ask) = self.hear(told) {
                        Box::pin(self.step(Input::Ask(ask))).await;
                    }
                }
            }
        }
    }

    async fn open(&mut self, number: u32) {
        let input = match self.begin.place.upgrade(self.begin.receive_bytes).await {
            Ok((stream, behind)) => {
                self.tally.opened();
                self.socket = Some((number, stream, Frames::starting_with(behind)));
                Input::Opened(number)
            }
            Err(refused) => {
                self.tally.refused(match refused {
                    Refused::Silent => 0,
                    Refused::Status(status) => status,
                });
                Input::Closed(number, CloseCode(1006))
            }
        };
        Box::pin(self.step(input)).await;
    }

    async fn send(&mut self, number: u32, frame: &[u8]) {
        let Some((_, stream, _)) = self.socket.as_mut().filter(|(open, ..)| *open == number) else {
            return;
        };
        let framed = message(frame);
        let writing = stream.write_all(&framed);
        if !matches!(timeout(WRITE_WITHIN, writing).await, Ok(Ok(()))) {
            Box::pin(self.lose(number, CloseCode(1006))).await;
        }
    }

    /// As the page does: first whether it is ready, then who one is.
    async fn check(&mut self, guest_only: bool) -> Checked {
        if !guest_only {
            match self.begin.place.ask("GET", "/readyz").await {
                None => return Checked::Silent,
                Some(answer) if answer.status == 200 => {}
                Some(answer) => return later(answer.header("retry-after")),
            }
        }
        match self.begin.place.become_guest().await {
            None => Checked::Silent,
            Some(answer) if answer.status == 200 => Checked::Ready,
            Some(answer) if answer.status == 403 => Checked::Refused(answer.body),
            Some(answer) => later(answer.header("retry-after")),
        }
    }

    /// Writes down what he is told; gives what he wants next.
    fn hear(&mut self, told: Told) -> Option<Ask> {
        match told {
            Told::Standing(standing) => self.stand(&standing),
            Told::Rooms(rooms) => {
                let first = self.rooms.is_empty();
                self.rooms.extend(rooms.iter().map(|room| (room.key.clone(), room.id)));
                let lobby = rooms.first().filter(|_| first)?;
                return Some(Ask::Show { room: lobby.id, cursor: None });
            }
            Told::Accepted { op_id, log, seq, .. } => {
                self.journal.accepted.push((op_id, log, seq));
            }
            Told::Failed { op_id, refusal } => {
                self.tally.wrong(format!("{op_id} failed: {refusal:?}"));
            }
            Told::Full(op) => self.tally.wrong(format!("the outbox is full at {}", op.op_id)),
            Told::Reset { log, reason, cursor, .. } => {
                if let Some(room) = log.room() {
                    let before = self.journal.last.insert(room, cursor.seq);
                    if reason != ResetReason::FirstLoad || before.is_some() {
                        self.tally.wrong(format!("a log began anew behind {before:?}: {reason:?}"));
                    }
                }
            }
            Told::Logged { envelope, change } => match (envelope.log.room(), change) {
                (Some(room), change) => self.shown(room, envelope.seq, change),
                (None, Some(Change::RoomAdded(added))) => {
                    self.rooms.insert(added.key, added.room);
                    return Some(Ask::Show { room: added.room, cursor: None });
                }
                (None, _) => {}
            },
            Told::Gone { room, reason } => {
                self.tally.wrong(format!("the room {room} is gone: {reason:?}"));
            }
            _ => {}
        }
        None
    }

    fn stand(&mut self, standing: &Standing) {
        if let Standing::Stopped(stop) = standing {
            self.tally.wrong(format!("a client gave up: {stop:?}"));
        }
        let is_live = *standing == Standing::Live;
        match (self.is_live, is_live) {
            (false, true) => {
                self.tally.live.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                self.tally.live.fetch_sub(1, Ordering::Relaxed);
                self.tally.fell.fetch_add(1, Ordering::Relaxed);
                self.journal.fell += 1;
            }
            _ => {}
        }
        self.is_live = is_live;
    }

    fn shown(&mut self, room: RoomId, seq: u64, change: Option<Change>) {
        let last = self.journal.last.insert(room, seq);
        if last.is_some_and(|last| seq != last + 1) {
            self.tally.wrong(format!("I4: {seq} was shown behind {last:?}"));
        }
        self.tally.shown.fetch_add(1, Ordering::Relaxed);
        if let Some(Change::Posted(Posted { text, .. })) = change.filter(|_| self.begin.measured)
            && let Some(stamp) = text.split(' ').next()
            && let Ok(stamp) = u64::from_str_radix(stamp, 16)
        {
            self.tally.arrived(stamp);
        }
    }
}

fn later(retry_after: Option<&str>) -> Checked {
    let seconds: u32 = retry_after.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Checked::Later { ms_min: seconds.saturating_mul(1_000) }
}

/// Reads what there is into the frames; never ends while there is no socket. Nothing is lost where
/// it is dropped half-way.
async fn read(
    socket: &mut Option<(u32, TcpStream, Frames)>,
    pace: Pace,
    sip_at: &mut Instant,
) -> io::Result<usize> {
    let Some((_, stream, frames)) = socket else { return std::future::pending().await };
    let bytes_max = match pace {
        Pace::NotAtAll => return std::future::pending().await,
        Pace::BytesPerSecond(_) => SIP_BYTES,
        Pace::AsItComes => usize::MAX,
    };
    sleep_until(*sip_at).await;
    loop {
        stream.readable().await?;
        let taken = BUFFER.with_borrow_mut(|buffer| {
            let length = buffer.len().min(bytes_max);
            let taken = stream.try_read(&mut buffer[..length])?;
            frames.push(&buffer[..taken]);
            Ok(taken)
        });
        match taken {
            Err(fault) if io::Error::kind(&fault) == io::ErrorKind::WouldBlock => {}
            taken => {
                if let (Pace::BytesPerSecond(rate), Ok(bytes)) = (pace, &taken) {
                    let bytes = u32::try_from(*bytes).unwrap_or(rate);
                    *sip_at = Instant::now() + Duration::from_secs(1) * bytes / rate;
                }
                return taken;
            }
        }
    }
}

thread_local! {
    static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; 64 * 1024]);
}

fn now() -> i64 {
    SystemClock.unix_ms()
}
