//! What is read off the running program.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::ground::{Ground, METRICS};
use crate::network::inside;

/// The program at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Duration,
    /// Resident memory in KiB.
    pub memory: i64,
    pub threads: i64,
    pub descriptors: usize,
    /// Client connections.
    pub open: u64,
    /// Tasks of all runtimes.
    pub tasks: u64,
    /// Alerts and refusals so far.
    pub alerts: u64,
    pub refusals: u64,
    /// The same of the helper, which kept root.
    pub helper_memory: i64,
    pub helper_descriptors: usize,
}

impl Sample {
    pub fn of(ground: &Ground, at: Duration) -> Self {
        let (own, helper) = (ground.process(), ground.helper());
        let metrics = Metrics::of(ground);
        Self {
            at,
            memory: number(own, "VmRSS:"),
            threads: number(own, "Threads:"),
            descriptors: descriptors(own),
            open: metrics.of_name("edge_connections_open"),
            tasks: metrics.of_name("edge_tasks") + metrics.of_name("control_tasks"),
            alerts: metrics.of_name("detect_alerts_total"),
            refusals: ["book", "limit", "rule", "codec", "route"]
                .iter()
                .map(|by| metrics.of_name(&format!("edge_refused_total{{by=\"{by}\"}}")))
                .sum(),
            helper_memory: number(helper, "VmRSS:"),
            helper_descriptors: descriptors(helper),
        }
    }
}

/// A figure of a process that is alive.
fn number(process: u32, key: &str) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))
        .unwrap_or_else(|error| panic!("process {process} is gone: {error}"));
    let line = status.lines().find(|line| line.starts_with(key));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("process {process} has no {key} {status}"))
}

fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap_or_else(|error| panic!("process {process}: {error}"))
        .count()
}

/// The page at `/metrics`.
#[derive(Debug)]
pub struct Metrics(BTreeMap<String, u64>);

impl Metrics {
    pub fn of(ground: &Ground) -> Self {
        let output = inside(&ground.edge(), "curl")
            .args(["-s", "-m", "10", &format!("http://{METRICS}/metrics")])
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((
                name.strip_prefix("ringwall_")?.to_owned(),
                value.parse().ok()?,
            ))
        });
        Self(pairs.collect())
    }

    /// A value by its name and label; a label that never occurred is 0.
    pub fn of_name(&self, name: &str) -> u64 {
        let known = self.0.contains_key(name) || name.contains('{');
        assert!(known, "there is no metric {name}: {self}");
        self.0.get(name).copied().unwrap_or(0)
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            writeln!(out, "{name} {value}")?;
        }
        Ok(())
    }
}
