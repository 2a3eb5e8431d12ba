//! Which rows begin a group, and which a day.
//!
//! A group is one author's rows, under one name, within five minutes of each other on one day, and
//! no endless one: where it grows, a row of a round number begins the next. Numbers, because a count
//! would begin elsewhere when older rows come, and move what is read. Days are UTC while the page is
//! drawn and hydrated, so that both sides draw the same, and the visitor's own as soon as the
//! browser tells its zone.

use leptos::prelude::{GetUntracked, Set};
use protocol::ids::UserId;

use super::row::Row;
use crate::calendar::Moment;

const GROUP_MS_MAX: i64 = 5 * 60 * 1_000;
/// Every so many rows a group that goes on begins anew,
const GROUP_ROWS: u64 = 20;
/// unless it has just begun.
const GROUP_ROWS_MIN: u64 = GROUP_ROWS / 2;

/// Minutes east of Greenwich at a moment.
pub type Zone = fn(i64) -> i64;

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
    /// What was new when the reader came, and with it a group; how many, where more are above, else 0.
    New(u64),
    /// Both.
    NewDay(u64),
}

/// What begins with a row by this author at this moment behind such a row.
#[must_use]
pub fn opens(before: Option<(UserId, i64)>, author: UserId, at: i64, zone: Zone) -> Opens {
    let day = |at: i64| Moment::at(at, zone(at)).day;
    match before {
        Some((_, before_at)) if day(before_at) != day(at) => Opens::Day,
        Some((before_author, before_at))
            if before_author == author && (at - before_at).abs() <= GROUP_MS_MAX =>
        {
            Opens::Nothing
        }
        Some(_) => Opens::Group,
        None => Opens::Day,
    }
}

/// Sets what begins with each row, and with this one, by its number, what is new; only those that
/// change tell anybody.
pub(super) fn regroup(rows: &[Row], zone: Zone, first_new: Option<(u64, u64)>) {
    let (mut before, mut length) = (None, 0);
    let mut name_before = None;
    for row in rows {
        let (author, at) = (row.author.get_untracked(), row.at.get_untracked());
        let name = row.name.get_untracked();
        let opens = match opens(before, author, at, zone) {
            Opens::Nothing if length >= GROUP_ROWS_MIN && is_round(row) => Opens::Group,
            // A group has one name above it: who is called otherwise now begins the next.
            Opens::Nothing if name_before.as_ref() != Some(&name) => Opens::Group,
            opens => opens,
        };
        let opens = match (opens, first_new) {
            (Opens::Day, Some((number, count))) if number == row.number => Opens::NewDay(count),
            (_, Some((number, count))) if number == row.number => Opens::New(count),
            (opens, _) => opens,
        };
        length = if opens == Opens::Nothing { length + 1 } else { 1 };
        if row.opens.get_untracked() != opens {
            row.opens.set(opens);
        }
        before = Some((author, at));
        name_before = Some(name);
    }
}

fn is_round(row: &Row) -> bool {
    row.seq().is_some_and(|seq| seq.is_multiple_of(GROUP_ROWS))
}

#[cfg(test)]
mod tests {
    use protocol::bounded::Text;
    use protocol::ids::OpId;
    use protocol::model::{Me, Rank};

    use super::*;

    const MEI: UserId = UserId::from_bytes([1; 16]);
    const ADA: UserId = UserId::from_bytes([2; 16]);
    const NOON: i64 = 12 * 60 * 60 * 1_000;

    fn utc(_at: i64) -> i64 {
        0
    }

    fn kolkata(_at: i64) -> i64 {
        330
    }

    #[test]
    fn one_author_within_five_minutes_is_one_group() {
        let before = Some((MEI, NOON));
        assert_eq!(opens(None, MEI, NOON, utc), Opens::Day);
        assert_eq!(opens(before, MEI, NOON + GROUP_MS_MAX, utc), Opens::Nothing);
        assert_eq!(opens(before, MEI, NOON + GROUP_MS_MAX + 1, utc), Opens::Group);
        assert_eq!(opens(before, ADA, NOON + 1, utc), Opens::Group);
    }

    #[test]
    fn who_is_called_otherwise_begins_a_group_under_his_new_name() {
        let row = |number: u64, name: &str| {
            let (id, name) = (OpId::from_bytes([9; 16]), Text::cut(name));
            let me = Me { id: MEI, name, rank: Rank::Guest };
            Row::pending(number, id, "text", Some(&me), NOON)
        };
        let rows = ["Mei", "Mei", "Harbour master", "Harbour master"];
        let rows: Vec<Row> = (0..).zip(rows).map(|(number, name)| row(number, name)).collect();
        regroup(&rows, utc, None);
        let opened: Vec<Opens> = rows.iter().map(|row| row.opens.get_untracked()).collect();
        assert_eq!(opened, [Opens::Day, Opens::Nothing, Opens::Group, Opens::Nothing]);
    }

    #[test]
    fn a_day_begins_at_the_midnight_of_the_reader() {
        let (evening, later) = (NOON + 6 * 60 * 60 * 1_000, NOON + 7 * 60 * 60 * 1_000);
        assert_eq!(opens(Some((MEI, evening)), MEI, later, utc), Opens::Group);
        assert_eq!(opens(Some((MEI, evening)), MEI, later, kolkata), Opens::Day);
    }
}
