//! The outlet's rules, one by one, over a tail in memory and a sink that takes what a test allows.
//!
//! Its law: every rule of `docs/PROTOCOL.md` on subscriptions that a model of it forced has a test
//! here whose name says it.

use bytes::BytesMut;
use protocol::codec::decode_event;
use protocol::event::{Gone, GoneReason, Probed, ResetReason, SubOk};
use protocol::ids::RoomId;

use super::chunk::tests::{left, posted};
use super::chunk::{Opcode, take_message};
use super::*;
use crate::rooms::tail::{SharedTail, Tail};

const SUB: u32 = 4;

/// Takes `room` bytes and keeps them.
#[derive(Default)]
struct Socket {
    room: usize,
    taken: BytesMut,
}

impl Sink for Socket {
    fn write(&mut self, parts: &[Bytes]) -> usize {
        let mut count = 0;
        for part in parts {
            let of_this = part.len().min(self.room);
            self.taken.extend_from_slice(&part.slice(..of_this));
            self.room -= of_this;
            count += of_this;
        }
        count
    }
}

struct World {
    outlet: Outlet,
    socket: Socket,
    tail: SharedTail,
    out: Vec<Output>,
    now: i64,
}

fn log() -> LogId {
    RoomId::from_bytes([1; 16]).log()
}

fn sub_ok() -> Frame {
    Frame::event(&Event::SubOk(SubOk { sub: SUB, epoch: 1, head: 0 })).unwrap()
}

fn probed(number: u32) -> Frame {
    Frame::event(&Event::Probed(Probed { number })).unwrap()
}

impl World {
    /// User 5 at a log that ends at `head`, with a socket that takes everything.
    fn new(head: u64) -> Self {
        Self {
            outlet: Outlet::new(UserId::from_bytes([5; 16]), 200),
            socket: Socket { room: usize::MAX, ..Socket::default() },
            tail: SharedTail::new(Tail::new(head)),
            out: Vec::new(),
            now: 0,
        }
    }

    fn step(&mut self, input: Input<'_>) {
        self.outlet.step(input, self.now, &mut self.socket, &mut self.out);
    }

    fn subscribe(&mut self, born: u64, begin: Begin) {
        let ring = self.tail.ring();
        let subscription =
            Subscription { log: log(), sub: SUB, born, begin, ring, seat: Box::new(()) };
        self.step(Input::Subscribe(subscription));
    }

    /// A subscription from `next` on, written as far as the socket takes it.
    fn resume(&mut self, born: u64, next: u64) {
        self.subscribe(born, Begin::Events { next, first: sub_ok() });
        self.step(Input::Writable);
    }

    /// The log says events without offering them.
    fn say(&mut self, events: &[protocol::change::Envelope]) -> Vec<Chunk> {
        let chunks = Chunk::cut(events).unwrap();
        for chunk in &chunks {
            self.tail.change(|tail| tail.push(chunk.clone())).unwrap();
        }
        chunks
    }

    /// The log says events and offers them.
    fn speak(&mut self, events: &[protocol::change::Envelope]) {
        for chunk in self.say(events) {
            self.step(Input::Offer(&chunk));
        }
    }

    /// What the client has read since the last call, in words.
    fn read(&mut self) -> Vec<String> {
        let mut bytes = std::mem::take(&mut self.socket.taken).freeze();
        let mut words = Vec::new();
        while let Some((opcode, payload)) = take_message(&mut bytes) {
            words.push(match (opcode, decode_event(&payload)) {
                (Opcode::Close, _) => {
                    format!("close {}", u16::from_be_bytes([payload[0], payload[1]]))
                }
                (_, Ok(Some(Event::Logged(logged)))) => logged.envelope.seq.to_string(),
                (_, Ok(Some(Event::SubOk(_)))) => "ok".into(),
                (_, Ok(Some(Event::Gone(Gone { reason, .. })))) => match reason {
                    GoneReason::NotMember => "no member".into(),
                    GoneReason::Ended => "ended".into(),
                    GoneReason::Asked => "asked".into(),
                    GoneReason::TooManyRooms { rooms_max } => format!("not above {rooms_max}"),
                },
                (_, Ok(Some(Event::Probed(probed)))) => format!("probed {}", probed.number),
                (_, Ok(Some(Event::Ping(ping)))) => format!(
                    "ping {:?}",
                    ping.positions.iter().map(|at| (at.sub, at.seq)).collect::<Vec<_>>()
                ),
                (_, other) => panic!("{other:?}"),
            });
        }
        self.socket.taken = BytesMut::from(&*bytes);
        words
    }

