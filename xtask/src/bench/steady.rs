//! Requests at a fixed rate, whether or not answers keep up: latencies at half load, by
//! h2load, which nobody here wrote. A client that waits for one answer before it asks
//! again would spare a slow proxy just when it is slow.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::contender::Contender;
use super::load::{HEADERS, TARGET};
use super::rounds::{Spread, percentile};

/// Connections that share the rate.
const CONNECTIONS: usize = 32;

/// One contender's latencies at a fixed rate, in microseconds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Steady {
    pub(super) name: &'static str,
    pub(super) p50: Spread,
    pub(super) p99: Spread,
    /// p99 beside the first contender's in the same round.
    pub(super) ratio: Spread,
    /// Requests a second that were answered, beside those that were meant to be.
    pub(super) kept: f64,
}

/// One contender in one round.
#[derive(Clone, Copy, Debug, Default)]
struct Lap {
    p50: f64,
    p99: f64,
    requests: f64,
}

/// All contenders at `rate` requests a second, in turns of `seconds`.
pub(super) fn run(
    contenders: &[&Contender],
    folder: &Path,
    rate: f64,
    (rounds, seconds): (usize, u64),
) -> Result<Vec<Steady>> {
    let mut laps: Vec<Vec<Lap>> = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        let mut line = format!("  round {}:", round + 1);
        for place in 0..contenders.len() {
            let who = (place + round) % contenders.len();
            let (Some(contender), Some(laps)) = (contenders.get(who), laps.get_mut(who)) else {
                continue;
            };
            let lap = lap(contender, folder, rate, seconds)?;
            line += &format!(" {} p99 {:.0} µs,", contender.name(), lap.p99);
            laps.push(lap);
        }
        println!("{}", line.trim_end_matches(','));
    }
    let first = laps.first().context("There is nobody to measure.")?;
    let rows = contenders.iter().zip(&laps).map(|(contender, laps)| {
        let of = |figure: fn(&Lap) -> f64| Spread::of(&laps.iter().map(figure).collect::<Vec<_>>());
        let ratios: Vec<f64> = laps
            .iter()
            .zip(first)
            .map(|(own, first)| own.p99 / first.p99)
            .collect();
        Steady {
            name: contender.name(),
            p50: of(|lap| lap.p50),
            p99: of(|lap| lap.p99),
            ratio: Spread::of(&ratios),
            kept: of(|lap| lap.requests).median / (rate * seconds as f64),
        }
    });
    Ok(rows.collect())
}

fn lap(contender: &Contender, folder: &Path, rate: f64, seconds: u64) -> Result<Lap> {
    let log = folder.join("h2load.log");
    // It appends.
    let _old = fs::remove_file(&log);
    let output = load(contender, rate, seconds)?
        .arg(format!("--log-file={}", log.display()))
        .output()
        .context("Cannot start h2load.")?;
    let text = fs::read_to_string(&log).context("h2load wrote no log.")?;
    match parse(&text) {
        Some(lap) => Ok(lap),
        None => bail!(
            "{} did not answer every request of h2load, which ended with {}.",
            contender.name(),
            output.status
        ),
    }
}

/// Requests at a fixed rate for some seconds; they end by themselves.
pub(super) fn load(contender: &Contender, rate: f64, seconds: u64) -> Result<Command> {
    let h2load = crate::run::find("h2load").context("h2load is not installed.")?;
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "1"]).arg(h2load);
    command.args(["--h1", "--threads=1"]);
    command.arg(format!("--clients={CONNECTIONS}"));
    command.arg(format!("--duration={seconds}"));
    command.arg(format!("--rps={:.1}", rate / CONNECTIONS as f64));
    for header in HEADERS {
        command.args(["--header", header]);
    }
    command.arg(format!("{}{TARGET}", contender.origin()));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// The lines of the log: when it began, its status, how many microseconds it took.
fn parse(text: &str) -> Option<Lap> {
    let mut times = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').skip(1);
        if fields.next() != Some("200") {
            return None;
        }
        times.push(fields.next()?.parse::<f64>().ok()?);
    }
    times.sort_by(f64::total_cmp);
    (!times.is_empty()).then(|| Lap {
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        requests: times.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_read_and_a_failure_is_none_of_the_figures() {
        let log: String = (1..=100)
            .map(|each| format!("17000000\t200\t{each}\n"))
            .collect();
        let lap = parse(&log).unwrap();
        assert!((lap.p50 - 50.0).abs() < 1e-9 && (lap.p99 - 99.0).abs() < 1e-9);
        assert!(parse(&format!("{log}17\t-1\t5\n")).is_none());
        assert!(parse(&format!("{log}17\t429\t5\n")).is_none());
        assert!(parse("").is_none());
    }
}
