//! Why a connection ends, and what the client does then: one rule instead of a list.
//!
//! 1xxx and 4000 to 4499: come back. 4500 to 4999: do not. An unknown code below 4500 is one to
//! come back from. Reasons are at most 123 bytes (RFC 6455, 5.5) and hold no internal detail.

use crate::limits::AWAY_MS_MIN;

/// A close code of RFC 6455 or of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

/// What a client does after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A newer socket took over: nothing.
    Done,
    /// Back after the growing, random delay.
    Backoff,
    /// Back at once.
    Now,
    /// Back within so many milliseconds, at random.
    Soon {
        /// The longest wait.
        ms_max: u32,
    },
    /// Back after the growing, random delay, but not before so many milliseconds.
    Later {
        /// The shortest wait.
        ms_min: u32,
    },
    /// Never by itself: the user is shown the one thing that helps.
    Stop,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $fate:expr, $reason:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// What the client does.
            #[must_use]
            pub const fn fate(self) -> Fate {
                match self.0 {
                    $($code => $fate,)*
                    4500..=4999 => Fate::Stop,
                    _ => Fate::Backoff,
                }
            }

            /// What stands in the close frame; empty for a code that is not ours.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

codes! {
    /// The page left. Who stays and hears it, as from a proxy, has lost his connection.
    NORMAL = 1000, Fate::Backoff, "done";
    /// The tab or the server goes away.
    GOING_AWAY = 1001, Fate::Backoff, "going away";
    /// The WebSocket protocol was broken.
    PROTOCOL = 1002, Fate::Backoff, "protocol error";
    /// A text message on the binary sub-protocol.
    NOT_BINARY = 1003, Fate::Backoff, "binary messages only";
    /// The reason of a close frame was not UTF-8.
    NOT_UTF8 = 1007, Fate::Backoff, "not UTF-8";
    /// A message of more than 64 KiB.
    TOO_BIG = 1009, Fate::Backoff, "message too big";
    /// A bug of the server.
    INTERNAL = 1011, Fate::Backoff, "internal error";
    /// The server restarts.
    RESTART = 1012, Fate::Backoff, "restarting";
    /// Overload, or no database.
    TRY_LATER = 1013, Fate::Later { ms_min: AWAY_MS_MIN }, "try again later";
    /// No `Hello` in five seconds.
    NO_HELLO = 4001, Fate::Backoff, "no hello";
    /// The third bad frame.
    BAD_FRAMES = 4002, Fate::Backoff, "bad frames";
    /// A frame before `Hello`, or a second `Hello`.
    OUT_OF_TURN = 4003, Fate::Backoff, "hello comes first, once";
    /// The socket did not take what it was sent.
    SLOW = 4008, Fate::Soon { ms_max: 2_000 }, "too slow";
    /// Nothing was heard for 30 seconds.
    SILENT = 4009, Fate::Now, "no sign of life";
    /// A position was lost.
    POSITION_LOST = 4010, Fate::Now, "position lost";
    /// Refusals for sending too fast were ignored.
    RATE = 4011, Fate::Later { ms_min: 5_000 }, "too fast";
    /// Whether a commit happened is not known; sending again will tell.
    COMMIT_UNKNOWN = 4012, Fate::Soon { ms_max: 1_000 }, "outcome unknown";
    /// A newer socket of the same page took over.
    REPLACED = 4014, Fate::Done, "replaced";
    /// The sign-in was revoked or has expired.
    SIGNED_OUT = 4500, Fate::Stop, "signed out";
    /// The account was disabled.
    DISABLED = 4501, Fate::Stop, "account disabled";
    /// The protocol's version is not spoken here.
    VERSION = 4502, Fate::Stop, "version not spoken";
    /// The user has too many sockets open.
    TOO_MANY_SOCKETS = 4503, Fate::Stop, "too many connections";
    /// A policy of this server.
    POLICY = 4504, Fate::Stop, "not allowed";
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_code_alone_says_whether_to_come_back() {
        assert_eq!(CloseCode(4321).fate(), Fate::Backoff);
        assert_eq!(CloseCode(4999).fate(), Fate::Stop);
        assert_eq!(CloseCode(1006).fate(), Fate::Backoff);
        assert_eq!(CloseCode::NORMAL.fate(), Fate::Backoff);
        assert_eq!(CloseCode::SILENT.fate(), Fate::Now);
    }
}
