//! One request, seen twice: in nginx's log by the hub's `nginx-logs` and `http-logs`, and
//! live by the edge. The fields that rules read are the same, except where [`KNOWN`] says.
//!
//! The same bytes go to nginx (its own combined format) and to the edge, with the same
//! application behind both. All of `evt.Parsed`, `evt.Meta` and `evt.Enriched` are
//! compared, and which scenarios of the hub the event is poured into.

mod ask;
mod known;
mod stand;

use std::collections::BTreeMap;

use detect::bucket::Seed;
use detect::event::Space;
use detect::parse::Parsed;
use detect::program::{DIFFERENCES, Line, Options, Program, Scratch};
use detect::rules::{self, Bounds, Items, disk::Place};
use vocab::Timestamp;

use known::{KNOWN, LIVE};
use stand::{Edge, Nginx, application};

use crate::shared::shared;

const SEED: Seed = Seed::new(7);

/// Why a test cannot run here; where CI demands all tests, that is a failure.
fn cannot_run(why: &str) {
    assert!(
        std::env::var_os("RINGWALL_TEST_ALL").is_none_or(|value| value != "1"),
        "this test must run here and cannot: {why}"
    );
    println!("NOT RUN: {why}");
}

/// The hub's collection for nginx, compiled.
fn hub() -> Option<Program> {
    let place = Place {
        patterns: vec![shared("crowdsec/patterns")?],
        data: vec![shared("crowdsec/sec-lists")?],
        ..Place::new(shared("hub")?)
    };
    let items = Items {
        names: vec!["crowdsecurity/nginx".to_owned()],
        exact: false,
    };
    let set = rules::load(&place.sources().unwrap(), &items, &Bounds::default());
    let data = place.data(&set.data).unwrap();
    let (program, faults) = Program::build(&set, &data, &Options { live: false });
    assert_eq!((set.faults, faults), (Vec::new(), Vec::new()));
    Some(program)
}

type Fields = BTreeMap<String, String>;

/// An event as rules see it, and the scenarios that count it.
fn event(program: &Program, scratch: &Scratch, scenarios: &[String]) -> Fields {
    let mut all = Fields::new();
    for (space, name) in [
        (Space::Parsed, "Parsed"),
        (Space::Meta, "Meta"),
        (Space::Enriched, "Enriched"),
    ] {
        for (key, value) in scratch.event().entries(program.slots(), space) {
            let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
            all.insert(format!("evt.{name}.{key}"), value.into_owned());
        }
    }
    for (name, _) in DIFFERENCES {
        all.remove(*name);
    }
    all.insert("scenarios".to_owned(), scenarios.join(" "));
    all
}

fn poured(program: &Program, pours: &[detect::bucket::Pour]) -> Vec<String> {
    let name = |pour: &detect::bucket::Pour| {
        let spec = program.specs().get(pour.scenario.0 as usize);
        spec.map_or_else(String::new, |spec| spec.name.to_string())
    };
    let mut names: Vec<String> = pours.iter().map(name).collect();
    names.sort();
    names
}

fn of_line(program: &Program, scratch: &mut Scratch, text: &str) -> Fields {
    let line = Line {
        text: text.as_bytes(),
        labels: &[("type", "nginx")],
        source: "access.log",
        module: "file",
        received: Timestamp::from_unix_seconds(1_795_359_845),
        replay: true,
    };
    let seen = program.line(&line, scratch);
    assert_eq!(seen.parsed, Parsed::Event, "{text}");
    let scenarios = poured(program, seen.pours);
    event(program, scratch, &scenarios)
}

/// Where two events part: field, in the log, live.
fn parts(log: &Fields, live: &Fields) -> Vec<(String, String, String)> {
    let names: std::collections::BTreeSet<&String> = log.keys().chain(live.keys()).collect();
    let value = |all: &Fields, name: &String| all.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|name| (name.clone(), value(log, name), value(live, name)))
        .filter(|(_, log, live)| log != live)
        .collect()
}

#[test]
fn a_request_has_the_fields_that_the_hub_reads_from_nginxs_log() {
    let Some(program) = hub() else { return };
    let upstream = application();
    let Some(mut nginx) = Nginx::before(upstream) else {
        cannot_run("nginx is missing; 'cargo xtask test' installs it");
        return;
    };
    let edge = Edge::before(upstream);
    let mut scratch = Scratch::new(&program, SEED);
    let (mut equal, mut found) = (0, Vec::new());
    let mut alone = BTreeMap::new();
    let asks = ask::all();
    for ask in &asks {
        let lines = nginx.told(ask);
        let live = edge.told(ask);
        let [line] = &lines[..] else {
            found.push((ask.name.clone(), format!("nginx logs {lines:?}")));
            continue;
        };
        let log = of_line(&program, &mut scratch, line);
        let [http] = &live[..] else {
            found.push((ask.name.clone(), "refused by us".to_owned()));
            continue;
        };
        let scenarios = poured(&program, program.observe(http, &mut scratch).pours);
        let live = event(&program, &scratch, &scenarios);
        let parts = parts(&log, &live);
        equal += usize::from(parts.is_empty());
        alone.insert(ask.name.clone(), live);
        for (field, log, live) in parts {
            found.push((
                ask.name.clone(),
                format!("{field}: log {log:?}, live {live:?}"),
            ));
        }
    }
    println!("{equal} of {} requests are equal in all fields", asks.len());
    settle(&found);
    seen_whole(&alone);
    assert!(
        asks.len() >= 150 && equal >= 150,
        "{equal} of {}",
        asks.len()
    );
}

/// Where nginx's log tells nothing of a request, rules see live what was asked for.
fn seen_whole(live: &BTreeMap<String, Fields>) {
    let all = KNOWN.iter().filter(|one| one.what.is_empty());
    for one in all {
        let listed = LIVE.iter().any(|live| live.ask == one.ask);
        assert!(listed, "what is seen live of '{}' is not listed", one.ask);
    }
    let mut wrong = Vec::new();
    for one in LIVE {
        let fields = live.get(one.ask).cloned().unwrap_or_default();
        let of = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let seen = ["evt.Parsed.request", "evt.Parsed.status", "scenarios"].map(of);
        if seen != one.seen {
            wrong.push(format!("{}: {seen:?}", one.ask));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every difference is on the list, and all on the list are differences.
fn settle(found: &[(String, String)]) {
    let listed = |(name, how): &(String, String)| {
        let fits = |one: &&known::Known| one.ask == name && how.starts_with(one.what);
        KNOWN.iter().any(|one| fits(&one))
    };
    let unknown: Vec<String> = found
        .iter()
        .filter(|one| !listed(one))
        .map(|(name, how)| format!("{name}: {how}"))
        .collect();
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    for one in KNOWN {
        let there = |(name, how): &(String, String)| one.ask == name && how.starts_with(one.what);
        assert!(
            found.iter().any(there),
            "'{}' {} is equal now ({}): take it off the list",
            one.ask,
            one.what,
            one.why
        );
    }
}
