//! What people may write: texts, names and topics, checked in one place.
//!
//! Called by the judge inside the transaction, and by doors and the composer, which say early what
//! it would say. Its law: a text is kept exactly as it came but for its line ends; a name is one
//! line in one spelling, without what shows nothing or lets it pose as another.

mod marks;
mod shaping;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::limits::{NAME_CHARS_MAX, NAME_MARKS_MAX, ROOM_NAME_CHARS_MAX, TOPIC_CHARS_MAX};
use crate::model::{DisplayName, MessageText, RoomName, Topic};
use crate::refusal::Refusal;
use marks::is_mark;
use shaping::{hides_something, is_shaper, with_chillus};

/// The text with line ends of LF, as every door hands it on: forms send CRLF, the socket LF.
#[must_use]
pub fn with_plain_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Whether a message may read so.
pub fn check_message(text: &MessageText, chars_max: u32) -> Result<(), Refusal> {
    if !shows_something(text) {
        return Err(Refusal::Empty);
    }
    // PostgreSQL stores every character but this one.
    if text.contains('\0') {
        return Err(Refusal::NotStorable);
    }
    within(text, chars_max)
}

/// A person's name as it is kept, without the blanks around it.
pub fn display_name(name: &DisplayName) -> Result<DisplayName, Refusal> {
    DisplayName::new(line(name, NAME_CHARS_MAX)?).map_err(|_| Refusal::BadName)
}

/// A room's name as it is kept, without the blanks around it.
pub fn room_name(name: &RoomName) -> Result<RoomName, Refusal> {
    RoomName::new(line(name, ROOM_NAME_CHARS_MAX)?).map_err(|_| Refusal::BadName)
}

/// A topic as it is kept, without the blanks around it; it may be empty.
pub fn topic(topic: &Topic) -> Result<Topic, Refusal> {
    if topic.trim().is_empty() {
        return Ok(Topic::default());
    }
    Topic::new(line(topic, TOPIC_CHARS_MAX)?).map_err(|_| Refusal::BadName)
}

/// One line in NFC and with the chillus of today, so that what looks the same is the same.
fn line(text: &str, chars_max: usize) -> Result<String, Refusal> {
    let text = with_chillus(text.trim().nfc().collect());
    if !shows_something(&text) {
        return Err(Refusal::Empty);
    }
    within(&text, u32::try_from(chars_max).unwrap_or(u32::MAX))?;
    let good = !text.chars().any(deceives) && !hides_something(&text) && !piles_marks(&text);
    if good { Ok(text) } else { Err(Refusal::BadName) }
}

fn within(text: &str, chars_max: u32) -> Result<(), Refusal> {
    let short = u32::try_from(text.chars().count()).is_ok_and(|count| count <= chars_max);
    if short { Ok(()) } else { Err(Refusal::TooLong { chars_max }) }
}

/// Whether anything would be seen of a text: blanks, controls and characters without a shape of
/// their own show nothing, and neither does a mark without a letter. Which other characters there
/// are, or will be next year, is nobody's business here.
#[must_use]
pub fn shows_something(text: &str) -> bool {
    text.chars().any(|character| {
        let is_shapeless = character.is_whitespace()
            || character.is_control()
            || is_blank(character)
            || is_format(character)
            || is_mark(character);
        !is_shapeless
    })
}

/// Letters, signs and marks that Unicode gives no shape: fillers of Hangul, the empty Braille cell,
/// joiners and selectors of a shape that stands before them, and what is kept free for more of them
/// (`Default_Ignorable_Code_Point`).
const fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2065}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Format characters (category Cf) that are not seen themselves.
const fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
    )
}

/// Controls and line ends break the line a name stands in; directional marks, embeddings, overrides
/// and isolates turn what stands around it; what is not seen makes two names of one look; and what
/// a private character looks like is another thing on every machine.
fn deceives(character: char) -> bool {
    let is_unseen = is_blank(character) || is_format(character);
    (is_unseen && !is_shaper(character))
        || matches!(
            character.general_category(),
            GeneralCategory::Control
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
        )
}

