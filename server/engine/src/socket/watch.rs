//! Looks after everybody who is connected, whether he asks for anything or not.
//!
//! One task of the house. Its law: it looks every two seconds (a setting), by one short read for
//! each 512 sign-ins, and not at all while nobody is there; who is signed out or disabled is closed
//! by the code that says so; a store that has not answered for thirty seconds (another) is a reason
//! to send everybody away, each to come back at a moment of his own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Engine;
use super::connection::code_of;
use crate::history::{SignInHash, Unavailable};

/// A store that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was taken in may take to be answered when everybody is sent away.
const ANSWERS: Duration = Duration::from_secs(5);
/// Sign-ins that are asked about at once.
const ASKED_MAX: usize = 512;

/// The watch of one house.
pub struct Watch {
    engine: Arc<Engine>,
    absence: Absence,
    /// The last sign-in that was asked about: who is behind it is asked about next.
    asked_to: Option<SignInHash>,
}

/// Since when the store has not answered.
#[derive(Debug)]
struct Absence {
    /// How long nobody is sent away for it, in milliseconds.
    ms_max: i64,
    since: Option<i64>,
    is_told: bool,
}

/// What a look at the store means for who is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Stay,
    /// It is back, after everybody was sent away.
    WelcomeBack,
    SendAway,
}

impl Watch {
    /// A watch that has not looked yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        let absence = Absence::new(engine.limits.away_ms);
        Self { engine, absence, asked_to: None }
    }

    /// Looks again and again until the server stops. Should it panic, the house must end: nobody else
    /// looks.
    pub async fn live(mut self, mut stopping: watch::Receiver<bool>) {
        let looks = async {
            let every = Duration::from_millis(self.engine.limits.look_ms.into());
            loop {
                sleep(every).await;
                self.look().await;
            }
        };
        tokio::select! {
            biased;
            // Whoever dropped it wants no watch any more, either.
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
            () = looks => {}
        }
    }

    async fn look(&mut self) {
        let (engine, begun) = (Arc::clone(&self.engine), self.engine.clock.ticks_ms());
        if engine.hub.count() == 0 && !self.absence.is_on() {
            return;
        }
        let answers = timeout(PATIENCE, engine.history.answers()).await.unwrap_or(false);
        match self.absence.step(answers, begun, engine.clock.ticks_ms()) {
            Means::Stay => {}
            Means::WelcomeBack => {
                tracing::info!("the store answers again: everybody is welcome");
                engine.hub.welcome_back();
            }
            Means::SendAway => engine.hub.send_away(ANSWERS, &engine.limits.upgrades).await,
        }
        // A store that answers may be slow with this all the same: nobody is sent away for that.
        if answers && !matches!(timeout(PATIENCE, self.end_fallen()).await, Ok(Ok(()))) {
            tracing::warn!("who may still be here was not read in time: the next look goes on");
        }
    }

    /// Closes who may not be here any more; first those about whom the last look did not learn it.
    async fn end_fallen(&mut self) -> Result<(), Unavailable> {
        let Engine { hub, history, clock, .. } = &*self.engine;
        let mut all = hub.sign_ins();
        let asked = all.partition_point(|sign_in| Some(*sign_in) <= self.asked_to);
        all.rotate_left(asked);
        for asked in all.chunks(ASKED_MAX) {
            let fallen = history.fallen(asked, clock.unix_ms()).await?;
            self.asked_to = asked.last().copied();
            let code = |(sign_in, standing)| Some((sign_in, code_of(standing)?));
            hub.end(&fallen.into_iter().filter_map(code).collect());
        }
        self.asked_to = None;
        Ok(())
    }
}

impl Absence {
    fn new(ms_max: u32) -> Self {
        Self { ms_max: ms_max.into(), since: None, is_told: false }
    }

    const fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// A look that was begun then has ended now.
    fn step(&mut self, answers: bool, begun: i64, now: i64) -> Means {
        if answers {
            self.since = None;
            return if std::mem::take(&mut self.is_told) {
                Means::WelcomeBack
            } else {
                Means::Stay
            };
        }
        let since = *self.since.get_or_insert(begun);
        if now.saturating_sub(since) < self.ms_max {
            return Means::Stay;
        }
        if !std::mem::replace(&mut self.is_told, true) {
            let ms = now.saturating_sub(since);
            tracing::error!(ms, "the store does not answer: everybody is sent away");
        }
        // Again, too: somebody may have come in at the last moment.
        Means::SendAway
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    /// Two seconds from one look to the next; a look at a store that is away takes two more.
    fn looks(absence: &mut Absence, answers: bool, from: i64, count: i64) -> Vec<Means> {
        let at = (0..count).map(|number| from + number * 4_000);
        at.map(|at| absence.step(answers, at, if answers { at } else { at + 2_000 })).collect()
    }

    #[test]
    fn everybody_is_sent_away_after_thirty_seconds_without_a_store_and_not_before() {
        let mut absence = Absence::new(Limits::default().away_ms);
        assert_eq!(looks(&mut absence, true, 0, 3), [Means::Stay; 3]);
        assert!(!absence.is_on(), "nobody need be asked for");
        assert_eq!(looks(&mut absence, false, 100_000, 7), [Means::Stay; 7], "up to 126,000");
        assert_eq!(absence.step(false, 127_999, 129_999), Means::Stay);
        assert_eq!(absence.step(false, 128_000, 130_000), Means::SendAway);
        assert_eq!(looks(&mut absence, false, 132_000, 3), [Means::SendAway; 3]);
        assert!(absence.is_on(), "its end is looked for though nobody is there");
        assert_eq!(looks(&mut absence, true, 200_000, 2), [Means::WelcomeBack, Means::Stay]);
    }

    #[test]
    fn a_store_that_answers_now_and_then_sends_nobody_away() {
        let mut absence = Absence::new(Limits::default().away_ms);
        for round in 0..10 {
            let from = round * 40_000;
            assert_eq!(looks(&mut absence, false, from, 7), [Means::Stay; 7]);
            assert_eq!(looks(&mut absence, true, from + 28_000, 1), [Means::Stay]);
        }
    }
}
