//! The binary as an operator meets it: start, wrong configurations, reloads, kill -9,
//! a dead helper, a dead upstream, the demo.

mod bad_input;
mod instance;
#[path = "../support/mod.rs"]
mod support;
mod survival;
mod words;
