//! From a moment in Unix milliseconds to what a clock and a calendar on the wall show.
//!
//! Messages and day lines call it. The server knows no visitor's time zone and draws UTC; the
//! browser hydrates the page as it was drawn and shows his own zone from then on. The law: time is
//! for showing only, nothing is ordered by it.

use leptos::prelude::*;

use crate::browser::{Hydrated, zone_minutes};
use crate::text::{PageLanguage, language};

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// A moment on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Days since 1 January 1970.
    pub day: i64,
    /// Minutes since midnight.
    pub minute: i64,
}

impl Moment {
    /// The moment `at_ms`, in the visitor's zone once the page may show it.
    #[must_use]
    pub fn shown(at_ms: i64) -> Self {
        let hydrated = use_context::<Hydrated>().is_some_and(|hydrated| hydrated.0.get());
        Self::at(at_ms, if hydrated { zone_minutes(at_ms) } else { 0 })
    }

    /// The moment `at_ms` in a zone so many minutes east of Greenwich.
    #[must_use]
    pub const fn at(at_ms: i64, zone_minutes: i64) -> Self {
        let minutes = at_ms.div_euclid(MINUTE_MS).saturating_add(zone_minutes);
        Self { day: minutes.div_euclid(DAY_MINUTES), minute: minutes.rem_euclid(DAY_MINUTES) }
    }

    /// Hours and minutes, as in `09:05`, in the digits of the page's language.
    #[must_use]
    pub fn clock(self) -> String {
        language().digits(&format!("{:02}:{:02}", self.minute / 60, self.minute % 60))
    }

    /// The day in words, as in `Friday, 21 November`.
    #[must_use]
    pub fn day_words(self) -> String {
        let language = language();
        let (_, month, day_of_month) = self.date();
        let (weekdays, months) = names(language);
        // 1 January 1970 was a Thursday; the lists begin with Monday and January.
        let weekday = pick(&weekdays, (self.day + 3).rem_euclid(7));
        let comma = if language == PageLanguage::Arabic { "،" } else { "," };
        let day_of_month = language.digits(&day_of_month.to_string());
        format!("{weekday}{comma} {day_of_month} {}", pick(&months, month - 1))
    }

    /// The day as a machine reads it, as in `2026-11-21`.
    #[must_use]
    pub fn day_stamp(self) -> String {
        let (year, month, day) = self.date();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Year, month and day of the month in the Gregorian calendar, after Howard Hinnant's
    /// `civil_from_days` (howardhinnant.github.io/date_algorithms.html): years begin in March.
    const fn date(self) -> (i64, i64, i64) {
        let shifted = self.day + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + era * 400;
        (if month <= 2 { year + 1 } else { year }, month, day)
    }
}

/// A moment as `<time datetime>` wants it, always in UTC, as in `2026-11-21T09:05Z`.
#[must_use]
pub fn stamp(at_ms: i64) -> String {
    let moment = Moment::at(at_ms, 0);
    format!("{}T{:02}:{:02}Z", moment.day_stamp(), moment.minute / 60, moment.minute % 60)
}

fn pick<'a>(names: &[&'a str], index: i64) -> &'a str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

const fn names(language: PageLanguage) -> ([&'static str; 7], [&'static str; 12]) {
    match language {
        PageLanguage::English => (
            ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
            [
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ],
        ),
        PageLanguage::Arabic => (
            ["الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت", "الأحد"],
            [
                "يناير",
                "فبراير",
                "مارس",
                "أبريل",
                "مايو",
                "يونيو",
                "يوليو",
                "أغسطس",
                "سبتمبر",
                "أكتوبر",
                "نوفمبر",
                "ديسمبر",
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_what_the_wall_shows_there() {
        let noon = 1_795_262_700_000; // 2026-11-21T12:05Z
        assert_eq!(stamp(noon), "2026-11-21T12:05Z");
        assert_eq!(Moment::at(noon, 330).clock(), "17:35");
        assert_eq!(Moment::at(noon, 0).day_words(), "Saturday, 21 November");
        assert_eq!(Moment::at(noon, 12 * 60).day_words(), "Sunday, 22 November");
    }

    #[test]
    fn days_before_1970_and_leap_days_are_right() {
        assert_eq!(stamp(-60_000), "1969-12-31T23:59Z");
        assert_eq!(stamp(951_782_400_000), "2000-02-29T00:00Z");
    }
}
