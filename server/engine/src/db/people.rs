//! Queries about accounts and sign-ins.
//!
//! Called by `history/sql.rs` inside its transactions, and by `auth` through `accounts`. Its law:
//! of a sign-in's secret only the hash is known here, and it is never shown in a log line.

use protocol::ids::UserId;
use protocol::model::{DisplayName, Rank};
use sea_orm::{
    ActiveValue, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryResult, QueryTrait,
};
use sha2::{Digest, Sha256};

use super::entity::{sign_ins, users};
use super::fault::Fault;
use super::logs::number;
use super::statement::{Named, Question, Sql, from_bits};
use super::transaction::Transaction;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// A sign-in that nobody used for so long ends.
const IDLE_MS_MAX: i64 = 14 * DAY_MS;
/// A sign-in ends after so long, used or not.
const LIFE_MS_MAX: i64 = 90 * DAY_MS;
/// A sign-in is noted as used at most so often.
pub const SEEN_EVERY_MS: i64 = 60 * 60 * 1_000;

/// The SHA-256 of a sign-in's secret token: what the store knows of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignInHash([u8; 32]);

impl SignInHash {
    /// The hash of a token as it stands in the cookie.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Takes a hash as it is stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash as it is stored.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl std::fmt::Debug for SignInHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignInHash(…)")
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The account; also the id of its log.
    pub id: UserId,
    /// How it is called.
    pub name: DisplayName,
    /// What it may do on this server.
    pub rank: Rank,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// Since when it may do nothing any more.
    pub disabled_at: Option<i64>,
}

/// A proof by which a browser speaks for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInRecord {
    /// The hash of its secret.
    pub hash: SignInHash,
    /// The account.
    pub user: UserId,
    /// Raised when what was allowed by it before no longer is.
    pub generation: u64,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// When it was last used.
    pub seen_at: i64,
    /// When it ends by itself.
    pub expires_at: i64,
    /// When it was ended.
    pub revoked_at: Option<i64>,
}

impl SignInRecord {
    /// When a sign-in ends that was made then and is used now.
    #[must_use]
    pub const fn expiry(created_at: i64, now_ms: i64) -> i64 {
        let idle = now_ms.saturating_add(IDLE_MS_MAX);
        let life = created_at.saturating_add(LIFE_MS_MAX);
        if idle < life { idle } else { life }
    }

    /// The sign-in as it is once its use now was noted; nothing where that was done lately.
    #[must_use]
    pub fn used(&self, now_ms: i64) -> Option<Self> {
        let is_due = now_ms.saturating_sub(self.seen_at) >= SEEN_EVERY_MS;
        let expires_at = Self::expiry(self.created_at, now_ms);
        is_due.then_some(Self { seen_at: now_ms, expires_at, ..*self })
    }

    /// Whether it still speaks for this user.
    #[must_use]
    pub fn stands(&self, user: UserId, now_ms: i64) -> bool {
        self.user == user && self.revoked_at.is_none() && now_ms < self.expires_at
    }
}

/// How somebody stands who came in by a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// He may go on.
    Good,
    /// The sign-in was ended, or has expired.
    SignedOut,
    /// The account may do nothing any more.
    Disabled,
}

/// A user as a batch needs to know him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub user: UserRecord,
    /// The life of his log's numbering.
    pub epoch: u64,
    /// His log's last number.
    pub head: u64,
    /// How many rooms he joined.
    pub room_count: u64,
    /// The sign-in that was asked about with him, if there is one.
    pub sign_in: Option<SignInRecord>,
}

/// The accounts and sign-ins that are there of those named.
pub fn known(
    transaction: &Transaction,
    named: impl ExactSizeIterator<Item = (UserId, SignInHash)>,
) -> Question<Person> {
    if named.len() == 0 {
        return Question::none(person);
    }
    let sql = Sql::new(transaction.backend(), "with v(user_id, id_hash) as (values ")
        .rows(named.map(|(user, hash)| [user.value(), hash.bytes().to_vec().into()]))
        .text(") select users.id as id, users.name as name, users.rank as rank, ")
        .text("users.created_at as created_at, users.disabled_at as disabled_at, ")
        .text("logs.epoch as epoch, logs.head as head, ")
        .text("(select count(*) from members where members.user_id = users.id) as room_count, ")
        .text("s.id_hash as s_id_hash, s.user_id as s_user_id, s.generation as s_generation, ")
        .text("s.created_at as s_created_at, s.seen_at as s_seen_at, ")
        .text("s.expires_at as s_expires_at, s.revoked_at as s_revoked_at from v ")
        .text("join users on users.id = v.user_id join logs on logs.id = users.id ")
        .text("left join sign_ins s on s.id_hash = v.id_hash");
    Question::new(sql, person)
}

