//! Tuning, from the configuration and from `ringwall hub tune`. It acts on what was loaded,
//! never on the files. Where both say something of one scenario, the configuration does.

use std::collections::BTreeSet;
use std::time::Duration;

use config::snapshot::{Detection, HostPattern, Tune};
use detect::rules::{RuleSet, ScenarioDoc};
use hub::Override;
use vocab::time::parse_duration;

use super::Installed;

/// Tunes all scenarios of a set; those that are off leave it.
pub(super) fn apply(set: &mut RuleSet, detection: &Detection, installed: &Installed) {
    let of = |scenario: &ScenarioDoc| {
        let here = installed.tuning.0.get(&scenario.name);
        both(detection.tune.get(&scenario.name), here)
    };
    set.scenarios
        .retain(|scenario| !of(scenario).is_some_and(|tune| tune.off));
    for scenario in &mut set.scenarios {
        if let Some(tune) = of(scenario) {
            one(scenario, &tune, installed);
        }
    }
    simulate(set, |name| {
        let here = installed.tuning.0.get(name);
        detection.simulation.iter().any(|one| one == name) || here.is_some_and(|one| one.simulated)
    });
}

/// Has scenarios raise alerts that bar nobody; those that do so already stay as they are.
pub(super) fn simulate(set: &mut RuleSet, covers: impl Fn(&str) -> bool) {
    for scenario in &mut set.scenarios {
        if !scenario.simulated && covers(&scenario.name) {
            scenario.simulated = true;
            // Another rule: its silence after an alert that barred nobody must not outlast it.
            scenario.hash.push_str("+simulated");
        }
    }
}

/// What both say together.
fn both(file: Option<&Tune>, here: Option<&Override>) -> Option<Tune> {
    let here = here.map(|here| Tune {
        capacity: here.capacity,
        leakspeed: here.leakspeed.as_deref().and_then(span),
        blackhole: here.blackhole.as_deref().and_then(span),
        off: here.off,
        off_at: hosts(&here.off_at),
    });
    let (file, here) = match (file, here) {
        (None, here) => return here,
        (Some(file), None) => return Some(file.clone()),
        (Some(file), Some(here)) => (file, here),
    };
    let mut off_at = file.off_at.clone();
    off_at.extend(here.off_at);
    Some(Tune {
        capacity: file.capacity.or(here.capacity),
        leakspeed: file.leakspeed.or(here.leakspeed),
        blackhole: file.blackhole.or(here.blackhole),
        off: file.off || here.off,
        off_at,
    })
}

fn span(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|span| !span.is_zero())
}

fn hosts(texts: &[String]) -> Vec<HostPattern> {
    let read = texts.iter().map(|text| HostPattern::read(text));
    read.filter_map(Result::ok).collect()
}

fn one(scenario: &mut ScenarioDoc, tune: &Tune, installed: &Installed) {
    if let Some(capacity) = tune.capacity {
        scenario.capacity = i64::from(capacity);
    }
    if let Some(leakspeed) = tune.leakspeed {
        scenario.leakspeed = leakspeed;
    }
    if let Some(blackhole) = tune.blackhole {
        scenario.blackhole = blackhole;
    }
    let names = names(&tune.off_at, installed);
    if !names.is_empty() {
        // Asked first; whatever the filter has in its last line ends with that line.
        let list: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        scenario.filter.text = format!(
            "evt.Meta.target_fqdn not in [{}] && (\n{}\n)",
            list.join(", "),
            scenario.filter.text
        );
    }
    // Another bucket size is another rule: its buckets start anew.
    scenario.hash.push_str(&format!(
        "+tuned:{}/{}/{}",
        scenario.capacity,
        scenario.leakspeed.as_millis(),
        scenario.blackhole.as_millis()
    ));
}

/// By which hosts events of these sites go: those that the sites spell out, and the site's
/// own name for those that it does not.
fn names(off_at: &[HostPattern], installed: &Installed) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for wanted in off_at {
        names.insert(wanted.to_string());
        for (hosts, name) in &installed.sites {
            if hosts.contains(wanted) {
                names.insert(name.clone());
                names.extend(hosts.iter().map(ToString::to_string));
            }
        }
    }
    names
}
