//! The task of one connection: it waits, does what it was woken for, and lingers at the end.
//!
//! Started by `socket::upgrade` once the stream is its own. Its law: while it does something
//! its outlet still writes; it is over when the last byte is out, the client is gone, or a write failed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use protocol::close::CloseCode;
use tokio::task::consume_budget;
use tokio::time::timeout;

use super::connection::{Connection, Woken, drain, go_on};
use super::handshake::Upgraded;
use super::wire::{LINGER, Reading, Wire};
use super::{Engine, Held};
use crate::outlet::Outlet;
use crate::outlet::handle::OutletHandle;
use crate::resting::{Life, Resting, Work};
use crate::session::Caller;

/// Lets one upgraded socket live in a task of its own.
pub(super) fn start(engine: &Arc<Engine>, caller: Caller, held: Held, upgraded: Upgraded) {
    let Upgraded { wire, unread, is_spoken } = upgraded;
    if !is_spoken {
        return turn_away(wire, held, CloseCode::VERSION);
    }
    let outlet = Outlet::new(caller.user, engine.limits.rooms_per_socket);
    let outlet = OutletHandle::new(engine.hub.name_socket(), outlet, wire);
    let sockets_max = usize::try_from(engine.limits.sockets_per_user).unwrap_or(usize::MAX);
    match engine.hub.enter((caller.user, caller.sign_in), outlet.speaker(), sockets_max) {
        Err(_) => {
            tokio::spawn(async move {
                outlet.sink().turn_away(CloseCode::TOO_MANY_SOCKETS).await;
                drop(held);
            });
        }
        Ok(place) => {
            let (both, counted) = ((outlet, Reading::new(unread)), (place, held));
            let connection = Connection::new(Arc::clone(engine), caller, counted, both);
            tokio::spawn(Life::AtRest(Box::new(connection)));
        }
    }
}

/// Tells a client that is not let in why; he is counted until he is gone.
pub(super) fn turn_away(wire: Wire, held: Held, code: CloseCode) {
    tokio::spawn(async move {
        wire.turn_away(code).await;
        drop(held);
    });
}

impl Resting for Connection {
    type Woken = Option<Woken>;

    fn poll_woken(&mut self, context: &mut Context<'_>) -> Poll<Option<Woken>> {
        Self::poll_woken(self, context)
    }

    fn take_up(mut self: Box<Self>, woken: Option<Woken>) -> Work<Self> {
        Box::pin(async move {
            let Some(woken) = woken else {
                self.log_end();
                linger(self).await;
                return None;
            };
            alongside(&mut self, woken).await;
            // Who sends without end is not served without end.
            consume_budget().await;
            Some(self)
        })
    }
}

/// Does what the connection was woken for, while its outlet goes on writing and its reads go on: one
/// that stood still could hold the database's last reader, for which the work itself waits.
async fn alongside(connection: &mut Connection, woken: Woken) {
    let outlet = connection.outlet.clone();
    let engine = Arc::clone(&connection.engine);
    let mut fetches = connection.fetches.take();
    {
        let mut work = pin!(connection.take_up(woken));
        poll_fn(|context| {
            let done = work.as_mut().poll(context);
            if done.is_pending() {
                // What else it wants is looked at when the work is done.
                let _ = drain(&outlet, &*engine.clock, context);
                go_on(&mut fetches, context);
            }
            done
        })
        .await;
    }
    connection.fetches = fetches;
}

/// Ends a socket so that the client can read why: the last bytes go out, then it is read until the
/// client has closed too, each for a second at most. Meanwhile it is counted as before.
async fn linger(mut connection: Box<Connection>) {
    // A task that ends without a code (the client went) closes too: that drops the slots.
    connection.close(CloseCode::GOING_AWAY);
    // Nobody goes on with them: they give back what they hold of the database.
    connection.fetches = None;
    let outlet = &connection.outlet;
    let last_bytes = poll_fn(|context| match drain(outlet, &*connection.engine.clock, context) {
        Some(_) => Poll::Pending,
        None => Poll::Ready(()),
    });
    if timeout(LINGER, last_bytes).await.is_ok() {
        outlet.sink().linger().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlet::Outlet;

    /// What one idle connection holds beside its slots; `make measure` weighs all of it.
    #[test]
    fn an_idle_connection_is_small() {
        // With malloc's own word a piece of 528 bytes, as for 504 to 520.
        assert!(size_of::<Connection>() <= 472, "{}", size_of::<Connection>());
        assert!(size_of::<Outlet>() <= 72, "{}", size_of::<Outlet>());
        // A task's cell has 128 bytes with a future of at most 24.
        assert!(size_of::<Life<Connection>>() <= 24, "{}", size_of::<Life<Connection>>());
    }
}
