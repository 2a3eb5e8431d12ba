//! Secrets that prove who somebody is: made here, shown once, never printed.
//!
//! Used by the cookie, by the guest door and by the setup link. Its law: a secret has no `Debug`
//! that shows it, the store knows only its hash, and two are compared by their hashes, so that
//! the time it takes tells nothing.

use std::fmt;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::clock::Chance;
use crate::db::people::SignInHash;

/// `N` random bytes, written as twice as many hexadecimal digits in lower case.
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

/// What the cookie of a sign-in holds: 256 bits.
pub type SignInToken = Secret<32>;
/// What the setup link holds: 128 bits.
pub type SetupToken = Secret<16>;

impl<const N: usize> Secret<N> {
    /// Draws a new one.
    pub fn make(chance: &mut dyn Chance) -> Self {
        let mut bytes = [0; N];
        chance.fill(&mut bytes);
        Self(bytes)
    }

    /// Reads one as it was written; anything else is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() != N.checked_mul(2)? {
            return None;
        }
        let mut bytes = [0; N];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for digit in digits {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = (*byte << 4) | value;
            }
        }
        Some(Self(bytes))
    }

    /// The secret as text: for the cookie or the link it belongs into, and nowhere else.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.iter().fold(String::with_capacity(N.saturating_mul(2)), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether the two are the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Sha256::digest(self.0) == Sha256::digest(other.0)
    }
}

impl SignInToken {
    /// What the store knows of it.
    #[must_use]
    pub fn hash(&self) -> SignInHash {
        SignInHash::of(self.reveal().as_bytes())
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededChance;

    #[test]
    fn a_secret_is_read_back_and_shown_by_nothing_else() {
        let secret = SetupToken::make(&mut SeededChance::new(1));
        let text = secret.reveal();
        assert_eq!(text.len(), 32);
        assert!(SetupToken::read(&text).unwrap().is(&secret));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(!SetupToken::make(&mut SeededChance::new(2)).is(&secret));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let good = "0123456789abcdef0123456789abcdef";
        assert!(SetupToken::read(good).is_some());
        for wrong in ["", &good.to_uppercase(), &good.replace('0', "g"), &format!("{good}0")] {
            assert!(SetupToken::read(wrong).is_none(), "{wrong}");
        }
        assert!(SignInToken::read(good).is_none());
    }
}
