//! The log's rules, one by one, stepped by hand with envelopes in place of a store.
//!
//! Its law: a test names the promise it holds the log to.

use protocol::act::{Act, Leave, Op};
use protocol::event::Accepted;
use protocol::ids::{DeviceId, OpId, RoomId};

use super::*;
use crate::history::SignInHash;
use crate::outlet::chunk::tests::{left, posted, seqs};
use crate::rooms::lane::Lane;
use crate::rooms::mailbox::QUEUED_MS_MAX;

type World = Log<u32, ()>;

fn id() -> LogId {
    RoomId::from_bytes([1; 16]).log()
}

fn log(head: u64) -> World {
    Log::new(id(), head, SharedTail::new(Tail::new(0)))
}

fn step(log: &mut World, input: Input<u32, ()>, now: i64) -> Vec<Output<u32>> {
    let mut out = Vec::new();
    log.step(input, now, &mut out);
    out
}

fn entry(reply: u32, lane: &Lane) -> Entry<u32> {
    let op = Op {
        op_id: OpId::make(i64::from(reply), [1; 10]),
        act: Act::Leave(Leave { room: RoomId::from_bytes([1; 16]) }),
    };
    let pending = Pending {
        author: UserId::from_bytes([9; 16]),
        sign_in: SignInHash::from_bytes([0; 32]),
        device: DeviceId::NIL,
        op,
        check_only: false,
    };
    Entry { pending, mark: Some(lane.mark()), queued_at: 0, reply }
}

fn answer(events: Vec<Envelope>) -> Answer {
    let accepted = Accepted {
        op_id: OpId::NIL,
        log: id(),
        seq: events.first().map_or(0, |event| event.seq),
        id: events.first().map_or(protocol::ids::EventId::NIL, |event| event.id),
        at: 0,
    };
    Answer { verdict: Verdict::Accepted(accepted), events }
}

fn spoken(out: &[Output<u32>]) -> Vec<u64> {
    out.iter()
        .filter_map(|output| match output {
            Output::Speak(chunk) => Some(seqs(chunk.bytes_from(0))),
            _ => None,
        })
        .flatten()
        .collect()
}

fn replies(out: Vec<Output<u32>>) -> Vec<(u32, Reply)> {
    let reply = |output| match output {
        Output::Reply(to, reply) => Some((to, reply)),
        _ => None,
    };
    out.into_iter().filter_map(reply).collect()
}

fn reads(out: &[Output<u32>]) -> Option<u64> {
    out.iter().find_map(|output| match output {
        Output::Read { after } => Some(*after),
        _ => None,
    })
}

fn sweeps(out: &[Output<u32>]) -> bool {
    out.iter().any(|one| matches!(one, Output::Sweep))
}

#[test]
fn what_is_committed_is_spoken_once_and_in_order() {
    let mut log = log(4);
    step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
    assert!(!log.wants_batch());
    let out =
        step(&mut log, Input::Outcome(Outcome::Committed(vec![answer(vec![posted(5, "a")])])), 0);
    assert_eq!(spoken(&out), [5]);
    assert!(log.wants_batch());
    let out = step(&mut log, Input::Hint(5), 0);
    assert_eq!((spoken(&out), reads(&out)), (vec![], None));
}

#[test]
fn what_is_missing_before_an_event_is_read_first() {
    let mut log = log(4);
    step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
    let out =
        step(&mut log, Input::Outcome(Outcome::Committed(vec![answer(vec![posted(6, "b")])])), 0);
    assert_eq!((spoken(&out), reads(&out)), (vec![], Some(4)));
    let out = step(&mut log, Input::Events(Some(vec![posted(5, "a"), posted(6, "b")])), 0);
    assert_eq!((spoken(&out), reads(&out)), (vec![5, 6], None));
}

#[test]
fn a_hole_in_the_store_is_an_alarm_and_told_to_nobody() {
    let mut log = log(4);
    assert_eq!(reads(&step(&mut log, Input::Hint(6), 0)), Some(4));
    let out = step(&mut log, Input::Events(Some(vec![posted(6, "b")])), 0);
    assert!(matches!(out[..], [Output::Halt]), "{out:?}");
    assert_eq!(reads(&step(&mut log, Input::Tick, 999)), None, "not asked again at once");
    assert_eq!(reads(&step(&mut log, Input::Tick, 1_000)), Some(4));
}