    fn orders(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        self.out.retain(|output| match output {
            Output::Fetch(order) => {
                orders.push(*order);
                false
            }
            _ => true,
        });
        orders
    }

    fn closed(&self) -> Option<CloseCode> {
        self.out.iter().find_map(|output| match output {
            Output::Closing(code) => Some(*code),
            _ => None,
        })
    }

    fn fetched(&mut self, fetched: Fetched) {
        self.step(Input::Fetched { log: log(), sub: SUB, fetched: Some(fetched) });
        self.step(Input::Writable);
    }
}

#[test]
fn a_live_slot_is_told_at_once() {
    let mut world = World::new(2);
    world.resume(2, 3);
    world.speak(&[posted(3, "a"), posted(4, "b")]);
    assert_eq!(world.read(), ["ok", "3", "4"]);
    assert!(world.outlet.is_free());
}

#[test]
fn what_was_said_before_the_slot_came_is_read_from_the_tail() {
    let mut world = World::new(2);
    world.say(&[posted(3, "a"), posted(4, "b")]);
    world.resume(4, 4);
    world.speak(&[posted(5, "c")]);
    assert_eq!(world.read(), ["ok", "4", "5"]);
}

#[test]
fn every_cut_of_every_write_leaves_order_without_a_hole() {
    for room in 0..200 {
        let mut world = World::new(0);
        world.resume(0, 1);
        world.socket.room = room;
        world.speak(&[posted(1, "a"), posted(2, "b")]);
        world.step(Input::Answer(probed(7)));
        world.speak(&[posted(3, "c")]);
        while !world.outlet.is_free() {
            world.socket.room = 17;
            world.step(Input::Writable);
        }
        let mut told = world.read();
        let answer = told.iter().position(|word| word == "probed 7").unwrap();
        told.remove(answer);
        assert_eq!(told, ["ok", "1", "2", "3"], "{room} bytes taken at first");
    }
}

#[test]
fn a_slow_slot_out_of_the_tail_is_closed_after_the_begun_message() {
    let mut world = World::new(0);
    world.resume(0, 1);
    world.read();
    world.socket.room = 5;
    for seq in 1..=600 {
        world.speak(&[posted(seq, "a")]);
    }
    assert_eq!(world.closed(), Some(CloseCode::SLOW));
    world.socket.room = usize::MAX;
    world.step(Input::Writable);
    assert_eq!(world.read(), ["1", "close 4008"]);
    assert!(world.outlet.is_dead());
}

#[test]
fn a_socket_that_takes_nothing_for_ten_seconds_is_closed() {
    let mut world = World::new(0);
    world.socket.room = 0;
    world.step(Input::Answer(probed(1)));
    world.now = STUCK_MS - 1;
    world.step(Input::Tick);
    assert_eq!(world.closed(), None);
    world.now = world.outlet.wakes_at().unwrap();
    world.step(Input::Tick);
    assert_eq!(world.closed(), Some(CloseCode::SLOW));
    world.now = world.outlet.wakes_at().unwrap();
    world.step(Input::Tick);
    assert!(world.outlet.is_dead(), "the last second is over");
}

#[test]
fn waiting_for_the_store_is_not_stuck() {
    let mut world = World::new(9);
    world.subscribe(9, Begin::Snapshot(ResetReason::FirstLoad));
    world.step(Input::Writable);
    world.now = 10 * STUCK_MS;
    world.step(Input::Tick);
    assert_eq!(world.closed(), None);
}

#[test]
fn a_slot_below_the_tail_is_fed_by_acknowledged_pages() {
    let mut world = World::new(9);
    world.resume(9, 4);
    let edition = world.tail.ring().edges().edition;
    let order = Order { log: log(), sub: SUB, born: 9, what: What::Page { after: 3 }, edition };
    assert_eq!(world.orders(), [order]);
    world.fetched(Fetched::Page { frame: probed(1), next: 8, ends: false });
    assert_eq!(world.read(), ["ok", "probed 1"]);
    world.speak(&[posted(10, "a")]);
    assert_eq!(world.read(), [""; 0], "the next page waits for its acknowledgement");
    world.step(Input::PageAck(SUB));
    world.step(Input::Writable);
    assert_eq!(world.orders(), [Order { what: What::Page { after: 7 }, ..order }]);
    world.fetched(Fetched::Page { frame: probed(2), next: 10, ends: false });
    world.step(Input::PageAck(SUB));
    world.step(Input::Writable);
    assert_eq!(world.read(), ["probed 2", "10"]);
}

