//! What comes after a bucket: postoverflows, contexts, reprocessing, addresses' places.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::geo::write::{asn, city, database};
use detect::outside::{BookView, Query};
use detect::overflow::Overflow;
use detect::program::after::{DEPTH, MOST, Settled};
use detect::program::{Line, Options, Program, Scratch};
use detect::replay::{self, Origin, Summary};
use detect::rules::{self, Bounds, Found, Items, Sources};
use detect::shard::{Limits, Mode, Shards};
use vocab::{Scope, Timestamp};

/// A parser for lines of an address and a word.
const PARSER: &str = "
name: test/lines
filter: evt.Line.Labels.type == 'test'
onsuccess: next_stage
grok:
  pattern: '^%{NOTSPACE:address} %{NOTSPACE:word} %{NOTSPACE:port}$'
  apply_on: Line.Raw
statics:
  - meta: source_ip
    expression: evt.Parsed.address
  - meta: word
    expression: evt.Parsed.word
  - method: ParseDate
    value: '2026-11-22T12:00:00Z'
";

fn trigger(name: &str, more: &str) -> String {
    format!(
        "type: trigger\nname: test/{name}\nfilter: evt.Meta.word != ''\nlabels:\n  remediation: true\n{more}\n"
    )
}

fn found(path: &str, text: &str) -> Found {
    Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(text.as_bytes()),
    }
}

/// A program of these files beside the parser.
fn program(files: &[(&str, &str)], data: &DataSet) -> Program {
    let mut sources = Sources::default();
    sources
        .rules
        .push(found("parsers/s00-raw/test/lines.yaml", PARSER));
    for (path, text) in files {
        sources.rules.push(found(path, text));
    }
    sources
        .patterns
        .push(found("patterns/base", "NOTSPACE \\S+\n"));
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!(set.faults, []);
    let (program, faults) = Program::build(&set, data, &Options { live: false });
    assert_eq!(faults, []);
    program
}

fn run(program: &Program, lines: &[&str]) -> (Vec<Overflow>, Summary) {
    let origins = [Origin::of_type("test.log", "test")];
    let lines = lines.iter().map(|line| (0, *line));
    let options = replay::Options::new(Timestamp::from_unix_seconds(1_790_000_000));
    let mut overflows = Vec::new();
    let summary = replay::overflows(program, &origins, lines, &options, |one| {
        overflows.push(one);
    });
    (overflows, summary)
}

#[test]
fn a_postoverflow_rewrites_the_source_and_what_none_takes_goes_on_unchanged() {
    let to_range = "
onsuccess: next_stage
filter: evt.Overflow.Alert.Remediation == true && IsIPV6(evt.Overflow.Alert.Source.IP)
name: test/ipv6
statics:
  - target: evt.Overflow.Alert.Source.Value
    expression: IpToRange(evt.Overflow.Alert.Source.IP, '/64')
  - target: evt.Overflow.Alert.Source.Scope
    value: Range
";
    let program = program(
        &[
            ("scenarios/test/one.yaml", &trigger("one", "")),
            ("postoverflows/s00-enrich/test/ipv6.yaml", to_range),
        ],
        &DataSet::default(),
    );
    let (overflows, _) = run(&program, &["2001:db8::7:1 a 1", "192.0.2.1 a 1"]);
    let sources: Vec<String> = overflows
        .iter()
        .flat_map(|one| one.alerts())
        .map(|alert| format!("{} {}", alert.source.scope, alert.source.value))
        .collect();
    assert_eq!(sources, ["Range 2001:db8::/64", "Ip 192.0.2.1"]);
}

