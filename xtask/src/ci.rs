//! What must hold before a change goes in. Every step runs, so that one round names
//! everything.

use anyhow::Result;

use crate::run::{cargo, find, succeeds};
use crate::{fuzz, test, tidy};

/// Runs every step; whether all of them succeeded.
pub(crate) fn run() -> Result<bool> {
    let mut failed = Vec::new();
    let mut step = |name: &'static str, succeeded: bool| {
        if !succeeded {
            failed.push(name);
        }
    };
    step(
        "format",
        succeeds(cargo().args(["fmt", "--all", "--check"]))?,
    );
    step(
        "lints",
        succeeds(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))?,
    );
    step("tidy", tidy::run()?);
    step("fuzzers", fuzz::compiles()?);
    let denies = find("cargo-deny").is_some();
    if denies {
        step(
            "licences and advisories",
            succeeds(cargo().args(["deny", "check"]))?,
        );
    }
    // Tests that cannot run here fail: nothing is passed over in silence.
    step("tests", test::run_all()?);
    if failed.is_empty() {
        println!("Everything that ran succeeded.");
    } else {
        println!("These steps failed: {}.", failed.join(", "));
    }
    // Last, where it is read: it does not fail, since not every machine can have it.
    if !denies {
        println!(
            "NOT RUN: licences and advisories, because cargo-deny is not installed. 'cargo install --locked cargo-deny' installs it."
        );
    }
    Ok(failed.is_empty())
}
