//! Conformance suites: a workspace of their own, so that what they need is not built
//! with the product.

use anyhow::Result;

use crate::run::{cargo, root, succeeds};

/// Runs other people's suites; whether they passed.
pub(crate) fn conformance(rest: &[String]) -> Result<bool> {
    let manifest = root().join("conformance/Cargo.toml");
    if !manifest.is_file() {
        eprintln!("The conformance suites are not built yet: there is no conformance/Cargo.toml.");
        return Ok(false);
    }
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--manifest-path"]);
    command.arg(manifest).arg("--").args(rest);
    succeeds(&mut command)
}
