//! The signal flag that a person without a picture flies: one of twelve, the same everywhere.
//!
//! The patterns are one picture, `public/flags.svg`; a class shows one of them.

use crate::live::live;
use leptos::prelude::*;
use protocol::ids::UserId;

const CLASSES: [&str; 12] = [
    "flag flag-1",
    "flag flag-2",
    "flag flag-3",
    "flag flag-4",
    "flag flag-5",
    "flag flag-6",
    "flag flag-7",
    "flag flag-8",
    "flag flag-9",
    "flag flag-10",
    "flag flag-11",
    "flag flag-12",
];

/// The class of a user's flag; a plain cloth for nobody.
fn class(user: UserId) -> &'static str {
    // An id of version 7 begins with a time and ends with chance.
    let [.., last] = user.bytes();
    let flag = CLASSES.get(usize::from(last) % CLASSES.len());
    flag.copied().filter(|_| !user.is_nil()).unwrap_or("flag flag-none")
}

/// A person's flag; what it says is said by the name beside it.
#[component]
pub fn Flag(
    /// Whose flag.
    #[prop(into)]
    user: Signal<UserId>,
) -> impl IntoView {
    view! { <span class=live(move || class(user.get())) aria-hidden="true"></span> }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_follows_from_the_id_alone() {
        let user = UserId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 13]);
        assert_eq!(class(user), "flag flag-2");
        assert_eq!(class(UserId::NIL), "flag flag-none");
    }
}
