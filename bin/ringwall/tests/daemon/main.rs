//! The binary as an operator meets it: start, wrong configurations, reloads, kill -9,
//! a dead helper, a dead upstream, the demo.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they measured"
)]

mod bad_input;
mod behind;
mod brought;
mod callers;
mod certificates;
mod figures;
mod hub;
mod instance;
mod logged_in;
mod slips;
mod speechless;
mod standing;
#[path = "../support/mod.rs"]
mod support;
mod survival;
mod swarm;
mod whom;
mod words;
