//! Older messages: what is asked, and what is made of an answer that there are none for now.
//!
//! Stepped by hand, as in `tests.rs`.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::bench::{Bench, ROOM};
use crate::client::exchange::{Ask, Told};
use crate::event::Older;
use crate::frame::{Command, Event};
use crate::model::Messages;

#[test]
fn who_is_told_that_there_are_some_but_not_now_asks_again_after_a_moment() {
    let mut bench = Bench::live();
    bench.ask(Ask::Older { room: ROOM, before: 9 });
    let Some(Command::History(asked)) = bench.said.last().cloned() else { panic!("not asked") };
    let none = |older| {
        let (number, room, messages) = (asked.number, ROOM, Messages::default());
        Event::Older(Older { number, room, messages, older })
    };
    let is_lost = |bench: &Bench| bench.told.contains(&Told::OlderLost(ROOM));
    bench.hear(none(true));
    bench.pass(2_999);
    assert!(!is_lost(&bench), "not at once: it would be as busy");
    bench.pass(1);
    assert!(is_lost(&bench));
    let come = |told: &Told| matches!(told, Told::Older { .. });
    assert!(!bench.told.iter().any(come));

    bench.ask(Ask::Older { room: ROOM, before: 9 });
    let Some(Command::History(asked)) = bench.said.last().cloned() else { panic!("not asked") };
    let (number, messages) = (asked.number, Messages::default());
    bench.hear(Event::Older(Older { number, room: ROOM, messages, older: false }));
    assert!(bench.told.iter().any(come), "an empty one is the beginning of the room");
}
