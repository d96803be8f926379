//! What a scenario counts, and what one event says to it.
//!
//! For: the contract between the program (which looks at an event and answers
//! with [`Pour`]s) and the shards (which hold the buckets). A [`BucketSpec`] is a
//! scenario after its expressions were compiled; a [`Pour`] is one event's
//! effect on one bucket; an [`Occurrence`] is the event itself, asked for what
//! must be kept only when a bucket keeps it, and a [`Kept`] is what is kept.
//!
//! Refuses: to know how an event was parsed, and what an expression looks like:
//! tests on a bucket's queue come as [`QueueTest`]s.
//!
//! Assumes: every pour handed over together belongs to one occurrence.
//!
//! On failure: a test that cannot be evaluated does not hold; an occurrence
//! without a source raises no alert.

mod count;
mod held;
mod kept;
mod seed;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use vocab::{Scope, Timestamp};

pub(crate) use count::{Bucket, Now, Outcome};
pub(crate) use held::{Held, Queue};
pub(crate) use kept::text;
pub use kept::{Keeper, Kept, Pairs};
pub use seed::Seed;

/// Names a scenario inside one program: its index in the program's list of specs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ScenarioId(pub u32);

/// Whose event made a bucket: a keyed hash of the source, so that no source can hold
/// more than its share of the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Owner(pub u64);

impl Owner {
    /// An event without a source; no share is kept of these.
    pub const NOBODY: Self = Self(0);
}

/// One event's effect on one bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pour {
    /// The scenario whose bucket it is.
    pub scenario: ScenarioId,
    /// [`Seed::key`] of the `groupby` value (of the empty text when there is
    /// none). The scenario is no part of it, so that buckets of one source share
    /// a shard and survive a reload. In live programs the caller evaluates
    /// `groupby` with an IPv6 source given as its /64
    /// (`vocab::ClientAddr::counting_key`); replay uses the address.
    pub key: u128,
    /// [`Seed::distinct`] of the `distinct` value; `None` when the scenario has none.
    pub distinct: Option<u64>,
    /// The scenario's `cancel_on` holds for this event: the bucket is emptied silently.
    pub cancel: bool,
    /// The event's source, by [`Seed::distinct`]; [`Owner::NOBODY`] when it has none.
    pub owner: Owner,
}

/// Set in the keys of buckets that count what another site's page had browsers send.
const FOREIGN: u128 = 4;

impl Pour {
    /// The same into a bucket for what another site's page had a browser send, whose alerts
    /// ask for a throttle at most.
    pub(crate) fn into_foreign(self) -> Self {
        Self {
            key: self.key | FOREIGN,
            ..self
        }
    }
}

/// Whether a bucket counts what another site's page had browsers send.
pub(crate) fn is_foreign(key: u128) -> bool {
    key & FOREIGN != 0
}

/// The event behind a batch of pours.
pub trait Occurrence {
    /// What a bucket keeps of it. Called when the first bucket stores it and
    /// not otherwise; the implementation builds it at most once.
    fn keep(&mut self) -> Kept;

    /// The value of the scenario's scope expression for this event. Called once
    /// per stored pour of a scenario whose scope is [`ScopeRule::Expression`];
    /// `None` (or an empty text) leaves the event without a source.
    fn scope_value(&mut self, scenario: ScenarioId) -> Option<Box<str>>;
}

/// How a bucket counts.
#[derive(Clone, Debug)]
pub enum BucketKind {
    /// Leaks one event every `leakspeed`; overflows on event `capacity` + 1.
    Leaky,
    /// Overflows on every event.
    Trigger,
    /// Collects for `duration` after its first event, then overflows.
    Counter,
    /// Overflows when `condition` holds; dies `leakspeed` after its last event.
    Conditional,
    /// Overflows when the posterior exceeds the threshold.
    Bayesian(Bayes),
}

/// The parameters of a Bayesian bucket.
#[derive(Clone, Debug)]
pub struct Bayes {
    /// The probability of evil before any evidence, 0 to 1.
    pub prior: f64,
    /// Overflow above this posterior, 0 to 1.
    pub threshold: f64,
    /// What is tested after each event.
    pub conditions: Vec<BayesCondition>,
}

