//! Between the machine and the browser: one task that carries what happens in, and what is to be
//! done out.
//!
//! Everything that happens (asks, frames, timers, sleep) comes through one channel, so the machine
//! is stepped by one hand. What it tells goes straight into the store.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use app::store::Store;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::{Sink, StreamExt, stream};
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, WebSocketError};
use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use leptos::prelude::{Set, window};
use leptos::task::spawn_local;
use protocol::client::cache::Cached;
use protocol::client::exchange::{Ask, Checked, Input, Output, Standing, Told};
use protocol::client::{Client, Setup};
use protocol::close::CloseCode;
use protocol::codec::SUB_PROTOCOL;
use protocol::ids::RoomId;

use crate::cache::Cache;
use crate::outbox::{self, Job, Report};
use crate::page::Change;
use crate::{clock, guest, page, storage};

/// The path of the server's socket.
const PATH: &str = "/ws";
/// A connection that ended without a close frame (RFC 6455, 7.4.1).
const ABNORMAL: CloseCode = CloseCode(1006);
/// The code for a close that this side wants: pages may send 1000 and 3000 to 4999 only.
const PAGE_CODES: std::ops::RangeInclusive<u16> = 3_000..=4_999;

/// What happens to this page.
enum Happened {
    Asked(Ask),
    Opened(u32),
    Frame(u32, Vec<u8>),
    Closed(u32, CloseCode),
    Checked(Checked),
    Page(Change),
    Reported(Report),
    Recalled(Vec<Cached>, bool),
    Unwritten(RoomId),
    Timer,
}

/// The task's side of the machine.
struct Driver {
    client: Client,
    store: Store,
    happened: UnboundedSender<Happened>,
    jobs: UnboundedSender<Job>,
    cache: Cache,
    socket: Option<(u32, web_sys::WebSocket)>,
    timer: Option<TimeoutHandle>,
    outputs: Vec<Output>,
}

/// Starts the task; it lives as long as the page.
pub(crate) fn start(
    setup: Setup,
    store: Store,
    asked: UnboundedReceiver<Ask>,
    shelf: storage::Shelf,
) {
    let (happened, happening) = unbounded();
    let (jobs, to_do) = unbounded();
    let reports = happened.clone();
    let report = move |report| tell(&reports, Happened::Reported(report));
    let (cache, recalls) = (Cache::default(), happened.clone());
    let opening = cache.clone();
    let opened = move |database| {
        spawn_local(async move {
            let (pages, keeps) = opening.open(database).await;
            tell(&recalls, Happened::Recalled(pages, keeps));
        });
    };
    spawn_local(outbox::keep(shelf, (jobs.clone(), to_do), opened, report));
    let mut driver = Driver {
        client: Client::new(setup),
        store,
        happened: happened.clone(),
        jobs,
        cache,
        socket: None,
        timer: None,
        outputs: Vec::new(),
    };
    page::watch(move |change| tell(&happened, Happened::Page(change)));
    spawn_local(async move {
        driver.take(Happened::Page(Change::Awake));
        let mut all = stream::select(asked.map(Happened::Asked), happening);
        while let Some(happened) = all.next().await {
            driver.take(happened);
        }
    });
}

/// The driver's channel is open for as long as anything can happen.
fn tell(to: &UnboundedSender<Happened>, happened: Happened) {
    let _ = to.unbounded_send(happened);
}

impl Driver {
    fn take(&mut self, happened: Happened) {
        let input = match happened {
            Happened::Frame(socket, ref bytes) => Input::Frame(socket, bytes),
            Happened::Asked(ask) => Input::Ask(ask),
            Happened::Opened(socket) => Input::Opened(socket),
            Happened::Closed(socket, code) => Input::Closed(socket, code),
            Happened::Checked(answer) => Input::Checked(answer),
            Happened::Page(Change::Awake) => Input::Awake,
            Happened::Page(Change::Asleep) => Input::Asleep,
            Happened::Page(Change::Hidden(hidden)) => {
                self.store.hidden.set(hidden);
                if hidden {
                    self.store.keep_place();
                } else {
                    self.do_job(Job::Look);
                }
                Input::Hidden(hidden)
            }
            Happened::Page(Change::Leaving) => {
                self.store.keep_place();
                Input::Leaving
            }
            Happened::Page(Change::Focused) => Input::Ask(Ask::Hurry),
            Happened::Page(Change::Kept) => return self.store.look_up_read(),
            Happened::Reported(Report::Shelved(op_id, done)) => Input::Shelved { op_id, done },
            Happened::Reported(Report::Found(found, keeps)) => {
                self.store.drafts.have_looked();
                for it in &found {
                    self.store.note_address(&it.kept.op.act, &it.address);
                }
                Input::Restore { kept: found.into_iter().map(|it| it.kept).collect(), keeps }
            }
            Happened::Recalled(pages, keeps) => Input::Recall { pages, keeps },
            Happened::Unwritten(room) => Input::Unwritten(room),
            Happened::Timer => Input::Timer,
        };
        let now = clock::now();
        let mut outputs = std::mem::take(&mut self.outputs);
        self.client.step(input, now, &mut outputs);
        for output in outputs.drain(..) {
            self.put_out(output, now);
        }
        self.outputs = outputs;
        self.set_timer();
    }

