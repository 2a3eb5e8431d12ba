//! One sweep at a time for the whole house, whoever asks.
//!
//! Asked by log tasks through `Rooms::sweep`: what one commit left unsaid is found by up to 256 logs
//! in one moment. Its law: one sweep is under way, and one at most is to follow it; who asks gets the
//! answer of one that began after he asked; it is a task of its own, so that nobody who goes takes
//! the others' sweep along.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::sync::oneshot;

use crate::history::Later;

/// The sweeps of one house.
#[derive(Default)]
pub(super) struct Sweeps(Mutex<State>);

#[derive(Default)]
struct State {
    is_under_way: bool,
    /// The one that has not begun.
    next: Option<Next>,
}

/// A sweep that some have asked for: how it is said that it is over, and how they hear of it.
struct Next {
    over: oneshot::Sender<bool>,
    heard: Shared<oneshot::Receiver<bool>>,
}

impl Sweeps {
    /// Whether the store answered the next sweep that begins, which is `sweep` where none is under
    /// way.
    pub(super) fn ask(
        self: &Arc<Self>,
        sweep: impl Fn() -> Later<'static, bool> + Send + Sync + 'static,
    ) -> Later<'static, bool> {
        let (heard, begins) = {
            let mut state = self.state();
            let heard = state.next.get_or_insert_with(Next::new).heard.clone();
            (heard, !std::mem::replace(&mut state.is_under_way, true))
        };
        if begins {
            tokio::spawn(Arc::clone(self).go_on(sweep));
        }
        Box::pin(async move { heard.await.unwrap_or(false) })
    }

    /// Sweeps until nobody has asked since the last one began.
    async fn go_on(self: Arc<Self>, sweep: impl Fn() -> Later<'static, bool>) {
        while let Some(over) = self.begin() {
            // A panic is a failure of this one: the next must still be made.
            let swept = AssertUnwindSafe(sweep()).catch_unwind().await;
            // Who asked may be gone.
            let _ = over.send(swept.unwrap_or(false));
        }
    }

    /// Begins the next one, if there is one: who asks from now on asks for another.
    fn begin(&self) -> Option<oneshot::Sender<bool>> {
        let mut state = self.state();
        let next = state.next.take();
        state.is_under_way = next.is_some();
        next.map(|next| next.over)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one that cannot panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Next {
    fn new() -> Self {
        let (over, heard) = oneshot::channel();
        Self { over, heard: heard.shared() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::sync::Semaphore;
    use tokio::time::sleep;

    use super::*;

    /// Sweeps that end when they are let.
    struct House {
        sweeps: Arc<Sweeps>,
        begun: Arc<AtomicUsize>,
        ends: Arc<Semaphore>,
    }

    impl House {
        fn new() -> Self {
            let ends = Arc::new(Semaphore::new(0));
            Self { sweeps: Arc::default(), begun: Arc::default(), ends }
        }

        fn ask(&self) -> Later<'static, bool> {
            let (begun, ends) = (Arc::clone(&self.begun), Arc::clone(&self.ends));
            self.sweeps.ask(move || {
                let (begun, ends) = (Arc::clone(&begun), Arc::clone(&ends));
                Box::pin(async move {
                    begun.fetch_add(1, Ordering::Relaxed);
                    ends.acquire().await.unwrap().forget();
                    true
                })
            })
        }

        /// How many have begun once all is done that can be.
        async fn begun(&self) -> usize {
            sleep(Duration::from_millis(20)).await;
            self.begun.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn who_asks_while_a_sweep_is_under_way_shares_the_next_with_all_who_do() {
        let house = House::new();
        let first = house.ask();
        assert_eq!(house.begun().await, 1);
        let mut others = join_all((0..256).map(|_| house.ask()));
        assert_eq!(house.begun().await, 1, "one at a time");
        house.ends.add_permits(1);
        assert!(first.await);
        assert_eq!(house.begun().await, 2);
        assert!((&mut others).now_or_never().is_none(), "the first began before they asked");
        let last = house.ask();
        house.ends.add_permits(2);
        assert!(others.await.into_iter().all(|is_answered| is_answered));
        assert!(last.await);
        assert_eq!(house.begun().await, 3);
        drop(house.ask());
        assert_eq!(house.begun().await, 4, "and at once where none is");
    }

    #[tokio::test]
    async fn who_goes_takes_no_sweep_along() {
        let house = House::new();
        let goes = tokio::spawn(house.ask());
        assert_eq!(house.begun().await, 1);
        let (goes_too, stays) = (tokio::spawn(house.ask()), house.ask());
        goes.abort();
        goes_too.abort();
        house.ends.add_permits(2);
        assert!(stays.await);
        assert_eq!(house.begun().await, 2);
    }

    #[tokio::test]
    async fn a_sweep_that_panics_fails_and_the_next_one_is_made() {
        let house = House::new();
        house.ends.add_permits(1);
        let broken = house.sweeps.ask(|| Box::pin(async { panic!("a bug") }));
        assert!(!broken.await);
        assert_eq!(house.begun().await, 0);
        assert!(house.ask().await);
    }
}
