//! A strategy for every kind: any value that its type can hold, at its bounds more often than not.
//!
//! Called by the round trip and by the hostile bytes. Texts are short, or repeat themselves, or are
//! as long and as varied as their type allows, so that bodies cross every threshold of the codec.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::act::{Configure, Create, Enter, Leave, OpHead, Post, Rename};
use protocol::bounded::{Blob, List, Text};
use protocol::change::{
    Configured, Created, Envelope, Joined, Left, Posted, Ranked, Renamed, RoomAdded, RoomRemoved,
};
use protocol::command::{Hello, History, PageAck, Pong, Probe, Sub, Typing, Unsub};
use protocol::cursor::Cursor;
use protocol::event::{
    Accepted, Drain, Faulty, Gone, GoneReason, Logged, Older, Page, Ping, Position, Probed,
    RefuseRetry, Refused, Reset, ResetReason, Rooms, Snapshot, SubOk, Typist, Typists, Welcome,
};
use protocol::frame::{Act, Change, Command, Event, Family, Kind};
use protocol::ids::{DeviceId, EventId, LogId, OpId, PageId, RoomId, UserId};
use protocol::model::{Me, Message, Rank, Role, RoomEntry};
use protocol::refusal::{Fault, Refusal, RetryReason};

use crate::samples::Sample;

/// Any value of a kind.
pub(crate) fn any_of(kind: Kind) -> BoxedStrategy<Sample> {
    match kind.family() {
        Family::Command => command(kind).prop_map(Sample::Command).boxed(),
        Family::Act => (op_head(), act(kind))
            .prop_map(|(head, act)| Sample::Command(Command::Op(head, act)))
            .boxed(),
        Family::Event => event(kind).prop_map(Sample::Event).boxed(),
        Family::Change => change(kind).prop_map(Sample::Change).boxed(),
    }
}

macro_rules! ids {
    ($($name:ident $type:ident;)*) => {$(
        fn $name() -> impl Strategy<Value = $type> {
            any::<[u8; 16]>().prop_map($type::from_bytes)
        }
    )*};
}

ids! {
    room_id RoomId;
    user_id UserId;
    op_id OpId;
    event_id EventId;
    device_id DeviceId;
    page_id PageId;
}

fn log_id() -> impl Strategy<Value = LogId> {
    prop_oneof![room_id().prop_map(RoomId::log), user_id().prop_map(UserId::log)]
}

/// Numbers around the edges of bincode's variable lengths.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..600_u64,
        65_500..65_600_u64,
        4_294_967_000..4_294_968_000_u64,
        any::<u64>(),
        Just(u64::MAX),
    ]
}

fn text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    prop_oneof![
        6 => vec(any::<char>(), 0..24).prop_map(|characters| {
            Text::cut(&characters.into_iter().collect::<String>())
        }),
        2 => (any::<char>(), 0..=N)
            .prop_map(|(character, count)| Text::cut(&character.to_string().repeat(count))),
        1 => any::<u64>().prop_map(|seed| Text::cut(&noise(seed, N))),
        1 => Just(Text::default()),
    ]
}

/// Letters that do not compress; many times cheaper than as many choices of proptest.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from(state % 95).unwrap())
    };
    (0..length).map(|_| letter()).collect()
}

fn list<T: std::fmt::Debug + 'static, const N: usize>(
    item: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<List<T, N>> {
    let short = N.min(3);
    prop_oneof![vec(item, 0..=short)].prop_map(List::cut).boxed()
}

fn full_list<T: Clone + std::fmt::Debug + 'static, const N: usize>(
    item: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<List<T, N>> {
    item.prop_map(|item| List::cut(std::iter::repeat_n(item, N))).boxed()
}

fn cursor() -> impl Strategy<Value = Cursor> {
    (number(), number(), number()).prop_map(|(epoch, seq, tag)| Cursor { epoch, seq, tag })
}

fn rank() -> impl Strategy<Value = Rank> {
    prop::sample::select(vec![Rank::Guest, Rank::User, Rank::Admin, Rank::Owner])
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Member, Role::Moderator, Role::Owner])
}

fn op_head() -> impl Strategy<Value = OpHead> {
    (op_id(), any::<u32>(), any::<bool>()).prop_map(|(op_id, lane_generation, check_only)| OpHead {
        op_id,
        lane_generation,
        check_only,
    })
}

fn room_entry() -> impl Strategy<Value = RoomEntry> {
    (room_id(), text(), text(), text(), any::<bool>(), role(), number()).prop_map(
        |(id, key, name, topic, everyone, role, head)| RoomEntry {
            id,
            key,
            name,
            topic,
            everyone,
            role,
            head,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    (number(), event_id(), any::<i64>(), user_id(), text(), op_id(), text()).prop_map(
        |(seq, id, at, author, name, op_id, text)| Message {
            seq,
            id,
            at,
            author,
            name,
            op_id,
            text,
        },
    )
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..40),
        any::<u64>().prop_map(|seed| noise(seed, 49_152).into_bytes()),
    ]
    .prop_map(|bytes| Blob::new(bytes).unwrap());
    let head = (log_id(), number(), event_id(), any::<i64>(), user_id(), op_id());
    (head, any::<u8>(), any::<u16>(), body).prop_map(
        |((log, seq, id, at, author, op_id), flags, kind, body)| Envelope {
            log,
            seq,
            id,
            at,
            author,
            op_id,
            flags,
            kind,
            body,
        },
    )
}

