//! Many people at one server, each with a task, a cookie and an address of his own.
//!
//! Made by every scenario. Its law: nobody is counted live who has not read all that he missed, and
//! at the end everybody's journal comes back.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use protocol::ids::UserId;
use protocol::model::{MessageText, RoomKey};
use server::clock::{Chance, SystemChance};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::house::House;
use crate::person::{Begin, Journal, Order, Person};
use crate::socket::{Place, source};
use crate::tally::Tally;

/// Guests that are asked for at once.
const ASKED_AT_ONCE: usize = 32;
/// Tries to become a guest.
const TRIES: usize = 20;
/// From one look at a crowd to the next.
const LOOK: Duration = Duration::from_millis(10);

/// The lobby's key.
pub(crate) const LOBBY: &str = "lobby";

/// An account that somebody made.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub(crate) place: Place,
    pub(crate) user: UserId,
}

/// People, by number.
pub(crate) struct Crowd {
    pub(crate) tally: Arc<Tally>,
    orders: Vec<UnboundedSender<Order>>,
    lives: Vec<JoinHandle<Journal>>,
}

/// Makes so many accounts, `per_address` of them from each address from the `first` on.
pub(crate) async fn guests(house: &House, count: usize, first: usize) -> Vec<Guest> {
    const PER_ADDRESS: usize = 40;
    let making = (0..count).map(|number| guest(house, source(first + number / PER_ADDRESS)));
    futures_util::stream::iter(making).buffered(ASKED_AT_ONCE).collect().await
}

async fn guest(house: &House, source: Ipv4Addr) -> Guest {
    let mut place = Place { server: house.address, source, cookie: String::new() };
    for _ in 0..TRIES {
        if let Some(answer) = place.become_guest().await.filter(|answer| answer.status == 200) {
            let me: serde_json::Value = serde_json::from_str(&answer.body).expect("an account");
            let id = me["id"].as_str().expect("an account has an id");
            return Guest { place, user: id.parse().expect("an id") };
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no guest is made: {}", house.last_words());
}

impl Crowd {
    pub(crate) fn new() -> Self {
        Self { tally: Arc::new(Tally::new()), orders: Vec::new(), lives: Vec::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.orders.len()
    }

    /// One more; gives his number.
    pub(crate) fn add(
        &mut self,
        guest: &Guest,
        receive_bytes: Option<u32>,
        measured: bool,
    ) -> usize {
        let Guest { place, user } = guest.clone();
        let seed = SystemChance.number();
        let begin = Begin { place, user, seed, receive_bytes, measured };
        let (orders, obeyed) = unbounded_channel();
        let person = Person::new(begin, Arc::clone(&self.tally));
        self.lives.push(tokio::spawn(person.live(obeyed)));
        self.orders.push(orders);
        self.orders.len() - 1
    }

    pub(crate) fn order(&self, number: usize, order: Order) {
        // Who panicked is found at the end.
        let _ = self.orders[number].send(order);
    }

    /// Lets somebody write, with the time at which he was due to at the head of his words; without
    /// one their delay is not counted.
    pub(crate) fn post(&self, number: usize, room: &str, filler: &str, due: Option<Instant>) {
        let due = due.map_or("-".to_owned(), |due| format!("{:x}", self.tally.stamp(due)));
        let text = format!("{due} {filler}");
        let text = MessageText::new(&text).expect("a text of a message's length");
        self.order(number, Order::Post(RoomKey::cut(room), text));
    }

    /// How long it took until so many were live; nothing if they never were in that time.
    pub(crate) async fn until_live(&self, count: usize, patience: Duration) -> Option<Duration> {
        let begun = Instant::now();
        while self.live() < count {
            if begun.elapsed() > patience {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
        Some(begun.elapsed())
    }

    pub(crate) fn live(&self) -> usize {
        self.tally.live.load(Ordering::Relaxed)
    }

    pub(crate) fn fell(&self) -> u64 {
        self.tally.fell.load(Ordering::Relaxed)
    }

    /// Lets go of everybody, so that others may come; gives their journals.
    pub(crate) async fn renew(&mut self) -> Vec<Journal> {
        let former = Self { tally: Arc::clone(&self.tally), orders: Vec::new(), lives: Vec::new() };
        std::mem::replace(self, former).end().await
    }

    /// Lets go of everybody, and collects their journals.
    pub(crate) async fn end(self) -> Vec<Journal> {
        drop(self.orders);
        let mut journals = Vec::new();
        for life in self.lives {
            journals.push(life.await.expect("a person does not panic"));
        }
        journals
    }
}