/// Whether so many marks stand on one letter that they reach into other lines.
fn piles_marks(text: &str) -> bool {
    let mut marks = 0;
    text.chars().any(|character| {
        // A selector of a shape is a mark by its category alone.
        marks = if is_mark(character) && !is_shaper(character) { marks + 1 } else { 0 };
        marks > NAME_MARKS_MAX
    })
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn message(text: &str) -> Result<(), Refusal> {
        check_message(&MessageText::new(text).unwrap(), 5)
    }

    fn name(text: &str) -> Result<String, Refusal> {
        display_name(&DisplayName::new(text).unwrap()).map(DisplayName::into_string)
    }

    #[test]
    fn a_message_of_blanks_is_empty() {
        for text in [
            "",
            " \n\t",
            "\u{200b}\u{2060}",
            "\u{3000}",
            "\u{3164}",
            "\u{2800}\u{fe0f}",
            "\u{301}\u{20dd}",
            "\u{e0041}\u{e0fff}",
        ] {
            assert_eq!(message(text), Err(Refusal::Empty), "{text:?}");
        }
        for text in ["a", "\"", "'", "\\", "\u{604}", "\u{6dd}", "\u{f8ff}", "é", "ا", "👍🏽", "한"]
        {
            assert_eq!(message(text), Ok(()), "{text:?}");
        }
    }

    /// Signs that stand around the digits behind them (`Prepended_Concatenation_Mark`) are format
    /// characters by their category, but they are seen.
    #[test]
    fn what_is_a_format_character_is_that_of_unicode() {
        let is_sign_around = |character| {
            matches!(
                character,
                '\u{600}'
                    ..='\u{605}'
                        | '\u{6dd}'
                        | '\u{70f}'
                        | '\u{890}'
                        | '\u{891}'
                        | '\u{8e2}'
                        | '\u{110bd}'
                        | '\u{110cd}'
            )
        };
        let differ = ('\0'..=char::MAX).find(|character| {
            let unseen = character.general_category() == GeneralCategory::Format
                && !is_sign_around(*character);
            unseen != (is_format(*character) || ('\u{e0001}'..='\u{e007f}').contains(character))
                && character.general_category() != GeneralCategory::Unassigned
        });
        assert_eq!(differ, None);
    }

    #[test]
    fn a_character_that_not_every_database_stores_is_no_text() {
        assert_eq!(message("a\0b"), Err(Refusal::NotStorable));
        assert_eq!(message("a\u{1}b"), Ok(()));
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert_eq!(message("ééééé"), Ok(()));
        assert_eq!(message("éééééé"), Err(Refusal::TooLong { chars_max: 5 }));
    }

    #[test]
    fn a_name_is_one_line_in_one_spelling() {
        assert_eq!(name(" Ana ").as_deref(), Ok("Ana"));
        assert_eq!(name("Jose\u{301}").as_deref(), Ok("José"));
        assert_eq!(
            name("അനില\u{d4d}\u{200d} കുമാര\u{d4d}\u{200d}").as_deref(),
            Ok("അനി\u{d7d} കുമാ\u{d7c}"),
        );
        for (consonant, chillu) in "ണനരലളക".chars().zip('\u{d7a}'..) {
            let older = format!("{consonant}\u{d4d}\u{200d}ക");
            assert_eq!(name(&older), Ok(format!("{chillu}ക")), "also before a letter");
            assert_eq!(name(&format!("{chillu}ക")), Ok(format!("{chillu}ക")));
        }
        assert_eq!(name("\u{200b}"), Err(Refusal::Empty));
        assert_eq!(name("a\nb"), Err(Refusal::BadName));
    }

    #[test]
    fn a_name_hides_nothing() {
        for text in [
            "a\u{202e}nA",
            "A\u{200b}na",
            "Ana\u{ad}",
            "A\u{200f}na",
            "A\u{feff}na",
            "A\u{2060}na",
            "Ana\u{e0041}",
            "A\u{3164}na",
            "A\u{2800}na",
            "A\u{f8ff}",
            "A\u{10fffd}",
            "A\u{200d}na",
            "Ana\u{fe0f}",
            "می\u{200c}\u{200c}خواهم",
            "می\u{200c}",
            "\u{200d}می",
            "❤\u{fe0f}\u{fe0e}",
            "Ana \u{fe0f}",
            "Ana.\u{fe0f}",
            "Ana 7\u{fe0e}",
            "Ana 7\u{fe0f}",
            "José\u{fe0f}",
            "Анна\u{fe0f}",
            "Ана\u{200c}н",
            "Room 1\u{200d}2",
            "a \u{fe0f} b",
            "Ana \u{180b}",
            "Ana \u{e0101}",
            "Анна\u{e0101}",
            "葛\u{fe05}",
            "葛\u{e0100}\u{e0101}",
            "क\u{200d}ष",
            "م\u{200d}ح",
            // Tamil, Gurmukhi and Sinhala show the virama of these anyway.
            "தமிழ்\u{200c}நாடு",
            "க்\u{200c}க",
            "ਸ\u{a4d}\u{200c}ਕ",
            "ශ\u{dca}\u{200c}රී",
            "க்\u{200d}ஷ",
            // No chillu of Malayalam is made of this letter.
            "മ\u{d4d}\u{200d}",
            // Before a virama, or between it and a vowel, the non-joiner parts nothing.
            "क\u{200c}\u{94d}ष",
            "র\u{200c}\u{9cd}য",
            "क\u{94d}\u{200c}अ",
            "क\u{200d}\u{94d}ष",
            // A letter that joins, and one of a script that does not.
            "ە\u{200c}a",
            "۱\u{200c}۲",
            "👩\u{200d}Ana",
            "Ana \u{301}",
            "Ana.\u{307}",
            "\u{301}Ana",
        ] {
            assert_eq!(name(text), Err(Refusal::BadName), "{text:?}");
        }
    }

    #[test]
    fn a_name_of_any_script_is_good() {
        for text in [
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "क्\u{200c}ष",
            "க்\u{200c}ஷ",
            "ஸ்\u{200c}ரீ",
            "ਪ\u{a4d}\u{200c}ਰ",
            "ಕ\u{ccd}\u{200c}ಕ",
            "ರ\u{200d}\u{ccd}ಕ",
            "ක\u{200d}\u{dca}ක",
            "ئە\u{200c}م",
            "م\u{200c}ۮ",
            "ۿ\u{200c}ۯ",
            "র\u{200d}্যাব",
            "ශ්\u{200d}රී",
            "हिन्दी",
            "محمد",
            "ᠠ\u{180b}",
            "José",
            "M\u{300}fo\u{323}\u{300}n",
            "👩\u{200d}👩\u{200d}👧",
            "🏳\u{fe0f}\u{200d}🌈",
            "🧑🏽\u{200d}⚖\u{fe0f}",
            "🐈\u{200d}⬛",
            "#\u{fe0f}\u{20e3}",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "葛\u{e0100}",
            "\u{604}١٤٤٧",
            "مُحَمَّد",
            "မြို့",
            "Nguyễn",
            "O'Neil \"Ana\" \\",
        ] {
            assert_eq!(name(text).as_deref(), Ok(&*text.nfc().collect::<String>()), "{text:?}");
        }
    }

    #[test]
    fn marks_are_not_piled_up() {
        let piled = |count| format!("q{}", "\u{323}".repeat(count));
        assert_eq!(name(&piled(NAME_MARKS_MAX)), Ok(piled(NAME_MARKS_MAX)));
        assert_eq!(name(&piled(NAME_MARKS_MAX + 1)), Err(Refusal::BadName));
        assert_eq!(name("q\u{fe0f}\u{20dd}\u{20dd}\u{20dd}\u{20dd}"), Err(Refusal::BadName));
    }

    #[test]
    fn a_topic_may_be_empty() {
        assert_eq!(topic(&Topic::new("  ").unwrap()), Ok(Topic::default()));
    }
}
