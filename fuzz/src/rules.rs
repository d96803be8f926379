//! What rules are written in, and what they read: expressions, patterns, dates, YAML, log
//! lines and requests.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock};

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::explain::Trace;
use detect::gotime::Dates;
use detect::grok::{Grok, Library, Room};
use detect::program::{Line, Options, Program, Scratch};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Found as RuleFile, Items, Sources};
use expr::{Env, Found, Schema, SlotId, Type, Value};
use vocab::{ClientAddr, HttpEvent, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_359_845);

/// Every path is a text.
struct Texts;

impl Schema for Texts {
    fn path(&mut self, path: &[&str]) -> Option<Found> {
        let slot = SlotId(u32::from(path.last()?.len() % 2 == 0));
        (path.first() == Some(&"evt")).then_some(Found {
            slot,
            ty: Type::Text,
            used: path.len(),
        })
    }
}

/// Two texts.
struct Event;

impl Env for Event {
    fn text(&self, slot: SlotId) -> &[u8] {
        if slot.0 == 0 {
            b"/a/b.php?c=%20d"
        } else {
            b"192.0.2.7"
        }
    }

    fn value(&self, slot: SlotId) -> Value<'_> {
        Value::Str(Cow::Borrowed(self.text(slot)))
    }
}

pub(crate) fn expression_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (_, text) in crate::files("rules/scenarios")
        .into_iter()
        .chain(crate::files("rules/parsers"))
    {
        let text = String::from_utf8_lossy(&text).into_owned();
        for line in text.lines() {
            for key in ["filter: ", "expression: ", "distinct: ", "groupby: "] {
                if let Some((_, value)) = line.split_once(key) {
                    seeds.push(value.trim().trim_matches('"').as_bytes().to_vec());
                }
            }
        }
    }
    seeds.extend([
        b"evt.Meta.a in ['x', 'y'] ? 1 + 2 * 3 : len(evt.Parsed.b)".to_vec(),
        b"any([1, 2, 3], { # > 2 }) && not (evt.a matches '^/[a-z]+$')".to_vec(),
        b"Sprintf('%5.2f|%-8s|%x', 1.5, evt.a, 255)".to_vec(),
        b"filter(split(evt.a, '/'), {# != ''})[0] ?? nil".to_vec(),
        b"JsonExtract('{\"a\":[1,2]}', 'a[0]')".to_vec(),
        b"map(1..10, {# * 2 ** 3})".to_vec(),
    ]);
    seeds
}

