//! One run of a program over a log, and what the kernel says it cost.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::process::{Cpu, kibibytes};
use crate::run::root;

/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a run cost.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Spent {
    /// Processor seconds, in user space and in the kernel.
    pub(super) cpu: f64,
    pub(super) wall: f64,
    /// The most memory it had at once, in MiB.
    pub(super) peak: f64,
    pub(super) alerts: usize,
    /// Living buckets that made room for others.
    pub(super) evicted: u64,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} s of processor time, {:.2} s, {:.0} MiB, {} alerts",
            self.cpu, self.wall, self.peak, self.alerts
        )
    }
}

impl Spent {
    /// Medians, each figure by itself.
    pub(super) fn median(runs: &[Self]) -> Self {
        let of = |figure: &dyn Fn(&Self) -> f64| {
            let mut figures: Vec<f64> = runs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().unwrap_or(0.0)
        };
        let last = runs.last().copied().unwrap_or_default();
        Self {
            cpu: of(&|run| run.cpu),
            wall: of(&|run| run.wall),
            peak: of(&|run| run.peak),
            ..last
        }
    }
}

/// Which rules are loaded.
#[derive(Clone, Debug)]
pub(super) struct Items(Vec<(&'static str, PathBuf)>);

impl Items {
    /// Ringwall's own.
    pub(super) fn own() -> Self {
        Self(Vec::new())
    }

    /// The very folder that crowdsec reads.
    pub(super) fn like_crowdsec(folder: &Path) -> Self {
        Self(vec![
            ("--hub", folder.to_owned()),
            ("--patterns", folder.join("patterns")),
            ("--data", folder.join("data")),
        ])
    }

    /// The whole hub, with its patterns and data; `None` when it is not here.
    pub(super) fn hub() -> Option<Self> {
        let shared = std::env::var_os("RINGWALL_SHARED")
            .map_or_else(|| root().join("../shared"), PathBuf::from);
        let found = Self(vec![
            ("--hub", shared.join("hub")),
            ("--patterns", shared.join("crowdsec/patterns")),
            ("--data", shared.join("crowdsec/sec-lists")),
        ]);
        found
            .0
            .iter()
            .all(|(_, path)| path.is_dir())
            .then_some(found)
    }
}

/// Ringwall over a log of this type, with so many threads.
pub(super) fn ringwall(
    binary: &Path,
    items: &Items,
    (kind, threads): (&str, usize),
    log: &Path,
) -> Result<Spent> {
    let mut command = Command::new(binary);
    command.args(["replay", "--type", kind, "--threads", &threads.to_string()]);
    for (option, path) in &items.0 {
        command.arg(option).arg(path);
    }
    command.arg(log);
    let said = log.with_extension("said");
    let mut spent = measured(&mut command, &said)?;
    let text = fs::read_to_string(&said).unwrap_or_default();
    let summary = text
        .lines()
        .rev()
        .find(|line| line.contains(" not understood; "));
    let number_before = |word: &str| -> Option<u64> {
        let (before, _) = summary?.split_once(word)?;
        before.split(' ').next_back()?.parse().ok()
    };
    let Some(alerts) = number_before(" alert") else {
        bail!("Ringwall did not read the log:\n{text}");
    };
    spent.alerts = usize::try_from(alerts)?;
    spent.evicted = number_before(" living buckets").unwrap_or(0);
    Ok(spent)
}

/// crowdsec over a web server's log, configured in `folder`.
pub(super) fn crowdsec(debian: &Path, folder: &Path, log: &Path) -> Result<Spent> {
    let script = format!(
        "ip link set lo up && exec {}/usr/bin/crowdsec -c {}/config.yaml -type nginx -dsn file://{}",
        debian.display(),
        folder.display(),
        log.display()
    );
    let unshare = crate::run::find("unshare").context("unshare is not installed.")?;
    let mut command = Command::new(unshare);
    command.args(["--net", "sh", "-c", &script]);
    let said = log.with_extension("crowdsec");
    let mut spent = measured(&mut command, &said)?;
    let text = fs::read_to_string(&said).unwrap_or_default();
    if !text.contains("Starting processing data") {
        bail!("crowdsec did not read the log:\n{text}");
    }
    spent.alerts = text.matches(" performed '").count();
    Ok(spent)
}

/// The version of the crowdsec that was unpacked.
pub(super) fn version(debian: &Path) -> String {
    let told = Command::new(debian.join("usr/bin/crowdsec"))
        .arg("-version")
        .output();
    let text = told.map_or_else(
        |_| String::new(),
        |told| {
            let both = [told.stdout, told.stderr].concat();
            String::from_utf8_lossy(&both).into_owned()
        },
    );
    let version = text.split_once("version: ").map_or("", |(_, rest)| rest);
    version.lines().next().unwrap_or("").to_owned()
}

/// Runs a command to its end; its words go to a file.
fn measured(command: &mut Command, said: &Path) -> Result<Spent> {
    let file =
        fs::File::create(said).with_context(|| format!("Cannot write {}.", said.display()))?;
    let also = file.try_clone().context("Cannot share a file.")?;
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(also)
        .spawn()
        .with_context(|| format!("Cannot start {}.", crate::run::shown(command)))?;
    let spent = watch(&mut child, began);
    if spent.is_err() {
        let _killed = child.kill();
    }
    let status = child.wait().context("Cannot wait for a process.")?;
    let spent = spent?;
    if !status.success() {
        let text = fs::read_to_string(said).unwrap_or_default();
        bail!("{} failed:\n{text}", crate::run::shown(command));
    }
    Ok(spent)
}

/// Looks at a process until it has ended, and is not waited for yet: then the kernel's sums
/// are still there, and final. Its peak of memory only grows, and is read every few
/// milliseconds.
fn watch(child: &mut Child, began: Instant) -> Result<Spent> {
    let id = child.id();
    let mut peak: f64 = 0.0;
    loop {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        peak = peak.max(kibibytes(&status, "VmHWM:"));
        let ended = status.lines().any(|line| line.starts_with("State:\tZ"));
        if ended {
            let wall = began.elapsed().as_secs_f64();
            let cpu = Cpu::of(&[id])?;
            return Ok(Spent {
                cpu: cpu.user + cpu.system,
                wall,
                peak: peak / 1024.0,
                ..Spent::default()
            });
        }
        if began.elapsed() > PATIENCE {
            bail!("A run took longer than {PATIENCE:?}.");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_to_its_end() {
        let said = std::env::temp_dir().join(format!("ringwall-runs-{}", std::process::id()));
        let work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done";
        let spent = measured(Command::new("sh").args(["-c", work]), &said).unwrap();
        assert!(
            spent.cpu > 0.0 && spent.wall > 0.0 && spent.peak > 0.0,
            "{spent}"
        );
        assert!(measured(Command::new("sh").args(["-c", "exit 3"]), &said).is_err());
        fs::remove_file(said).unwrap();
    }

    #[test]
    fn medians_are_of_each_figure_by_itself() {
        let run = |cpu: f64, peak: f64| Spent {
            cpu,
            peak,
            ..Spent::default()
        };
        let median = Spent::median(&[run(3.0, 1.0), run(1.0, 3.0), run(2.0, 2.0)]);
        assert!((median.cpu - 2.0).abs() < 1e-9 && (median.peak - 2.0).abs() < 1e-9);
    }
}
