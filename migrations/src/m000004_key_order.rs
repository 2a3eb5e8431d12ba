//! In PostgreSQL rooms' keys are compared and ordered by their bytes, as SQLite does.
//!
//! By the rules of a language, which a database of PostgreSQL has from its server, a page of rooms
//! would begin elsewhere on another machine.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        collate(manager, "C").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        collate(manager, "default").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn collate(manager: &SchemaManager<'_>, collation: &str) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let text = format!(r#"alter table rooms alter column key type text collate "{collation}""#);
    manager.get_connection().execute_unprepared(&text).await.map(drop)
}
