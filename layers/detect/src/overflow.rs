//! One bucket's overflow, as one value: the scenario, whom it is about, the evidence.
//!
//! For: what comes after a bucket. What judges an overflow (postoverflows, contexts,
//! reprocessing) judges it as a whole, and only then it becomes alerts, one for each of
//! its sources. Refuses: to decide anything about them. Assumes: a bucket's queue bounds
//! both events and sources. On failure: an overflow without a source is never made.

mod shown;

pub(crate) use shown::{NONE, Part, Shown};

use vocab::{Alert, Evidence, Source, Timestamp};

use crate::bucket::{BucketSpec, Kept, ScenarioId};
use crate::shard::Realm;

/// From how many sources on an alert shows only the events of its own source: with all
/// of them in each, evidence would grow with the square of the sources.
const SHARED: usize = 16;

/// A bucket overflowed.
#[derive(Clone, Debug)]
pub struct Overflow {
    /// The scenario's place in its program.
    pub scenario: ScenarioId,
    /// The scenario, with the labels that this overflow's alerts bear.
    pub spec: BucketSpec,
    /// Where the bucket counted.
    pub realm: Realm,
    /// Whom it is about, in the order in which they first appear among the kept events;
    /// at least one. The first is what rules call `evt.Overflow.Alert.Source`.
    pub sources: Vec<Source>,
    /// The events that the bucket kept, oldest first.
    pub events: Vec<Kept>,
    /// How many were poured into it.
    pub events_count: u64,
    /// The first event's time.
    pub start_at: Timestamp,
    /// When it overflowed.
    pub stop_at: Timestamp,
    /// Why it is not acted on, when a postoverflow exempts it.
    pub whitelisted: Option<String>,
    /// What contexts attach to its alerts: keys, sorted, and their values.
    pub context: Vec<(String, Vec<String>)>,
    /// How many overflows led to this one by being poured again.
    pub depth: u8,
    /// Whether it counts what another site's page had browsers send.
    pub(crate) foreign: bool,
}

/// What a bucket keeps of an overflow that was poured into it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Whom it was about.
    pub sources: Box<[Source]>,
    /// Its own depth.
    pub depth: u8,
}

impl About {
    /// How many bytes it occupies, about.
    pub(crate) fn weight(&self) -> usize {
        let texts = |source: &Source| {
            source.whereabouts.as_ref().map_or(0, |about| {
                size_of_val(&**about) + about.range.len() + about.as_name.len()
            }) + source.value.len()
        };
        let sources = self.sources.iter();
        sources
            .map(|source| size_of_val(source) + texts(source))
            .sum()
    }
}

impl Overflow {
    /// Its alerts, one for each source, in their order.
    pub fn alerts(&self) -> impl ExactSizeIterator<Item = Alert> + '_ {
        let shared: Option<Vec<Evidence>> = (self.sources.len() <= SHARED)
            .then(|| self.events.iter().map(Kept::evidence).collect());
        self.sources.iter().map(move |source| Alert {
            scenario: self.spec.name.clone(),
            scenario_hash: self.spec.hash.clone(),
            source: source.clone(),
            events_count: self.events_count,
            start_at: self.start_at,
            stop_at: self.stop_at,
            events: shared.clone().unwrap_or_else(|| self.events_of(source)),
            remediation: self.spec.remediation,
            simulated: self.spec.simulated,
            labels: self.spec.labels.clone(),
            context: self.context.clone(),
            exempt: self.whitelisted.clone(),
        })
    }

    /// The events that came from the address of `source`, or the last when none did.
    fn events_of(&self, source: &Source) -> Vec<Evidence> {
        let address = source.ip.map(|ip| ip.to_string());
        let is_own = |event: &&Kept| {
            let from = event.meta().value(b"source_ip");
            address.as_ref().is_some_and(|own| own.as_bytes() == from)
        };
        let own: Vec<Evidence> = self
            .events
            .iter()
            .filter(is_own)
            .map(Kept::evidence)
            .collect();
        if own.is_empty() {
            return self.events.last().map(Kept::evidence).into_iter().collect();
        }
        own
    }
}
