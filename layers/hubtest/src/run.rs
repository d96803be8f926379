//! One case from its material to a verdict.

use std::sync::Arc;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::grok::Shared;
use detect::program::{Line, Options, Program, Scratch};
use detect::replay::{self, Origin};
use detect::rules::{self, Bounds, DataFile, Found, Items, RuleSet, Sources};
use expr::Value;
use vocab::Timestamp;

use crate::assertion::{Asserts, Failure, Outcome};
use crate::case::Case;
use crate::dump::{MAX_BYTES, Parsers};
use crate::overflow::Overflows;
use crate::shelf::{Kind, Shelf, own_file};

/// What all cases share: the hub, the grok library, and what was compiled of them.
#[derive(Debug)]
pub struct Bench {
    shelf: Shelf,
    patterns: Vec<Found>,
    groks: Arc<Shared>,
    now: Timestamp,
}

/// What one case brings along.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The log's bytes.
    pub log: Vec<u8>,
    /// `parser.assert`, if there is one.
    pub parser_assert: Option<Vec<u8>>,
    /// `scenario.assert`, if there is one.
    pub scenario_assert: Option<Vec<u8>>,
    /// Rule files of its own, by their paths below the folder of tests.
    pub files: Vec<(String, Arc<[u8]>)>,
}

/// What became of a case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// How many asserts were evaluated.
    pub asserts: usize,
    /// How many of them do not hold.
    pub failed: usize,
    /// The first of those.
    pub failures: Vec<Failure>,
    /// Why the case fails whatever its asserts say; empty when it could be run.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// A case that could not be run.
    #[must_use]
    pub fn unable(reason: impl Into<String>) -> Self {
        Self {
            reasons: vec![reason.into()],
            ..Self::default()
        }
    }

    /// Whether the case passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.reasons.is_empty() && self.failed == 0 && self.asserts > 0
    }

    fn take(&mut self, file: &str, outcome: Outcome) {
        if outcome.asserts == 0 {
            self.reasons.push(format!("{file} asserts nothing"));
        }
        self.asserts += outcome.asserts;
        self.failed += outcome.failed;
        self.failures.extend(outcome.failures);
    }
}

/// The rule files of a case that are its own: paths below the folder of tests.
pub fn own_files(case: &Case) -> impl Iterator<Item = &str> {
    named(case).filter_map(|(kind, item)| Some(own_file(kind, item)?.0))
}

fn named(case: &Case) -> impl Iterator<Item = (Kind, &str)> {
    let of = |kind: Kind, names: &'_ [String]| -> Vec<(Kind, usize)> {
        (0..names.len()).map(|at| (kind, at)).collect()
    };
    let places = [
        of(Kind::Parser, &case.parsers),
        of(Kind::Scenario, &case.scenarios),
        of(Kind::Postoverflow, &case.postoverflows),
    ];
    places.into_iter().flatten().filter_map(|(kind, at)| {
        let names = match kind {
            Kind::Parser => &case.parsers,
            Kind::Scenario => &case.scenarios,
            Kind::Postoverflow => &case.postoverflows,
        };
        Some((kind, names.get(at)?.as_str()))
    })
}

impl Bench {
    /// A bench for the rules of a hub. `now` is when lines are read: those that tell no
    /// year get its year.
    #[must_use]
    pub fn new(sources: &Sources, now: Timestamp) -> Self {
        Self {
            shelf: Shelf::new(&sources.rules),
            patterns: sources.patterns.clone(),
            groks: Arc::default(),
            now,
        }
    }

    /// Runs a case. `data` reads the data files that its rules name.
    pub fn run(
        &self,
        case: &Case,
        material: &Material,
        data: &dyn Fn(&[DataFile]) -> Result<DataSet, String>,
    ) -> Verdict {
        if !case.nuclei_template.is_empty() {
            return Verdict::unable("it wants requests sent by nuclei, which is not done here");
        }
        let set = match self.rules(case, material) {
            Ok(set) => set,
            Err(reason) => return Verdict::unable(reason),
        };
        let data = match data(&set.data) {
            Ok(data) => data,
            Err(reason) => return Verdict::unable(reason),
        };
        let mut verdict = Verdict::default();
        if !case.ignore_parsers {
            match &material.parser_assert {
                Some(text) => self.parsers(case, material, (&set, &data), text, &mut verdict),
                None => verdict.reasons.push("parser.assert is missing".to_owned()),
            }
        }
        if !case.scenarios.is_empty() {
            match &material.scenario_assert {
                Some(text) => self.scenarios(case, material, (&set, &data), text, &mut verdict),
                None => verdict
                    .reasons
                    .push("scenario.assert is missing".to_owned()),
            }
        }
        if verdict.asserts == 0 && verdict.reasons.is_empty() {
            verdict.reasons.push("nothing is asserted".to_owned());
        }
        verdict.reasons.dedup();
        verdict
    }

