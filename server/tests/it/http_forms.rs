//! Without a script everything is a form: sent once however often it is sent, refused with its text.
//!
//! A `Browser` here runs no script. What it sends is what a page of the house would send; what is
//! refused must come back letter by letter.

use crate::house::{Browser, World};

/// Posts a text with the op id that the lobby's page was drawn with.
async fn post(browser: &Browser, text: &str) -> crate::house::Answer {
    let op = browser.get("/").await.op_of("/");
    browser.send("/", &[("op", &op), ("text", text)]).await
}

#[tokio::test]
async fn the_first_form_of_a_stranger_makes_him_a_guest_and_is_done() {
    let world = World::open().await;
    let browser = world.browser();
    let answer = post(&browser, "hello, house").await;
    assert_eq!((answer.status.as_u16(), answer.location()), (303, "/"));
    assert!(answer.header("set-cookie").starts_with("sid="));
    assert!(browser.get("/").await.body.contains("hello, house"));
    assert!(world.browser().get("/").await.body.contains("hello, house"), "others read it too");
    let again = post(&browser, "once more").await;
    assert_eq!(again.header("set-cookie"), "", "he is known now");
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_has_one_effect() {
    let world = World::open().await;
    let browser = world.browser();
    browser.send("/api/guest", &[]).await;
    let op = browser.get("/").await.op_of("/");
    for _ in 0..3 {
        let answer = browser.send("/", &[("op", &op), ("text", "only once")]).await;
        assert_eq!(answer.status, 303);
    }
    assert_eq!(world.count("messages").await, 1);
    let other = browser.send("/", &[("op", &op), ("text", "something else")]).await;
    assert_eq!(other.status, 422, "an op id is for one text");
    assert!(other.body.contains("something else"), "which is not lost");
}

#[tokio::test]
async fn a_refused_text_stands_in_the_page_again_and_stays_text() {
    let world = World::with(&["--limits-text-chars", "100"]).await;
    let browser = world.browser();
    let nasty = format!("</textarea><img src=x onerror=alert(1)>&amp;\r\n{}", "x".repeat(100));
    let answer = post(&browser, &nasty).await;
    assert_eq!(answer.status, 422);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(!answer.body.contains("<img src=x"), "{}", answer.body);
    let drawn = "&lt;/textarea>&lt;img src=x onerror=alert(1)>&amp;amp;\n";
    let (_, field) = answer.body.split_once("<textarea").unwrap();
    let (_, text) = field.split_once('>').unwrap();
    let text = text.split("</textarea").next().unwrap();
    assert!(text.starts_with(&format!("\n{drawn}")), "the first line end is the parser's: {text}");
    assert_eq!(world.count("messages").await, 0);
}

#[tokio::test]
async fn a_text_of_nothing_is_refused_and_one_beyond_the_wire_too() {
    let world = World::open().await;
    let browser = world.browser();
    for text in ["", " \r\n\t ", &"x".repeat(41 * 1024)] {
        assert_eq!(post(&browser, text).await.status, 422, "{} bytes", text.len());
    }
    let text: String = "x".repeat(10_000);
    assert_eq!(post(&browser, &text).await.status, 303, "the last that fits");
}

#[tokio::test]
async fn text_is_text_and_its_lines_end_with_one_sign() {
    let world = World::open().await;
    let browser = world.browser();
    for text in ["<img src=x onerror=alert(1)>", "{\"text\":{\"a\":1}}", "null", "5"] {
        assert_eq!(post(&browser, text).await.status, 303, "{text}");
    }
    assert_eq!(post(&browser, "two\r\nlines").await.status, 303);
    let page = browser.get("/").await.body;
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.contains("<img src=x"));
    assert!(page.contains("two\nlines") && !page.contains("two\r\nlines"));
}

#[tokio::test]
async fn a_room_is_made_named_left_and_joined_by_forms() {
    let world = World::open().await;
    let (ada, ben) = (world.browser(), world.browser());
    let made = ada.send("/rooms", &[("name", "Tea & Biscuits")]).await;
    assert_eq!((made.status.as_u16(), made.location()), (303, "/r/tea-biscuits"));
    assert_eq!(ada.send("/r/tea-biscuits", &[("text", "a secret")]).await.status, 303);

    let outside = ben.get("/r/tea-biscuits").await;
    assert_eq!(outside.status, 200);
    assert!(outside.body.contains("Tea &amp; Biscuits") && !outside.body.contains("a secret"));
    let refused = ben.send("/r/tea-biscuits", &[("text", "let me in")]).await;
    assert_eq!(refused.status, 422, "who is no member does not write");

    let settings = "/r/tea-biscuits/settings";
    let named = ada.send(settings, &[("name", "Tea"), ("topic", "only tea")]).await;
    assert_eq!((named.status.as_u16(), named.location()), (303, "/r/tea-biscuits"));
    assert!(ada.get("/r/tea-biscuits").await.body.contains("only tea"));
    let nameless = ada.send(settings, &[("name", " "), ("topic", "kept")]).await;
    assert_eq!(nameless.status, 422);
    assert!(nameless.body.contains("kept"), "what was written is drawn again");

    assert_eq!(ben.send("/r/tea-biscuits/join", &[]).await.status, 303);
    assert!(ben.get("/r/tea-biscuits").await.body.contains("a secret"));
    let left = ben.send("/r/tea-biscuits/leave", &[]).await;
    assert_eq!((left.status.as_u16(), left.location()), (303, "/"));
    assert!(!ben.get("/r/tea-biscuits").await.body.contains("a secret"), "out means out");
    assert_eq!(ben.send("/r/lobby/leave", &[]).await.status, 422, "nobody leaves the lobby");
}

#[tokio::test]
async fn a_name_is_changed_by_a_form() {
    let world = World::open().await;
    let browser = world.browser();
    let renamed = browser.send("/me", &[("name", "Ada Lovelace")]).await;
    assert_eq!((renamed.status.as_u16(), renamed.location()), (303, "/me?saved"));
    let page = browser.get("/me?saved").await.body;
    assert!(page.contains("Ada Lovelace") && page.contains(">Saved<"), "{page}");
    assert!(!browser.get("/me").await.body.contains(">Saved<"));
    let refused = browser.send("/me", &[("name", "x\u{202e}y")]).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn who_makes_too_many_rooms_is_told_so_and_when_it_goes_on() {
    let world = World::with(&["--limits-rooms-made-per-user", "10/h burst 1"]).await;
    let browser = world.browser();
    assert_eq!(browser.send("/rooms", &[("name", "one")]).await.status, 303);
    let answer = browser.send("/rooms", &[("name", "two")]).await;
    assert_eq!(answer.status, 429);
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!((300..=361).contains(&seconds), "{seconds} s");
    let words = "You made many rooms in a short time. Try again in 6 minutes.";
    assert!(answer.body.contains(words), "{}", answer.body);
    assert!(answer.body.contains("value=\"two\""), "what was written is drawn again");
}

#[tokio::test]
async fn a_slash_behind_an_address_leads_to_it() {
    let world = World::open().await;
    let answer = world.browser().get("/me/").await;
    assert_eq!((answer.status.as_u16(), answer.location()), (308, "/me"));
}

#[tokio::test]
async fn what_was_sent_is_there_after_a_restart() {
    let world = World::open().await;
    assert_eq!(post(&world.browser(), "to last").await.status, 303);
    let world = world.reopened().await;
    assert!(world.browser().get("/").await.body.contains("to last"));
}
