//! The index of a real hub, and items of it that were changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hub::plan::Wish;
use hub::{Id, Index, Kind, Manifest, Plan, Sets, State, digest, standing, verified};

/// The hub's snapshot beside the checkout, or where `RINGWALL_SHARED` says.
fn snapshot() -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let folder = std::env::var_os("RINGWALL_SHARED").map_or(beside, PathBuf::from);
    let hub = folder.join("hub");
    if hub.join(".index.json").is_file() {
        return Some(hub);
    }
    assert!(
        std::env::var_os("RINGWALL_TEST_ALL").is_none_or(|value| value != "1"),
        "the hub's snapshot must be here"
    );
    println!(
        "NOT RUN: there is no snapshot of the hub at {}",
        hub.display()
    );
    None
}

#[test]
fn every_item_of_the_hub_is_read_and_its_file_has_its_digest() {
    let Some(hub) = snapshot() else { return };
    let index = Index::read(&fs::read(hub.join(".index.json")).unwrap()).unwrap();
    assert!(index.len() > 1_000, "{}", index.len());
    let mut bytes = 0;
    for (id, item) in index.iter() {
        let file = fs::read(hub.join(&item.path)).unwrap();
        bytes += file.len();
        verified(id, &item.latest.digest, file).unwrap();
        for member in &item.members {
            assert!(index.get(member).is_some(), "{id} names {member}");
        }
    }
    println!("{} items, {bytes} bytes", index.len());
}

#[test]
fn every_collection_of_the_hub_can_be_planned() {
    let Some(hub) = snapshot() else { return };
    let index = Index::read(&fs::read(hub.join(".index.json")).unwrap()).unwrap();
    let collections = index.iter().filter(|(id, _)| id.kind == Kind::Collections);
    for (id, _) in collections {
        let names = [id.name.clone()];
        let plan = Plan::new(Wish::Install(&names), &index, None, &BTreeSet::new()).unwrap();
        assert!(plan.steps.iter().any(|step| step.item.id == *id), "{id}");
    }
}

#[test]
fn installed_items_are_told_apart_by_their_digests() {
    let Some(hub) = snapshot() else { return };
    let index = Index::read(&fs::read(hub.join(".index.json")).unwrap()).unwrap();
    let names = ["crowdsecurity/base-http-scenarios".to_owned()];
    let plan = Plan::new(Wish::Install(&names), &index, None, &BTreeSet::new()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let sets = Sets::of_state(state.path());
    let lock = sets.lock().unwrap();
    let draft = sets.begin(&lock).unwrap();
    let mut items: Vec<_> = plan.steps.into_iter().map(|step| step.item).collect();
    for item in &items {
        draft
            .put(&item.path, &fs::read(hub.join(&item.path)).unwrap())
            .unwrap();
    }
    let id = |kind, name: &str| Id::new(kind, format!("crowdsecurity/{name}"));
    let old = b"name: crowdsecurity/http-probing\n";
    let probing = id(Kind::Scenarios, "http-probing");
    let path = |name: &str| index.get(&id(Kind::Scenarios, name)).unwrap().path.clone();
    draft.put(&path("http-probing"), old).unwrap();
    draft
        .put("scenarios/me/mine.yaml", b"name: me/mine\n")
        .unwrap();
    draft
        .put("scenarios/crowdsecurity/http-xss-probing.yaml", b"changed")
        .unwrap();
    fs::remove_file(draft.folder().join(path("http-sensitive-files"))).unwrap();
    for item in &mut items {
        if item.id == probing {
            // As if this had been a version of old.
            item.digest = digest(old);
            item.version = "0.0".to_owned();
        }
    }
    let manifest = Manifest {
        format: hub::manifest::FORMAT,
        made: String::new(),
        previous: None,
        hub: String::new(),
        items,
        data: Vec::new(),
    };
    let number = draft.finish(&manifest).unwrap();
    let set = sets.read(number).unwrap();
    let found = standing::of_set(&set, Some(&index));
    let state = |id: &Id| found.iter().find(|one| one.id == *id).unwrap().state;
    assert_eq!(state(&probing), State::UpdateAvailable);
    assert_eq!(
        state(&id(Kind::Scenarios, "http-xss-probing")),
        State::Tampered
    );
    assert_eq!(
        state(&id(Kind::Scenarios, "http-sensitive-files")),
        State::Missing
    );
    assert_eq!(
        state(&id(Kind::Scenarios, "http-sqli-probing")),
        State::UpToDate
    );
    assert_eq!(state(&Id::new(Kind::Scenarios, "me/mine")), State::Local);
    assert_eq!(standing::touched(&found).len(), 1);
    let blind = standing::of_set(&set, None);
    assert!(blind.iter().any(|one| one.state == State::Unknown));
}
