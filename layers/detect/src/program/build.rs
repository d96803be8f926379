//! From rules to a program.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expr::{Expr, Type};
use vocab::Scope;

use super::after::Context;
use super::env::Ground;
use super::queue::Test;
use super::scenario::{Key, Numbers, Scenario};
use super::sieve::Sieve;
use super::{Keeps, Options, Program};
use crate::bucket::{Bayes, BayesCondition, BucketKind, BucketSpec, QueueTest, ScopeRule};
use crate::data::{DataSet, Searches, Table};
use crate::event::{Slots, Space, slot};
use crate::gotime::Dates;
use crate::grok::{Library, Shared};
use crate::parse::{Compiler, Stashes};
use crate::rules::{DataKind, Fault, Prior, RuleSet, ScenarioDoc, ScenarioKind, Text};

/// So many expressions of whitelists are not asked one by one.
const MANY: usize = 8;

/// Expressions over a bucket, before there is a ground to evaluate them on.
struct Tests {
    condition: Option<Expr>,
    overflow_filter: Option<Expr>,
    priors: Vec<(Expr, Prior)>,
}

impl Program {
    /// Compiles rules over their data files. What cannot be compiled is left out and
    /// named in the faults; those of loading stay in [`RuleSet::faults`].
    #[must_use]
    pub fn build(rules: &RuleSet, data: &DataSet, options: &Options) -> (Self, Vec<Fault>) {
        Self::build_sharing(rules, data, options, None)
    }

    /// The same, for whoever builds many programs: groks are taken from `shared`, and
    /// those that are not there yet are put there.
    #[must_use]
    pub fn build_sharing(
        rules: &RuleSet,
        data: &DataSet,
        options: &Options,
        shared: Option<&Arc<Shared>>,
    ) -> (Self, Vec<Fault>) {
        let data = data.clone();
        let mut faults = Vec::new();
        let mut slots = Slots::default();
        let mut stashes = Stashes::default();
        let mut library = Library::sharing(shared);
        for (name, pattern) in &rules.patterns {
            library.add(name, pattern);
        }
        let mut after = library.clone();
        let mut stages = Compiler::new(&mut slots, &mut library, &mut stashes, &mut faults)
            .stages(&rules.parsers);
        let mut compiler = Compiler::new(&mut slots, &mut after, &mut stashes, &mut faults);
        let postoverflows = compiler.stages(&rules.postoverflows);
        let mut scenarios = Vec::new();
        let mut waiting = Vec::new();
        let mut keeps = Keeps::default();
        let mut numbers = Numbers::default();
        for document in &rules.scenarios {
            if let Ok((mut scenario, tests)) = scenario(&mut compiler, document, &mut numbers) {
                keeps.read_by(document);
                scenario.pours_as = twin(&scenarios, &scenario);
                scenarios.push(scenario);
                waiting.push((document, tests));
            }
        }
        let contexts = contexts(&mut compiler, &rules.contexts);
        keeps.read_in(&contexts, compiler.slots);
        missing(&rules.data, &data, &mut faults);
        let ground = Arc::new(ground(slots, data, stashes, rules, &mut faults));
        let specs: Arc<[BucketSpec]> = waiting
            .into_iter()
            .map(|(document, tests)| spec(document, tests, &ground))
            .collect();
        let whites = stages.whites();
        let program = Self {
            whites: (whites.len() >= MANY).then(|| Sieve::new(whites.into_iter(), &ground.data)),
            stamps: ground.slots.is_read(slot::META_TIMESTAMP),
            sieve: Sieve::new(
                scenarios.iter().map(|scenario| scenario.filter.parts()),
                &ground.data,
            ),
            ground,
            stages,
            postoverflows,
            scenarios,
            instead: specs.iter().position(BucketSpec::counts_instead),
            specs,
            contexts,
            dates: Dates::default(),
            keeps,
            live: options.live,
        };
        (program, faults)
    }
}

