use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use config::snapshot::{HostPattern, Tune};
use hub::{Override, Tuning};

use super::*;

const SCENARIO: &str = "type: leaky\nname: me/mine\ndescription: mine\n\
    filter: evt.Meta.service == 'http' // all of it\ngroupby: evt.Meta.source_ip\n\
    capacity: 5\nleakspeed: 10s\nblackhole: 1m\nlabels:\n  remediation: true\n";

fn detection() -> Detection {
    Detection {
        enabled: true,
        hub: None,
        hub_url: String::new(),
        items: Vec::new(),
        rules: None,
        patterns: None,
        data: None,
        on_broken_rule: OnBrokenRule::Refuse,
        simulation: Vec::new(),
        crowdsec_simulation: None,
        tune: BTreeMap::new(),
        learn: std::time::Duration::ZERO,
    }
}

/// A folder of the hub's layout with one scenario.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let scenarios = folder.path().join("scenarios/me");
    fs::create_dir_all(&scenarios).unwrap();
    fs::write(scenarios.join("mine.yaml"), SCENARIO).unwrap();
    folder
}

fn names(rulebook: &Rulebook) -> Vec<String> {
    let specs = rulebook.program.specs().iter();
    specs.map(|spec| spec.name.to_string()).collect()
}

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|one| *one == name).count()
}

#[test]
fn every_rule_set_spares_what_other_sites_pages_have_browsers_send() {
    let (one, other) = (folder(), folder());
    let (one, other) = (one.path().to_owned(), other.path().to_owned());
    let set = |set: &PathBuf| Installed {
        set: Some(set.clone()),
        ..Installed::default()
    };
    let hub = Detection {
        hub: Some(one.clone()),
        ..detection()
    };
    let rules = Detection {
        rules: Some(other.clone()),
        ..detection()
    };
    let both = Detection {
        rules: Some(other.clone()),
        ..hub.clone()
    };
    for (what, detection, installed, mine, own) in [
        ("a checkout", &hub, Installed::default(), 1, 0),
        (
            "a checkout beside what was installed",
            &hub,
            set(&other),
            1,
            0,
        ),
        (
            "a checkout and own rules",
            &both,
            Installed::default(),
            1,
            0,
        ),
        ("what was installed", &detection(), set(&one), 1, 1),
        ("what was installed and own rules", &rules, set(&one), 1, 1),
        ("own rules beside ours", &rules, Installed::default(), 1, 1),
        ("nothing but ours", &detection(), Installed::default(), 0, 1),
    ] {
        let names = names(&load(detection, &installed).unwrap());
        assert_eq!(count(&names, FOREIGN), 1, "{what}: {names:?}");
        assert_eq!(count(&names, "me/mine"), mine, "{what}: {names:?}");
        assert_eq!(
            count(&names, "ringwall/http-probing"),
            own,
            "{what}: {names:?}"
        );
    }
}

#[test]
fn tuning_changes_what_runs_and_no_file_and_the_configuration_wins() {
    let folder = folder();
    let installed = |tuned: Override| Installed {
        set: Some(folder.path().to_owned()),
        tuning: Tuning([("me/mine".to_owned(), tuned)].into()),
        sites: Vec::new(),
    };
    let mine = |detection: &Detection, tuned: Override| {
        let (mut set, _) = everything(detection, &installed(tuned.clone())).unwrap();
        tuning::apply(&mut set, detection, &installed(tuned));
        set.scenarios.into_iter().find(|one| one.name == "me/mine")
    };
    let plain = mine(&detection(), Override::default()).unwrap();
    let tuned = Override {
        capacity: Some(20),
        leakspeed: Some("2s".to_owned()),
        blackhole: Some("5m".to_owned()),
        simulated: true,
        ..Override::default()
    };
    let here = mine(&detection(), tuned.clone()).unwrap();
    assert_eq!(
        (
            here.capacity,
            here.leakspeed.as_secs(),
            here.blackhole.as_secs(),
            here.simulated
        ),
        (20, 2, 300, true)
    );
    assert_ne!(here.hash, plain.hash);
    let mut file = detection();
    let tune = Tune {
        capacity: Some(30),
        ..Tune::default()
    };
    file.tune.insert("me/mine".to_owned(), tune);
    let both = mine(&file, tuned).unwrap();
    assert_eq!((both.capacity, both.leakspeed.as_secs()), (30, 2));
    assert_ne!(both.hash, here.hash, "its buckets start anew");
    let off = Override {
        off: true,
        ..Override::default()
    };
    assert!(mine(&detection(), off).is_none());
    let untouched = fs::read_to_string(folder.path().join("scenarios/me/mine.yaml")).unwrap();
    assert_eq!(untouched, SCENARIO);
}

