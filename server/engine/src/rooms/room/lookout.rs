//! When a log looks into the store though nobody hinted at anything.
//!
//! Part of the log's machine. What the store did not answer is asked again after a second. A commit
//! of unknown outcome may come to stand long after nobody waits for it (a slow disk, a connection
//! that was lost while a database still wrote): it is looked for at growing distances, for a minute.
//! Its law: time comes in as a number, and whoever asks again too early waits.

/// Milliseconds before the first of these looks.
const LOOK_AGAIN_MS: i64 = 1_000;
/// The longest distance between two looks for one commit.
const APART_MS_MAX: i64 = 32_000;

/// What a log waits for.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    /// When the store is asked again what it did not answer.
    again_at: Option<i64>,
    /// It did not answer a read: nothing is read before then.
    is_silent: bool,
    /// Other logs are looked into with the next look.
    is_wide: bool,
    /// A commit of unknown outcome may still come to stand; most logs never have one.
    doubt: Option<Box<Doubt>>,
}

#[derive(Debug)]
struct Doubt {
    /// When the next look is due; behind the last there is none.
    look_at: Option<i64>,
    /// How far behind the look before.
    distance: i64,
    /// A read that began behind the last look is under way: its answer ends the doubt.
    is_ending: bool,
}

impl Lookout {
    /// When the next look is due.
    pub(super) fn at(&self) -> Option<i64> {
        let doubt = self.doubt.as_ref().filter(|_| !self.is_silent);
        [self.again_at, doubt.and_then(|doubt| doubt.look_at)].into_iter().flatten().min()
    }

    /// Whether the store did not answer, and the time to ask again has not come.
    pub(super) const fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether a commit of unknown outcome may still come to stand.
    pub(super) const fn is_unsure(&self) -> bool {
        self.doubt.is_some()
    }

    /// The store did not answer, or answered what cannot be: it is let be for the whole of a second,
    /// whatever was to be asked sooner.
    pub(super) fn wait_for_store(&mut self, now: i64) {
        self.is_silent = true;
        self.again_at = Some(now.saturating_add(LOOK_AGAIN_MS));
    }

    /// The outcome of a commit is not known.
    pub(super) fn unsure(&mut self, now: i64) {
        let look_at = Some(now.saturating_add(LOOK_AGAIN_MS));
        self.doubt = Some(Box::new(Doubt { look_at, distance: LOOK_AGAIN_MS, is_ending: false }));
    }

    /// A read begins.
    pub(super) fn reads(&mut self) {
        if let Some(doubt) = &mut self.doubt {
            doubt.is_ending = doubt.look_at.is_none();
        }
    }

    /// The read is answered, and what it found is dealt with.
    pub(super) fn answered(&mut self) {
        self.doubt.take_if(|doubt| doubt.is_ending);
    }

    /// Other logs could not be looked into, and nobody else would.
    pub(super) fn unswept(&mut self, now: i64) {
        self.is_wide = true;
        self.ask_again(now);
    }

    /// There is a read to make which cannot be made now.
    pub(super) fn ask_again(&mut self, now: i64) {
        self.again_at.get_or_insert(now.saturating_add(LOOK_AGAIN_MS));
    }

    /// Whether a look is due, and then whether other logs are looked into, too.
    pub(super) fn due(&mut self, now: i64) -> Option<bool> {
        self.at().filter(|at| *at <= now)?;
        if self.again_at.is_some_and(|at| at <= now) {
            (self.again_at, self.is_silent) = (None, false);
        }
        self.doubt.iter_mut().for_each(|doubt| doubt.move_on(now));
        Some(std::mem::take(&mut self.is_wide))
    }
}

impl Doubt {
    /// Where this look is due, the next one is twice as far away, or there is none.
    fn move_on(&mut self, now: i64) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.distance = self.distance.saturating_mul(2);
            let next = now.saturating_add(self.distance);
            self.look_at = (self.distance <= APART_MS_MAX).then_some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_of_unknown_outcome_is_looked_for_for_a_minute() {
        let mut lookout = Lookout::default();
        lookout.unsure(0);
        let mut looks = Vec::new();
        while let Some(at) = lookout.at() {
            assert_eq!(lookout.due(at - 1), None, "it is not time yet");
            assert_eq!(lookout.due(at), Some(false));
            looks.push(at);
            lookout.reads();
            assert!(lookout.is_unsure(), "the read at {at} may find it");
            lookout.answered();
        }
        assert_eq!(looks, [1, 3, 7, 15, 31, 63].map(|at| at * 1_000));
        assert!(!lookout.is_unsure());
    }

    #[test]
    fn a_doubt_ends_with_the_answer_to_a_read_that_began_behind_its_last_look() {
        let mut lookout = Lookout::default();
        lookout.unsure(0);
        for at in [1_000, 3_000, 7_000, 15_000, 31_000] {
            assert!(lookout.due(at).is_some());
        }
        lookout.reads();
        assert!(lookout.due(63_000).is_some());
        lookout.ask_again(63_000);
        lookout.answered();
        assert!(lookout.is_unsure(), "it began before");
        assert!(lookout.due(64_000).is_some());
        lookout.reads();
        lookout.wait_for_store(64_000);
        assert!(lookout.is_unsure() && lookout.due(65_000).is_some(), "it was not answered");
        lookout.reads();
        lookout.unsure(65_000);
        lookout.answered();
        assert!(lookout.is_unsure(), "it began before another commit was lost");
    }

    #[test]
    fn a_store_that_did_not_answer_is_let_be_for_a_whole_second() {
        let mut lookout = Lookout::default();
        lookout.ask_again(0);
        lookout.wait_for_store(900);
        assert_eq!((lookout.due(1_899), lookout.due(1_900)), (None, Some(false)));
    }

    #[test]
    fn a_silent_store_is_asked_every_second_and_shortens_no_doubt() {
        let mut lookout = Lookout::default();
        lookout.unsure(0);
        for at in [1_000, 2_000, 3_000, 4_000, 5_000] {
            assert!(lookout.due(at).is_some());
            lookout.wait_for_store(at);
            lookout.unswept(at);
            assert_eq!(lookout.at(), Some(at + 1_000));
        }
        assert_eq!(lookout.due(6_000), Some(true), "the sweep is made with it");
        assert_eq!((lookout.is_silent(), lookout.at()), (false, Some(7_000)));
    }
}
