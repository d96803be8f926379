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

use support::{cannot_run, missing, quiet};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const ACCEPT: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// What the tests need, or why they cannot run.
fn ready(needed: &[&str]) -> bool {
    let tools: Vec<String> = missing(&["ip", "python3", "curl"])
        .into_iter()
        .chain(missing(needed))
        .collect();
    if !tools.is_empty() {
        cannot_run(&format!(
            "these tools are missing: {}; 'cargo xtask test' installs them",
            tools.join(", ")
        ));
        return false;
    }
    let probe = format!("rwprobe{}", std::process::id());
    let made = quiet("ip")
        .args(["netns", "add", &probe])
        .status()
        .is_ok_and(|status| status.success());
    let _gone = quiet("ip").args(["netns", "del", &probe]).status();
    if !made {
        cannot_run("network namespaces cannot be made; run as root");
    }
    made
}
