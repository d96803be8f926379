//! The documents that rule files hold, checked for shape but not yet compiled.
//!
//! Expressions and groks stay text here, each with its line, so that compiling can
//! name the place.

use core::time::Duration;

use super::yaml::{Broken, Key, Value, Yaml};

/// A text from a file, with its line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Text {
    /// The line it starts on, from 1.
    pub line: u32,
    /// The text itself.
    pub text: String,
}

/// Which of the two node runs a parser file belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Before scenarios: lines become events.
    Parse,
    /// After a bucket overflowed.
    Postoverflow,
}

/// One document of a parser or postoverflow file.
#[derive(Clone, PartialEq, Debug)]
pub struct ParserDoc {
    /// The file it came from.
    pub file: String,
    /// The stage's folder name, such as `s01-parse`.
    pub stage: String,
    /// The node.
    pub node: Node,
}

/// A parser node; children are nodes too.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Node {
    /// The line the node starts on.
    pub line: u32,
    /// Its name, empty for children.
    pub name: String,
    /// Runs only where this holds.
    pub filter: Option<Text>,
    /// Whether success ends the stage (`onsuccess: next_stage`).
    pub next_stage: bool,
    /// Sub-patterns it adds to the shared namespace, in file order.
    pub pattern_syntax: Vec<(String, Text)>,
    /// Its grok.
    pub grok: Option<Grok>,
    /// Its children, in order.
    pub nodes: Vec<Self>,
    /// What it sets when it succeeds.
    pub statics: Vec<Static>,
    /// What it exempts.
    pub whitelist: Option<Whitelist>,
    /// What it remembers for later lines.
    pub stash: Vec<Stash>,
    /// Data files it needs.
    pub data: Vec<DataFile>,
}

/// Where a grok's pattern comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum GrokSource {
    /// Written in place.
    Pattern(Text),
    /// A name of the pattern library.
    Name(Text),
}

/// A grok of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct Grok {
    /// The pattern.
    pub source: GrokSource,
    /// The field it reads, such as `message` or `Line.Raw`.
    pub apply_on: Option<Text>,
    /// Or the expression whose value it reads.
    pub expression: Option<Text>,
    /// What it sets when it matches.
    pub statics: Vec<Static>,
}

/// Where a static writes.
#[derive(Clone, PartialEq, Debug)]
pub enum StaticTarget {
    /// `evt.Meta.<name>`.
    Meta(String),
    /// `evt.Parsed.<name>`.
    Parsed(String),
    /// `evt.Enriched.<name>`.
    Enriched(String),
    /// A path such as `evt.StrTime`.
    Path(String),
    /// An enrichment function is called with the value.
    Method(String),
}

/// What a static writes.
#[derive(Clone, PartialEq, Debug)]
pub enum StaticValue {
    /// These very bytes.
    Value(String),
    /// What the expression yields.
    Expression(Text),
}

/// One assignment.
#[derive(Clone, PartialEq, Debug)]
pub struct Static {
    /// Its line.
    pub line: u32,
    /// Where to.
    pub target: StaticTarget,
    /// What.
    pub value: StaticValue,
}

/// What is exempt from detection.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Whitelist {
    /// Its line.
    pub line: u32,
    /// Why.
    pub reason: String,
    /// Addresses.
    pub ip: Vec<Text>,
    /// Ranges.
    pub cidr: Vec<Text>,
    /// Expressions, any of which exempts.
    pub expression: Vec<Text>,
}

/// A value remembered for later lines.
#[derive(Clone, PartialEq, Debug)]
pub struct Stash {
    /// The cache's name.
    pub name: String,
    /// Expression for the key.
    pub key: Text,
    /// Expression for the value.
    pub value: Text,
    /// How long it is kept.
    pub ttl: Duration,
    /// How many are kept.
    pub size: u32,
}

/// How a data file is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataKind {
    /// Lines of text.
    Lines,
    /// Lines, each a regular expression.
    Regexps,
    /// JSON lines or a JSON map of patterns.
    Map,
    /// Not text, such as a GeoIP database.
    Other,
}

