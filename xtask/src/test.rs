//! Runs every test of the workspace and says how many ran.
//!
//! A test that cannot run where it is prints `NOT RUN: ` with the reason and counts
//! as skipped; with `RINGWALL_TEST_ALL=1` it fails instead. The last line is always
//! `N passed, N failed, N skipped`.

use std::fs;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::packages;
use crate::run::{cargo, find, root, shown};

/// How a run went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// What a test prints when it cannot run.
pub(crate) const NOT_RUN: &str = "NOT RUN: ";

/// Installs what is needed if wanted, then runs all tests; whether none failed.
pub(crate) fn run(install: bool, rest: &[String]) -> Result<bool> {
    if install {
        packages::install()?;
    }
    run_with(rest, false)
}

/// Like [`run`], and a test that cannot run here fails.
pub(crate) fn run_all() -> Result<bool> {
    packages::install()?;
    run_with(&[], true)
}

fn run_with(rest: &[String], demand_all: bool) -> Result<bool> {
    let nextest = find("cargo-nextest").is_some();
    let (succeeded, count) = if nextest {
        with_nextest(rest, demand_all)?
    } else {
        println!(
            "cargo-nextest is not installed, so 'cargo test' runs the tests; they take longer."
        );
        with_cargo(rest, demand_all)?
    };
    let Count {
        passed,
        failed,
        skipped,
    } = count;
    if !succeeded && failed == 0 {
        println!("The tests could not be built or run to their end; see above.");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    Ok(succeeded && failed == 0)
}

fn with_nextest(rest: &[String], demand_all: bool) -> Result<(bool, Count)> {
    let mut command = tests(demand_all);
    command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    command.args(rest);
    if std::io::stderr().is_terminal() {
        command.args(["--color", "always"]);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let report = root().join(target).join("nextest/default/junit.xml");
    // An old report must not be counted when this run does not get that far.
    drop(fs::remove_file(&report));
    let mut count = Count::default();
    let succeeded = watch(&mut command, |line| {
        if let Some(summary) = of_nextest(line) {
            count = summary;
        }
    })?;
    let report = fs::read_to_string(report).unwrap_or_default();
    let reasons = reasons_in(&report);
    for reason in reasons.iter().chain(&second_tries(&report)) {
        println!("{reason}");
    }
    let skipped = reasons.len() as u64;
    count.passed = count.passed.saturating_sub(skipped);
    count.skipped += skipped;
    Ok((succeeded, count))
}

fn with_cargo(rest: &[String], demand_all: bool) -> Result<(bool, Count)> {
    let mut command = tests(demand_all);
    command.args(["test", "--workspace", "--no-fail-fast"]);
    command.args(rest);
    // One test at a time: the heavy ones measure, and only nextest knows which they are.
    command.args(["--", "--show-output", "--test-threads=1"]);
    let mut count = Count::default();
    let succeeded = watch(&mut command, |line| {
        if line.trim_start().starts_with(NOT_RUN) {
            count.skipped += 1;
            count.passed = count.passed.saturating_sub(1);
        } else if let Some(one) = of_cargo(line) {
            count.passed += one.passed;
            count.failed += one.failed;
            count.skipped += one.skipped;
        }
    })?;
    Ok((succeeded, count))
}

/// A cargo whose tests must all run, if so demanded.
fn tests(demand_all: bool) -> Command {
    let mut command = cargo();
    if demand_all {
        command.env("RINGWALL_TEST_ALL", "1");
    }
    command
}

/// Runs a command with its output passing through and shown to `each` line by line.
fn watch(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    println!("+ {}", shown(command));
    // nextest reports on standard error, libtest on standard output; one pipe has both.
    let (reader, writer) = std::io::pipe().context("Cannot make a pipe.")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().context("Cannot make a pipe.")?)
        .stderr(writer)
        .spawn()
        .context("Cannot run cargo. Is it installed and in the PATH?")?;
    // The command holds the pipe's other end; without it the reader sees the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .context("Cannot read what cargo says.")?
        > 0
    {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\n');
        println!("{text}");
        each(&plain(text));
        line.clear();
    }
    let status = child.wait().context("Cannot wait for cargo.")?;
    Ok(status.success())
}

/// A line without colours.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        if one == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(one);
        }
    }
    plain
}

