//! Who somebody is: by the cookie of a sign-in, and by nothing else.
//!
//! Asked by every door before it does anything in somebody's name. Its law: one function answers for
//! pages, forms and sockets alike; of a secret only the hash goes down; a guest is made by a write
//! alone, never by looking.

pub mod cookie;
pub mod guest_name;
pub mod setup;
pub mod token;

use std::sync::Arc;

use http::HeaderMap;
use protocol::ids::UserId;
use protocol::model::{Me, Rank};

use self::cookie::Cookies;
use self::token::SignInToken;
use crate::clock::{Chance, Clock, SystemChance};
use crate::db::accounts::{self, Account};
use crate::db::people::{SignInHash, SignInRecord, UserRecord};
use crate::db::{Db, Fault};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// A sign-in that nobody used for so long ends.
const IDLE_MS_MAX: i64 = 14 * DAY_MS;
/// A sign-in ends after so long, used or not.
const LIFE_MS_MAX: i64 = 90 * DAY_MS;
/// A sign-in is noted as used at most so often.
const SEEN_EVERY_MS: i64 = 60 * 60 * 1_000;

/// Somebody whose sign-in stands; made by `Accounts` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    me: Me,
    sign_in: SignInHash,
    disabled: bool,
}

impl Principal {
    /// His account.
    #[must_use]
    pub const fn me(&self) -> &Me {
        &self.me
    }

    /// The sign-in that proves it.
    #[must_use]
    pub const fn sign_in(&self) -> SignInHash {
        self.sign_in
    }

    /// Whether his account may do nothing any more.
    #[must_use]
    pub const fn is_disabled(&self) -> bool {
        self.disabled
    }
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// A browser without a sign-in.
    Nobody,
    /// A browser with a sign-in that ended.
    Stale,
    /// Somebody.
    Known(Principal),
}

impl Visitor {
    /// Him, if it is somebody.
    #[must_use]
    pub fn principal(self) -> Option<Principal> {
        match self {
            Self::Known(principal) => Some(principal),
            Self::Nobody | Self::Stale => None,
        }
    }
}

/// The accounts behind the doors. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    db: Arc<Db>,
    clock: Arc<dyn Clock>,
    cookies: Cookies,
}

impl Accounts {
    /// Takes the store, the time, and how cookies are named here.
    #[must_use]
    pub fn new(db: Arc<Db>, clock: Arc<dyn Clock>, cookies: Cookies) -> Self {
        Self { db, clock, cookies }
    }

    /// How cookies are named here.
    #[must_use]
    pub const fn cookies(&self) -> Cookies {
        self.cookies
    }

    /// Who sent a request with these headers. Writes nothing.
    pub async fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Fault> {
        let Some(token) = self.cookies.sign_in(headers) else { return Ok(Visitor::Nobody) };
        let account = accounts::by_sign_in(&self.db, token.hash(), self.clock.unix_ms()).await?;
        Ok(account.map_or(Visitor::Stale, |account| Visitor::Known(principal(account))))
    }

    /// The same for a request that may write: notes that the sign-in is in use.
    pub async fn active_visitor(&self, headers: &HeaderMap) -> Result<Visitor, Fault> {
        let Some(token) = self.cookies.sign_in(headers) else { return Ok(Visitor::Nobody) };
        let now = self.clock.unix_ms();
        let Some(account) = accounts::by_sign_in(&self.db, token.hash(), now).await? else {
            return Ok(Visitor::Stale);
        };
        let SignInRecord { hash, created_at, seen_at, .. } = account.sign_in;
        if now.saturating_sub(seen_at) >= SEEN_EVERY_MS {
            let extended = accounts::extend(&self.db, hash, now, expiry(created_at, now)).await;
            // A full disk takes no note, and still everybody reads on.
            if let Err(fault) = extended {
                tracing::warn!(%fault, "that a sign-in is in use was not noted");
            }
        }
        Ok(Visitor::Known(principal(account)))
    }

    /// Makes a guest with a friendly name; the secret is for his browser alone.
    pub async fn make_guest(&self) -> Result<(Principal, SignInToken), Fault> {
        let mut chance = SystemChance;
        let now = self.clock.unix_ms();
        let token = SignInToken::make(&mut chance);
        let user = UserRecord {
            id: UserId::make(now, chance.id_bytes()),
            name: guest_name::make(&mut chance),
            rank: Rank::Guest,
            created_at: now,
            disabled_at: None,
        };
        let sign_in = SignInRecord {
            hash: token.hash(),
            user: user.id,
            generation: 0,
            created_at: now,
            seen_at: now,
            expires_at: expiry(now, now),
            revoked_at: None,
        };
        let account = Account { user, sign_in };
        accounts::make(&self.db, &account, chance.epoch()).await?;
        Ok((principal(account), token))
    }
}

/// When a sign-in ends that is used now.
const fn expiry(created_at: i64, now: i64) -> i64 {
    let (idle, life) = (now.saturating_add(IDLE_MS_MAX), created_at.saturating_add(LIFE_MS_MAX));
    if idle < life { idle } else { life }
}

fn principal(account: Account) -> Principal {
    let Account { user, sign_in } = account;
    Principal {
        me: Me { id: user.id, name: user.name, rank: user.rank },
        sign_in: sign_in.hash,
        disabled: user.disabled_at.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_in_use_lasts_until_its_life_is_over() {
        assert_eq!(expiry(0, 0), IDLE_MS_MAX);
        assert_eq!(expiry(0, 80 * DAY_MS), LIFE_MS_MAX);
        assert_eq!(expiry(0, 10 * DAY_MS), 24 * DAY_MS);
    }
}
