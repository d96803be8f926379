//! An hour of everything at once: visitors, wrk, attackers, reloads, bans and their ends,
//! pauses, upstreams that die. Memory stays flat, no task is lost, the counters add up.
//!
//! `RINGWALL_SOAK` says for how long (`1h`); without it the same runs for less than a
//! minute, as an ordinary test with coarser bounds. `cargo xtask conformance soak` runs
//! the hour. A table of what was measured is printed, and written to the file that
//! `RINGWALL_SOAK_REPORT` names.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they measured"
)]

mod ground;
#[path = "../field/network.rs"]
#[expect(dead_code, reason = "field tests use the rest of it")]
mod network;
mod sample;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Child;
use std::time::{Duration, Instant};

use ground::Ground;
use sample::{Metrics, Sample};
use support::{cannot_run, missing, quiet, wait_for};

const SHORT: Duration = Duration::from_secs(45);
/// From here on every bound holds, and samples are taken every ten seconds.
const LONG: Duration = Duration::from_secs(600);
const MEGABYTE: i64 = 1024;

/// For how long, from `RINGWALL_SOAK`: a number with `s`, `m` or `h`.
fn length() -> Duration {
    let Ok(text) = std::env::var("RINGWALL_SOAK") else {
        return SHORT;
    };
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("RINGWALL_SOAK is '{text}': write '60s', '10m' or '1h'"),
    };
    Duration::from_secs(
        number
            .parse::<u64>()
            .expect("RINGWALL_SOAK begins with a number")
            * factor,
    )
}

fn ready() -> bool {
    let tools = missing(&["ip", "python3", "curl", "wrk", "sqlite3"]);
    if !tools.is_empty() {
        cannot_run(&format!(
            "these tools are missing: {}; 'cargo xtask test' installs them",
            tools.join(", ")
        ));
        return false;
    }
    let probe = format!("rwsoak{}", std::process::id());
    let made = quiet("ip")
        .args(["netns", "add", &probe])
        .status()
        .is_ok_and(|status| status.success());
    let _gone = quiet("ip").args(["netns", "del", &probe]).status();
    if !made {
        cannot_run("network namespaces cannot be made; run as root");
    }
    made
}

/// What a client counted.
#[derive(Debug, Default)]
struct Told {
    answers: BTreeMap<String, u64>,
    lost: u64,
}

impl Told {
    fn of(child: Child) -> Self {
        let output = child.wait_with_output().expect("the strangers go home");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let answers = value["answers"].as_object().expect("answers by status");
        Self {
            answers: answers
                .iter()
                .map(|(status, count)| (status.clone(), count.as_u64().unwrap_or(0)))
                .collect(),
            lost: value["lost"].as_u64().unwrap_or(0),
        }
    }

    fn all(&self) -> u64 {
        self.answers.values().sum()
    }
}

#[test]
fn memory_is_flat_no_task_is_lost_and_the_counters_add_up() {
    if !ready() {
        return;
    }
    let length = length();
    let mut ground = Ground::make();
    let before = Sample::of(&ground, Duration::ZERO);
    let visitors = ground.strangers("visit", 20, length, 15.0, 30..40);
    let attackers = ground.strangers("attack", 21, length, 15.0, 100..180);
    let wrk = ground.wrk(22, length);
    let samples = live(&mut ground, length);
    let (visitors, attackers, wrk) = (Told::of(visitors), Told::of(attackers), ground::of_wrk(wrk));
    let rest = rest(&ground, &before);
    let metrics = Metrics::of(&ground);
    let log = ground.access_log();
    let rows = ground.rows();
    let report = told(
        length, &before, &samples, &rest, &metrics, &visitors, &attackers, wrk, &log, rows,
    );
    println!("{report}");
    if let Some(file) = std::env::var_os("RINGWALL_SOAK_REPORT") {
        std::fs::write(file, &report).expect("the report can be written");
    }
    ended(&before, &rest, &metrics);
    adds_up(&metrics, &log, rows);
    agree(
        &visitors,
        &attackers,
        wrk,
        &log,
        at_the_door(&metrics, &log),
    );
    flat(&samples, length);
    assert!(ground.stop(), "it drains and ends by itself");
}

/// Does to the running program what operators and bad days do, and samples it.
fn live(ground: &mut Ground, length: Duration) -> Vec<Sample> {
    let start = Instant::now();
    let every = if length > LONG { 10 } else { 2 };
    let mut samples = Vec::new();
    let mut second = 0;
    while start.elapsed() < length {
        second += 1;
        let due = start + Duration::from_secs(second);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if second % 10 == 0 {
            ground.reload(second);
        }
        if second % 3 == 0 {
            ground.decide(second);
        }
        if second % 20 == 5 {
            ground.forgive();
        }
        if second % 30 == 17 {
            ground.pause();
        }
        if second % 40 == 25 {
            ground.restart_site();
        }
        if second % every == 0 {
            samples.push(Sample::of(ground, start.elapsed()));
        }
    }
    samples
}

/// Waits until nothing of the load is left.
fn rest(ground: &Ground, before: &Sample) -> Sample {
    wait_for("every connection to end", Duration::from_secs(60), || {
        // who is idle is counted once a second
        if Metrics::of(ground).of_name("edge_connections_idle") > 0 {
            return None;
        }
        let now = Sample::of(ground, Duration::ZERO);
        // idle upstream connections stay pooled; a pool's idle thread ends after ten seconds
        let few = now.descriptors <= before.descriptors + 16 && now.threads <= before.threads;
        (now.open == 0 && few).then_some(now)
    })
}

fn median(mut all: Vec<i64>) -> i64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

