//! CrowdSec's own parser cases (`pkg/parser/testdata`): events in, events out.

use std::path::Path;
use std::sync::Arc;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::event::Space;
use detect::geo::write::{asn, city, database};
use detect::outside::Query;
use detect::parse::Parsed;
use detect::program::{Line, Options, Program, Scratch};
use detect::rules::yaml::{Value, Yaml, documents};
use detect::rules::{self, Bounds, DataKind, Found, Items, Sources};
use vocab::Timestamp;

use crate::shared::shared;

/// The maps of an event, and how statics write them.
const MAPS: [(&str, &str, Space); 3] = [
    ("Meta", "meta", Space::Meta),
    ("Parsed", "parsed", Space::Parsed),
    ("Enriched", "enriched", Space::Enriched),
];

fn yaml(path: &Path) -> Yaml {
    // Templates are not YAML yet.
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("{{.TestDirectory}}/", "");
    documents(text.as_bytes(), &Bounds::default())
        .unwrap()
        .remove(0)
}

fn get<'y>(yaml: &'y Yaml, key: &str) -> Option<&'y Yaml> {
    let Value::Map(pairs) = &yaml.value else {
        return None;
    };
    pairs
        .iter()
        .find(|(name, _)| name.name == key)
        .map(|(_, value)| value)
}

fn list(yaml: Option<&Yaml>) -> &[Yaml] {
    match yaml.map(|yaml| &yaml.value) {
        Some(Value::Seq(items)) => items,
        _ => &[],
    }
}

fn text(yaml: &Yaml) -> String {
    match &yaml.value {
        Value::Scalar { text, .. } if !yaml.is_null() => text.clone(),
        _ => String::new(),
    }
}

/// Names and values of one of an event's maps.
fn entries(event: &Yaml, map: &str) -> Vec<(String, String)> {
    match get(event, map).map(|map| &map.value) {
        Some(Value::Map(pairs)) => pairs
            .iter()
            .map(|(key, value)| (key.name.clone(), text(value)))
            .collect(),
        _ => Vec::new(),
    }
}

/// A parser before all others that gives the event what the case gives it.
fn given(event: &Yaml) -> String {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut rule =
        "name: test/given\nfilter: 'true'\nonsuccess: next_stage\nstatics:\n  - meta: given\n    value: given\n".to_owned();
    for (map, key, _) in MAPS {
        for (name, value) in entries(event, map) {
            let (name, value) = (quote(&name), quote(&value));
            rule.push_str(&format!("  - {key}: {name}\n    value: {value}\n"));
        }
    }
    if let Some(time) = get(event, "StrTime").map(text) {
        let time = quote(&time);
        rule.push_str(&format!("  - target: evt.StrTime\n    value: {time}\n"));
    }
    rule
}

fn found(path: &str, bytes: &[u8]) -> Found {
    Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(bytes),
    }
}

fn program(case: &Path, event: &Yaml) -> Program {
    let mut sources = Sources::default();
    let given = given(event);
    sources
        .rules
        .push(found("parsers/a00-given/test/given.yaml", given.as_bytes()));
    for (number, parser) in list(Some(&yaml(&case.join("parsers.yaml"))))
        .iter()
        .enumerate()
    {
        let file = text(get(parser, "filename").unwrap());
        let stage = text(get(parser, "stage").unwrap());
        let name = file.rsplit('/').next().unwrap();
        let bytes = std::fs::read(case.join(name)).unwrap();
        let path = format!("parsers/{stage}/test/{number}.yaml");
        sources.rules.push(found(&path, &bytes));
    }
    let folder = shared("crowdsec/patterns").into_iter();
    for file in folder.flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        sources
            .patterns
            .push(found(&path.display().to_string(), &bytes));
    }
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!(set.faults, [], "{}", case.display());
    let mut data = DataSet::default();
    for file in &set.data {
        let bytes = std::fs::read(case.parent().unwrap().join(&file.dest_file)).unwrap();
        data.add(&file.dest_file, DataKind::Lines, bytes);
    }
    let range = "1.0.0.0/24".parse().unwrap();
    let cities = database("City", &[(range, city("AU", false, -27.0, 133.0))]);
    let systems = database("ASN", &[(range, asn(15_169, "Google Inc."))]);
    data.add_database("GeoLite2-City.mmdb", cities.into());
    data.add_database("GeoLite2-ASN.mmdb", systems.into());
    let (program, faults) = Program::build(&set, &data, &Options { live: false });
    assert_eq!(faults, [], "{}", case.display());
    program
}

/// What differs from what the case expects of an event.
fn differences(scratch: &Scratch, program: &Program, parsed: Parsed, wanted: &Yaml) -> Vec<String> {
    let mut wrong = Vec::new();
    let event = scratch.event();
    for (map, _, space) in MAPS {
        for (name, value) in entries(wanted, map) {
            let mut all = event.entries(program.slots(), space);
            let got = all.find(|(found, _)| *found == name.as_bytes());
            let got = String::from_utf8_lossy(got.map_or(b"", |(_, value)| value));
            if got != value {
                wrong.push(format!("{map}.{name} is {got:?}, not {value:?}"));
            }
        }
    }
    let mut flag = |name: &str, got: bool| {
        if let Some(wanted) = get(wanted, name)
            && text(wanted) != got.to_string()
        {
            wrong.push(format!("{name} is {got}"));
        }
    };
    flag("Process", parsed != Parsed::Dropped);
    flag("Whitelisted", event.whitelisted);
    wrong
}

fn run(case: &Path, event: &Yaml, before: &[Yaml], wanted: &Yaml) -> Vec<String> {
    let program = program(case, event);
    let mut scratch = Scratch::new(&program, Seed::new(3));
    scratch.tell(
        Query::Reverse("1.1.1.1".parse().unwrap()),
        vec!["one.one.one.one.".into()],
    );
    let mut parsed = Parsed::Dropped;
    // Events before it may have left something in a stash.
    for event in before.iter().chain([event]) {
        let line = get(event, "Line");
        let raw = line
            .and_then(|line| get(line, "Raw"))
            .map(text)
            .unwrap_or_default();
        let labels = line.map(|line| entries(line, "Labels")).unwrap_or_default();
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let line = Line {
            text: raw.as_bytes(),
            labels: &labels,
            source: "test",
            module: "file",
            received: Timestamp::from_unix_seconds(1_790_000_000),
            replay: true,
        };
        parsed = program.line(&line, &mut scratch).parsed;
    }
    differences(&scratch, &program, parsed, wanted)
}

#[test]
fn the_originals_parser_cases_pass() {
    let Some(root) = shared("crowdsec/parser-testdata") else {
        return;
    };
    let mut cases: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort_unstable();
    let (mut passed, mut wrong) = (0, Vec::new());
    for case in cases {
        let test = yaml(&case.join("test.yaml"));
        let lines = list(get(&test, "lines"));
        let results = list(get(&test, "results"));
        assert_eq!(lines.len(), results.len(), "{}", case.display());
        let mut differs = Vec::new();
        for (at, (event, wanted)) in lines.iter().zip(results).enumerate() {
            let found = run(&case, event, &lines[..at], wanted);
            differs.extend(
                found
                    .into_iter()
                    .map(|what| format!("  event {at}: {what}")),
            );
        }
        if differs.is_empty() {
            passed += 1;
        } else {
            wrong.push(format!("{}:\n{}", case.display(), differs.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(passed, 14);
}
