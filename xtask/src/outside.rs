//! Other people's material and programs run against us, and what takes longer than an
//! ordinary test: one list of suites, each with a name to choose it by.
//!
//! The hub's items, its expressions, CrowdSec's bucket cases and grok libraries are looked
//! for beside the checkout or where `RINGWALL_SHARED` says; none may be passed over.

use anyhow::{Result, bail};

use crate::differential;
use crate::fuzz;
use crate::run::{cargo, find, root, succeeds};

/// One suite.
struct Suite {
    /// What it is chosen by on the command line.
    name: &'static str,
    /// What it shows.
    shows: &'static str,
    /// What runs it.
    how: How,
}

enum How {
    /// Tests, as nextest chooses them, with what makes them thorough.
    Tests(&'static str, &'static [(&'static str, &'static str)]),
    /// The fuzzers, each for the given time.
    Fuzz,
    /// Detection beside crowdsec, which reads for longer than nextest waits.
    Differential,
    /// The soak, for the given time. nextest would end it after ten minutes.
    Soak,
}

/// How long what has no end by itself goes on.
#[derive(Clone, Debug)]
pub(crate) struct Lengths {
    /// Seconds for each fuzz target.
    pub(crate) fuzz: u64,
    /// The soak's length, such as `1h`.
    pub(crate) soak: String,
}

const fn tests(
    name: &'static str,
    shows: &'static str,
    filter: &'static str,
    thorough: &'static [(&'static str, &'static str)],
) -> Suite {
    Suite {
        name,
        shows,
        how: How::Tests(filter, thorough),
    }
}

const SUITES: &[Suite] = &[
    tests(
        "hub",
        "the hub's items, expressions and bucket cases mean here what they mean there",
        "(package(expr) & test(corpus)) | (package(detect) & (test(hub) | test(upstream_buckets) | test(travel))) \
         | (package(ringwall) & test(hub))",
        &[],
    ),
    tests(
        "fields",
        "a request has the fields that the hub's parsers read from nginx's log of it",
        "package(app) & test(equal)",
        &[],
    ),
    tests(
        "framing",
        "nginx and HAProxy, before us and behind us, split requests as we do",
        "package(edge) & test(second)",
        &[("RINGWALL_DAMAGED", "20000")],
    ),
    Suite {
        name: "detect",
        shows: "on logs of 200,000 lines alerts are those of Debian's crowdsec",
        how: How::Differential,
    },
    Suite {
        name: "fuzz",
        shows: "no input makes a parser panic, hang, or read back otherwise than it wrote",
        how: How::Fuzz,
    },
    Suite {
        name: "soak",
        shows: "under mixed load memory is flat, no task is lost, the counters add up",
        how: How::Soak,
    },
];

/// Runs the suites that are named, or all; whether they passed.
pub(crate) fn conformance(chosen: &[String], lengths: &Lengths) -> Result<bool> {
    for name in chosen {
        if !SUITES.iter().any(|suite| suite.name == name) {
            let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
            bail!(
                "There is no suite '{name}'. There are: {}.",
                known.join(", ")
            );
        }
    }
    let mut all_passed = true;
    let mut told = Vec::new();
    for suite in SUITES {
        if !chosen.is_empty() && !chosen.iter().any(|name| name == suite.name) {
            continue;
        }
        println!("{}: {}", suite.name, suite.shows);
        let passed = match suite.how {
            How::Tests(filter, thorough) => nextest(filter, thorough)?,
            How::Differential => differential::run()?,
            How::Fuzz => fuzz::run(lengths.fuzz)?,
            How::Soak => soak(&lengths.soak)?,
        };
        told.push(format!(
            "{}: {}",
            suite.name,
            if passed { "passed" } else { "FAILED" }
        ));
        all_passed &= passed;
    }
    println!("{}", told.join("\n"));
    Ok(all_passed)
}

/// Runs tests that nextest chooses; all must be able to run.
fn nextest(filter: &str, thorough: &[(&str, &str)]) -> Result<bool> {
    if find("cargo-nextest").is_none() {
        eprintln!(
            "The suites are chosen by cargo-nextest, which is not installed. 'cargo install --locked cargo-nextest' installs it."
        );
        return Ok(false);
    }
    let mut command = cargo();
    command
        .env("RINGWALL_TEST_ALL", "1")
        .envs(thorough.iter().copied())
        .args(["nextest", "run", "--workspace", "--no-fail-fast", "-E"])
        .arg(filter);
    succeeds(&mut command)
}

/// Runs the soak for so long. What was measured goes to `bench/SOAK.md`; of a run that is
/// not given in hours, to the target folder.
fn soak(length: &str) -> Result<bool> {
    let report = if length.ends_with('h') {
        root().join("bench/SOAK.md")
    } else {
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        root().join(target).join("SOAK.md")
    };
    let mut command = cargo();
    command
        .env("RINGWALL_TEST_ALL", "1")
        .env("RINGWALL_SOAK", length)
        .env("RINGWALL_SOAK_REPORT", &report)
        .args([
            "test",
            "-p",
            "ringwall",
            "--test",
            "soak",
            "--",
            "--nocapture",
        ]);
    let passed = succeeds(&mut command)?;
    println!("What was measured is in {}.", report.display());
    Ok(passed)
}
