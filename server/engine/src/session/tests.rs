//! The session's rules, one by one, stepped by hand without a socket or a store.
//!
//! Its law: a test names the promise it holds the session to.

use protocol::act::{Create, Enter, OpHead, Post, Rename};
use protocol::command::{Hello, History, Probe, Sub, Typing, Unsub};
use protocol::cursor::Cursor;
use protocol::event::{Accepted, Refused};
use protocol::frame::{Act, Command};
use protocol::ids::{EventId, OpId, PageId, RoomId, UserId};
use protocol::model::{MessageText, Rank};
use protocol::refusal::RetryReason;

use super::*;
use crate::config::Limits;
use crate::history::{Admission, Membership, Pending, SignInHash};
use crate::rooms::rates::{Rates, SharedRates};

struct World {
    session: Session,
    now: i64,
    ops: u8,
}

fn me() -> UserId {
    UserId::from_bytes([5; 16])
}

fn room() -> RoomId {
    RoomId::from_bytes([1; 16])
}

fn hello(version: u16) -> Command {
    Command::Hello(Hello {
        version,
        build: Text::cut("test"),
        page: PageId::NIL,
        device: DeviceId::NIL,
        abilities: 0,
        user_cursor: None,
    })
}

fn arrival(room_count: u8) -> Box<Arrival> {
    let entry = |number: u8| RoomEntry {
        id: RoomId::from_bytes([number; 16]),
        key: Text::cut("room"),
        name: Text::cut("Room"),
        topic: Text::default(),
        everyone: false,
        role: protocol::model::Role::Member,
        head: 0,
    };
    Box::new(Arrival {
        me: Me { id: me(), name: Text::cut("Ada"), rank: Rank::Guest },
        disabled: false,
        rooms: (0..room_count).map(entry).collect(),
        admission: Admission {
            membership: Membership { role: protocol::model::Role::Member, joined_seq: 0 },
            head: Cursor::start(1),
            floor: 1,
            floor_tag: 0,
            cursor_tag: None,
        },
    })
}

impl World {
    fn opened() -> Self {
        let terms = Terms {
            caller: Caller { user: me(), sign_in: SignInHash::from_bytes([0; 32]) },
            rates: SharedRates::new(Rates::new(&Limits::default())),
            text_chars_max: 10_000,
            frames: Limits::default().frames_per_socket,
            typing: Limits::default().typing_per_socket,
            seed: 7,
        };
        Self { session: Session::new(terms, 0), now: 0, ops: 0 }
    }

    fn greeted() -> Self {
        let mut world = Self::opened();
        world.command(hello(1));
        world.step(Input::Arrived { arrival: Some(arrival(1)), server_time: 0, build: "test" });
        world
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.session.step(input, self.now, &mut out);
        out
    }

    fn command(&mut self, command: Command) -> Vec<Output> {
        self.step(Input::Command(command))
    }

    fn post(&mut self, lane_generation: u32, text: &str) -> Vec<Output> {
        self.ops += 1;
        let op_id = OpId::from_bytes([self.ops; 16]);
        let head = OpHead { op_id, lane_generation, check_only: false };
        let text = MessageText::new(text).unwrap();
        self.command(Command::Op(head, Act::Post(Post { room: room(), text })))
    }

    fn ticket(&mut self, lane_generation: u32) -> Ticket {
        match self.post(lane_generation, "hello").pop() {
            Some(Output::Act(ticket, _)) => ticket,
            other => panic!("{other:?}"),
        }
    }
}

fn closed(out: &[Output]) -> Option<CloseCode> {
    out.iter().find_map(|output| match output {
        Output::Close(code) => Some(*code),
        _ => None,
    })
}

fn retried(out: &[Output]) -> Option<(u32, RetryReason)> {
    out.iter().find_map(|output| match output {
        Output::Answer(Event::RefuseRetry(refused)) => {
            Some((refused.lane_generation, refused.reason))
        }
        _ => None,
    })
}

#[test]
fn hello_comes_first_and_once() {
    let out = World::opened().command(Command::Probe(Probe { number: 1 }));
    assert_eq!(closed(&out), Some(CloseCode::OUT_OF_TURN));
    assert_eq!(closed(&World::greeted().command(hello(1))), Some(CloseCode::OUT_OF_TURN));
    assert_eq!(closed(&World::opened().command(hello(2))), Some(CloseCode::VERSION));
}

#[test]
fn who_says_no_hello_in_five_seconds_is_closed() {
    let mut world = World::opened();
    world.now = world.session.wakes_at().unwrap();
    assert_eq!(world.now, 5_000);
    assert_eq!(closed(&world.step(Input::Tick)), Some(CloseCode::NO_HELLO));
}

