//! How many accounts there are is kept, not counted.
//!
//! Every page names the members of the lobby, and those are all accounts. One row: it is raised in
//! the transaction that makes an account.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "create table totals (users bigint not null)").await?;
        run(manager, "insert into totals (users) select count(*) from users").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "drop table totals").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn run(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(text).await.map(drop)
}