/// One piece of evidence of a Bayesian bucket.
#[derive(Clone, Debug)]
pub struct BayesCondition {
    /// The test, with the poured event as the queue's last.
    pub test: Arc<dyn QueueTest>,
    /// How likely it holds for an attacker, 0 to 1.
    pub given_evil: f64,
    /// How likely it holds for anybody else, 0 to 1.
    pub given_benign: f64,
    /// Once it held it holds for the bucket's life, without another evaluation.
    pub guillotine: bool,
}

/// How an overflow finds whom it is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScopeRule {
    /// Meta `source_ip`, which must be an address.
    Ip,
    /// Meta `SourceRange`, which must be a range.
    Range,
    /// What [`Occurrence::scope_value`] says. With [`Scope::Ip`] and
    /// [`Scope::Range`] it must be an address or a range.
    Expression(Scope),
}

/// A scenario as the shards need it.
#[derive(Clone, Debug)]
pub struct BucketSpec {
    /// The scenario's name, such as `ringwall/http-probing`.
    pub name: String,
    /// SHA-256 of the scenario's file, lower-case hex. Buckets survive a
    /// reload when name and hash are unchanged.
    pub hash: String,
    /// How it counts.
    pub kind: BucketKind,
    /// How many events it holds without overflow; `None` (−1 in a file) has no
    /// end. Ignored by [`BucketKind::Trigger`].
    pub capacity: Option<u32>,
    /// How long one event takes to leak out; zero never leaks.
    pub leakspeed: Duration,
    /// How long a counter collects; zero in other kinds.
    pub duration: Duration,
    /// After an overflow, how long further ones of the same bucket are suppressed.
    pub blackhole: Option<Duration>,
    /// How many events are kept, instead of `capacity`.
    pub cache_size: Option<u32>,
    /// Whom an overflow is about.
    pub scope: ScopeRule,
    /// Tested after each event; the bucket overflows when it holds.
    pub condition: Option<Arc<dyn QueueTest>>,
    /// Tested on overflow; the alert is dropped when it does not hold.
    pub overflow_filter: Option<Arc<dyn QueueTest>>,
    /// The scenario's labels with their values as text, sorted by key.
    pub labels: Vec<(String, String)>,
    /// Whether the label `remediation` is true.
    pub remediation: bool,
    /// Whether its overflows are fed into the parsers again.
    pub reprocess: bool,
    /// Whether it runs in simulation: shown, never enforced.
    pub simulated: bool,
}

