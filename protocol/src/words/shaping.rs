//! Joiners and selectors of a shape in names: what they are, and where they shape anything.
//!
//! Asked by `words` alone, also in the browser, for which the tables of Unicode are too heavy. Its
//! law: what stands where it changes nothing that is seen hides there, and a name hides nothing;
//! ranges tell it, and where they are too narrow, a name is refused rather than taken.

use super::marks::is_mark;

/// Joiners and selectors of a shape, without which some scripts and emoji cannot be written.
pub(super) const fn is_shaper(character: char) -> bool {
    matches!(
        character,
        '\u{200c}' | '\u{200d}' | '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe02}'
            | '\u{fe0e}' | '\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
    )
}

/// The chillus of Malayalam, consonants without their vowel, as they were written before they had
/// characters of their own, and those (Unicode 18, chapter 12).
const CHILLUS: [(&str, &str); 6] = [
    ("\u{d23}\u{d4d}\u{200d}", "\u{d7a}"),
    ("\u{d28}\u{d4d}\u{200d}", "\u{d7b}"),
    ("\u{d30}\u{d4d}\u{200d}", "\u{d7c}"),
    ("\u{d32}\u{d4d}\u{200d}", "\u{d7d}"),
    ("\u{d33}\u{d4d}\u{200d}", "\u{d7e}"),
    ("\u{d15}\u{d4d}\u{200d}", "\u{d7f}"),
];

/// The text with every chillu as one character: both spellings look the same, and NFC keeps them.
pub(super) fn with_chillus(text: String) -> String {
    if !text.contains('\u{200d}') {
        return text;
    }
    CHILLUS.iter().fold(text, |text, (older, chillu)| text.replace(older, chillu))
}

/// Whether anything stands where it shapes nothing, so that two names of one look were two.
pub(super) fn hides_something(text: &str) -> bool {
    let (mut before_that, mut before) = (' ', ' ');
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let after = rest.clone().next().unwrap_or(' ');
        let is_idle = if is_shaper(character) {
            !shapes((before_that, before), character, after)
        } else {
            is_mark(character) && (before.is_whitespace() || before.is_ascii_punctuation())
        };
        if is_idle {
            return true;
        }
        (before_that, before) = (before, character);
    }
    false
}

/// Whether a joiner or selector may change what is seen: where RFC 5892 allows the joiners (A.1, A.2),
/// but for a virama that joins nothing there. A letter behind which Persian writes the non-joiner may
/// be one that joins nothing anyway: that is let pass, since it is written so.
fn shapes((before_that, before): (char, char), shaper: char, after: char) -> bool {
    match shaper {
        '\u{200c}' => {
            let is_conjunct = is_virama(before) && joins((before_that, before), after);
            is_conjunct || (is_cursive(before) && is_cursive(after))
        }
        '\u{200d}' => {
            let joins_emoji = (is_emoji(before) || before == '\u{fe0f}') && is_emoji(after);
            let is_half = is_virama(before) && !is_tamil(before) && is_consonant(after);
            let is_joined = is_joined_before_virama(before) && is_virama(after);
            is_half || is_joined || joins_emoji
        }
        '\u{fe0e}' => is_emoji(before),
        '\u{fe0f}' => {
            let is_keycap = matches!(before, '0'..='9' | '#' | '*') && after == '\u{20e3}';
            is_keycap || is_emoji(before)
        }
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1820}'..='\u{18aa}'),
        _ => matches!(
            before,
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{fa0e}'..='\u{fa29}'
                | '\u{20000}'..='\u{3ffff}'
        ),
    }
}

/// Whether a virama makes a conjunct of these by itself, which a non-joiner then undoes. In Tamil it
/// does so in two words of Sanskrit, in Gurmukhi before letters that hang below, in Sinhala never.
fn joins((first, virama): (char, char), second: char) -> bool {
    match virama {
        '\u{a4d}' => matches!(second, '\u{a2f}' | '\u{a30}' | '\u{a35}' | '\u{a39}'),
        '\u{bcd}' => {
            matches!((first, second), ('\u{b95}', '\u{bb7}') | ('\u{bb6}' | '\u{bb8}', '\u{bb0}'))
        }
        '\u{dca}' => false,
        _ => is_consonant(second),
    }
}

const fn is_tamil(character: char) -> bool {
    matches!(character, '\u{b80}'..='\u{bff}')
}

/// What a joiner before the virama gives another form: the ra of Bengali, Oriya and Kannada, and the
/// touching letters of Sinhala (Unicode 18, chapters 12 and 13).
const fn is_joined_before_virama(character: char) -> bool {
    matches!(character, '\u{9b0}' | '\u{9f0}' | '\u{b30}' | '\u{cb0}' | '\u{d9a}'..='\u{dc6}')
}

/// The consonants of the scripts of India and Sri Lanka: of one place in all these blocks but
/// Sinhala, and a few that came later.
fn is_consonant(character: char) -> bool {
    let place = u32::from(character) % 128;
    let is_there = match character {
        '\u{900}'..='\u{cff}' => matches!(place, 0x15..=0x39 | 0x58..=0x5f),
        '\u{d00}'..='\u{d7f}' => matches!(place, 0x15..=0x3a),
        _ => false,
    };
    is_there
        || matches!(
            character,
            '\u{979}'..='\u{97f}' | '\u{9f0}' | '\u{9f1}' | '\u{af9}' | '\u{b71}'
                | '\u{d9a}'..='\u{dc6}'
        )
}

/// Letters and vowels of scripts whose letters join: Arabic, Syriac, N'Ko, Mandaic, Mongolian, Adlam.
const fn is_cursive(character: char) -> bool {
    matches!(
        character,
        '\u{620}'..='\u{65f}' | '\u{66e}'..='\u{6d3}' | '\u{6d5}' | '\u{6ee}' | '\u{6ef}'
            | '\u{6fa}'..='\u{6fc}' | '\u{6ff}' | '\u{710}'..='\u{77f}' | '\u{7ca}'..='\u{7f5}'
            | '\u{840}'..='\u{85b}' | '\u{8a0}'..='\u{8c8}' | '\u{1820}'..='\u{18aa}'
            | '\u{1e900}'..='\u{1e94b}'
    )
}

/// The sign that makes a conjunct of two consonants: of one place in all these blocks but Sinhala.
fn is_virama(character: char) -> bool {
    let is_there = matches!(character, '\u{900}'..='\u{d7f}') && u32::from(character) % 128 == 0x4d;
    is_there || character == '\u{dca}'
}

/// What may be an emoji, and some symbols between.
const fn is_emoji(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
            | '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}'
            | '\u{25aa}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b05}'..='\u{2b55}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}'
    )
}
