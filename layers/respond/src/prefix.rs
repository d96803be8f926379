//! Neighbours that attack: several barred addresses of one range slow the range down.
//!
//! For: attackers who hold a range and change addresses within it. When enough distinct
//! addresses of one IPv4 /24 (distinct /64s of one IPv6 /48) were barred within a while,
//! by detection that was sure of itself, a decision on the whole range is proposed. It
//! throttles and never bans: other people live there, and each of them keeps a request a
//! second. A challenge would ask the same of them in another way, and acts as a throttle as
//! long as there are none.
//!
//! Refuses: to count what a person, a feed or an agent decided, what was only observed, one
//! address twice, and IPv6 addresses of one /64 one by one. Whether the range holds an
//! address that must not be touched is [`book::admit()`]'s and the caller's to say.
//!
//! Assumes: one caller at a time, and the caller's clock. On failure: when the table is full,
//! the range that was noted longest ago is forgotten and counted. The table is memory only: a
//! restart counts anew.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use book::{Past, Proposed};
use vocab::{Alert, Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use crate::Escalation;

/// The most ranges that are remembered.
const RANGES: usize = 16_384;
/// The most offenders that are remembered of one range; the latest.
const OFFENDERS: usize = 64;
/// How many offenders a reason names.
const NAMED: usize = 8;
/// How a reason begins, so that `why` can tell a neighbour from an offender.
pub const REASON: &str = "prefix-escalation";

/// When and how a range is slowed down.
#[derive(Clone, PartialEq, Debug)]
pub struct PrefixPolicy {
    /// How many distinct barred sources it takes, 2 to 64; `None` for never.
    pub offenders: Option<usize>,
    /// Within which time they were barred.
    pub within: Duration,
    /// What is proposed: [`Kind::Throttle`], [`Kind::Challenge`] or [`Kind::Observe`];
    /// anything else is taken as a throttle.
    pub kind: Kind,
    /// For how long the first time.
    pub lasts: Duration,
    /// How it grows on repetition.
    pub escalation: Escalation,
}

impl Default for PrefixPolicy {
    /// Four within a day: three addresses of one range are what one hobbyist rents or one
    /// household meets; four that attack on their own are a pattern. An hour at first, since
    /// it hits neighbours, doubled up to a day.
    fn default() -> Self {
        Self {
            offenders: Some(4),
            within: Duration::from_secs(86_400),
            kind: Kind::Throttle,
            lasts: Duration::from_secs(3_600),
            escalation: Escalation {
                factor: 2.0,
                longest: Duration::from_secs(86_400),
                half_life: Duration::from_secs(86_400),
                forget: Duration::from_secs(3 * 86_400),
            },
        }
    }
}

/// A barred source.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Offender {
    source: Cidr,
    decision: DecisionId,
    scenario: Box<str>,
    barred: Timestamp,
    until: Timestamp,
}

#[derive(Clone, Debug, Default)]
struct Range {
    offenders: Vec<Offender>,
    noted: Timestamp,
    /// Until when nothing more is proposed: the end of what was, or of a refusal's rest.
    quiet: Option<Timestamp>,
}

/// Barred sources by the range that they live in.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    ranges: HashMap<Cidr, Range>,
    order: BTreeSet<(Timestamp, Cidr)>,
    forgotten: u64,
}

/// The range that a source's neighbours live in: its /24, or its /48.
#[must_use]
pub fn neighbourhood(source: Cidr) -> Option<Cidr> {
    let (most, least) = if source.address().is_ipv4() {
        (24, 25)
    } else {
        (48, 49)
    };
    // What is as wide as a neighbourhood already is no neighbour.
    (source.prefix() >= least)
        .then(|| Cidr::new(source.address(), most))
        .flatten()
}

/// Whether a bar of this decision, asked for by this alert, counts.
fn counts(alert: &Alert, decision: &Decision) -> bool {
    let confidence: u8 = alert.label("confidence").parse().unwrap_or(0);
    decision.kind == Kind::Ban
        && decision.origin == Origin::Detection
        && confidence >= 2
        && !alert.simulated
}

