//! Detection beside Debian's crowdsec on long logs: runs the comparison and writes what it
//! found to `bench/DETECT-DIFF.md`.
//!
//! The tests see one log each, and leave a section, the excuses and the scenarios of each.
//! Here they are put together, and what no log shows is found out: an excuse that none needs,
//! a scenario that none has an alert of. On failure: what was found is written all the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::bench::commit;
use crate::run::{cargo, root, succeeds};

/// The logs that are compared.
const LOGS: [&str; 5] = ["nginx", "apache", "sshd", "haproxy", "crawled"];
/// Lines of each; the last has fewer.
const LINES: &str = "200000";

/// What may differ.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Intended {
    why: String,
    /// Whether some log must need it.
    always: bool,
    /// How often, by log.
    often: [u64; LOGS.len()],
}

/// All logs together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Outcome {
    /// By name.
    intended: BTreeMap<String, Intended>,
    /// Each scenario's alerts, by log.
    raised: BTreeMap<String, [u64; LOGS.len()]>,
}

/// Compares alerts with crowdsec's, which takes it about an hour and a half of processor
/// time. What crowdsec said is kept, so that a later run need not wait for it. Whether all
/// was equal or intended, and all that could be shown was.
pub(crate) fn run() -> Result<bool> {
    let kept = root().join("target/detect-diff");
    std::fs::create_dir_all(&kept)?;
    for log in LOGS {
        // Nothing of an earlier run may stand for this one.
        for kind in ["md", "excuses", "raised"] {
            drop(std::fs::remove_file(kept.join(format!("{log}.{kind}"))));
        }
    }
    let mut command = cargo();
    command
        .env("RINGWALL_TEST_ALL", "1")
        .env("RINGWALL_DIFFERENTIAL", LINES)
        .env("RINGWALL_DIFFERENTIAL_KEPT", &kept)
        .env("RINGWALL_DIFFERENTIAL_REPORT", &kept)
        .args(["test", "-p", "detect", "--test", "it", "heavy_alerts_on"])
        .args(["--", "--nocapture", "--test-threads=1"]);
    let passed = succeeds(&mut command)?;
    let mut outcome = Outcome::default();
    for (place, log) in LOGS.iter().enumerate() {
        // A log that was not compared has shown nothing.
        let read = |kind: &str| std::fs::read_to_string(kept.join(format!("{log}.{kind}")));
        outcome.excuses(place, &read("excuses").unwrap_or_default())?;
        outcome.alerts(place, &read("raised").unwrap_or_default())?;
    }
    let file = root().join("bench/DETECT-DIFF.md");
    std::fs::write(&file, report(&kept, &outcome, &crowdsec()?))?;
    println!("What was found is in {}.", file.display());
    let unseen = outcome.unseen();
    if passed && !unseen.is_empty() {
        println!("No log shows: {}.", unseen.join(", "));
    }
    Ok(passed && unseen.is_empty())
}

/// crowdsec's own version, as it says it.
fn crowdsec() -> Result<String> {
    let program = root().join("target/debian/crowdsec/usr/bin/crowdsec");
    let output = Command::new(&program).arg("-version").output();
    let output = output.with_context(|| format!("Cannot run {}.", program.display()))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.lines().find_map(|line| {
        let (_, version) = line.split_once("version: ")?;
        version.split_whitespace().next().map(str::to_owned)
    });
    Ok(version.unwrap_or_else(|| "of an unknown version".to_owned()))
}

impl Outcome {
    /// Adds a log's excuses: name, when, how often, why.
    fn excuses(&mut self, place: usize, text: &str) -> Result<()> {
        for line in text.lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let [name, when, often, why] = parts.as_slice() else {
                bail!("'{line}' is no excuse: it wants four parts.");
            };
            let number = often.parse().context("An excuse without a number.")?;
            let entry = self.intended.entry((*name).to_owned());
            let entry = entry.or_insert_with(|| Intended {
                why: (*why).to_owned(),
                always: *when == "always",
                often: [0; LOGS.len()],
            });
            put(&mut entry.often, place, number);
        }
        Ok(())
    }

    /// Adds a log's alerts: scenario, how many.
    fn alerts(&mut self, place: usize, text: &str) -> Result<()> {
        for line in text.lines() {
            let Some((name, number)) = line.split_once('\t') else {
                bail!("'{line}' is no scenario with its alerts.");
            };
            let number = number.parse().context("A scenario without a number.")?;
            put(
                self.raised.entry(name.to_owned()).or_default(),
                place,
                number,
            );
        }
        Ok(())
    }

    /// The excuses that some log must need and none does, the scenarios that raise nothing.
    fn unseen(&self) -> Vec<&str> {
        let none = |numbers: &[u64]| numbers.iter().all(|number| *number == 0);
        let excuses = self.intended.iter();
        let excuses = excuses.filter(|(_, one)| one.always && none(&one.often));
        let scenarios = self.raised.iter().filter(|(_, alerts)| none(*alerts));
        let names = excuses.map(|(name, _)| name);
        names
            .chain(scenarios.map(|(name, _)| name))
            .map(String::as_str)
            .collect()
    }
}

