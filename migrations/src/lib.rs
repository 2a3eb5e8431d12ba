//! The steps that make and change the database: one change a file, each with its way back.
//!
//! Run by the server at every start, before anything else touches the store. Its law: a step that
//! was released is never edited, a change is a new step; a step knows no entity of the server, for
//! entities follow the newest step and this one must mean the same for ever. Every value of 64
//! bits is a signed one, so that SQLite and PostgreSQL hold the same.

#![forbid(unsafe_code)]

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::{MigrationTrait, async_trait};

mod m000001_logs;
mod m000002_people;
mod m000003_rooms;
mod m000004_key_order;
mod m000005_owner;
mod m000006_tenures;
mod m000007_totals;

/// All steps, in their order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m000001_logs::Migration),
            Box::new(m000002_people::Migration),
            Box::new(m000003_rooms::Migration),
            Box::new(m000004_key_order::Migration),
            Box::new(m000005_owner::Migration),
            Box::new(m000006_tenures::Migration),
            Box::new(m000007_totals::Migration),
        ]
    }
}
