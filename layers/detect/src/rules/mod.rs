//! Rule files: from bytes to checked documents.
//!
//! For: reading parsers, scenarios, postoverflows, collections and grok libraries
//! in the CrowdSec hub's layout, strictly. Refuses: unknown or repeated keys, wrong
//! shapes, and files beyond the bounds in [`Bounds`]. Assumes: bytes are given; only
//! [`disk`] opens files, and only configuration. On failure: a [`Fault`] with file
//! and line; the caller chooses whether the file is skipped or loading refused.

pub mod disk;
mod doc;
mod load;
pub mod yaml;

pub use doc::{
    DataFile, DataKind, Grok, GrokSource, Node, ParserDoc, Phase, Prior, ScenarioDoc, ScenarioKind,
    ScopeDoc, Stash, Static, StaticTarget, StaticValue, Text, Whitelist,
};
pub use load::{Found, Items, RuleSet, Sources, load};

use core::fmt;

/// What is wrong in a rule file, for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file, as it was named when it was read.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// What is wrong, a clause without a full stop.
    pub what: String,
    /// What to do about it, a sentence; may be empty.
    pub help: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what)?,
            line => write!(f, "{}:{line}: {}", self.file, self.what)?,
        }
        if !self.help.is_empty() {
            write!(f, ". {}", self.help)?;
        }
        Ok(())
    }
}

/// How big a rule file may be. Chosen a power of ten above the largest of the hub's.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Nested mappings and sequences.
    pub depth: usize,
    /// Documents in one file.
    pub documents: usize,
    /// Scalars, sequences and mappings in one file.
    pub nodes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            file_bytes: 4 << 20,
            depth: 32,
            documents: 1_000,
            nodes: 200_000,
        }
    }
}
