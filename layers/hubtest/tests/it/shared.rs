//! Test data that stands beside the project.

use std::path::PathBuf;

/// The folder of shared test data: `$RINGWALL_SHARED`, or `shared` beside the
/// project. `None`, with a line that says so, when it is not here; a failure
/// where the variable that CI sets demands all tests.
pub(crate) fn shared(below: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RINGWALL_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
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
