//! The parts that pages are made of, each with a file of style under its own name.
//!
//! Pages put them together; they read the `Store` and speak through the `Link`, both in context.
//! Their law: both builds draw the same structure, everything that acts is a form that works
//! without a script, and no element carries a style of its own.

pub mod composer;
pub mod flag;
pub mod form;
pub mod header;
pub mod icon;
pub mod message;
pub mod messages;
pub mod sidebar;
pub mod status;

pub use composer::Composer;
pub use flag::Flag;
pub use header::Header;
pub use icon::{Icon, Sign, Sprite};
pub use messages::Messages;
pub use sidebar::Sidebar;
pub use status::{Afloat, Status};
