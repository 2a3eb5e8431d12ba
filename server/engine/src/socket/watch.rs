//! Looks after everybody who is connected, whether he asks for anything or not.
//!
//! One task of the house. Its law: it looks every two seconds (a setting), by one short read for
//! each 512 sign-ins, and not at all while nobody is there; who is signed out or disabled is closed
//! by the code that says so; a store that has not answered for thirty seconds (another), or not told
//! for sixty who that is (a third), is a reason to send everybody away, each to come back at a moment
//! of his own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Engine;
use super::connection::code_of;
use crate::config::Limits;
use crate::history::SignInHash;

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

/// Since when the store has been away, or as good as that.
#[derive(Debug)]
struct Absence {
    silent: Lack,
    /// It may answer all the same; but who was signed out or disabled stays meanwhile.
    untold: Lack,
    is_told: bool,
}

/// Since when there is something missing.
#[derive(Debug)]
struct Lack {
    /// How long nobody is sent away for it, in milliseconds.
    ms_max: i64,
    since: Option<i64>,
}

/// What a look at the store found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It does not answer.
    Nothing,
    /// It does, but does not tell who may still be here.
    AnAnswer,
    Everything,
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
        let absence = Absence::new(&engine.limits);
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
        let found = if !answers {
            Found::Nothing
        } else if self.end_fallen().await {
            Found::Everything
        } else {
            Found::AnAnswer
        };
        match self.absence.step(found, begun, engine.clock.ticks_ms()) {
            Means::Stay => {}
            Means::WelcomeBack => {
                tracing::info!("the store answers again: everybody is welcome");
                engine.hub.welcome_back();
            }
            Means::SendAway => engine.hub.send_away(ANSWERS, &engine.limits.upgrades).await,
        }
    }

    /// Closes who may not be here any more; first those about whom the last look did not learn it.
    /// `false` where it learned nothing of anybody.
    async fn end_fallen(&mut self) -> bool {
        let Engine { hub, history, clock, .. } = &*self.engine;
        let mut all = hub.sign_ins();
        let asked = all.partition_point(|sign_in| Some(*sign_in) <= self.asked_to);
        all.rotate_left(asked);
        if all.is_empty() {
            // Whether it tells is to be learned while everybody is away, too: of one who never was.
            all.push(SignInHash::of(b""));
        }
        let (until, mut has_learned) = (Instant::now() + PATIENCE, false);
        for asked in all.chunks(ASKED_MAX) {
            let asking = timeout_at(until, history.fallen(asked, clock.unix_ms())).await;
            let Ok(Ok(fallen)) = asking else {
                tracing::warn!("who may still be here was not read in time: the next look goes on");
                return has_learned;
            };
            has_learned = true;
            self.asked_to = asked.last().copied();
            let code = |(sign_in, standing)| Some((sign_in, code_of(standing)?));
            hub.end(&fallen.into_iter().filter_map(code).collect());
        }
        self.asked_to = None;
        true
    }
}

impl Lack {
    fn new(ms_max: u32) -> Self {
        Self { ms_max: ms_max.into(), since: None }
    }

    /// Whether it lasts too long, after a look that was begun then has ended now.
    fn is_over(&mut self, is_there: bool, begun: i64, now: i64) -> bool {
        if is_there {
            self.since = None;
            return false;
        }
        now.saturating_sub(*self.since.get_or_insert(begun)) >= self.ms_max
    }
}

impl Absence {
    fn new(limits: &Limits) -> Self {
        let (silent, untold) = (Lack::new(limits.away_ms), Lack::new(limits.untold_ms));
        Self { silent, untold, is_told: false }
    }

    /// Whether anything was missing at the last look, or everybody is away.
    const fn is_on(&self) -> bool {
        self.is_told || self.untold.since.is_some()
    }

    /// A look that was begun then has ended now.
    fn step(&mut self, found: Found, begun: i64, now: i64) -> Means {
        let is_silent = self.silent.is_over(found != Found::Nothing, begun, now);
        let is_untold = self.untold.is_over(found == Found::Everything, begun, now);
        if is_silent || is_untold {
            if !std::mem::replace(&mut self.is_told, true) {
                tracing::error!(
                    is_silent,
                    is_untold,
                    "no store to serve by: everybody is sent away"
                );
            }
            // Again, too: somebody may have come in at the last moment.
            return Means::SendAway;
        }
        if found == Found::Everything && std::mem::take(&mut self.is_told) {
            return Means::WelcomeBack;
        }
        Means::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::Found::{AnAnswer, Everything, Nothing};
    use super::*;

    /// Two seconds from one look to the next; a look that finds something missing takes two more.
    fn looks(absence: &mut Absence, found: Found, from: i64, count: i64) -> Vec<Means> {
        let at = (0..count).map(|number| from + number * 4_000);
        let ends = |at| if found == Everything { at } else { at + 2_000 };
        at.map(|at| absence.step(found, at, ends(at))).collect()
    }

    #[test]
    fn everybody_is_sent_away_after_thirty_seconds_without_a_store_and_not_before() {
        let mut absence = Absence::new(&Limits::default());
        assert_eq!(looks(&mut absence, Everything, 0, 3), [Means::Stay; 3]);
        assert!(!absence.is_on(), "nobody need be asked for");
        assert_eq!(looks(&mut absence, Nothing, 100_000, 7), [Means::Stay; 7], "up to 126,000");
        assert_eq!(absence.step(Nothing, 127_999, 129_999), Means::Stay);
        assert_eq!(absence.step(Nothing, 128_000, 130_000), Means::SendAway);
        assert_eq!(looks(&mut absence, Nothing, 132_000, 3), [Means::SendAway; 3]);
        assert!(absence.is_on(), "its end is looked for though nobody is there");
        assert_eq!(looks(&mut absence, AnAnswer, 150_000, 2), [Means::Stay; 2], "nor welcome yet");
        let back = looks(&mut absence, Everything, 200_000, 2);
        assert_eq!(back, [Means::WelcomeBack, Means::Stay]);
    }

    #[test]
    fn a_store_that_answers_and_does_not_tell_who_may_stay_is_away_after_sixty_seconds() {
        let mut absence = Absence::new(&Limits::default());
        assert_eq!(looks(&mut absence, AnAnswer, 100_000, 15), [Means::Stay; 15], "up to 158,000");
        assert_eq!(looks(&mut absence, AnAnswer, 160_000, 2), [Means::SendAway; 2]);
        assert!(absence.is_on());
        assert_eq!(looks(&mut absence, Everything, 170_000, 1), [Means::WelcomeBack]);
        assert!(!absence.is_on());
    }

    #[test]
    fn a_store_that_answers_now_and_then_sends_nobody_away() {
        let mut absence = Absence::new(&Limits::default());
        for round in 0..10 {
            let from = round * 40_000;
            assert_eq!(looks(&mut absence, Nothing, from, 7), [Means::Stay; 7]);
            assert_eq!(looks(&mut absence, Everything, from + 28_000, 1), [Means::Stay]);
        }
    }
}
