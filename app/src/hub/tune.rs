//! Thresholds that are changed here, without touching an item.

use std::collections::BTreeSet;

use config::snapshot::HostPattern;
use detect::rules::{ScenarioDoc, ScenarioKind};
use hub::{Override, Tuning, nearest, tuning};
use vocab::time::parse_duration;

use super::Bench;
use super::reload::reload;
use crate::Error;
use crate::rulebook::{self, Installed, installed_cannot as cannot, tuned};
use crate::term::Cell;

/// The largest capacity, as in the configuration.
const MOST: u32 = 1_000_000;

/// What is changed about a scenario.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// Another capacity.
    pub capacity: Option<u32>,
    /// Another time in which one event leaks out.
    pub leakspeed: Option<String>,
    /// Another silence after an alert.
    pub blackhole: Option<String>,
    /// At which sites `off` and `on` are meant; everywhere when empty.
    pub sites: Vec<String>,
    /// Whether it is switched off, or on again.
    pub on: Option<bool>,
    /// Whether it raises alerts and bars nobody.
    pub simulate: Option<bool>,
    /// Whether all that was tuned is forgotten first.
    pub reset: bool,
}

/// `ringwall hub tune` without a name.
pub(super) fn list(bench: &mut Bench<'_>) -> Result<(), Error> {
    let tuning = tuned(&bench.sets)?;
    if bench.out.json() {
        for (name, one) in &tuning.0 {
            bench
                .out
                .value(&serde_json::json!({ "name": name, "tuned": one }))?;
        }
        return Ok(());
    }
    if tuning.0.is_empty() {
        return Ok(bench
            .out
            .line("Nothing is tuned here. Tune with: ringwall hub tune NAME --capacity 20")?);
    }
    let rows: Vec<Vec<Cell>> = tuning
        .0
        .iter()
        .map(|(name, one)| vec![Cell::new(name), Cell::new(said(one))])
        .collect();
    Ok(bench.out.table(&["SCENARIO", "TUNED"], &rows)?)
}

/// `ringwall hub tune NAME …`.
pub(super) fn tune(bench: &mut Bench<'_>, typed: &str, change: &Change) -> Result<(), Error> {
    check(change)?;
    let lock = bench.sets.lock().map_err(|error| cannot(&error))?;
    let mut installed = Installed::of(&bench.config)?;
    let before = installed.tuning.clone();
    let rules = rulebook::untuned(&bench.config.detection, &installed)?;
    let scenarios = meant(typed, &rules.scenarios, &installed)?;
    let mut notes = BTreeSet::new();
    for scenario in &scenarios {
        fits(scenario, change)?;
        let one = installed.tuning.0.entry(scenario.name.clone()).or_default();
        apply(one, change);
        if bench.config.detection.tune.contains_key(&scenario.name) {
            notes.insert(format!(
                "The configuration tunes {}, too: what it says there holds.",
                scenario.name
            ));
        }
    }
    installed.tuning.0.retain(|_, one| !one.is_empty());
    for site in &change.sites {
        let spelt = |(hosts, _): &(Vec<HostPattern>, String)| {
            hosts.iter().any(|host| host.to_string() == *site)
        };
        if !installed.sites.iter().any(spelt) {
            notes.insert(format!(
                "No site of the configuration spells out {site}; one of a container's label may."
            ));
        }
    }
    let heard = if installed.tuning == before {
        None
    } else {
        compiles(bench, &before, &installed)?;
        Some(save(bench, &lock, &before, &installed.tuning)?)
    };
    tell(bench, &scenarios, &installed.tuning, heard, &notes)
}

fn save(
    bench: &Bench<'_>,
    lock: &hub::Lock,
    before: &Tuning,
    after: &Tuning,
) -> Result<String, Error> {
    let write = |tuning: &Tuning| {
        let written = bench.sets.write_beside(lock, tuning::FILE, &tuning.bytes());
        written.map_err(|error| cannot(&error))
    };
    write(after)?;
    match reload(&bench.socket) {
        Ok(heard) => Ok(heard.sentence()),
        Err(refused) => {
            write(before)?;
            Err(Error::Operator(format!(
                "The running instance refused it, and everything is as it was: {refused}"
            )))
        }
    }
}

/// Tuning must break nothing that was whole.
fn compiles(bench: &Bench<'_>, before: &Tuning, after: &Installed) -> Result<(), Error> {
    let old = Installed {
        tuning: before.clone(),
        ..after.clone()
    };
    let detection = &bench.config.detection;
    let was = rulebook::load(detection, &old)?.faults.len();
    let is = rulebook::load(detection, after)?.faults;
    if is.len() > was {
        return Err(Error::Operator(format!(
            "Tuned like that, rules do not compile, and nothing was changed:\n{}",
            rulebook::named(&is)
        )));
    }
    Ok(())
}

