//! The record: logs, their events, and the ops that made them.
//!
//! A log belongs to a room or to a user and has its id. Tables have a rowid beside their primary
//! key: appends of a hundred rooms then dirty one page and not a hundred (`docs/decisions`).

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary, pk_uuid, small_integer, text_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(logs()).await?;
        manager.create_table(events()).await?;
        manager.create_table(ops()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["ops", "events", "logs"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// `kind` is 0 for a room and 1 for a user; `floor` is the first number still kept.
fn logs() -> TableCreateStatement {
    Table::create()
        .table("logs")
        .col(pk_uuid("id"))
        .col(small_integer("kind"))
        .col(big_integer("epoch").check(Expr::col("epoch").gt(0)))
        .col(big_integer("head").check(Expr::col("head").gte(0)))
        .col(big_integer("floor").check(Expr::col("floor").gt(0)))
        .col(big_integer("floor_tag"))
        .to_owned()
}

/// `body` is the change's bytes on the wire; `flags` says whether it was erased.
fn events() -> TableCreateStatement {
    Table::create()
        .table("events")
        .col(uuid("log_id"))
        .col(big_integer("seq").check(Expr::col("seq").gt(0)))
        .col(uuid("id"))
        .col(small_integer("kind"))
        .col(uuid("author"))
        .col(uuid("device"))
        .col(uuid("op_id"))
        .col(small_integer("flags"))
        .col(binary("body"))
        .col(big_integer("at"))
        .primary_key(Index::create().col("log_id").col("seq"))
        .foreign_key(ForeignKey::create().from("events", "log_id").to("logs", "id"))
        .to_owned()
}

/// `refusal` is null for an accepted op; `seq` and `id` are null where it made no event.
fn ops() -> TableCreateStatement {
    Table::create()
        .table("ops")
        .col(uuid("author"))
        .col(uuid("op_id"))
        .col(big_integer("payload_hash"))
        .col(text_null("refusal"))
        .col(uuid("log_id"))
        .col(big_integer_null("seq"))
        .col(uuid_null("id"))
        .col(big_integer("at"))
        .primary_key(Index::create().col("author").col("op_id"))
        .foreign_key(ForeignKey::create().from("ops", "log_id").to("logs", "id"))
        .to_owned()
}