#[test]
fn a_page_with_the_own_end_is_the_last_frame_before_gone() {
    let mut world = World::new(9);
    world.resume(9, 4);
    assert_eq!(world.orders().len(), 1);
    world.fetched(Fetched::Page { frame: probed(1), next: 8, ends: true });
    world.speak(&[posted(10, "a")]);
    world.step(Input::PageAck(SUB));
    world.step(Input::Writable);
    assert_eq!(world.read(), ["ok", "probed 1", "ended"]);
    assert!(world.orders().is_empty(), "nothing more is read for him");
}

#[test]
fn a_state_read_before_an_erase_is_read_anew() {
    let mut world = World::new(9);
    world.subscribe(9, Begin::Snapshot(ResetReason::FirstLoad));
    let [first] = world.orders()[..] else { panic!("one") };
    world.tail.change(|tail| tail.remake(&[])).unwrap();
    world.fetched(Fetched::Snapshot { frame: probed(1), next: 10 });
    assert_eq!(world.read(), [""; 0]);
    let [again] = world.orders()[..] else { panic!("asked for again") };
    assert_ne!(again.edition, first.edition, "and of nobody who read before");
    world.fetched(Fetched::Snapshot { frame: probed(2), next: 10 });
    world.speak(&[posted(10, "a")]);
    assert_eq!(world.read(), ["probed 2", "10"]);
}

#[test]
fn the_own_end_is_the_last_event_and_gone_stands_behind_it() {
    for free in [true, false] {
        let mut world = World::new(2);
        world.resume(2, 3);
        world.socket.room = if free { usize::MAX } else { 3 };
        world.speak(&[posted(3, "a"), left(4, 5), posted(5, "secret")]);
        world.socket.room = usize::MAX;
        world.step(Input::Writable);
        assert_eq!(world.read(), ["ok", "3", "4", "ended"], "{free}");
        world.speak(&[posted(6, "secret")]);
        assert_eq!(world.read(), [""; 0]);
    }
}

#[test]
fn an_end_from_before_the_subscription_is_a_plain_event() {
    let mut world = World::new(0);
    world.say(&[left(1, 5), posted(2, "a")]);
    world.resume(2, 1);
    world.speak(&[left(3, 6), left(4, 5)]);
    world.step(Input::Writable);
    assert_eq!(world.read(), ["ok", "1", "2", "3", "4", "ended"]);
}

#[test]
fn who_asks_to_end_is_told_so_and_nothing_more() {
    let mut world = World::new(2);
    world.resume(2, 3);
    world.step(Input::Unsubscribe(SUB));
    world.speak(&[posted(3, "a")]);
    world.step(Input::Writable);
    assert_eq!(world.read(), ["ok", "asked"]);
}

#[test]
fn a_newer_subscription_takes_the_place_of_an_older_and_of_its_gone() {
    let mut world = World::new(2);
    world.step(Input::Refuse { log: log(), sub: 3 });
    world.resume(2, 3);
    world.step(Input::Unsubscribe(3));
    assert_eq!(world.read(), ["ok"]);
}

#[test]
fn who_is_no_member_hears_gone_alone() {
    let mut world = World::new(2);
    world.step(Input::Refuse { log: log(), sub: 3 });
    world.step(Input::Writable);
    world.speak(&[posted(3, "a")]);
    assert_eq!(world.read(), ["no member"]);
}

#[test]
fn a_whisper_never_waits() {
    let mut world = World::new(0);
    world.step(Input::Whisper { log: log(), frame: &probed(1) });
    world.resume(0, 1);
    world.step(Input::Whisper { log: log(), frame: &probed(2) });
    world.socket.room = 0;
    world.step(Input::Whisper { log: log(), frame: &probed(3) });
    world.speak(&[posted(1, "a")]);
    world.step(Input::Whisper { log: log(), frame: &probed(4) });
    world.socket.room = usize::MAX;
    world.step(Input::Writable);
    assert_eq!(world.read(), ["ok", "probed 2", "1"]);
}

#[test]
fn a_gap_is_an_alarm_and_ends_the_connection() {
    let mut world = World::new(0);
    world.resume(0, 1);
    let chunk = Chunk::cut(&[posted(2, "b")]).unwrap().remove(0);
    world.step(Input::Offer(&chunk));
    assert!(world.out.contains(&Output::Alarm(Alarm::Gap(log()))));
    assert_eq!(world.closed(), Some(CloseCode::POSITION_LOST));
}

