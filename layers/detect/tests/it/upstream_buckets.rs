//! CrowdSec's own bucket cases (`pkg/leakybucket/testdata`): events in, alerts out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::overflow::Overflow;
use detect::program::after::Settled;
use detect::program::{Line, Options, Program, Scratch};
use detect::rules::{self, Bounds, DataKind, Found, Items, Sources};
use detect::shard::{Limits, Mode, Shards};
use serde_json::Value;
use vocab::{Alert, Timestamp};

use crate::shared::shared;

/// A parser that takes an event apart which was written as a line of JSON.
const PARSER: &str = r"
name: test/json-event
filter: 'true'
onsuccess: next_stage
statics:
  - method: ParseDate
    expression: JsonExtract(evt.Line.Raw, 'MarshaledTime')
  - target: MarshaledTime
    expression: evt.Enriched.MarshaledTime
";

fn parser(events: &[Value]) -> String {
    let mut text = PARSER.to_owned();
    for (map, key) in [
        ("Meta", "meta"),
        ("Parsed", "parsed"),
        ("Enriched", "enriched"),
    ] {
        let mut names: Vec<&String> = events
            .iter()
            .filter_map(|event| event.get(map)?.as_object())
            .flat_map(|fields| fields.keys())
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            text.push_str(&format!(
                "  - {key}: {name}\n    expression: JsonExtract(evt.Line.Raw, '{map}.{name}')\n"
            ));
        }
    }
    text
}

fn found(path: &str, bytes: impl AsRef<[u8]>) -> Found {
    Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(bytes.as_ref()),
    }
}

fn program(case: &Path, events: &[Value]) -> Program {
    let mut sources = Sources::default();
    sources.rules.push(found(
        "parsers/s00-raw/test/json-event.yaml",
        parser(events),
    ));
    for name in ["bucket", "reprocess"] {
        if let Ok(bytes) = std::fs::read(case.join(format!("{name}.yaml"))) {
            sources
                .rules
                .push(found(&format!("scenarios/test/{name}.yaml"), bytes));
        }
    }
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!(set.faults, [], "{}", case.display());
    let mut data = DataSet::default();
    for file in &set.data {
        let path = case.parent().unwrap().join(&file.dest_file);
        data.add(
            &file.dest_file,
            DataKind::Lines,
            std::fs::read(path).unwrap(),
        );
    }
    let (program, faults) = Program::build(&set, &data, &Options { live: false });
    assert_eq!(faults, [], "{}", case.display());
    program
}

fn run(program: &Program, events: &[Value]) -> Vec<Alert> {
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Replay);
    let mut scratch = Scratch::new(program, Seed::new(3));
    let mut raised: Vec<Overflow> = Vec::new();
    let mut last = Timestamp::EPOCH;
    let mut alerts = Vec::new();
    let mut settle = |raised: &mut Vec<Overflow>, scratch: &mut Scratch| {
        for overflow in raised.drain(..) {
            program.settle(
                &shards,
                scratch,
                overflow,
                &[],
                &mut |settled| match settled {
                    Settled::Done(overflow) => alerts.extend(overflow.alerts()),
                    Settled::Waits(..) => panic!("nothing is asked"),
                },
            );
        }
    };
    for event in events {
        let text = event.to_string();
        let kind = event["Line"]["Labels"]["type"].as_str().unwrap();
        let line = Line {
            text: text.as_bytes(),
            labels: &[("type", kind)],
            source: "test.json",
            module: "file",
            received: Timestamp::EPOCH,
            replay: true,
        };
        let mut seen = program.line(&line, &mut scratch);
        last = seen.time;
        shards.apply(
            program.specs(),
            seen.pours,
            &mut seen.occurrence,
            last,
            &mut raised,
        );
        settle(&mut raised, &mut scratch);
    }
    // The originals wait a little for counters to end.
    shards.advance(last.after(Duration::from_secs(5)), &mut raised);
    settle(&mut raised, &mut scratch);
    alerts
}

/// `scenario events_count scope value ip` of each alert, sorted.
fn shown(alerts: &[Alert]) -> Vec<String> {
    let mut shown: Vec<String> = alerts
        .iter()
        .map(|alert| {
            let source = &alert.source;
            let ip = source.ip.map(|ip| ip.to_string()).unwrap_or_default();
            format!(
                "{} {} {} {} {ip}",
                alert.scenario, alert.events_count, source.scope, source.value
            )
        })
        .collect();
    shown.sort_unstable();
    shown
}

fn expected(results: &Value) -> Vec<String> {
    let mut shown = Vec::new();
    for result in results.as_array().into_iter().flatten() {
        let overflow = &result["Alert"];
        let Some(scenario) = overflow["Alert"]["scenario"].as_str() else {
            continue;
        };
        let sources = ["sources", "Sources"]
            .iter()
            .find_map(|key| overflow[*key].as_object());
        for source in sources.into_iter().flat_map(|sources| sources.values()) {
            let text = |key: &str| source[key].as_str().unwrap_or_default();
            shown.push(format!(
                "{scenario} {} {} {} {}",
                overflow["Alert"]["events_count"],
                text("scope"),
                text("value"),
                text("ip")
            ));
        }
    }
    shown.sort_unstable();
    shown
}

#[test]
fn the_originals_bucket_cases_pass() {
    let Some(root) = shared("crowdsec/leakybucket-testdata") else {
        return;
    };
    let mut folders: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort_unstable();
    let (mut passed, mut wrong) = (0, Vec::new());
    for case in folders {
        let Ok(text) = std::fs::read(case.join("test.json")) else {
            continue;
        };
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let test: Value = serde_json::from_slice(&text).unwrap();
        let events = test["lines"].as_array().unwrap();
        let got = shown(&run(&program(&case, events), events));
        let wanted = expected(&test["results"]);
        if got == wanted {
            passed += 1;
        } else {
            wrong.push(format!("{name}:\n  got    {got:?}\n  wanted {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(passed, 21);
}
