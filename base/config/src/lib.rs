//! The configuration: one TOML file in, one immutable [`Config`] out.
//!
//! ```text
//! file --toml--> tree + spans --environment--> tree --shape--> Raw --validate--> Config
//!                    \______________ every fault, with its place ______________/
//! ```
//!
//! **For:** everything that a user can set. **Refuses:** unknown keys (with a
//! did-you-mean), values out of range, sites or listeners that contradict each
//! other, files that are named and missing. **Assumes:** nothing about the machine
//! but what [`Surroundings`] says. **On failure:** all [`Faults`] at once, each with
//! file, line, column, the value and what is allowed; nothing is half-loaded.
//!
//! | module | holds |
//! |---|---|
//! | [`snapshot`] | [`Config`] and its parts: what the house programs against |
//! | [`raw`] | the shape of the file, its defaults, and the reasons for them |
//! | [`fault`] | [`Fault`], [`Faults`]: `miette` diagnostics with source spans |
//! | [`load`] | [`load()`], [`parse`], [`find`] and the [`Arguments`] of the command line |
//! | [`origin`] | [`Origins`]: where each effective value comes from |
//! | [`surroundings`] | [`Surroundings`], [`Probe`]: environment, user and files, passed in |

mod env;
pub mod fault;
pub mod load;
pub mod origin;
pub mod raw;
mod shape;
pub mod snapshot;
pub mod surroundings;
mod tree;
mod validate;

pub use fault::{Fault, Faults};
pub use load::{Arguments, find, load, parse};
pub use origin::{Effective, Origin, Origins};
pub use raw::json_schema;
pub use snapshot::Config;
pub use surroundings::{Blind, Disk, FileKind, Probe, Surroundings};
