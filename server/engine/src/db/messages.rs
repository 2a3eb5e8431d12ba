//! Queries about messages as they are read now.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: a message is named by the number of
//! its first event, and pages go by that number, never by a time.

use protocol::ids::{EventId, OpId, RoomId, UserId};
use protocol::limits::SNAPSHOT_BYTES_MAX;
use protocol::model::{DisplayName, Message, MessageText};
use sea_orm::Value;

use super::entity::messages::Model;
use super::fault::Fault;
use super::statement::{Named, Sql, count, signed, unsigned};
use super::transaction::Transaction;

/// A message and its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub message: Message,
}

/// The last messages of a room before number `before`, the newest first: as many as were asked for,
/// or up to the first that no frame has a place for. So a small question never reads megabytes.
pub async fn newest(
    transaction: &mut Transaction,
    room: RoomId,
    before: u64,
    count_max: usize,
) -> Result<Vec<Message>, Fault> {
    let (room, before) = (room.uuid(), signed(before));
    let statement =
        Sql::new(transaction.backend(), "select room_id, seq, id, author, name, op_id,")
            .text(" text, at from messages where room_id = ")
            .value(room)
            .text(" and seq < ")
            .value(before)
            .text(" and seq >= (select min(seq) from (select seq, bytes,")
            .text(" sum(bytes) over (order by seq desc) as total from (select seq,")
            .text(
                " octet_length(name) + octet_length(text) as bytes from messages where room_id = ",
            )
            .value(room)
            .text(" and seq < ")
            .value(before)
            .text(" order by seq desc limit ")
            .value(count(count_max))
            .text(") as near) as summed where total - bytes <= ")
            .value(count(SNAPSHOT_BYTES_MAX))
            .text(") order by seq desc")
            .build();
    let models: Vec<Model> = transaction.models(statement).await?;
    models.into_iter().map(message).collect()
}

/// Adds messages.
pub async fn insert(
    transaction: &mut Transaction,
    messages: &[MessageRecord],
) -> Result<(), Fault> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows = messages.iter().map(|MessageRecord { room, message }| -> [Value; 8] {
        [
            room.value(),
            signed(message.seq).into(),
            message.id.value(),
            message.author.value(),
            message.name.to_string().into(),
            message.op_id.value(),
            message.text.to_string().into(),
            message.at.into(),
        ]
    });
    let text = "insert into messages (room_id, seq, id, author, name, op_id, text, at) values ";
    let statement = Sql::new(transaction.backend(), text).rows(rows).build();
    transaction.execute(statement).await
}

fn message(model: Model) -> Result<Message, Fault> {
    Ok(Message {
        seq: unsigned(model.seq)?,
        id: EventId::from_bytes(*model.id.as_bytes()),
        at: model.at,
        author: UserId::from_bytes(*model.author.as_bytes()),
        name: DisplayName::new(model.name).map_err(Fault::damaged)?,
        op_id: OpId::from_bytes(*model.op_id.as_bytes()),
        text: MessageText::new(model.text).map_err(Fault::damaged)?,
    })
}