/// What compiles, evaluates the same twice, within its bounds.
pub(crate) fn expression(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else {
        return;
    };
    match expr::compile(source, &mut Texts, Type::Any) {
        Ok(compiled) => {
            assert_eq!(compiled.source(), source);
            let shown = |value: Result<Value<'_>, _>| format!("{value:?}");
            if compiled.is_pure() {
                assert_eq!(shown(compiled.eval(&Event)), shown(compiled.eval(&Event)));
            } else {
                let _ran = compiled.run(&mut Event);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn regex_seeds() -> Vec<Vec<u8>> {
    let lines = crate::files("rules/data")
        .into_iter()
        .filter(|(name, _)| name.ends_with(".regex.txt"));
    lines
        .flat_map(|(_, text)| {
            let lines: Vec<Vec<u8>> = text
                .split(|byte| *byte == b'\n')
                .map(|line| [line, b"\n/a?b=c' or 1=1 --"].concat())
                .collect();
            lines
        })
        .collect()
}

/// A pattern and a text, parted by the first line end.
fn parted(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (first, rest) = data.split_at(at);
    (first, rest.get(1..).unwrap_or_default())
}

pub(crate) fn regex(data: &[u8]) {
    let (pattern, text) = parted(data);
    if let Ok(regex) = expr::go_regex::compile(pattern) {
        let readable = expr::go_regex::readable(text);
        assert_eq!(
            regex.is_match(&readable),
            expr::go_regex::is_match(&regex, text)
        );
        assert_eq!(expr::go_regex::readable(&readable), readable);
    }
}

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut library = Library::default();
        for (_, text) in crate::files("rules/patterns") {
            for line in String::from_utf8_lossy(&text).lines() {
                if let Some((name, pattern)) = line.split_once(' ') {
                    library.add(name, pattern);
                }
            }
        }
        library
    })
}

pub(crate) fn grok_seeds() -> Vec<Vec<u8>> {
    let mut seeds = [
        "%{IP:source} %{WORD:verb} %{DATA:rest}\n192.0.2.1 GET /\0a 192.0.2.1 GET /\0",
        "%{HTTPDATE:at} %{NUMBER:n}\n22/Nov/2026:12:00:00 +0000 5",
        "(?P<a>x)%{GREEDYDATA:all}$\nxyz",
        "%{COMBINEDAPACHELOG}\n192.0.2.1 - - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"",
        "(?:a*)*%{WORD:x}|(|a)+?%{INT:y}?\naab\0 12",
        "(a|ab)(c|bcd)%{DATA:x}%{INT:y}\nabcd1\0abbcd",
        "(?m)^%{INT:x}$\\b\na\n1\nb",
        "(?i)\\B%{WORD:x}{0,3} (?:%{INT:d}|%{IP:ip})*\nAB 1 2",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for (_, text) in crate::files("rules/parsers") {
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((_, pattern)) = line.split_once("pattern: ") {
                let pattern = pattern.trim().trim_matches(['\'', '"']);
                seeds.push(format!("{pattern}\n192.0.2.1 - a\0").into_bytes());
            }
        }
    }
    seeds
}

/// The longest text: the plain search takes time by the product of text and pattern.
const LONGEST: usize = 512;

/// Text by text, the search in two passes finds what the plain one finds, and every field
/// of a match is a part of the text. What was learnt of one text is used for the next.
pub(crate) fn grok(data: &[u8]) {
    let (pattern, texts) = parted(data);
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return;
    };
    let Ok(grok) = library().compile(pattern) else {
        return;
    };
    let (mut room, mut plain) = (grok.room(), grok.room());
    plain.search_plainly();
    for text in texts.split(|byte| *byte == 0) {
        let text = text.get(..LONGEST).unwrap_or(text);
        let found = matched(&grok, text, &mut room);
        assert_eq!(found, matched(&grok, text, &mut plain));
        let readable = expr::go_regex::readable(text);
        for (_, value) in found.iter().flatten() {
            assert!(value.is_empty() || readable.windows(value.len()).any(|at| at == value));
        }
    }
}

/// Each field's place and value, where the text matches.
fn matched(grok: &Grok, text: &[u8], room: &mut Room) -> Option<Vec<(usize, Vec<u8>)>> {
    let mut found = Vec::new();
    let matched = grok.run(text, room, |place, value| {
        found.push((place, value.to_vec()));
    });
    assert_eq!(found.len(), if matched { grok.fields().len() } else { 0 });
    matched.then_some(found)
}

