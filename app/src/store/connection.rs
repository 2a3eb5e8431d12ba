//! What is shown of the connection: nothing, until there were two seconds of trouble.
//!
//! Fed by the machine's `Standing` and by the page's clock. Its law: quiet and honest; a blink of
//! the network is not shown, a stop for good is shown at once.

use std::sync::{Arc, Mutex, PoisonError};

use leptos::prelude::{ArcRwSignal, GetUntracked, With};
use protocol::client::exchange::{Standing, Stop};

use super::set;

/// Milliseconds of trouble before anything is shown of it.
const PATIENCE_MS: i64 = 2_000;

/// How the connection stands; a clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// What the pill says.
    pub pill: ArcRwSignal<Pill>,
    /// Whether all is read and events come as they happen.
    pub live: ArcRwSignal<bool>,
    /// Something was asked for that only the server has, and it was not there: says so until it is.
    pub missed: ArcRwSignal<bool>,
    trouble: Arc<Mutex<Trouble>>,
}

/// The pill in the status slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Pill {
    /// No pill.
    #[default]
    Hidden,
    /// The next try comes in so many seconds; 0 while it is under way. Has the button *Retry now*.
    Reconnecting {
        /// Whole seconds, rounded up.
        seconds: u32,
    },
    /// There is no network; messages wait on this device.
    Offline,
    /// Connected again; what was missed is being read.
    Updating,
    /// No try will be made; says why and what helps.
    Stopped(Stop),
}

#[derive(Debug, Default)]
struct Trouble {
    standing: Standing,
    since: Option<i64>,
}

impl Connection {
    /// Whether the server is known to be away; tracked.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.pill.with(|pill| matches!(pill, Pill::Reconnecting { .. } | Pill::Offline))
    }

    /// The connection stands otherwise now.
    pub(super) fn stands(&self, standing: Standing, now: i64) {
        {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            let well = matches!(standing, Standing::Idle | Standing::Live);
            trouble.since = if well { None } else { trouble.since.or(Some(now)) };
            set(&self.live, standing == Standing::Live);
            trouble.standing = standing;
        }
        if self.live.get_untracked() {
            set(&self.missed, false);
        }
        self.show(now);
    }

    /// Shows what is to be shown at this time; gives the time at which that changes by itself.
    pub(super) fn show(&self, now: i64) -> Option<i64> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (pill, next) = trouble.pill(now);
        drop(trouble);
        set(&self.pill, pill);
        next
    }
}

impl Trouble {
    fn pill(&self, now: i64) -> (Pill, Option<i64>) {
        if let Standing::Stopped(stop) = &self.standing {
            let pill = match stop {
                Stop::Replaced => Pill::Hidden,
                stop => Pill::Stopped(stop.clone()),
            };
            return (pill, None);
        }
        let Some(since) = self.since else { return (Pill::Hidden, None) };
        if now - since < PATIENCE_MS {
            return (Pill::Hidden, Some(since + PATIENCE_MS));
        }
        match self.standing {
            Standing::Offline => (Pill::Offline, None),
            Standing::Syncing => (Pill::Updating, None),
            Standing::Waiting { until } if until > now => {
                let seconds = (until - now + 999) / 1_000;
                let next = until - (seconds - 1) * 1_000;
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                (Pill::Reconnecting { seconds }, Some(next))
            }
            _ => (Pill::Reconnecting { seconds: 0 }, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blink_of_the_network_is_not_shown() {
        let connection = Connection::default();
        connection.stands(Standing::Live, 0);
        connection.stands(Standing::Waiting { until: 400 }, 0);
        assert_eq!(connection.show(1_999), Some(2_000));
        assert_eq!(connection.pill.get_untracked(), Pill::Hidden);
        connection.stands(Standing::Live, 1_999);
        connection.show(5_000);
        assert_eq!(connection.pill.get_untracked(), Pill::Hidden);
    }

    #[test]
    fn after_two_seconds_the_next_try_is_counted_down() {
        let connection = Connection::default();
        connection.stands(Standing::Waiting { until: 4_500 }, 0);
        assert_eq!(connection.show(2_000), Some(2_500));
        assert_eq!(connection.pill.get_untracked(), Pill::Reconnecting { seconds: 3 });
        assert_eq!(connection.show(2_500), Some(3_500));
        assert_eq!(connection.pill.get_untracked(), Pill::Reconnecting { seconds: 2 });
        connection.stands(Standing::Connecting, 4_500);
        assert_eq!(connection.pill.get_untracked(), Pill::Reconnecting { seconds: 0 });
        connection.stands(Standing::Syncing, 4_600);
        assert_eq!(connection.pill.get_untracked(), Pill::Updating);
        connection.stands(Standing::Live, 4_700);
        assert_eq!(connection.pill.get_untracked(), Pill::Hidden);
    }

    #[test]
    fn a_stop_is_shown_at_once_but_the_one_that_was_wished() {
        let connection = Connection::default();
        connection.stands(Standing::Stopped(Stop::Disabled), 0);
        assert_eq!(connection.pill.get_untracked(), Pill::Stopped(Stop::Disabled));
        connection.stands(Standing::Stopped(Stop::Replaced), 0);
        assert_eq!(connection.pill.get_untracked(), Pill::Hidden);
    }
}