#[test]
fn a_failed_batch_voids_what_its_lanes_have_under_way() {
    let mut log = log(0);
    let (one, other) = (Lane::default(), Lane::default());
    let waiting = entry(4, &one);
    step(&mut log, Input::Batch(vec![entry(1, &one), entry(2, &one), entry(3, &other)]), 0);
    let out = step(&mut log, Input::Outcome(Outcome::Failed(RetryReason::DiskFull)), 0);
    let retry = Reply::Verdict(Verdict::Retry(RetryReason::DiskFull));
    assert_eq!(replies(out), [(1, retry.clone()), (2, Reply::Void), (3, retry)]);
    let out = step(&mut log, Input::Batch(vec![waiting]), 0);
    assert!(matches!(out[..], [Output::Reply(4, Reply::Void)]));
}

#[test]
fn an_op_that_waited_too_long_is_put_off() {
    let mut log = log(0);
    let out = step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), QUEUED_MS_MAX);
    assert!(matches!(out[..], [Output::Reply(1, Reply::Verdict(Verdict::Retry(_)))]));
}

#[test]
fn who_waits_too_long_behind_a_commit_is_told_and_is_not_overtaken() {
    let mut log = log(0);
    let (one, other) = (Lane::default(), Lane::default());
    let later = |reply, lane: &Lane, at| Entry { queued_at: at, ..entry(reply, lane) };
    let first = entry(1, &one);
    let waiting = [later(2, &one, 10), later(3, &other, 10), later(4, &one, 20)];
    let behind = later(5, &one, 2_000);
    let out = step(&mut log, Input::Batch(vec![first]), 0);
    assert!(matches!(out[..], [Output::Commit { overdue_at: QUEUED_MS_MAX, .. }]), "{out:?}");

    let out = step(&mut log, Input::Overdue(waiting.into()), 3_010);
    let retry = Reply::Verdict(Verdict::Retry(RetryReason::Unavailable));
    assert_eq!(replies(out), [(2, retry.clone()), (3, retry), (4, Reply::Void)]);
    // What is at the writer is answered by what becomes of it.
    let committed = Outcome::Committed(vec![answer(vec![posted(1, "a")])]);
    let out = step(&mut log, Input::Outcome(committed), 3_500);
    assert_eq!(spoken(&out), [1]);
    assert!(matches!(replies(out)[..], [(1, Reply::Verdict(Verdict::Accepted(_)))]));

    let again = later(6, &one, 3_400);
    let out = step(&mut log, Input::Batch(vec![behind, again]), 3_500);
    assert!(matches!(&out[..],
        [Output::Reply(5, Reply::Void), Output::Commit { batch, overdue_at: 6_400 }] if batch.len() == 1));
}

#[test]
fn of_a_batch_that_comes_back_only_who_waited_too_long_is_put_off() {
    let mut log = log(0);
    let (one, other) = (Lane::default(), Lane::default());
    let later = |reply, lane: &Lane, at| Entry { queued_at: at, ..entry(reply, lane) };
    let batch = vec![later(1, &one, 0), later(2, &other, 2_990), later(3, &one, 2_990)];
    let out = step(&mut log, Input::Batch(batch), 2_995);
    let [Output::Commit { batch, overdue_at: 3_000 }] = &out[..] else { panic!("{out:?}") };
    let second = batch[1].op.op_id;

    let out = step(&mut log, Input::Withdrawn(batch.clone()), 3_000);
    let again = |output: &Output<u32>| match output {
        Output::Commit { batch, overdue_at: 5_990 } => {
            batch.iter().map(|one| one.op.op_id).collect()
        }
        _ => Vec::new(),
    };
    assert_eq!(out.iter().flat_map(again).collect::<Vec<_>>(), [second]);
    let retry = Reply::Verdict(Verdict::Retry(RetryReason::Unavailable));
    assert_eq!(replies(out), [(1, retry), (3, Reply::Void)]);
    let out = step(&mut log, Input::Outcome(Outcome::Unknown), 3_100);
    assert_eq!(replies(out), [(2, Reply::Unknown)]);
}