#[test]
fn everything_that_rules_ask_of_an_overflow_is_there() {
    for (expression, answer) in [
        ("evt.Overflow.Alert.Source.IP", "192.0.2.1"),
        ("evt.Overflow.Alert.Source.GetScope()", "Ip"),
        ("evt.Overflow.Alert.GetScope()", "Ip"),
        ("evt.Overflow.Alert.GetValue()", "192.0.2.1"),
        ("evt.Overflow.Alert.GetScenario()", "test/one"),
        ("string(evt.Overflow.Alert.GetEventsCount())", "1"),
        ("evt.Overflow.GetSources()[0]", "192.0.2.1"),
        (
            "'192.0.2.1' in evt.Overflow.GetSources() ? 'yes' : 'no'",
            "yes",
        ),
        ("evt.Overflow.Sources['192.0.2.1'].GetValue()", "192.0.2.1"),
        ("evt.Overflow.Alert.Events[0].GetMeta('word')", "attack"),
        (
            "all(evt.Overflow.Alert.Events, {.GetMeta('word') in ['attack']}) ? 'all' : ''",
            "all",
        ),
        ("evt.Overflow.Whitelisted ? 'yes' : 'no'", "no"),
        ("evt.Overflow.Reprocess ? 'yes' : 'no'", "no"),
        ("evt.GetType()", "overflow"),
        (
            "evt.Overflow.Alert.Source.Range == '' ? 'none' : 'some'",
            "none",
        ),
    ] {
        let rule = format!(
            "name: test/ask\nfilter: 'true'\nstatics:\n  - target: evt.Overflow.Alert.Source.AsName\n    expression: |\n      {expression}\n"
        );
        let program = program(
            &[
                ("scenarios/test/one.yaml", &trigger("one", "")),
                ("postoverflows/s00-enrich/test/ask.yaml", &rule),
            ],
            &DataSet::default(),
        );
        let (overflows, _) = run(&program, &["192.0.2.1 attack 1"]);
        let about = overflows[0].sources[0].whereabouts.as_ref();
        let got = about.map(|about| about.as_name.as_str());
        assert_eq!(got, Some(answer), "{expression}");
    }
}

#[test]
fn a_whitelisted_overflow_is_shown_with_its_reason_and_raises_no_alert() {
    let exempt = "
name: test/exempt
whitelist:
  reason: our own scanner
  ip:
    - 192.0.2.1
  expression:
    - evt.Overflow.Alert.GetScenario() == 'test/quiet'
";
    let quiet = trigger("quiet", "").replace("evt.Meta.word != ''", "evt.Meta.word == 'quiet'");
    let program = program(
        &[
            (
                "scenarios/test/one.yaml",
                &trigger("one", "reprocess: true"),
            ),
            ("scenarios/test/quiet.yaml", &quiet),
            ("postoverflows/s01-whitelist/test/exempt.yaml", exempt),
        ],
        &DataSet::default(),
    );
    let lines = ["192.0.2.1 a 1", "192.0.2.2 a 1", "192.0.2.3 quiet 1"];
    let (overflows, summary) = run(&program, &lines);
    let told: Vec<(String, Option<&str>)> = overflows
        .iter()
        .map(|one| {
            let who = format!("{} {}", one.spec.name, one.sources[0].value);
            (who, one.whitelisted.as_deref())
        })
        .collect();
    let reason = Some("our own scanner");
    assert_eq!(
        told,
        [
            ("test/one 192.0.2.1".to_owned(), reason),
            ("test/one 192.0.2.2".to_owned(), None),
            ("test/one 192.0.2.3".to_owned(), None),
            ("test/quiet 192.0.2.3".to_owned(), reason),
        ]
    );
    assert_eq!(summary.exempt, 2);
    let alert = overflows[0].alerts().next().unwrap();
    assert_eq!(alert.exempt.as_deref(), reason);
    let mut alerts = 0;
    let origins = [Origin::of_type("test.log", "test")];
    let options = replay::Options::new(Timestamp::EPOCH);
    replay::replay(
        &program,
        &origins,
        lines.map(|line| (0, line)),
        &options,
        |_| alerts += 1,
    );
    assert_eq!(alerts, 2);
}

#[test]
fn one_exempt_source_among_many_does_not_exempt_the_others() {
    let exempt = "
name: test/office
whitelist:
  reason: the office
  cidr:
    - 192.0.2.0/24
";
    let together = "type: leaky\nname: test/together\nfilter: evt.Meta.word != ''\ncapacity: 2\nleakspeed: 1h\ngroupby: evt.Meta.word\n";
    let program = program(
        &[
            ("scenarios/test/together.yaml", together),
            ("postoverflows/s01-whitelist/test/office.yaml", exempt),
        ],
        &DataSet::default(),
    );
    for (lines, left) in [
        (
            ["192.0.2.1 a 1", "198.51.100.1 a 1", "203.0.113.1 a 1"],
            Some(2),
        ),
        (["192.0.2.1 a 1", "192.0.2.2 a 1", "192.0.2.3 a 1"], None),
    ] {
        let (overflows, _) = run(&program, &lines);
        let alive = overflows[0].whitelisted.is_none();
        assert_eq!(
            alive.then_some(overflows[0].sources.len()),
            left,
            "{lines:?}"
        );
    }
}

