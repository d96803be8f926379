//! What can be asked of the book. Every answer that can be long is bounded by its asker.

use core::net::IpAddr;
use std::sync::Arc;

use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use super::{Book, minute};
use crate::{AllowItem, AllowSubject, Change, Force, Past};

/// Which decisions are meant. Every field that is set must fit; none set means all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// It covers this address.
    pub covers: Option<IpAddr>,
    /// It lies within this range.
    pub within: Option<Cidr>,
    /// Its scope.
    pub scope: Option<Scope>,
    /// Its value, as text.
    pub value: Option<String>,
    /// Its kind.
    pub kind: Option<Kind>,
    /// Who asked for it.
    pub origin: Option<Origin>,
    /// Part of its reason.
    pub reason: Option<String>,
}

impl Filter {
    /// Whether the filter means this decision.
    #[must_use]
    pub fn fits(&self, decision: &Decision) -> bool {
        let range = decision.cidr();
        let covers = |address| range.is_some_and(|range| range.contains(address));
        let within = |outer: Cidr| {
            range.is_some_and(|range| {
                outer.prefix() <= range.prefix() && outer.contains(range.address())
            })
        };
        self.covers.is_none_or(covers)
            && self.within.is_none_or(within)
            && self
                .scope
                .as_ref()
                .is_none_or(|scope| *scope == decision.scope)
            && self
                .value
                .as_ref()
                .is_none_or(|value| *value == decision.value)
            && self.kind.as_ref().is_none_or(|kind| *kind == decision.kind)
            && self
                .origin
                .as_ref()
                .is_none_or(|origin| *origin == decision.origin)
            && self
                .reason
                .as_ref()
                .is_none_or(|part| decision.reason.contains(part.as_str()))
    }
}

impl Book {
    /// A decision by its name, past its end or not.
    #[must_use]
    pub fn decision(&self, id: DecisionId) -> Option<&Arc<Decision>> {
        self.decisions.get(&id).map(|record| &record.decision)
    }

    /// Decisions in force whose name begins with these hex digits, `most` at most; none when
    /// the text is no hex number of 1 to 32 digits.
    #[must_use]
    pub fn by_prefix(&self, digits: &str, now: Timestamp, most: usize) -> Vec<&Arc<Decision>> {
        let hex = (1..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let Some(head) = hex.then(|| u128::from_str_radix(digits, 16).ok()).flatten() else {
            return Vec::new();
        };
        let free = u32::try_from(4 * (32 - digits.len())).unwrap_or(0);
        let low = head.checked_shl(free).unwrap_or(0);
        let high = low | 1_u128.checked_shl(free).map_or(u128::MAX, |bit| bit - 1);
        self.decisions
            .range(DecisionId(low)..=DecisionId(high))
            .map(|(_, record)| &record.decision)
            .filter(|decision| decision.is_active(now))
            .take(most)
            .collect()
    }

    /// Every decision in force, by name.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Decision>> {
        let all = self.decisions.values().map(|record| &record.decision);
        all.filter(move |decision| decision.is_active(now))
    }

    /// Decisions in force that the filter means, `most` at most.
    #[must_use]
    pub fn matching(&self, filter: &Filter, now: Timestamp, most: usize) -> Vec<&Arc<Decision>> {
        self.active(now)
            .filter(|decision| filter.fits(decision))
            .take(most)
            .collect()
    }

    /// Decisions in force that cover a range (or an address, as [`Cidr::host`]) wholly, the
    /// prevailing one first. Allowlists are not looked at; see [`Book::allowing`].
    #[must_use]
    pub fn covering(&self, range: Cidr, now: Timestamp) -> Vec<&Arc<Decision>> {
        let mut found: Vec<_> = self
            .ranges
            .covering(range)
            .filter_map(|id| self.decision(id))
            .filter(|decision| decision.is_active(now))
            .collect();
        found
            .sort_by_key(|held| core::cmp::Reverse((Force::from(&held.kind), held.until, held.id)));
        found
    }

    /// The allowlist item in force that covers a range wholly; the one that lasts longest.
    #[must_use]
    pub fn allowing(&self, range: Cidr, now: Timestamp) -> Option<&AllowItem> {
        self.allowed_ranges
            .covering(range)
            .filter_map(|id| self.allowed.get(&id))
            .filter(|item| item.until > now)
            .max_by_key(|item| (item.until, item.id))
    }

    /// Every allowlist item in force, by name.
    pub fn allow_items(&self, now: Timestamp) -> impl Iterator<Item = &AllowItem> {
        self.allowed.values().filter(move |item| item.until > now)
    }

    /// What an allowlist subject stands for now.
    #[must_use]
    pub fn resolution(&self, subject: &AllowSubject) -> Vec<Cidr> {
        self.resolved.ranges(subject)
    }

    /// Decisions in force that an allowlist item makes void: they lie wholly within it. The view
    /// ignores them at once; whoever adds an item may write their removal, so that listings agree.
    #[must_use]
    pub fn voided_by(&self, subject: &AllowSubject, now: Timestamp) -> Vec<DecisionId> {
        let ranges = self.resolved.ranges(subject);
        let void = |decision: &Decision| {
            ranges.iter().any(|range| {
                Filter {
                    within: Some(*range),
                    ..Filter::default()
                }
                .fits(decision)
            })
        };
        self.active(now)
            .filter(|decision| void(decision))
            .map(|decision| decision.id)
            .collect()
    }

    /// What a source did before: its decisions that restrained (threat feeds' not counted, those
    /// taken back forgotten), oldest first, the latest 16.
    #[must_use]
    pub fn past(&self, source: Cidr) -> &[Past] {
        self.pasts.of(source)
    }

    /// How many decisions of an origin the book holds.
    #[must_use]
    pub fn held_by(&self, origin: &Origin) -> u32 {
        self.tallies.get(origin).map_or(0, |tally| tally.held)
    }

    /// How many decisions an origin made within the calendar minute of `now`.
    #[must_use]
    pub fn made_by(&self, origin: &Origin, now: Timestamp) -> u32 {
        let tally = self.tallies.get(origin);
        tally
            .and_then(|tally| tally.minutes.get(&minute(now)))
            .copied()
            .unwrap_or(0)
    }

    /// Everything in force as changes, to build a [`crate::View`] after a start.
    #[must_use]
    pub fn changes(&self, now: Timestamp) -> Vec<Change> {
        let bars = self.active(now).filter_map(|decision| {
            Some(Change::Bar {
                range: decision.cidr()?,
                id: decision.id.0,
                force: Force::from(&decision.kind),
                until: decision.until,
            })
        });
        let allows = self.allow_items(now).flat_map(|item| {
            let (id, until) = (item.id.0, item.until);
            let ranges = self.resolved.ranges(&item.subject).into_iter();
            ranges.map(move |range| Change::Allow { range, id, until })
        });
        bars.chain(allows).collect()
    }
}