/// Memory after warming up, and at the end: medians of a sixth of the samples each, in
/// KiB. The short run is warm after three reloads, since each holds two sets of rules.
fn memory(samples: &[Sample], length: Duration) -> (i64, i64) {
    let sixth = (samples.len() / 6).max(1);
    let warm = if length > LONG { sixth } else { sixth * 4 };
    let part = |from: usize| {
        median(
            samples
                .iter()
                .skip(from)
                .take(sixth)
                .map(|one| one.memory)
                .collect(),
        )
    };
    (part(warm), part(samples.len() - sixth))
}

/// Memory does not grow once tables and caches are warm. A short run only shows that
/// nothing grows by more than a few sets of rules.
fn flat(samples: &[Sample], length: Duration) {
    let (warm, end) = memory(samples, length);
    let most = if length > LONG {
        8 * MEGABYTE
    } else {
        32 * MEGABYTE
    };
    assert!(
        end - warm < most,
        "memory grew from {warm} KiB to {end} KiB"
    );
    assert!(
        length <= LONG || (end - warm) * 20 < warm,
        "memory grew by more than 5 %: {warm} KiB to {end} KiB"
    );
}

/// What was begun has ended.
fn ended(before: &Sample, rest: &Sample, metrics: &Metrics) {
    assert!(
        rest.threads <= before.threads,
        "{rest:?}, before {before:?}"
    );
    for gauge in [
        "edge_connections_open",
        "edge_connections_idle",
        "edge_tunnels_open",
    ] {
        assert_eq!(metrics.of_name(gauge), 0, "{gauge}");
    }
    for counter in [
        "edge_panics_total",
        "edge_log_dropped_total",
        "detect_errors_total",
    ] {
        assert_eq!(metrics.of_name(counter), 0, "{counter}");
    }
    assert_eq!(metrics.of_name("store_healthy"), 1);
}

/// Refusals before a request was read, which have no line in the log.
fn at_the_door(metrics: &Metrics, log: &ground::Log) -> u64 {
    let answers: u64 = ["2xx", "3xx", "4xx", "5xx"]
        .iter()
        .map(|class| metrics.of_name(&format!("edge_answers_total{{class=\"{class}\"}}")))
        .sum();
    assert!(
        answers >= log.lines,
        "{answers} answers, {} lines",
        log.lines
    );
    answers - log.lines
}

/// What was counted at one place is what was counted at the others.
fn adds_up(metrics: &Metrics, log: &ground::Log, rows: u64) {
    let of = |name: &str| metrics.of_name(name);
    let refused = |by: &str| of(&format!("edge_refused_total{{by=\"{by}\"}}"));
    let heard = of("edge_requests_total") + refused("codec");
    assert_eq!(
        heard, log.lines,
        "every request has its line in the access log"
    );
    // A barred source is told so when it connects, and never asked what it wants.
    let spared = refused("book") + refused("limit") + refused("route");
    assert_eq!(
        spared,
        at_the_door(metrics, log) + log.spared,
        "refusals that are no events"
    );
    assert_eq!(
        of("detect_events_total") + log.spared,
        log.lines,
        "the others were looked at"
    );
    assert_eq!(
        of("book_entries_total"),
        rows,
        "what the book wrote stands in the store"
    );
    assert_eq!(
        of("book_volatile") + of("store_queued"),
        0,
        "nothing waits for the disk"
    );
}

/// What clients counted is what the access log has of them.
fn agree(visitors: &Told, attackers: &Told, wrk: u64, log: &ground::Log, at_the_door: u64) {
    for (who, told, lines) in [
        ("visitors", visitors, log.visitors),
        ("attackers", attackers, log.attackers + at_the_door),
    ] {
        assert!(told.all() > 100, "{who}: {told:?}");
        assert!(
            (told.all()..=told.all() + told.lost).contains(&lines),
            "{who} counted {told:?}, the log has {lines} lines"
        );
    }
    // wrk hangs up on what is under way when its time is over
    assert!(
        (wrk..=wrk + ground::WRK_CONNECTIONS).contains(&log.wrk),
        "wrk counted {wrk}, the log has {}",
        log.wrk
    );
    let spoilt: u64 = visitors
        .answers
        .iter()
        .filter(|(status, _)| !matches!(status.as_str(), "200" | "502"))
        .map(|(_, n)| n)
        .sum();
    assert_eq!(spoilt, 0, "visitors got {:?}", visitors.answers);
    assert!(
        attackers.answers.get("403").copied().unwrap_or(0) > 0,
        "no attacker was refused: {attackers:?}"
    );
}

#[expect(clippy::too_many_arguments, reason = "a report of everything")]
fn told(
    length: Duration,
    before: &Sample,
    samples: &[Sample],
    rest: &Sample,
    metrics: &Metrics,
    visitors: &Told,
    attackers: &Told,
    wrk: u64,
    log: &ground::Log,
    rows: u64,
) -> String {
    let mut text = format!(
        "soak of {} s\n{:>8} {:>10} {:>8} {:>8} {:>6}\n",
        length.as_secs(),
        "second",
        "KiB",
        "threads",
        "files",
        "open"
    );
    let step = (samples.len() / 30).max(1);
    let all = std::iter::once(before)
        .chain(samples.iter().step_by(step))
        .chain([rest]);
    for one in all {
        let _written = writeln!(
            text,
            "{:>8} {:>10} {:>8} {:>8} {:>6}",
            one.at.as_secs(),
            one.memory,
            one.threads,
            one.descriptors,
            one.open
        );
    }
    let (warm, end) = memory(samples, length);
    let _written = writeln!(
        text,
        "memory warm {warm} KiB, at the end {end} KiB\nvisitors {visitors:?}\nattackers {attackers:?}\nwrk {wrk}\n{log:?}\nrows in the store {rows}\n{metrics}"
    );
    text
}