/// A data file that a document names.
#[derive(Clone, PartialEq, Debug)]
pub struct DataFile {
    /// The line it is named on.
    pub line: u32,
    /// Where it is published; its path is a second name for the file.
    pub source_url: String,
    /// The name by which expressions ask for it.
    pub dest_file: String,
    /// How it is read.
    pub kind: DataKind,
}

/// How a bucket behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScenarioKind {
    /// Overflows on the first event.
    Trigger,
    /// Overflows when it holds more than its capacity.
    Leaky,
    /// Overflows when its time is over.
    Counter,
    /// Overflows when its condition holds.
    Conditional,
    /// Overflows when the odds do.
    Bayesian,
}

/// Whom a scenario's alerts are about.
#[derive(Clone, PartialEq, Debug)]
pub struct ScopeDoc {
    /// The scope's name, such as `Range`.
    pub kind: String,
    /// The expression for its value.
    pub expression: Option<Text>,
}

/// One condition of a bayesian bucket.
#[derive(Clone, PartialEq, Debug)]
pub struct Prior {
    /// The expression.
    pub condition: Text,
    /// How probable it is for an attacker.
    pub given_evil: f64,
    /// How probable it is for others.
    pub given_benign: f64,
    /// Whether once true it stays true.
    pub guillotine: bool,
}

/// One scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct ScenarioDoc {
    /// The file it came from.
    pub file: String,
    /// SHA-256 of that file, lower-case hex.
    pub hash: String,
    /// The document's first line.
    pub line: u32,
    /// Its name.
    pub name: String,
    /// What it is about, for people.
    pub description: String,
    /// Its bucket's kind.
    pub kind: ScenarioKind,
    /// Which events it takes.
    pub filter: Text,
    /// How many tokens its bucket holds; -1 means without end.
    pub capacity: i64,
    /// How long one token takes to leak.
    pub leakspeed: Duration,
    /// How long a counter counts.
    pub duration: Duration,
    /// The expression that tells buckets apart.
    pub groupby: Option<Text>,
    /// Only events with a value not seen before count.
    pub distinct: Option<Text>,
    /// Empties the bucket silently.
    pub cancel_on: Option<Text>,
    /// Must hold when the bucket overflows.
    pub overflow_filter: Option<Text>,
    /// What a conditional bucket waits for.
    pub condition: Option<Text>,
    /// The odds before any event.
    pub bayesian_prior: f64,
    /// The odds that overflow.
    pub bayesian_threshold: f64,
    /// What changes the odds.
    pub bayesian_conditions: Vec<Prior>,
    /// How long the same bucket stays silent after an overflow.
    pub blackhole: Duration,
    /// How many of the last events are kept; 0 means as many as the capacity.
    pub cache_size: u32,
    /// Whether the overflow is fed to the parsers again.
    pub reprocess: bool,
    /// Whom alerts are about.
    pub scope: Option<ScopeDoc>,
    /// Labels, sorted by key; lists joined with a comma.
    pub labels: Vec<(String, String)>,
    /// Data files it needs.
    pub data: Vec<DataFile>,
    /// Whether it was marked as simulated.
    pub simulated: bool,
}

/// Walks one mapping: every key must be asked for, what is left is unknown.
pub(super) struct Fields {
    line: u32,
    pairs: Vec<(Key, Yaml)>,
    asked: Vec<&'static str>,
}

type Read<T> = Result<T, Broken>;

