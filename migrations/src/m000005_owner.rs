//! Whether there is an owner is found without reading all accounts.
//!
//! Probes ask it every few seconds. 3 is the owner's place in `protocol::model::Rank`.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "create index users_owners on users (rank) where rank = 3").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "drop index users_owners").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn run(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(text).await.map(drop)
}
