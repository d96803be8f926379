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

mod bounds;
mod ground;
#[path = "../field/network.rs"]
#[expect(dead_code, reason = "field tests use the rest of it")]
mod network;
mod report;
mod sample;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use ground::{Ground, Log, Outages};
use sample::{Metrics, Sample};
use support::wait_for;

const SHORT: Duration = Duration::from_secs(45);
/// With this length and more every bound holds, and samples are taken every ten seconds.
const LONG: Duration = Duration::from_secs(600);
/// Requests a second of the visitors, and of the attackers.
const RATE: u64 = 15;

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

/// What a client counted.
#[derive(Debug, Default)]
struct Told {
    answers: BTreeMap<String, u64>,
    lost: u64,
}

impl Told {
    fn by(child: Child) -> Self {
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

    /// Answers with this status.
    fn of(&self, status: &str) -> u64 {
        self.answers.get(status).copied().unwrap_or(0)
    }
}

#[test]
fn memory_is_flat_no_task_is_lost_and_the_counters_add_up() {
    if !network::ready(&["wrk", "sqlite3"]) {
        return;
    }
    let length = length();
    let mut ground = Ground::make();
    let before = Sample::of(&ground, Duration::ZERO);
    let visitors = ground.strangers("visit", 20, length, RATE, 30..40);
    let attackers = ground.strangers("attack", 21, length, RATE, 100..180);
    let wrk = ground.wrk(22, length);
    let samples = live(&mut ground, length);
    let (visitors, attackers, wrk) = (Told::by(visitors), Told::by(attackers), ground::of_wrk(wrk));
    let rest = rest(&ground, &before);
    let measured = Measured {
        length,
        before,
        samples,
        rest,
        metrics: Metrics::of(&ground),
        visitors,
        attackers,
        wrk,
        log: ground.access_log(),
        outages: ground.outages().clone(),
        rows: ground.rows(),
    };
    report::write(
        &measured,
        "**not all of them held**, see what the test said",
    );
    measured.ended();
    measured.adds_up();
    measured.agree();
    measured.served();
    measured.flat();
    assert!(ground.stop(), "it drains and ends by itself");
    report::write(&measured, "all of them held");
}

/// Everything that was measured.
struct Measured {
    length: Duration,
    before: Sample,
    samples: Vec<Sample>,
    /// When all the load had gone.
    rest: Sample,
    metrics: Metrics,
    visitors: Told,
    attackers: Told,
    /// Answers that wrk counted.
    wrk: u64,
    log: Log,
    outages: Outages,
    /// Of the book's log in the store.
    rows: u64,
}

/// Does to the running program what operators and bad days do, and samples it.
fn live(ground: &mut Ground, length: Duration) -> Vec<Sample> {
    let start = Instant::now();
    let every = if length >= LONG { 10 } else { 2 };
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
            ground.restart_site(start);
        }
        // Just before the next reload: while rules are read, what that takes for a moment is
        // held as well, and half of the reloads, those by signal, are not waited for.
        if second % every == every - 1 {
            samples.push(Sample::of(ground, start.elapsed()));
        }
    }
    samples
}

/// Waits until nothing of the load is left.
fn rest(ground: &Ground, before: &Sample) -> Sample {
    let asked = Instant::now();
    wait_for("every connection to end", Duration::from_secs(60), || {
        let now = Sample::of(ground, Duration::ZERO);
        let idle = Metrics::of(ground).of_name("edge_connections_idle");
        if asked.elapsed() > Duration::from_secs(55) {
            println!("What is left: {idle} idle, {now:?}; before: {before:?}");
        }
        // who is idle is counted once a second
        if idle > 0 {
            return None;
        }
        // idle upstream connections stay pooled; a pool's idle thread ends after ten seconds
        let few = now.descriptors <= before.descriptors + 16
            && now.threads <= before.threads
            && now.tasks <= before.tasks
            && now.helper_descriptors <= before.helper_descriptors;
        (now.open == 0 && few).then_some(now)
    })
}
