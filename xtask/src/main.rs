//! The developer's commands: `cargo xtask test | ci | tidy | bench | conformance`.
//!
//! | module | does |
//! |---|---|
//! | [`test`] | installs what the tests need, runs them all, counts them |
//! | [`packages`] | the one list of Debian packages that tests need, and why |
//! | [`ci`] | format, lints, tidy, licences, then every test with nothing skipped |
//! | [`tidy`] | the invariants of the house that a program can check |
//! | [`bench`] | Ringwall beside its peers |
//! | [`fuzz`] | builds and runs the fuzzers |
//! | [`differential`] | detection beside Debian's crowdsec on long logs |
//! | [`outside`] | other people's material run against us |

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for people at a terminal"
)]

mod bench;
mod ci;
mod differential;
mod fuzz;
mod outside;
mod packages;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The developer's commands of Ringwall")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need (as root, from Debian), then run all of them.
    Test {
        /// Install nothing; tests that lack a tool say so.
        #[arg(long)]
        no_install: bool,
        /// Passed on to the test runner, such as a part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Format, lints, tidy, licences and advisories, then every test.
    Ci,
    /// Check what the design forbids: edges between rooms, oversize files and more.
    Tidy,
    /// Measure Ringwall beside its peers.
    Bench {
        /// What to measure: 'edge' or 'field'.
        suite: String,
        /// Passed on to the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Run other people's suites and programs against Ringwall, and what takes long.
    Conformance {
        /// The suites to run, such as 'hub' or 'framing'; all when none is named.
        suites: Vec<String>,
        /// For how many seconds each fuzz target runs.
        #[arg(long, default_value_t = fuzz::SECONDS)]
        fuzz_seconds: u64,
        /// How long the soak is: '90s', '10m', '1h'.
        #[arg(long, default_value = "1h")]
        soak: String,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test { no_install, rest } => test::run(!no_install, &rest),
        Command::Ci => ci::run(),
        Command::Tidy => tidy::run(),
        Command::Bench { suite, rest } => bench::run(&suite, &rest),
        Command::Conformance {
            suites,
            fuzz_seconds,
            soak,
        } => outside::conformance(
            &suites,
            &outside::Lengths {
                fuzz: fuzz_seconds,
                soak,
            },
        ),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
