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

    /// Whom pages are drawn for: who is disabled reads what everybody may, and no more.
    #[must_use]
    pub fn reader(&self) -> Option<Me> {
        (!self.disabled).then(|| self.me.clone())
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
        // A full disk takes no note, and still everybody reads on.
        if let Some(used) = account.sign_in.used(now)
            && let Err(fault) = accounts::extend(&self.db, &used).await
        {
            tracing::warn!(%fault, "that a sign-in is in use was not noted");
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
            expires_at: SignInRecord::expiry(now, now),
            revoked_at: None,
        };
        let account = Account { user, sign_in };
        accounts::make(&self.db, &account, chance.epoch()).await?;
        Ok((principal(account), token))
    }
}

fn principal(account: Account) -> Principal {
    let Account { user, sign_in } = account;
    Principal {
        me: Me { id: user.id, name: user.name, rank: user.rank },
        sign_in: sign_in.hash,
        disabled: user.disabled_at.is_some(),
    }
}
