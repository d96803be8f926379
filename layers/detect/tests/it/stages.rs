//! How lines move through stages, and what of them is counted in a replay.

use std::sync::Arc;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::event::{Event, Slots};
use detect::explain::Witness;
use detect::grok::Shared;
use detect::program::{Line, Options, Program, Scratch};
use detect::replay::{self, Origin};
use detect::rules::{self, Bounds, Found, Items, RuleSet, Sources};
use vocab::Timestamp;

fn set(files: &[(&str, &str)]) -> RuleSet {
    let found = |path: &str, text: &str| Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(text.as_bytes()),
    };
    let sources = Sources {
        rules: files.iter().map(|(path, text)| found(path, text)).collect(),
        patterns: vec![found("patterns/base", "WORD \\w+\nADDR [0-9a-f.:]+\n")],
    };
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!(set.faults, []);
    set
}

fn program(files: &[(&str, &str)]) -> Program {
    let options = Options { live: false };
    let (program, faults) = Program::build(&set(files), &DataSet::default(), &options);
    assert_eq!(faults, []);
    program
}

/// `stage/node+` or `stage/node-` for each leading node that a line reached.
#[derive(Debug, Default)]
struct Path(Vec<String>, String);

impl Witness for Path {
    fn stage(&mut self, name: &str) {
        self.1 = name.to_owned();
    }

    fn before(&mut self, _: &Event, _: &Slots) {}

    fn after(&mut self, node: &str, ok: bool, _: &Event, _: &Slots) {
        let sign = if ok { '+' } else { '-' };
        self.0.push(format!("{}/{node}{sign}", self.1));
    }

    fn error(&mut self, _: &expr::EvalError) {}
}

fn path(program: &Program) -> String {
    let line = Line {
        text: b"x",
        labels: &[("type", "test")],
        source: "x.log",
        module: "file",
        received: Timestamp::EPOCH,
        replay: true,
    };
    let mut path = Path::default();
    let mut scratch = Scratch::new(program, Seed::new(1));
    let _seen = program.witnessed(&line, &mut scratch, &mut path);
    path.0.join(" ")
}

#[test]
fn a_child_moves_the_event_on_and_a_parent_moves_it_further() {
    let second = "name: b\nfilter: 'true'\nonsuccess: next_stage\n";
    let third = "name: c\nfilter: 'true'\n---\nname: d\nfilter: 'true'\n";
    let with = |first: &str| {
        path(&program(&[
            ("parsers/s00-raw/t/a.yaml", first),
            ("parsers/s01-parse/t/b.yaml", second),
            ("parsers/s02-enrich/t/c.yaml", third),
        ]))
    };
    let end = "s01-parse/b+ s02-enrich/c+ s02-enrich/d+";
    let child = "nodes:\n- filter: 'true'\n  onsuccess: next_stage\n";
    for (first, wanted) in [
        // Without a move the line ends here.
        ("name: a\nfilter: 'true'\n", "s00-raw/a+".to_owned()),
        (
            "name: a\nfilter: 'false'\nonsuccess: next_stage\n",
            "s00-raw/a-".to_owned(),
        ),
        (
            "name: a\nfilter: 'true'\nonsuccess: next_stage\n",
            format!("s00-raw/a+ {end}"),
        ),
        // A child's move counts; nodes behind it in the stage are not asked.
        (
            &format!("name: a\n{child}---\nname: never\nfilter: 'true'\n"),
            format!("s00-raw/a+ {end}"),
        ),
        // Both move it: a stage is passed over.
        (
            &format!("name: a\nonsuccess: next_stage\n{child}"),
            "s00-raw/a+ s02-enrich/c+ s02-enrich/d+".to_owned(),
        ),
    ] {
        assert_eq!(with(first), wanted, "{first}");
    }
}

const READ: &str = "\
name: t/read
filter: \"evt.Line.Labels.type == 'test'\"
onsuccess: next_stage
grok:
  pattern: '^%{ADDR:ip} ?%{DATE:date}$'
  apply_on: Line.Raw
pattern_syntax:
  DATE: .*
statics:
- meta: source_ip
  expression: evt.Parsed.ip
- target: evt.StrTime
  expression: evt.Parsed.date
";

const DATED: &str = "\
name: t/dated
filter: evt.StrTime != ''
statics:
- method: ParseDate
  expression: evt.StrTime
---
name: t/rest
filter: 'true'
";

