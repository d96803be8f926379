//! A database that somebody else holds, and queues that run over.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use store::{AlertQuery, Condition, NotDurable, Options, Store};

use crate::fixture::{SOON, alert, entry, time, until};

/// Somebody else's write lock.
fn lock(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join("state.db")).unwrap();
    connection.busy_timeout(SOON).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_locked_database_costs_nobody_who_decides_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    store.append(&[entry(1)]).wait(SOON).unwrap();
    let other = lock(dir.path());

    let start = Instant::now();
    let tickets: Vec<_> = (2..=1_000).map(|seq| store.append(&[entry(seq)])).collect();
    let id = store.record_alert(&alert(5), time(0));
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "appending waited for the disk"
    );

    let told = store.append_or_fail(&[entry(5_000)]).wait(SOON);
    let Err(NotDurable::Refused(why)) = told else {
        panic!("{told:?}");
    };
    assert!(why.contains("locked"), "{why}");
    let health = until(&store, |health| !health.is_healthy());
    assert!(matches!(health.condition, Condition::Degraded { why, .. } if why.contains("locked")));
    let waiting = tickets[0].wait(Duration::from_millis(400));
    assert!(
        matches!(waiting, Err(NotDurable::Waiting(_))),
        "{waiting:?}"
    );
    // What waits is shown all the same.
    let shown = until_shown(&store);
    assert_eq!(shown, id);

    other.execute_batch("ROLLBACK").unwrap();
    for ticket in &tickets {
        ticket.wait(SOON).unwrap();
    }
    assert!(store.health().is_healthy());
    assert_eq!(store.health().dropped, store::Dropped::default());
    drop(store);
    let (_store, recovered) = Store::open(dir.path()).unwrap();
    assert_eq!(recovered.entries.len(), 1_000);
    assert!(
        recovered.entries.iter().all(|entry| entry.seq != 5_000),
        "refused, and yet written"
    );
}

fn until_shown(store: &Store) -> i64 {
    let deadline = Instant::now() + SOON;
    loop {
        let shown = store.alerts(&AlertQuery::default()).unwrap();
        if let Some(one) = shown.first() {
            return one.id;
        }
        assert!(Instant::now() < deadline, "the waiting alert is not shown");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_timed_out_is_withdrawn_and_never_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        gather: Duration::ZERO,
        ..Options::default()
    };
    let (store, _) = Store::open_with(dir.path(), options).unwrap();
    let other = lock(dir.path());
    // The first one keeps the writer busy with the lock; the second waits behind it.
    store.append(&[entry(1)]);
    std::thread::sleep(Duration::from_millis(50));
    let late = store
        .append_or_fail(&[entry(2)])
        .wait(Duration::from_millis(20));
    assert_eq!(late, Err(NotDurable::Late));
    other.execute_batch("ROLLBACK").unwrap();
    store.flush(SOON).unwrap();
    drop(store);
    let (_store, recovered) = Store::open(dir.path()).unwrap();
    assert_eq!(recovered.entries, [entry(1)]);
}

#[test]
fn a_database_locked_at_the_start_is_read_when_it_comes_free() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    store.append(&[entry(1), entry(2)]).wait(SOON).unwrap();
    store.set_meta("node", "7");
    assert_eq!(store.first_seen("site", time(1)), time(1));
    drop(store);

    // A write lock alone does not keep us from reading.
    let other = lock(dir.path());
    let (store, recovered) = Store::open(dir.path()).unwrap();
    assert_eq!(recovered.entries.len(), 2);
    drop(store);
    drop(other);

    // An exclusive one does.
    let other = Connection::open(dir.path().join("state.db")).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; SELECT * FROM book;")
        .unwrap();
    let (store, recovered) = Store::open(dir.path()).unwrap();
    assert!(
        recovered.warnings.iter().any(|why| why.contains("locked")),
        "{recovered:?}"
    );
    assert!(!store.health().is_healthy());
    let ticket = store.append(&[entry(3)]);
    assert!(store.meta("node").is_none() || recovered.meta.contains_key("node"));
    assert!(store.first_seen("site", time(50)) <= time(50));
    drop(other);
    ticket.wait(SOON).unwrap();
    let late = store.recovered_late().unwrap();
    assert_eq!(late.entries, [entry(1), entry(2)]);
    assert_eq!(store.meta("node").as_deref(), Some("7"));
    assert_eq!(
        store.first_seen("site", time(99)),
        time(1),
        "the first time stays the first"
    );
    assert!(store.recovered_late().is_none(), "given out once");
}

#[test]
fn what_is_acknowledged_after_the_file_was_removed_is_in_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    store.append(&[entry(1)]).wait(SOON).unwrap();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    store.append_or_fail(&[entry(2)]).wait(SOON).unwrap();
    let mode = std::fs::metadata(dir.path().join("state.db"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(store);
    let (_store, recovered) = Store::open(dir.path()).unwrap();
    assert_eq!(recovered.entries, [entry(2)]);
}

#[test]
fn queues_are_bounded_and_what_is_dropped_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        waiting_entries: 100,
        waiting_alerts: 20,
        ..Options::default()
    };
    let (store, _) = Store::open_with(dir.path(), options).unwrap();
    let other = lock(dir.path());
    store.append(&[entry(1)]);
    until(&store, |health| !health.is_healthy());
    let outcomes: Vec<_> = (2..=200)
        .map(|seq| store.append(&[entry(seq)]).outcome())
        .collect();
    let ids: Vec<_> = (0..50)
        .map(|number| store.record_alert(&alert(number), time(0)))
        .collect();
    for _ in 0..20_000 {
        store.audit(time(0), "uid 0", "test", "");
    }
    let crowded = outcomes
        .iter()
        .filter(|one| **one == Some(Err(NotDurable::Crowded)));
    assert_eq!(crowded.count(), 100);
    let refused = store.append_or_fail(&[entry(300)]).wait(SOON);
    assert_eq!(refused, Err(NotDurable::Crowded));

    other.execute_batch("ROLLBACK").unwrap();
    until(&store, |health| health.is_healthy() && health.queued == 0);
    let dropped = store.health().dropped;
    assert_eq!(dropped.entries, 100);
    assert!(dropped.alerts >= 29, "{dropped:?}");
    assert!(dropped.other >= 9_999, "{dropped:?}");
    let kept = store.alerts(&AlertQuery::default()).unwrap();
    assert_eq!(kept[0].id, ids[49], "the newest are kept");
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().1.entries.len(), 100);
}