#[test]
fn rooms_come_fifty_a_frame_and_the_last_says_so() {
    let mut world = World::opened();
    world.command(hello(1));
    let out =
        world.step(Input::Arrived { arrival: Some(arrival(120)), server_time: 0, build: "test" });
    let Some(Output::Greet(greeting)) = out.first() else { panic!("{out:?}") };
    let more: Vec<_> = greeting
        .iter()
        .map(|event| match event {
            Event::Welcome(welcome) => (welcome.rooms.len(), welcome.more),
            Event::Rooms(rooms) => (rooms.rooms.len(), rooms.more),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(more, [(50, true), (50, true), (20, false)]);
}

#[test]
fn a_bad_frame_is_answered_and_the_third_closes() {
    let mut world = World::greeted();
    for fault in [Fault::Checksum, Fault::UnknownKind] {
        let out = world.step(Input::Faulty { fault, kind: 9 });
        assert!(
            matches!(&out[..], [Output::Answer(Event::Faulty(faulty))] if faulty.fault == fault)
        );
    }
    let out = world.step(Input::Faulty { fault: Fault::Trailing, kind: 9 });
    assert_eq!(closed(&out), Some(CloseCode::BAD_FRAMES));
}

#[test]
fn a_number_of_a_subscription_must_grow() {
    let mut world = World::greeted();
    let sub = |sub| Command::Sub(Sub { sub, room: room(), cursor: None });
    assert!(matches!(world.command(sub(2))[..], [Output::Subscribe { sub: 2, .. }]));
    assert!(matches!(world.command(sub(2))[..], [Output::Answer(Event::Faulty(_))]));
}

#[test]
fn no_command_is_read_while_sixteen_ops_wait() {
    let mut world = World::greeted();
    let mut tickets: Vec<_> = (0..10).map(|_| world.ticket(0)).collect();
    world.now = 6_000;
    tickets.extend((0..6).map(|_| world.ticket(0)));
    assert!(!world.session.is_ready());
    let accepted =
        Accepted { op_id: OpId::NIL, log: room().log(), seq: 1, id: EventId::NIL, at: 0 };
    let verdict = Reply::Verdict(Verdict::Accepted(accepted));
    world.step(Input::Replied(tickets.remove(0), verdict));
    assert!(world.session.is_ready());
}

#[test]
fn a_retry_voids_the_lane_and_older_generations_get_no_answer() {
    let mut world = World::greeted();
    let (first, second) = (world.ticket(0), world.ticket(0));
    assert!(first.mark().put_off(), "the log ends the generation");
    let retry = Reply::Verdict(Verdict::Retry(RetryReason::Unavailable));
    let out = world.step(Input::Replied(first, retry));
    assert_eq!(retried(&out), Some((1, RetryReason::Unavailable)));
    assert!(world.step(Input::Replied(second, Reply::Void)).is_empty());
    assert!(world.post(0, "late").is_empty());
    assert!(matches!(world.post(1, "again")[..], [Output::Act(..)]));
}

#[test]
fn what_follows_an_op_that_was_turned_away_does_not_overtake_it() {
    let mut world = World::greeted();
    let first = world.ticket(0);
    let away = TurnedAway { reason: RetryReason::Busy, retry_after_ms: 250 };
    let out = world.step(Input::TurnedAway(first, away));
    assert_eq!(retried(&out), Some((1, RetryReason::Busy)));
    assert!(world.post(0, "under way behind it").is_empty());
    assert!(matches!(world.post(1, "again")[..], [Output::Act(..)]));
}

#[test]
fn the_users_own_log_is_told_to_the_end() {
    let mut world = World::greeted();
    let unsub = |sub| Command::Unsub(Unsub { sub });
    assert!(matches!(world.command(unsub(0))[..], [Output::Answer(Event::Faulty(_))]));
    assert!(matches!(world.command(unsub(1))[..], [Output::Unsubscribe(1)]));
}

#[test]
fn who_sends_too_fast_is_told_when_and_who_ignores_it_is_closed() {
    let mut world = World::greeted();
    for _ in 0..10 {
        world.ticket(0);
    }
    assert_eq!(retried(&world.post(0, "too fast")), Some((1, RetryReason::Rate)));
    assert_eq!(retried(&world.post(1, "too fast")), Some((2, RetryReason::Rate)));
    assert_eq!(retried(&world.post(2, "too fast")), Some((3, RetryReason::Rate)));
    assert_eq!(closed(&world.post(3, "too fast")), Some(CloseCode::RATE));
}

#[test]
fn who_waits_as_each_kind_of_his_own_acts_was_told_is_not_closed() {
    let mut world = World::greeted();
    let acts = [
        Act::Rename(Rename { name: Text::cut("Bob") }),
        Act::Enter(Enter { key: Text::cut("tea") }),
        Act::Create(Create { name: Text::cut("ink") }),
    ];
    let (rates, mut lane_generation, mut due_at) = (world.session.rates.clone(), 0, [0; 3]);
    for number in 0..12 {
        // The kind that may go first; the user's other tab was there before.
        let kind = (0..3).min_by_key(|kind| due_at[*kind]).unwrap();
        world.now = world.now.max(due_at[kind]);
        while rates.take(&acts[kind], world.now).is_ok() {}
        let head =
            OpHead { op_id: OpId::from_bytes([number; 16]), lane_generation, check_only: false };
        let out = world.command(Command::Op(head, acts[kind].clone()));
        let [Output::Answer(Event::RefuseRetry(refused))] = &out[..] else { panic!("{out:?}") };
        lane_generation = refused.lane_generation;
        due_at[kind] = world.now + i64::from(refused.retry_after_ms);
    }
    // Who does not wait is closed, whatever else he waits for.
    for number in 1..=3 {
        let op_id = OpId::from_bytes([100 + number; 16]);
        let head = OpHead { op_id, lane_generation, check_only: false };
        let out = world.command(Command::Op(head, acts[2].clone()));
        assert_eq!(closed(&out), (number == 3).then_some(CloseCode::RATE));
        lane_generation = retried(&out).map_or(0, |(generation, _)| generation);
    }
}

#[test]
fn what_was_taken_in_before_a_refusal_is_done() {
    let mut world = World::greeted();
    let tickets: Vec<_> = (0..10).map(|_| world.ticket(0)).collect();
    assert!(retried(&world.post(0, "too fast")).is_some());
    assert!(tickets.iter().all(|ticket| !ticket.mark().is_void()));
}

#[test]
fn an_unknown_outcome_and_a_lost_sign_in_end_the_connection() {
    for (reply, code) in [
        (Reply::Unknown, CloseCode::COMMIT_UNKNOWN),
        (Reply::Verdict(Verdict::SignedOut), CloseCode::SIGNED_OUT),
    ] {
        let mut world = World::greeted();
        let ticket = world.ticket(0);
        assert_eq!(closed(&world.step(Input::Replied(ticket, reply))), Some(code));
    }
}

#[test]
fn a_refusal_of_a_disabled_account_asks_whether_it_is_so_now() {
    let mut world = World::greeted();
    let ticket = world.ticket(0);
    let refused = Refused { op_id: OpId::NIL, refusal: Refusal::AccountDisabled };
    let out = world.step(Input::Replied(ticket, Reply::Verdict(Verdict::Refused(refused))));
    assert!(matches!(out[..], [Output::Answer(Event::Refused(_)), Output::NoteUse]), "{out:?}");
}

#[test]
fn line_ends_are_taken_as_lf() {
    let mut world = World::greeted();
    let out = world.post(0, "a\r\nb");
    let Some(Output::Act(_, Pending { op, .. })) = out.first() else { panic!("{out:?}") };
    assert!(matches!(&op.act, Act::Post(post) if &*post.text == "a\nb"));
}

#[test]
fn a_silent_client_is_pinged_then_given_up() {
    let mut world = World::greeted();
    let mut pings = 0;
    loop {
        world.now = world.session.wakes_at().unwrap();
        let out = world.step(Input::Tick);
        if let Some(code) = closed(&out) {
            assert_eq!((code, world.now), (CloseCode::SILENT, 30_000));
            break;
        }
        pings += out.iter().filter(|output| matches!(output, Output::Ping(_))).count();
    }
    assert!((1..=2).contains(&pings), "{pings}");
}

#[test]
fn what_comes_faster_than_frames_are_read_waits_and_nothing_of_it_is_lost() {
    let mut world = World::opened();
    world.now = 1_000_000;
    world.command(hello(1));
    world.step(Input::Arrived { arrival: Some(arrival(1)), server_time: 0, build: "test" });
    let asked = |number| match number % 4 {
        0 => Command::Probe(Probe { number: 1 }),
        1 => Command::Sub(Sub { sub: number, room: room(), cursor: None }),
        2 => Command::Unsub(Unsub { sub: number }),
        _ => Command::History(History { number, room: room(), before: 9, count: 50 }),
    };
    for number in 1..399 {
        world.command(asked(number));
        assert!(world.session.is_ready(), "{number} and Hello are within the burst");
    }
    assert_eq!(world.command(asked(399)).len(), 1, "the last of the burst is answered too");
    assert!(!world.session.is_ready());
    let rested_at = world.session.wakes_at().unwrap();
    assert!((1_000_001..=1_000_051).contains(&rested_at), "{rested_at}");
    world.now = rested_at;
    world.step(Input::Tick);
    assert!(world.session.is_ready());
}

#[test]
fn pings_of_the_transport_are_paced_and_show_that_the_client_lives() {
    let mut world = World::opened();
    for number in 1..400 {
        world.step(Input::Sign);
        assert!(world.session.is_ready(), "{number}");
    }
    world.step(Input::Sign);
    assert!(!world.session.is_ready(), "also before Hello");
    world.now = world.session.wakes_at().unwrap();
    assert!((1..=51).contains(&world.now), "{}", world.now);
    world.step(Input::Tick);
    assert!(world.session.is_ready());

    let mut world = World::greeted();
    for _ in 0..3 {
        world.now += CLIENT_SILENCE_MS_MAX - 1;
        world.step(Input::Sign);
        assert_eq!(closed(&world.step(Input::Tick)), None);
    }
    world.now += CLIENT_SILENCE_MS_MAX;
    assert_eq!(closed(&world.step(Input::Tick)), Some(CloseCode::SILENT));
}

#[test]
fn asking_for_ops_is_paced_like_everything_else() {
    let mut world = World::greeted();
    let mut asked = 0;
    while world.session.is_ready() && asked < 1_000 {
        asked += 1;
        let op_id = OpId::from_bytes([9; 16]);
        let head = OpHead { op_id, lane_generation: 7, check_only: true };
        let text = MessageText::new("of a void generation").unwrap();
        world.command(Command::Op(head, Act::Post(Post { room: room(), text })));
    }
    assert_eq!(asked, 399, "with Hello the burst");
}

#[test]
fn typing_is_told_once_in_three_seconds_and_its_end_always() {
    let mut world = World::greeted();
    let mut sign = |now, active| {
        world.now = now;
        world.command(Command::Typing(Typing { room: room(), active })).len()
    };
    let told: usize = (0..20).map(|_| sign(0, true)).sum();
    assert_eq!(told, 5, "the burst");
    assert_eq!([sign(0, false), sign(0, false)], [1, 0], "there is one end");
    assert_eq!([sign(2_900, true), sign(3_100, true), sign(3_100, true)], [0, 1, 0]);
    assert_eq!(sign(3_100, false), 1);
}

#[test]
fn a_stopping_server_says_so_and_takes_no_op_in() {
    let mut world = World::greeted();
    spread(&mut world, Leave::Stopping { spread_ms: 60_000 }, 0);
    assert_eq!(retried(&world.post(0, "late")), Some((1, RetryReason::Draining)));
}

#[test]
fn a_server_without_a_database_sends_everybody_away_for_five_seconds_at_least() {
    let mut world = World::greeted();
    spread(&mut world, Leave::Away { spread_ms: 60_000 }, 5_000);
    assert_eq!(retried(&world.post(0, "late")), Some((1, RetryReason::Unavailable)));
}

/// Tells a session a hundred times to go: it comes back at any moment of a minute behind the first.
fn spread(world: &mut World, leave: Leave, first_ms: u32) {
    let mut told = || match &world.step(Input::Leave(leave))[..] {
        [Output::Answer(Event::Drain(drain))] => drain.after_ms,
        other => panic!("{other:?}"),
    };
    let after: Vec<u32> = (0..100).map(|_| told()).collect();
    let part_of = |ms: &u32| ms.checked_sub(first_ms).map(|ms| ms / 20_000);
    let parts = [0, 1, 2].map(|part| after.iter().filter(|ms| part_of(ms) == Some(part)).count());
    assert!(parts.iter().all(|count| *count > 15), "over the whole time: {after:?}");
    assert_eq!(parts.iter().sum::<usize>(), after.len(), "and no other: {after:?}");
}

#[test]
fn a_sign_in_is_noted_as_used_at_the_greeting_and_every_hour_from_then_on() {
    let hour = 60 * 60 * 1_000;
    let mut world = World::opened();
    world.command(hello(1));
    let out =
        world.step(Input::Arrived { arrival: Some(arrival(1)), server_time: 7, build: "test" });
    let is_note = |output: &&Output| matches!(output, Output::NoteUse);
    assert_eq!(out.iter().filter(is_note).count(), 1);
    let Some(Output::Greet(greeting)) = out.first() else { panic!("{out:?}") };
    assert!(matches!(&greeting[0], Event::Welcome(welcome) if welcome.server_time == 7));
    let mut noted_at = Vec::new();
    while world.now < 10 * hour {
        world.now = world.session.wakes_at().unwrap();
        if world.step(Input::Tick).iter().any(|output| is_note(&output)) {
            noted_at.push(world.now);
        }
        world.command(Command::Pong(protocol::command::Pong { number: 1 }));
    }
    assert_eq!(noted_at.len(), 9, "{noted_at:?}");
    assert!(
        noted_at.iter().zip([0].iter().chain(&noted_at)).all(|(at, before)| at - before >= hour)
    );
}
