//! One connection's wire, read by a bystander between the two halves.
//!
//! Sees every frame that reaches the client, before the client does. Its law: what the client's
//! machine would mend by itself (an event twice, a gap, an answer that changed) is a fault here, so
//! that neither half can hide the other's.

use std::collections::BTreeMap;

use protocol::change::Envelope;
use protocol::cursor::Cursor;
use protocol::event::{Event, USER_SUB};
use protocol::frame::{Command, Kind};
use protocol::ids::{EventId, LogId, UserId};

use crate::ledger::Ledger;

/// What was seen on one connection.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    user: Option<UserId>,
    user_cursor: Option<Cursor>,
    asked: BTreeMap<u32, (LogId, Option<Cursor>)>,
    told: BTreeMap<LogId, Place>,
    last_sub: u32,
}

/// How far a log was told, under which number.
#[derive(Debug, Clone, Copy)]
struct Place {
    sub: u32,
    seq: u64,
    last: EventId,
    /// The log's head when it began: an own leave up to it is an older membership's.
    born: u64,
    /// The user's own membership ended behind the beginning: `Gone` is all that may follow.
    ended: bool,
}

impl Wire {
    /// The client said this.
    pub(crate) fn said(&mut self, command: &Command) {
        match command {
            Command::Hello(hello) => self.user_cursor = hello.user_cursor,
            Command::Sub(sub) => {
                assert!(sub.sub > self.last_sub, "the number of a subscription was used before");
                self.last_sub = sub.sub;
                self.asked.insert(sub.sub, (sub.room.log(), sub.cursor));
            }
            _ => {}
        }
    }

    /// The server said this.
    pub(crate) fn heard(&mut self, event: &Event, ledger: &mut Ledger) {
        match event {
            Event::Welcome(welcome) => {
                let user = welcome.user.id;
                assert!(self.user.replace(user).is_none(), "Welcome comes once");
                self.asked.insert(USER_SUB, (user.log(), self.user_cursor));
            }
            Event::SubOk(ok) => {
                let (log, cursor) = self.asked[&ok.sub];
                let cursor = cursor.expect("I13: only a cursor can be good");
                assert_eq!(ok.epoch, cursor.epoch, "I13: another life of the log");
                self.begin(log, ok.sub, (cursor, ok.head), ledger);
            }
            Event::Reset(reset) => {
                let (log, _) = self.asked[&reset.sub];
                self.begin(log, reset.sub, (reset.cursor, reset.cursor.seq), ledger);
            }
            Event::Page(page) => {
                for envelope in page.events.iter() {
                    self.logged(envelope, Some(page.sub), ledger);
                }
            }
            Event::Logged(logged) => self.logged(&logged.envelope, None, ledger),
            Event::Gone(gone) => {
                let told = self.told.get(&gone.room.log()).is_some_and(|at| at.sub == gone.sub);
                if told {
                    self.told.remove(&gone.room.log());
                }
            }
            Event::Accepted(accepted) => {
                ledger.accepted(self.user.expect("Welcome comes first"), accepted.clone());
            }
            Event::Refused(refused) => {
                let user = self.user.expect("Welcome comes first");
                ledger.refused(user, refused.op_id, refused.refusal.clone());
            }
            Event::Ping(ping) => {
                for position in ping.positions.iter() {
                    let told = self.told.values().find(|place| place.sub == position.sub);
                    let seq = told.map(|place| place.seq);
                    let late = seq.is_some_and(|seq| seq < position.seq);
                    assert!(!late, "I6: told to {seq:?}, and the ping says {}", position.seq);
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, log: LogId, sub: u32, (cursor, born): (Cursor, u64), ledger: &Ledger) {
        let newer = self.told.get(&log).is_some_and(|place| place.sub > sub);
        assert!(!newer, "an older subscription answers after a newer one");
        let last = ledger.began(log, cursor);
        let user = self.user.expect("Welcome comes first");
        let admitted = ledger.admitted(user, log, last, born);
        let admitted = admitted.expect("I13: the log never stood so behind the cursor");
        assert!(admitted, "I10: {log:?} is told to {user} from {born} on, who is no member");
        let place = Place { sub, seq: cursor.seq, last, born, ended: false };
        self.told.insert(log, place);
    }

    fn logged(&mut self, envelope: &Envelope, sub: Option<u32>, ledger: &Ledger) {
        let place = self.told.get_mut(&envelope.log).expect("I6: an event of no subscription");
        assert!(sub.is_none_or(|sub| sub == place.sub), "a page of another subscription");
        assert_eq!(envelope.seq, place.seq + 1, "I6: positions are not consecutive");
        assert!(!place.ended, "I10: {} is told behind the end of a membership", envelope.seq);
        ledger.followed(place.last, envelope);
        let own_end = envelope.kind == Kind::Left.number() && Some(envelope.author) == self.user;
        place.ended = own_end && envelope.seq > place.born;
        (place.seq, place.last) = (envelope.seq, envelope.id);
    }
}
