//! PostgreSQL that is stopped, or falls silent, and comes back: seen through a line of the test's own.
//!
//! The line is a socket between the house and the server, which can be cut or held up; what a stopped
//! process or a dead network does to a connection is one of both. Its law: it changes no byte.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::refusal::RetryReason;
use server::clock::SeededChance;
use server::db::OpenFault;
use server::history::{History, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{guard, place, resent};
use crate::stores::Place;
use crate::world::{House, NOW_MS, accepted, op, post};

/// The name of a server's socket in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// What the line does with what is said on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Every connection ends, and no new one is taken in.
    Cut,
    /// Connections stand, and nothing is said on them.
    Silent,
    /// Every connection ends, and new ones wait.
    Late,
}

struct Line {
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

impl Line {
    /// Puts a line between this place and its server.
    fn before(place: &mut Place) -> Self {
        let url = place.url.as_mut().unwrap();
        let (head, rest) = url.split_once("host=").unwrap();
        let (server, rest) = rest.split_once('&').unwrap();
        let own = place.folder.path().join("line");
        std::fs::create_dir(&own).unwrap();
        let (from, to) = (own.join(SOCKET), Path::new(server).join(SOCKET));
        *url = format!("{head}host={}&{rest}", own.display());
        let (state, watched) = watch::channel(State::Open);
        let listener = UnixListener::bind(&from).unwrap();
        Self { state, task: tokio::spawn(listen(listener, (from, to), watched)) }
    }

    fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    mut listener: UnixListener,
    (from, to): (PathBuf, PathBuf),
    mut state: watch::Receiver<State>,
) {
    loop {
        let mut watched = state.clone();
        let taking_in = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(stream, to.clone(), state.clone()));
            }
        };
        tokio::select! {
            () = taking_in => {}
            _ = watched.wait_for(|state| *state == State::Cut) => {}
        }
        drop(listener);
        std::fs::remove_file(&from).unwrap();
        if state.wait_for(|state| *state != State::Cut).await.is_err() {
            return;
        }
        listener = UnixListener::bind(&from).unwrap();
    }
}

async fn carry(stream: UnixStream, to: PathBuf, mut state: watch::Receiver<State>) {
    if state.wait_for(|state| *state != State::Late).await.is_err() {
        return;
    }
    let (down, up) = (state.clone(), state.clone());
    let carried = async {
        let (here, there) = (stream.into_split(), UnixStream::connect(to).await?.into_split());
        tokio::try_join!(pass(here.0, there.1, down), pass(there.0, here.1, up))
    };
    tokio::select! {
        _ = carried => {}
        _ = state.wait_for(|state| matches!(state, State::Cut | State::Late)) => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).await?;
        if state.wait_for(|state| *state == State::Open).await.is_err() || count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

/// A house at the end of a line.
async fn at_a_line(chance: &mut SeededChance) -> (Line, House) {
    let mut place = place().await;
    let line = Line::before(&mut place);
    (line, House::at(place, chance).await)
}

/// Takes the server away for so long, and brings it back: refused in time, written again soon.
async fn away_and_back(state: State, away_for: Duration) {
    let mut chance = SeededChance::new(1);
    let (line, house) = at_a_line(&mut chance).await;
    let lobby = house.lobby().await;
    accepted(&house.answers(&[op(0, 0, post(lobby, "before"))], &mut chance).await[0]);
    line.set(state);
    let gone = Instant::now();
    for number in 1.. {
        let asked = Instant::now();
        let said = [op(0, number, post(lobby, "away"))];
        let outcome = house.history.commit(&said, &mut chance, NOW_MS).await;
        assert_eq!(outcome, Outcome::Failed(RetryReason::Unavailable));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
        if gone.elapsed() >= away_for {
            break;
        }
    }
    line.set(State::Open);
    let back = Instant::now();
    accepted(&resent(&house, &[op(0, 1, post(lobby, "away"))]).await[0]);
    while !house.db.answers().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(house.place.count("messages").await, 2);
    house.db.close().await;
}

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_server_that_is_stopped_is_away_in_time_and_written_again_soon() {
    away_and_back(State::Cut, Duration::from_secs(6)).await;
}

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_server_that_falls_silent_is_away_in_time_and_written_again_soon() {
    away_and_back(State::Silent, Duration::from_secs(1)).await;
}

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_silence_that_costs_the_lock_ends_with_it_taken_again() {
    away_and_back(State::Silent, Duration::from_secs(12)).await;
}

#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_store_whose_server_is_silent_is_closed_all_the_same() {
    let mut chance = SeededChance::new(1);
    let (line, house) = at_a_line(&mut chance).await;
    line.set(State::Silent);
    let closed = tokio::time::timeout(Duration::from_secs(8), house.db.close()).await;
    assert!(closed.is_ok(), "it waits for who does not answer");
}

/// The lock's connection is looked after every five seconds. Here it ends just before such a look,
/// and what would take its place is there just after: that one answers, and has no lock.
#[tokio::test]
#[ignore = "needs tools/postgres"]
async fn a_lock_lost_just_before_a_look_is_not_believed_held() {
    let mut chance = SeededChance::new(1);
    let (line, house) = at_a_line(&mut chance).await;
    let before = guard(&house).await.expect("an open store has the lock");
    tokio::time::sleep(Duration::from_millis(4_200)).await;
    line.set(State::Late);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    line.set(State::Open);
    let back = Instant::now();
    while guard(&house).await.is_none_or(|now| now == before) {
        assert!(back.elapsed() < Duration::from_secs(5), "nobody has the lock");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let second = house.place.open().await;
    assert!(matches!(second, Err(OpenFault::Shared)), "{second:?}");
    house.db.close().await;
}
