//! Our own grok library beside CrowdSec's: on the log lines of the hub's cases, every
//! pattern that both name finds the same, but for differences that are meant.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use detect::data::DataSet;
use detect::grok::{Grok, Library, Room};
use detect::program::{Options, Program};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Items};

use crate::shared::shared;
use crate::whole::{names, run_all, stage};

/// Patterns that are meant to find something else, on how many lines, and why.
const MEANT: &[(&str, usize, &str)] = &[
    (
        "ANSIC",
        3,
        "theirs wants a quote behind the year, which no such date has",
    ),
    ("EMAILADDRESS", 61, RANGE),
    ("EMAILLOCALPART", 323, RANGE),
    ("HOSTPORT", 1, MAPPED),
    ("IP", 30, MAPPED),
    ("IPV6", 31, MAPPED),
    (
        "LOGLEVEL",
        801,
        "theirs finds 'er', 'cri' and 'war' within words",
    ),
    (
        "MONTH",
        286,
        "theirs finds 'Ma' and 'Mr', which are no months",
    ),
    ("MONTHNUM", 578, "theirs takes one digit of 10, 11 and 12"),
    ("URI", 2, "an ampersand may stand in a path"),
];

const RANGE: &str = "theirs has a range from + to = by mistake, and so takes , / ; and < in";
const MAPPED: &str = "theirs ends ::ffff:192.0.2.1 before the first point";

fn ours() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/patterns")
}

/// A library and its names.
fn library(folder: &Path) -> (Library, BTreeSet<String>) {
    let place = Place {
        patterns: vec![folder.to_owned()],
        ..Place::new(shared("hub").unwrap())
    };
    let sources = rules::Sources {
        rules: Vec::new(),
        ..place.sources().unwrap()
    };
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!(set.faults, []);
    let mut library = Library::default();
    let mut names = BTreeSet::new();
    for (name, pattern) in set.patterns {
        library.add(&name, &pattern);
        names.insert(name);
    }
    (library, names)
}

/// The lines of all cases' logs, each once.
fn lines() -> Vec<Vec<u8>> {
    let tests = shared("hub").unwrap().join(".tests");
    let mut lines = BTreeSet::new();
    for name in names(&tests) {
        for entry in std::fs::read_dir(tests.join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file()
                && path
                    .extension()
                    .is_none_or(|end| end != "assert" && end != "yaml")
            {
                let bytes = std::fs::read(path).unwrap();
                lines.extend(bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            }
        }
    }
    lines.into_iter().collect()
}

/// What a pattern finds in a line: its fields in their order, or nothing.
fn found(grok: &Grok, room: &mut Room, line: &[u8]) -> Fields {
    let names: Vec<String> = grok.fields().map(str::to_owned).collect();
    let mut found = Vec::new();
    let matched = grok.run(line, room, |at, value| {
        found.push((names[at].clone(), value.to_vec()));
    });
    found.sort();
    matched.then_some(found)
}

#[test]
fn our_patterns_find_on_real_lines_what_crowdsecs_find() {
    let Some(theirs) = shared("crowdsec/patterns") else {
        return;
    };
    let ((theirs, their_names), (ours, our_names)) = (library(&theirs), library(&ours()));
    let both: Vec<&String> = our_names.intersection(&their_names).collect();
    let lines = lines();
    let next = AtomicUsize::new(0);
    let different = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = both.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let whole = format!("%{{{name}:whole}}");
                    let (one, other) = (
                        theirs.compile(&whole).unwrap(),
                        ours.compile(&whole).unwrap(),
                    );
                    let (mut room, mut other_room) = (one.room(), other.room());
                    let mut differing = lines.iter().filter_map(|line| {
                        let theirs = found(&one, &mut room, line);
                        let ours = found(&other, &mut other_room, line);
                        (theirs != ours).then_some((line, theirs, ours))
                    });
                    if let Some(first) = differing.next() {
                        let count = 1 + differing.count();
                        different
                            .lock()
                            .unwrap()
                            .push(((*name).clone(), count, show(first)));
                    }
                }
            });
        }
    });
    let mut different = different.into_inner().unwrap();
    different.sort();
    println!("{} patterns on {} lines", both.len(), lines.len());
    let mut wrong = String::new();
    for (name, count, first) in &different {
        match MEANT.iter().find(|(meant, ..)| meant == name) {
            Some((_, lines, why)) if lines == count => {
                println!("{name} differs on {count} lines: {why}");
            }
            _ => wrong += &format!("{name} differs on {count} lines: {first}\n"),
        }
    }
    for (name, ..) in MEANT {
        if !different.iter().any(|(known, ..)| known == name) {
            wrong += &format!("{name} differs nowhere: take it off the list\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        both.len() > 100 && lines.len() > 2_900,
        "{} {}",
        both.len(),
        lines.len()
    );
}

type Fields = Option<Vec<(String, Vec<u8>)>>;

fn show((line, theirs, ours): (&Vec<u8>, Fields, Fields)) -> String {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.chars().take(300).collect::<String>()
    };
    let fields = |fields: &Fields| match fields {
        None => "nothing".to_owned(),
        Some(fields) => {
            let shown = fields
                .iter()
                .map(|(name, value)| format!("{name}={:?}", text(value)));
            shown.collect::<Vec<_>>().join(" ")
        }
    };
    format!(
        "{}\n  theirs {}\n  ours   {}",
        text(line),
        fields(&theirs),
        fields(&ours)
    )
}

#[test]
fn every_built_in_name_is_among_ours() {
    let Some(theirs) = shared("crowdsec/patterns") else {
        return;
    };
    let text = std::fs::read_to_string(theirs.join("base")).unwrap();
    let (_, names) = library(&ours());
    let built_in: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(built_in.len(), 88);
    for name in built_in {
        assert!(names.contains(name), "{name} is missing");
    }
}

#[test]
fn every_pattern_that_a_parser_of_the_hub_names_is_among_ours() {
    let Some(hub) = shared("hub") else { return };
    let place = Place {
        patterns: vec![ours()],
        ..Place::new(hub)
    };
    let set = rules::load(
        &place.sources().unwrap(),
        &Items::default(),
        &Bounds::default(),
    );
    let parsers_alone = rules::RuleSet {
        scenarios: Vec::new(),
        data: Vec::new(),
        ..set
    };
    let options = Options { live: false };
    let (program, faults) = Program::build(&parsers_alone, &DataSet::default(), &options);
    assert_eq!(faults, []);
    assert!(program.parsers() >= 160, "{}", program.parsers());
}

#[test]
fn the_hubs_cases_pass_with_our_patterns_alone() {
    let Some(mut stage) = stage() else { return };
    stage.place.patterns = vec![ours()];
    let names = names(&stage.place.root.join(".tests"));
    let verdicts = run_all(&stage.place, &names);
    let mut failed: Vec<String> = Vec::new();
    for (name, verdict) in &verdicts {
        if !verdict.passed() {
            failed.push(crate::whole::told(name, verdict));
        }
    }
    println!("{} of {} pass", names.len() - failed.len(), names.len());
    assert!(
        failed.is_empty(),
        "{} failed\n{}",
        failed.len(),
        failed.concat()
    );
}
