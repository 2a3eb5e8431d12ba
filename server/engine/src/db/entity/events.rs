//! The rows of `events`: the record itself, from which every other table can be made again.
//! Rows are only added; erasing overwrites the body of one and keeps the rest of it.
//! Made by the steps in `migrations`; used by the queries in `db` alone.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub log_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub id: Uuid,
    pub kind: i16,
    pub author: Uuid,
    pub device: Uuid,
    pub op_id: Uuid,
    pub flags: i16,
    pub body: Vec<u8>,
    pub at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
