//! The permission matrix: everybody who can be somebody, before every door of the house.
//!
//! Here are the people and the rooms; `matrix_routes` tries every route, `matrix_frames` every kind
//! of frame. Its law: whoever may do a thing is in the table, and whoever may not is, too; a route
//! or a kind that is in no table fails the test.

use crate::house::{Browser, World};

/// What stands in the room of the members, and may be read by them alone.
pub(crate) const SECRET: &str = "for members alone";

/// Everybody, in the order of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A browser without a cookie.
    Nobody,
    /// A guest who is in no room but the lobby.
    Other,
    /// Was a member.
    Left,
    Member,
    /// Keeps order in the room.
    Moderator,
    /// Made the room.
    Maker,
    /// Owns the house, and is not in the room.
    Owner,
    /// A member whose sign-in was revoked.
    Revoked,
    /// A member whose account was disabled.
    Disabled,
}

pub(crate) const EVERYBODY: [Who; 9] = [
    Who::Nobody,
    Who::Other,
    Who::Left,
    Who::Member,
    Who::Moderator,
    Who::Maker,
    Who::Owner,
    Who::Revoked,
    Who::Disabled,
];

/// A house with two rooms and everybody in it.
pub(crate) struct Matrix {
    pub(crate) world: World,
    browsers: Vec<Browser>,
    cookies: Vec<String>,
    /// The cookie of the stranger.
    pub(crate) stranger: String,
}

impl Matrix {
    /// The room `tea`, in which the members are, and the room `ink`, which is a stranger's.
    pub(crate) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// The same in a house with these flags.
    pub(crate) async fn with(flags: &[&str]) -> Self {
        let world = World::with(flags).await;
        let browsers: Vec<Browser> = EVERYBODY.iter().map(|_| world.browser()).collect();
        let mut cookies = Vec::new();
        for (who, browser) in EVERYBODY.iter().zip(&browsers) {
            cookies.push(if *who == Who::Nobody { String::new() } else { guest(browser).await });
        }
        let browser = world.browser();
        let stranger = guest(&browser).await;
        made(&browser, "/rooms", &[("name", "ink")]).await;
        made(&browser, "/r/ink", &[("text", SECRET)]).await;
        let matrix = Self { world, browsers, cookies, stranger };
        made(matrix.browser(Who::Maker), "/rooms", &[("name", "tea")]).await;
        made(matrix.browser(Who::Maker), "/r/tea", &[("text", SECRET)]).await;
        for who in EVERYBODY.into_iter().filter(|who| *who != Who::Nobody) {
            made(matrix.browser(who), "/me", &[("name", &format!("{who:?}"))]).await;
        }
        for who in [Who::Left, Who::Member, Who::Moderator, Who::Revoked, Who::Disabled] {
            made(matrix.browser(who), "/r/tea/join", &[]).await;
        }
        made(matrix.browser(Who::Left), "/r/tea/leave", &[]).await;
        let link = matrix.world.house.setup_path.clone().unwrap();
        made(matrix.browser(Who::Owner), &link, &[]).await;
        matrix.change("update members set role = 1 where user_id", Who::Moderator).await;
        matrix
    }

    /// Takes away what the revoked and the disabled have, behind their open sockets.
    pub(crate) async fn take_away(&self) {
        self.change("update sign_ins set revoked_at = 1 where user_id", Who::Revoked).await;
        self.change("update users set disabled_at = 1 where id", Who::Disabled).await;
    }

    pub(crate) fn browser(&self, who: Who) -> &Browser {
        let place = EVERYBODY.iter().position(|other| *other == who).unwrap();
        &self.browsers[place]
    }

    /// A browser that was never here.
    pub(crate) fn anew(&self) -> Browser {
        self.world.browser()
    }

    /// What a form's page says where it comes from.
    pub(crate) fn origin(&self) -> &str {
        &self.world.url
    }

    /// The cookie of somebody who has one.
    pub(crate) fn cookie(&self, who: Who) -> Option<&str> {
        let place = EVERYBODY.iter().position(|other| *other == who).unwrap();
        Some(self.cookies[place].as_str()).filter(|cookie| !cookie.is_empty())
    }

    /// How many events the members' room has.
    pub(crate) async fn events(&self) -> i64 {
        let tea = "(select id from rooms where key = 'tea')";
        self.world.count(&format!("events where log_id = {tea}")).await
    }

    async fn change(&self, change: &str, who: Who) {
        let user = format!("(select id from users where name = '{who:?}')");
        self.world.write(&format!("{change} = {user}")).await;
    }
}

/// Makes a guest of a browser; gives his cookie.
async fn guest(browser: &Browser) -> String {
    let answer = browser.send("/api/guest", &[]).await;
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// Sends a form that is done.
async fn made(browser: &Browser, path: &str, fields: &[(&str, &str)]) {
    let answer = browser.send(path, fields).await;
    assert_eq!(answer.status, 303, "{path}: {}", answer.body);
}
