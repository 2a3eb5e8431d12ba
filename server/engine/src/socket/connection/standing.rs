//! Whether who is at the other end may still be there.
//!
//! Part of the connection's task, which asks before it reads what is stored for him, and once an hour;
//! for who asks for nothing, the watch does. Its law: who is signed out or disabled is closed by a code that says so; to ask writes nothing,
//! and that a use cannot be noted keeps nobody from reading.

use protocol::close::CloseCode;

use super::{Connection, patiently};
use crate::history::Standing;

/// How long who asks for what is stored is believed to stand as he was found: a page that comes back
/// asks for all its rooms in this time.
const BELIEVED_FOR_MS: i64 = 2_000;

impl Connection {
    /// Notes that who is here is, and ends it where he may not be.
    pub(super) async fn note_use(&mut self) -> bool {
        let now = self.engine.clock.unix_ms();
        match patiently(self.engine.history.note_use(self.session.caller().sign_in, now)).await {
            Ok(standing) => self.stands(standing),
            Err(fault) => {
                // A full disk takes no note, and still everybody reads on.
                tracing::warn!(%fault, "that a sign-in is in use was not noted");
                true
            }
        }
    }

    /// Whether who asks for what is stored may still be here; to ask that writes nothing.
    pub(super) async fn may_read(&mut self) -> bool {
        if self.now() < self.believed_until {
            return true;
        }
        let now = self.engine.clock.unix_ms();
        match patiently(self.engine.history.standing(self.session.caller().sign_in, now)).await {
            Ok(standing) => self.stands(standing),
            Err(fault) => {
                self.unavailable(&fault);
                false
            }
        }
    }

    fn stands(&mut self, standing: Standing) -> bool {
        let ends = code_of(standing);
        match ends {
            None => self.believed_until = self.now().saturating_add(BELIEVED_FOR_MS),
            Some(code) => self.close(code),
        }
        ends.is_none()
    }
}

/// By which code somebody is closed who stands so; nothing for who may stay.
pub(in crate::socket) const fn code_of(standing: Standing) -> Option<CloseCode> {
    match standing {
        Standing::Good => None,
        Standing::SignedOut => Some(CloseCode::SIGNED_OUT),
        Standing::Disabled => Some(CloseCode::DISABLED),
    }
}
