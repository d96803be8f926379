//! Test data that stands beside the project.

use std::path::{Path, PathBuf};

/// The folder of shared test data: `$RINGWALL_SHARED`, or `shared` beside the
/// project. `None`, with a line that says so, when it is not here; a failure
/// where the variable that CI sets demands all tests.
pub(crate) fn shared(below: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = own
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file());
    let root = std::env::var_os("RINGWALL_SHARED")
        .map_or_else(|| project.unwrap_or(own).join("../shared"), PathBuf::from);
    let folder = root.join(below);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("RINGWALL_TEST_ALL").as_deref() != Ok("1"),
        "all tests are demanded, and {} is not here",
        folder.display()
    );
    println!(
        "NOT RUN: {} is not here; set RINGWALL_SHARED",
        folder.display()
    );
    None
}