fn command(kind: Kind) -> BoxedStrategy<Command> {
    match kind {
        Kind::Hello => {
            let known = prop::option::of(cursor());
            (any::<u16>(), text(), page_id(), device_id(), any::<u32>(), known)
                .prop_map(|(version, build, page, device, abilities, user_cursor)| {
                    Command::Hello(Hello { version, build, page, device, abilities, user_cursor })
                })
                .boxed()
        }
        Kind::Sub => (any::<u32>(), room_id(), prop::option::of(cursor()))
            .prop_map(|(sub, room, cursor)| Command::Sub(Sub { sub, room, cursor }))
            .boxed(),
        Kind::Unsub => any::<u32>().prop_map(|sub| Command::Unsub(Unsub { sub })).boxed(),
        Kind::PageAck => any::<u32>().prop_map(|sub| Command::PageAck(PageAck { sub })).boxed(),
        Kind::Pong => any::<u32>().prop_map(|number| Command::Pong(Pong { number })).boxed(),
        Kind::Probe => any::<u32>().prop_map(|number| Command::Probe(Probe { number })).boxed(),
        Kind::Typing => (room_id(), any::<bool>())
            .prop_map(|(room, active)| Command::Typing(Typing { room, active }))
            .boxed(),
        Kind::History => (any::<u32>(), room_id(), number(), any::<u16>())
            .prop_map(|(number, room, before, count)| {
                Command::History(History { number, room, before, count })
            })
            .boxed(),
        other => panic!("{} has no strategy among the commands", other.name()),
    }
}

fn act(kind: Kind) -> BoxedStrategy<Act> {
    match kind {
        Kind::Post => {
            (room_id(), text()).prop_map(|(room, text)| Act::Post(Post { room, text })).boxed()
        }
        Kind::Create => text().prop_map(|name| Act::Create(Create { name })).boxed(),
        Kind::Enter => text().prop_map(|key| Act::Enter(Enter { key })).boxed(),
        Kind::Leave => room_id().prop_map(|room| Act::Leave(Leave { room })).boxed(),
        Kind::Configure => (room_id(), text(), text())
            .prop_map(|(room, name, topic)| Act::Configure(Configure { room, name, topic }))
            .boxed(),
        Kind::Rename => text().prop_map(|name| Act::Rename(Rename { name })).boxed(),
        other => panic!("{} has no strategy among the acts", other.name()),
    }
}

fn event(kind: Kind) -> BoxedStrategy<Event> {
    match kind {
        Kind::Welcome => welcome(),
        Kind::Rooms => (full_list(room_entry()), any::<bool>())
            .prop_map(|(rooms, more)| Event::Rooms(Rooms { rooms, more }))
            .boxed(),
        Kind::SubOk => (any::<u32>(), number(), number())
            .prop_map(|(sub, epoch, head)| Event::SubOk(SubOk { sub, epoch, head }))
            .boxed(),
        Kind::Reset => reset(),
        Kind::Page => (any::<u32>(), prop_oneof![list(envelope()), full_list(envelope())])
            .prop_map(|(sub, events)| Event::Page(Page { sub, events }))
            .boxed(),
        Kind::Logged => envelope().prop_map(|envelope| Event::Logged(Logged { envelope })).boxed(),
        Kind::Gone => {
            let reasons = vec![
                GoneReason::NotMember,
                GoneReason::Ended,
                GoneReason::Asked,
                GoneReason::TooManyRooms { rooms_max: 300 },
            ];
            (any::<u32>(), room_id(), prop::sample::select(reasons))
                .prop_map(|(sub, room, reason)| Event::Gone(Gone { sub, room, reason }))
                .boxed()
        }
        Kind::Older => (any::<u32>(), room_id(), messages(), any::<bool>())
            .prop_map(|(number, room, messages, older)| {
                Event::Older(Older { number, room, messages, older })
            })
            .boxed(),
        other => answer(other),
    }
}

fn messages() -> BoxedStrategy<protocol::model::Messages> {
    prop_oneof![list(message()), full_list(message())].boxed()
}

fn welcome() -> BoxedStrategy<Event> {
    let user = (user_id(), text(), rank()).prop_map(|(id, name, rank)| Me { id, name, rank });
    let limits = (any::<bool>(), any::<u32>(), any::<u32>(), any::<u16>(), any::<i64>());
    (user, list(room_entry()), limits, text())
        .prop_map(|(user, rooms, (more, ping_ms, text_chars_max, window, server_time), build)| {
            Event::Welcome(Welcome {
                user,
                rooms,
                more,
                ping_ms,
                text_chars_max,
                window,
                server_time,
                build,
            })
        })
        .boxed()
}

