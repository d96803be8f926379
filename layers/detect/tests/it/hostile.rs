//! Rules and log lines that somebody wrote to break us: what they cost is bounded, what is
//! refused is named, and nothing crashes.

use core::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::parse::Parsed;
use detect::program::{Line, Options, Program, Scratch};
use detect::replay::{self, Origin, replay};
use detect::rules::{self, Bounds, Fault, Found, Items, RuleSet, Sources};
use vocab::Timestamp;

use crate::hub;
use crate::shared::shared;
use crate::traffic::Dice;

const PARSER: &str = "parsers/s00-raw/me/line.yaml";
const SCENARIO: &str = "scenarios/me/many.yaml";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_359_845);

fn sources(files: impl IntoIterator<Item = (String, String)>) -> Sources {
    let found = |(path, text): (String, String)| Found {
        file: path.clone(),
        path,
        bytes: Arc::from(text.into_bytes()),
    };
    Sources {
        rules: files.into_iter().map(found).collect(),
        patterns: Vec::new(),
    }
}

fn built(files: impl IntoIterator<Item = (String, String)>) -> (RuleSet, Program, Vec<Fault>) {
    let set = rules::load(&sources(files), &Items::default(), &Bounds::default());
    let (program, compiled) = Program::build(&set, &DataSet::default(), &Options { live: false });
    let faults = set.faults.iter().cloned().chain(compiled).collect();
    (set, program, faults)
}

fn scenario(filter: &str) -> String {
    format!(
        "type: leaky\nname: me/many\ndescription: d\nfilter: {filter:?}\n\
         groupby: evt.Meta.source_ip\ncapacity: 5\nleakspeed: 10s\nlabels: {{remediation: true}}\n"
    )
}

fn parser(grok: &str, patterns: &[(&str, String)]) -> String {
    let mut text = format!(
        "name: me/line\nfilter: 'true'\ngrok:\n  pattern: '{grok}'\n  apply_on: Line.Raw\n"
    );
    if !patterns.is_empty() {
        text.push_str("pattern_syntax:\n");
    }
    for (name, pattern) in patterns {
        text.push_str(&format!("  {name}: '{pattern}'\n"));
    }
    text
}

#[test]
fn rules_that_would_blow_up_are_refused_by_name() {
    let names: Vec<String> = (0..30).map(|number| format!("P{number}")).collect();
    let mut doubling = vec![("P0", "x".to_owned())];
    for (at, name) in names.iter().enumerate().skip(1) {
        doubling.push((name, format!("%{{P{0}}}%{{P{0}}}", at - 1)));
    }
    let circle = [("A", "a%{B}".to_owned()), ("B", "b%{A}".to_owned())];
    let good = scenario("true");
    for (what, path, text) in [
        (
            "deep brackets",
            SCENARIO,
            format!("a: {}", "[".repeat(100_000)),
        ),
        (
            "deep mappings",
            SCENARIO,
            format!("a: {}", "{b: ".repeat(20_000)),
        ),
        ("deep lists", SCENARIO, "- ".repeat(50_000)),
        (
            "laughs",
            SCENARIO,
            "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n".to_owned(),
        ),
        (
            "many documents",
            SCENARIO,
            format!("---\n{good}").repeat(2_000),
        ),
        (
            "a giant list",
            SCENARIO,
            format!("{good}references:\n{}", " - x\n".repeat(300_000)),
        ),
        (
            "a giant file",
            SCENARIO,
            format!("{good}#{}", "x".repeat(5 << 20)),
        ),
        (
            "a giant leak",
            SCENARIO,
            good.replace("10s", "99999999999999999h"),
        ),
        (
            "a giant capacity",
            SCENARIO,
            good.replace("capacity: 5", "capacity: 1e30"),
        ),
        (
            "a deep filter",
            SCENARIO,
            scenario(&format!("{}true{}", "(".repeat(20_000), ")".repeat(20_000))),
        ),
        (
            "a long filter",
            SCENARIO,
            scenario(&format!("true{}", " && true".repeat(60_000))),
        ),
        (
            "nots",
            SCENARIO,
            scenario(&format!("{}true", "not ".repeat(20_000))),
        ),
        (
            "repetitions",
            PARSER,
            parser("%{A:a}", &[("A", "((a{1000}){1000}){1000}".to_owned())]),
        ),
        (
            "deep groups",
            PARSER,
            parser(&format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000)), &[]),
        ),
        ("a circle", PARSER, parser("%{A:a}", &circle)),
        ("doubling", PARSER, parser("%{P29:a}", &doubling)),
    ] {
        let (_, _, faults) = built([(path.to_owned(), text)]);
        let named = faults
            .iter()
            .any(|fault| fault.file == path && !fault.what.is_empty());
        assert!(named, "{what}: {faults:?}");
        let longest = faults.iter().map(|fault| fault.to_string().len()).max();
        assert!(
            longest < Some(2_000),
            "{what}: a fault of {longest:?} bytes"
        );
    }
}