/// Those of these sign-ins by which nobody may go on, and whether for their account alone. For any
/// number of them there are only few texts: the last is asked about until they are a power of two.
pub fn fallen(
    transaction: &Transaction,
    hashes: &[SignInHash],
    now_ms: i64,
) -> Question<(SignInHash, Standing)> {
    let Some(last) = hashes.last() else { return Question::none(fallen_row) };
    let all = hashes.iter().chain(std::iter::repeat(last)).take(hashes.len().next_power_of_two());
    let sql = Sql::new(transaction.backend(), "with v(id_hash) as (values ")
        .rows(all.map(|hash| [hash.bytes().to_vec().into()]))
        .text("), asked(id_hash, is_good, disabled_at) as (select v.id_hash, ")
        .text("coalesce(s.revoked_at is null and s.expires_at > ")
        .value(now_ms)
        .text(", false), users.disabled_at from v left join sign_ins s on s.id_hash = v.id_hash ")
        .text("left join users on users.id = s.user_id) select id_hash, is_good from asked ")
        .text("where not is_good or disabled_at is not null");
    Question::new(sql, fallen_row)
}

/// One account.
pub async fn user(transaction: &mut Transaction, id: UserId) -> Result<Option<UserRecord>, Fault> {
    let statement = users::Entity::find_by_id(id.uuid()).build(transaction.backend());
    let models: Vec<users::Model> = transaction.models(statement).await?;
    models.into_iter().next().map(user_record).transpose()
}

/// One sign-in.
pub async fn sign_in(
    transaction: &mut Transaction,
    hash: SignInHash,
) -> Result<Option<SignInRecord>, Fault> {
    let statement =
        sign_ins::Entity::find_by_id(hash.bytes().to_vec()).build(transaction.backend());
    let models: Vec<sign_ins::Model> = transaction.models(statement).await?;
    models.into_iter().next().map(sign_in_record).transpose()
}

/// Whether an account is the owner's.
pub async fn has_owner(transaction: &mut Transaction) -> Result<bool, Fault> {
    // Written out: an index of some rows serves only who names them in the statement itself.
    let text = "select id from users where rank = 3 limit 1";
    let statement = Sql::new(transaction.backend(), text).build();
    Ok(!transaction.rows(statement).await?.is_empty())
}

/// Makes an account, and counts it; its log is there already.
pub async fn insert(transaction: &mut Transaction, user: &UserRecord) -> Result<(), Fault> {
    let row = users::ActiveModel {
        id: ActiveValue::Set(user.id.uuid()),
        name: ActiveValue::Set(user.name.to_string()),
        rank: ActiveValue::Set(rank_number(user.rank)),
        created_at: ActiveValue::Set(user.created_at),
        disabled_at: ActiveValue::Set(user.disabled_at),
    };
    let statement = users::Entity::insert(row).build(transaction.backend());
    transaction.execute(statement).await?;
    let one_more = Sql::new(transaction.backend(), "update totals set users = users + 1").build();
    transaction.execute(one_more).await
}

/// Makes a sign-in.
pub async fn insert_sign_in(
    transaction: &mut Transaction,
    sign_in: &SignInRecord,
) -> Result<(), Fault> {
    let row = sign_ins::ActiveModel {
        id_hash: ActiveValue::Set(sign_in.hash.bytes().to_vec()),
        user_id: ActiveValue::Set(sign_in.user.uuid()),
        generation: ActiveValue::Set(i64::try_from(sign_in.generation).map_err(Fault::damaged)?),
        created_at: ActiveValue::Set(sign_in.created_at),
        seen_at: ActiveValue::Set(sign_in.seen_at),
        expires_at: ActiveValue::Set(sign_in.expires_at),
        revoked_at: ActiveValue::Set(sign_in.revoked_at),
    };
    let statement = sign_ins::Entity::insert(row).build(transaction.backend());
    transaction.execute(statement).await
}

/// Notes that a sign-in was used, and until when it lasts now.
pub async fn extend_sign_in(
    transaction: &mut Transaction,
    hash: SignInHash,
    seen_at: i64,
    expires_at: i64,
) -> Result<(), Fault> {
    let statement = sign_ins::Entity::update_many()
        .col_expr(sign_ins::Column::SeenAt, seen_at.into())
        .col_expr(sign_ins::Column::ExpiresAt, expires_at.into())
        .filter(sign_ins::Column::IdHash.eq(hash.bytes().to_vec()))
        .build(transaction.backend());
    transaction.execute(statement).await
}

