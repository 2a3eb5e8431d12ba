//! What pages ask before they are drawn, answered from the store.
//!
//! The one implementation of the app's port. Its law: it reads and never writes, says nothing of a
//! room to whom it is not open but what everybody may know, and logs once what goes wrong.

use std::sync::Arc;

use app::backend::{Answer, Backend, Unavailable};
use app::first_page::{Inside, OpenRoom, RoomPage, RoomsPage};
use app::routes::LOBBY_KEY;
use protocol::ids::UserId;
use protocol::limits::SNAPSHOT_MESSAGES_MAX;
use protocol::model::{Role, RoomEntry, RoomKey};

use crate::auth::setup::Setup;
use crate::history::{self, History, RoomCard, RoomView};

/// Rooms on one page of the list; as many as the store gives at once.
const ROOMS_A_PAGE: usize = 50;

/// The server's side of the app's port. Cheap to clone.
#[derive(Clone)]
pub struct Port {
    /// The store.
    pub history: Arc<dyn History>,
    /// The setup link.
    pub setup: Arc<Setup>,
}

impl Backend for Port {
    fn rooms(&self, user: Option<UserId>) -> Answer<'_, Vec<RoomEntry>> {
        Box::pin(async move {
            let arrival = match user {
                Some(user) => self.history.arrival(user, None).await.map_err(told)?,
                None => None,
            };
            match arrival {
                Some(arrival) => Ok(arrival.rooms),
                None => Ok(self.lobby().await?.into_iter().collect()),
            }
        })
    }

    fn room(
        &self,
        user: Option<UserId>,
        key: RoomKey,
        before: Option<u64>,
    ) -> Answer<'_, Option<RoomPage>> {
        Box::pin(async move {
            let Some(card) = self.history.room_by_key(&key).await.map_err(told)? else {
                return Ok(None);
            };
            let view = self.history.snapshot(user, card.id).await.map_err(told)?;
            let Some(view) = view else { return Ok(Some(outside(card))) };
            let mut page = inside(view);
            if let (Some(before), Some(inside)) = (before, &mut page.inside) {
                let older = self.history.older(user, card.id, before, SNAPSHOT_MESSAGES_MAX);
                let older = older.await.map_err(told)?;
                if let Some(older) = older {
                    inside.messages = older.messages.into_vec();
                    inside.older = older.older;
                    inside.newer = true;
                }
            }
            Ok(Some(page))
        })
    }

    fn open_rooms(&self, user: Option<UserId>, after: Option<RoomKey>) -> Answer<'_, RoomsPage> {
        Box::pin(async move {
            let cards = self.history.open_rooms(after.as_deref()).await.map_err(told)?;
            let own = match user {
                Some(_) => self.rooms(user).await?,
                None => Vec::new(),
            };
            let last = cards.last().filter(|_| cards.len() >= ROOMS_A_PAGE);
            let after = last.map(|card| card.key.clone());
            let rooms = cards.into_iter().map(|card| {
                let entry = own.iter().find(|room| room.id == card.id).cloned();
                OpenRoom {
                    member_count: card.member_count,
                    member: entry.is_some() || card.everyone,
                    entry: entry.unwrap_or_else(|| entry_of(card)),
                }
            });
            Ok(RoomsPage { rooms: rooms.collect(), after })
        })
    }

    fn setup_is_open(&self, token: String) -> Answer<'_, bool> {
        Box::pin(async move { Ok(self.setup.is_open(&token)) })
    }
}

impl Port {
    /// The lobby as a visitor without an account sees it in his list.
    async fn lobby(&self) -> Result<Option<RoomEntry>, Unavailable> {
        let Some(card) = self.history.room_by_key(LOBBY_KEY).await.map_err(told)? else {
            return Ok(None);
        };
        let heads = self.history.heads(&[card.id.log()]).await.map_err(told)?;
        let head = heads.first().map_or(0, |head| head.cursor.seq);
        Ok(Some(RoomEntry { head, ..entry_of(card) }))
    }
}

fn inside(view: RoomView) -> RoomPage {
    let RoomView { snapshot, cursor, .. } = view;
    RoomPage {
        entry: snapshot.room,
        member_count: snapshot.member_count,
        inside: Some(Inside {
            cursor,
            messages: snapshot.messages.into_vec(),
            older: snapshot.older,
            newer: false,
        }),
    }
}

fn outside(card: RoomCard) -> RoomPage {
    RoomPage { member_count: card.member_count, entry: entry_of(card), inside: None }
}

/// What everybody may know of a room; its last number is not part of that.
fn entry_of(card: RoomCard) -> RoomEntry {
    RoomEntry {
        id: card.id,
        key: card.key,
        name: card.name,
        topic: card.topic,
        everyone: card.everyone,
        role: Role::Member,
        head: 0,
    }
}

fn told(unavailable: history::Unavailable) -> Unavailable {
    tracing::error!(%unavailable, "a page cannot be loaded");
    Unavailable
}
