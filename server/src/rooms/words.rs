//! What people may write: texts, names and topics, checked in one place.
//!
//! Called by the judge inside the transaction, and by doors that want to say early what it would
//! say. Its law: a text is kept exactly as it came but for its line ends; a name is one line
//! without what would let it pose as another.

use protocol::limits::{NAME_CHARS_MAX, ROOM_NAME_CHARS_MAX, TOPIC_CHARS_MAX};
use protocol::model::{DisplayName, MessageText, RoomName, Topic};
use protocol::refusal::Refusal;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

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

/// A person's name without the blanks around it.
pub fn display_name(name: &DisplayName) -> Result<DisplayName, Refusal> {
    DisplayName::new(line(name, NAME_CHARS_MAX)?).map_err(|_| Refusal::BadName)
}

/// A room's name without the blanks around it.
pub fn room_name(name: &RoomName) -> Result<RoomName, Refusal> {
    RoomName::new(line(name, ROOM_NAME_CHARS_MAX)?).map_err(|_| Refusal::BadName)
}

/// A topic without the blanks around it; it may be empty.
pub fn topic(topic: &Topic) -> Result<Topic, Refusal> {
    if topic.trim().is_empty() {
        return Ok(Topic::default());
    }
    Topic::new(line(topic, TOPIC_CHARS_MAX)?).map_err(|_| Refusal::BadName)
}

fn line(text: &str, chars_max: usize) -> Result<&str, Refusal> {
    let text = text.trim();
    if !shows_something(text) {
        return Err(Refusal::Empty);
    }
    within(text, u32::try_from(chars_max).unwrap_or(u32::MAX))?;
    if text.chars().any(deceives) { Err(Refusal::BadName) } else { Ok(text) }
}

fn within(text: &str, chars_max: u32) -> Result<(), Refusal> {
    let short = u32::try_from(text.chars().count()).is_ok_and(|count| count <= chars_max);
    if short { Ok(()) } else { Err(Refusal::TooLong { chars_max }) }
}

/// Blanks, controls and characters without a shape of their own show nothing.
fn shows_something(text: &str) -> bool {
    text.chars().any(|character| {
        !character.is_whitespace()
            && !is_blank(character)
            && !matches!(
                character.general_category(),
                GeneralCategory::Control
                    | GeneralCategory::Format
                    | GeneralCategory::NonspacingMark
                    | GeneralCategory::EnclosingMark
                    | GeneralCategory::Unassigned
            )
    })
}

/// Letters, signs and marks that Unicode gives no shape: fillers of Hangul, the empty Braille cell,
/// joiners and selectors of a shape that stands before them (`Default_Ignorable_Code_Point`).
const fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Controls and line ends break the line a name stands in; directional embeddings, overrides and
/// isolates turn what stands around it. Joiners stay: scripts and emoji need them.
fn deceives(character: char) -> bool {
    matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Result<(), Refusal> {
        check_message(&MessageText::new(text).unwrap(), 5)
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
        ] {
            assert_eq!(message(text), Err(Refusal::Empty), "{text:?}");
        }
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
    fn a_name_is_one_honest_line() {
        let name = |text: &str| display_name(&DisplayName::new(text).unwrap());
        assert_eq!(name(" Ana ").as_deref(), Ok("Ana"));
        assert_eq!(name("a\u{202e}nA"), Err(Refusal::BadName));
        assert_eq!(name("a\nb"), Err(Refusal::BadName));
        assert_eq!(name("می\u{200c}خواهم").as_deref(), Ok("می\u{200c}خواهم"));
    }

    #[test]
    fn a_topic_may_be_empty() {
        assert_eq!(topic(&Topic::new("  ").unwrap()), Ok(Topic::default()));
    }
}
