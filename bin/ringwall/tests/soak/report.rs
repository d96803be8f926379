//! What was measured, as Markdown.

use std::fmt::Write as _;

use crate::Measured;
use crate::ground::said;

/// Prints it, and writes it to the file that is asked for.
pub fn write(measured: &Measured, bounds: &str) {
    let text = text(measured, bounds);
    println!("{text}");
    if let Some(file) = std::env::var_os("RINGWALL_SOAK_REPORT") {
        std::fs::write(file, &text).expect("the report can be written");
    }
}

/// What was run, as git names it.
fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let words = [
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "*.rs",
        "Cargo.toml",
    ];
    if said("git", &words).is_empty() {
        commit
    } else {
        format!("{commit} with changes")
    }
}

fn text(measured: &Measured, bounds: &str) -> String {
    let Measured {
        length,
        visitors,
        attackers,
        wrk,
        log,
        outages,
        rows,
        metrics,
        ..
    } = measured;
    let mut text = format!(
        "# Soak\n\n\
         `cargo xtask conformance soak` writes this: visitors, wrk and attackers all at once, while the configuration is \
         read again every ten seconds, bans come and go, everything is paused now and then, and the site behind dies \
         and returns. What must hold is in `bin/ringwall/tests/soak/bounds.rs`.\n\n\
         {} s, ended {}, commit {}, test build. Bounds: {bounds}.\n\n",
        length.as_secs(),
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        commit(),
    );
    for (who, warm, end) in measured.memory() {
        let _written = writeln!(
            text,
            "- Memory of the {who}: {warm} KiB warm, {end} KiB at the end."
        );
    }
    if let Some(at) = measured.full().and_then(|at| measured.samples.get(at)) {
        let _written = writeln!(
            text,
            "- Warm since second {}: the lists of the latest alerts and refusals are full.",
            at.at.as_secs()
        );
    }
    let _written = write!(
        text,
        "- The site was away {} times, {:.1} s in all.\n\
         - Visitors counted {:?}, {} without an answer; attackers {:?}, {} without; wrk {wrk}.\n\
         - The access log: {log:?}.\n\
         - Rows of the book in the store: {rows}.\n\n",
        outages.number,
        outages.took.as_secs_f64(),
        visitors.answers,
        visitors.lost,
        attackers.answers,
        attackers.lost,
    );
    table(&mut text, measured);
    let _written = write!(text, "\nThe metrics at the end:\n\n```text\n{metrics}```\n");
    text
}

fn table(text: &mut String, measured: &Measured) {
    text.push_str(
        "| second | KiB | threads | files | tasks | connections | helper KiB | helper files |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let step = (measured.samples.len() / 30).max(1);
    let busy = measured.samples.iter().step_by(step);
    let all = std::iter::once(&measured.before)
        .chain(busy)
        .chain([&measured.rest]);
    for (number, one) in all.enumerate() {
        let at = match (number, one.at.as_secs()) {
            (0, _) => "before".to_owned(),
            (_, 0) => "after".to_owned(),
            (_, second) => second.to_string(),
        };
        let _written = writeln!(
            text,
            "| {at} | {} | {} | {} | {} | {} | {} | {} |",
            one.memory,
            one.threads,
            one.descriptors,
            one.tasks,
            one.open,
            one.helper_memory,
            one.helper_descriptors
        );
    }
}