fn check(change: &Change) -> Result<(), Error> {
    if change
        .capacity
        .is_some_and(|capacity| !(1..=MOST).contains(&capacity))
    {
        let said = format!("A capacity is a number from 1 to {MOST}.");
        return Err(Error::Usage(said));
    }
    for span in [&change.leakspeed, &change.blackhole].into_iter().flatten() {
        if parse_duration(span).is_none_or(|span| span.is_zero()) {
            return Err(Error::Usage(format!(
                "'{span}' is not a span of time above zero. Write it as 500ms, 10s, 5m or 4h."
            )));
        }
    }
    for site in &change.sites {
        if let Err(problem) = HostPattern::read(site) {
            return Err(Error::Usage(format!(
                "'{site}' names no site: {problem}. Name it by one of its hosts, as it stands in edge.site."
            )));
        }
    }
    if !change.sites.is_empty() && change.on.is_none() {
        return Err(Error::Usage(
            "--site says where a scenario is off or on: add --off or --on. Thresholds hold for all sites."
                .to_owned(),
        ));
    }
    Ok(())
}

/// The scenarios of this name, or those in the file of the item of this name.
fn meant<'s>(
    typed: &str,
    scenarios: &'s [ScenarioDoc],
    installed: &Installed,
) -> Result<Vec<&'s ScenarioDoc>, Error> {
    let name = typed.strip_prefix("scenarios:").unwrap_or(typed);
    let by_name: Vec<_> = scenarios.iter().filter(|one| one.name == name).collect();
    if let Some(first) = by_name.first() {
        return Ok(vec![first]);
    }
    if let Some(set) = &installed.set {
        let file = |end: &str| {
            set.join("scenarios")
                .join(format!("{name}.{end}"))
                .display()
                .to_string()
        };
        let files = [file("yaml"), file("yml")];
        let in_file = scenarios.iter().filter(|one| files.contains(&one.file));
        let in_file: Vec<_> = in_file.collect();
        if !in_file.is_empty() {
            return Ok(in_file);
        }
    }
    let near = nearest(name, scenarios.iter().map(|one| one.name.as_str()));
    let advice = if near.is_empty() {
        "'ringwall hub list' shows what is installed; rules/README.md lists Ringwall's own."
            .to_owned()
    } else {
        format!("Did you mean {}?", near.join(" or "))
    };
    Err(Error::Operator(format!(
        "No scenario that is loaded is named {name:?}. {advice}"
    )))
}

/// Refuses thresholds that a scenario does not have.
fn fits(scenario: &ScenarioDoc, change: &Change) -> Result<(), Error> {
    let thresholds = change.capacity.is_some() || change.leakspeed.is_some();
    if scenario.kind == ScenarioKind::Trigger && thresholds {
        return Err(Error::Operator(format!(
            "{} alerts at the first event: it has no capacity and no leakspeed. --blackhole, --off and --simulate fit it.",
            scenario.name
        )));
    }
    Ok(())
}

fn apply(one: &mut Override, change: &Change) {
    if change.reset {
        *one = Override::default();
    }
    one.capacity = change.capacity.or(one.capacity);
    one.leakspeed = change.leakspeed.clone().or_else(|| one.leakspeed.take());
    one.blackhole = change.blackhole.clone().or_else(|| one.blackhole.take());
    one.simulated = change.simulate.unwrap_or(one.simulated);
    match (change.on, change.sites.is_empty()) {
        (None, _) => {}
        (Some(false), true) => one.off = true,
        (Some(true), true) => {
            one.off = false;
            one.off_at.clear();
        }
        (Some(on), false) => {
            one.off_at.retain(|site| !change.sites.contains(site));
            if !on {
                one.off_at.extend(change.sites.iter().cloned());
                one.off_at.sort();
                one.off_at.truncate(tuning::MOST_SITES);
            }
        }
    }
}

fn tell(
    bench: &mut Bench<'_>,
    scenarios: &[&ScenarioDoc],
    tuning: &Tuning,
    heard: Option<String>,
    notes: &BTreeSet<String>,
) -> Result<(), Error> {
    for scenario in scenarios {
        let none = Override::default();
        let one = tuning.0.get(&scenario.name).unwrap_or(&none);
        if bench.out.json() {
            let name = &scenario.name;
            let value = serde_json::json!({ "name": name, "tuned": one, "notes": notes });
            bench.out.value(&value)?;
        } else {
            let text = format!("{}: {}.", scenario.name, said(one));
            bench.out.paragraph(&text, 0)?;
        }
    }
    if bench.out.json() {
        return Ok(());
    }
    for note in notes {
        bench.out.paragraph(note, 0)?;
    }
    match heard {
        Some(heard) => bench
            .out
            .paragraph(&format!("No item was touched. {heard}"), 0)?,
        None => bench.out.line("Nothing was changed.")?,
    }
    Ok(())
}

/// What was tuned, in words.
fn said(one: &Override) -> String {
    let mut parts = Vec::new();
    if one.off {
        parts.push("off".to_owned());
    }
    if !one.off_at.is_empty() {
        parts.push(format!("off at {}", one.off_at.join(", ")));
    }
    if let Some(capacity) = one.capacity {
        parts.push(format!("capacity {capacity}"));
    }
    if let Some(leakspeed) = &one.leakspeed {
        parts.push(format!("one event leaks out in {leakspeed}"));
    }
    if let Some(blackhole) = &one.blackhole {
        parts.push(format!("silent for {blackhole} after an alert"));
    }
    if one.simulated {
        parts.push("alerts only".to_owned());
    }
    if parts.is_empty() {
        return "as it comes".to_owned();
    }
    parts.join("; ")
}
