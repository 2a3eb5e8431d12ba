//! The rule of a room's address: what a key is, and which key a name gives.
//!
//! Called by the door of pages, which redirects to the canonical form, and by the judge. A key is
//! 1 to 64 letters, marks and digits of any script (Unicode L, M, N), `-`, `_` and `.`, beginning
//! with a letter or digit and not ending in `.`, in lower case and NFC. Its law: a key that this
//! file gives is given back unchanged by `canonical`.

use protocol::limits::KEY_CHARS_MAX;
use protocol::model::RoomKey;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The key of the room that `/` draws.
pub const LOBBY: &str = "lobby";
/// What a name without a single letter or digit becomes.
const NAMELESS: &str = "room";
/// How many keys are tried for one name before a number that nobody else has ends the search.
const NUMBERED_MAX: usize = 32;

/// The canonical form of an address, or nothing where it is none.
#[must_use]
pub fn canonical(text: &str) -> Option<RoomKey> {
    let folded = fold(text);
    let first_good = folded.chars().next().is_some_and(begins);
    let all_good = folded.chars().all(belongs) && !folded.ends_with('.');
    let short = folded.chars().count() <= KEY_CHARS_MAX;
    (first_good && all_good && short).then(|| RoomKey::new(folded).ok()).flatten()
}

/// The keys that a room of this name may get, in the order of trying; `last` ends the last of them,
/// and should be a number that no other room's maker has.
#[must_use]
pub fn candidates(name: &str, last: u64) -> Vec<RoomKey> {
    let base = from_name(name);
    let numbered = (2..=NUMBERED_MAX).map(|number| format!("-{number}"));
    let endings = std::iter::once(String::new()).chain(numbered);
    endings
        .chain(std::iter::once(format!("-{last:016x}")))
        .filter_map(|ending| {
            let kept: String =
                base.chars().take(KEY_CHARS_MAX.saturating_sub(ending.len())).collect();
            canonical(&format!("{kept}{ending}"))
        })
        .collect()
}

/// Everything that no key may hold becomes one hyphen.
fn from_name(name: &str) -> String {
    let mut key = String::new();
    for character in fold(name.trim()).chars().take(KEY_CHARS_MAX) {
        if key.is_empty() && !begins(character) {
            continue;
        }
        let kept = if belongs(character) { character } else { '-' };
        if !(kept == '-' && key.ends_with('-')) {
            key.push(kept);
        }
    }
    let key = key.trim_end_matches(['-', '.']);
    if key.is_empty() { NAMELESS.to_owned() } else { key.to_owned() }
}

fn fold(text: &str) -> String {
    text.to_lowercase().nfc().collect()
}

fn begins(character: char) -> bool {
    matches!(
        character.general_category_group(),
        GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number
    )
}

fn belongs(character: char) -> bool {
    begins(character)
        || matches!(character, '-' | '_' | '.')
        || character.general_category_group() == GeneralCategoryGroup::Mark
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(name: &str) -> String {
        candidates(name, 7).first().unwrap().to_string()
    }

    #[test]
    fn an_address_has_one_canonical_form() {
        assert_eq!(canonical("Rust").as_deref(), Some("rust"));
        assert_eq!(canonical("cafe\u{301}").as_deref(), Some("caf\u{e9}"));
        assert_eq!(canonical("غرفة-1").as_deref(), Some("غرفة-1"));
        assert_eq!(canonical("ΟΔΟΣ").as_deref(), Some("οδος"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = "a".repeat(65);
        for text in
            ["", "-a", ".a", "_a", "a.", "a b", "a/b", "a%20", "\u{301}a", "a\u{202e}", &long]
        {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_gives_a_key_that_reads_like_it() {
        assert_eq!(first("Rust & friends!"), "rust-friends");
        assert_eq!(first("  غرفة الشاي "), "غرفة-الشاي");
        assert_eq!(first("…"), "room");
        assert_eq!(first("v1.2."), "v1.2");
        assert_eq!(&*candidates("tea", 7)[1], "tea-2");
    }

    proptest! {
        #[test]
        fn every_key_that_a_name_gives_is_canonical(name in any::<String>(), last: u64) {
            let keys = candidates(&name, last);
            prop_assert!(keys.len() > NUMBERED_MAX - 1, "{keys:?}");
            for key in keys {
                prop_assert_eq!(canonical(&key), Some(key));
            }
        }

        #[test]
        fn a_canonical_address_stays_as_it_is(text in "\\PC{0,70}") {
            if let Some(key) = canonical(&text) {
                prop_assert_eq!(canonical(&key), Some(key));
            }
        }
    }
}
