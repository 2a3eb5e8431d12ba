//! The pane of a room: what of its messages is in sight, and what follows from that.
//!
//! It opens at its end, at what is new or where its reader left it, follows what comes, asks for what
//! is older, and lets go of rows that are far away. The browser scrolls it and holds it by the line
//! that is read (`style/layout.css`). Its law: nothing here moves a line that is being read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;
use leptos::task::{spawn_local, tick};
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys;

use crate::components::messages::ask_older;
use crate::link::Link;
use crate::live::effect;
use crate::store::{Far, Gaze, Look, OlderState, Room, Store};

/// So near to the oldest message, in CSS pixels, older ones are asked for.
const NEAR_THE_BEGINNING: i32 = 800;
/// So near to its end, in CSS pixels, the pane follows what comes.
const NEAR_THE_END: i32 = 100;
/// So far below its top, in CSS pixels, the end of a message is clear of the head.
const CLEAR_OF_THE_HEAD: i32 = 100;

/// No scroll of a pane whose end is 0.
const NOTHING_SOUGHT: i32 = i32::MAX;
/// So long after it was asked for what is above, the pane is moved for that at most: later, what is here
/// is being read.
const SOUGHT: Duration = Duration::from_millis(1_500);

/// What is done before the next painting, in one box for all.
type InFrame = Box<dyn FnOnce(&Pane, web_sys::HtmlElement)>;

/// What the closures around a pane share.
#[derive(Clone)]
pub(super) struct Pane {
    room: Room,
    link: Link,
    store: Store,
    /// Its element.
    pub(super) element: NodeRef<html::Main>,
    /// Whether its reader is away from the newest message.
    pub(super) away: RwSignal<bool>,
    /// Whether he is near the end, where what could not be sent stands behind that message.
    is_near_the_end: StoredValue<bool>,
    gaze: StoredValue<Gaze>,
    /// Where it was scrolled to for what may stand higher when older messages come, and is gone to
    /// again then unless its reader began to do something meanwhile; else what no scroll is.
    sought: Arc<AtomicI32>,
    /// What that is: where he was, else, at the end, the line.
    place: Arc<AtomicI32>,
    /// Whether the browser must not hold it by a line that is read.
    pub(super) unheld: RwSignal<bool>,
}

impl Pane {
    /// The pane of this room, at work from its first drawing on.
    pub(super) fn begin(room: &Room, link: Link) -> Self {
        let pane = Self {
            room: room.clone(),
            link,
            store: expect_context(),
            element: NodeRef::new(),
            away: RwSignal::from(room.away.clone()),
            is_near_the_end: StoredValue::new(true),
            gaze: StoredValue::new(Gaze::default()),
            sought: Arc::new(AtomicI32::new(NOTHING_SOUGHT)),
            place: Arc::default(),
            unheld: unheld_while_older_come(room),
        };
        pane.clone().come_back();
        pane.clone().follow();
        pane.clone().read();
        pane.clone().cap();
        pane
    }

    /// Brings its reader back to where he left it, here or before the page was loaded anew.
    fn come_back(self) {
        effect(move || {
            let Some(place) = self.room.come_back() else { return };
            self.is_near_the_end.set_value(false);
            self.gaze.set_value(Gaze::of_who_is_back());
            // He has the line before him again, too.
            let _ = self.store.come(&self.room, false);
            self.in_frame(move |here, pane| {
                here.place.store(place, Ordering::Relaxed);
                here.seek(&pane);
                // In a window that is larger now there may be nothing to scroll.
                here.look_around(&pane);
            });
        });
    }

    /// It was scrolled, by its reader or by what came and went.
    pub(super) fn scrolled(&self) {
        let Some(pane) = self.element.get_untracked() else { return };
        let newest_off = self.room.keeps_newest_off();
        self.look_around(&pane);
        if above(&pane) < NEAR_THE_BEGINNING {
            ask_older(&self.room, &self.link);
        }
        if newest_off && pane.scroll_top() > -NEAR_THE_BEGINNING {
            // At its very end the pane would follow what comes instead of holding on to a line.
            pane.set_scroll_top(pane.scroll_top().min(-1));
            self.room.show_newer();
        }
    }

    /// Home and End go there at once. The browser's own way takes a while, which every row that
    /// comes or goes meanwhile cuts short, and it knows of no rows but those on the screen.
    pub(super) fn pressed(&self, event: &KeyboardEvent) {
        self.touched();
        let is_changed =
            event.ctrl_key() || event.alt_key() || event.meta_key() || event.shift_key();
        let writes = event_target::<web_sys::HtmlElement>(event).tag_name() == "TEXTAREA";
        match (event.key().as_str(), self.element.get_untracked()) {
            _ if is_changed || writes => return,
            ("End", Some(pane)) => {
                self.room.last.set(None);
                pane.set_scroll_top(0);
            }
            ("Home", Some(pane)) => pane.set_scroll_top(-pane.scroll_height()),
            _ => return,
        }
        event.prevent_default();
    }

