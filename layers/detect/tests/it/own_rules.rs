//! Our own rules against ordinary use, which must raise no alert, and against
//! attacks, which must. Every case runs twice: as live requests, and as lines of
//! an nginx log.

use core::num::NonZeroU64;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::program::{Options, Program, Scratch};
use detect::replay::{self, Origin};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Items};
use detect::shard::{Limits, Mode, Shards};
use vocab::{Alert, ClientAddr, HttpEvent, Timestamp};

mod accounts;
mod attacks;
mod ordinary;
mod pruned;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// One request of a case.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// Seconds after the one before.
    gap: f64,
    method: &'static str,
    target: String,
    status: u16,
    agent: String,
    referer: &'static str,
    /// Which password was sent; 0 for none.
    password: u64,
}

/// A case: requests of one source, written down as they come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    visits: Vec<Visit>,
    agent: Option<String>,
    referer: &'static str,
    password: u64,
}

impl Case {
    pub(crate) fn agent(agent: &str) -> Self {
        Self {
            agent: Some(agent.to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn referer(mut self, referer: &'static str) -> Self {
        self.referer = referer;
        self
    }

    pub(crate) fn then(
        mut self,
        gap: f64,
        method: &'static str,
        target: impl Into<String>,
        status: u16,
    ) -> Self {
        self.visits.push(Visit {
            gap,
            method,
            target: target.into(),
            status,
            agent: self.agent.clone().unwrap_or_else(|| BROWSER.to_owned()),
            referer: self.referer,
            password: self.password,
        });
        self
    }

    pub(crate) fn get(self, gap: f64, target: impl Into<String>, status: u16) -> Self {
        self.then(gap, "GET", target, status)
    }

    pub(crate) fn post(self, gap: f64, target: impl Into<String>, status: u16) -> Self {
        self.then(gap, "POST", target, status)
    }

    /// From here on with a password, told apart by its number.
    pub(crate) fn password(mut self, password: u64) -> Self {
        self.password = password;
        self
    }

    /// Repeats what `body` adds.
    pub(crate) fn times(mut self, count: u32, body: impl Fn(Self, u32) -> Self) -> Self {
        for round in 0..count {
            self = body(self, round);
        }
        self
    }

    /// What a browser loads for a page, cached or not.
    pub(crate) fn assets(self) -> Self {
        self.get(0.05, "/static/site.css?v=3", 200)
            .get(0.01, "/static/app.js?v=3", 304)
            .get(0.01, "/static/logo.svg", 200)
            .get(0.01, "/favicon.ico", 200)
    }

    pub(crate) fn with_agent(mut self, agent: &str) -> Self {
        self.agent = Some(agent.to_owned());
        self
    }
}

fn loaded(options: Options) -> Program {
    let place = Place::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules"));
    let sources = place.sources().unwrap();
    let set = rules::load(&sources, &Items::default(), &Bounds::default());
    assert_eq!(set.faults, [], "our own rules have no faults");
    let data: DataSet = place.data(&set.data).unwrap();
    let (program, faults) = Program::build(&set, &data, &options);
    assert_eq!(faults, [], "our own rules compile");
    program
}

fn live_program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| loaded(Options { live: true }))
}

pub(crate) fn log_program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| loaded(Options { live: false }))
}

fn start() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

/// The case on live traffic.
fn live(case: &Case, address: &str) -> Vec<Alert> {
    live_with(case, address, false)
}

fn live_with(case: &Case, address: &str, session: bool) -> Vec<Alert> {
    let program = live_program();
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Live);
    let mut scratch = Scratch::new(program, Seed::new(11));
    let mut alerts = Vec::new();
    let mut now = start();
    let address: IpAddr = address.parse().unwrap();
    for (number, visit) in case.visits.iter().enumerate() {
        now = now.after(Duration::from_secs_f64(visit.gap));
        let event = HttpEvent {
            time: now,
            site: "site".into(),
            client: ClientAddr::new(address),
            method: visit.method.into(),
            target: visit.target.as_str().into(),
            version: 11,
            host: "www.example.org".into(),
            status: visit.status,
            user_agent: visit.agent.as_str().into(),
            referer: visit.referer.into(),
            body_bytes: Some(100),
            tls: true,
            request_id: number as u64,
            session,
            credentials: NonZeroU64::new(visit.password),
            foreign: false,
            login: None,
        };
        let mut seen = program.observe(&event, &mut scratch);
        shards.apply(
            program.specs(),
            seen.pours,
            &mut seen.occurrence,
            now,
            &mut alerts,
        );
    }
    assert_eq!(scratch.counted().errors, 0, "no expression fails");
    alerts
}

