//! The contrast of every colour, computed anew from `style/tokens.css` for all four themes.
//!
//! OKLCH goes through OKLab to linear sRGB (Björn Ottosson, bottosson.github.io/posts/oklab), and
//! from there by WCAG 2's relative luminance to a ratio. A colour that leaves sRGB fails too: a
//! screen would show another one than was measured.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test says by its panic what is wrong"
)]

use std::collections::HashMap;

const SURFACES: [&str; 4] = ["water", "land", "shoal", "raised"];

/// The colours of the four themes, by theme and token.
struct Themes([HashMap<String, [f64; 3]>; 4]);

impl Themes {
    fn read() -> Self {
        let css = include_str!("../../style/tokens.css");
        let (plain, contrast) = css.split_once("@media (prefers-contrast: more)").expect("a theme");
        let [light, dark] = pair(plain);
        let [mut contrast_light, mut contrast_dark] = [light.clone(), dark.clone()];
        let [more_light, more_dark] = pair(contrast);
        contrast_light.extend(more_light);
        contrast_dark.extend(more_dark);
        Self([light, dark, contrast_light, contrast_dark])
    }

    /// The lowest ratio of a token over the surfaces, in light, dark, and the two of contrast.
    fn worst(&self, token: &str, surfaces: &[&str]) -> [f64; 4] {
        std::array::from_fn(|theme| {
            let colours = &self.0[theme];
            let over = |surface: &&str| ratio(colours[token], colours[*surface]);
            surfaces.iter().map(over).fold(f64::INFINITY, f64::min)
        })
    }
}

/// Reads `--token: light-dark(oklch(L C h), oklch(L C h));` into linear sRGB.
fn pair(css: &str) -> [HashMap<String, [f64; 3]>; 2] {
    let mut themes = [HashMap::new(), HashMap::new()];
    for line in css.lines() {
        let Some((name, value)) = line.trim().split_once(": light-dark(") else { continue };
        let colours: Vec<[f64; 3]> = value
            .split("oklch(")
            .skip(1)
            .map(|colour| {
                let numbers = colour.split(')').next().expect("a colour");
                let mut numbers =
                    numbers.split(' ').map(|number| number.parse().expect("a number"));
                linear(std::array::from_fn(|_| numbers.next().expect("three numbers")))
            })
            .collect();
        assert_eq!(colours.len(), 2, "{line}");
        for (theme, colour) in themes.iter_mut().zip(colours) {
            assert!(
                colour.iter().all(|part| (-0.001..=1.001).contains(part)),
                "outside sRGB: {line}"
            );
            theme.insert(name.trim_start_matches("--").to_owned(), colour);
        }
    }
    themes
}

fn linear([lightness, chroma, hue]: [f64; 3]) -> [f64; 3] {
    let (a, b) = (chroma * hue.to_radians().cos(), chroma * hue.to_radians().sin());
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
    ]
}

fn ratio(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |[red, green, blue]: [f64; 3]| 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    if one > other { one / other } else { other / one }
}

#[test]
fn every_text_is_readable_on_every_surface() {
    let themes = Themes::read();
    for (token, light, dark) in [
        ("ink", 14.4, 12.0),
        ("ink2", 7.2, 7.6),
        ("ink3", 5.1, 5.3),
        ("accent", 6.0, 6.4),
        ("danger", 5.4, 5.9),
    ] {
        let worst = themes.worst(token, &SURFACES);
        let least = [light, dark, 8.6, 8.6].map(|least| least - 0.1);
        assert!(worst.iter().zip(least).all(|(is, least)| *is >= least), "{token}: {worst:?}");
    }
    let on_press = themes.worst("ink3", &["press"]);
    assert!(on_press.iter().all(|ratio| *ratio >= 4.65), "ink3 on press: {on_press:?}");
}

#[test]
fn what_can_be_used_has_an_edge_and_what_tells_a_state_stands_out() {
    let themes = Themes::read();
    for token in ["edge", "ok", "wait"] {
        let worst = themes.worst(token, &SURFACES);
        assert!(worst.iter().all(|ratio| *ratio >= 3.0), "{token}: {worst:?}");
    }
}

#[test]
fn words_on_a_filled_button_are_readable_also_under_the_pointer() {
    let themes = Themes::read();
    for filled in ["accent", "accent-hover"] {
        let worst = themes.worst("onaccent", &[filled]);
        assert!(worst.iter().all(|ratio| *ratio >= 4.5), "onaccent on {filled}: {worst:?}");
    }
}

#[test]
fn chosen_and_tinted_grounds_carry_text() {
    let themes = Themes::read();
    let worst = themes.worst("ink", &["press", "wash", "tint", "dangertint"]);
    assert!(worst.iter().all(|ratio| *ratio >= 7.0), "{worst:?}");
}