    /// The rules that a case names, and no others.
    fn rules(&self, case: &Case, material: &Material) -> Result<RuleSet, String> {
        let mut sources = Sources {
            rules: Vec::new(),
            patterns: self.patterns.clone(),
        };
        for (kind, item) in named(case) {
            let found = self.find(kind, item, material)?;
            if !sources.rules.iter().any(|known| known.path == found.path) {
                sources.rules.push(found);
            }
        }
        let items = Items::default();
        let mut set = rules::load(&sources, &items, &Bounds::default());
        if !case.overrides.is_empty() {
            let overrides = Sources {
                rules: vec![overrides(&case.overrides)],
                patterns: Vec::new(),
            };
            let first = rules::load(&overrides, &items, &Bounds::default());
            set.parsers.splice(0..0, first.parsers);
            set.faults.extend(first.faults);
        }
        match set.faults.first() {
            Some(fault) => Err(fault.to_string()),
            None => Ok(set),
        }
    }

    fn find(&self, kind: Kind, item: &str, material: &Material) -> Result<Found, String> {
        if let Some((path, place)) = own_file(kind, item) {
            let own = material.files.iter().find(|(name, _)| name == path);
            if let Some((name, bytes)) = own {
                return Ok(Found {
                    file: name.clone(),
                    path: place,
                    bytes: Arc::clone(bytes),
                });
            }
        }
        if let Some(found) = self.shelf.find(kind, item) {
            return Ok(found.clone());
        }
        let hint = self.shelf.suggest(kind, item);
        let hint = hint.map_or_else(String::new, |known| format!(" Did you mean {known:?}?"));
        Err(format!("the hub has no {} {item:?}.{hint}", kind.folder()))
    }

    /// Compiles a case's rules; what cannot be compiled is a reason to fail.
    fn program(&self, (set, data): (&RuleSet, &DataSet), verdict: &mut Verdict) -> Program {
        let options = Options { live: false };
        let (program, faults) = Program::build_sharing(set, data, &options, Some(&self.groks));
        let faults = faults.iter().take(10).map(ToString::to_string);
        verdict.reasons.extend(faults);
        program
    }

    fn parsers(
        &self,
        case: &Case,
        material: &Material,
        rules: (&RuleSet, &DataSet),
        asserts: &[u8],
        verdict: &mut Verdict,
    ) {
        let program = self.program(rules, verdict);
        let mut scratch = Scratch::new(&program, Seed::new(0));
        let mut dump = Parsers::new(MAX_BYTES);
        let labels = labels(case);
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        for text in lines(&material.log) {
            let line = Line {
                text,
                labels: &labels,
                source: &case.log_file,
                module: "file",
                received: self.now,
                replay: true,
            };
            // What it pours is looked at apart, in order of time.
            let _seen = program.witnessed(&line, &mut scratch, &mut dump);
        }
        if dump.is_full() {
            verdict
                .reasons
                .push("its dump grew beyond bounds".to_owned());
        }
        let results = dump.finish();
        let asserts = Asserts::new("parser.assert", asserts);
        verdict.take("parser.assert", asserts.check(&results.value()));
    }

    fn scenarios(
        &self,
        case: &Case,
        material: &Material,
        rules: (&RuleSet, &DataSet),
        asserts: &[u8],
        verdict: &mut Verdict,
    ) {
        // Built anew: what the parsers' run stashed is of no concern here.
        let program = self.program(rules, verdict);
        let origins = [Origin {
            name: case.log_file.clone(),
            labels: labels(case),
        }];
        let mut overflows = Vec::new();
        let lines = lines(&material.log).map(|line| (0, line));
        let options = replay::Options {
            // The hub's own runner takes lines as they come, whatever their times.
            window: 0,
            ..replay::Options::new(self.now)
        };
        replay::overflows(&program, &origins, lines, &options, |overflow| {
            overflows.push(overflow);
        });
        let mut results = Overflows::new(overflows);
        let asserts = Asserts::new("scenario.assert", asserts);
        results.settle(|results| asserts.failing(&Value::Object(results)));
        verdict.take("scenario.assert", asserts.check(&Value::Object(&results)));
    }
}

fn labels(case: &Case) -> Vec<(String, String)> {
    let mut labels = vec![("type".to_owned(), case.log_type.clone())];
    labels.extend(
        case.labels
            .iter()
            .filter(|(name, _)| name != "type")
            .cloned(),
    );
    labels
}

/// The lines of a log; empty ones are none.
fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// A parser that runs before all others and does nothing but set what the case overrides.
fn overrides(statics: &[Vec<(String, String)>]) -> Found {
    let mut text = "name: overrides\nstatics:\n".to_owned();
    for assignment in statics {
        for (at, (key, value)) in assignment.iter().enumerate() {
            text.push_str(if at == 0 { "- " } else { "  " });
            text.push_str(&quoted(key));
            text.push_str(": ");
            text.push_str(&quoted(value));
            text.push('\n');
        }
    }
    Found {
        file: "override_statics".to_owned(),
        path: "parsers/s00-raw/overrides.yaml".to_owned(),
        bytes: Arc::from(text.into_bytes()),
    }
}

/// A text as YAML writes it in double quotes; JSON's way is among its ways.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
