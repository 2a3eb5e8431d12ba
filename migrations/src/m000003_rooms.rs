//! The rooms, their members and their messages: the tables one reads from.
//!
//! Each can be folded from the logs again and is written in the transaction of the event that
//! changes it. Limits stand here a second time, in characters, for whoever writes past the server.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, pk_uuid, small_integer, text, text_uniq, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(rooms()).await?;
        let by_everyone =
            Index::create().name("rooms_by_everyone").table("rooms").col("everyone").to_owned();
        manager.create_index(by_everyone).await?;
        manager.create_table(members()).await?;
        let by_user =
            Index::create().name("members_by_user").table("members").col("user_id").to_owned();
        manager.create_index(by_user).await?;
        manager.create_table(messages()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["messages", "members", "rooms"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn chars_at_most(column: &'static str, chars_max: i32) -> Expr {
    Func::char_length(Expr::col(column)).lte(chars_max)
}

/// A room's id is the id of its log; `everyone`: every account is a member by rule.
fn rooms() -> TableCreateStatement {
    Table::create()
        .table("rooms")
        .col(pk_uuid("id"))
        .col(text_uniq("key").check(chars_at_most("key", 64)))
        .col(text("name").check(chars_at_most("name", 80)))
        .col(text("topic").check(chars_at_most("topic", 250)))
        .col(boolean("everyone"))
        .col(big_integer("created_at"))
        .foreign_key(ForeignKey::create().from("rooms", "id").to("logs", "id"))
        .to_owned()
}

/// `role` is the place of `protocol::model::Role` in its list, from 0.
fn members() -> TableCreateStatement {
    Table::create()
        .table("members")
        .col(uuid("room_id"))
        .col(uuid("user_id"))
        .col(small_integer("role").check(Expr::col("role").between(0, 2)))
        .col(big_integer("joined_seq"))
        .primary_key(Index::create().col("room_id").col("user_id"))
        .foreign_key(ForeignKey::create().from("members", "room_id").to("rooms", "id"))
        .foreign_key(ForeignKey::create().from("members", "user_id").to("users", "id"))
        .to_owned()
}

/// `seq` is the number of the message's first event; `name` is its author's name at that time.
fn messages() -> TableCreateStatement {
    Table::create()
        .table("messages")
        .col(uuid("room_id"))
        .col(big_integer("seq"))
        .col(uuid("id"))
        .col(uuid("author"))
        .col(text("name"))
        .col(uuid("op_id"))
        .col(text("text"))
        .col(big_integer("at"))
        .primary_key(Index::create().col("room_id").col("seq"))
        .foreign_key(ForeignKey::create().from("messages", "room_id").to("rooms", "id"))
        .to_owned()
}
