//! Contenders take turns; ratios are taken within a round, medians over the rounds.

use std::fmt;

use anyhow::{Context as _, Result};

use super::contender::Contender;
use super::load::Load;
use super::process::{Cpu, resident};

/// How long and how hard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) rounds: usize,
    pub(super) seconds: u64,
    pub(super) connections: usize,
}

/// One contender's figures.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Processor microseconds a request, all processes of the proxy.
    pub(super) cpu: Spread,
    /// Of them, in user space.
    pub(super) user: f64,
    /// That beside the first contender's in the same round.
    pub(super) user_ratio: Spread,
    /// Processor time beside the first contender's in the same round.
    pub(super) ratio: Spread,
    /// Latencies in microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) per_second: f64,
    /// MiB after the last round.
    pub(super) resident: f64,
    /// Processor microseconds a request, round by round.
    pub(super) each: Vec<f64>,
    /// Of it in user space, round by round.
    pub(super) each_user: Vec<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:.2} µs a request, {:.2} of it in user space, {:.2} × the first's; {:.0} requests/s, p99 {:.0} µs, \
             {:.1} MiB",
            self.name,
            self.cpu.median,
            self.user,
            self.ratio.median,
            self.per_second,
            self.p99,
            self.resident
        )
    }
}

/// The middle of several figures, and the ends of their middle half: on a machine that
/// others use, the extremes tell about the others.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Spread {
    pub(super) lower: f64,
    pub(super) median: f64,
    pub(super) upper: f64,
}

impl Spread {
    /// Of figures in any order; zeros when there are none.
    pub(super) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            lower: percentile(&sorted, 25),
            median: percentile(&sorted, 50),
            upper: percentile(&sorted, 75),
        }
    }
}

/// The figure below which `percent` of the sorted ones lie.
pub(super) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// One contender in one round.
#[derive(Clone, Copy, Debug)]
struct Lap {
    cpu: f64,
    user: f64,
    p50: f64,
    p99: f64,
    per_second: f64,
}

/// Runs all rounds; the first contender is the one that the others are held against.
pub(super) fn run(contenders: &[Contender], turn: Turn) -> Result<Vec<Row>> {
    let load = Load {
        connections: turn.connections,
        seconds: turn.seconds,
    };
    for contender in contenders {
        Load { seconds: 1, ..load }.run(contender)?;
    }
    let mut laps: Vec<Vec<Lap>> = vec![Vec::new(); contenders.len()];
    for round in 0..turn.rounds {
        let mut line = format!("  round {}:", round + 1);
        for place in 0..contenders.len() {
            // Everybody comes first and last in turn.
            let who = (place + round) % contenders.len();
            let (Some(contender), Some(laps)) = (contenders.get(who), laps.get_mut(who)) else {
                continue;
            };
            let lap = lap(contender, load)?;
            line += &format!(" {} {:.1} µs,", contender.name(), lap.cpu);
            laps.push(lap);
        }
        println!("{}", line.trim_end_matches(','));
    }
    let first = laps.first().context("There is nobody to measure.")?;
    let rows = contenders.iter().zip(&laps);
    Ok(rows.map(|(one, laps)| row(one, laps, first)).collect())
}

fn lap(contender: &Contender, load: Load) -> Result<Lap> {
    let before = Cpu::of(contender.family())?;
    let counted = load.run(contender)?;
    let spent = Cpu::of(contender.family())?.since(before);
    let each = |seconds: f64| seconds * 1e6 / counted.requests as f64;
    Ok(Lap {
        cpu: each(spent.user + spent.system),
        user: each(spent.user),
        p50: counted.p50,
        p99: counted.p99,
        per_second: counted.requests as f64 / counted.seconds.max(0.001),
    })
}

fn row(contender: &Contender, laps: &[Lap], first: &[Lap]) -> Row {
    let middle = |figure: fn(&Lap) -> f64| {
        let all: Vec<f64> = laps.iter().map(figure).collect();
        Spread::of(&all).median
    };
    let each: Vec<f64> = laps.iter().map(|lap| lap.cpu).collect();
    let each_user: Vec<f64> = laps.iter().map(|lap| lap.user).collect();
    let ratio = |figure: fn(&Lap) -> f64| {
        let rounds = laps.iter().zip(first);
        let all: Vec<f64> = rounds
            .map(|(own, first)| figure(own) / figure(first))
            .collect();
        Spread::of(&all)
    };
    Row {
        name: contender.name(),
        cpu: Spread::of(&each),
        user: middle(|lap| lap.user),
        user_ratio: ratio(|lap| lap.user),
        ratio: ratio(|lap| lap.cpu),
        p50: middle(|lap| lap.p50),
        p99: middle(|lap| lap.p99),
        per_second: middle(|lap| lap.per_second),
        resident: resident(contender.family()),
        each,
        each_user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_figures_that_were_measured() {
        let spread = Spread::of(&[3.0, 1.0, 2.0, 9.0, 5.0]);
        assert_eq!((spread.lower, spread.median, spread.upper), (2.0, 3.0, 5.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((percentile(&hundred, 99) - 99.0).abs() < 1e-9);
        assert!((percentile(&hundred, 50) - 50.0).abs() < 1e-9);
        assert!(percentile(&[], 50).abs() < 1e-9);
    }
}