#[test]
fn what_an_unknown_outcome_stored_is_found_here_and_looked_for_elsewhere() {
    let mut log = log(0);
    step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
    let out = step(&mut log, Input::Outcome(Outcome::Unknown), 0);
    assert_eq!(reads(&out), Some(0));
    assert_eq!(reads(&step(&mut log, Input::Events(Some(vec![])), 0)), None);
    for at in [1_000, 3_000] {
        assert_eq!(reads(&step(&mut log, Input::Tick, at)), Some(0));
        step(&mut log, Input::Events(Some(vec![])), at);
    }
    assert_eq!(reads(&step(&mut log, Input::Tick, 7_000)), Some(0));
    let out = step(&mut log, Input::Events(Some(vec![posted(1, "a")])), 7_000);
    assert_eq!((spoken(&out), sweeps(&out)), (vec![1], true));
}

#[test]
fn an_answer_that_names_what_nobody_heard_of_makes_the_log_read_it() {
    let mut log = log(4);
    let repeated = |log: &mut World, at: LogId, seq| {
        let mut answer = answer(Vec::new());
        if let Verdict::Accepted(accepted) = &mut answer.verdict {
            (accepted.log, accepted.seq) = (at, seq);
        }
        step(log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
        step(log, Input::Outcome(Outcome::Committed(vec![answer])), 0)
    };
    let out = repeated(&mut log, id(), 4);
    assert_eq!((reads(&out), sweeps(&out)), (None, false), "it was spoken before");
    let elsewhere = RoomId::from_bytes([2; 16]).log();
    let out = repeated(&mut log, elsewhere, 7);
    assert!(out.iter().any(|one| matches!(one, Output::Hint(log, 7) if *log == elsewhere)));
    assert_eq!(reads(&out), Some(4), "the other half of it may stand here");
    step(&mut log, Input::Events(Some(vec![])), 0);
    let out = repeated(&mut log, id(), 5);
    assert_eq!((reads(&out), sweeps(&out)), (Some(4), true));
    assert_eq!(spoken(&step(&mut log, Input::Events(Some(vec![posted(5, "a")])), 0)), [5]);
}

#[test]
fn an_answer_that_names_what_nobody_heard_of_is_seen_beside_a_newer_op() {
    let mut log = log(4);
    let mut repeated = answer(Vec::new());
    let Verdict::Accepted(accepted) = &mut repeated.verdict else { panic!("{repeated:?}") };
    accepted.seq = 5;
    let lane = Lane::default();
    step(&mut log, Input::Batch(vec![entry(1, &lane), entry(2, &lane)]), 0);
    let answers = vec![repeated, answer(vec![posted(6, "b")])];
    let out = step(&mut log, Input::Outcome(Outcome::Committed(answers)), 0);
    assert_eq!((reads(&out), sweeps(&out)), (Some(4), true));
}

#[test]
fn what_the_last_look_finds_behind_a_read_is_looked_for_in_other_logs_too() {
    let mut log = log(0);
    step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
    step(&mut log, Input::Outcome(Outcome::Unknown), 0);
    let mut at = 0;
    while at < 31_000 {
        step(&mut log, Input::Events(Some(vec![])), at);
        at = log.wakes_at().unwrap();
        step(&mut log, Input::Tick, at);
    }
    step(&mut log, Input::Tick, 63_000);
    step(&mut log, Input::Events(Some(vec![])), 63_500);
    assert_eq!(reads(&step(&mut log, Input::Tick, 64_000)), Some(0));
    let out = step(&mut log, Input::Events(Some(vec![posted(1, "a")])), 64_500);
    assert_eq!((spoken(&out), sweeps(&out)), (vec![1], true));
    assert_eq!(log.wakes_at(), None, "nothing is looked for any more");
}

#[test]
fn what_is_to_be_read_while_a_read_is_under_way_is_read_behind_it() {
    let elsewhere = RoomId::from_bytes([2; 16]).log();
    let mut answer = answer(Vec::new());
    let Verdict::Accepted(accepted) = &mut answer.verdict else { panic!("{answer:?}") };
    (accepted.log, accepted.seq) = (elsewhere, 7);
    let mut log = log(4);
    assert_eq!(reads(&step(&mut log, Input::Hint(5), 0)), Some(4));
    step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
    let committed = Outcome::Committed(vec![answer]);
    assert_eq!(reads(&step(&mut log, Input::Outcome(committed), 500)), None, "one at a time");
    assert_eq!(reads(&step(&mut log, Input::Events(Some(vec![])), 600)), None);
    assert_eq!(reads(&step(&mut log, Input::Tick, 1_499)), None);
    assert_eq!(reads(&step(&mut log, Input::Tick, 1_500)), Some(4), "it began before");

    assert_eq!(reads(&step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 1_600)), None);
    step(&mut log, Input::Outcome(Outcome::Unknown), 1_600);
    assert_eq!(reads(&step(&mut log, Input::Tick, 2_600)), None, "it is under way still");
    step(&mut log, Input::Events(Some(vec![])), 2_700);
    assert_eq!(reads(&step(&mut log, Input::Tick, 3_600)), Some(4), "not only at 4,600");
    step(&mut log, Input::Events(Some(vec![])), 3_700);
    assert_eq!(log.wakes_at(), Some(4_600));
}

