//! What is sent by plain forms: every write of the house, for browsers without a script.
//!
//! A form's answer is 303 to a path named here, or the page again with what was written and why it
//! was not taken: 422 where it can never be, 429 where it was too much in a short time, 503 where
//! the house cannot now; these two name the time. Its law: each form carries the
//! op id it was drawn with, so that sending it twice is sending it once; text has LF line ends from
//! here on; the Referer is never read.

use std::sync::Arc;
use std::time::Duration;

use app::backend::{Backend, Unavailable};
use app::first_page::{Form, SentBack, Why};
use app::routes::{Address, ME_PATH};
use app::text::PageLanguage;
use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use protocol::act::{Act, Configure, Create, Enter, Leave, Op, Post, Rename};
use protocol::bounded::Text;
use protocol::ids::{DeviceId, LogId, OpId, RoomId};
use protocol::limits::{NAME_CHARS_MAX, ROOM_NAME_CHARS_MAX, TOPIC_CHARS_MAX};
use protocol::model::RoomKey;
use protocol::refusal::{Refusal, RetryReason};
use protocol::words::with_plain_line_ends;
use serde::Deserialize;

use super::Door;
use super::address::{self, Path, Spot};
use super::guest::{self, Guest, no_store};
use super::pages::{self, Reader};
use crate::auth::Principal;
use crate::clock::{Chance, SystemChance};
use crate::history::{Pending, Verdict};
use crate::rooms::task::TurnedAway;
use crate::throttle::Source;

/// The fields of all forms; a form has only some of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    op: String,
    text: String,
    name: String,
    topic: String,
    lang: String,
}

/// What became of a form.
enum Fate {
    /// It was done; this is the page to go on with.
    Done(String),
    /// It was not.
    Not(Why),
    /// What it is about is not there, or not for this visitor.
    Missing,
}