    /// Its reader does something, and is not moved from there.
    pub(super) fn touched(&self) {
        self.sought.store(NOTHING_SOUGHT, Ordering::Relaxed);
    }

    /// Goes to the newest message: to the end, or half a screen above what could not be sent, if that
    /// fills the screen.
    pub(super) fn to_the_newest(&self) {
        self.touched();
        self.room.last.set(None);
        self.in_frame(|here, pane| {
            pane.set_scroll_top(0);
            here.look_around(&pane);
            if let Some(unsent) = first_unsent(&pane).filter(|_| here.away.get_untracked()) {
                let seen = seen_height(&pane);
                let half_a_screen = (seen / 2).max(clear_of_the_head(seen));
                pane.set_scroll_top(unsent.offset_top() - half_a_screen);
                here.look_around(&pane);
            }
        });
    }

    /// Takes note of where its reader is, and whether the newest message is in sight there: what could
    /// not be sent stands behind it, and may be longer than the screen.
    fn look_around(&self, pane: &web_sys::HtmlElement) {
        if self.is_where_it_seeks(pane) && self.place.load(Ordering::Relaxed) < 0 {
            // On the way to his place, which is kept for him.
            return;
        }
        let (below, newest_off) = (-pane.scroll_top(), self.room.keeps_newest_off());
        let is_near_the_end = !newest_off && below <= NEAR_THE_END;
        let is_away = newest_off
            || first_unsent(pane).map_or(!is_near_the_end, |unsent| {
                let (top, seen) = (unsent.offset_top() + below, seen_height(pane));
                top < clear_of_the_head(seen) || top > seen
            });
        self.is_near_the_end.set_value(is_near_the_end);
        self.room.keep_place(if is_away && !is_near_the_end { -below } else { 0 });
        if self.away.get_untracked() != is_away {
            self.away.set(is_away);
        }
    }

    /// Does this before the next painting, when the list has changed.
    fn in_frame(&self, act: impl FnOnce(&Self, web_sys::HtmlElement) + 'static) {
        let here = self.clone();
        let act: InFrame = Box::new(act);
        request_animation_frame(move || {
            // Nothing once its page is gone.
            if let Some(pane) = here.element.try_get_untracked().flatten() {
                act(&here, pane);
            }
        });
    }

    /// Keeps the pane at its end while messages come, unless its reader went further away from it,
    /// and fills one in which there is nothing to scroll.
    fn follow(self) {
        effect(move || {
            self.room.rows.track();
            // Behind the change of the list, which may have moved the pane by a line.
            self.in_frame(|here, pane| {
                if here.is_near_the_end.get_value() {
                    if pane.scroll_top() != 0 && !here.seeks() {
                        pane.set_scroll_top(0);
                    }
                    if pane.scroll_height() <= pane.client_height() {
                        ask_older(&here.room, &here.link);
                    }
                }
            });
        });
    }

    /// Who sees the newest message of a page that he sees has read all of it; who comes there finds a
    /// line before what is new, and is led to it unless he scrolled there by himself.
    fn read(self) {
        // Behind `follow`, so that the line is gone to last.
        effect(move || {
            self.room.rows.track();
            self.room.older.track();
            self.away.track();
            self.store.connection.live.track();
            let is_hidden = self.store.hidden.get();
            let is_elsewhere = self.away.get_untracked() || !self.is_near_the_end.get_value();
            if (self.room.has_failed() || is_elsewhere || self.seeks()) && !is_hidden {
                // It may cover what came with it, or have been all that covered the newest message.
                self.in_frame(|here, pane| {
                    if here.is_where_it_seeks(&pane) {
                        here.seek(&pane);
                    } else {
                        here.touched();
                    }
                    here.look_around(&pane);
                    here.look();
                });
            } else {
                self.look();
            }
        });
    }

    fn look(&self) {
        let is_known = self.room.older.get_untracked() != OlderState::Unread;
        let in_sight = is_known && !self.away.get_untracked();
        let hidden = self.store.hidden.get_untracked();
        match self.gaze.try_update_value(|gaze| gaze.look(in_sight, hidden)) {
            None | Some(Look::Away) => {}
            Some(Look::Comes { anew, led }) if self.store.come(&self.room, anew) && led => {
                self.go_to_the_line();
            }
            // Of what is not here yet nothing was seen.
            Some(_) if self.seeks() => {}
            Some(_) => self.store.read(&self.room),
        }
    }

