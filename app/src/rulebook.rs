//! Rules from the binary, what was installed of the hub, a checkout or a folder, compiled
//! into one program.
//!
//! **Refuses:** nothing silently: a broken rule is named with its file and line, and
//! left out or refused as `detection.on_broken_rule` says. **On failure:** the
//! caller keeps the program it had.

mod installed;
mod tuning;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::Config;
use config::snapshot::{Detection, OnBrokenRule};
use detect::data::DataSet;
use detect::program::{Options, Program};
use detect::rules::disk::{Place, Unreadable};
use detect::rules::{
    self, Bounds, DataFile, DataKind, Fault, Found, Items, ParserDoc, RuleSet, Sources,
};

use crate::{Error, simulation_file};
pub use installed::Installed;
pub(crate) use installed::{cannot as installed_cannot, tuned};

/// Our own rules, as they lie in `rules/`: path below it, and bytes.
const BUILT_IN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Counts what others spare because another site's page had a browser send it. Always
/// loaded: without it nothing could be spared.
const FOREIGN: &str = "ringwall/http-foreign";

/// A compiled program and what was wrong with its rules.
#[derive(Debug)]
pub struct Rulebook {
    /// What runs.
    pub program: Arc<Program>,
    /// Files and expressions that were left out.
    pub faults: Vec<Fault>,
}

/// Which rules `replay` and `explain` load.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The log type, such as `nginx`.
    pub kind: String,
    /// A hub checkout; `None` for our own rules.
    pub hub: Option<PathBuf>,
    /// Items by name; all when empty.
    pub items: Vec<String>,
    /// The operator's own rules, besides those.
    pub rules: Option<PathBuf>,
    /// Grok libraries.
    pub patterns: Option<PathBuf>,
    /// Data files.
    pub data: Option<PathBuf>,
}

impl Rulebook {
    /// How many scenarios run.
    #[must_use]
    pub fn scenarios(&self) -> usize {
        self.program.specs().len()
    }
}

/// Compiles what the configuration names and what was installed; nothing where detection
/// is off.
///
/// # Errors
/// When a folder or `detection.crowdsec_simulation` cannot be read, or a rule is broken and
/// must not be.
pub fn of(config: &Config) -> Result<Rulebook, Error> {
    load(&config.detection, &Installed::of(config)?)
}

/// Compiles what the configuration names, with `installed` beside it.
///
/// # Errors
/// When a folder or `detection.crowdsec_simulation` cannot be read, or a rule is broken and
/// must not be.
pub fn load(detection: &Detection, installed: &Installed) -> Result<Rulebook, Error> {
    if !detection.enabled {
        return Ok(compile(RuleSet::default(), &DataSet::default(), true));
    }
    let (mut set, data) = everything(detection, installed)?;
    tuning::apply(&mut set, detection, installed);
    if let Some(file) = &detection.crowdsec_simulation {
        let simulation = simulation_file::read(file)?;
        tuning::simulate(&mut set, |name| simulation.covers(name));
    }
    let rulebook = compile(set, &data, true);
    if detection.on_broken_rule == OnBrokenRule::Refuse && !rulebook.faults.is_empty() {
        return Err(Error::Operator(format!(
            "Rules are broken, and detection.on_broken_rule says to refuse them:\n{}",
            named(&rulebook.faults)
        )));
    }
    Ok(rulebook)
}

/// The first faults, a line each.
pub(crate) fn named(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().take(20).map(Fault::to_string).collect();
    lines.join("\n")
}

/// All rules and their data, before any tuning.
fn everything(detection: &Detection, installed: &Installed) -> Result<(RuleSet, DataSet), Error> {
    let named = (detection.patterns.clone(), detection.data.clone());
    // A checkout that the configuration names stands instead of our own rules and of what
    // was installed.
    let hub = detection.hub.clone();
    let (mut set, mut data) = gather(hub, &detection.items, named.0.clone(), named.1.clone())?;
    if let (None, Some(folder)) = (&detection.hub, &installed.set) {
        // After our own: neither data files nor patterns of the hub take the place of ours.
        let (more, lists) = gather(Some(folder.clone()), &[], named.0, named.1)?;
        merge(&mut set, more);
        data.extend(lists);
    }
    if let Some(own) = &detection.rules {
        beside((&mut set, &mut data), own, detection.data.clone())?;
    }
    let foreign = |set: &RuleSet| set.scenarios.iter().any(|one| one.name == FOREIGN);
    if (detection.hub.is_some() || installed.set.is_some()) && !foreign(&set) {
        // The hub knows nothing of requests that other sites' pages have browsers send.
        let (more, _) = gather(None, &[FOREIGN.to_owned()], None, None)?;
        merge(&mut set, more);
    }
    Ok((set, data))
}

/// A set of rules that is not in force, looked at alone.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// What is wrong with it.
    pub(crate) faults: Vec<Fault>,
    /// How many scenarios run.
    pub(crate) scenarios: usize,
}

/// Looks at the set in a folder, compiled as it would run.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn inspect(folder: &Path) -> Result<Inspected, Error> {
    let (set, data) = gather(Some(folder.to_owned()), &[], None, None)?;
    let rulebook = compile(set, &data, true);
    Ok(Inspected {
        scenarios: rulebook.scenarios(),
        faults: rulebook.faults,
    })
}

/// The scenarios in a folder: name and file.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn scenarios(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let (set, _) = gather(Some(folder.to_owned()), &[], None, None)?;
    let scenarios = set.scenarios.into_iter();
    Ok(scenarios.map(|one| (one.name, one.file)).collect())
}

