//! Other people's material run against us: the hub's items, its expressions, CrowdSec's
//! bucket cases and grok libraries, as far as our ordinary tests read them. They are
//! looked for beside the checkout or where `RINGWALL_SHARED` says; none may be passed over.

use anyhow::Result;

use crate::run::{cargo, find, succeeds};

/// The tests that read other people's material, as nextest chooses them.
const SUITES: &str = "(package(expr) & test(corpus)) | (package(detect) & (test(hub) | test(upstream_buckets) | test(travel))) \
                      | (package(ringwall) & test(hub))";

/// Runs them; whether they passed.
pub(crate) fn conformance(rest: &[String]) -> Result<bool> {
    if find("cargo-nextest").is_none() {
        eprintln!(
            "The suites are chosen by cargo-nextest, which is not installed. 'cargo install --locked cargo-nextest' installs it."
        );
        return Ok(false);
    }
    let mut command = cargo();
    command.env("RINGWALL_TEST_ALL", "1");
    command
        .args([
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "-E",
            SUITES,
        ])
        .args(rest);
    succeeds(&mut command)
}