    fn put_out(&mut self, output: Output, now: i64) {
        match output {
            Output::Open(socket) => self.open(socket),
            Output::Send(socket, frame) => {
                let open = self.socket.as_ref().filter(|(number, _)| *number == socket);
                if let Some((_, open)) = open {
                    // It fails only while the socket is connecting, when nothing is sent.
                    let _ = open.send_with_u8_array(&frame);
                }
            }
            Output::Close(socket, code) => self.close(socket, code),
            Output::Check { guest_only } => {
                let happened = self.happened.clone();
                spawn_local(async move {
                    tell(&happened, Happened::Checked(guest::check(guest_only).await));
                });
            }
            Output::Shelve(kept) => {
                let address = self.store.address(&kept.op.act);
                self.do_job(Job::Shelve(kept, address));
            }
            Output::Unshelve(op_id) => self.do_job(Job::Unshelve(op_id)),
            Output::Cache { user, room, opened_at, cursor } => {
                let page = self.store.page(room, cursor.seq);
                let page = page.map(|snapshot| Cached { user, opened_at, cursor, snapshot });
                if !page.is_some_and(|page| self.cache.write(page)) {
                    tell(&self.happened, Happened::Unwritten(room));
                }
            }
            Output::Uncache(room) => self.cache.forget(room),
            Output::UncacheAll => self.cache.forget_all(),
            Output::Reload => {
                storage::note_reloaded(true);
                let _ = window().location().reload();
            }
            Output::Tell(told) => {
                if told == Told::Standing(Standing::Live) {
                    storage::note_reloaded(false);
                    self.do_job(Job::Look);
                }
                self.store.apply(told, now);
            }
        }
    }

    /// The task behind it lives as long as the page.
    fn do_job(&self, job: Job) {
        let _ = self.jobs.unbounded_send(job);
    }

    fn open(&mut self, number: u32) {
        let opened = address()
            .and_then(|address| web_sys::WebSocket::new_with_str(&address, SUB_PROTOCOL).ok());
        let Some((raw, socket)) =
            opened.and_then(|raw| Some((raw.clone(), WebSocket::try_from(raw).ok()?)))
        else {
            return tell(&self.happened, Happened::Closed(number, ABNORMAL));
        };
        spawn_local(read(number, socket, raw.clone(), self.happened.clone()));
        self.socket = Some((number, raw));
    }

    fn close(&mut self, number: u32, code: CloseCode) {
        if let Some((_, socket)) = self.socket.take_if(|(open, _)| *open == number) {
            let code = if PAGE_CODES.contains(&code.0) { code } else { CloseCode::NORMAL };
            let _ = socket.close_with_code(code.0);
        }
    }

    /// Sets the one timer to what comes first, for the machine or for what is shown of it.
    fn set_timer(&mut self) {
        let now = clock::now();
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
        let times = [self.client.wake_at(now), self.store.tick(now)];
        let Some(at) = times.into_iter().flatten().min() else { return };
        let wait = Duration::from_millis(u64::try_from(at - now).unwrap_or(0));
        let happened = self.happened.clone();
        self.timer = set_timeout_with_handle(move || tell(&happened, Happened::Timer), wait).ok();
    }
}

/// Reads a socket from its opening to its end. It is ready for sending when it is open, or failed.
async fn read(
    number: u32,
    mut socket: WebSocket,
    raw: web_sys::WebSocket,
    happened: UnboundedSender<Happened>,
) {
    let _ = poll_fn(|context| Pin::new(&mut socket).poll_ready(context)).await;
    if raw.ready_state() == web_sys::WebSocket::OPEN {
        tell(&happened, Happened::Opened(number));
    }
    let mut code = ABNORMAL;
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Bytes(bytes)) => tell(&happened, Happened::Frame(number, bytes)),
            // The server of this sub-protocol sends none.
            Ok(Message::Text(_)) => {}
            Err(WebSocketError::ConnectionClose(close)) => code = CloseCode(close.code),
            Err(_) => {}
        }
    }
    tell(&happened, Happened::Closed(number, code));
}

/// The socket's address on the server that the page came from.
fn address() -> Option<String> {
    let location = window().location();
    let host = location.host().ok()?;
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{host}{PATH}"))
}