/// The case as lines of an nginx log in combined format.
pub(crate) fn lines(case: &Case, address: &str) -> Vec<String> {
    let mut now = start();
    let or_dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    case.visits
        .iter()
        .map(|visit| {
            now = now.after(Duration::from_secs_f64(visit.gap));
            let time = now.civil();
            format!(
                "{address} - - [{:02}/Nov/2026:{:02}:{:02}:{:02} +0000] \"{} {} HTTP/1.1\" {} 100 \"{}\" \"{}\"",
                time.day,
                time.hour,
                time.minute,
                time.second,
                visit.method,
                visit.target.replace('"', "\\x22"),
                visit.status,
                or_dash(visit.referer),
                or_dash(&visit.agent),
            )
        })
        .collect()
}

fn logged(case: &Case, address: &str) -> Vec<Alert> {
    let lines = lines(case, address);
    let count = lines.len();
    let mut alerts = Vec::new();
    let summary = replay::replay(
        log_program(),
        &[Origin::of_type("access.log", "nginx")],
        lines.into_iter().map(|line| (0, line)),
        &replay::Options::new(start()),
        |alert| alerts.push(alert),
    );
    assert_eq!(summary.parsed, count as u64, "every line is understood");
    alerts
}

fn names(alerts: &[Alert]) -> BTreeSet<&str> {
    alerts.iter().map(|alert| alert.scenario.as_str()).collect()
}

