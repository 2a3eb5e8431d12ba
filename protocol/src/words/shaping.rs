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

/// Whether anything stands where it shapes nothing, so that two names of one look were two.
pub(super) fn hides_something(text: &str) -> bool {
    let mut before = ' ';
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let after = rest.clone().next().unwrap_or(' ');
        let is_idle = if is_shaper(character) {
            !shapes(before, character, after)
        } else {
            is_mark(character) && (before.is_whitespace() || before.is_ascii_punctuation())
        };
        if is_idle {
            return true;
        }
        before = character;
    }
    false
}

/// Whether a joiner or selector may change what is seen. A letter behind which Persian writes the
/// non-joiner may be one that joins nothing anyway: that is let pass, since it is written so.
fn shapes(before: char, shaper: char, after: char) -> bool {
    let forms_conjunct =
        (is_virama(before) && is_indic(after)) || (is_indic(before) && is_virama(after));
    match shaper {
        '\u{200c}' => forms_conjunct || (is_cursive(before) && is_cursive(after)),
        '\u{200d}' => {
            let joins_emoji = (is_emoji(before) || before == '\u{fe0f}') && is_emoji(after);
            forms_conjunct || joins_emoji
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

/// Letters and vowels of scripts whose letters join: Arabic, Syriac, N'Ko, Mandaic, Mongolian, Adlam.
const fn is_cursive(character: char) -> bool {
    matches!(
        character,
        '\u{620}'..='\u{65f}' | '\u{66e}'..='\u{6d3}' | '\u{6fa}'..='\u{6fc}'
            | '\u{710}'..='\u{77f}' | '\u{7ca}'..='\u{7f5}' | '\u{840}'..='\u{85b}'
            | '\u{8a0}'..='\u{8c8}' | '\u{1820}'..='\u{18aa}' | '\u{1e900}'..='\u{1e94b}'
    )
}

const fn is_indic(character: char) -> bool {
    matches!(character, '\u{900}'..='\u{dff}')
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