impl Keeps {
    /// Bucket tests read what is kept; those that name a map read it whole.
    fn read_by(&mut self, document: &ScenarioDoc) {
        let priors = document
            .bayesian_conditions
            .iter()
            .map(|prior| &prior.condition);
        let texts = [&document.condition, &document.overflow_filter];
        for text in texts.into_iter().flatten().chain(priors) {
            self.parsed |= text.text.contains(".Parsed");
            self.enriched |= text.text.contains(".Enriched");
        }
    }
}

impl Keeps {
    /// Contexts read single fields of what is kept.
    fn read_in(&mut self, contexts: &[Context], slots: &Slots) {
        for expression in contexts.iter().flat_map(|context| &context.values) {
            for slot in expression.slots() {
                match slots.name(*slot) {
                    Some((Space::Parsed, _)) => self.parsed_slots.push(*slot),
                    Some((Space::Enriched, _)) => self.enriched_slots.push(*slot),
                    _ => {}
                }
            }
        }
        for single in [&mut self.parsed_slots, &mut self.enriched_slots] {
            single.sort_by_key(|slot| slots.name(*slot));
            single.dedup();
        }
    }
}

/// Contexts by key, those of one key together; a key with a fault goes without that value.
fn contexts(compiler: &mut Compiler<'_>, named: &[(String, Vec<Text>)]) -> Vec<Context> {
    "contexts".clone_into(&mut compiler.file);
    let mut contexts: Vec<Context> = Vec::new();
    for (key, texts) in named {
        let values = texts.iter();
        let values = values.filter_map(|text| compiler.of_context(text).ok());
        match contexts.iter_mut().find(|known| known.key == *key) {
            Some(known) => known.values.extend(values),
            None => contexts.push(Context {
                key: key.clone(),
                values: values.collect(),
            }),
        }
    }
    contexts.sort_by(|a, b| a.key.cmp(&b.key));
    contexts
}

fn missing(wanted: &[crate::rules::DataFile], data: &DataSet, faults: &mut Vec<Fault>) {
    let mut fault = |file: &crate::rules::DataFile, what: String, help: String| {
        faults.push(Fault {
            file: file.dest_file.clone(),
            line: 0,
            what,
            help,
        });
    };
    for file in wanted {
        let find = format!(
            "Put it into a folder given with --data; it is published at {}.",
            file.source_url
        );
        match data.database(&file.dest_file) {
            Some(Ok(_)) => {}
            Some(Err(broken)) => {
                let what = format!("this address database cannot be read: {broken}");
                let help = "Fetch it anew; until then nothing is enriched from it.";
                fault(file, what, help.to_owned());
            }
            None if file.is_database() => {
                let what = "this address database is not here, and nothing is enriched from it";
                fault(file, what.to_owned(), find);
            }
            None if file.kind != DataKind::Other && data.get(&file.dest_file).is_none() => {
                let what = "this data file is not here, and counts as empty";
                fault(file, what.to_owned(), find);
            }
            None => {}
        }
    }
}

fn ground(
    slots: Slots,
    data: DataSet,
    stashes: Stashes,
    rules: &RuleSet,
    faults: &mut Vec<Fault>,
) -> Ground {
    let fault = |file: &str, line: &[u8], what: String| Fault {
        file: file.to_owned(),
        line: 0,
        what: format!("{:?}: {what}", crate::bucket::text(line)),
        help: String::new(),
    };
    let geo = data.geo();
    let searches = Searches::prepare(slots.searches(), &data, |file, line, what| {
        faults.push(fault(file, line, what));
    });
    let mut tables = HashMap::new();
    for file in rules.data.iter().filter(|file| file.kind == DataKind::Map) {
        if let Some(lines) = data.get(&file.dest_file) {
            let name = &file.dest_file;
            let table = Table::new(lines, |line, what| faults.push(fault(name, line, what)));
            tables.insert(name.clone(), table);
        }
    }
    Ground {
        slots,
        data,
        searches,
        tables,
        stashes: Mutex::new(stashes),
        geo,
    }
}

/// The place of the first scenario with this one's name and filter, else its own.
fn twin(known: &[Scenario], scenario: &Scenario) -> usize {
    let same = |one: &Scenario| {
        one.name == scenario.name && one.filter.source() == scenario.filter.source()
    };
    known.iter().position(same).unwrap_or(known.len())
}

