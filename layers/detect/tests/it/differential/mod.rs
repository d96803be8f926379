//! Debian's crowdsec and ours on the same logs, with Debian's hub items: the same alerts.
//!
//! crowdsec reads each log twice, since its counts vary between runs. Where its runs agree
//! with each other, ours must agree with them; where ours differs on purpose, [`excused`]
//! says why.
//!
//! `RINGWALL_DIFFERENTIAL` is the number of lines of each log; `cargo xtask conformance
//! detect` runs 200,000 and writes what it found to `bench/DETECT-DIFF.md`. It fails where
//! none of its logs needs an excuse, unless the excuse is of what crowdsec does by chance, and
//! where a scenario raises nothing on any of them.

mod compare;
mod excused;
mod model;
mod peer_home;
mod runs;

use std::path::{Path, PathBuf};

use vocab::Timestamp;

use self::compare::{Comparison, Seen};
use crate::traffic::{Lists, Server, log};

/// Lines of each log where nothing else is said.
const FEW: usize = 2_500;
const SEED: u64 = 20_261_122;

fn debian() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debian/crowdsec")
}

/// Whether Debian's crowdsec is here; fails where all tests are demanded.
fn is_here() -> bool {
    let program = debian().join("usr/bin/crowdsec");
    if program.exists() && is_root() {
        return true;
    }
    assert!(
        std::env::var("RINGWALL_TEST_ALL").as_deref() != Ok("1"),
        "all tests are demanded, and Debian's crowdsec cannot run here"
    );
    println!(
        "NOT RUN: Debian's crowdsec is not unpacked, or this is not root; 'cargo xtask test' brings it"
    );
    false
}

/// Namespaces are root's to make.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// The lines of one of Debian's lists, comments apart.
fn list(name: &str) -> Vec<String> {
    let file = debian().join("usr/share/crowdsec/data").join(name);
    let text = std::fs::read_to_string(&file).expect("Debian's lists are there");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn lists() -> Lists {
    let agents = list("bad_user_agents.regex.txt");
    let robots = agents
        .iter()
        .map(|line| line.replace("\\b", "").replace('\\', ""));
    let plain = |name: &String| !name.contains(['(', '[', '*', '?', '+', '|', '^', '$', '"']);
    let robots = robots.filter(plain).collect();
    let agents = agents
        .iter()
        .map(|line| line.replace("(?:\\b)", "").replace('\\', ""));
    Lists {
        backdoors: list("backdoors.txt"),
        agents: agents.collect(),
        robots,
        sensitive: list("sensitive_data.txt"),
        traversal: list("path_traversal.txt"),
        sqli: list("sqli_probe_patterns.txt"),
        xss: list("xss_probe_patterns.txt"),
        log4j: list("log4j2_cve_2021_44228.txt"),
        jira: list("jira_cve_2021-26086.txt"),
    }
}

/// The twentieth of November of this year: syslog's dates have no year.
fn begin(now: Timestamp) -> Timestamp {
    let civil = vocab::time::Civil {
        month: 11,
        day: 20,
        hour: 6,
        minute: 0,
        second: 0,
        nanos: 0,
        ..now.civil()
    };
    Timestamp::from_civil(civil).expect("a date")
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.expect("after 1970").as_secs();
    Timestamp::from_unix_seconds(i64::try_from(seconds).expect("before the year 292277026596"))
}

/// Compares on one log; what was found goes to the report's folder.
fn differ(server: Server) {
    if !is_here() {
        return;
    }
    let lines = std::env::var("RINGWALL_DIFFERENTIAL");
    let lines = lines.map_or(FEW, |lines| lines.parse().expect("a number of lines"));
    let lines = match server {
        // Two scenarios that the other logs have no alert of; these lines have many.
        Server::Crawled => lines.min(20_000),
        _ => lines,
    };
    let now = now();
    let Some(program) = runs::program() else {
        return;
    };
    let lines = log(server, lines, SEED, begin(now), &lists());
    let reading = runs::Twice::start(server, &lines);
    let one = runs::ours(&program, server, &lines, now, 1);
    for threads in [2, 5] {
        let many = runs::ours(&program, server, &lines, now, threads);
        assert!(
            one.text == many.text,
            "{threads} threads raise other alerts"
        );
    }
    let [first, second] = reading.end();
    let compared = Comparison::new(server, &first, &second, &one).excused(|differences| {
        excused::Evidence::gather(&program, server, &lines, now, differences)
    });
    let report = compared.report(lines.len(), SEED);
    let specs = program.specs().iter();
    let raised = compared.raised(specs.map(|spec| &*spec.name));
    if let Some(folder) = std::env::var_os("RINGWALL_DIFFERENTIAL_REPORT") {
        let file = |kind: &str| Path::new(&folder).join(format!("{}.{kind}", server.name()));
        std::fs::write(file("md"), &report).expect("the report can be written");
        std::fs::write(file("excuses"), compared.excuses()).expect("and the excuses");
        std::fs::write(file("raised"), &raised).expect("and the scenarios");
    }
    println!("{report}\n{raised}");
    let wrong: Vec<String> = compared.unexcused().collect();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn heavy_alerts_on_nginx_are_those_of_debians_crowdsec() {
    differ(Server::Nginx);
}

#[test]
fn heavy_alerts_on_apache_are_those_of_debians_crowdsec() {
    differ(Server::Apache);
}

#[test]
fn heavy_alerts_on_sshd_are_those_of_debians_crowdsec() {
    differ(Server::Sshd);
}

#[test]
fn heavy_alerts_on_haproxy_are_those_of_debians_crowdsec() {
    differ(Server::Haproxy);
}

#[test]
fn heavy_alerts_on_crawlers_are_those_of_debians_crowdsec() {
    differ(Server::Crawled);
}

/// What a run raised.
struct Raised {
    alerts: Vec<Seen>,
    /// The alerts as they are printed.
    text: String,
}
