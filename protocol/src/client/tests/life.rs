//! How long the client waits for a sign of life, and what it takes for one.
//!
//! The bench is the server that is frozen, or slow, or busy with others; no close comes of either.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::exchange::{Input, Output, Standing};
use super::bench::Bench;
use crate::bounded::List;
use crate::close::CloseCode;
use crate::event::{Ping, Probed};
use crate::frame::Event;

#[test]
fn an_op_without_an_answer_is_asked_after_and_given_up_after_thirty_seconds() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.pass(5_000);
    let number = bench.probe_number().unwrap();
    bench.hear(Event::Probed(Probed { number }));
    bench.pass(24_999);
    assert_eq!(bench.client.told_standing, Standing::Live);
    bench.pass(1);
    assert!(matches!(bench.client.told_standing, Standing::Waiting { .. } | Standing::Connecting));
}

#[test]
fn a_server_that_answers_no_message_and_says_nothing_is_left_after_ten_seconds() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.pass(9_999);
    assert_eq!(bench.client.told_standing, Standing::Live);
    bench.pass(1);
    assert!(bench.others.contains(&Output::Close(1, CloseCode::SILENT)));
}

#[test]
fn a_server_that_goes_on_saying_other_things_has_its_time_anew() {
    let mut bench = Bench::live();
    bench.post(1);
    bench.pass(5_000);
    let number = bench.probe_number().unwrap();
    for ping in 0..4 {
        bench.pass(4_999);
        bench.hear(Event::Ping(Ping { number: ping, positions: List::default() }));
    }
    assert_eq!(bench.client.told_standing, Standing::Live);
    bench.hear(Event::Probed(Probed { number }));
    bench.pass(4_000);
    assert_eq!(bench.client.told_standing, Standing::Live);
}

#[test]
fn thirty_two_seconds_of_silence_are_the_end() {
    let mut bench = Bench::live();
    bench.pass(31_999);
    assert_eq!(bench.others, []);
    bench.pass(1);
    assert!(bench.others.contains(&Output::Close(1, CloseCode::SILENT)));
}

#[test]
fn after_a_sleep_the_server_has_three_seconds_to_answer() {
    let mut bench = Bench::live();
    bench.now += 3_600_000;
    bench.step(Input::Timer);
    assert!(bench.probe_number().is_some() && bench.others.is_empty());
    bench.pass(3_000);
    assert!(bench.others.contains(&Output::Close(1, CloseCode::SILENT)));
}
