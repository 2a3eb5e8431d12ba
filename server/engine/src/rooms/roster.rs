//! Who may do what: the one function that answers it.
//!
//! Called by the judge with rows read inside the transaction, and by pages that hide what would be
//! refused. Its law: pure, and told everything it decides on; a cached membership never decides.

use protocol::act::Act;
use protocol::model::{Rank, Role};
use protocol::refusal::Refusal;

/// Who asks, as the store knows him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// What he may do on this server.
    pub rank: Rank,
    /// His account may do nothing any more.
    pub disabled: bool,
}

/// The room it is about, as he stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// Everybody is a member by rule.
    pub everyone: bool,
    /// His role where he is a member.
    pub role: Option<Role>,
}

/// Whether this user may do this act; `room` is nothing where the act is about none, or about one
/// that does not exist.
pub fn may(user: Actor, act: &Act, room: Option<Ground>) -> Result<(), Refusal> {
    if user.disabled {
        return Err(Refusal::AccountDisabled);
    }
    let role = room.and_then(|ground| ground.role);
    match act {
        Act::Create(_) | Act::Enter(_) | Act::Rename(_) => Ok(()),
        Act::Post(_) => role.map(|_| ()).ok_or(Refusal::NotMember),
        Act::Leave(_) if room.is_some_and(|ground| ground.everyone) => Err(Refusal::NotAllowed),
        Act::Leave(_) => role.map(|_| ()).ok_or(Refusal::NotMember),
        Act::Configure(_) if room.is_some() && user.rank >= Rank::Admin => Ok(()),
        Act::Configure(_) => match role {
            Some(Role::Moderator | Role::Owner) => Ok(()),
            Some(Role::Member) => Err(Refusal::NotAllowed),
            None => Err(Refusal::NotMember),
        },
    }
}

#[cfg(test)]
mod tests {
    use protocol::act::{Configure, Leave, Post};
    use protocol::ids::RoomId;
    use protocol::model::{MessageText, RoomName, Topic};

    use super::*;

    const GUEST: Actor = Actor { rank: Rank::Guest, disabled: false };

    fn ground(role: Option<Role>) -> Option<Ground> {
        Some(Ground { everyone: false, role })
    }

    fn post() -> Act {
        Act::Post(Post { room: RoomId::NIL, text: MessageText::default() })
    }

    fn configure() -> Act {
        let (name, topic) = (RoomName::default(), Topic::default());
        Act::Configure(Configure { room: RoomId::NIL, name, topic })
    }

    #[test]
    fn only_members_write() {
        assert_eq!(may(GUEST, &post(), ground(Some(Role::Member))), Ok(()));
        assert_eq!(may(GUEST, &post(), ground(None)), Err(Refusal::NotMember));
        assert_eq!(may(GUEST, &post(), None), Err(Refusal::NotMember));
    }

    #[test]
    fn a_disabled_account_may_nothing() {
        let user = Actor { rank: Rank::Owner, disabled: true };
        for act in [post(), configure()] {
            assert_eq!(may(user, &act, ground(Some(Role::Owner))), Err(Refusal::AccountDisabled));
        }
    }

    #[test]
    fn nobody_leaves_the_room_of_everybody() {
        let lobby = Some(Ground { everyone: true, role: Some(Role::Member) });
        let leave = Act::Leave(Leave { room: RoomId::NIL });
        assert_eq!(may(GUEST, &leave, lobby), Err(Refusal::NotAllowed));
    }

    #[test]
    fn a_room_is_configured_by_its_keepers_and_by_operators() {
        let admin = Actor { rank: Rank::Admin, disabled: false };
        assert_eq!(may(GUEST, &configure(), ground(Some(Role::Member))), Err(Refusal::NotAllowed));
        assert_eq!(may(GUEST, &configure(), ground(None)), Err(Refusal::NotMember));
        assert_eq!(may(GUEST, &configure(), ground(Some(Role::Moderator))), Ok(()));
        assert_eq!(may(admin, &configure(), ground(None)), Ok(()));
        assert_eq!(may(admin, &configure(), None), Err(Refusal::NotMember));
    }
}
