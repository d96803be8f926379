//! What is installed, and what there is.

use std::collections::{BTreeMap, BTreeSet};

use fetch::Client;
use hub::{Id, Index, Item, Kind, Override, Standing, State, Tuning, standing};
use serde::Serialize;

use super::{Bench, bring};
use crate::Error;
use crate::rulebook::{self, installed_cannot as cannot, tuned};
use crate::term::{Cell, Tone};

/// One line of a listing.
#[derive(Serialize)]
struct Line<'l> {
    #[serde(flatten)]
    standing: &'l Standing,
    /// What was tuned, by scenario.
    tuned: BTreeMap<&'l str, &'l Override>,
}

/// `ringwall hub list`.
pub(super) fn list(bench: &mut Bench<'_>, all: bool) -> Result<(), Error> {
    let kept = bring::kept(&bench.sets)?;
    let index = kept.as_ref().map(|(index, _)| index);
    let current = bench.sets.current().map_err(|error| cannot(&error))?;
    let tuning = tuned(&bench.sets)?;
    let mut standings = Vec::new();
    let mut scenarios = Vec::new();
    if let Some(set) = &current {
        standings = standing::of_set(set, index);
        scenarios = rulebook::scenarios(&set.folder)?;
    }
    if let Some(own) = &bench.config.detection.rules {
        standings.extend(standing::own_files(own, &BTreeSet::new()));
        scenarios.extend(rulebook::scenarios(own)?);
    }
    for standing in &standings {
        let tuned = of_item(&tuning, standing, &scenarios);
        line(bench, &Line { standing, tuned })?;
    }
    if bench.out.json() {
        if all {
            others(bench, index, &standings)?;
        }
        return Ok(());
    }
    if standings.is_empty() && !all {
        return Ok(bench.out.paragraph(
            "Nothing of the hub is installed. Find something with 'ringwall hub search nginx', and install it \
             with 'ringwall hub install NAME'.",
            0,
        )?);
    }
    for kind in Kind::ALL {
        let of_kind = standings.iter().filter(|standing| standing.id.kind == kind);
        let rows: Vec<Vec<Cell>> = of_kind
            .map(|standing| row(standing, !of_item(&tuning, standing, &scenarios).is_empty()))
            .collect();
        table(bench, kind, "STATE", &rows)?;
    }
    if all {
        others(bench, index, &standings)?;
    }
    let said = match (&current, &kept) {
        (Some(set), Some((_, asked))) => format!(
            "Set {}, made {}; the hub was asked last at {}.",
            set.number, set.manifest.made, asked.at
        ),
        (Some(set), None) => format!(
            "Set {}, made {}; whether it is up to date is not known, since there is no index here.",
            set.number, set.manifest.made
        ),
        (None, _) => String::new(),
    };
    bench.out.paragraph(&said, 0)?;
    Ok(())
}

fn line(bench: &mut Bench<'_>, line: &Line<'_>) -> Result<(), Error> {
    if bench.out.json() {
        bench.out.value(line)?;
    }
    Ok(())
}

/// What was tuned of the scenarios in an item's file.
fn of_item<'t>(
    tuning: &'t Tuning,
    standing: &Standing,
    scenarios: &[(String, String)],
) -> BTreeMap<&'t str, &'t Override> {
    let inside = |name: &str| {
        let ends = |(scenario, file): &(String, String)| {
            scenario == name && file.ends_with(&format!("/{}", standing.path))
        };
        scenarios.iter().any(ends)
    };
    let tuned = tuning.0.iter().filter(|(name, _)| inside(name));
    tuned.map(|(name, one)| (name.as_str(), one)).collect()
}

fn row(standing: &Standing, tuned: bool) -> Vec<Cell> {
    let (tone, mut state) = match (standing.state, &standing.newest) {
        (State::UpdateAvailable, Some(newest)) => (Tone::Warn, format!("update {newest}")),
        (State::UpToDate, _) => (Tone::Good, standing.state.to_string()),
        (State::Tampered | State::Missing, _) => (Tone::Bad, standing.state.to_string()),
        (state, _) => (Tone::Plain, state.to_string()),
    };
    if standing.deprecated {
        state += ", deprecated";
    }
    let version = if tuned {
        format!("{} tuned", standing.version)
    } else {
        standing.version.clone()
    };
    vec![
        Cell::new(&standing.id.name),
        Cell::new(version.trim()),
        Cell::toned(tone, state),
    ]
}

/// What the hub has besides.
fn others(bench: &mut Bench<'_>, index: Option<&Index>, here: &[Standing]) -> Result<(), Error> {
    let here: BTreeSet<&Id> = here.iter().map(|one| &one.id).collect();
    let Some(index) = index else {
        return Err(Error::Operator(
            "The hub was never asked from here, so what else it has is not known. 'ringwall hub search WORD' asks it."
                .to_owned(),
        ));
    };
    let others: Vec<(&Id, &Item)> = index.iter().filter(|(id, _)| !here.contains(id)).collect();
    found(bench, &others)
}

/// `ringwall hub search`.
pub(super) fn search(
    bench: &mut Bench<'_>,
    client: &Client,
    words: &[String],
) -> Result<(), Error> {
    let lock = bench.sets.lock().map_err(|error| cannot(&error))?;
    let index = bring::index(client, &bench.config, &bench.sets, &lock, false)?;
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let fits = |id: &Id, item: &Item| {
        let text = format!("{} {}", id.name, item.description).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let items: Vec<(&Id, &Item)> = index.iter().filter(|(id, item)| fits(id, item)).collect();
    if items.is_empty() && !bench.out.json() {
        return Ok(bench.out.line("Nothing in the hub has these words.")?);
    }
    found(bench, &items)
}

fn found(bench: &mut Bench<'_>, items: &[(&Id, &Item)]) -> Result<(), Error> {
    if bench.out.json() {
        for (id, item) in items {
            bench.out.value(&serde_json::json!({
                "kind": id.kind, "name": id.name, "version": item.latest.version, "state":
                if id.kind.runs() { "available" } else { "not-run-yet" }, "description": item.description,
            }))?;
        }
        return Ok(());
    }
    for kind in Kind::ALL {
        let of_kind = items.iter().filter(|(id, _)| id.kind == kind);
        let rows: Vec<Vec<Cell>> = of_kind
            .map(|(id, item)| {
                vec![
                    Cell::new(&id.name),
                    Cell::new(&item.latest.version),
                    Cell::toned(Tone::Faint, &item.description),
                ]
            })
            .collect();
        let about = if kind.runs() {
            "ABOUT"
        } else {
            "ABOUT (not run yet)"
        };
        table(bench, kind, about, &rows)?;
    }
    Ok(())
}

/// The items of one kind. Names are long: the kind stands above, not beside them.
fn table(bench: &mut Bench<'_>, kind: Kind, last: &str, rows: &[Vec<Cell>]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let title = kind.folder().to_uppercase();
    bench.out.table(&[&title, "VERSION", last], rows)?;
    Ok(bench.out.line("")?)
}
