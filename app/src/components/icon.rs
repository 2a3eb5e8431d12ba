//! Icons: signs of 20 units in one sprite, which the shell puts behind the app.
//!
//! The sprite is no part of the app, so it costs the browser's build nothing and hydration does
//! not walk it. An icon is never the only name of a thing: a label or words stand with it.

use leptos::prelude::*;

const SPRITE: &str = include_str!("icons.svg");

/// What an icon shows: a symbol of `icons.svg`.
#[expect(missing_docs, reason = "each name is explained by the sign")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Brand,
    Back,
    Plus,
    List,
    Sliders,
    Leave,
    More,
    Send,
    Down,
    Tick,
    Clock,
    Alert,
}

impl Sign {
    /// The reference that `use` takes.
    #[must_use]
    pub const fn reference(self) -> &'static str {
        match self {
            Self::Brand => "#brand",
            Self::Back => "#back",
            Self::Plus => "#plus",
            Self::List => "#list",
            Self::Sliders => "#sliders",
            Self::Leave => "#leave",
            Self::More => "#more",
            Self::Send => "#send",
            Self::Down => "#down",
            Self::Tick => "#tick",
            Self::Clock => "#clock",
            Self::Alert => "#alert",
        }
    }

    /// Signs that point somewhere turn round where one reads from right to left.
    const fn class(self, small: bool) -> &'static str {
        match (self, small) {
            (Self::Back | Self::Leave, _) => "icon icon-mirrored",
            (_, true) => "icon icon-small",
            (_, false) => "icon",
        }
    }
}

/// One sign, 20 px wide, or 16 in rows of text.
#[component]
pub fn Icon(
    /// What it shows.
    sign: Sign,
    /// Whether it is as small as the words beside it.
    #[prop(optional)]
    small: bool,
) -> impl IntoView {
    view! {
        <svg class=sign.class(small) aria-hidden="true">
            <use href=sign.reference()></use>
        </svg>
    }
}

/// All signs; the shell draws it once, behind the app.
#[component]
pub fn Sprite() -> impl IntoView {
    view! { <div class="sprite" inner_html=SPRITE></div> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_is_in_the_sprite_and_the_sprite_is_small() {
        use Sign::{Alert, Back, Brand, Clock, Down, Leave, List, More, Plus, Send, Sliders, Tick};
        for sign in [Brand, Back, Plus, List, Sliders, Leave, More, Send, Down, Tick, Clock, Alert]
        {
            let id = format!("id=\"{}\"", sign.reference().trim_start_matches('#'));
            assert!(SPRITE.contains(&id), "{sign:?}");
        }
        assert!(SPRITE.len() < 6 * 1024, "{} bytes", SPRITE.len());
    }
}