impl Fields {
    pub(super) fn of(yaml: Yaml, what: &str) -> Read<Self> {
        match yaml.value {
            Value::Map(pairs) => Ok(Self {
                line: yaml.line,
                pairs,
                asked: Vec::new(),
            }),
            _ => Err(Broken::new(
                yaml.line,
                format!("{what} is not a mapping"),
                "Write keys with values, such as `name: …`.",
            )),
        }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<Yaml> {
        self.asked.push(name);
        let at = self.pairs.iter().position(|(key, _)| key.name == name)?;
        Some(self.pairs.remove(at).1)
    }

    fn text(&mut self, name: &'static str) -> Read<Option<Text>> {
        match self.take(name) {
            None => Ok(None),
            Some(yaml) if yaml.is_null() => Ok(None),
            Some(yaml) => text_of(yaml, name).map(Some),
        }
    }

    pub(super) fn string(&mut self, name: &'static str) -> Read<String> {
        Ok(self.text(name)?.unwrap_or_default().text)
    }

    fn flag(&mut self, name: &'static str) -> Read<bool> {
        let Some(text) = self.text(name)? else {
            return Ok(false);
        };
        match text.text.as_str() {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            other => Err(Broken::new(
                text.line,
                format!("{name} is {other:?}"),
                "Write true or false.",
            )),
        }
    }

    fn number<T: core::str::FromStr>(&mut self, name: &'static str, default: T) -> Read<T> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        text.text.parse().map_err(|_| {
            Broken::new(
                text.line,
                format!("{name} is {:?}, not a number in range", text.text),
                "Write a number.",
            )
        })
    }

    fn span(&mut self, name: &'static str) -> Read<Duration> {
        let Some(text) = self.text(name)? else {
            return Ok(Duration::ZERO);
        };
        vocab::time::parse_duration(&text.text).ok_or_else(|| {
            Broken::new(
                text.line,
                format!("{name} is {:?}, not a duration", text.text),
                "Write a number with a unit, such as 10s, 0.5s or 5m.",
            )
        })
    }

    pub(super) fn list(&mut self, name: &'static str) -> Read<Vec<Yaml>> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(yaml) if yaml.is_null() => Ok(Vec::new()),
            Some(Yaml {
                value: Value::Seq(items),
                ..
            }) => Ok(items),
            Some(yaml) => Err(Broken::new(
                yaml.line,
                format!("{name} is not a list"),
                "Write items that start with `- `.",
            )),
        }
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Read<Vec<Text>> {
        let items = self.list(name)?;
        items.into_iter().map(|item| text_of(item, name)).collect()
    }

    pub(super) fn into_pairs(self) -> Vec<(Key, Yaml)> {
        self.pairs
    }

    /// Keys that documentation tools read and we do not.
    pub(super) fn ignore(&mut self, names: &[&'static str]) {
        for name in names {
            self.take(name);
        }
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Read<()> {
        let Some((key, _)) = self.pairs.first() else {
            return Ok(());
        };
        let near = self
            .asked
            .iter()
            .min_by_key(|known| distance(known, &key.name));
        let what = match near.filter(|known| distance(known, &key.name) <= 2) {
            Some(known) => format!("unknown key {:?}, did you mean {known:?}", key.name),
            None => format!("unknown key {:?}", key.name),
        };
        Err(Broken::new(key.line, what, "Correct or remove it."))
    }
}

/// Levenshtein distance, for short words.
fn distance(left: &str, right: &str) -> usize {
    if left.len() > 40 || right.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let best = (corner + usize::from(a != b))
                .min(before + 1)
                .min(*slot + 1);
            corner = *slot;
            *slot = best;
            before = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

fn text_of(yaml: Yaml, name: &str) -> Read<Text> {
    match yaml.value {
        Value::Scalar { text, .. } => Ok(Text {
            line: yaml.line,
            text,
        }),
        _ => Err(Broken::new(
            yaml.line,
            format!("{name} is not a single text"),
            "Write one value.",
        )),
    }
}

/// A list of texts, or a single one.
pub(super) fn texts_of(yaml: Yaml, name: &str) -> Read<Vec<Text>> {
    match yaml.value {
        Value::Seq(items) => items.into_iter().map(|item| text_of(item, name)).collect(),
        _ => text_of(yaml, name).map(|text| vec![text]),
    }
}

fn missing(line: u32, what: &str) -> Broken {
    Broken::new(line, format!("{what} is missing"), "Add it.")
}

/// Reads a parser node, children included.
pub(super) fn node(yaml: Yaml) -> Read<Node> {
    let mut fields = Fields::of(yaml, "a parser node")?;
    let next_stage = match fields.text("onsuccess")? {
        None => false,
        Some(text) => match text.text.as_str() {
            "next_stage" => true,
            "" | "continue" => false,
            other => {
                return Err(Broken::new(
                    text.line,
                    format!("onsuccess is {other:?}"),
                    "Write next_stage or leave it out.",
                ));
            }
        },
    };
    let node = Node {
        line: fields.line,
        name: fields.string("name")?,
        filter: fields.text("filter")?,
        next_stage,
        pattern_syntax: patterns(&mut fields)?,
        grok: fields.take("grok").map(grok).transpose()?,
        nodes: fields
            .list("nodes")?
            .into_iter()
            .map(node)
            .collect::<Read<_>>()?,
        statics: statics(&mut fields)?,
        whitelist: fields.take("whitelist").map(whitelist).transpose()?,
        stash: fields
            .list("stash")?
            .into_iter()
            .map(stash)
            .collect::<Read<_>>()?,
        data: data(&mut fields)?,
    };
    fields.ignore(&[
        "description",
        "debug",
        "format",
        "author",
        "references",
        "profiling",
        "stage",
    ]);
    fields.finish()?;
    Ok(node)
}

fn patterns(fields: &mut Fields) -> Read<Vec<(String, Text)>> {
    let Some(yaml) = fields.take("pattern_syntax") else {
        return Ok(Vec::new());
    };
    let map = Fields::of(yaml, "pattern_syntax")?;
    let pairs = map.pairs.into_iter();
    pairs
        .map(|(key, value)| Ok((key.name, text_of(value, "a pattern")?)))
        .collect()
}

fn grok(yaml: Yaml) -> Read<Grok> {
    let mut fields = Fields::of(yaml, "grok")?;
    let line = fields.line;
    let pattern = fields.text("pattern")?;
    let name = fields.text("name")?;
    let source = match (pattern, name) {
        (Some(pattern), _) if !pattern.text.is_empty() => GrokSource::Pattern(pattern),
        (_, Some(name)) => GrokSource::Name(name),
        _ => return Err(missing(line, "grok needs a pattern or a name, and it")),
    };
    let grok = Grok {
        source,
        apply_on: fields.text("apply_on")?,
        expression: fields.text("expression")?,
        statics: statics(&mut fields)?,
    };
    fields.finish()?;
    if grok.apply_on.is_none() && grok.expression.is_none() {
        return Err(missing(line, "grok needs apply_on or expression, and it"));
    }
    Ok(grok)
}

fn statics(fields: &mut Fields) -> Read<Vec<Static>> {
    let items = fields.list("statics")?.into_iter();
    items.map(assignment).collect()
}

fn assignment(yaml: Yaml) -> Read<Static> {
    let mut fields = Fields::of(yaml, "a static")?;
    let line = fields.line;
    let value = fields
        .take("value")
        .map(|yaml| text_of(yaml, "value"))
        .transpose()?;
    let expression = fields.text("expression")?;
    let places = [
        ("method", StaticTarget::Method as fn(String) -> StaticTarget),
        ("target", StaticTarget::Path),
        ("meta", StaticTarget::Meta),
        ("parsed", StaticTarget::Parsed),
        ("enriched", StaticTarget::Enriched),
    ];
    let mut target = None;
    for (name, make) in places {
        if let Some(text) = fields.text(name)? {
            if target.is_some() {
                return Err(Broken::new(
                    text.line,
                    "a static names two places to write to",
                    "Split it in two.",
                ));
            }
            target = Some(make(text.text));
        }
    }
    fields.finish()?;
    let value = match (value, expression) {
        (None, Some(expression)) => StaticValue::Expression(expression),
        (Some(value), _) => StaticValue::Value(value.text),
        (None, None) => return Err(missing(line, "a static's value or expression")),
    };
    let target = target
        .ok_or_else(|| missing(line, "a static's meta, parsed, enriched, target or method"))?;
    Ok(Static {
        line,
        target,
        value,
    })
}

fn whitelist(yaml: Yaml) -> Read<Whitelist> {
    let mut fields = Fields::of(yaml, "whitelist")?;
    let whitelist = Whitelist {
        line: fields.line,
        reason: fields.string("reason")?,
        ip: fields.texts("ip")?,
        cidr: fields.texts("cidr")?,
        expression: fields.texts("expression")?,
    };
    fields.finish()?;
    Ok(whitelist)
}

fn stash(yaml: Yaml) -> Read<Stash> {
    let mut fields = Fields::of(yaml, "stash")?;
    let line = fields.line;
    let stash = Stash {
        name: fields.string("name")?,
        key: fields
            .text("key")?
            .ok_or_else(|| missing(line, "the stash's key"))?,
        value: fields
            .text("value")?
            .ok_or_else(|| missing(line, "the stash's value"))?,
        ttl: fields.span("ttl")?,
        size: fields.number("size", 100)?,
    };
    fields.ignore(&["strategy"]);
    fields.finish()?;
    Ok(stash)
}

fn data(fields: &mut Fields) -> Read<Vec<DataFile>> {
    let items = fields.list("data")?.into_iter();
    items.map(data_file).collect()
}

fn data_file(yaml: Yaml) -> Read<DataFile> {
    let mut fields = Fields::of(yaml, "a data file")?;
    let line = fields.line;
    let kind = fields.text("type")?.unwrap_or_default();
    let kind = match kind.text.as_str() {
        "string" => DataKind::Lines,
        "regexp" | "regex" => DataKind::Regexps,
        "map" => DataKind::Map,
        _ => DataKind::Other,
    };
    let file = DataFile {
        line,
        source_url: fields.string("source_url")?,
        dest_file: fields.string("dest_file")?,
        kind,
    };
    fields.ignore(&["strategy", "size", "ttl", "cache"]);
    fields.finish()?;
    if file.dest_file.is_empty() {
        return Err(missing(line, "the data file's dest_file"));
    }
    Ok(file)
}

/// Reads a scenario document.
pub(super) fn scenario(yaml: Yaml, file: &str, hash: &str) -> Read<ScenarioDoc> {
    let mut fields = Fields::of(yaml, "a scenario")?;
    let line = fields.line;
    let kind = fields
        .text("type")?
        .ok_or_else(|| missing(line, "the scenario's type"))?;
    let scenario = ScenarioDoc {
        file: file.to_owned(),
        hash: hash.to_owned(),
        line,
        kind: scenario_kind(&kind)?,
        name: fields.string("name")?,
        description: fields.string("description")?,
        filter: fields
            .text("filter")?
            .ok_or_else(|| missing(line, "the scenario's filter"))?,
        capacity: fields.number("capacity", 0)?,
        leakspeed: fields.span("leakspeed")?,
        duration: fields.span("duration")?,
        groupby: fields.text("groupby")?,
        distinct: fields.text("distinct")?,
        cancel_on: fields.text("cancel_on")?,
        overflow_filter: fields.text("overflow_filter")?,
        condition: fields.text("condition")?,
        bayesian_prior: fields.number("bayesian_prior", 0.0)?,
        bayesian_threshold: fields.number("bayesian_threshold", 0.0)?,
        bayesian_conditions: fields
            .list("bayesian_conditions")?
            .into_iter()
            .map(prior)
            .collect::<Read<_>>()?,
        blackhole: fields.span("blackhole")?,
        cache_size: fields.number("cache_size", 0)?,
        reprocess: fields.flag("reprocess")?,
        scope: fields.take("scope").map(scope).transpose()?,
        labels: labels(&mut fields)?,
        data: data(&mut fields)?,
        simulated: fields.flag("simulated")?,
    };
    fields.ignore(&["debug", "format", "author", "references", "version", "tags"]);
    fields.finish()?;
    check_scenario(scenario)
}

fn scenario_kind(text: &Text) -> Read<ScenarioKind> {
    Ok(match text.text.as_str() {
        "trigger" => ScenarioKind::Trigger,
        "leaky" => ScenarioKind::Leaky,
        "counter" => ScenarioKind::Counter,
        "conditional" => ScenarioKind::Conditional,
        "bayesian" => ScenarioKind::Bayesian,
        other => {
            return Err(Broken::new(
                text.line,
                format!("the scenario's type is {other:?}"),
                "Write trigger, leaky, counter, conditional or bayesian.",
            ));
        }
    })
}

/// What each kind of bucket needs to work at all.
fn check_scenario(scenario: ScenarioDoc) -> Read<ScenarioDoc> {
    let line = scenario.line;
    if scenario.name.is_empty() {
        return Err(missing(line, "the scenario's name"));
    }
    let leaks = !scenario.leakspeed.is_zero();
    match scenario.kind {
        ScenarioKind::Trigger => {}
        ScenarioKind::Leaky if scenario.capacity <= 0 => {
            return Err(Broken::new(
                line,
                "a leaky bucket without a capacity above 0",
                "Add `capacity:`.",
            ));
        }
        ScenarioKind::Leaky if !leaks => return Err(missing(line, "the leaky bucket's leakspeed")),
        ScenarioKind::Counter if scenario.duration.is_zero() => {
            return Err(missing(line, "the counter's duration"));
        }
        ScenarioKind::Conditional if scenario.condition.is_none() => {
            return Err(missing(line, "the conditional bucket's condition"));
        }
        ScenarioKind::Conditional if !leaks => {
            return Err(missing(line, "the conditional bucket's leakspeed"));
        }
        ScenarioKind::Bayesian if scenario.bayesian_conditions.is_empty() => {
            return Err(missing(line, "the bayesian bucket's conditions"));
        }
        ScenarioKind::Leaky
        | ScenarioKind::Counter
        | ScenarioKind::Conditional
        | ScenarioKind::Bayesian => {}
    }
    Ok(scenario)
}

fn prior(yaml: Yaml) -> Read<Prior> {
    let mut fields = Fields::of(yaml, "a bayesian condition")?;
    let line = fields.line;
    let prior = Prior {
        condition: fields
            .text("condition")?
            .ok_or_else(|| missing(line, "the condition"))?,
        given_evil: fields.number("prob_given_evil", 0.0)?,
        given_benign: fields.number("prob_given_benign", 0.0)?,
        guillotine: fields.flag("guillotine")?,
    };
    fields.finish()?;
    Ok(prior)
}

fn scope(yaml: Yaml) -> Read<ScopeDoc> {
    let mut fields = Fields::of(yaml, "scope")?;
    let scope = ScopeDoc {
        kind: fields.string("type")?,
        expression: fields.text("expression")?,
    };
    fields.finish()?;
    Ok(scope)
}

fn labels(fields: &mut Fields) -> Read<Vec<(String, String)>> {
    let Some(yaml) = fields.take("labels") else {
        return Ok(Vec::new());
    };
    if yaml.is_null() {
        return Ok(Vec::new());
    }
    let pairs = Fields::of(yaml, "labels")?.pairs.into_iter();
    let mut labels = pairs
        .map(|(key, value)| Ok((key.name, label(value)?)))
        .collect::<Read<Vec<_>>>()?;
    labels.sort();
    Ok(labels)
}

fn label(yaml: Yaml) -> Read<String> {
    match yaml.value {
        Value::Scalar { text, .. } => Ok(text),
        Value::Seq(items) => {
            let items = items.into_iter().map(label).collect::<Read<Vec<_>>>()?;
            Ok(items.join(","))
        }
        Value::Map(_) => Err(Broken::new(
            yaml.line,
            "a label is a mapping",
            "Write a text or a list.",
        )),
    }
}