/// Reads `Summary [ 3.3s] 22/30 tests run: 20 passed (1 slow), 1 failed, 1 timed out, 3 skipped`.
fn of_nextest(line: &str) -> Option<Count> {
    let (head, tail) = line
        .split_once(" tests run: ")
        .or_else(|| line.split_once(" test run: "))?;
    if !head.trim_start().starts_with("Summary") {
        return None;
    }
    let mut count = Count::default();
    for part in tail.split(", ") {
        let Some((number, what)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what.split(' ').next() {
            Some("passed") => count.passed += number,
            Some("failed" | "timed" | "exec") => count.failed += number,
            Some("skipped") => count.skipped += number,
            _ => {}
        }
    }
    Some(count)
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn of_cargo(line: &str) -> Option<Count> {
    let tail = line.trim_start().strip_prefix("test result: ")?;
    let (_, tail) = tail.split_once(". ")?;
    let number = |word: &str| {
        tail.split("; ")
            .filter_map(|part| part.trim().split_once(' '))
            .find(|(_, what)| *what == word)
            .and_then(|(number, _)| number.parse().ok())
            .unwrap_or(0)
    };
    Some(Count {
        passed: number("passed"),
        failed: number("failed"),
        skipped: number("ignored"),
    })
}

/// The tests of a JUnit report that passed because they could not run, with why.
fn reasons_in(report: &str) -> Vec<String> {
    report
        .split("<testcase ")
        .skip(1)
        .filter(|case| !case.contains("<failure") && !case.contains("<error"))
        .filter_map(|case| {
            let name = case.split_once("name=\"")?.1.split('"').next()?;
            let why = case.split_once(NOT_RUN)?.1.lines().next()?;
            let why = why.split('<').next().unwrap_or(why);
            Some(format!("{name} was not run: {why}"))
        })
        .collect()
}

/// The tests of a JUnit report that failed at first and passed when run once more.
fn second_tries(report: &str) -> Vec<String> {
    report
        .split("<testcase ")
        .skip(1)
        .filter(|case| case.contains("<flakyFailure") || case.contains("<flakyError"))
        .filter_map(|case| case.split_once("name=\"")?.1.split('"').next())
        .map(|name| format!("{name} failed at first and passed when run once more."))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: u64, failed: u64, skipped: u64) -> Option<Count> {
        Some(Count {
            passed,
            failed,
            skipped,
        })
    }

    #[test]
    fn what_nextest_and_cargo_say_is_counted() {
        for (line, read) in [
            (
                "     Summary [   3.155s] 22 tests run: 22 passed, 0 skipped",
                count(22, 0, 0),
            ),
            (
                "     Summary [   3.155s] 1 test run: 1 passed, 4 skipped",
                count(1, 0, 4),
            ),
            (
                "     Summary [   0.982s] 10/22 tests run: 7 passed (2 slow), 1 failed, 2 timed out, 3 skipped",
                count(7, 3, 3),
            ),
            (
                "        PASS [   0.1s] a summary of 3 tests run: 3 passed",
                None,
            ),
        ] {
            assert_eq!(of_nextest(line), read, "{line}");
        }
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(of_cargo(line), count(3, 2, 1));
        assert_eq!(of_cargo("test a ... ok"), None);
        assert_eq!(plain("\u{1b}[32;1mSummary\u{1b}[0m [1s]"), "Summary [1s]");
    }

    #[test]
    fn tests_that_could_not_run_are_named_with_their_reason() {
        let report = "<testsuites><testcase name=\"a\" time=\"1\"/><testcase name=\"b\"><system-out>x\nNOT RUN: no root here\ny</system-out></testcase><testcase name=\"c\"><failure/><system-out>NOT RUN: x</system-out></testcase></testsuites>";
        assert_eq!(reasons_in(report), ["b was not run: no root here"]);
    }

    #[test]
    fn tests_that_needed_a_second_try_are_named() {
        let report = "<testsuites><testcase name=\"a\" time=\"1\"/><testcase name=\"b\"><flakyFailure/></testcase><testcase name=\"c\"><failure/></testcase></testsuites>";
        assert_eq!(
            second_tries(report),
            ["b failed at first and passed when run once more."]
        );
    }
}
