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
mod certificates;
mod instance;
mod slips;
mod speechless;
#[path = "../support/mod.rs"]
mod support;
mod survival;
mod words;