#[test]
fn collections_may_name_each_other_in_chains_and_circles() {
    let mut files: Vec<(String, String)> = (0..6_000)
        .map(|number| {
            let next = (number + 1) % 6_000;
            (
                format!("collections/me/c{number}.yaml"),
                format!("name: me/c{number}\ncollections: [me/c{next}]\nscenarios: [me/many]\n"),
            )
        })
        .collect();
    files.push((SCENARIO.to_owned(), scenario("true")));
    let sources = sources(files);
    // A small stack: what recurses does not get far.
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let loading = small.spawn(move || {
        let items = Items {
            names: vec!["me/c7".to_owned()],
            exact: true,
        };
        rules::load(&sources, &items, &Bounds::default())
    });
    let set = loading
        .expect("a thread starts")
        .join()
        .expect("no overflow");
    assert_eq!((set.scenarios.len(), set.faults.len()), (1, 0));
}

#[test]
fn ten_thousand_scenarios_load_and_each_is_heard() {
    let parser = "name: me/line\nfilter: 'true'\nstatics:\n  - meta: http_path\n    expression: evt.Line.Raw\n  \
                  - meta: source_ip\n    value: 192.0.2.1\n";
    let many = (0..10).map(|file| {
        let documents = (0..1_000).map(|number| {
            let name = file * 1_000 + number;
            let text = scenario(&format!("evt.Meta.http_path == '/p{name}'"));
            text.replace("me/many", &format!("me/many{name}"))
        });
        let text = documents.collect::<Vec<_>>().join("---\n");
        (format!("scenarios/me/many{file}.yaml"), text)
    });
    let files = many.chain([(PARSER.to_owned(), parser.to_owned())]);
    let (_, program, faults) = built(files.collect::<Vec<_>>());
    assert_eq!(faults, []);
    assert_eq!(program.specs().len(), 10_000);
    let mut scratch = Scratch::new(&program, Seed::new(1));
    for path in [&b"/p7"[..], b"/p4321", b"/p9999"] {
        let seen = look(&program, &mut scratch, "x", path);
        assert_eq!(seen, (Parsed::Event, 1), "{:?}", scratch.counted());
    }
    // The sieve knows a thousand facts about whole fields; what is beyond is asked.
    let asked = scratch.counted().filters;
    assert!(
        asked <= 3 * 9_000,
        "{asked} filters were asked for three lines"
    );
}

/// Looks at a line: what became of it, and how much it pours.
fn look(program: &Program, scratch: &mut Scratch, kind: &str, text: &[u8]) -> (Parsed, usize) {
    let labels = [("type", kind)];
    let line = Line {
        text,
        labels: &labels,
        source: "a.log",
        module: "file",
        received: NOW,
        // These lines say no time.
        replay: false,
    };
    let seen = program.line(&line, scratch);
    (seen.parsed, seen.pours.len())
}

/// The value of a key of a case's configuration.
fn setting<'t>(config: &'t str, key: &str) -> Option<&'t str> {
    let line = config.lines().find_map(|line| line.strip_prefix(key))?;
    Some(
        line.trim_start_matches(':')
            .trim()
            .trim_matches(['"', '\'']),
    )
}

/// The first lines of the hub's cases with their types.
fn samples(tests: &Path) -> Vec<(String, Vec<u8>)> {
    let mut samples = Vec::new();
    let cases = std::fs::read_dir(tests).expect("the hub's cases");
    let mut cases: Vec<_> = cases.map(|case| case.expect("a case").path()).collect();
    cases.sort();
    for case in cases {
        let Ok(config) = std::fs::read_to_string(case.join("config.yaml")) else {
            continue;
        };
        let (Some(log), Some(kind)) = (setting(&config, "log_file"), setting(&config, "log_type"))
        else {
            continue;
        };
        let text = std::fs::read(case.join(log)).unwrap_or_default();
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        samples.extend(lines.take(2).map(|line| (kind.to_owned(), line.to_vec())));
    }
    samples
}

