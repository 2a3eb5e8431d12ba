//! A task that is small while it waits: one pointer, and no future of what it does now and then.
//!
//! The task of every connection and of every log is one. Its law: what waits is polled in its place;
//! what is done is a future made for it, which takes the whole along and gives it back; so nobody
//! pays at rest for the longest thing that he may ever do.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Something done, which gives back who did it; nothing at the end of his life.
pub type Work<T> = Pin<Box<dyn Future<Output = Option<Box<T>>> + Send>>;

/// Who waits, and now and then does something.
pub trait Resting: Send + Sized + 'static {
    /// What he was woken for.
    type Woken;

    /// Waits for the next thing to do.
    fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<Self::Woken>;

    /// Does it.
    fn take_up(self: Box<Self>, woken: Self::Woken) -> Work<Self>;
}

/// A life, to be spawned.
pub enum Life<T: Resting> {
    /// He waits.
    AtRest(Box<T>),
    /// He does something.
    AtWork(Work<T>),
    /// It is over.
    Over,
}

impl<T: Resting> Future for Life<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            *self = match std::mem::replace(&mut *self, Self::Over) {
                Self::Over => return Poll::Ready(()),
                Self::AtRest(mut one) => match one.poll_woken(context) {
                    Poll::Ready(woken) => Self::AtWork(one.take_up(woken)),
                    Poll::Pending => {
                        *self = Self::AtRest(one);
                        return Poll::Pending;
                    }
                },
                Self::AtWork(mut work) => match work.as_mut().poll(context) {
                    Poll::Ready(one) => one.map_or(Self::Over, Self::AtRest),
                    Poll::Pending => {
                        *self = Self::AtWork(work);
                        return Poll::Pending;
                    }
                },
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Countdown(u32);

    impl Resting for Countdown {
        type Woken = u32;

        fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<u32> {
            context.waker().wake_by_ref();
            self.0 = self.0.saturating_sub(1);
            if self.0.is_multiple_of(2) { Poll::Ready(self.0) } else { Poll::Pending }
        }

        fn take_up(self: Box<Self>, woken: u32) -> Work<Self> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                (woken > 0).then_some(self)
            })
        }
    }

    #[tokio::test]
    async fn a_life_waits_and_works_until_it_is_over() {
        Life::AtRest(Box::new(Countdown(9))).await;
    }

    #[test]
    fn a_life_at_rest_is_a_pointer_and_what_it_is() {
        assert_eq!(size_of::<Life<Countdown>>(), 3 * size_of::<usize>());
    }
}
