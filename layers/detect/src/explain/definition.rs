//! What a scenario of a running program says, for people.

use crate::bucket::{BucketKind, BucketSpec};

/// A scenario as its author wrote it and as it is tuned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// The hash of its file, with what tuned it.
    pub hash: String,
    /// `leaky`, `trigger`, `counter`, `conditional` or `bayesian`.
    pub kind: &'static str,
    /// Which events it counts.
    pub filter: String,
    /// What tells its buckets apart; empty when there is but one.
    pub groupby: String,
    /// Of which values each counts once; empty when all do.
    pub distinct: String,
    /// When it overflows, such as `on the 11th event, leaking one each 10s`.
    pub overflows: String,
}

impl Definition {
    pub(crate) fn new(spec: &BucketSpec, filter: &str, groupby: &str, distinct: &str) -> Self {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            name: spec.name.clone(),
            hash: spec.hash.clone(),
            kind: match spec.kind {
                BucketKind::Leaky => "leaky",
                BucketKind::Trigger => "trigger",
                BucketKind::Counter => "counter",
                BucketKind::Conditional => "conditional",
                BucketKind::Bayesian(_) => "bayesian",
            },
            filter: flat(filter),
            groupby: flat(groupby),
            distinct: flat(distinct),
            overflows: overflows(spec),
        }
    }
}

fn overflows(spec: &BucketSpec) -> String {
    let leak = super::buckets::leak(spec);
    let leak = if leak.is_empty() {
        leak
    } else {
        format!(", leaking {leak}")
    };
    match (&spec.kind, spec.capacity) {
        (BucketKind::Trigger, _) => "on the first event".to_owned(),
        (BucketKind::Counter, _) => format!("when its time is over{leak}"),
        (BucketKind::Conditional, _) => format!("when its condition holds{leak}"),
        (BucketKind::Bayesian(_), _) => format!("when evil is likely enough{leak}"),
        (BucketKind::Leaky, None) => format!("never by number{leak}"),
        (BucketKind::Leaky, Some(capacity)) => {
            format!("on event {}{leak}", u64::from(capacity) + 1)
        }
    }
}