/// Gives accounts other names.
pub async fn rename(
    transaction: &mut Transaction,
    names: impl ExactSizeIterator<Item = (UserId, &DisplayName)>,
) -> Result<(), Fault> {
    if names.len() == 0 {
        return Ok(());
    }
    let statement = Sql::new(transaction.backend(), "with v(id, name) as (values ")
        .rows(names.map(|(user, name)| [user.value(), name.to_string().into()]))
        .text(") update users set name = v.name from v where users.id = v.id")
        .build();
    transaction.execute(statement).await
}

/// Gives an account another rank.
pub async fn set_rank(
    transaction: &mut Transaction,
    user: UserId,
    rank: Rank,
) -> Result<(), Fault> {
    let statement = users::Entity::update_many()
        .col_expr(users::Column::Rank, rank_number(rank).into())
        .filter(users::Column::Id.eq(user.uuid()))
        .build(transaction.backend());
    transaction.execute(statement).await
}

const fn rank_number(rank: Rank) -> i16 {
    match rank {
        Rank::Guest => 0,
        Rank::User => 1,
        Rank::Admin => 2,
        Rank::Owner => 3,
    }
}

fn rank_of(number: i16) -> Result<Rank, Fault> {
    let ranks = [Rank::Guest, Rank::User, Rank::Admin, Rank::Owner];
    let found = ranks.into_iter().find(|rank| rank_number(*rank) == number);
    found.ok_or_else(|| Fault::damaged("an account of an unknown rank"))
}

fn user_record(model: users::Model) -> Result<UserRecord, Fault> {
    Ok(UserRecord {
        id: UserId::from_bytes(*model.id.as_bytes()),
        name: DisplayName::new(model.name).map_err(Fault::damaged)?,
        rank: rank_of(model.rank)?,
        created_at: model.created_at,
        disabled_at: model.disabled_at,
    })
}

fn hash_of(bytes: Vec<u8>) -> Result<SignInHash, Fault> {
    let bytes = bytes.try_into().map_err(|_| Fault::damaged("a hash is not 32 bytes"))?;
    Ok(SignInHash(bytes))
}

fn sign_in_record(model: sign_ins::Model) -> Result<SignInRecord, Fault> {
    Ok(SignInRecord {
        hash: hash_of(model.id_hash)?,
        user: UserId::from_bytes(*model.user_id.as_bytes()),
        generation: u64::try_from(model.generation).map_err(Fault::damaged)?,
        created_at: model.created_at,
        seen_at: model.seen_at,
        expires_at: model.expires_at,
        revoked_at: model.revoked_at,
    })
}

fn fallen_row(row: &QueryResult) -> Result<(SignInHash, Standing), Fault> {
    let is_good: bool = row.try_get("", "is_good")?;
    let standing = if is_good { Standing::Disabled } else { Standing::SignedOut };
    Ok((hash_of(row.try_get("", "id_hash")?)?, standing))
}

fn person(row: &QueryResult) -> Result<Person, Fault> {
    let hash: Option<Vec<u8>> = row.try_get("", "s_id_hash")?;
    let sign_in = match hash {
        Some(_) => Some(sign_in_record(sign_ins::Model::from_query_result(row, "s_")?)?),
        None => None,
    };
    Ok(Person {
        user: user_record(users::Model::from_query_result(row, "")?)?,
        epoch: from_bits(row.try_get("", "epoch")?),
        head: number(row, "head")?,
        room_count: number(row, "room_count")?,
        sign_in,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_in_use_lasts_until_its_life_is_over() {
        let made = SignInRecord {
            hash: SignInHash::of(b"token"),
            user: UserId::NIL,
            generation: 0,
            created_at: 0,
            seen_at: 0,
            expires_at: SignInRecord::expiry(0, 0),
            revoked_at: None,
        };
        assert_eq!(made.expires_at, 14 * DAY_MS);
        assert_eq!(made.used(SEEN_EVERY_MS - 1), None, "noted lately");
        let used = made.used(10 * DAY_MS).unwrap();
        assert_eq!((used.seen_at, used.expires_at), (10 * DAY_MS, 24 * DAY_MS));
        assert_eq!(used.used(80 * DAY_MS).unwrap().expires_at, 90 * DAY_MS);
    }
}
