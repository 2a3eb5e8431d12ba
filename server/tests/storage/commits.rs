//! The house's kind: what a database adds to judging. Opening, failing, coming back.
//!
//! Each story has its own store; faults are put into it by a connection past the server.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use migrations::{Migrator, MigratorTrait};
use protocol::model::Rank;
use protocol::refusal::{Refusal, RetryReason};
use server::clock::SeededChance;
use server::db::people::{SignInHash, SignInRecord};
use server::db::{Db, OpenFault, accounts};
use server::history::sql::SqlHistory;
use server::history::{Answer, History, Standing, Verdict};

use crate::stores::{Place, database_file};
use crate::world::{House, NOW_MS, RULES, accepted, account, op, own_log, post, refused};

/// The steps that the first version had.
const FIRST_STEPS: usize = 3;

#[tokio::test]
async fn everything_is_there_after_a_restart_and_the_lobby_is_made_once() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let said = op(0, 1, post(house.lobby().await, "hello"));
    let once = accepted(&house.answers(std::slice::from_ref(&said), &mut chance).await[0]);
    let before = house.tables().await;
    let House { place, db, history } = house;
    drop(history);
    Arc::into_inner(db).unwrap().close().await;

    let db = Arc::new(place.open().await.unwrap());
    let history = SqlHistory::open(Arc::clone(&db), RULES, &mut chance, NOW_MS).await.unwrap();
    let house = House { place, db, history: Arc::new(history) };
    assert_eq!(house.tables().await, before);
    assert_eq!(accepted(&house.answers(&[said], &mut chance).await[0]), once);
}

#[tokio::test]
async fn an_older_database_is_brought_up_to_date_with_all_that_is_in_it() {
    let mut chance = SeededChance::new(1);
    let house = House::at(Place::file(), &mut chance).await;
    let lobby = house.lobby().await;
    let said: Vec<_> = (0..3).map(|number| op(0, number, post(lobby, "hello"))).collect();
    house.answers(&said, &mut chance).await;
    let before = house.tables().await;
    let House { place, db, history } = house;
    drop(history);
    Arc::into_inner(db).unwrap().close().await;

    // The tables as the first version made them: the same rows, without what came later.
    let url = format!("sqlite://{}", database_file(&place.data).display());
    let past = sea_orm::Database::connect(url).await.unwrap();
    let later = u32::try_from(Migrator::migrations().len() - FIRST_STEPS).unwrap();
    Migrator::down(&past, Some(later)).await.unwrap();
    let pending = Migrator::get_pending_migrations(&past).await.unwrap().len();
    assert_eq!(pending, usize::try_from(later).unwrap());
    past.close().await.unwrap();

    let db = Arc::new(place.open().await.unwrap());
    let history = SqlHistory::open(Arc::clone(&db), RULES, &mut chance, NOW_MS).await.unwrap();
    let house = House { place, db, history: Arc::new(history) };
    assert_eq!(house.tables().await, before);
    let reader = Some(account(0).user.id);
    let view = house.history.snapshot(reader, lobby).await.unwrap().unwrap();
    assert_eq!(view.snapshot.messages.len(), 3);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let house = House::new(&mut SeededChance::new(1)).await;
    let second = house.place.open().await;
    assert!(matches!(second, Err(OpenFault::InUse(_) | OpenFault::Shared)), "{second:?}");
}

#[tokio::test]
async fn what_lies_open_is_closed_to_others_at_the_start() {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    Db::open(folder.path()).await.unwrap().close().await;
    let names =
        ["lock", "wasmchannel.db", "wasmchannel.db-wal"].map(|name| folder.path().join(name));
    for file in &names {
        std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        set(file, 0o644);
    }
    set(folder.path(), 0o755);
    let db = Db::open(folder.path()).await.unwrap();
    assert_eq!(mode(folder.path()), 0o700);
    assert_eq!(names.each_ref().map(|file| mode(file)), [0o600; 3]);
    db.close().await;

    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("notes.txt"), "not the server's").unwrap();
    set(shared.path(), 0o755);
    let db = Db::open(shared.path()).await.unwrap();
    assert_eq!(mode(shared.path()), 0o755, "a folder with other things is left as it is");
    assert_eq!(mode(&shared.path().join("wasmchannel.db")), 0o600);
    db.close().await;
}

#[tokio::test]
async fn nobody_else_on_the_machine_reads_the_files() {
    let house = House::at(Place::file(), &mut SeededChance::new(1)).await;
    for entry in std::fs::read_dir(&house.place.data).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn an_op_that_spoils_its_batch_is_refused_for_ever_and_harms_nobody() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let trigger = "create trigger spoil before insert on messages when new.text = 'spoil' \
        begin select raise(abort, 'spoiled'); end";
    let constraint = "alter table messages add constraint spoil check (text <> 'spoil')";
    house.place.write(trigger, constraint).await;
    let lobby = house.lobby().await;
    let batch = [
        op(0, 1, post(lobby, "one")),
        op(1, 2, post(lobby, "spoil")),
        op(0, 3, post(lobby, "three")),
        op(1, 4, post(lobby, "four")),
    ];
    let answers = house.answers(&batch, &mut chance).await;
    let seqs = |answers: &[Answer]| [0, 2, 3].map(|index| accepted(&answers[index]).seq);
    assert_eq!(seqs(&answers), [2, 3, 4]);
    assert_eq!(refused(&answers[1]), Refusal::NotStorable);

    house.place.write("drop trigger spoil", "alter table messages drop constraint spoil").await;
    let again = house.answers(&batch, &mut chance).await;
    assert_eq!(seqs(&again), [2, 3, 4]);
    assert_eq!(refused(&again[1]), Refusal::NotStorable, "what was told failed stays failed");
}

