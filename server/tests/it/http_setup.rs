//! The setup link makes its first visitor the owner, and is void from then on.
//!
//! The token is known here as an operator knows it: from what the first start tells.

use std::os::unix::fs::PermissionsExt;

use crate::house::World;

#[tokio::test]
async fn the_link_makes_an_owner_once() {
    let world = World::open().await;
    let path = world.house.setup_path.clone().unwrap();
    let file = world.data().join("setup-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (ada, ben) = (world.browser(), world.browser());

    let page = ada.get(&path).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(&format!("action=\"{path}\"")), "one button");
    assert_eq!(world.count("users where rank = 3").await, 0, "looking changes nothing");

    let owned = ada.send(&path, &[]).await;
    assert_eq!((owned.status.as_u16(), owned.location()), (303, "/"));
    assert_eq!(world.count("users where rank = 3").await, 1);
    assert!(!file.exists());

    assert_eq!(ben.get(&path).await.status, 404);
    assert_eq!(ben.send(&path, &[]).await.status, 404);
    assert_eq!(ada.send(&path, &[]).await.status, 404);
    assert_eq!(world.count("users where rank = 3").await, 1);

    let world = world.reopened().await;
    assert_eq!(world.house.setup_path, None, "a house with an owner makes no link");
    assert_eq!(world.browser().get(&path).await.status, 404);
}

#[tokio::test]
async fn of_many_at_once_one_becomes_the_owner() {
    let world = World::open().await;
    let path = world.house.setup_path.clone().unwrap();
    let browsers: Vec<_> = (0..8).map(|_| world.browser()).collect();
    let sent = browsers.iter().map(|browser| browser.send(&path, &[]));
    let answers = futures_util::future::join_all(sent).await;
    let done = answers.iter().filter(|answer| answer.status == 303).count();
    assert_eq!(done, 1);
    assert_eq!(world.count("users where rank = 3").await, 1);
}

#[tokio::test]
async fn a_wrong_token_is_as_good_as_none() {
    let world = World::open().await;
    let path = world.house.setup_path.clone().unwrap();
    let browser = world.browser();
    for wrong in ["/setup/0", "/setup/", &path.to_uppercase().replace("/SETUP/", "/setup/")] {
        assert_eq!(browser.get(wrong).await.status, 404, "{wrong}");
        assert_eq!(browser.send(wrong, &[]).await.status, 404, "{wrong}");
    }
    assert_eq!(world.count("users where rank = 3").await, 0);
}

#[tokio::test]
async fn the_link_is_made_by_the_first_start_alone() {
    let world = World::open().await;
    let path = world.house.setup_path.clone().unwrap();
    let world = world.reopened().await;
    assert_eq!(world.house.setup_path, None, "it is told once");
    assert_eq!(world.browser().get(&path).await.status, 200, "and stands");
}