/// Compiles a scenario; `Err` when it cannot run, the fault is noted.
fn scenario(
    compiler: &mut Compiler<'_>,
    document: &ScenarioDoc,
    numbers: &mut Numbers,
) -> Result<(Scenario, Tests), crate::parse::Unusable> {
    compiler.file.clone_from(&document.file);
    let mut key = |text: &Option<Text>| -> Result<Option<Key>, crate::parse::Unusable> {
        let Some(text) = text.as_ref().filter(|text| !text.text.trim().is_empty()) else {
            return Ok(None);
        };
        let expression = compiler.expression(text, Type::Any)?;
        Ok(Some(Key::new(expression, numbers)))
    };
    let group = key(&document.groupby)?;
    let distinct = key(&document.distinct)?;
    let scenario = Scenario {
        name: document.name.clone(),
        filter: compiler.expression(&document.filter, Type::Bool)?,
        group,
        distinct,
        cancel: compiler.optional(document.cancel_on.as_ref(), Type::Bool)?,
        scope: match &document.scope {
            Some(scope) => compiler.optional(scope.expression.as_ref(), Type::Any)?,
            None => None,
        },
        pours_as: 0,
    };
    let mut priors = Vec::new();
    for prior in &document.bayesian_conditions {
        priors.push((
            compiler.expression(&prior.condition, Type::Bool)?,
            prior.clone(),
        ));
    }
    let tests = Tests {
        condition: compiler.optional(document.condition.as_ref(), Type::Bool)?,
        overflow_filter: compiler.optional(document.overflow_filter.as_ref(), Type::Bool)?,
        priors,
    };
    Ok((scenario, tests))
}

fn spec(document: &ScenarioDoc, tests: Tests, ground: &Arc<Ground>) -> BucketSpec {
    let test = |expression: Expr| -> Arc<dyn QueueTest> {
        Arc::new(Test::new(expression, Arc::clone(ground)))
    };
    let kind = match document.kind {
        ScenarioKind::Leaky => BucketKind::Leaky,
        ScenarioKind::Trigger => BucketKind::Trigger,
        ScenarioKind::Counter => BucketKind::Counter,
        ScenarioKind::Conditional => BucketKind::Conditional,
        ScenarioKind::Bayesian => BucketKind::Bayesian(Bayes {
            prior: document.bayesian_prior,
            threshold: document.bayesian_threshold,
            conditions: tests
                .priors
                .into_iter()
                .map(|(expression, prior)| BayesCondition {
                    test: test(expression),
                    given_evil: prior.given_evil,
                    given_benign: prior.given_benign,
                    guillotine: prior.guillotine,
                })
                .collect(),
        }),
    };
    let label = |name: &str| {
        document
            .labels
            .iter()
            .any(|(key, value)| key == name && value == "true")
    };
    BucketSpec {
        kind,
        capacity: u32::try_from(document.capacity).ok(),
        leakspeed: document.leakspeed,
        duration: document.duration,
        blackhole: Some(document.blackhole).filter(|span| *span > Duration::ZERO),
        cache_size: Some(document.cache_size).filter(|size| *size > 0),
        scope: scope(document),
        condition: tests.condition.map(test),
        overflow_filter: tests.overflow_filter.map(test),
        labels: document.labels.clone(),
        remediation: label("remediation"),
        reprocess: document.reprocess,
        simulated: document.simulated,
        ..BucketSpec::trigger(&document.name, &document.hash)
    }
}

fn scope(document: &ScenarioDoc) -> ScopeRule {
    let Some(scope) = &document.scope else {
        return ScopeRule::Ip;
    };
    let Ok(kind) = scope.kind.parse::<Scope>();
    let has_expression = scope
        .expression
        .as_ref()
        .is_some_and(|text| !text.text.trim().is_empty());
    match kind {
        Scope::Other(name) if name.is_empty() || name == "Undefined" => ScopeRule::Ip,
        kind if has_expression => ScopeRule::Expression(kind),
        Scope::Range => ScopeRule::Range,
        Scope::Ip => ScopeRule::Ip,
        kind => ScopeRule::Expression(kind),
    }
}