fn put(numbers: &mut [u64; LOGS.len()], place: usize, number: u64) {
    if let Some(known) = numbers.get_mut(place) {
        *known = number;
    }
}

fn report(kept: &Path, outcome: &Outcome, crowdsec: &str) -> String {
    let mut report = format!(
        "# Detection beside Debian's crowdsec\n\n\
         Written by `cargo xtask conformance detect` (Ringwall at {}): made-up logs of {LINES} lines and one of 20000 \
         (`crawled`: an nginx that robots and crawlers visit), Debian's crowdsec {crowdsec} on each twice, and \
         `detect::replay` with 1, 2 and 5 threads, whose alerts are equal to the byte. Items: Debian's collections \
         nginx, apache2, sshd, haproxy with all that they name, syslog-logs, dateparse-enrich, whitelists; for \
         crowdsec without `reprocess`, with which it stops for ever now and then.\n\n\
         Each pair of scenario and source must have as many alerts with ours as with crowdsec, or a number between \
         those of its two runs where they differ. Where they have the same number, start, stop and count of each \
         alert must be crowdsec's as far as its runs agree. A difference is intended only where a model of 1.4.6 \
         (`layers/detect/tests/it/differential/model.rs`), fed with the same events, raises alert for alert what both \
         runs raised. An excuse that no log needs fails the comparison, unless it is of what crowdsec does by \
         chance; so does a scenario that has no alert on any log.\n\n",
        commit(),
    );
    report.push_str("## Intended differences\n\n");
    report.push_str(&heading(&["what", "in which runs"], &["why"]));
    for (name, one) in &outcome.intended {
        let when = if one.always { "all" } else { "some, by chance" };
        let row = format!("| {name} | {when} | {} | {} |\n", row(&one.often), one.why);
        report.push_str(&row);
    }
    for log in LOGS {
        let section = std::fs::read_to_string(kept.join(format!("{log}.md")));
        let section = section.unwrap_or_else(|_| format!("## {log}\n\nNot compared.\n"));
        report.push('\n');
        report.push_str(&section);
    }
    report.push_str("\n## Alerts of crowdsec's first run\n\n");
    report.push_str(&heading(&["scenario"], &[]));
    for (name, alerts) in &outcome.raised {
        report.push_str(&format!("| `{name}` | {} |\n", row(alerts)));
    }
    report
}

/// A table's head with a column for each log between these.
fn heading(before: &[&str], after: &[&str]) -> String {
    let names = [before, LOGS.as_slice(), after].concat();
    let lines = [
        "---|".repeat(before.len()),
        "---:|".repeat(LOGS.len()),
        "---|".repeat(after.len()),
    ];
    format!("| {} |\n|{}\n", names.join(" | "), lines.concat())
}

fn row(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_log_shows_is_found_out_unless_it_is_a_matter_of_chance() {
        let mut outcome = Outcome::default();
        let excuses = "a\talways\t0\tx\nb\tby chance\t0\ty\n";
        outcome.excuses(0, excuses).unwrap();
        outcome.alerts(0, "h/one\t0\nh/two\t3\n").unwrap();
        assert_eq!(outcome.unseen(), ["a", "h/one"]);
        outcome.excuses(3, "a\talways\t2\tx\n").unwrap();
        outcome.alerts(4, "h/one\t1\n").unwrap();
        assert!(outcome.unseen().is_empty());
        let report = report(Path::new("/nowhere"), &outcome, "1");
        for line in [
            "| what | in which runs | nginx | apache | sshd | haproxy | crawled | why |",
            "| a | all | 0 | 0 | 0 | 2 | 0 | x |",
            "## sshd\n\nNot compared.",
            "| `h/two` | 3 | 0 | 0 | 0 | 0 |",
        ] {
            assert!(report.contains(line), "{line}: {report}");
        }
        for broken in ["a\talways\t2", "a\talways\tx\ty"] {
            assert!(outcome.excuses(0, broken).is_err());
        }
        assert!(outcome.alerts(0, "h/one").is_err());
    }
}