fn reset() -> BoxedStrategy<Event> {
    let snapshot = (room_entry(), number(), messages(), any::<bool>()).prop_map(
        |(room, member_count, messages, older)| Snapshot { room, member_count, messages, older },
    );
    let reasons = vec![ResetReason::FirstLoad, ResetReason::Diverged, ResetReason::TooOld];
    (any::<u32>(), prop::sample::select(reasons), cursor(), prop::option::of(snapshot))
        .prop_map(|(sub, reason, cursor, snapshot)| {
            Event::Reset(Reset { sub, reason, cursor, snapshot })
        })
        .boxed()
}

fn answer(kind: Kind) -> BoxedStrategy<Event> {
    match kind {
        Kind::Accepted => (op_id(), log_id(), number(), event_id(), any::<i64>())
            .prop_map(|(op_id, log, seq, id, at)| {
                Event::Accepted(Accepted { op_id, log, seq, id, at })
            })
            .boxed(),
        Kind::Refused => (op_id(), refusal())
            .prop_map(|(op_id, refusal)| Event::Refused(Refused { op_id, refusal }))
            .boxed(),
        Kind::RefuseRetry => (op_id(), log_id(), any::<u32>(), any::<u32>(), retry_reason())
            .prop_map(|(op_id, log, lane_generation, retry_after_ms, reason)| {
                Event::RefuseRetry(RefuseRetry {
                    op_id,
                    log,
                    lane_generation,
                    retry_after_ms,
                    reason,
                })
            })
            .boxed(),
        Kind::Typists => {
            let typist = (user_id(), text()).prop_map(|(user, name)| Typist { user, name });
            (room_id(), list(typist))
                .prop_map(|(room, people)| Event::Typists(Typists { room, people }))
                .boxed()
        }
        Kind::Ping => {
            let position = (any::<u32>(), number()).prop_map(|(sub, seq)| Position { sub, seq });
            (any::<u32>(), full_list(position))
                .prop_map(|(number, positions)| Event::Ping(Ping { number, positions }))
                .boxed()
        }
        Kind::Probed => any::<u32>().prop_map(|number| Event::Probed(Probed { number })).boxed(),
        Kind::Drain => any::<u32>().prop_map(|after_ms| Event::Drain(Drain { after_ms })).boxed(),
        Kind::Faulty => (fault(), any::<u16>())
            .prop_map(|(fault, kind)| Event::Faulty(Faulty { fault, kind }))
            .boxed(),
        other => panic!("{} has no strategy among the events", other.name()),
    }
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        any::<u32>().prop_map(|chars_max| Refusal::TooLong { chars_max }),
        any::<u32>().prop_map(|rooms_max| Refusal::TooManyRooms { rooms_max }),
        prop::sample::select(vec![
            Refusal::Empty,
            Refusal::BadName,
            Refusal::NotMember,
            Refusal::NotAllowed,
            Refusal::OpIdReused,
            Refusal::AccountDisabled,
            Refusal::Unknown,
            Refusal::Expired,
            Refusal::NotStorable,
            Refusal::TooBig,
        ]),
    ]
}

fn retry_reason() -> impl Strategy<Value = RetryReason> {
    prop::sample::select(vec![
        RetryReason::Busy,
        RetryReason::Rate,
        RetryReason::Unavailable,
        RetryReason::DiskFull,
        RetryReason::Draining,
    ])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        Fault::TooShort,
        Fault::Version,
        Fault::Flags,
        Fault::TooLong,
        Fault::Length,
        Fault::Checksum,
        Fault::Compression,
        Fault::UnknownKind,
        Fault::WrongWay,
        Fault::Body,
        Fault::Trailing,
    ])
}

fn change(kind: Kind) -> BoxedStrategy<Change> {
    match kind {
        Kind::Created => (text(), text(), any::<bool>())
            .prop_map(|(key, name, everyone)| Change::Created(Created { key, name, everyone }))
            .boxed(),
        Kind::Joined => text().prop_map(|name| Change::Joined(Joined { name })).boxed(),
        Kind::Left => text().prop_map(|name| Change::Left(Left { name })).boxed(),
        Kind::Posted => {
            (text(), text()).prop_map(|(name, text)| Change::Posted(Posted { name, text })).boxed()
        }
        Kind::Configured => (text(), text())
            .prop_map(|(name, topic)| Change::Configured(Configured { name, topic }))
            .boxed(),
        Kind::RoomAdded => (room_id(), text(), text())
            .prop_map(|(room, key, name)| Change::RoomAdded(RoomAdded { room, key, name }))
            .boxed(),
        Kind::RoomRemoved => {
            room_id().prop_map(|room| Change::RoomRemoved(RoomRemoved { room })).boxed()
        }
        Kind::Renamed => text().prop_map(|name| Change::Renamed(Renamed { name })).boxed(),
        Kind::Ranked => rank().prop_map(|rank| Change::Ranked(Ranked { rank })).boxed(),
        other => panic!("{} has no strategy among the changes", other.name()),
    }
}