#[test]
fn a_sweep_that_was_not_answered_is_made_again() {
    let mut log = log(0);
    step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
    step(&mut log, Input::Outcome(Outcome::Unknown), 0);
    assert!(sweeps(&step(&mut log, Input::Events(Some(vec![posted(1, "a")])), 0)));
    step(&mut log, Input::Unswept, 0);
    for at in [1_000, 2_000, 3_000] {
        step(&mut log, Input::Events(Some(vec![])), at - 500);
        assert!(sweeps(&step(&mut log, Input::Tick, at)));
        step(&mut log, Input::Unswept, at);
    }
    step(&mut log, Input::Events(Some(vec![])), 3_500);
    assert!(sweeps(&step(&mut log, Input::Tick, 4_000)));
    step(&mut log, Input::Events(Some(vec![])), 4_500);
    assert!(!sweeps(&step(&mut log, Input::Tick, 7_000)), "it was answered");
}

#[test]
fn who_left_is_off_the_list_but_not_who_came_back_since() {
    let mut log = log(3);
    for (sub, born) in [(1, 3), (2, 9)] {
        let user = UserId::from_bytes([5; 16]);
        let socket = SocketId(1);
        step(&mut log, Input::Join(Subscriber { socket, sub, user, born, outlet: () }), 0);
    }
    let chunk = Chunk::cut(&[left(4, 5)]).unwrap().remove(0);
    log.offered(&chunk);
    assert_eq!(log.subscribers().iter().map(|told| told.sub).collect::<Vec<_>>(), [2]);
    step(&mut log, Input::Leave(SocketId(1), 1), 0);
    assert_eq!(log.subscribers().len(), 1, "an old guard takes nobody else off");
}

#[test]
fn what_the_last_look_finds_is_looked_for_in_other_logs_too() {
    for answers_for in [63_000, 3_000] {
        let mut log = log(0);
        step(&mut log, Input::Batch(vec![entry(1, &Lane::default())]), 0);
        step(&mut log, Input::Outcome(Outcome::Unknown), 0);
        let mut at = 0;
        while at < 63_000 {
            let answer = (at < answers_for).then(Vec::new);
            step(&mut log, Input::Events(answer), at);
            at = log.wakes_at().unwrap();
            assert!(reads(&step(&mut log, Input::Tick, at)).is_some(), "at {at}");
        }
        // Whatever was swept before it was read may have been before it stood.
        let found = step(&mut log, Input::Events(Some(vec![posted(1, "a")])), at);
        assert_eq!((spoken(&found), sweeps(&found)), (vec![1], true), "{answers_for}");
    }
}
