//! The accounts, and the proofs by which browsers speak for them.
//!
//! A user's id is the id of his log. Of a sign-in's secret only the SHA-256 is kept.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, binary_len, pk_uuid, small_integer, text, uuid,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users()).await?;
        manager.create_table(sign_ins()).await?;
        let by_user =
            Index::create().name("sign_ins_by_user").table("sign_ins").col("user_id").to_owned();
        manager.create_index(by_user).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sign_ins", "users"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// `rank` is the place of `protocol::model::Rank` in its list, from 0.
fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(pk_uuid("id"))
        .col(text("name"))
        .col(small_integer("rank").check(Expr::col("rank").between(0, 3)))
        .col(big_integer("created_at"))
        .col(big_integer_null("disabled_at"))
        .foreign_key(ForeignKey::create().from("users", "id").to("logs", "id"))
        .to_owned()
}

fn sign_ins() -> TableCreateStatement {
    Table::create()
        .table("sign_ins")
        .col(binary_len("id_hash", 32).primary_key())
        .col(uuid("user_id"))
        .col(big_integer("generation"))
        .col(big_integer("created_at"))
        .col(big_integer("seen_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("revoked_at"))
        .foreign_key(ForeignKey::create().from("sign_ins", "user_id").to("users", "id"))
        .to_owned()
}
