//! Two runs of crowdsec and one of ours, alert by alert.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use vocab::Timestamp;
use vocab::time::parse_duration;

use super::Raised;
use super::excused::{Difference, EXCUSES, Evidence, Excuse, LATE};
use crate::traffic::Server;

/// An alert.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Seen {
    pub(super) stop: Timestamp,
    pub(super) start: Timestamp,
    pub(super) count: u64,
    pub(super) scenario: String,
    /// The address as everybody spells it.
    pub(super) source: String,
}

/// Reads an alert in crowdsec's words: `Ip A performed 'S' (N events over D) at T`.
pub(super) fn said(line: &str) -> Option<Seen> {
    let (_, rest) = line.split_once("msg=\"")?;
    let (_, rest) = rest.split_once(' ')?;
    let (spelt, rest) = rest.split_once(" performed '")?;
    let (scenario, rest) = rest.split_once("' (")?;
    let (count, rest) = rest.split_once(" events over ")?;
    let (over, rest) = rest.split_once(") at ")?;
    let stop = moment(rest.split_once('"')?.0)?;
    Some(Seen {
        stop,
        start: stop.before(span(over)?),
        count: count.parse().ok()?,
        scenario: scenario.to_owned(),
        source: canonical(spelt)?,
    })
}

/// An address as everybody spells it; what a pattern cut short stays as it is.
pub(super) fn canonical(text: &str) -> Option<String> {
    let address = text.parse::<IpAddr>();
    Some(address.map_or_else(|_| text.to_owned(), |one| one.to_canonical().to_string()))
}

/// A span as Go writes it; a bare `0s` too.
fn span(text: &str) -> Option<Duration> {
    if text == "0s" {
        return Some(Duration::ZERO);
    }
    parse_duration(text)
}

/// `2026-11-20 06:10:00.5 +0100 +0100`
fn moment(text: &str) -> Option<Timestamp> {
    let mut parts = text.split(' ');
    let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let (hours, minutes) = zone.split_at_checked(3)?;
    format!("{date}T{time}{hours}:{minutes}").parse().ok()
}

/// Who, for what.
type Key = (String, String);

/// A log's outcome.
pub(super) struct Comparison {
    server: Server,
    alerts: [usize; 3],
    keys: usize,
    /// Keys of which crowdsec's own runs raise unlike numbers.
    unsure: usize,
    /// Alerts compared in every detail in which crowdsec's runs agree.
    detailed: usize,
    /// Of these, those on which they do not.
    varied: usize,
    differences: Vec<Difference>,
    /// What crowdsec's runs make of the same lines in two ways.
    disputes: Vec<Difference>,
    /// How many of those are what its looking too early can come to.
    early: usize,
    /// The excuse for each difference.
    excuses: Vec<Option<Excuse>>,
    scenarios: BTreeMap<String, usize>,
}

fn by_key(alerts: &[Seen]) -> BTreeMap<Key, Vec<Seen>> {
    let mut keyed: BTreeMap<Key, Vec<Seen>> = BTreeMap::new();
    for alert in alerts {
        let key = (alert.scenario.clone(), alert.source.clone());
        keyed.entry(key).or_default().push(alert.clone());
    }
    keyed.values_mut().for_each(|alerts| alerts.sort());
    keyed
}

impl Comparison {
    pub(super) fn new(server: Server, first: &[Seen], second: &[Seen], ours: &Raised) -> Self {
        let runs = [first, second, ours.alerts.as_slice()];
        let keyed = runs.map(by_key);
        let keys: BTreeSet<&Key> = keyed.iter().flat_map(BTreeMap::keys).collect();
        let mut one = Self {
            server,
            alerts: runs.map(<[Seen]>::len),
            keys: keys.len(),
            unsure: 0,
            detailed: 0,
            varied: 0,
            differences: Vec::new(),
            disputes: Vec::new(),
            early: 0,
            excuses: Vec::new(),
            scenarios: BTreeMap::new(),
        };
        for alert in first {
            *one.scenarios.entry(alert.scenario.clone()).or_default() += 1;
        }
        for key in keys {
            let of = |run: usize| keyed[run].get(key).map_or(&[][..], Vec::as_slice);
            one.compare(key, [of(0), of(1), of(2)]);
        }
        one
    }

