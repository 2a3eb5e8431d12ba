//! The store when statements fail and disks are full; what only this folder can see.
//!
//! Each story has its own folder.

use futures_util::FutureExt;
use futures_util::future::join_all;
use protocol::bounded::Blob;
use protocol::change::Envelope;
use protocol::ids::{DeviceId, EventId, OpId, RoomId, UserId};
use protocol::limits::{CHANGE_BYTES_MAX, TEXT_BYTES_MAX};
use protocol::model::{DisplayName, Message, MessageText, RoomKey, RoomName, Topic};
use sea_orm::{DbBackend, Statement};
use sqlx::{Connection, Row};

use super::events::EventRecord;
use super::logs::{self, LogRecord};
use super::messages::MessageRecord;
use super::people::SignInHash;
use super::rooms::RoomRecord;
use super::sqlite::READERS;
use super::*;

async fn open() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(folder.path()).await.unwrap();
    (folder, db)
}

fn file(db: &Db) -> &Sqlite {
    match &db.0 {
        Kind::Sqlite(sqlite) => sqlite,
        Kind::Postgres(_) => panic!("these stories are about a file"),
    }
}

fn log(number: u16) -> LogRecord {
    let [high, low] = number.to_be_bytes();
    let id = RoomId::from_bytes([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, high, low]);
    LogRecord { log: id.log(), epoch: 1, head: 0 }
}

async fn stored(db: &Db, number: u16) -> bool {
    let mut transaction = db.read().await.unwrap();
    logs::extent(&mut transaction, log(number).log, None).await.unwrap().is_some()
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_cannot_be_committed() {
    let (_folder, db) = open().await;
    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &[log(1)]).await.unwrap();
    logs::insert(&mut transaction, &[log(1)]).await.unwrap();
    let twice = transaction.unbroken().await.err();
    assert!(matches!(twice, Some(Fault::Collision(_))), "{twice:?}");
    assert!(!stored(&db, 1).await, "half a batch is not stored");

    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &[log(1)]).await.unwrap();
    transaction.unbroken().await.unwrap().commit().await.unwrap();
    assert!(stored(&db, 1).await);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_trace() {
    let (_folder, db) = open().await;
    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &[log(1)]).await.unwrap();
    drop(transaction);
    assert!(!stored(&db, 1).await);
}

#[tokio::test]
async fn a_full_disk_is_named_and_the_writer_comes_back_on_a_new_connection() {
    let (_folder, db) = open().await;
    let limit =
        sqlx::query("pragma max_page_count = 1").fetch_one(&file(&db).writer_pool).await.unwrap();
    let pages: i64 = limit.get(0);
    let logs: Vec<LogRecord> = (0..2_000).map(log).collect();
    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &logs).await.unwrap();
    let full = transaction.unbroken().await.err();
    assert_eq!(full, Some(Fault::DiskFull), "{pages} pages");

    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &logs).await.unwrap();
    transaction.unbroken().await.unwrap().commit().await.unwrap();
    assert!(stored(&db, 1_999).await);
}

#[tokio::test]
async fn a_connection_that_is_left_inside_a_transaction_is_not_written_on() {
    let (_folder, db) = open().await;
    let mut connection = file(&db).writer_pool.acquire().await.unwrap();
    // As after a COMMIT that failed: sqlx counts a transaction, and a next one would be a savepoint.
    std::mem::forget(connection.begin().await.unwrap());
    drop(connection);

    let transaction = db.write().await.unwrap();
    assert!(begin_past(&db).await.is_err(), "whoever writes holds the lock from the start");
    transaction.unbroken().await.unwrap().commit().await.unwrap();
    assert!(begin_past(&db).await.is_ok());
}

