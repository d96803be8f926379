//! The closed loop with tools that nobody here wrote, in network namespaces.
//!
//! | module | does |
//! |---|---|
//! | [`story`] | gobuster and hydra attack while curl and wrk visit, from start to drain |
//! | [`tools`] | the table of attackers: command lines, who must bar them, and how soon |
//! | [`attack`] | runs one of them until it is barred, and counts what got through |
//! | [`compare`] | the same attacks against nginx with Debian's crowdsec; writes the table |
//! | [`peer`] | nginx, crowdsec and its bouncer in a network of their own |
//! | [`slow`] | slowhttptest in its four modes, while visitors come and go |
//! | [`prefix`] | several attackers of one range, and their neighbours |
//! | [`house`] | a site behind Ringwall |
//! | [`network`] | the namespaces |
//!
//! Nothing leaves the namespaces, every attack is bounded in time.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they measured"
)]

mod attack;
mod compare;
mod house;
mod network;
mod peer;
mod prefix;
mod slow;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod tools;

use network::ready;

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const ACCEPT: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
