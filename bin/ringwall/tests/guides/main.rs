//! The guides, run as they stand: what a reader types is typed, and what the guide shows
//! is held against what came out.
//!
//! A guide is Markdown. What the test must know stands in comments that no reader sees:
//!
//! | comment | the block behind it |
//! |---|---|
//! | `on: NAME` | is typed on that machine instead of the server |
//! | `stays: NAME` | is one command that keeps running |
//! | `stop: NAME` | (no block) ends that command |
//! | `file: PATH` | is that file |
//! | `skip: WHY` | is not run |
//! | `fails: WHY` | has a command that ends with an error, and is to |
//!
//! In a `console` block, lines with `$ ` are typed, and the lines below are what must
//! come out, `…` standing for anything within a line, and alone for any lines.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they ran"
)]

mod machines;
#[path = "../support/mod.rs"]
mod support;
mod transcript;

use machines::Machines;
use std::path::PathBuf;

use support::{cannot_run, missing, shared};
use transcript::{Step, steps};

/// What the machines and the guides' commands take.
const TOOLS: [&str; 10] = [
    "ip",
    "nsenter",
    "unshare",
    "curl",
    "python3",
    "openssl",
    "nginx",
    "nft",
    "ss",
    "systemd-analyze",
];

#[test]
fn every_command_of_the_start_guide_does_what_the_guide_says() {
    let text = include_str!("../../../../guides/start.md");
    typed(text, 25, 1);
}

#[test]
fn every_command_of_the_detection_guide_does_what_the_guide_says() {
    let text = include_str!("../../../../guides/detection.md");
    typed(text, 15, 0);
}

/// Types a guide, which has at least so many commands, and skips at most so many blocks.
fn typed(text: &str, least: usize, most_skipped: usize) {
    let missing = missing(&TOOLS);
    if !missing.is_empty() || !support::is_root() {
        cannot_run(&format!(
            "it takes root and {}; 'cargo xtask test' installs them",
            missing.join(", ")
        ));
        return;
    }
    let Some(hub) = shared("hub") else { return };
    let (ran, skipped) = follow(text, hub);
    println!("{ran} commands ran, {skipped} did not");
    assert!(ran >= least, "the guide has lost its commands: {ran}");
    assert!(
        skipped <= most_skipped,
        "{skipped} blocks of the guide are not run"
    );
}

/// Does what a guide says; how many commands ran, and how many blocks did not.
fn follow(text: &str, hub: PathBuf) -> (usize, usize) {
    // To see what a guide should say.
    let show = std::env::var_os("RINGWALL_GUIDE_SHOW").is_some();
    let mut machines = Machines::make();
    machines.mirror(hub);
    let (mut ran, mut skipped) = (0, 0);
    for step in steps(text) {
        match step {
            Step::File { path, text } => machines.write(&path, &text),
            Step::Stay { name, command } => {
                machines.stay(&name, &command);
                ran += 1;
            }
            Step::Stop { name } => machines.stop(&name),
            Step::Skip => skipped += 1,
            Step::Run {
                machine,
                command,
                expected,
                may_fail,
            } => {
                let (output, status) = machines.run(&machine, &command);
                println!("{machine}$ {command}\n{output}");
                assert!(
                    show || transcript::agrees(&expected, &output),
                    "the guide says that '{command}' on the {machine} prints\n{}\nbut it printed\n{output}\n\
                     Ringwall said:\n{}",
                    expected.join("\n"),
                    machines.said()
                );
                assert!(
                    show || may_fail || status.success(),
                    "'{command}' on the {machine} ended with {status}, and the guide does not say so:\n{output}"
                );
                ran += 1;
            }
        }
    }
    assert!(
        !show,
        "RINGWALL_GUIDE_SHOW only shows what comes out: nothing was held against the guide"
    );
    (ran, skipped)
}