#[tokio::test]
async fn an_op_whose_refusal_cannot_be_stored_either_waits_with_its_lane_for_the_store() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let trigger = "create trigger spoil before insert on ops \
        begin select raise(abort, 'spoiled'); end";
    let constraint = "alter table ops add constraint spoil check (author is null)";
    house.place.write(trigger, constraint).await;
    let lobby = house.lobby().await;
    let batch = [op(0, 1, post(lobby, "one")), op(0, 2, post(lobby, "two"))];
    let waits = Verdict::Retry(RetryReason::Unavailable);
    for answers in
        [house.answers(&batch, &mut chance).await, house.answers(&batch[..1], &mut chance).await]
    {
        assert!(answers.iter().all(|answer| answer.verdict == waits), "{answers:?}");
    }
    house.place.write("drop trigger spoil", "alter table ops drop constraint spoil").await;
    let again = house.answers(&batch, &mut chance).await;
    assert_eq!([accepted(&again[0]).seq, accepted(&again[1]).seq], [2, 3]);
}

#[tokio::test]
async fn a_whole_writer_batch_is_one_transaction() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    let lobby = house.lobby().await;
    let batch: Vec<_> =
        (0..256).map(|number| op(0, number, post(lobby, &number.to_string()))).collect();
    let answers = house.answers(&batch, &mut chance).await;
    let seqs: Vec<u64> = answers.iter().map(|answer| accepted(answer).seq).collect();
    assert_eq!(seqs, (2..=257).collect::<Vec<u64>>());
    let page = house.history.page(lobby.log(), 1).await.unwrap();
    assert_eq!(page.len(), 100);
    let user = account(0).user.id;
    let view = house.history.snapshot(Some(user), lobby).await.unwrap().unwrap();
    assert_eq!(view.cursor.tag, answers[255].events[0].id.tag());
    assert!(view.snapshot.older);
}

#[tokio::test]
async fn the_first_owner_is_the_only_one() {
    let mut chance = SeededChance::new(1);
    let house = House::new(&mut chance).await;
    assert!(!accounts::has_owner(&house.db).await.unwrap());
    let (ana, bob) = (account(0).user.id, account(1).user.id);
    let event = house.history.make_owner(ana, &mut chance, NOW_MS).await.unwrap().unwrap();
    assert_eq!((event.log, event.seq), (own_log(0), 1));
    assert_eq!(house.history.make_owner(bob, &mut chance, NOW_MS).await.unwrap(), None);
    assert!(accounts::has_owner(&house.db).await.unwrap());
    let arrival = house.history.arrival(ana, None).await.unwrap().unwrap();
    assert_eq!(arrival.me.rank, Rank::Owner);
}

#[tokio::test]
async fn a_sign_in_finds_its_account_until_it_expires() {
    let house = House::new(&mut SeededChance::new(1)).await;
    let known = account(2);
    let hash = known.sign_in.hash;
    let found = accounts::by_sign_in(&house.db, hash, NOW_MS).await.unwrap();
    assert_eq!(found, Some(known.clone()));
    let end = known.sign_in.expires_at;
    assert_eq!(accounts::by_sign_in(&house.db, hash, end).await.unwrap(), None);
    let used = SignInRecord { seen_at: end, expires_at: end + 1, ..known.sign_in };
    accounts::extend(&house.db, &used).await.unwrap();
    assert!(accounts::by_sign_in(&house.db, hash, end).await.unwrap().is_some());
    assert_eq!(house.history.note_use(hash, end).await, Ok(Standing::Good));
    assert_eq!(house.history.note_use(hash, end + 1).await, Ok(Standing::SignedOut));
    let disable = "update users set disabled_at = 1";
    house.place.write(disable, disable).await;
    assert_eq!(house.history.note_use(hash, end).await, Ok(Standing::Disabled));
    let stranger = SignInHash::of(b"nobody");
    assert_eq!(accounts::by_sign_in(&house.db, stranger, NOW_MS).await.unwrap(), None);
}

#[tokio::test]
async fn many_are_asked_about_at_once_and_each_stands_as_he_would_by_himself() {
    let house = House::new(&mut SeededChance::new(1)).await;
    let of = |change: &str, number: u8| {
        format!("{change} = (select id from users where name = 'person {number}')")
    };
    for change in [
        of("update sign_ins set revoked_at = 1 where user_id", 0),
        of("update users set disabled_at = 1 where id", 1),
        of("update sign_ins set expires_at = 1 where user_id", 2),
    ] {
        house.place.write(&change, &change).await;
    }
    let known = (0..4).map(|number| account(number).sign_in.hash);
    let asked: Vec<SignInHash> = known.chain([SignInHash::of(b"nobody")]).collect();
    let fallen = house.history.fallen(&asked, NOW_MS).await.unwrap();
    let of = |sign_in: &SignInHash| fallen.get(sign_in).copied().unwrap_or(Standing::Good);
    let (out, disabled, good) = (Standing::SignedOut, Standing::Disabled, Standing::Good);
    assert_eq!(asked.iter().map(of).collect::<Vec<_>>(), [out, disabled, out, good, out]);
    for sign_in in &asked {
        assert_eq!(house.history.standing(*sign_in, NOW_MS).await, Ok(of(sign_in)));
    }
    assert_eq!(house.history.fallen(&[], NOW_MS).await, Ok(BTreeMap::new()));
}