impl Prefixes {
    /// Notes a decision that an alert brought about; the range to ask
    /// [`Prefixes::propose`] about, when it counts.
    pub fn note(&mut self, alert: &Alert, decision: &Decision, now: Timestamp) -> Option<Cidr> {
        if !counts(alert, decision) {
            return None;
        }
        let held = decision.cidr()?;
        // One subscriber of IPv6 holds a /64 at least.
        let source = book::source_range(held.address());
        let source = if held.prefix() < source.prefix() {
            held
        } else {
            source
        };
        let range = neighbourhood(source)?;
        let known = self.ranges.entry(range).or_default();
        self.order.remove(&(known.noted, range));
        known.noted = now;
        self.order.insert((now, range));
        known.offenders.retain(|one| one.source != source);
        known.offenders.push(Offender {
            source,
            decision: decision.id,
            scenario: alert.scenario.as_str().into(),
            barred: now,
            until: decision.until,
        });
        if known.offenders.len() > OFFENDERS {
            known.offenders.remove(0);
        }
        if self.ranges.len() > RANGES
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.ranges.remove(&oldest);
            self.forgotten += 1;
        }
        Some(range)
    }

    /// What is proposed about a range at `now`, whose own past the book tells; `None` while
    /// there are too few offenders, or while something is in force.
    #[must_use]
    pub fn propose(
        &self,
        range: Cidr,
        policy: &PrefixPolicy,
        past: &[Past],
        now: Timestamp,
    ) -> Option<Proposed> {
        let enough = policy.offenders?.max(2);
        let known = self.ranges.get(&range)?;
        if known.quiet.is_some_and(|until| now < until) {
            return None;
        }
        let offenders: Vec<&Offender> = known
            .offenders
            .iter()
            .filter(|one| now.since(one.barred) <= policy.within)
            .collect();
        let last = offenders.iter().map(|one| one.until).max()?;
        if offenders.len() < enough || last <= now {
            return None;
        }
        let level = policy.escalation.level(past, now);
        let lasts = policy.escalation.lasts(policy.lasts, level);
        Some(Proposed {
            scope: Scope::Range,
            value: range.to_string(),
            kind: match policy.kind {
                Kind::Observe | Kind::Challenge => policy.kind.clone(),
                Kind::Throttle | Kind::Ban | Kind::Other(_) => Kind::Throttle,
            },
            origin: Origin::Detection,
            reason: reason(&offenders),
            // It ends with the last of those it is about.
            lasts: lasts.min(last.since(now)),
        })
    }

    /// Nothing is proposed about this range until then.
    pub fn rest(&mut self, range: Cidr, until: Timestamp) {
        if let Some(known) = self.ranges.get_mut(&range) {
            known.quiet = Some(until);
        }
    }

    /// A decision was taken back by a person: its source did not offend. The range, when too
    /// few are left to hold it down.
    pub fn forgive(
        &mut self,
        decision: DecisionId,
        policy: &PrefixPolicy,
        now: Timestamp,
    ) -> Option<Cidr> {
        let (range, known) = self
            .ranges
            .iter_mut()
            .find(|(_, known)| known.offenders.iter().any(|one| one.decision == decision))?;
        known
            .offenders
            .retain(|one| one.decision != decision && now.since(one.barred) <= policy.within);
        let enough = policy.offenders.unwrap_or(usize::MAX).max(2);
        if known.offenders.len() >= enough {
            return None;
        }
        known.quiet = None;
        Some(*range)
    }

    /// Forgets ranges that nobody offended from within the policy's time.
    pub fn forget(&mut self, policy: &PrefixPolicy, now: Timestamp) {
        while let Some((noted, range)) = self.order.first().copied()
            && now.since(noted) > policy.within
        {
            self.order.pop_first();
            self.ranges.remove(&range);
        }
    }

    /// How many ranges are remembered, and how many were forgotten for want of room.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        (self.ranges.len(), self.forgotten)
    }
}

fn reason(offenders: &[&Offender]) -> String {
    let named: Vec<String> = offenders
        .iter()
        .rev()
        .take(NAMED)
        .map(|one| format!("{} ({})", one.source, one.scenario))
        .collect();
    let more = offenders.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!(
        "{REASON}: {} of its addresses were barred: {}{more}",
        offenders.len(),
        named.join(", ")
    )
}

#[cfg(test)]
mod tests;
