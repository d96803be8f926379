//! What is written comes back.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;
use std::time::Duration;

use book::Op;
use store::{AlertQuery, Options, Store};
use vocab::{DecisionId, Origin, Timestamp};

use crate::fixture::{SOON, alert, decision, entry, entry_of, time};

#[test]
fn entries_values_alerts_and_audit_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (store, first) = Store::open(dir.path()).unwrap();
    assert!(first.entries.is_empty() && first.warnings.is_empty());
    let entries: Vec<_> = (1..=5).map(entry).collect();
    store.append(&entries).wait(SOON).unwrap();
    store.append(&entries).wait(SOON).unwrap(); // writing again changes nothing
    store.set_meta("node", "0007");
    assert_eq!(store.first_seen("app.example", time(5)), time(5));
    let id = store.record_alert(&alert(1), time(9));
    store.audit(time(3), "uid 0", "decision.add", "198.51.100.1 token=abc");
    store.flush(SOON).unwrap();
    drop(store);

    let (store, second) = Store::open(dir.path()).unwrap();
    assert_eq!(second.entries, entries);
    assert_eq!(second.meta["node"], "0007");
    assert!(second.epoch > 1, "the epoch grows");
    assert_eq!(store.first_seen("app.example", time(99)), time(5));
    let stored = store.alert(id).unwrap().unwrap();
    assert_eq!((stored.recorded, stored.alert.events_count), (time(9), 1));
    let line = &store.audit_trail(10).unwrap()[0];
    assert_eq!(line.detail, "198.51.100.1 token=[redacted]");
    assert_eq!(store.decisions_of("198.51.100.3", 10).unwrap(), [entry(3)]);
}

#[test]
fn credentials_never_reach_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    store.record_alert(&alert(1), time(0));
    store.flush(SOON).unwrap();
    let stored = &store.alerts(&AlertQuery::default()).unwrap()[0].alert;
    assert_eq!(stored.events[0].meta("cookie"), "[redacted]");
    assert_eq!(
        stored.events[0].meta("http_path"),
        "/a?password=[redacted]&b=1"
    );
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in ["hunter2", "secret-cookie"] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} is on the disk");
        }
    }
}

#[test]
fn nobody_else_can_read_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("deep/state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (store, _) = Store::open(&state).unwrap();
    store.append(&[entry(1)]).wait(SOON).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let mut seen = 0;
    for file in std::fs::read_dir(&state).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 4, "database, its two companions and the lock");
}

#[test]
fn many_writers_share_few_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let before = store.health().commits;
    std::thread::scope(|scope| {
        for thread in 0..16_u64 {
            let store = &store;
            scope.spawn(move || {
                let tickets: Vec<_> = (0..100)
                    .map(|number| store.append(&[entry(thread * 100 + number + 1)]))
                    .collect();
                for ticket in tickets {
                    ticket.wait(SOON).unwrap();
                }
            });
        }
    });
    let health = store.health();
    assert_eq!(health.written, 1_600);
    let commits = health.commits - before;
    assert!(commits <= 160, "{commits} commits for 1,600 appends");
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().1.entries.len(), 1_600);
}

/// A store in which nothing is written by itself while a test runs.
fn patient(dir: &std::path::Path) -> Store {
    let options = Options {
        gather: Duration::from_secs(3_600),
        ..Options::default()
    };
    Store::open_with(dir, options).unwrap().0
}

#[test]
fn what_nobody_waits_for_gathers_and_is_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = patient(dir.path());
    let before = store.health().commits;
    let tickets: Vec<_> = (1..=50)
        .map(|seq| {
            store.record_alert(&alert(seq), time(0));
            store.append(&[entry(seq)])
        })
        .collect();
    assert!(tickets.iter().all(|ticket| ticket.outcome().is_none()));
    assert_eq!(store.alerts(&AlertQuery::default()).unwrap().len(), 50);
    // Who waits has all of it written with theirs, at once.
    store.append_or_fail(&[entry(51)]).wait(SOON).unwrap();
    let outcomes = tickets.iter().map(store::Ticket::outcome);
    assert!(outcomes.into_iter().all(|outcome| outcome == Some(Ok(()))));
    assert_eq!(store.health().commits - before, 1);
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().1.entries.len(), 51);
}