impl BucketSpec {
    /// A trigger of this name: alerts on every event, about the source address.
    /// The base that others are built from by struct update.
    #[must_use]
    pub fn trigger(name: impl Into<String>, hash: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hash: hash.into(),
            kind: BucketKind::Trigger,
            capacity: Some(0),
            leakspeed: Duration::ZERO,
            duration: Duration::ZERO,
            blackhole: None,
            cache_size: None,
            scope: ScopeRule::Ip,
            condition: None,
            overflow_filter: None,
            labels: Vec::new(),
            remediation: false,
            reprocess: false,
            simulated: false,
        }
    }

    /// A leaky bucket of this name.
    #[must_use]
    pub fn leaky(
        name: impl Into<String>,
        hash: impl Into<String>,
        capacity: u32,
        leakspeed: Duration,
    ) -> Self {
        Self {
            kind: BucketKind::Leaky,
            capacity: Some(capacity),
            leakspeed,
            ..Self::trigger(name, hash)
        }
    }

    /// How many of the last events a bucket keeps: one more than the cache size
    /// or the capacity, and never more than [`MAX_KEPT`].
    #[must_use]
    pub fn queue_limit(&self) -> usize {
        let limit = match self.kind {
            BucketKind::Trigger => Some(0),
            _ => self.cache_size.or(self.capacity),
        };
        limit.map_or(MAX_KEPT, |limit| {
            usize::try_from(limit).map_or(MAX_KEPT, |limit| limit.saturating_add(1).min(MAX_KEPT))
        })
    }

    /// How many distinct values a bucket remembers; the oldest is forgotten first.
    #[must_use]
    pub fn distinct_limit(&self) -> usize {
        let capacity = self.capacity.map_or(MAX_DISTINCT, |capacity| {
            usize::try_from(capacity).unwrap_or(MAX_DISTINCT)
        });
        capacity
            .saturating_add(1)
            .saturating_mul(4)
            .clamp(16, MAX_DISTINCT)
    }

    /// Whether requests that carry an application session do not count: rules that
    /// judge by numbers, but for those against guessing passwords, since whoever
    /// guesses may hold a session too. By numbers judges what says so (label `volume`,
    /// as our own rules do), and of the hub, whose rules have no such label, what it
    /// calls crawling or denial of service, and its count of pages that are not there.
    #[must_use]
    pub fn spares_sessions(&self) -> bool {
        self.judges_by_numbers() && !self.label("behavior").ends_with("bruteforce")
    }

    /// Whether one event of it may be anybody's, and only their number is not.
    pub(crate) fn judges_by_numbers(&self) -> bool {
        self.label("volume") == "true"
            || matches!(self.label("behavior"), "http:crawl" | "http:dos")
            || self.name == "crowdsecurity/http-probing"
    }

    /// Whether requests count that another site's page had a browser send (label
    /// `foreign`): by default they don't, or any page could have its visitors barred.
    #[must_use]
    pub fn counts_foreign(&self) -> bool {
        self.label("foreign") == "true" || self.counts_instead()
    }

    /// Whether it counts in the place of scenarios that do not count what another site's
    /// page had a browser send (label `foreign`, value `instead`).
    pub(crate) fn counts_instead(&self) -> bool {
        self.label("foreign") == "instead"
    }

    /// Whether one request is enough for it, and that request is an exploit.
    #[must_use]
    pub fn is_exploit(&self) -> bool {
        let decides = self.remediation && !self.simulated;
        matches!(self.kind, BucketKind::Trigger)
            && decides
            && self.label("behavior") == "http:exploit"
    }

    fn label(&self, key: &str) -> &str {
        let found = self.labels.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// How long a bucket lives after its last event.
    #[must_use]
    pub fn life(&self) -> Duration {
        match self.kind {
            BucketKind::Trigger => Duration::ZERO,
            BucketKind::Counter => self.duration,
            BucketKind::Conditional | BucketKind::Bayesian(_) | BucketKind::Leaky => {
                self.capacity.map_or(self.leakspeed, |capacity| {
                    self.leakspeed.saturating_mul(capacity.saturating_add(1))
                })
            }
        }
    }
}

/// The most events that one bucket keeps, whatever its scenario says. Events
/// beyond it are counted and their oldest evidence is forgotten.
pub const MAX_KEPT: usize = 256;

/// The most distinct values that one bucket remembers.
const MAX_DISTINCT: usize = 1024;

/// A test on a bucket: `condition`, `overflow_filter`, a Bayesian condition.
pub trait QueueTest: Send + Sync + fmt::Debug {
    /// Whether it holds. An evaluation error is counted by the implementation
    /// and does not hold.
    fn holds(&self, bucket: &BucketView<'_>) -> bool;
}

/// A bucket as its tests see it: `queue`, `leaky` and, as the queue's last, `evt`.
#[derive(Clone, Copy, Debug)]
pub struct BucketView<'a> {
    queue: &'a Queue,
    /// How many events were poured in all (`leaky.Total_count`).
    pub total: u64,
    /// When the first one was (`leaky.First_ts`).
    pub first: Timestamp,
    /// When the last one was (`leaky.Last_ts`).
    pub last: Timestamp,
}

impl<'a> BucketView<'a> {
    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// The kept event at `index`, 0 being the oldest and `len() - 1` the event
    /// that is being poured.
    #[must_use]
    pub fn event(&self, index: usize) -> Option<&'a Kept> {
        self.queue.get(index).map(|held| &held.kept)
    }

    /// The kept events, oldest first.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &'a Kept> + use<'a> {
        self.queue.iter().map(|held| &held.kept)
    }

    /// The event that is being poured.
    #[must_use]
    pub fn latest(&self) -> Option<&'a Kept> {
        self.queue.last().map(|held| &held.kept)
    }
}