#[test]
fn broken_and_endless_lines_pass_the_whole_hub() {
    let (Some((set, data)), Some(tests)) = (hub::hub(&[]), shared("hub/.tests")) else {
        return;
    };
    let (program, _) = Program::build(&set, &data, &Options { live: false });
    let samples = samples(&tests);
    assert!(samples.len() > 300, "{} samples", samples.len());
    let mut scratch = Scratch::new(&program, Seed::new(1));
    let mut dice = Dice::new(7);
    let scenarios = program.specs().len();
    let looks = Cell::new(0);
    let look_at = |scratch: &mut Scratch, kind: &str, text: &[u8]| {
        let before = scratch.counted().filters;
        let (parsed, pours) = look(&program, scratch, kind, text);
        let asked = scratch.counted().filters - before;
        assert!(asked <= scenarios as u64 && pours <= scenarios);
        looks.set(looks.get() + 1);
        parsed
    };
    for (at, (kind, line)) in samples.iter().enumerate() {
        // Every prefix of some, a few of all.
        let step = if at % 60 == 0 { 1 } else { line.len() / 3 + 1 };
        for end in (0..line.len()).step_by(step) {
            look_at(&mut scratch, kind, &line[..end]);
        }
        for _ in 0..3 {
            let mut line = line.clone();
            for _ in 0..=dice.below(4) {
                let place = dice.index(line.len());
                match dice.below(4) {
                    0 => line[place] = 0,
                    1 => line[place] = 0xff,
                    2 => line[place] ^= 1 << dice.below(8),
                    _ => {
                        let again = line[place..].to_vec();
                        line.extend(again);
                    }
                }
            }
            look_at(&mut scratch, kind, &line);
        }
    }
    assert!(looks.get() > 2_000, "{looks:?}");
    let head = b"192.0.2.1 - - [22/Nov/2026:12:00:00 +0000] \"GET /";
    let tail = b" HTTP/1.1\" 404 5 \"-\" \"x\"";
    for filler in [
        &b"a"[..],
        b"\0",
        b"\xff\xfe",
        b"192.0.2.1 ",
        b"../",
        b"\"\\",
    ] {
        for (bytes, whole) in [(60_000, true), (10 << 20, false)] {
            let line = [head, filler.repeat(bytes / filler.len()).as_slice(), tail].concat();
            let parsed = look_at(&mut scratch, "nginx", &line);
            assert!(whole || parsed == Parsed::Dropped, "10 MB of {filler:?}");
        }
    }
    // What came before leaves nothing behind.
    let plain = [&head[..], b"x", tail].concat();
    assert_eq!(look_at(&mut scratch, "nginx", &plain), Parsed::Event);
}

#[test]
fn a_clock_that_jumps_hides_no_attack() {
    let Some(program) = hub::program(&["crowdsecurity/sshd"]) else {
        return;
    };
    let line = |date: &str, name: u32| {
        format!("{date} web1 sshd[9]: Failed password for user{name} from 192.0.2.9 port 2222 ssh2")
    };
    let mut lines = Vec::new();
    for (number, date) in [
        "9999-12-31T23:59:59.999999+00:00",
        "0001-01-01T00:00:00+00:00",
        "1969-12-31T23:59:59+14:00",
        "2262-04-11T23:47:16.854775807+00:00",
        "2262-04-12T00:00:00+00:00",
        "1677-09-21T00:12:43+00:00",
        "2026-11-20T12:00:00+99:99",
    ]
    .iter()
    .cycle()
    .take(70)
    .enumerate()
    {
        lines.push(line(date, u32::try_from(number).expect("few")));
    }
    for second in 0..7 {
        lines.push(line(&format!("2026-11-20T12:00:0{second}+00:00"), 100));
        lines.push(line("2031-01-01T00:00:00+00:00", 101));
    }
    let mut alerts = Vec::new();
    let summary = replay(
        &program,
        &[Origin::of_type("auth.log", "syslog")],
        lines.iter().map(|line| (0, line)),
        &replay::Options::new(NOW),
        |alert| alerts.push((alert.scenario.clone(), alert.start_at.to_string())),
    );
    assert_eq!(summary.lines, lines.len() as u64);
    let found = alerts.iter().any(|(scenario, start)| {
        scenario == "crowdsecurity/ssh-bf" && start.starts_with("2026-11-20T12:00:00")
    });
    assert!(found, "{alerts:?}");
}