    /// Looks for excuses in the evidence that is gathered for the differences.
    pub(super) fn excused<'p>(
        mut self,
        gather: impl FnOnce(&[&Difference]) -> Evidence<'p>,
    ) -> Self {
        let both: Vec<&Difference> = self.differences.iter().chain(&self.disputes).collect();
        let evidence = gather(&both);
        let mut excuses = both
            .iter()
            .enumerate()
            .map(|(at, difference)| evidence.excuse(at, difference));
        let own = self.differences.len();
        self.excuses = excuses.by_ref().take(own).collect();
        self.early = excuses.filter(|one| *one == Some(LATE)).count();
        self
    }

    fn compare(&mut self, (scenario, source): &Key, runs: [&[Seen]; 3]) {
        let [first, second, ours] = runs;
        let differ = |what: &'static str| Difference {
            scenario: scenario.clone(),
            source: source.clone(),
            what,
            runs: runs.map(<[Seen]>::to_vec),
        };
        self.unsure += usize::from(first.len() != second.len());
        if first != second {
            self.disputes.push(differ("runs"));
        }
        let numbers = first.len().min(second.len())..=first.len().max(second.len());
        if !numbers.contains(&ours.len()) {
            self.differences.push(differ("number"));
            return;
        }
        if first.len() != second.len() {
            return;
        }
        self.detailed += ours.len();
        for ((first, second), ours) in first.iter().zip(second).zip(ours) {
            self.varied += usize::from(first != second);
            let unlike = |of: &dyn Fn(&Seen) -> Option<u64>| {
                of(first) == of(second) && of(first) != of(ours)
            };
            let seconds = |at: Timestamp| u64::try_from(at.unix_nanos()).ok();
            for (what, is) in [
                ("start", unlike(&|seen| seconds(seen.start))),
                ("stop", unlike(&|seen| seconds(seen.stop))),
                ("count", unlike(&|seen| Some(seen.count))),
            ] {
                if is {
                    self.differences.push(differ(what));
                }
            }
        }
    }

    /// The differences for which there is no excuse.
    pub(super) fn unexcused(&self) -> impl Iterator<Item = String> {
        let pairs = self.differences.iter().zip(&self.excuses);
        let open = pairs.filter(|(_, excuse)| excuse.is_none());
        open.map(|(difference, _)| format!("{}: {difference}", self.server.name()))
    }

    /// A section of the report.
    pub(super) fn report(&self, lines: usize, seed: u64) -> String {
        let [first, second, ours] = self.alerts;
        format!(
            "## {}\n\n{lines} lines, seed {seed}.\n\n| | |\n|---|---|\n\
             | alerts of crowdsec's first run | {first} |\n| of its second | {second} |\n| ours | {ours} |\n\
             | pairs of scenario and source | {} |\n| pairs of which crowdsec's two runs raise unlike numbers | {} |\n\
             | alerts compared in start, stop and count | {} |\n| of these, crowdsec's runs disagree on | {} |\n\
             | pairs of which its runs disagree in anything | {} |\n\
             | of these, what the model of a time looked at too early can raise | {} |\n\
             | ours differs from what both runs agree on | {} |\n\
             | of these, intended | {} |\n| of these, without a reason | {} |\n",
            self.server.name(),
            self.keys,
            self.unsure,
            self.detailed,
            self.varied,
            self.disputes.len(),
            self.early,
            self.differences.len(),
            self.excuses.iter().flatten().count(),
            self.unexcused().count(),
        )
    }

    /// How many alerts crowdsec's first run raised of each of these scenarios, and of others;
    /// a tabulator between, one a line.
    pub(super) fn raised<'s>(&self, scenarios: impl Iterator<Item = &'s str>) -> String {
        let mut all: BTreeMap<&str, usize> = scenarios.map(|name| (name, 0)).collect();
        let raised = self.scenarios.iter();
        all.extend(raised.map(|(name, alerts)| (name.as_str(), *alerts)));
        let lines = all.iter();
        lines
            .map(|(name, alerts)| format!("{name}\t{alerts}\n"))
            .collect()
    }

    /// Each excuse, whether it must be needed, how often it was, and its reason; parted by
    /// tabulators, one a line.
    pub(super) fn excuses(&self) -> String {
        let line = |excuse: &Excuse| {
            let needed = self.excuses.iter().flatten();
            let often = needed.filter(|needed| *needed == excuse).count();
            let when = if excuse.always { "always" } else { "by chance" };
            format!("{}\t{when}\t{often}\t{}\n", excuse.name, excuse.why)
        };
        EXCUSES.iter().map(line).collect()
    }
}
