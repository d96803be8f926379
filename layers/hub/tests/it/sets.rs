//! Sets on disk, as they are made, switched, left behind and cleared.

use std::fs;
use std::path::Path;

use hub::manifest::FORMAT;
use hub::sets::KEPT;
use hub::{Manifest, Sets, SetsError};

fn manifest(previous: Option<u32>) -> Manifest {
    Manifest {
        format: FORMAT,
        made: "2026-11-23T00:00:00Z".to_owned(),
        previous,
        hub: "https://hub.example.org/".to_owned(),
        items: Vec::new(),
        data: Vec::new(),
    }
}

fn make(sets: &Sets, lock: &hub::Lock, previous: Option<u32>) -> u32 {
    let draft = sets.begin(lock).expect("the disk takes it");
    draft
        .put("scenarios/a/b.yaml", b"name: a/b\n")
        .expect("the disk takes it");
    draft
        .finish(&manifest(previous))
        .expect("the disk takes it")
}

fn listed(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the disk takes it")
        .map(|entry| {
            entry
                .expect("the disk takes it")
                .file_name()
                .into_string()
                .expect("the disk takes it")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_set_is_current_only_after_the_switch() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    assert_eq!(sets.current().unwrap(), None);
    let lock = sets.lock().unwrap();
    let first = make(&sets, &lock, None);
    assert_eq!((first, sets.current().unwrap()), (1, None));
    sets.switch(&lock, first).unwrap();
    let second = make(&sets, &lock, Some(first));
    assert_eq!(sets.current().unwrap().unwrap().number, 1);
    sets.switch(&lock, second).unwrap();
    let current = sets.current().unwrap().unwrap();
    assert_eq!((current.number, current.manifest.previous), (2, Some(1)));
    assert_eq!(sets.current_folder().unwrap().unwrap(), current.folder);
    assert!(current.folder.join("scenarios/a/b.yaml").is_file());
    sets.switch(&lock, 1).unwrap();
    assert_eq!(sets.current().unwrap().unwrap().number, 1);
    assert!(matches!(
        sets.switch(&lock, 9),
        Err(SetsError::NoSet { number: 9 })
    ));
    // Numbers are not used again while a set has them.
    assert_eq!(make(&sets, &lock, Some(1)), 3);
    sets.unset(&lock).unwrap();
    assert_eq!(sets.current().unwrap(), None);
}

#[test]
fn what_was_begun_and_not_finished_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    let first = make(&sets, &lock, None);
    sets.switch(&lock, first).unwrap();
    let draft = sets.begin(&lock).unwrap();
    draft.put("scenarios/a/c.yaml", b"x").unwrap();
    drop(draft);
    assert_eq!(listed(&sets.folder().join("sets")), ["0001"]);
    // As a process leaves it that is killed.
    let draft = sets.begin(&lock).unwrap();
    draft.put("scenarios/a/c.yaml", b"x").unwrap();
    let _left = std::mem::ManuallyDrop::new(draft);
    fs::write(sets.folder().join(".current"), b"half").unwrap();
    drop(lock);
    assert_eq!(sets.current().unwrap().unwrap().number, 1);
    let lock = sets.lock().unwrap();
    assert_eq!(listed(&sets.folder().join("sets")), ["0001"]);
    let second = make(&sets, &lock, Some(1));
    sets.switch(&lock, second).unwrap();
    assert_eq!(sets.current().unwrap().unwrap().number, 2);
}

#[test]
fn one_writer_at_a_time() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    assert!(matches!(sets.lock(), Err(SetsError::Busy { .. })));
    drop(lock);
    sets.lock().unwrap();
}

#[test]
fn no_file_lands_outside_of_its_set() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    let draft = sets.begin(&lock).unwrap();
    for path in ["../x", "/etc/x", "a/../../x", "", ".", "./x", "a/.."] {
        assert!(
            matches!(draft.put(path, b"x"), Err(SetsError::Outside { .. })),
            "{path:?}"
        );
    }
    assert_eq!(listed(draft.folder()), ["scenarios"]);
}

#[test]
fn a_link_that_leads_elsewhere_is_not_followed() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    let link = sets.folder().join("current");
    for target in ["/etc", "../..", "sets/../../x", "sets/x", "sets/1", "sets"] {
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert!(
            matches!(sets.current(), Err(SetsError::File { .. })),
            "{target}"
        );
        sets.unset(&lock).unwrap();
    }
    std::os::unix::fs::symlink("sets/0007", &link).unwrap();
    assert!(matches!(
        sets.current(),
        Err(SetsError::NoSet { number: 7 })
    ));
}

#[test]
fn a_few_sets_are_kept_and_the_one_to_go_back_to_among_them() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    for _ in 0..KEPT + 4 {
        make(&sets, &lock, Some(1));
    }
    sets.switch(&lock, 9).unwrap();
    sets.prune(&lock).unwrap();
    assert_eq!(sets.numbers().unwrap(), [1, 4, 5, 6, 7, 8, 9]);
    sets.prune(&lock).unwrap();
    assert_eq!(sets.numbers().unwrap(), [1, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_manifest_of_another_kind_is_named() {
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    let first = make(&sets, &lock, None);
    sets.switch(&lock, first).unwrap();
    let path = sets
        .current_folder()
        .unwrap()
        .unwrap()
        .join("manifest.json");
    for text in [
        "",
        "{}",
        "[]",
        r#"{"format":2,"made":"","previous":null,"hub":"","items":[],"data":[]}"#,
    ] {
        fs::write(&path, text).unwrap();
        assert!(
            matches!(sets.current(), Err(SetsError::Manifest { .. })),
            "{text}"
        );
    }
}
