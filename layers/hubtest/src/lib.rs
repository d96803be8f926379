//! The hub's own test cases, run by our engine.
//!
//! ```text
//! config.yaml ──▶ Case ── Bench::run ──▶ dumps ── assertions ──▶ Verdict
//! ```
//!
//! **For.** `ringwall hubtest`: each case names rules and a log, and says line by line
//! what the parsers must have made of it and which alerts must be raised. Every case gets
//! a program of its own, as small as it says.
//!
//! **Refuses.** Files, threads and the clock: what a case needs is handed in as
//! [`Material`], together with the time at which the case runs. Paths that leave the hub
//! or the case's folder.
//!
//! **Assumes.** Rules, logs and asserts may be hostile: programs are bounded by `detect`,
//! asserts by `expr`, dumps by [`dump::MAX_BYTES`].
//!
//! **On failure.** A case that cannot be run is a case that failed, with a reason.
//!
//! | module | what |
//! |---|---|
//! | [`case`] | what a case's `config.yaml` says |
//! | [`shelf`] | the hub's rule files, found by name or path |
//! | [`dates`] | the time at which a hub's cases run |
//! | [`dump`] | what parsers and buckets did, as asserts see it |
//! | [`overflow`] | overflows, their sources and alerts |
//! | [`assertion`] | asserts, and why one fails |
//! | [`standins`] | databases of addresses for whoever has none |
//! | [`run`] | one case from material to verdict |

pub mod assertion;
pub mod case;
pub mod dates;
pub mod dump;
pub mod overflow;
pub mod run;
pub mod shelf;
pub mod standins;

pub use assertion::Failure;
pub use case::Case;
pub use run::{Bench, Material, Verdict};
pub use shelf::{Kind, Shelf};