/// The data files that the items in a folder name.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn wanted(folder: &Path) -> Result<Vec<DataFile>, Error> {
    Ok(gather(Some(folder.to_owned()), &[], None, None)?.0.data)
}

/// Whether a data file of ours has this name.
pub(crate) fn is_own_data(name: &str) -> bool {
    let own = |path: &str| path.strip_prefix("data/") == Some(name);
    BUILT_IN.iter().any(|(path, _)| own(path))
}

/// The names of all scenarios that would run without any tuning.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn untuned(detection: &Detection, installed: &Installed) -> Result<RuleSet, Error> {
    Ok(everything(detection, installed)?.0)
}

/// Compiles what a command names, for logs rather than live traffic.
///
/// # Errors
/// When a folder cannot be read.
pub fn choose(chosen: &Chosen) -> Result<Rulebook, Error> {
    let (mut set, mut data) = gather(
        chosen.hub.clone(),
        &chosen.items,
        chosen.patterns.clone(),
        chosen.data.clone(),
    )?;
    if let Some(own) = &chosen.rules {
        beside((&mut set, &mut data), own, chosen.data.clone())?;
    }
    Ok(compile(set, &data, false))
}

fn compile(mut set: RuleSet, data: &DataSet, live: bool) -> Rulebook {
    let mut faults = std::mem::take(&mut set.faults);
    let options = Options { live };
    let (program, broken) = Program::build(&set, data, &options);
    faults.extend(broken);
    Rulebook {
        program: Arc::new(program),
        faults,
    }
}

fn gather(
    root: Option<PathBuf>,
    names: &[String],
    patterns: Option<PathBuf>,
    lists: Option<PathBuf>,
) -> Result<(RuleSet, DataSet), Error> {
    let items = Items {
        names: names.to_vec(),
        exact: false,
    };
    let bounds = Bounds::default();
    let Some(root) = root else {
        let set = rules::load(&built_in_sources(), &items, &bounds);
        let data = built_in_data(&set);
        return Ok((set, data));
    };
    let place = Place {
        patterns: patterns.into_iter().collect(),
        data: lists.into_iter().collect(),
        ..Place::new(root)
    };
    let mut sources = place.sources().map_err(|error| unreadable(&error))?;
    // Our own grok library stands behind whatever the operator brings.
    sources.patterns.extend(built_in_sources().patterns);
    let set = rules::load(&sources, &items, &bounds);
    let data = place.data(&set.data).map_err(|error| unreadable(&error))?;
    Ok((set, data))
}

pub(crate) fn unreadable(error: &Unreadable) -> Error {
    let cause =
        std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    Error::Operator(format!(
        "Cannot {error}{cause}. Check the path and who may read it."
    ))
}

pub(crate) fn built_in_sources() -> Sources {
    let mut sources = Sources::default();
    for (path, bytes) in BUILT_IN {
        let found = Found {
            file: format!("rules/{path}"),
            path: (*path).to_owned(),
            bytes: Arc::from(*bytes),
        };
        match path.split('/').next() {
            Some("patterns") => sources.patterns.push(found),
            Some("parsers" | "scenarios" | "postoverflows" | "collections" | "contexts") => {
                sources.rules.push(found);
            }
            Some(_) | None => {}
        }
    }
    sources
}

fn built_in_data(set: &RuleSet) -> DataSet {
    let mut data = DataSet::default();
    for file in set.data.iter().filter(|file| file.kind != DataKind::Other) {
        let path = format!("data/{}", file.dest_file);
        if let Some((_, bytes)) = BUILT_IN.iter().find(|(name, _)| *name == path) {
            data.add(&file.dest_file, file.kind, bytes);
        }
    }
    data
}

/// One of our own data lists, such as the attack tools' names.
#[must_use]
pub fn built_in_list(path: &str) -> Option<&'static str> {
    let bytes = BUILT_IN.iter().find(|(known, _)| *known == path)?.1;
    std::str::from_utf8(bytes).ok()
}

/// Adds the operator's own rules, and their data files before others of the same name.
fn beside(
    (set, data): (&mut RuleSet, &mut DataSet),
    own: &Path,
    lists: Option<PathBuf>,
) -> Result<(), Error> {
    let (own, mut lists) = gather(Some(own.to_owned()), &[], None, lists)?;
    overlay(set, own);
    lists.extend(core::mem::take(data));
    *data = lists;
    Ok(())
}

/// What of the operator's own has the name of another rule stands in its place.
fn overlay(set: &mut RuleSet, own: RuleSet) {
    let replaced = |name: &str| own.scenarios.iter().any(|one| one.name == name);
    set.scenarios.retain(|one| !replaced(&one.name));
    let nodes = own.parsers.iter().chain(&own.postoverflows);
    let named: Vec<String> = nodes.map(|one| one.node.name.clone()).collect();
    let kept = |one: &ParserDoc| one.node.name.is_empty() || !named.contains(&one.node.name);
    set.parsers.retain(kept);
    set.postoverflows.retain(kept);
    merge(set, own);
}

fn merge(set: &mut RuleSet, more: RuleSet) {
    set.parsers.extend(more.parsers);
    set.postoverflows.extend(more.postoverflows);
    // Stages run in the order of their names, whoever brings a node for them.
    set.parsers
        .sort_by(|one, other| one.stage.cmp(&other.stage));
    set.postoverflows
        .sort_by(|one, other| one.stage.cmp(&other.stage));
    set.scenarios.extend(more.scenarios);
    set.contexts.extend(more.contexts);
    set.patterns.extend(more.patterns);
    set.data.extend(more.data);
    set.faults.extend(more.faults);
}

#[cfg(test)]
mod tests;
