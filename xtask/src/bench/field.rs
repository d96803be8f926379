//! `cargo xtask bench field`: what attackers get through, past Ringwall and past its peer.
//!
//! The attacks are those of `bin/ringwall/tests/field`, which also measures them; here
//! they are run in full and their table is written down with date, machine and commit.
//! The tests' build is measured and not a release: what counts are requests, and
//! neither side is anywhere near its limits. Takes about fifteen minutes, bounded by
//! the tests themselves. **Refuses** to write a table that is not whole.

use std::fs;

use anyhow::{Context as _, Result};

use super::report::{commit, field, load_average, said};
use crate::run::{cargo, root, succeeds};

const HEAD: &str = "# What attackers get through

`cargo xtask bench field` runs every attack below and rewrites this file, as root and with the Debian packages
that `cargo xtask test` installs.

How to read it. Each attacker sits in a network namespace of its own and goes on until two seconds after it is
barred, or for a minute. \"Through\" is how many of its requests reached the site behind, by the site's own log:
the fewer, the better. \"Barred by\" names the rule and when it was seen to be in force, from the tool's start on,
in steps of 50 ms and more. The first pair of columns is a site with `mode = \"enforce\"`; the second is a new site's
first seven days, in which rules that go by numbers alone only watch; the third is nginx with Debian's crowdsec
(the hub that the package brings, of it the collections for nginx and linux; central API off) and its bouncer in
nftables mode, as Debian configures them, in front of the same site. Every attack meets a fresh Ringwall and comes
from an address of its own to the peer. The site is `bin/ringwall/tests/field/shop.py`.

What the comparison does not say: crowdsec here is the version of Debian 12, from 2023, and newer ones have more
scenarios; its bouncer asks every ten seconds, as configured by default, while Ringwall decides where the request
is; and rules were mended on this side until these very tools were stopped. Requests let through depend on when
the tool is looked at and on how busy the machine is, most of all for the tools as they come, which are fast.

";

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
        "{HEAD}Measured {}, {commit}, {}, {cores} cores, Linux {}; load average {before} before, {} after.\n\n{rows}",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        field("/proc/cpuinfo", "model name"),
        said("uname", &["-r"]),
        load_average(),
    );
    println!("\n{text}");
    if !dry {
        let file = root().join("bench/FIELD.md");
        fs::write(&file, text).with_context(|| format!("Cannot write {}.", file.display()))?;
        println!("Written to {}.", file.display());
    }
    Ok(true)
}
