//! Rules from the binary, a hub checkout or a folder, compiled into one program.
//!
//! **Refuses:** nothing silently: a broken rule is named with its file and line, and
//! left out or refused as `detection.on_broken_rule` says. **On failure:** the
//! caller keeps the program it had.

use std::path::PathBuf;
use std::sync::Arc;

use config::snapshot::{Detection, OnBrokenRule, Tune};
use detect::data::DataSet;
use detect::program::{Options, Program};
use detect::rules::disk::{Place, Unreadable};
use detect::rules::{self, Bounds, DataKind, Fault, Found, Items, RuleSet, Sources};

use crate::Error;

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

/// Compiles what the configuration names; nothing where detection is off.
///
/// # Errors
/// When a folder cannot be read, or a rule is broken and must not be.
pub fn load(detection: &Detection) -> Result<Rulebook, Error> {
    if !detection.enabled {
        return Ok(compile(RuleSet::default(), &DataSet::default(), true));
    }
    let root = detection.hub.clone().or_else(|| detection.rules.clone());
    let (mut set, mut data) = gather(
        root,
        &detection.items,
        detection.patterns.clone(),
        detection.data.clone(),
    )?;
    if let (Some(_), Some(own)) = (&detection.hub, &detection.rules) {
        let (more, lists) = gather(Some(own.clone()), &[], None, None)?;
        merge(&mut set, more);
        data.extend(lists);
    }
    if detection.hub.is_some() {
        // The hub knows nothing of requests that other sites' pages have browsers send.
        let (foreign, _) = gather(None, &[FOREIGN.to_owned()], None, None)?;
        if !set.scenarios.iter().any(|one| one.name == FOREIGN) {
            merge(&mut set, foreign);
        }
    }
    tune(&mut set, detection);
    let rulebook = compile(set, &data, true);
    if detection.on_broken_rule == OnBrokenRule::Refuse && !rulebook.faults.is_empty() {
        let named: Vec<String> = rulebook
            .faults
            .iter()
            .take(20)
            .map(Fault::to_string)
            .collect();
        return Err(Error::Operator(format!(
            "Rules are broken, and detection.on_broken_rule says to refuse them:\n{}",
            named.join("\n")
        )));
    }
    Ok(rulebook)
}

/// Compiles what a command names, for logs rather than live traffic.
///
/// # Errors
/// When a folder cannot be read.
pub fn choose(chosen: &Chosen) -> Result<Rulebook, Error> {
    let (set, data) = gather(
        chosen.hub.clone(),
        &chosen.items,
        chosen.patterns.clone(),
        chosen.data.clone(),
    )?;
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

fn merge(set: &mut RuleSet, more: RuleSet) {
    set.parsers.extend(more.parsers);
    set.postoverflows.extend(more.postoverflows);
    set.scenarios.extend(more.scenarios);
    set.contexts.extend(more.contexts);
    set.patterns.extend(more.patterns);
    set.data.extend(more.data);
    set.faults.extend(more.faults);
}

/// Tuning acts on what was loaded, never on the files.
fn tune(set: &mut RuleSet, detection: &Detection) {
    set.scenarios.retain(|scenario| {
        !detection
            .tune
            .get(&scenario.name)
            .is_some_and(|tune| tune.off)
    });
    for scenario in &mut set.scenarios {
        if let Some(Tune {
            capacity,
            leakspeed,
            off: _,
        }) = detection.tune.get(&scenario.name)
        {
            if let Some(capacity) = capacity {
                scenario.capacity = i64::from(*capacity);
            }
            if let Some(leakspeed) = leakspeed {
                scenario.leakspeed = *leakspeed;
            }
            // Another bucket size is another rule: its buckets start anew.
            scenario.hash.push_str("+tuned");
        }
        scenario.simulated |= detection.simulation.contains(&scenario.name);
    }
}
