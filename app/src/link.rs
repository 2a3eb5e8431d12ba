//! How components talk to the machine that talks to the server.
//!
//! A `Link` is in context on every page. In the browser it leads to the socket's task, and to the
//! server's pages; on the server, and before hydration, it leads nowhere and everything is a plain
//! form. Its law: asking never waits and never fails; what comes of it shows in the `Store`.

use std::sync::Arc;

use futures_channel::mpsc::UnboundedSender;
use protocol::act::{Act, Op};
use protocol::client::exchange::Ask;
use protocol::ids::OpId;

use crate::first_page::Shown;

/// Told what a page shows; nothing where the server does not say that now.
pub type Then = Box<dyn FnOnce(Option<Shown>)>;

/// The way to the socket's task, or nowhere.
#[derive(Clone, Default)]
pub struct Link(Option<Ends>);

#[derive(Clone)]
struct Ends {
    asks: UnboundedSender<Ask>,
    make_op_id: Arc<dyn Fn() -> OpId + Send + Sync>,
    load: fn(String, Then),
}

impl Link {
    /// A link into this channel, with a maker of op ids and a reader of pages.
    pub fn new(
        asks: UnboundedSender<Ask>,
        make_op_id: impl Fn() -> OpId + Send + Sync + 'static,
        load: fn(String, Then),
    ) -> Self {
        Self(Some(Ends { asks, make_op_id: Arc::new(make_op_id), load }))
    }

    /// Asks what the page at this path shows.
    pub fn load(&self, path: String, then: Then) {
        if let Some(ends) = &self.0 {
            (ends.load)(path, then);
        }
    }

    /// Whether somebody is at the other end; else forms are sent as plain forms.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.0.is_some()
    }

    /// Asks for anything.
    pub fn ask(&self, ask: Ask) {
        if let Some(ends) = &self.0 {
            // The task on the other end lives as long as the page; after it nobody looks.
            let _ = ends.asks.unbounded_send(ask);
        }
    }

    /// Acts, and gives the id under which the store shows what came of it; nil where the link
    /// leads nowhere.
    pub fn act(&self, act: Act) -> OpId {
        let op_id = self.op_id();
        self.ask(Ask::Act(Op { op_id, act }));
        op_id
    }

    /// Tries a failed op again, and gives the id of its successor.
    pub fn retry(&self, failed: OpId) -> OpId {
        let op_id = self.op_id();
        self.ask(Ask::Retry { failed, op_id });
        op_id
    }

    fn op_id(&self) -> OpId {
        self.0.as_ref().map_or(OpId::NIL, |ends| (ends.make_op_id)())
    }
}