#[test]
fn a_postoverflow_that_fails_is_counted_and_stops_nothing() {
    let broken = "
name: test/broken
filter: evt.Overflow.Alert.NoSuchField == 1
statics:
  - target: evt.Overflow.Alert.Source.Value
    value: nobody
";
    let nonsense = "
name: test/nonsense
statics:
  - target: evt.Overflow.Alert.Source.Scope
    value: Range
  - target: evt.Overflow.Alert.Source.Value
    value: nobody
  - target: evt.Overflow.Alert.Nothing.Here
    value: x
";
    for rule in [broken, nonsense] {
        let program = program(
            &[
                ("scenarios/test/one.yaml", &trigger("one", "")),
                ("postoverflows/s00-enrich/test/rule.yaml", rule),
            ],
            &DataSet::default(),
        );
        let (overflows, _) = run(&program, &["192.0.2.1 a 1"]);
        let source = &overflows[0].sources[0];
        assert_eq!(
            (&source.scope, source.value.as_str()),
            (&Scope::Ip, "192.0.2.1")
        );
    }
}

const FEEDS_ITSELF: &str = "
type: trigger
name: test/NAME
filter: evt.Meta.word != '' || evt.GetType() == 'overflow'
reprocess: true
";

#[test]
fn rules_that_feed_themselves_end() {
    let one = program(
        &[("scenarios/test/a.yaml", FEEDS_ITSELF)],
        &DataSet::default(),
    );
    let (overflows, summary) = run(&one, &["192.0.2.1 a 1"]);
    let depths: Vec<u8> = overflows.iter().map(|one| one.depth).collect();
    assert_eq!(depths, [0, 1, 2, 3, DEPTH]);
    assert_eq!(summary.cut, 1, "the deepest is not poured again");
    let mut files = Vec::new();
    for at in 0..30 {
        let name = format!("scenarios/test/s{at}.yaml");
        files.push((name, FEEDS_ITSELF.replace("NAME", &format!("s{at}"))));
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let many = program(&files, &DataSet::default());
    let (overflows, summary) = run(&many, &["192.0.2.1 a 1"]);
    assert!(overflows.len() <= 30 * (MOST + 1), "{}", overflows.len());
    assert!(summary.cut > 0);
    let (again, _) = run(&many, &["192.0.2.1 a 1"]);
    let told = |all: &[Overflow]| {
        let mut out = String::new();
        for one in all {
            writeln!(out, "{} {}", one.spec.name, one.depth).unwrap();
        }
        out
    };
    assert_eq!(told(&overflows), told(&again), "the same each time");
}

#[test]
fn overflows_of_one_range_become_an_alert_about_the_range() {
    let drop_range = "
type: leaky
name: test/drop-range
filter: evt.GetType() == 'overflow' && evt.Overflow.Alert.Remediation == true
groupby: evt.Overflow.Alert.Source.Range
distinct: evt.Overflow.Alert.Source.IP
capacity: 3
leakspeed: 1m
scope:
  type: Range
";
    let enrich = "
name: test/geo
filter: evt.Meta.source_ip != ''
statics:
  - method: GeoIpCity
    expression: evt.Meta.source_ip
  - meta: IsoCode
    expression: evt.Enriched.IsoCode
  - method: GeoIpASN
    expression: evt.Meta.source_ip
  - meta: ASNNumber
    expression: evt.Enriched.ASNNumber
  - method: IpToRange
    expression: evt.Meta.source_ip
  - meta: SourceRange
    expression: evt.Enriched.SourceRange
";
    let range = "192.0.2.0/24".parse().unwrap();
    let mut data = DataSet::default();
    let cities = database("GeoLite2-City", &[(range, city("FR", true, 46.0, 2.0))]);
    let systems = database("GeoLite2-ASN", &[(range, asn(64_500, "Example Net"))]);
    data.add_database("GeoLite2-City.mmdb", cities.into());
    data.add_database("GeoLite2-ASN.mmdb", systems.into());
    let program = program(
        &[
            ("parsers/s01-enrich/test/geo.yaml", enrich),
            (
                "scenarios/test/one.yaml",
                &trigger("one", "reprocess: true"),
            ),
            ("scenarios/test/drop-range.yaml", drop_range),
        ],
        &data,
    );
    let lines: Vec<String> = (1..=4).map(|at| format!("192.0.2.{at} a 1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (overflows, _) = run(&program, &lines);
    let last = overflows.last().unwrap();
    assert_eq!(last.spec.name, "test/drop-range");
    assert_eq!(
        (last.sources.len(), last.events_count, last.depth),
        (1, 4, 1)
    );
    let source = &last.sources[0];
    assert_eq!(
        (&source.scope, source.value.as_str()),
        (&Scope::Range, "192.0.2.0/24")
    );
    let first = overflows[0].sources[0].whereabouts.as_ref().unwrap();
    let told = [
        &first.country,
        &first.as_number,
        &first.as_name,
        &first.latitude,
    ];
    assert_eq!(told, ["FR", "64500", "Example Net", "46.000000"]);
}

#[test]
fn contexts_say_what_the_events_have_in_common() {
    let one = "context:\n  words:\n    - evt.Meta.word\n  target:\n    - \"evt.Meta.word == 'a' ? 'port:' + evt.Parsed.port : ''\"\n";
    let more = "context:\n  words:\n    - evt.Meta.absent\n    - \"(match.uri != nil && match.internal != true) ? match.uri : ''\"\n    - \"req.Method != '' ? JA4H(req) :''\"\n  agent:\n    - \"req != nil ? req.Host : ''\"\n";
    let leaky = "type: leaky\nname: test/leaky\nfilter: evt.Meta.word != ''\ncapacity: 3\nleakspeed: 1h\ngroupby: evt.Meta.source_ip\n";
    let program = program(
        &[
            ("contexts/test/one.yaml", one),
            ("contexts/test/more.yaml", more),
            ("scenarios/test/leaky.yaml", leaky),
        ],
        &DataSet::default(),
    );
    let long = format!("192.0.2.1 {} 4", "x".repeat(100_000));
    let lines = ["192.0.2.1 a 1", "192.0.2.1 a 2", "192.0.2.1 b 3", &long];
    let (overflows, _) = run(&program, &lines);
    let context = &overflows[0].alerts().next().unwrap().context;
    let words = ["a".to_owned(), "b".to_owned(), "x".repeat(1_024)];
    let target = ["port:1".to_owned(), "port:2".to_owned()];
    assert_eq!(
        context,
        &[
            ("target".to_owned(), target.to_vec()),
            ("words".to_owned(), words.to_vec()),
        ]
    );
}

#[test]
fn a_context_is_bounded_whatever_strangers_send() {
    let one = "context:\n  words:\n    - evt.Meta.word\n    - evt.Meta.word + evt.Meta.word + evt.Meta.word + evt.Meta.word + evt.Meta.word\n";
    let leaky = "type: leaky\nname: test/leaky\nfilter: evt.Meta.word != ''\ncapacity: 250\nleakspeed: 1h\ngroupby: evt.Meta.source_ip\n";
    let program = program(
        &[
            ("contexts/test/one.yaml", one),
            ("scenarios/test/leaky.yaml", leaky),
        ],
        &DataSet::default(),
    );
    for len in [1, 900, 3_000] {
        let lines: Vec<String> = (0..251)
            .map(|at| format!("192.0.2.1 {at}{}ü 1", "ä".repeat(len)))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (overflows, _) = run(&program, &lines);
        let (_, values) = &overflows[0].context[0];
        let bytes: usize = values.iter().map(|value| value.len() + 3).sum();
        assert!(bytes <= 4_000 && values.len() <= 64 && !values.is_empty());
    }
}

const NAMED: &str = "
onsuccess: next_stage
filter: evt.Overflow.Alert.GetScope() == 'Ip'
name: test/rdns
statics:
  - method: reverse_dns
    expression: evt.Overflow.Alert.Source.IP
";
const CRAWLER: &str = "
name: test/crawler
whitelist:
  reason: a crawler
  expression:
    - evt.Enriched.reverse_dns endsWith '.crawler.example.'
";

fn named() -> Program {
    program(
        &[
            ("scenarios/test/one.yaml", &trigger("one", "")),
            ("postoverflows/s00-enrich/test/rdns.yaml", NAMED),
            ("postoverflows/s01-whitelist/test/crawler.yaml", CRAWLER),
        ],
        &DataSet::default(),
    )
}

#[test]
fn a_replay_asks_nobody_and_counts_what_it_would_have_asked() {
    let (overflows, summary) = run(&named(), &["192.0.2.1 a 1", "192.0.2.2 a 1"]);
    assert!(overflows.iter().all(|one| one.whitelisted.is_none()));
    assert_eq!(summary.unanswered, 2);
}

/// What a live program makes of a line: settled with these answers.
fn settle(program: &Program, known: &[(Query, Vec<Box<str>>)]) -> Vec<Settled> {
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Live);
    let mut scratch = Scratch::new(program, Seed::new(1));
    scratch.ask_the_network();
    let line = Line {
        text: b"192.0.2.1 a 1",
        labels: &[("type", "test")],
        source: "test",
        module: "file",
        received: Timestamp::from_unix_seconds(1_790_000_000),
        replay: false,
    };
    let mut seen = program.line(&line, &mut scratch);
    let mut raised: Vec<Overflow> = Vec::new();
    let now = line.received;
    shards.apply(
        program.specs(),
        seen.pours,
        &mut seen.occurrence,
        now,
        &mut raised,
    );
    let mut settled = Vec::new();
    for overflow in raised {
        program.settle(&shards, &mut scratch, overflow, known, &mut |one| {
            settled.push(one);
        });
    }
    settled
}

#[test]
fn an_overflow_waits_for_its_answer_and_goes_on_with_it() {
    let program = named();
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    let [Settled::Waits(overflow, query)] = &*settle(&program, &[]) else {
        panic!("it waits");
    };
    assert_eq!(*query, Query::Reverse(address));
    assert_eq!(overflow.whitelisted, None);
    for (answer, reason) in [
        (vec![Box::from("bot.crawler.example.")], Some("a crawler")),
        (vec![Box::from("bot.elsewhere.example.")], None),
        (vec![], None),
    ] {
        let known = [(query.clone(), answer)];
        let [Settled::Done(overflow)] = &*settle(&program, &known) else {
            panic!("it is judged");
        };
        assert_eq!(overflow.whitelisted.as_deref(), reason);
    }
}

/// A book that remembers three decisions about one address.
#[derive(Debug)]
struct Remembers;

impl BookView for Remembers {
    fn decisions(&self, value: &str, within: Option<i64>) -> i64 {
        match (value, within) {
            ("192.0.2.1", None) => 3,
            ("192.0.2.1", Some(_)) => 2,
            _ => 0,
        }
    }
    fn active(&self, value: &str) -> i64 {
        i64::from(value == "192.0.2.1")
    }
    fn time_left(&self, value: &str) -> i64 {
        i64::from(value == "192.0.2.1") * 3_600_000_000_000
    }
}

#[test]
fn rules_may_ask_the_book() {
    let asks = "
name: test/asks
statics:
  - target: evt.Overflow.Alert.Source.AsName
    expression: |
      Sprintf('%d %d %d %s', GetDecisionsCount(evt.Overflow.Alert.GetValue()), GetDecisionsSinceCount(evt.Overflow.Alert.GetValue(), '24h'), GetActiveDecisionsCount(evt.Overflow.Alert.GetValue()), GetActiveDecisionsTimeLeft(evt.Overflow.Alert.GetValue()).String())
";
    let program = program(
        &[
            ("scenarios/test/one.yaml", &trigger("one", "")),
            ("postoverflows/s00-enrich/test/asks.yaml", asks),
        ],
        &DataSet::default(),
    );
    for (address, told) in [("192.0.2.1", "3 2 1 1h0m0s"), ("192.0.2.2", "0 0 0 0s")] {
        let mut scratch = Scratch::new(&program, Seed::new(1));
        scratch.ask_the_book(Arc::new(Remembers));
        let (mut overflows, _) = run(&program, &[&format!("{address} a 1")]);
        let overflow = &mut overflows[0];
        program.review(overflow, &[], &mut scratch).unwrap();
        let about = overflow.sources[0].whereabouts.as_ref().unwrap();
        assert_eq!(about.as_name, told);
    }
}
