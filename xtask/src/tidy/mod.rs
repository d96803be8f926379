//! The invariants of the house that a program can check.
//!
//! | module | checks |
//! |---|---|
//! | [`edges`] | which room may depend on which, and that pure rooms stay pure |
//! | [`lines`] | sources line by line: size, unsafe code, ignored tests, private names |

mod edges;
mod lines;

use anyhow::{Context as _, Result};
use cargo_metadata::MetadataCommand;

use crate::run::root;

/// Runs every check; whether nothing was found.
pub(crate) fn run() -> Result<bool> {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .exec()
        .context("Cannot read 'cargo metadata'. Does 'cargo check' work here?")?;
    let mut found = edges::check(&edges::House::of(&metadata));
    found.extend(lines::check(root())?);
    for one in &found {
        println!("tidy: {one}");
    }
    if found.is_empty() {
        println!("tidy: the house is in order.");
    } else {
        println!("tidy: {} found.", found.len());
    }
    Ok(found.is_empty())
}
