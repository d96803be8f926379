//! A disk that is full, and one that cannot be written.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use store::{Condition, NotDurable, Store};

use crate::fixture::{SOON, alert, behind_mount, child_dir, entry, time, until};

#[test]
fn a_full_disk_stops_nothing_but_saving_and_is_said() {
    behind_mount(
        "mount -t tmpfs -o size=1m tmpfs \"$1\"",
        "disk::child_fills_its_disk",
    );
}

/// Not a test of its own: runs on a tmpfs of 1 MiB.
#[test]
fn child_fills_its_disk() {
    let Some(dir) = child_dir() else { return };
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![0_u8; 300 << 10]).unwrap();
    let state = dir.join("state");
    let (store, _) = Store::open(&state).unwrap();
    let mut seq = 0;
    while store.health().is_healthy() {
        seq += 1;
        assert!(seq < 20_000, "the disk never filled");
        store.record_alert(&alert(seq), time(0));
        drop(store.append(&[entry(seq)]).wait(Duration::from_millis(100)));
    }
    // Fill the last bytes, so that nothing slips in below.
    let mut size = 64 << 10;
    while size > 0 {
        if std::fs::write(dir.join(format!("filler-{size}")), vec![1_u8; size]).is_err() {
            size /= 2;
        } else if size == 1 {
            break;
        }
        size = size.min(32 << 10);
        if size < 512 {
            break;
        }
        size -= size / 4;
    }
    for more in 1..=20 {
        store.append(&[entry(seq + more)]);
    }
    let told = store.append_or_fail(&[entry(900_000)]).wait(SOON);
    let Err(NotDurable::Refused(why)) = &told else {
        panic!("{told:?}");
    };
    assert!(why.contains("is full"), "{why}");
    let health = store.health();
    assert!(matches!(health.condition, Condition::Degraded { why, .. } if why.contains("is full")));
    assert!(health.queued > 0);
    assert_eq!(health.dropped.entries, 0);

    std::fs::remove_file(&ballast).unwrap();
    store.flush(SOON).unwrap();
    assert!(until(&store, store::Health::is_healthy).is_healthy());
    drop(store);
    let (_store, recovered) = Store::open(&state).unwrap();
    let seqs: Vec<u64> = recovered.entries.iter().map(|entry| entry.seq).collect();
    let want: Vec<u64> = (1..=seq + 20).collect();
    assert_eq!(
        seqs, want,
        "everything kept is there, the refused one is not"
    );
}

#[test]
fn a_read_only_disk_is_read_at_the_start_and_served_from() {
    behind_mount(
        "mount -t tmpfs -o size=4m tmpfs \"$1\"",
        "disk::child_loses_its_disk",
    );
}

/// Not a test of its own: runs on a tmpfs that it remounts read-only.
#[test]
fn child_loses_its_disk() {
    let Some(dir) = child_dir() else { return };
    let remount = |how: &str| {
        let how = format!("remount,{how}");
        let status = Command::new("mount").args(["-o", &how]).arg(&dir).status();
        status.unwrap().success()
    };
    let state = dir.join("state");
    let (store, _) = Store::open(&state).unwrap();
    store.append(&[entry(1), entry(2)]).wait(SOON).unwrap();
    drop(store);

    assert!(remount("ro"));
    let (store, recovered) = Store::open(&state).unwrap();
    assert_eq!(
        recovered.entries,
        [entry(1), entry(2)],
        "bans hold all the same"
    );
    let warned = recovered
        .warnings
        .iter()
        .any(|why| why.contains("cannot be written"));
    assert!(warned, "{:?}", recovered.warnings);
    let told = store.append_or_fail(&[entry(8)]).wait(SOON).unwrap_err();
    assert!(told.to_string().contains("cannot be written"), "{told}");
    let kept = store.append(&[entry(3)]);

    assert!(remount("rw"));
    kept.wait(SOON).unwrap();
    drop(store);
    let (_store, recovered) = Store::open(&state).unwrap();
    assert_eq!(recovered.entries, [entry(1), entry(2), entry(3)]);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let error = Store::open(&file.join("state")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("Cannot make the state directory"),
        "{error}"
    );
}
