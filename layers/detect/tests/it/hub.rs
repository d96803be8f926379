//! The whole hub is loaded: what cannot run yet is known by name.

use detect::data::DataSet;
use detect::program::{Options, Program};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Fault, Items, RuleSet};

use crate::shared::shared;

/// Loads items of the hub with CrowdSec's own libraries and lists.
pub(crate) fn hub(names: &[&str]) -> Option<(RuleSet, DataSet)> {
    let root = shared("hub")?;
    let place = Place {
        patterns: vec![shared("crowdsec/patterns")?],
        // Beside the lists lie CrowdSec's own small address databases.
        data: vec![
            shared("crowdsec/sec-lists")?,
            shared("crowdsec/parser-testdata")?,
        ],
        ..Place::new(root)
    };
    let sources = place.sources().expect("the hub can be read");
    let items = Items {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        exact: false,
    };
    let set = rules::load(&sources, &items, &Bounds::default());
    let data = place.data(&set.data).expect("the lists can be read");
    Some((set, data))
}

pub(crate) fn program(names: &[&str]) -> Option<Program> {
    let (set, data) = hub(names)?;
    assert_eq!(set.faults, [], "loading {names:?}");
    let (program, faults) = Program::build(&set, &data, &Options { live: false });
    assert_eq!(faults, [], "compiling {names:?}");
    Some(program)
}

/// Files that the hub's items miss, and why.
const KNOWN: &[(&str, &str)] = &[(
    "arvancloud_ips.txt",
    "the list is not among the shared test data",
)];

#[test]
fn every_item_of_the_hub_loads_or_is_known_not_to() {
    let Some((set, data)) = hub(&[]) else { return };
    let (program, compiled) = Program::build(&set, &data, &Options { live: false });
    let faults: Vec<&Fault> = set.faults.iter().chain(&compiled).collect();
    let unknown: Vec<String> = faults
        .iter()
        .filter(|fault| !KNOWN.iter().any(|(name, _)| fault.file.ends_with(name)))
        .map(ToString::to_string)
        .collect();
    println!(
        "{} parser nodes, {} postoverflows, {} scenarios; {} faults",
        program.parsers(),
        program.postoverflows(),
        program.specs().len(),
        faults.len()
    );
    assert!(
        unknown.is_empty(),
        "{} unknown faults:\n{}",
        unknown.len(),
        unknown.join("\n")
    );
    for (name, why) in KNOWN {
        assert!(
            faults.iter().any(|fault| fault.file.ends_with(name)),
            "{name} runs now ({why}): take it off the list"
        );
    }
    assert!(program.specs().len() >= 320 && program.parsers() >= 160);
}

#[test]
fn the_collections_of_the_web_and_of_ssh_run_whole() {
    for (name, scenarios) in [
        ("crowdsecurity/base-http-scenarios", 45),
        ("crowdsecurity/http-cve", 30),
        ("crowdsecurity/nginx", 46),
        ("crowdsecurity/sshd", 7),
        ("crowdsecurity/http-dos", 4),
    ] {
        let Some(program) = program(&[name]) else {
            return;
        };
        assert!(
            program.specs().len() >= scenarios,
            "{name}: {}",
            program.specs().len()
        );
    }
}

#[test]
fn items_are_found_by_file_and_by_the_name_inside() {
    let Some((set, _)) = hub(&["crowdsecurity/fortinet-cve-2022-40684"]) else {
        return;
    };
    assert_eq!(set.scenarios.len(), 1);
    assert_eq!(set.scenarios[0].hash.len(), 64);
    let Some((set, _)) = hub(&["crowdsecurity/CVE-2022-40684"]) else {
        return;
    };
    assert_eq!(
        set.scenarios[0].name,
        "crowdsecurity/fortinet-cve-2022-40684"
    );
    let Some((set, _)) = hub(&["crowdsecurity/no-such-thing"]) else {
        return;
    };
    assert!(set.faults[0].what.contains("no-such-thing"));
}
