//! Who is before the page does not wait for a long delay between two tries, and hammers nobody.
//!
//! The bench is the network that is away, and the person who presses Enter again and again.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::exchange::{Ask, Checked, Input, Standing};
use super::bench::{Bench, ME};
use crate::close::CloseCode;
use crate::event::Drain;
use crate::frame::Event;

/// The server is away: this try has failed, too.
fn fail(bench: &mut Bench) {
    bench.close(CloseCode(1006));
    bench.step(Input::Checked(Checked::Silent));
}

/// A client that has just failed again, and waits long for its next try.
fn away() -> Bench {
    let mut bench = Bench::live();
    fail(&mut bench);
    loop {
        match bench.client.told_standing {
            Standing::Waiting { until } if until - bench.now > 10_000 => return bench,
            Standing::Waiting { until } => bench.pass(until - bench.now),
            _ => fail(&mut bench),
        }
    }
}

/// What makes the next try come soon.
const HURRIES: [fn(&mut Bench); 3] = [
    |bench| bench.ask(Ask::Hurry),
    |bench| bench.step(Input::Awake),
    |bench| {
        bench.post(1);
    },
];

/// The next try of a client that is away has just begun.
fn trying() -> Bench {
    let mut bench = away();
    let ms = delay(&bench);
    bench.pass(ms);
    bench
}

/// Milliseconds to the next try; none while one is under way.
fn delay(bench: &Bench) -> i64 {
    match bench.client.told_standing {
        Standing::Waiting { until } => until - bench.now,
        _ => 0,
    }
}

#[test]
fn a_person_before_the_page_waits_no_second_for_the_next_try() {
    for hurry in HURRIES {
        let mut bench = away();
        let tried = bench.socket;
        bench.pass(5_000);
        assert_eq!(bench.socket, tried);
        hurry(&mut bench);
        bench.pass(1_000);
        assert_eq!(bench.socket, tried + 1);
    }
}

#[test]
fn however_often_it_is_asked_for_there_is_one_try_a_second_at_most() {
    let mut bench = away();
    let (mut tried, mut at, mut own, mut tries) = (bench.socket, bench.now, delay(&bench), 0);
    for _ in 0..2_000 {
        bench.ask(Ask::Hurry);
        bench.step(Input::Awake);
        bench.pass(10);
        if bench.socket != tried {
            // Chance may make its own delay a shorter one.
            assert!(bench.now - at >= own.min(1_000), "{} ms after the last one", bench.now - at);
            fail(&mut bench);
            (tried, at, own, tries) = (bench.socket, bench.now, delay(&bench), tries + 1);
        }
    }
    assert!((15..=22).contains(&tries), "{tries} in twenty seconds");
}

#[test]
fn who_waits_while_a_try_is_in_vain_waits_no_second_behind_it() {
    for hurry in HURRIES {
        for opens in [false, true] {
            // All that is sent is lost: of the socket, and of what is asked outside of it.
            let mut bench = trying();
            let tried = bench.socket;
            if opens {
                bench.step(Input::Opened(tried));
            }
            bench.pass(2_000);
            hurry(&mut bench);
            bench.pass(if opens { 3_000 } else { 23_000 });
            assert_eq!(bench.socket, tried);
            assert!(delay(&bench) > 0, "{:?}", bench.client.told_standing);
            bench.pass(1_000);
            assert_eq!(bench.socket, tried + 1);
        }

        let mut bench = trying();
        bench.close(CloseCode(1006));
        hurry(&mut bench);
        bench.step(Input::Checked(Checked::Silent));
        assert_eq!(delay(&bench), 1_000, "but no try follows on another one at once");

        let mut bench = trying();
        hurry(&mut bench);
        bench.close(CloseCode(1006));
        bench.step(Input::Checked(Checked::Later { ms_min: 60_000 }));
        assert!(delay(&bench) >= 60_000, "nor one before the server wants it");

        let mut bench = trying();
        hurry(&mut bench);
        fail(&mut bench);
        bench.pass(1_000);
        fail(&mut bench);
        assert!(delay(&bench) > 1_000, "and it counts once");

        let mut bench = trying();
        hurry(&mut bench);
        bench.greet(ME);
        fail(&mut bench);
        assert!(delay(&bench) > 1_000, "nor where the try was not in vain");
    }
}

#[test]
fn a_wait_that_the_server_named_is_not_cut_short() {
    let mut bench = Bench::new(Some(ME));
    bench.step(Input::Awake);
    bench.close(CloseCode(1006));
    bench.step(Input::Checked(Checked::Later { ms_min: 6_000 }));
    bench.ask(Ask::Hurry);
    bench.post(1);
    bench.pass(5_999);
    assert_eq!(bench.socket, 1);
    bench.pass(1);
    assert_eq!(bench.socket, 2);
}

/// The server named forty seconds, and said goodbye.
fn drained() -> Bench {
    let mut bench = Bench::live();
    bench.hear(Event::Drain(Drain { after_ms: 40_000 }));
    bench
}

#[test]
fn a_page_that_sleeps_while_the_server_drains_comes_back_when_it_was_asked_to() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.hear(Event::Drain(Drain { after_ms: 40_000 }));
    assert_eq!(bench.client.told_standing, Standing::Draining);
    bench.step(Input::Asleep);
    bench.step(Input::Awake);
    bench.pass(39_999);
    assert_eq!(bench.socket, 1);
    bench.pass(1);
    assert_eq!(bench.socket, 2);
}

#[test]
fn a_try_by_hand_that_fails_does_not_end_the_wait_that_the_server_named() {
    let mut overloaded = Bench::live();
    overloaded.close(CloseCode::TRY_LATER);
    for (mut bench, wait) in [(drained(), 40_000), (overloaded, 5_000)] {
        bench.ask(Ask::ConnectNow);
        assert_eq!(bench.socket, 2, "a person may");
        fail(&mut bench);
        for _ in 0..10 {
            bench.ask(Ask::Hurry);
            bench.pass(wait / 10 - 1);
            assert_eq!(bench.socket, 2, "the page by itself may not");
        }
        bench.pass(30_000);
        assert!(bench.socket > 2);
    }
}

#[test]
fn a_server_that_greets_has_named_no_wait_any_more() {
    let mut bench = drained();
    bench.ask(Ask::ConnectNow);
    bench.greet(ME);
    bench.step(Input::Asleep);
    bench.step(Input::Awake);
    bench.pass(1_000);
    assert_eq!(bench.socket, 3);
}
