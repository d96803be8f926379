//! `cargo xtask bench field`: what attackers get through, past Ringwall and past its peer.
//!
//! The attacks are those of `bin/ringwall/tests/field`, which also measures them; here
//! they are run in full and their table is written down with date, machine and commit,
//! and what people wrote around it stays.
//! The tests' build is measured and not a release: what counts are requests, and
//! neither side is anywhere near its limits. Takes about fifteen minutes, bounded by
//! the tests themselves. **Refuses** to write a table that is not whole.

use std::fs;

use anyhow::{Context as _, Result};

use super::report::{FIELD, commit, field, load_average, said, write};
use crate::run::{cargo, root, succeeds};

/// Measures and writes; whether the measurement ran to its end.
pub(super) fn run(rest: &[String]) -> Result<bool> {
    let dry = rest.iter().any(|word| word == "--dry");
    let commit = commit();
    let before = load_average();
    let table = root().join("target/field-table.md");
    drop(fs::remove_file(&table));
    let ran = succeeds(
        cargo()
            .args(["test", "--package", "ringwall", "--test", "field", "--"])
            .args(["--nocapture", "the_same_attack_is_barred_by_ringwall"])
            .env("RINGWALL_FIELD_TABLE", &table)
            .env("RINGWALL_TEST_ALL", "1"),
    )?;
    if !ran {
        return Ok(false);
    }
    let rows = fs::read_to_string(&table).context("The tests wrote no table.")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let text = format!(
        "Measured {}, {commit}, {}, {cores} cores, Linux {}; load average {before} before, {} after.\n\n{rows}",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        field("/proc/cpuinfo", "model name"),
        said("uname", &["-r"]),
        load_average(),
    );
    println!("\n{text}");
    if !dry {
        write(&root().join("bench/FIELD.md"), FIELD, &text)?;
    }
    Ok(true)
}
