//! What is shown of the connection: nothing, until there were two seconds of trouble.
//!
//! Fed by the machine's `Standing` and by the page's clock. Its law: quiet and honest; a blink of
//! the network is not shown, a stop for good is shown at once.

use leptos::prelude::ArcRwSignal;
use protocol::client::exchange::Stop;

/// How the connection stands.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// What the pill says.
    pub pill: ArcRwSignal<Pill>,
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
