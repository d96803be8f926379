//! `rules/README.md` lists our own scenarios, since operators tune them by name.

use std::collections::BTreeSet;
use std::path::Path;

/// What stands behind `key: ` in one scenario, quotes apart.
fn value<'t>(scenario: &'t str, key: &str) -> Option<&'t str> {
    scenario.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(key)?.strip_prefix(": ")?;
        Some(rest.trim().trim_matches('"'))
    })
}

/// A scenario as a row of the table.
fn row(scenario: &str) -> Option<String> {
    let name = value(scenario, "name")?;
    let numbers = match value(scenario, "volume") {
        Some("true") => " yes ",
        _ => " ",
    };
    let label = value(scenario, "label").unwrap_or_default();
    Some(format!("| `{name}` | {label} |{numbers}|"))
}

#[test]
fn every_scenario_of_ours_is_listed_and_no_other() {
    let rules = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules"));
    let mut ours = BTreeSet::new();
    for file in std::fs::read_dir(rules.join("scenarios/ringwall")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        ours.extend(text.split("\n---\n").filter_map(row));
    }
    assert!(ours.len() > 20, "{ours:?}");
    let text = std::fs::read_to_string(rules.join("README.md")).unwrap();
    let listed: BTreeSet<String> = text
        .lines()
        .filter(|line| line.starts_with("| `ringwall/"))
        .map(str::to_owned)
        .collect();
    let lacks: Vec<_> = ours.difference(&listed).cloned().collect();
    let too_many: Vec<_> = listed.difference(&ours).cloned().collect();
    assert!(
        lacks.is_empty() && too_many.is_empty(),
        "rules/README.md lacks these rows:\n{}\nand has these too many:\n{}",
        lacks.join("\n"),
        too_many.join("\n")
    );
}
