//! Reads all rows of a database file, past the code that wrote them.
//!
//! Its law: it shares nothing with `db` but the types of the records, so that a column that is
//! written or read wrongly by both shows as a difference to memory.

use std::path::Path;

use protocol::bounded::Blob;
use protocol::change::Envelope;
use protocol::ids::{DeviceId, EventId, LogId, LogKind, OpId, RoomId, UserId};
use protocol::model::{DisplayName, Message, MessageText, Rank, Role, RoomKey, RoomName, Topic};
use server::db::events::EventRecord;
use server::db::logs::LogRecord;
use server::db::members::Membership;
use server::db::ops::OpRecord;
use server::db::people::{SignInHash, SignInRecord, UserRecord};
use server::db::rooms::RoomRecord;
use server::history::memory::Tables;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use crate::stores::connect;

async fn all(connection: &mut SqliteConnection, query: &'static str) -> Vec<SqliteRow> {
    sqlx::query(query).fetch_all(connection).await.unwrap()
}

fn id(row: &SqliteRow, column: &str) -> [u8; 16] {
    row.get::<Vec<u8>, _>(column).try_into().unwrap()
}

fn whole(row: &SqliteRow, column: &str) -> u64 {
    row.get::<i64, _>(column).try_into().unwrap()
}

fn bits(row: &SqliteRow, column: &str) -> u64 {
    u64::from_le_bytes(row.get::<i64, _>(column).to_le_bytes())
}

fn text<T>(row: &SqliteRow, column: &str, make: impl Fn(String) -> T) -> T {
    make(row.get(column))
}

fn log(row: &SqliteRow, id_column: &str) -> LogId {
    let kind = if row.get::<i64, _>("log_kind") == 0 { LogKind::Room } else { LogKind::User };
    LogId { kind, id: id(row, id_column) }
}

/// Everything that is in the file.
pub(crate) async fn tables(file: &Path) -> Tables {
    let mut connection = connect(file).await;
    let mut tables = Tables::default();
    for row in all(&mut connection, "select *, kind as log_kind from logs").await {
        assert_eq!((whole(&row, "floor"), bits(&row, "floor_tag")), (1, 0));
        let record = LogRecord {
            log: log(&row, "id"),
            epoch: bits(&row, "epoch"),
            head: whole(&row, "head"),
        };
        tables.logs.insert(record.log, record);
    }
    record(&mut connection, &mut tables).await;
    people(&mut connection, &mut tables).await;
    rooms(&mut connection, &mut tables).await;
    connection.close().await.unwrap();
    tables
}

async fn record(connection: &mut SqliteConnection, tables: &mut Tables) {
    let query = "select e.*, l.kind as log_kind from events e join logs l on l.id = e.log_id";
    for row in all(connection, query).await {
        let envelope = Envelope {
            log: log(&row, "log_id"),
            seq: whole(&row, "seq"),
            id: EventId::from_bytes(id(&row, "id")),
            at: row.get("at"),
            author: UserId::from_bytes(id(&row, "author")),
            op_id: OpId::from_bytes(id(&row, "op_id")),
            flags: row.get("flags"),
            kind: row.get("kind"),
            body: Blob::new(row.get("body")).unwrap(),
        };
        let device = DeviceId::from_bytes(id(&row, "device"));
        tables.events.insert((envelope.log, envelope.seq), EventRecord { envelope, device });
    }
    let query = "select o.*, l.kind as log_kind from ops o join logs l on l.id = o.log_id";
    for row in all(connection, query).await {
        let stored: Option<Vec<u8>> = row.get("id");
        let op = OpRecord {
            author: UserId::from_bytes(id(&row, "author")),
            op_id: OpId::from_bytes(id(&row, "op_id")),
            payload_hash: row.get("payload_hash"),
            refusal: row
                .get::<Option<String>, _>("refusal")
                .map(|text| serde_json::from_str(&text).unwrap()),
            log: log(&row, "log_id"),
            seq: row.get::<Option<i64>, _>("seq").unwrap_or(0).try_into().unwrap(),
            id: stored.map_or(EventId::NIL, |id| EventId::from_bytes(id.try_into().unwrap())),
            at: row.get("at"),
        };
        tables.ops.insert((op.author, op.op_id), op);
    }
}

async fn people(connection: &mut SqliteConnection, tables: &mut Tables) {
    for row in all(connection, "select * from users").await {
        let ranks = [Rank::Guest, Rank::User, Rank::Admin, Rank::Owner];
        let user = UserRecord {
            id: UserId::from_bytes(id(&row, "id")),
            name: text(&row, "name", |name| DisplayName::new(name).unwrap()),
            rank: ranks[usize::from(row.get::<u8, _>("rank"))],
            created_at: row.get("created_at"),
            disabled_at: row.get("disabled_at"),
        };
        tables.users.insert(user.id, user);
    }
    for row in all(connection, "select * from sign_ins").await {
        let sign_in = SignInRecord {
            hash: SignInHash::from_bytes(row.get::<Vec<u8>, _>("id_hash").try_into().unwrap()),
            user: UserId::from_bytes(id(&row, "user_id")),
            generation: whole(&row, "generation"),
            created_at: row.get("created_at"),
            seen_at: row.get("seen_at"),
            expires_at: row.get("expires_at"),
            revoked_at: row.get("revoked_at"),
        };
        tables.sign_ins.insert(sign_in.hash, sign_in);
    }
}

async fn rooms(connection: &mut SqliteConnection, tables: &mut Tables) {
    for row in all(connection, "select * from rooms").await {
        let room = RoomRecord {
            id: RoomId::from_bytes(id(&row, "id")),
            key: text(&row, "key", |key| RoomKey::new(key).unwrap()),
            name: text(&row, "name", |name| RoomName::new(name).unwrap()),
            topic: text(&row, "topic", |topic| Topic::new(topic).unwrap()),
            everyone: row.get("everyone"),
            created_at: row.get("created_at"),
        };
        tables.rooms.insert(room.id, room);
    }
    for row in all(connection, "select * from members").await {
        let pair =
            (RoomId::from_bytes(id(&row, "room_id")), UserId::from_bytes(id(&row, "user_id")));
        let roles = [Role::Member, Role::Moderator, Role::Owner];
        let role = roles[usize::from(row.get::<u8, _>("role"))];
        let membership = Membership { role, joined_seq: whole(&row, "joined_seq") };
        tables.members.insert(pair, membership);
    }
    for row in all(connection, "select * from messages").await {
        let message = Message {
            seq: whole(&row, "seq"),
            id: EventId::from_bytes(id(&row, "id")),
            at: row.get("at"),
            author: UserId::from_bytes(id(&row, "author")),
            name: text(&row, "name", |name| DisplayName::new(name).unwrap()),
            op_id: OpId::from_bytes(id(&row, "op_id")),
            text: text(&row, "text", |text| MessageText::new(text).unwrap()),
        };
        let room = RoomId::from_bytes(id(&row, "room_id"));
        tables.messages.insert((room, message.seq), message);
    }
}
