//! What the doors do with accounts, each in a transaction of its own.
//!
//! Called by `auth` and `history`. Its law: an account and its log are made together; a sign-in that has ended or
//! expired finds nobody.

use std::collections::BTreeMap;

use super::Db;
use super::fault::Fault;
use super::logs::{self, LogRecord};
use super::people::{self, SignInHash, SignInRecord, Standing, UserRecord};
use super::transaction::Transaction;

/// An account and the sign-in by which it is spoken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub user: UserRecord,
    /// The sign-in.
    pub sign_in: SignInRecord,
}

impl Account {
    /// Whether the sign-in still speaks for it.
    fn speaks(&self, now_ms: i64) -> bool {
        self.sign_in.stands(self.user.id, now_ms)
    }

    /// How he stands whose sign-in is good.
    const fn standing(&self) -> Standing {
        if self.user.disabled_at.is_some() { Standing::Disabled } else { Standing::Good }
    }
}

/// Makes an account with its log, whose numbering has this epoch, and its first sign-in.
pub async fn make(db: &Db, account: &Account, epoch: u64) -> Result<(), Fault> {
    let mut transaction = db.write().await?;
    let log = LogRecord { log: account.user.id.log(), epoch, head: 0 };
    logs::insert(&mut transaction, &[log]).await?;
    people::insert(&mut transaction, &account.user).await?;
    people::insert_sign_in(&mut transaction, &account.sign_in).await?;
    commit(transaction).await
}

/// Whom a sign-in speaks for, if it stands; whether his account does is in the answer.
pub async fn by_sign_in(db: &Db, hash: SignInHash, now_ms: i64) -> Result<Option<Account>, Fault> {
    let mut transaction = db.read().await?;
    let Some(sign_in) = people::sign_in(&mut transaction, hash).await? else {
        return Ok(None);
    };
    let user = people::user(&mut transaction, sign_in.user).await?;
    let account = user.map(|user| Account { user, sign_in });
    Ok(account.filter(|account| account.speaks(now_ms)))
}

/// Notes that a sign-in was used, and until when it lasts now.
pub async fn extend(db: &Db, used: &SignInRecord) -> Result<(), Fault> {
    let SignInRecord { hash, seen_at, expires_at, .. } = *used;
    let mut transaction = db.write().await?;
    people::extend_sign_in(&mut transaction, hash, seen_at, expires_at).await?;
    commit(transaction).await
}

/// How who came in by this sign-in stands.
pub async fn standing(db: &Db, hash: SignInHash, now_ms: i64) -> Result<Standing, Fault> {
    let account = by_sign_in(db, hash, now_ms).await?;
    Ok(account.map_or(Standing::SignedOut, |account| account.standing()))
}

/// Those of these sign-ins by which nobody may go on, each once.
pub async fn fallen(
    db: &Db,
    hashes: &[SignInHash],
    now_ms: i64,
) -> Result<BTreeMap<SignInHash, Standing>, Fault> {
    let mut transaction = db.read().await?;
    let question = people::fallen(&transaction, hashes, now_ms);
    Ok(transaction.ask(question).await?.into_iter().collect())
}

/// The same as `standing`, and notes that the sign-in is in use, unless that was done lately.
pub async fn note_use(db: &Db, hash: SignInHash, now_ms: i64) -> Result<Standing, Fault> {
    let Some(account) = by_sign_in(db, hash, now_ms).await? else {
        return Ok(Standing::SignedOut);
    };
    let used = account.sign_in.used(now_ms);
    if let (Standing::Good, Some(used)) = (account.standing(), used) {
        extend(db, &used).await?;
    }
    Ok(account.standing())
}

/// Whether somebody owns this server.
pub async fn has_owner(db: &Db) -> Result<bool, Fault> {
    let mut transaction = db.read().await?;
    people::has_owner(&mut transaction).await
}

async fn commit(transaction: Transaction) -> Result<(), Fault> {
    Ok(transaction.unbroken().await?.commit().await?)
}
