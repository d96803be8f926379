//! `kill -9` at any moment loses nothing that was acknowledged.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Duration;

use store::Store;

use crate::fixture::{Dice, SOON, alert, child, child_dir, entry, time};

const ROUNDS: u64 = 18;
/// Entries of one append: durable together or not at all.
const GROUP: u64 = 3;

/// Not a test of its own: the process that is killed. Appends from four threads and
/// says each group's first number once it is durable.
#[test]
fn child_appends_until_it_is_killed() {
    let Some(dir) = child_dir() else { return };
    let (store, recovered) = Store::open(&dir).unwrap();
    let next = recovered
        .entries
        .iter()
        .map(|entry| entry.seq)
        .max()
        .unwrap_or(0)
        / GROUP
        + 1;
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let store = &store;
            scope.spawn(move || {
                for step in 0..100_000 {
                    let first = (next + thread + 4 * step) * GROUP;
                    let group: Vec<_> = (first..first + GROUP).map(entry).collect();
                    let ticket = if step % 2 == 0 {
                        store.append(&group)
                    } else {
                        store.append_or_fail(&group)
                    };
                    store.record_alert(&alert(first), time(0));
                    ticket.wait(SOON).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "durable {first}").unwrap();
                    out.flush().unwrap();
                }
            });
        }
    });
}

#[test]
fn kill_dash_nine_at_any_moment_loses_no_acknowledged_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(0x5eed_0001);
    let mut acknowledged: Vec<u64> = Vec::new();
    for round in 0..ROUNDS {
        let mut process = child("killed::child_appends_until_it_is_killed", dir.path())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let heard = |acknowledged: &mut Vec<u64>, line: Option<std::io::Result<String>>| {
            let Some(Ok(line)) = line else { return false };
            if let Some((_, number)) = line.split_once("durable ") {
                acknowledged.extend(number.parse::<u64>());
            }
            true
        };
        // One round in six dies while it opens, the others while they write.
        if round % 6 == 0 {
            std::thread::sleep(Duration::from_micros(dice.roll(12_000)));
        } else {
            let before = acknowledged.len();
            while acknowledged.len() == before && heard(&mut acknowledged, lines.next()) {}
            std::thread::sleep(Duration::from_micros(dice.roll(120_000)));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        while heard(&mut acknowledged, lines.next()) {}

        let (_store, recovered) = Store::open(dir.path()).unwrap();
        assert_eq!(recovered.warnings, [""; 0], "round {round}");
        let mut groups: HashMap<u64, u64> = HashMap::new();
        for entry in &recovered.entries {
            *groups.entry(entry.seq / GROUP).or_default() += 1;
        }
        assert!(
            groups.values().all(|found| *found == GROUP),
            "half an append was kept"
        );
        for first in &acknowledged {
            assert!(
                groups.contains_key(&(first / GROUP)),
                "round {round}: {first} is lost"
            );
        }
    }
    assert!(
        acknowledged.len() > 100,
        "only {} appends",
        acknowledged.len()
    );
}

#[test]
fn a_write_ahead_log_cut_anywhere_gives_back_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let (store, _) = Store::open(&live).unwrap();
    for seq in 1..=20 {
        store.append(&[entry(seq)]).wait(SOON).unwrap();
    }
    // While it is open: closing would fold the log into the database.
    let database = std::fs::read(live.join("state.db")).unwrap();
    let log = std::fs::read(live.join("state.db-wal")).unwrap();
    drop(store);
    let mut dice = Dice(0x5eed_0002);
    let mut longest = 0;
    for round in 0..60_u64 {
        let cut = if round == 0 {
            log.len()
        } else {
            usize::try_from(dice.roll(log.len() as u64)).unwrap()
        };
        let copy = dir.path().join(format!("copy-{round}"));
        std::fs::create_dir(&copy).unwrap();
        std::fs::write(copy.join("state.db"), &database).unwrap();
        std::fs::write(copy.join("state.db-wal"), &log[..cut]).unwrap();
        let (_store, recovered) = Store::open(&copy).unwrap();
        let seqs: Vec<u64> = recovered.entries.iter().map(|entry| entry.seq).collect();
        let want: Vec<u64> = (1..=seqs.len() as u64).collect();
        assert_eq!(seqs, want, "cut at {cut} of {}", log.len());
        longest = longest.max(seqs.len());
    }
    assert_eq!(longest, 20);
}
