//! Whose database it is, and which version.

use std::time::Duration;

use rusqlite::Connection;
use store::{OpenError, Store};

use crate::fixture::{Dice, SOON, entry};

#[test]
fn a_second_instance_is_refused_with_the_first_ones_process() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(&error, OpenError::InUse { pid: Some(found), .. } if *found == pid));
    assert!(error.to_string().contains("ringwall down"), "{error}");
    drop(store);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_newer_format_and_another_programs_database_are_refused_and_left_alone() {
    for (sql, want) in [
        (
            "PRAGMA application_id = 0x5257616c; PRAGMA user_version = 999; CREATE TABLE t (a);",
            "was written by a newer Ringwall",
        ),
        (
            "CREATE TABLE holiday_photos (a);",
            "is a database of another program",
        ),
        (
            "PRAGMA application_id = 42;",
            "is a database of another program",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{sql}");
    }
}

#[test]
fn a_damaged_database_is_moved_aside_whole_and_a_new_one_serves() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let (store, _) = Store::open(&whole).unwrap();
    let entries: Vec<_> = (1..=400).map(entry).collect();
    store.append(&entries).wait(SOON).unwrap();
    drop(store);
    let bytes = std::fs::read(whole.join("state.db")).unwrap();

    let mut garbage = vec![0_u8; 8_192];
    let mut dice = Dice(3);
    garbage.fill_with(|| u8::try_from(dice.roll(256)).unwrap());
    let mut zeroed = bytes.clone();
    zeroed[16_384..32_768].fill(0);
    let mut scrambled = bytes.clone();
    for byte in &mut scrambled[4_096..40_960] {
        *byte ^= 0x55;
    }
    let table = [
        ("garbage", garbage),
        ("zeroed", zeroed),
        ("scrambled", scrambled),
    ];
    for (name, damaged) in table {
        let state = dir.path().join(name);
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("state.db"), &damaged).unwrap();
        let (store, recovered) = Store::open(&state).unwrap();
        assert!(recovered.entries.is_empty(), "{name}");
        assert!(
            recovered.warnings[0].contains("was damaged"),
            "{:?}",
            recovered.warnings
        );
        store.append(&[entry(1)]).wait(SOON).unwrap();
        let names = std::fs::read_dir(&state).unwrap();
        let aside: Vec<_> = names
            .map(|file| file.unwrap().path())
            .filter(|path| path.display().to_string().contains("state.db.corrupt-"))
            .collect();
        assert_eq!(aside.len(), 1, "{name}");
        assert_eq!(
            std::fs::read(&aside[0]).unwrap(),
            damaged,
            "{name}: kept as it was"
        );
    }
}

#[test]
fn no_cut_or_flipped_database_makes_the_start_fail_or_panic() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let (store, _) = Store::open(&whole).unwrap();
    let entries: Vec<_> = (1..=50).map(entry).collect();
    store.append(&entries).wait(SOON).unwrap();
    drop(store);
    let bytes = std::fs::read(whole.join("state.db")).unwrap();
    let mut dice = Dice(0x5eed_0003);
    for round in 0..120 {
        let mut damaged = bytes.clone();
        if round % 2 == 0 {
            damaged.truncate(usize::try_from(dice.roll(bytes.len() as u64)).unwrap());
        } else {
            for _ in 0..1 + dice.roll(40) {
                let at = usize::try_from(dice.roll(bytes.len() as u64)).unwrap();
                damaged[at] ^= u8::try_from(1 + dice.roll(255)).unwrap();
            }
        }
        let state = dir.path().join(format!("round-{round}"));
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("state.db"), &damaged).unwrap();
        match Store::open(&state) {
            Ok((store, recovered)) => {
                assert!(recovered.entries.len() <= 50);
                // Written, or said plainly: never silence.
                drop(
                    store
                        .append_or_fail(&[entry(99)])
                        .wait(Duration::from_secs(5)),
                );
            }
            // A flip in the header's numbers makes it somebody else's.
            Err(OpenError::Newer { .. } | OpenError::Foreign { .. }) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
    }
}