    /// Shows the line before what is new, where that is above what is seen. Who then sees the newest
    /// message, too, has read it, unless more of it is above.
    fn go_to_the_line(&self) {
        self.place.store(0, Ordering::Relaxed);
        // Nothing is read before that is done.
        self.sought.store(0, Ordering::Relaxed);
        self.in_frame(|here, pane| {
            here.seek(&pane);
            here.look_around(&pane);
            if !here.away.get_untracked() && !here.seeks() {
                here.store.read(&here.room);
            }
        });
    }

    /// Goes to the line or the place, and has what is above read while that may be there.
    fn seek(&self, pane: &web_sys::HtmlElement) {
        let place = self.place.load(Ordering::Relaxed);
        let is_above = if place < 0 {
            pane.set_scroll_top(place);
            // What is above has a say in how the next rows are grouped.
            above(pane) < NEAR_THE_BEGINNING && self.room.has_older()
        } else {
            if let Ok(Some(line)) = pane.query_selector(".new-line") {
                line.scroll_into_view();
            }
            self.room.line_rises()
        };
        self.touched();
        if is_above {
            self.sought.store(pane.scroll_top(), Ordering::Relaxed);
            if self.store.connection.live.get_untracked() {
                ask_older(&self.room, &self.link);
                let here = self.clone();
                set_timeout(move || here.touched(), SOUGHT);
            }
        }
    }

    fn seeks(&self) -> bool {
        self.sought.load(Ordering::Relaxed) != NOTHING_SOUGHT
    }

    fn is_where_it_seeks(&self, pane: &web_sys::HtmlElement) -> bool {
        self.sought.load(Ordering::Relaxed) == pane.scroll_top()
    }

    /// Keeps the number of messages on the screen within its bound, at the end that is farther away,
    /// where it moves nothing: what is above has no say in a reversed pane, and for what is below it
    /// is held by hand.
    fn cap(self) {
        effect(move || {
            self.room.rows.track();
            self.room.last.track();
            if self.unheld.get() {
                return;
            }
            self.in_frame(|here, pane| {
                if here.seeks() {
                    return;
                }
                let above = above(&pane);
                let is_near_the_end = !here.away.get_untracked() || -pane.scroll_top() < above;
                let far = if is_near_the_end { Far::Oldest } else { Far::Newest };
                here.store.cap(&here.room, far);
                if !is_near_the_end {
                    hold(pane, above);
                }
            });
        });
    }
}

/// The first message of those that could not be sent, which stand last.
fn first_unsent(pane: &web_sys::HtmlElement) -> Option<web_sys::HtmlElement> {
    pane.query_selector(".message-failed").ok().flatten()?.dyn_into().ok()
}

/// How far below its top a message ends that is seen, in a pane of which so much is seen: in a low one
/// half of that is less.
fn clear_of_the_head(seen: i32) -> i32 {
    CLEAR_OF_THE_HEAD.min(seen / 2).max(0)
}

/// How much of the pane's height is not covered by its foot.
fn seen_height(pane: &web_sys::HtmlElement) -> i32 {
    let foot = pane.query_selector(".foot").ok().flatten();
    let covered = foot.map_or(0, |foot| foot.client_height());
    pane.client_height() - covered
}

/// How many pixels are above what is seen. The pane is reversed: its end is 0 and what is above has
/// negative numbers.
fn above(pane: &web_sys::HtmlElement) -> i32 {
    pane.scroll_height() - pane.client_height() + pane.scroll_top()
}

/// Keeps so many pixels above what is seen, once the list has changed and before it is painted. The
/// browser holds a pane by a line, too, but not always by one that stood still.
fn hold(pane: web_sys::HtmlElement, above: i32) {
    spawn_local(async move {
        tick().await;
        pane.set_scroll_top(above + pane.client_height() - pane.scroll_height());
    });
}

/// Whether the browser must not hold the pane by a line that is read. While newer messages come it
/// should; but the list moves its elements when it grows at its beginning, and by a line that was
/// moved the pane would jump. Reversed, it needs no hold for what is put on top.
fn unheld_while_older_come(room: &Room) -> RwSignal<bool> {
    let (older, unheld) = (room.older.clone(), RwSignal::new(false));
    effect(move || {
        if older.get() == OlderState::Loading {
            unheld.set(true);
        } else if unheld.get_untracked() {
            // Behind the frame that lays the older messages out, unless the next are on their way by then.
            let older = older.clone();
            let held = move || unheld.set(older.get_untracked() == OlderState::Loading);
            request_animation_frame(move || request_animation_frame(held));
        }
    });
    unheld
}