#[test]
fn gathering_ends_with_a_full_batch_an_audit_line_a_flush_and_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = patient(dir.path());
    let batch: Vec<_> = (1..=2_000).map(|seq| store.append(&[entry(seq)])).collect();
    batch[1_999].wait(SOON).unwrap();
    let ticket = store.append(&[entry(2_001)]);
    store.audit(time(3), "uid 0", "decision.add", "198.51.100.1");
    ticket.wait(SOON).unwrap();
    let ticket = store.append(&[entry(2_002)]);
    store.flush(SOON).unwrap();
    assert_eq!(ticket.outcome(), Some(Ok(())));
    let ticket = store.append(&[entry(2_003)]);
    drop(store);
    assert_eq!(ticket.outcome(), Some(Ok(())));
    assert_eq!(Store::open(dir.path()).unwrap().1.entries.len(), 2_003);
}

#[test]
fn a_callback_hears_the_outcome_whether_given_before_or_after() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let ticket = store.append_or_fail(&[entry(1)]);
    let early = sender.clone();
    ticket.then(move |outcome| early.send(outcome).unwrap());
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), Ok(()));
    ticket.then(move |outcome| sender.send(outcome).unwrap());
    assert_eq!(receiver.recv_timeout(Duration::ZERO).unwrap(), Ok(()));
}

#[test]
fn alerts_are_found_by_time_scenario_and_source_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        most_alerts: 300,
        ..Options::default()
    };
    let (store, _) = Store::open_with(dir.path(), options).unwrap();
    let ids: Vec<_> = (0..1_000_u32)
        .map(|number| {
            if number % 50 == 0 {
                store.flush(SOON).unwrap(); // a bounded queue would drop the rest
            }
            store.record_alert(&alert(number.into()), time(number.into()))
        })
        .collect();
    store.flush(SOON).unwrap();
    let ask = |query: AlertQuery| store.alerts(&query).unwrap();
    let all = ask(AlertQuery {
        limit: 10_000,
        ..AlertQuery::default()
    });
    assert!((300..600).contains(&all.len()), "{} kept", all.len());
    assert!(
        all.is_sorted_by_key(|one| core::cmp::Reverse(one.id)),
        "newest first"
    );
    assert_eq!(all[0].id, ids[999]);
    assert_eq!(store.alert(ids[0]).unwrap(), None, "the oldest went");
    let since = ask(AlertQuery {
        since: Some(time(995)),
        ..AlertQuery::default()
    });
    assert_eq!(since.len(), 5);
    let one = ask(AlertQuery {
        scenario: Some("test/scenario-0".to_owned()),
        source: Some("203.0.113.199".to_owned()),
        ..AlertQuery::default()
    });
    assert_eq!(one.len(), 1, "number 999 alone matches both");
    assert_eq!(
        ask(AlertQuery {
            limit: 7,
            ..AlertQuery::default()
        })
        .len(),
        7
    );
}

#[test]
fn a_removal_is_cleared_away_only_with_what_it_removed() {
    let dir = tempfile::tempdir().unwrap();
    let old = Timestamp::from_unix_seconds(1_000);
    let remove = |id: u128| Op::Remove {
        ids: vec![DecisionId(id)],
        by: Origin::Operator,
        why: String::new(),
    };
    let add = |id, until| Op::Add {
        decision: decision(id, until),
    };
    let forever = Timestamp::MAX;
    let log = [
        entry_of(1, old, add(1, forever)), // removed long ago: goes with its removal
        entry_of(2, old, remove(1)),
        entry_of(3, old, add(2, old)),     // ended long ago: goes
        entry_of(4, old, add(3, forever)), // holds: stays
        entry_of(5, old, add(4, forever)), // removed just now: both stay, for `why`
        entry_of(6, forever, remove(4)),
    ];
    let (store, _) = Store::open(dir.path()).unwrap();
    store.append(&log).wait(SOON).unwrap();
    drop(store);
    // Clearing follows the first commit of a run.
    let (store, _) = Store::open(dir.path()).unwrap();
    store.append(&[entry(7)]).wait(SOON).unwrap();
    drop(store);
    let (_store, recovered) = Store::open(dir.path()).unwrap();
    let kept: Vec<u64> = recovered.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(kept, [4, 5, 6, 7]);
}
