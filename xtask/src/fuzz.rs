//! Builds the fuzzers of `fuzz/` and runs each for a bounded time.
//!
//! libFuzzer wants the compiler's coverage instrumentation, which stable Rust gives to
//! whoever names the passes; this is what `cargo fuzz --sanitizer none` does. What a
//! fuzzer finds is left in `target/fuzz/found`, with the words to run it again.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, root, succeeds};

/// The instrumentation that libFuzzer reads.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg fuzzing",
    "-Ccodegen-units=1",
];

/// Seconds for each target where nothing else is said.
pub(crate) const SECONDS: u64 = 20;

/// Builds the fuzzers and runs every target for so many seconds; whether none found anything.
pub(crate) fn run(seconds: u64) -> Result<bool> {
    let host = host()?;
    let target = root().join("target/fuzz");
    // With a target named, build scripts and macros stay without instrumentation.
    let mut build = cargo();
    build
        .current_dir(root().join("fuzz"))
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env("CARGO_TARGET_DIR", &target)
        .args(["build", "--release", "--locked", "--target", &host]);
    if !succeeds(&mut build)? {
        return Ok(false);
    }
    let program = target.join(&host).join("release/fuzz");
    let mut passed = true;
    for name in names(&program)? {
        passed &= one(&program, &target, &name, seconds)?;
    }
    Ok(passed)
}

/// The triple of this machine, as rustc says it.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.context("Cannot run rustc. Is it installed and in the PATH?")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc does not say for which machine it builds."),
    }
}

fn names(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).env("RINGWALL_FUZZ", "list").output();
    let output = output.context("Cannot run the fuzzers.")?;
    let names = named(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() || names.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!(
            "The fuzzers do not say which targets there are ({}). {}",
            output.status,
            said.trim()
        );
    }
    Ok(names)
}

/// One name a line.
fn named(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let names = lines.filter(|line| !line.is_empty());
    names.map(str::to_owned).collect()
}

/// Whether the fuzzers are formatted and compile, without their instrumentation. They are
/// no part of the workspace, so nothing else would tell.
pub(crate) fn compiles() -> Result<bool> {
    let folder = root().join("fuzz");
    let mut format = cargo();
    format.current_dir(&folder).args(["fmt", "--check"]);
    let mut check = cargo();
    check
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", root().join("target/fuzz"))
        // Nothing is linked: libFuzzer itself need not be compiled for it.
        .env("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a")
        .args(["check", "--locked"]);
    let formatted = succeeds(&mut format)?;
    Ok(succeeds(&mut check)? && formatted)
}

/// Runs one target on its seeds and on what earlier runs learnt.
fn one(program: &Path, target: &Path, name: &str, seconds: u64) -> Result<bool> {
    let (corpus, seeds) = (
        target.join("corpus").join(name),
        target.join("seeds").join(name),
    );
    let found = target.join("found");
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("Cannot make {}.", folder.display()))?;
    }
    let mut seed = Command::new(program);
    seed.env("RINGWALL_FUZZ", name)
        .env("RINGWALL_FUZZ_SEEDS", &seeds);
    if !seed
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        bail!("The fuzz target '{name}' cannot write its seeds.");
    }
    let mut fuzz = Command::new(program);
    fuzz.env("RINGWALL_FUZZ", name).args([
        format!("-max_total_time={seconds}"),
        "-rss_limit_mb=2048".to_owned(),
        "-timeout=10".to_owned(),
        "-max_len=8192".to_owned(),
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
        format!("-artifact_prefix={}/{name}-", found.display()),
    ]);
    fuzz.arg(&corpus).arg(&seeds);
    let passed = succeeds(&mut fuzz)?;
    if !passed {
        println!(
            "The fuzz target '{name}' found something. Run it again with: RINGWALL_FUZZ={name} {} FILE",
            program.display()
        );
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_lists_nothing_or_fails_is_no_set_of_fuzzers() {
        for program in ["/bin/true", "/bin/false"] {
            assert!(names(Path::new(program)).is_err(), "{program}");
        }
        assert_eq!(named("wire_request\n\n book \n"), ["wire_request", "book"]);
    }
}
