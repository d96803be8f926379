//! Rule files that are wrong: each fault is named with its file and line.

use std::sync::Arc;

use detect::data::DataSet;
use detect::program::{Options, Program};
use detect::rules::{self, Bounds, Fault, Found, Items, Sources};

const PARSER: &str = "parsers/s01-parse/me/web.yaml";
const SCENARIO: &str = "scenarios/me/scan.yaml";

fn faults(path: &str, text: &[u8]) -> Vec<Fault> {
    let found = |path: &str, bytes: &[u8]| Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(bytes),
    };
    let sources = Sources {
        rules: vec![found(path, text)],
        patterns: vec![found("patterns/base", b"WORD \\w+\nINT [0-9]+\n")],
    };
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    let (_, compiled) = Program::build(&set, &DataSet::default(), &Options::default());
    set.faults.into_iter().chain(compiled).collect()
}

const GOOD_PARSER: &str = "\
filter: \"evt.Parsed.program == 'web'\"
name: me/web
onsuccess: next_stage
pattern_syntax:
  PAIR: '%{WORD:key}=%{INT:value}'
nodes:
  - grok:
      name: PAIR
      apply_on: message
      statics:
        - meta: key
          expression: evt.Parsed.key
statics:
  - meta: service
    value: http
whitelist:
  reason: mine
  ip: [\"192.0.2.1\"]
  cidr: [\"198.51.100.0/24\"]
";

const GOOD_SCENARIO: &str = "\
type: leaky
name: me/scan
description: many
filter: evt.Meta.service == 'http'
groupby: evt.Meta.source_ip
distinct: evt.Meta.http_path
capacity: 5
leakspeed: 10s
blackhole: 1m
labels:
  remediation: true
";

#[test]
fn what_is_right_has_no_fault() {
    assert_eq!(faults(PARSER, GOOD_PARSER.as_bytes()), []);
    assert_eq!(faults(SCENARIO, GOOD_SCENARIO.as_bytes()), []);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_wrong_is_named_with_file_and_line() {
    for (path, good, from, to, line, what) in [
        (
            PARSER,
            GOOD_PARSER,
            "onsuccess",
            "onsucces",
            3,
            "did you mean \"onsuccess\"",
        ),
        (PARSER, GOOD_PARSER, "next_stage", "next", 3, "onsuccess"),
        (
            PARSER,
            GOOD_PARSER,
            "name: PAIR",
            "name: PEAR",
            8,
            "no pattern is named PEAR",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "%{INT:value}",
            "%{INT:value}(",
            8,
            "compile",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "apply_on: message",
            "aply_on: message",
            9,
            "aply_on",
        ),
        (PARSER, GOOD_PARSER, "== 'web'", "== ", 1, "expression"),
        (
            PARSER,
            GOOD_PARSER,
            "evt.Parsed.program",
            "evt.Parst.program",
            1,
            "Parst",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "evt.Parsed.key",
            "evt.Parsed.key +",
            12,
            "expression",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "192.0.2.1",
            "192.0.2.256",
            18,
            "192.0.2.256",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "198.51.100.0/24",
            "198.51.100.0/33",
            19,
            "198.51.100.0/33",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "    value: http",
            "    method: X",
            14,
            "two places",
        ),
        (
            PARSER,
            GOOD_PARSER,
            "whitelist:\n  reason",
            "whitelist:\n\treason",
            17,
            "YAML",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "type: leaky",
            "type: leeky",
            1,
            "leeky",
        ),
        (SCENARIO, GOOD_SCENARIO, "type: leaky\n", "", 1, "type"),
        (SCENARIO, GOOD_SCENARIO, "name: me/scan\n", "", 1, "name"),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "capacity: 5",
            "capacity: five",
            7,
            "five",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "leakspeed: 10s",
            "leakspeed: 10",
            8,
            "duration",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "leakspeed: 10s\n",
            "",
            1,
            "leakspeed",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "capacity: 5",
            "capacity: 5\ncapacity: 6",
            8,
            "second time",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "blackhole",
            "blackhol",
            9,
            "did you mean \"blackhole\"",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "== 'http'",
            "== 5 +",
            4,
            "expression",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "evt.Meta.service == 'http'",
            "evt.Meta.service",
            4,
            "true or false",
        ),
        (
            SCENARIO,
            GOOD_SCENARIO,
            "evt.Meta.source_ip",
            "evt.Metta.source_ip",
            5,
            "Metta",
        ),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from:?} is in the text");
        let found = faults(path, text.as_bytes());
        let fits = |fault: &Fault| {
            fault.file == path && fault.line == line && fault.to_string().contains(what)
        };
        assert!(
            found.iter().any(fits),
            "{from:?} -> {to:?}, want line {line} with {what:?}: {found:?}"
        );
    }
}

#[test]
fn a_broken_file_leaves_the_others_alone() {
    let found = |path: &str, text: &str| Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(text.as_bytes()),
    };
    let sources = Sources {
        rules: vec![
            found(SCENARIO, GOOD_SCENARIO),
            found("scenarios/me/other.yaml", "type: leaky\nnope: 1\n"),
        ],
        patterns: Vec::new(),
    };
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!((set.scenarios.len(), set.faults.len()), (1, 1));
}

#[test]
fn truncated_and_mutated_files_never_panic() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (path, good) in [(PARSER, GOOD_PARSER), (SCENARIO, GOOD_SCENARIO)] {
        for end in 0..good.len() {
            faults(path, &good.as_bytes()[..end]);
        }
        for _ in 0..1_500 {
            let mut bytes = good.as_bytes().to_vec();
            for _ in 0..=next() % 3 {
                let at = usize::try_from(next()).unwrap() % bytes.len();
                bytes[at] = next().to_le_bytes()[0];
            }
            faults(path, &bytes);
        }
    }
}
