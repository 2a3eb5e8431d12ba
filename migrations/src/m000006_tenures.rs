//! In PostgreSQL every process that begins leaves a trace, which one that lost its lock looks for.
//!
//! One row: its number is raised by who takes the lock at his start, and says that nobody did since
//! it was read. A sequence would not do: it may leap ahead where the server crashed. SQLite's lock
//! is on a file and cannot be lost.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "create table tenures (number bigint not null)").await?;
        run(manager, "insert into tenures (number) values (0)").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, "drop table tenures").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn run(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    manager.get_connection().execute_unprepared(text).await.map(drop)
}
