//! Which rows begin a group, and which a day.
//!
//! A group is one author's rows within five minutes of each other on one day. Days are UTC while
//! the page is drawn and hydrated, so that both sides draw the same, and the visitor's own as soon
//! as the browser tells its offset.

/// What begins with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opens {
    /// Nothing: it goes on under the name above.
    #[default]
    Nothing,
    /// A group: the name stands above it.
    Group,
    /// A day, and with it a group.
    Day,
}