#[test]
fn ordinary_use_raises_no_alert() {
    let mut wrong = Vec::new();
    for (what, case) in ordinary::cases() {
        for (way, alerts) in [
            ("live", live(&case, "203.0.113.5")),
            ("log", logged(&case, "203.0.113.5")),
        ] {
            if !alerts.is_empty() {
                wrong.push(format!("{what} ({way}): {:?}", names(&alerts)));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "DENY: an ordinary visitor is accused\n{}",
        wrong.join("\n")
    );
}

/// Who is seen in a log instead, which does not tell passwords apart.
fn in_a_log(scenario: &'static str) -> &'static str {
    match scenario {
        "ringwall/http-auth-bruteforce" => "ringwall/http-auth-bruteforce-log",
        "ringwall/http-auth-spraying" => "ringwall/http-auth-probing",
        other => other,
    }
}

#[test]
fn attacks_raise_the_alert_that_names_them() {
    let mut wrong = Vec::new();
    for (what, expected, case) in attacks::cases() {
        for address in ["203.0.113.66", "2001:db8::66"] {
            for (way, alerts) in [
                ("live", live(&case, address)),
                ("log", logged(&case, address)),
            ] {
                let expected = if way == "log" {
                    in_a_log(expected)
                } else {
                    expected
                };
                if !names(&alerts).contains(expected) {
                    wrong.push(format!(
                        "{what} ({way}, {address}): {expected} expected, {:?}",
                        names(&alerts)
                    ));
                }
                if alerts.iter().any(|alert| alert.source.value != address) {
                    wrong.push(format!("{what} ({way}): somebody else is accused"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "DENY: an attack goes unseen\n{}",
        wrong.join("\n")
    );
}

#[test]
fn numbers_do_not_count_within_a_session_but_guesses_do() {
    for (what, expected, case) in attacks::cases() {
        let alerts = live_with(&case, "203.0.113.66", true);
        let spec = live_program()
            .specs()
            .iter()
            .find(|spec| spec.name == expected);
        let spared = spec.is_some_and(|spec| spec.spares_sessions());
        assert_eq!(
            names(&alerts).contains(expected),
            !spared,
            "{what}: {expected}"
        );
    }
}

#[test]
fn rules_of_the_hub_without_our_label_spare_sessions_where_they_judge_by_numbers() {
    for (name, behavior, want) in [
        ("crowdsecurity/http-crawl-non_statics", "http:crawl", true),
        ("crowdsecurity/http-dos-swithcing-ua", "http:dos", true),
        ("crowdsecurity/http-probing", "http:scan", true),
        // DENY: told by what is asked for, not by how much
        ("crowdsecurity/http-bad-user-agent", "http:scan", false),
        ("crowdsecurity/http-sensitive-files", "http:scan", false),
        (
            "crowdsecurity/http-path-traversal-probing",
            "http:exploit",
            false,
        ),
        // DENY: guessing
        ("LePresidente/http-generic-401-bf", "http:bruteforce", false),
        (
            "crowdsecurity/http-bf-wordpress_bf",
            "http:bruteforce",
            false,
        ),
    ] {
        let mut spec = detect::bucket::BucketSpec::trigger(name, "");
        spec.labels = vec![("behavior".to_owned(), behavior.to_owned())];
        assert_eq!(spec.spares_sessions(), want, "{name}");
        spec.labels.push(("volume".to_owned(), "true".to_owned()));
        let guesses = behavior == "http:bruteforce";
        assert_eq!(spec.spares_sessions(), !guesses, "{name}");
    }
}

#[test]
fn every_scenario_says_what_it_needs_to_say() {
    for spec in live_program().specs().iter() {
        let label = |key: &str| {
            let found = spec.labels.iter().find(|(name, _)| name == key);
            found.map_or("", |(_, value)| value.as_str())
        };
        let name = &spec.name;
        let ours = ["ringwall/http-", "ringwall/edge-"];
        assert!(ours.iter().any(|start| name.starts_with(start)), "{name}");
        assert!(spec.remediation, "{name} asks for a decision");
        assert!(label("behavior").starts_with("http:"), "{name}");
        assert!(["1", "2", "3"].contains(&label("confidence")), "{name}");
        assert!(!label("label").is_empty(), "{name}");
        let by_numbers = ["bruteforce", "crawl", "dos", "auth-", "flood", "probing"];
        let is_volume =
            by_numbers.iter().any(|part| name.contains(part)) && !name.ends_with("admin-probing");
        assert_eq!(label("volume") == "true", is_volume, "{name}");
        assert!(spec.blackhole.is_some(), "{name} does not repeat itself");
    }
}

#[test]
fn the_lists_are_as_long_as_promised() {
    let lines = |name: &str| {
        let path = format!("{}/../../rules/data/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (name, least) in [
        ("sensitive-paths.txt", 100),
        ("attack-tools.regex.txt", 60),
        ("webshells.txt", 60),
        ("admin-paths.txt", 50),
        ("exploits.regex.txt", 30),
        ("sqli.regex.txt", 25),
        ("xss.regex.txt", 15),
        ("traversal.regex.txt", 10),
        ("commands.regex.txt", 8),
    ] {
        let lines = lines(name);
        assert!(lines.len() >= least, "{name} has {}", lines.len());
        let distinct: BTreeSet<_> = lines.iter().collect();
        assert_eq!(distinct.len(), lines.len(), "{name} has repeated lines");
        if !name.contains("regex") {
            for line in &lines {
                assert!(line.starts_with('/'), "{name}: {line}");
                assert_eq!(
                    *line,
                    line.to_lowercase(),
                    "{name}: lists are in lower case"
                );
            }
        }
    }
}

#[test]
fn volume_rules_alone_see_no_exploit() {
    // What a new site enforces from its first minute is told by kind, not by numbers.
    let enforced = [
        "http-exploit",
        "http-attack-tool",
        "http-sql-injection",
        "http-path-traversal",
    ];
    for spec in live_program().specs().iter() {
        if enforced.iter().any(|name| spec.name.ends_with(name)) {
            assert!(
                !spec.labels.iter().any(|(key, _)| key == "volume"),
                "{}",
                spec.name
            );
        }
    }
}
