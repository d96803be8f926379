//! The room that knows every ring: builds them, reloads them, drains them, and
//! answers the control socket.
//!
//! ```text
//! edge ──HttpEvent──▶ watch ──Pour──▶ detect::Shards ──Alert──▶ bookkeeper
//!   ▲                                                              │ respond → admit
//!   └────── gate reads book::Published ◀──── publish ◀─────────────┘ → store
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`daemon`] | one running instance: start, reload, drain |
//! | [`watch`] | detection on the edge's own cores |
//! | [`bookkeeper`] | the one place that changes the book |
//! | [`rulebook`] | rules from the binary, the hub or a folder, compiled |
//! | [`hub`](mod@hub) | `ringwall hub`: what is installed of the hub |
//! | [`labels`] | sites from the labels of Docker's containers |
//! | [`hosts`] | the hosts that rules name, looked up before anybody asks |
//! | [`inquiry`] | what rules ask the network, asked beside everything else |
//! | [`posture`] | what holds, for `status` |
//! | [`profiles_file`] | profiles in CrowdSec's form |
//! | [`simulation_file`] | what CrowdSec's form says runs in simulation |
//! | [`control`] | the control socket, both ends |
//! | [`commands`] | what the command line's words do |
//! | [`demo`] | the narrated demo |
//! | [`term`] | writing for people at a terminal |

pub mod bookkeeper;
pub mod commands;
pub mod configuration;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod error;
pub mod hosts;
pub mod hub;
pub mod inquiry;
pub mod labels;
pub mod metrics;
pub mod oracle;
pub mod posture;
pub mod profiles_file;
pub mod rulebook;
pub mod simulation_file;
pub mod surroundings;
pub mod term;
pub mod translate;
pub mod visibility;
pub mod watch;

pub use error::Error;

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock; the one place where `app` reads it.
#[must_use]
pub fn now() -> vocab::Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    vocab::Timestamp::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// 128 random bits for the name of a decision, an entry or an item.
#[must_use]
pub fn random_id() -> u128 {
    let mut bytes = [0; 16];
    // The kernel's generator does not fail once it was seeded; should it, the
    // time keeps names distinct on this host.
    if getrandom::fill(&mut bytes).is_err() {
        return u128::from(now().unix_nanos().unsigned_abs());
    }
    u128::from_ne_bytes(bytes)
}
