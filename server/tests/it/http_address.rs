//! A room has one address, in any script; what spells no key is not there.
//!
//! Asked of the whole house by HTTP, because redirects and the drawn 404 are the door's. The rule of
//! keys itself is tried where it stands, in `rooms/key.rs`.

use crate::house::World;

#[tokio::test]
async fn a_room_is_found_at_one_address() {
    let world = World::open().await;
    let browser = world.browser();
    for (asked, one) in [
        ("/r/lobby", "/"),
        ("/r/LOBBY", "/"),
        ("/r/Tea", "/r/tea"),
        ("/r/%74ea", "/r/tea"),
        ("/r/TEA?before=7", "/r/tea?before=7"),
        ("/r/Caf%C3%A9", "/r/caf%C3%A9"),
        ("/r/A%CC%81", "/r/%C3%A1"),
        ("/r/%d8%ba", "/r/%D8%BA"),
    ] {
        let answer = browser.get(asked).await;
        assert_eq!((answer.status.as_u16(), answer.location()), (308, one), "{asked}");
    }
    let sent = browser.send("/r/Tea/join", &[]).await;
    assert_eq!((sent.status.as_u16(), sent.location()), (308, "/r/tea/join"));
}

#[tokio::test]
async fn what_spells_no_key_is_not_there() {
    let world = World::open().await;
    let browser = world.browser();
    for path in
        ["/r/", "/r/%2525", "/r/%25", "/r/a%2Fb", "/r/a/b", "/r/%D8", "/r/a%00b", "/r/%ZZ", "/x"]
    {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("</html>"), "{path}: the page says so");
        assert_eq!(browser.send(path, &[("name", "x")]).await.status, 404, "{path}");
    }
    assert_eq!(world.count("users").await, 0, "nobody becomes a guest by a wrong address");
}

#[tokio::test]
async fn an_address_where_only_forms_are_sent_leads_to_their_page() {
    let world = World::open().await;
    let browser = world.browser();
    for (asked, page) in [("/r/tea/join", "/r/tea"), ("/r/lobby/leave", "/"), ("/language", "/me")]
    {
        let answer = browser.get(asked).await;
        assert_eq!((answer.status.as_u16(), answer.location()), (303, page), "{asked}");
    }
}

#[tokio::test]
async fn a_room_that_nobody_made_is_made_by_who_joins_it() {
    let world = World::open().await;
    let browser = world.browser();
    let key = "/r/%D8%BA%D8%B1%D9%81%D8%A9";
    assert_eq!(browser.get(key).await.status, 404);
    let joined = browser.send(&format!("{key}/join"), &[]).await;
    assert_eq!((joined.status.as_u16(), joined.location()), (303, key));
    let page = browser.get(key).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("غرفة"));
}