#[test]
fn crowdsecs_file_of_simulation_adds_to_ours_and_a_broken_one_is_refused() {
    let folder = folder();
    let file = folder.path().join("simulation.yaml");
    let simulated = |text: &str, ours: &[&str]| {
        fs::write(&file, text).unwrap();
        let detection = Detection {
            rules: Some(folder.path().to_owned()),
            crowdsec_simulation: Some(file.clone()),
            simulation: ours.iter().map(|name| (*name).to_owned()).collect(),
            ..detection()
        };
        let rulebook =
            load(&detection, &Installed::default()).map_err(|error| error.to_string())?;
        let specs = rulebook.program.specs().iter();
        let simulated = specs.filter(|spec| spec.simulated);
        Ok::<_, String>(
            simulated
                .map(|spec| spec.name.to_string())
                .collect::<Vec<_>>(),
        )
    };
    assert!(simulated("simulation: off\n", &[]).unwrap().is_empty());
    let listed = "simulation: off\nexclusions: [me/mine]\n";
    assert_eq!(simulated(listed, &[]).unwrap(), ["me/mine"]);
    assert_eq!(simulated(listed, &["me/mine"]).unwrap(), ["me/mine"]);
    assert_eq!(
        simulated("simulation: off\n", &["me/mine"]).unwrap(),
        ["me/mine"]
    );
    let all = simulated("simulation: on\nexclusions: [me/mine]\n", &[]).unwrap();
    assert!(all.len() > 10 && !all.contains(&"me/mine".to_owned()));
    let broken = simulated("simulate: on\n", &[]).unwrap_err();
    assert!(
        broken.contains("simulation.yaml: line 1: unknown key"),
        "{broken}"
    );
}

#[test]
fn off_at_a_site_means_by_every_name_of_it() {
    let folder = folder();
    let host = |text: &str| HostPattern::read(text).unwrap();
    let installed = Installed {
        set: Some(folder.path().to_owned()),
        tuning: Tuning::default(),
        sites: vec![
            (
                vec![host("*.shop.example"), host("shop.example")],
                "*.shop.example".to_owned(),
            ),
            (vec![host("blog.example")], "blog.example/news".to_owned()),
        ],
    };
    let mut detection = detection();
    let tune = Tune {
        off_at: vec![
            host("shop.example"),
            host("blog.example"),
            host("other.example"),
        ],
        ..Tune::default()
    };
    detection.tune.insert("me/mine".to_owned(), tune);
    let (mut set, _) = everything(&detection, &installed).unwrap();
    tuning::apply(&mut set, &detection, &installed);
    let mine = set
        .scenarios
        .iter()
        .find(|one| one.name == "me/mine")
        .unwrap();
    assert_eq!(
        mine.filter.text,
        "evt.Meta.target_fqdn not in [\"*.shop.example\", \"blog.example\", \"blog.example/news\", \
         \"other.example\", \"shop.example\"] && (\nevt.Meta.service == 'http' // all of it\n)"
    );
    assert!(load(&detection, &installed).unwrap().faults.is_empty());
}

#[test]
fn every_rule_can_be_off_at_a_site() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let hub = std::env::var_os("RINGWALL_SHARED")
        .map_or(beside, PathBuf::from)
        .join("hub");
    let mut detection = Detection {
        on_broken_rule: OnBrokenRule::Skip,
        ..detection()
    };
    if hub.join("scenarios").is_dir() {
        detection.hub = Some(hub);
    } else {
        assert!(
            std::env::var_os("RINGWALL_TEST_ALL").is_none_or(|value| value != "1"),
            "the hub's snapshot must be here"
        );
        println!("NOT RUN: for the hub, since {} is not here", hub.display());
    }
    let before = load(&detection, &Installed::default()).unwrap();
    let tune = Tune {
        off_at: vec![HostPattern::read("shop.example").unwrap()],
        ..Tune::default()
    };
    detection.tune = names(&before)
        .into_iter()
        .map(|name| (name, tune.clone()))
        .collect();
    let after = load(&detection, &Installed::default()).unwrap();
    assert_eq!(after.scenarios(), before.scenarios());
    assert_eq!(
        after.faults.len(),
        before.faults.len(),
        "{}",
        named(&after.faults)
    );
    println!(
        "{} scenarios, {} faults",
        after.scenarios(),
        after.faults.len()
    );
}
