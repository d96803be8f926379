//! What people bring along from CrowdSec, in a running instance.

use std::fs;

use crate::instance::{Instance, get_from, site, upstream};
use crate::support::{Folder, json_lines};

/// Bars whoever asks for anything.
const SCENARIO: &str = "type: trigger
name: mine/anything
description: a request
filter: evt.Meta.service == 'http'
groupby: evt.Meta.source_ip
labels:
  remediation: true
";

#[test]
fn what_crowdsecs_simulation_names_bars_nobody_until_it_is_taken_off() {
    let folder = Folder::make("brought");
    let scenarios = folder.0.join("rules/scenarios/mine");
    fs::create_dir_all(&scenarios).expect("a folder");
    fs::write(scenarios.join("anything.yaml"), SCENARIO).expect("a rule");
    let simulation = folder.file(
        "simulation.yaml",
        "simulation: off\nexclusions:\n  - mine/anything\n",
    );
    let sites = site("*", upstream("up"));
    let detection = format!(
        "[detection]\nrules = \"{}\"\ncrowdsec_simulation = \"{}\"\n",
        folder.0.join("rules").display(),
        simulation.display()
    );
    let instance = Instance::start(&sites, &detection);
    let ask = || get_from([127, 0, 9, 1], instance.edge, "x").0;
    // What is in simulation leaves notes, of the kind that only observes.
    let bans = || {
        let listed = json_lines(&instance.run(&["--json", "decision", "list"]));
        let enforced = listed.iter().filter(|one| one["kind"] != "observe");
        enforced.count()
    };
    assert_eq!((ask(), ask()), (200, 200), "shown, not enforced");
    let alerts = json_lines(&instance.run(&["--json", "alert", "list"]));
    assert!(
        alerts
            .iter()
            .any(|alert| alert["scenario"] == "mine/anything"),
        "{alerts:?}"
    );
    assert_eq!(bans(), 0, "DENY a decision of what is in simulation");

    fs::write(&simulation, "simulate: off\n").expect("a file");
    let config = instance
        .folder
        .0
        .join("ringwall.toml")
        .display()
        .to_string();
    let said = instance.refuse(&["--config", &config, "check"]);
    assert!(
        said.contains("simulation.yaml: line 1: unknown key"),
        "{said}"
    );
    let said = instance.refuse(&["reload"]);
    assert!(
        said.contains("The old configuration stays in force."),
        "{said}"
    );
    assert_eq!((ask(), ask()), (200, 200), "the old one is in force");

    fs::write(&simulation, "simulation: off\n").expect("a file");
    instance.say(&["reload"]);
    let _deciding = ask();
    assert!(matches!(ask(), 0 | 403), "DENY");
    assert_eq!(bans(), 1);
}