/// A POST to the address of a page.
pub(super) async fn send(
    State(door): State<Arc<Door>>,
    Extension(source): Extension<Source>,
    request: Request,
) -> Response {
    let reader = Reader::of(&request, door.accounts.cookies());
    let spot = match address::parse(request.uri()) {
        Path::At(spot) => spot,
        Path::Moved(to) => return pages::moved(StatusCode::PERMANENT_REDIRECT, &to),
        Path::Nowhere => return pages::draw(&door, &reader, None, None, None).await,
    };
    let headers = request.headers().clone();
    let fields = match read(&door, request).await {
        Ok(fields) => fields,
        Err(response) => return response,
    };
    if spot == Spot::Language {
        return choose_language(&door, &reader, &fields.lang).await;
    }
    let guest = match guest::recognise(&door, &headers, source).await {
        Ok(guest) => guest,
        Err(response) => return response,
    };
    let Guest { principal, set_cookie } = guest;
    let op_id = op_id(&door, &fields.op);
    let mut response = match fate(&door, &principal, &spot, &fields, op_id).await {
        Ok(fate) => answer(&door, &reader, &principal, &spot, (fields, op_id), fate).await,
        Err(response) => response,
    };
    if let Some(cookie) = set_cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The fields, if they come in time and are not too many bytes.
async fn read(door: &Door, request: Request) -> Result<Fields, Response> {
    let patience = Duration::from_millis(door.limits.request_ms.into());
    let form = axum::Form::<Fields>::from_request(request, &());
    match tokio::time::timeout(patience, form).await {
        Ok(Ok(axum::Form(fields))) => Ok(fields),
        Ok(Err(rejection)) => Err(rejection.into_response()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    }
}

/// Keeps the language in a cookie of its own; no account is needed for it.
async fn choose_language(door: &Door, reader: &Reader, tag: &str) -> Response {
    match PageLanguage::from_tag(tag) {
        Some(language) => {
            let cookie = door.accounts.cookies().set_language(language.tag());
            (StatusCode::SEE_OTHER, [(LOCATION, ME_PATH.to_owned()), (SET_COOKIE, cookie)])
                .into_response()
        }
        None => pages::draw(door, reader, None, None, None).await,
    }
}

/// Does what the form asks.
async fn fate(
    door: &Door,
    principal: &Principal,
    spot: &Spot,
    fields: &Fields,
    op_id: OpId,
) -> Result<Fate, Response> {
    let act = match spot {
        Spot::Setup(token) => return own(door, principal, token).await,
        Spot::Room(key) | Spot::Leave(key) | Spot::RoomSettings(key) => {
            let Some(room) = room_of(door, key).await? else { return Ok(Fate::Missing) };
            act_in_room(spot, room, fields, door.limits.text_chars)
        }
        _ => act_of_user(spot, fields),
    };
    let act = match act {
        Ok(act) => act,
        Err(refusal) => return Ok(Fate::Not(Why::Refused(refusal))),
    };
    let pending = Pending {
        author: principal.me().id,
        sign_in: principal.sign_in(),
        device: DeviceId::NIL,
        op: Op { op_id, act },
        check_only: false,
    };
    let later = |away: TurnedAway| {
        let TurnedAway { reason, retry_after_ms: wait_ms } = away;
        Fate::Not(Why::Later { reason, wait_ms })
    };
    Ok(match door.engine.rooms.act(pending).await {
        Ok(Verdict::Accepted(accepted)) => {
            Fate::Done(next(door, principal, spot, accepted.log).await?)
        }
        Ok(Verdict::Refused(refused)) => Fate::Not(Why::Refused(refused.refusal)),
        Ok(Verdict::Retry(reason)) => later(reason.into()),
        Ok(Verdict::SignedOut) => later(RetryReason::Busy.into()),
        Err(away) => later(away),
    })
}

fn act_of_user(spot: &Spot, fields: &Fields) -> Result<Act, Refusal> {
    Ok(match spot {
        Spot::Join(key) => Act::Enter(Enter { key: key.clone() }),
        Spot::Me => Act::Rename(Rename { name: bounded(&fields.name, NAME_CHARS_MAX)? }),
        _ => Act::Create(Create { name: bounded(&fields.name, ROOM_NAME_CHARS_MAX)? }),
    })
}

fn act_in_room(
    spot: &Spot,
    room: RoomId,
    fields: &Fields,
    text_chars: u32,
) -> Result<Act, Refusal> {
    Ok(match spot {
        Spot::Leave(_) => Act::Leave(Leave { room }),
        Spot::RoomSettings(_) => Act::Configure(Configure {
            room,
            name: bounded(&fields.name, ROOM_NAME_CHARS_MAX)?,
            topic: bounded(&fields.topic, TOPIC_CHARS_MAX)?,
        }),
        _ => {
            let text = with_plain_line_ends(&fields.text);
            let text = Text::new(text).map_err(|_| Refusal::TooLong { chars_max: text_chars })?;
            Act::Post(Post { room, text })
        }
    })
}

/// A text within the wire's bound of bytes; how many characters it may have the judge knows.
fn bounded<const N: usize>(text: &str, chars_max: usize) -> Result<Text<N>, Refusal> {
    let chars_max = u32::try_from(chars_max).unwrap_or(u32::MAX);
    Text::new(text).map_err(|_| Refusal::TooLong { chars_max })
}

/// The key of the form's act. A program that sends none gets a new one, and no protection.
fn op_id(door: &Door, sent: &str) -> OpId {
    let sent = sent.parse().ok().filter(|op_id: &OpId| !op_id.is_nil());
    sent.unwrap_or_else(|| OpId::make(door.engine.clock.unix_ms(), SystemChance.id_bytes()))
}

async fn room_of(door: &Door, key: &RoomKey) -> Result<Option<RoomId>, Response> {
    let card = door.port.history.room_by_key(key).await.map_err(no_store)?;
    Ok(card.map(|card| card.id))
}

/// Where a form leads when it was done: to the page whose change shows it.
async fn next(
    door: &Door,
    principal: &Principal,
    spot: &Spot,
    log: LogId,
) -> Result<String, Response> {
    Ok(match spot {
        Spot::Room(key) | Spot::Join(key) | Spot::RoomSettings(key) => {
            address::encoded_room_path(key)
        }
        Spot::Rooms => {
            let rooms = door.port.rooms(Some(principal.me().id)).await;
            let rooms =
                rooms.map_err(|Unavailable| StatusCode::SERVICE_UNAVAILABLE.into_response())?;
            let made = rooms.iter().find(|room| room.id.log() == log);
            made.map_or_else(|| "/".to_owned(), |room| address::encoded_room_path(&room.key))
        }
        Spot::Me => format!("{ME_PATH}?saved"),
        Spot::Language => ME_PATH.to_owned(),
        Spot::Leave(_) | Spot::Setup(_) => "/".to_owned(),
    })
}

/// Makes the visitor the owner, if the link stands and nobody was faster.
async fn own(door: &Door, principal: &Principal, token: &str) -> Result<Fate, Response> {
    if !door.setup.is_open(token) {
        return Ok(Fate::Missing);
    }
    let (user, now) = (principal.me().id, door.engine.clock.unix_ms());
    let event = door.history.make_owner(user, &mut SystemChance, now).await.map_err(no_store)?;
    door.setup.close();
    let Some(event) = event else { return Ok(Fate::Missing) };
    door.engine.rooms.hint(event.log, event.seq);
    tracing::info!(%user, "the house has its owner");
    Ok(Fate::Done("/".to_owned()))
}

/// 303 to the next page, or the page again with what was not taken.
async fn answer(
    door: &Door,
    reader: &Reader,
    principal: &Principal,
    spot: &Spot,
    (fields, op_id): (Fields, OpId),
    fate: Fate,
) -> Response {
    let me = principal.reader();
    match fate {
        Fate::Done(path) => pages::moved(StatusCode::SEE_OTHER, &path),
        Fate::Missing => pages::draw(door, reader, me, None, None).await,
        Fate::Not(why) => {
            let (form, address) = form_of(spot);
            let text = if form == Form::Post { fields.text } else { fields.name };
            let text = with_plain_line_ends(&text);
            let refused = SentBack { form, op_id, text, topic: fields.topic, why };
            pages::draw(door, reader, me, Some(&address), Some(refused)).await
        }
    }
}

/// Which form is sent there, and the page it stands on.
fn form_of(spot: &Spot) -> (Form, Address) {
    let room = |key: &RoomKey| Address::Room { key: key.clone(), before: None };
    match spot {
        Spot::Room(key) => (Form::Post, room(key)),
        Spot::Join(key) => (Form::Enter, room(key)),
        Spot::Leave(key) => (Form::Leave, room(key)),
        Spot::RoomSettings(key) => (Form::Configure, Address::RoomSettings(key.clone())),
        Spot::Rooms => (Form::Create, Address::Rooms { after: None }),
        Spot::Me => (Form::Rename, Address::Me { saved: false }),
        Spot::Language => (Form::Language, Address::Me { saved: false }),
        Spot::Setup(token) => (Form::Setup, Address::Setup { token: token.clone() }),
    }
}
