//! Queries about events: adding them, and reading them by position.
//!
//! Called inside the transactions of `history/sql.rs`. Its law: an event is added once, under its
//! number, with the bytes that go over the wire.

use protocol::bounded::Blob;
use protocol::change::Envelope;
use protocol::ids::{DeviceId, EventId, LogId, OpId, UserId};
use protocol::limits::EVENT_BYTES_MAX;
use sea_orm::Value;

use super::entity::events::Model;
use super::fault::Fault;
use super::statement::{Named, Sql, count, signed, unsigned};
use super::transaction::Transaction;

/// An event as it is stored: the envelope, and what is never sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub envelope: Envelope,
    /// The outbox its op came from; nil where none did.
    pub device: DeviceId,
}

/// Adds events.
pub async fn insert(transaction: &mut Transaction, events: &[EventRecord]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let rows = events.iter().map(|event| -> [Value; 10] {
        let envelope = &event.envelope;
        [
            envelope.log.value(),
            signed(envelope.seq).into(),
            envelope.id.value(),
            // The databases have no unsigned numbers: kinds keep their sixteen bits.
            envelope.kind.cast_signed().into(),
            envelope.author.value(),
            event.device.value(),
            envelope.op_id.value(),
            i16::from(envelope.flags).into(),
            envelope.body.to_vec().into(),
            envelope.at.into(),
        ]
    });
    let text = "insert into events \
        (log_id, seq, id, kind, author, device, op_id, flags, body, at) values ";
    let statement = Sql::new(transaction.backend(), text).rows(rows).build();
    transaction.execute(statement).await
}

/// The events behind number `after`, in order: as many as were asked for, or up to the first that no
/// frame has a place for.
pub async fn page(
    transaction: &mut Transaction,
    log: LogId,
    after: u64,
    count_max: usize,
) -> Result<Vec<Envelope>, Fault> {
    let (id, after) = (log.uuid(), signed(after));
    let statement =
        Sql::new(transaction.backend(), "select log_id, seq, id, kind, author, device,")
            .text(" op_id, flags, body, at from events where log_id = ")
            .value(id)
            .text(" and seq > ")
            .value(after)
            .text(" and seq <= (select max(seq) from (select seq, bytes,")
            .text(" sum(bytes) over (order by seq) as total from (select seq,")
            .text(" octet_length(body) as bytes from events where log_id = ")
            .value(id)
            .text(" and seq > ")
            .value(after)
            .text(" order by seq limit ")
            .value(count(count_max))
            .text(") as near) as summed where total - bytes <= ")
            .value(count(EVENT_BYTES_MAX))
            .text(") order by seq")
            .build();
    let models: Vec<Model> = transaction.models(statement).await?;
    models.into_iter().map(|model| envelope(log, model)).collect()
}

fn envelope(log: LogId, model: Model) -> Result<Envelope, Fault> {
    Ok(Envelope {
        log,
        seq: unsigned(model.seq)?,
        id: EventId::from_bytes(*model.id.as_bytes()),
        at: model.at,
        author: UserId::from_bytes(*model.author.as_bytes()),
        op_id: OpId::from_bytes(*model.op_id.as_bytes()),
        flags: u8::try_from(model.flags).map_err(Fault::damaged)?,
        kind: model.kind.cast_unsigned(),
        body: Blob::new(model.body).map_err(Fault::damaged)?,
    })
}