#[test]
fn a_ping_names_live_positions_and_finds_who_was_forgotten() {
    let mut world = World::new(2);
    world.resume(2, 3);
    world.say(&[posted(3, "never offered")]);
    world.step(Input::Ping(1));
    world.step(Input::Ping(2));
    world.step(Input::Writable);
    let ping = format!("ping {:?}", [(SUB, 2)]);
    assert_eq!(world.read(), ["ok", ping.as_str(), ping.as_str(), "3"]);
    assert!(world.out.contains(&Output::Alarm(Alarm::Forgotten(log()))));
}

#[test]
fn who_is_told_between_two_pings_was_not_forgotten() {
    let mut world = World::new(2);
    world.resume(2, 3);
    for seq in [3, 4] {
        // The ping comes while the log's task has not got to this outlet yet.
        let chunk = world.say(&[posted(seq, "a")]).remove(0);
        world.step(Input::Ping(1));
        world.step(Input::Offer(&chunk));
    }
    assert!(!world.out.contains(&Output::Alarm(Alarm::Forgotten(log()))));
}

#[test]
fn the_greeting_comes_before_every_slot() {
    let mut world = World::new(2);
    world.socket.room = 1;
    world.step(Input::Greet(vec![probed(1), probed(2), probed(3)]));
    world.resume(2, 3);
    for _ in 0..200 {
        world.socket.room = 1;
        world.step(Input::Writable);
    }
    assert_eq!(world.read(), ["probed 1", "probed 2", "probed 3", "ok"]);
}

#[test]
fn at_most_two_fetched_pieces_wait_to_be_written() {
    let mut world = World::new(2);
    for room in 1..=6 {
        let ring = SharedTail::new(Tail::new(9)).ring();
        let log = RoomId::from_bytes([room; 16]).log();
        let begin = Begin::Snapshot(ResetReason::FirstLoad);
        let sub = u32::from(room);
        world.step(Input::Subscribe(Subscription {
            log,
            sub,
            born: 9,
            begin,
            ring,
            seat: Box::new(()),
        }));
    }
    let orders = world.orders();
    assert_eq!(orders.len(), 2);
    world.socket.room = 0;
    for order in orders {
        let fetched = Some(Fetched::Snapshot { frame: probed(1), next: 10 });
        world.step(Input::Fetched { log: order.log, sub: order.sub, fetched });
    }
    assert_eq!(world.orders(), [], "two are unwritten");
    world.socket.room = usize::MAX;
    world.step(Input::Writable);
    assert_eq!(world.orders().len(), 2);
}

/// Subscribes another room.
fn subscribe_room(world: &mut World, room: u8) {
    let log = RoomId::from_bytes([room; 16]).log();
    let ring = SharedTail::new(Tail::new(0)).ring();
    let begin = Begin::Events { next: 1, first: sub_ok() };
    let seat = Box::new(());
    world.step(Input::Subscribe(Subscription {
        log,
        sub: room.into(),
        born: 0,
        begin,
        ring,
        seat,
    }));
    world.step(Input::Writable);
}

#[test]
fn one_room_too_many_is_gone_at_once_and_the_others_stay() {
    let mut world = World::new(0);
    world.outlet = Outlet::new(UserId::from_bytes([5; 16]), 2);
    for room in 1..=3 {
        subscribe_room(&mut world, room);
    }
    assert_eq!(world.read(), ["ok", "ok", "ok"], "the own log, and two rooms");
    subscribe_room(&mut world, 4);
    assert_eq!(world.read(), ["not above 2"]);
    world.speak(&[posted(1, "a")]);
    assert_eq!(world.read(), ["1"]);
    subscribe_room(&mut world, 2);
    assert_eq!(world.read(), ["ok"], "the same room again takes its own place");
    world.step(Input::Unsubscribe(2));
    world.step(Input::Writable);
    subscribe_room(&mut world, 4);
    assert_eq!(world.read(), ["asked", "ok"]);
}

#[test]
fn who_asks_on_and_reads_no_answer_is_closed() {
    let mut world = World::new(0);
    world.socket.room = 0;
    for sub in 0..400_u32 {
        let log = RoomId::from_bytes(
            [[9; 12].as_slice(), &sub.to_be_bytes()].concat().try_into().unwrap(),
        )
        .log();
        world.step(Input::Refuse { log, sub });
    }
    assert_eq!(world.closed(), Some(CloseCode::SLOW));
}
