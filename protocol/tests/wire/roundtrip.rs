//! Round trip as a property of every kind: what is written is read back equal.
//!
//! The chance is the same in every run and on every machine; `PROPTEST_CASES` asks for more of it.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use protocol::bounded::{Blob, Text};
use protocol::codec::{decode_text, encode_text};
use protocol::frame::{Family, Kind};
use protocol::limits::{COMMAND_BYTES_MAX, EVENT_BYTES_MAX, HEADER_BYTES};
use protocol::refusal::Fault;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::arbitrary::any_of;
use crate::samples::{Sample, read};

/// A runner whose chance is the same in every run.
pub(crate) fn runner() -> TestRunner {
    let config = Config { failure_persistence: None, ..Config::with_cases(cases()) };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(48)
}

/// The most bytes that a frame of the kind, or a stored body, may have.
fn bytes_max(kind: Kind) -> usize {
    match kind.family() {
        Family::Command | Family::Act => HEADER_BYTES + COMMAND_BYTES_MAX,
        Family::Event => HEADER_BYTES + EVENT_BYTES_MAX,
        Family::Change => protocol::limits::CHANGE_BYTES_MAX,
    }
}

#[test]
fn whatever_is_written_is_read_back_equal() {
    for kind in Kind::ALL {
        let outcome = runner().run(&any_of(*kind), |value| {
            assert_eq!(value.kind(), *kind);
            let Some(bytes) = value.written() else {
                // Only the events that carry lists of texts can be above the bound of a frame.
                return if matches!(value, Sample::Event(_)) {
                    Ok(())
                } else {
                    Err(TestCaseError::fail("it could not be written"))
                };
            };
            assert!(bytes.len() <= bytes_max(*kind));
            assert_eq!(read(*kind, &bytes), Ok(Some(value)));
            Ok(())
        });
        assert!(outcome.is_ok(), "{}: {}", kind.name(), outcome.unwrap_err());
    }
}

#[test]
fn what_a_page_carries_stands_in_its_script_without_an_escape() {
    let all = Blob::<256>::new((0..=u8::MAX).collect()).unwrap();
    let text = encode_text(&all).unwrap();
    assert_eq!(format!("{text:?}"), format!("\"{text}\""));
    assert!(!text.contains('<'));
    assert_eq!(decode_text(&text), Ok(all));
}

#[test]
fn words_that_a_page_carries_are_read_in_its_source() {
    let text = encode_text(&Text::<20>::cut("It is 5 o'clock")).unwrap();
    assert!(text.ends_with("It is 5 o'clock"), "{text}");
}

#[test]
fn text_that_carries_nothing_is_refused() {
    for text in ["\u{80}", "\u{200}", "", "\u{102}a"] {
        assert_eq!(decode_text::<Text<20>>(text), Err(Fault::Body), "{text:?}");
    }
    assert_eq!(decode_text::<bool>("\u{101}a"), Err(Fault::Trailing));
}