pub(crate) fn gotime_seeds() -> Vec<Vec<u8>> {
    [
        "02/Jan/2006:15:04:05 -0700\n22/Nov/2026:12:00:00 +0100",
        "Mon Jan _2 15:04:05.000000 MST 2006\nSun Nov 22 12:00:00.123456 UTC 2026",
        "2006-01-02T15:04:05Z07:00\n2026-11-22T12:00:00-03:30",
        "Jan 2 15:04:05\nNov 22 12:00:00",
        "\n1795359845",
        "06-1-2 3:4:5PM\n26-2-29 11:59:60AM",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn gotime(data: &[u8]) {
    static DATES: OnceLock<Dates> = OnceLock::new();
    let (layout, text) = parted(data);
    let dates = DATES.get_or_init(Dates::default);
    for now in [
        NOW,
        Timestamp::from_unix_nanos(i64::MAX),
        Timestamp::from_unix_nanos(i64::MIN),
    ] {
        let _date = dates.parse(text, layout, now);
    }
}

pub(crate) fn yaml_seeds() -> Vec<Vec<u8>> {
    let all = crate::files("rules/scenarios")
        .into_iter()
        .chain(crate::files("rules/parsers"));
    all.map(|(_, text)| text).collect()
}

/// Any file as a scenario and as a parser: faults, or a program that runs.
pub(crate) fn yaml(data: &[u8]) {
    let file = |path: &str| RuleFile {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(data),
    };
    let sources = Sources {
        rules: vec![
            file("scenarios/a/b.yaml"),
            file("parsers/s01-parse/a/b.yaml"),
            file("collections/a/b.yaml"),
        ],
        patterns: Vec::new(),
    };
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    let (program, _) = Program::build(&set, &DataSet::default(), &Options::default());
    let mut scratch = Scratch::new(&program, Seed::new(7));
    program.observe(&http("/a?b=c", "x"), &mut scratch);
}

fn http<'a>(target: &'a str, agent: &'a str) -> HttpEvent<'a> {
    HttpEvent {
        time: NOW,
        site: "shop".into(),
        client: ClientAddr::new([192, 0, 2, 7].into()),
        method: "GET".into(),
        target: target.into(),
        version: 11,
        host: "shop.example".into(),
        status: 404,
        user_agent: agent.into(),
        referer: "".into(),
        body_bytes: Some(5),
        tls: false,
        request_id: 1,
        session: false,
        credentials: None,
        foreign: false,
        login: None,
    }
}

/// Our own rules, compiled once.
pub(crate) fn own() -> &'static (Program, Mutex<Scratch>) {
    static OWN: OnceLock<(Program, Mutex<Scratch>)> = OnceLock::new();
    OWN.get_or_init(|| {
        let place = Place::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules"));
        let set = rules::load(
            &place.sources().expect("our rules"),
            &Items::default(),
            &Bounds::default(),
        );
        let data = place.data(&set.data).expect("our lists");
        let (program, _) = Program::build(&set, &data, &Options::default());
        let scratch = Mutex::new(Scratch::new(&program, Seed::new(7)));
        (program, scratch)
    })
}

pub(crate) fn line_seeds() -> Vec<Vec<u8>> {
    [
        "nginx|192.0.2.1 - - [22/Nov/2026:12:00:00 +0000] \"GET /.env HTTP/1.1\" 404 5 \"-\" \"x\"",
        "syslog|Nov 22 12:00:00 host sshd[1]: Failed password for invalid user a from 192.0.2.1 port 22 ssh2",
        "syslog|<34>1 2026-11-22T12:00:00Z host sshd 1 - - Invalid user a from 192.0.2.1 port 22",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A line is counted where its explanation says.
pub(crate) fn line(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'|').unwrap_or(0);
    let (kind, text) = data.split_at(at);
    let kind = if kind == b"syslog" { "syslog" } else { "nginx" };
    let labels = [("type", kind)];
    let line = Line {
        text: text.get(1..).unwrap_or_default(),
        labels: &labels,
        source: "a.log",
        module: "file",
        received: NOW,
        replay: true,
    };
    let (program, scratch) = own();
    let mut scratch = scratch.lock().expect("one thread");
    let counted = program.line(&line, &mut scratch).pours.to_vec();
    let explained = program
        .explain(&line, &mut scratch, &mut Trace::default())
        .pours
        .to_vec();
    assert_eq!(counted, explained);
}

pub(crate) fn visit_seeds() -> Vec<Vec<u8>> {
    [
        "/.env\nx",
        "/?q=1%20union%20select%201\nMozilla/5.0",
        "/../../etc/passwd\nsqlmap",
        "/a.css?b\n",
        "/?x=${jndi:ldap://a}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// The sieve drops nothing that would be counted.
pub(crate) fn visit(data: &[u8]) {
    let (target, agent) = parted(data);
    let (target, agent) = (wire::text::logged(target), wire::text::logged(agent));
    let http = http(&target, &agent);
    let (program, scratch) = own();
    let mut scratch = scratch.lock().expect("one thread");
    let counted = program.observe(&http, &mut scratch).pours.to_vec();
    let explained = program
        .explain_request(&http, &mut scratch, &mut Trace::default())
        .pours
        .to_vec();
    assert_eq!(counted, explained);
}
