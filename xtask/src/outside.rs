//! Benchmarks and conformance suites: workspaces of their own, so that what they need
//! is not built with the product.

use anyhow::Result;

use crate::run::{cargo, root, succeeds};

/// Measures; whether the measurement ran to its end.
pub(crate) fn bench(suite: &str, rest: &[String]) -> Result<bool> {
    workspace("bench", "The benchmarks", Some(suite), rest)
}

/// Runs other people's suites; whether they passed.
pub(crate) fn conformance(rest: &[String]) -> Result<bool> {
    workspace("conformance", "The conformance suites", None, rest)
}

/// Builds and runs the workspace in `folder`.
fn workspace(folder: &str, what: &str, suite: Option<&str>, rest: &[String]) -> Result<bool> {
    let manifest = root().join(folder).join("Cargo.toml");
    if !manifest.is_file() {
        eprintln!("{what} are not built yet: there is no {folder}/Cargo.toml.");
        return Ok(false);
    }
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--manifest-path"]);
    command.arg(manifest).arg("--").args(suite).args(rest);
    succeeds(&mut command)
}