#[tokio::test]
async fn a_lock_under_which_somebody_else_writes_is_no_absence() {
    let (_folder, db) = open().await;
    let _other = begin_past(&db).await.unwrap();
    assert!(db.answers().await && !stored(&db, 1).await);
    let refused = db.write().await.err();
    assert!(matches!(refused, Some(Fault::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_connection_that_is_to_be_replaced_is_though_somebody_had_it_meanwhile() {
    let (_folder, db) = open().await;
    let mut broken = db.write().await.unwrap();
    let bad = Statement::from_string(DbBackend::Sqlite, "select nothing from nowhere");
    assert!(broken.rows(bad).await.is_err());
    drop(broken);
    let mut held = file(&db).writer_pool.acquire().await.unwrap();
    sqlx::query("create temp table mark (x)").execute(&mut *held).await.unwrap();
    assert!(db.write().await.is_err(), "somebody has it");
    drop(held);
    drop(db.write().await.unwrap());
    let mut other = file(&db).writer_pool.acquire().await.unwrap();
    assert!(sqlx::query("select x from mark").execute(&mut *other).await.is_err());
}

#[tokio::test]
async fn a_crowd_that_asks_whether_the_store_answers_opens_the_file_once() {
    let (_folder, db) = open().await;
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = files();
    let asked = join_all((0..300).map(|_| db.answers()));
    let most = async {
        let mut most = 0;
        for _ in 0..200 {
            most = most.max(files());
            tokio::task::yield_now().await;
        }
        most
    };
    let (answers, most) = tokio::join!(asked, most);
    assert!(answers.iter().all(|answers| *answers));
    assert!(most < before + 200, "{before}, then {most}");
    assert!(db.answers().await, "the next one asks anew");
}

#[tokio::test]
async fn who_waits_in_vain_for_the_writers_place_spoils_no_connection() {
    let (_folder, db) = open().await;
    let mut held = file(&db).writer_pool.acquire().await.unwrap();
    sqlx::query("create temp table mark (x)").execute(&mut *held).await.unwrap();
    let refused = db.write().await.err();
    assert!(matches!(refused, Some(Fault::Unavailable(_))), "{refused:?}");
    drop(held);

    drop(db.write().await.unwrap());
    let mut same = file(&db).writer_pool.acquire().await.unwrap();
    let mark = sqlx::query("select x from mark").execute(&mut *same).await;
    assert!(mark.is_ok(), "a healthy connection was closed");
}

/// Tries to write past the pool, without waiting.
async fn begin_past(db: &Db) -> Result<sqlx::sqlite::SqliteConnection, sqlx::Error> {
    let options = file(db).writer_pool.connect_options();
    let options = (*options).clone().busy_timeout(std::time::Duration::ZERO);
    let mut other = sqlx::sqlite::SqliteConnection::connect_with(&options).await?;
    sqlx::query("begin immediate").execute(&mut other).await?;
    Ok(other)
}

#[tokio::test]
async fn every_connection_is_asserted_and_readers_cannot_write() {
    let (_folder, db) = open().await;
    let mut connections = Vec::new();
    for _ in 0..READERS {
        connections.push(file(&db).readers_pool.acquire().await.unwrap());
    }
    for connection in &mut connections {
        let query = sqlx::query_scalar("pragma synchronous");
        let synchronous: i64 = query.fetch_one(&mut **connection).await.unwrap();
        assert_eq!(synchronous, 2);
        let write = sqlx::query("delete from logs").execute(&mut **connection).await;
        assert!(write.is_err());
    }
}

#[tokio::test]
async fn a_disk_that_fails_under_anybody_who_writes_is_the_end() {
    let (_folder, db) = open().await;
    let ends = |db: &Db| db.lost().now_or_never().is_some();
    for (fault, is_the_end) in [
        (Fault::DiskFull, false),
        (Fault::Statement(String::new()), false),
        (Fault::Disk(String::new()), true),
    ] {
        db.write().await.unwrap().broken_by(fault);
        assert_eq!(ends(&db), is_the_end);
    }
}

#[tokio::test]
async fn what_a_statement_may_take_back_is_in_no_file() {
    let (_folder, db) = open().await;
    let mut writer = file(&db).writer_pool.acquire().await.unwrap();
    let query = sqlx::query_scalar("pragma temp_store");
    let temp_store: i64 = query.fetch_one(&mut *writer).await.unwrap();
    assert_eq!(temp_store, 2, "memory");
}

#[tokio::test]
async fn a_reader_keeps_few_pages_of_the_file() {
    let (_folder, db) = open().await;
    let mut reader = file(&db).readers_pool.acquire().await.unwrap();
    let query = sqlx::query_scalar("pragma cache_size");
    let cache_size: i64 = query.fetch_one(&mut *reader).await.unwrap();
    assert_eq!(cache_size, -256, "KiB");
}

#[tokio::test]
async fn a_number_outside_of_what_was_judged_breaks_the_batch() {
    let (_folder, db) = open().await;
    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &[log(1)]).await.unwrap();
    let raised = logs::raise(&mut transaction, [(log(1).log, 1, 2)].into_iter()).await;
    assert!(matches!(raised, Err(Fault::Damaged(_))), "{raised:?}");
    assert!(transaction.unbroken().await.is_err());
}

#[tokio::test]
async fn a_page_of_the_longest_messages_reads_no_more_than_a_frame_holds() {
    let (_folder, db) = open().await;
    let room = log(1).log.room().unwrap();
    let name = DisplayName::default();
    let text = MessageText::new("a".repeat(TEXT_BYTES_MAX)).unwrap();
    let body = Blob::new(vec![7; CHANGE_BYTES_MAX]).unwrap();
    let mut transaction = db.write().await.unwrap();
    logs::insert(&mut transaction, &[log(1)]).await.unwrap();
    let (key, topic) = (RoomKey::new("a").unwrap(), Topic::default());
    let (made, everyone) = (RoomName::new("a").unwrap(), false);
    let record = RoomRecord { id: room, key, name: made, topic, everyone, created_at: 0 };
    rooms::insert(&mut transaction, &[record]).await.unwrap();
    for seq in 1..=20 {
        let (id, author, op_id, at) = (EventId::NIL, UserId::NIL, OpId::NIL, 0);
        let (name, text, body) = (name.clone(), text.clone(), body.clone());
        let message = Message { seq, id, at, author, name, op_id, text };
        messages::insert(&mut transaction, &[MessageRecord { room, message }]).await.unwrap();
        let (log, flags, kind) = (room.log(), 0, 131);
        let envelope = Envelope { log, seq, id, at, author, op_id, flags, kind, body };
        let device = DeviceId::NIL;
        events::insert(&mut transaction, &[EventRecord { envelope, device }]).await.unwrap();
    }
    let newest = messages::newest(&mut transaction, room, 20, 101).await.unwrap();
    let seqs: Vec<u64> = newest.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [19, 18, 17], "the one that does not fit tells that there are more");
    let page = events::page(&mut transaction, room.log(), 2, 100).await.unwrap();
    let seqs: Vec<u64> = page.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [3, 4, 5]);
    let few = messages::newest(&mut transaction, room, u64::MAX, 1).await.unwrap();
    assert_eq!(few.len(), 1, "no more than were asked for");
}

/// Every read and update that a batch or a reader asks for, with several rows where it takes them.
async fn ask_everything(transaction: &mut Transaction) {
    let (room, user, seq) = (log(1).log.room().unwrap(), UserId::from_bytes([8; 16]), 5);
    let (name, topic) = (RoomName::default(), Topic::default());
    let keys = [RoomKey::new("a").unwrap(), RoomKey::new("b").unwrap()];
    let rooms = [room, log(2).log.room().unwrap()];
    let pairs = rooms.map(|room| (room, user));
    let ops = [OpId::NIL, OpId::from_bytes([1; 16])].map(|op| (user, op));
    let people = [SignInHash::of(b"a"), SignInHash::of(b"b")].map(|hash| (user, hash));
    let logs = rooms.map(RoomId::log);

    let known = (
        ops::known(transaction, ops.into_iter()),
        rooms::known(transaction, rooms.into_iter(), keys.iter()),
        people::known(transaction, people.into_iter()),
        members::known(transaction, pairs.into_iter()),
    );
    transaction.ask_all(known).await.unwrap();

    members::remove(transaction, pairs.into_iter()).await.unwrap();
    let configured = rooms.iter().map(|room| (*room, &name, &topic));
    rooms::configure(transaction, configured).await.unwrap();
    let called = DisplayName::default();
    people::rename(transaction, [(user, &called), (user, &called)].into_iter()).await.unwrap();
    logs::raise(transaction, logs.into_iter().map(|log| (log, 1, 1))).await.unwrap_err();

    members::part(transaction, room, Some(user)).await.unwrap();
    logs::extent(transaction, room.log(), Some(seq)).await.unwrap();
    logs::heads(transaction, &logs).await.unwrap();
    events::page(transaction, room.log(), seq, 100).await.unwrap();
    messages::newest(transaction, room, seq, 50).await.unwrap();
    rooms::of_user(transaction, user).await.unwrap();
    rooms::by_key(transaction, "a").await.unwrap();
    rooms::open(transaction, "a", 50).await.unwrap();
    people::sign_in(transaction, SignInHash::of(b"a")).await.unwrap();
    people::has_owner(transaction).await.unwrap();
}

#[tokio::test]
async fn no_question_reads_a_whole_table() {
    let (_folder, db) = open().await;
    let mut transaction = db.write().await.unwrap();
    ask_everything(&mut transaction).await;
    for Statement { sql, values, db_backend } in std::mem::take(&mut transaction.ran) {
        let sql = format!("explain query plan {sql}");
        let plan = transaction.rows(Statement { sql, values, db_backend }).await.unwrap();
        let steps: Vec<String> =
            plan.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        let tables = ["logs", "events", "ops", "users", "sign_ins", "rooms", "members", "messages"];
        for table in tables {
            let scan = format!("SCAN {table}");
            let scans = steps.iter().any(|step| step.starts_with(&scan));
            assert!(!scans, "{steps:#?}");
        }
    }
}