fn scenario(kind: &str, more: &str) -> String {
    format!(
        "type: {kind}\nname: t/count\ndescription: x\nfilter: evt.Meta.source_ip != ''\n\
         groupby: evt.Meta.source_ip\nlabels:\n  remediation: true\n{more}"
    )
}

fn alerts(scenarios: &str, lines: &[&str]) -> Vec<String> {
    replayed(scenarios, lines).0
}

/// Source and count of each alert, and how many events had no date.
fn replayed(scenarios: &str, lines: &[&str]) -> (Vec<String>, u64) {
    let program = program(&[
        ("parsers/s00-raw/t/read.yaml", READ),
        ("parsers/s02-enrich/t/dated.yaml", DATED),
        ("scenarios/t/count.yaml", scenarios),
    ]);
    let origins = [Origin::of_type("x.log", "test")];
    let mut found = Vec::new();
    let options = replay::Options {
        window: 0,
        ..replay::Options::new(Timestamp::from_unix_seconds(1_800_000_000))
    };
    let lines = lines.iter().map(|line| (0, *line));
    let summary = replay::replay(&program, &origins, lines, &options, |alert| {
        found.push(format!("{} {}", alert.source.value, alert.events_count));
    });
    (found, summary.undated)
}

#[test]
fn what_has_no_date_fills_no_bucket_in_a_replay_but_triggers() {
    let leaky = scenario("leaky", "capacity: 1\nleakspeed: 1h\n");
    let trigger = scenario("trigger", "");
    let undated = ["192.0.2.1", "192.0.2.1", "192.0.2.1"];
    let dated = ["192.0.2.1 1684329817.579:", "192.0.2.1 1684329818"];
    assert_eq!(replayed(&leaky, &undated), (Vec::new(), 3));
    let (found, without) = replayed(&trigger, &undated);
    assert_eq!((found.len(), without), (3, 0));
    assert_eq!(
        replayed(&leaky, &dated),
        (vec!["192.0.2.1 2".to_owned()], 0)
    );
}

#[test]
fn scenarios_of_one_name_and_filter_share_their_buckets() {
    let leaky = scenario("leaky", "capacity: 3\nleakspeed: 1h\n");
    let other = leaky.replace("t/count", "t/other");
    let lines = ["192.0.2.1 1684329817", "192.0.2.1 1684329818"];
    assert_eq!(alerts(&leaky, &lines), [""; 0]);
    assert_eq!(alerts(&format!("{leaky}---\n{other}"), &lines), [""; 0]);
    // Each counts every event, into the same bucket.
    assert_eq!(
        alerts(&format!("{leaky}---\n{leaky}"), &lines),
        ["192.0.2.1 4"]
    );
}

#[test]
fn a_replay_names_sources_as_the_log_spells_them() {
    let trigger = scenario("trigger", "");
    let lines = [
        "::ffff:192.0.2.1",
        "192.0.2.1",
        "2001:DB8::1",
        "not.an.address",
    ];
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_lowercase()).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let found = alerts(&trigger, &lines);
    assert_eq!(
        found,
        ["::ffff:192.0.2.1 1", "192.0.2.1 1", "2001:db8::1 1"]
    );
}

#[test]
fn programs_that_share_groks_are_as_those_that_do_not() {
    let shared = Arc::default();
    let build = |pattern: &str, shared: Option<&Arc<Shared>>| {
        let text = READ.replace("DATE: .*", &format!("DATE: {pattern}"));
        let set = set(&[("parsers/s00-raw/t/read.yaml", &text)]);
        let options = Options { live: false };
        Program::build_sharing(&set, &DataSet::default(), &options, shared).0
    };
    // The same grok over another definition of a name is another grok.
    for pattern in [".*", "x", ".*"] {
        let (one, other) = (build(pattern, Some(&shared)), build(pattern, None));
        for text in ["192.0.2.1 x", "192.0.2.1 y", "192.0.2.1"] {
            let line = Line {
                text: text.as_bytes(),
                labels: &[("type", "test")],
                source: "x.log",
                module: "file",
                received: Timestamp::EPOCH,
                replay: true,
            };
            let parsed = |program: &Program| {
                let mut scratch = Scratch::new(program, Seed::new(1));
                program.line(&line, &mut scratch).parsed
            };
            assert_eq!(parsed(&one), parsed(&other), "{pattern} {text}");
        }
    }
}
