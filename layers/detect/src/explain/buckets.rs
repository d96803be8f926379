//! What became of the buckets that one event was poured into.

use core::fmt;

use vocab::time::Span;
use vocab::{Alert, Timestamp};

use super::Trace;
use crate::bucket::{BucketKind, BucketSpec};
use crate::program::{Program, Seen};
use crate::shard::{Peek, Realm, Shards};

/// A bucket after an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketTrace {
    /// What the event did to it.
    pub became: Became,
    /// How many events it counted so far, this one included; 0 when it is gone.
    pub events: u64,
    /// How full it is now, in events that have not leaked yet.
    pub level: u64,
    /// How many it holds before it overflows; `None` without a bound.
    pub capacity: Option<u32>,
    /// How fast it leaks, such as `one each 10s`; empty where it does not.
    pub leak: String,
}

/// What one event did to a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Became {
    /// It was counted.
    Counted,
    /// Its distinct value is in the bucket already.
    Repeated,
    /// `cancel_on` emptied the bucket.
    Cancelled,
    /// The bucket overflowed and raised an alert.
    Overflowed,
    /// It overflowed in silence: it had done so shortly before (`blackhole`).
    Silent {
        /// Until when it stays silent.
        until: Timestamp,
    },
    /// It overflowed, and `overflow_filter` dropped that.
    Filtered,
    /// It overflowed, and no event in it names a source.
    Sourceless,
}

impl Became {
    /// One word, for machines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Repeated => "repeated",
            Self::Cancelled => "cancelled",
            Self::Overflowed => "overflowed",
            Self::Silent { .. } => "silent",
            Self::Filtered => "filtered",
            Self::Sourceless => "sourceless",
        }
    }
}

/// Pours what an event says into `shards`, one bucket after the other, and writes down in
/// `trace` what became of each. Alerts are added to `alerts`.
pub fn pour(
    program: &Program,
    shards: &Shards,
    seen: &mut Seen<'_>,
    trace: &mut Trace,
    alerts: &mut Vec<Alert>,
) {
    for pour in seen.pours {
        let id = pour.scenario.0 as usize;
        let (Some(spec), Some(scenario)) = (program.specs().get(id), trace.scenarios.get_mut(id))
        else {
            continue;
        };
        let (before, counts, raised) = (
            shards.peek(Realm::First, pour),
            shards.counts(),
            alerts.len(),
        );
        shards.apply(
            program.specs(),
            core::slice::from_ref(pour),
            &mut seen.occurrence,
            seen.time,
            alerts,
        );
        let (after, now) = (shards.peek(Realm::First, pour), shards.counts());
        let became = if pour.cancel {
            Became::Cancelled
        } else if alerts.len() > raised {
            Became::Overflowed
        } else if now.suppressed > counts.suppressed {
            let until = after.as_ref().map_or(seen.time, |peek| peek.silent_until);
            Became::Silent { until }
        } else if now.filtered > counts.filtered {
            Became::Filtered
        } else if now.sourceless > counts.sourceless {
            Became::Sourceless
        } else if events(before.as_ref()) == events(after.as_ref()) {
            Became::Repeated
        } else {
            Became::Counted
        };
        scenario.bucket = Some(BucketTrace {
            became,
            events: events(after.as_ref()),
            level: after.as_ref().map_or(0, |peek| peek.level),
            capacity: spec.capacity,
            leak: leak(spec),
        });
    }
}

fn events(peek: Option<&Peek>) -> u64 {
    peek.map_or(0, |peek| peek.events)
}

pub(super) fn leak(spec: &BucketSpec) -> String {
    match spec.kind {
        BucketKind::Leaky | BucketKind::Bayesian(_) if !spec.leakspeed.is_zero() => {
            format!("one each {}", Span(spec.leakspeed))
        }
        BucketKind::Conditional if !spec.leakspeed.is_zero() => {
            format!("all after {} without an event", Span(spec.leakspeed))
        }
        BucketKind::Counter => format!("all after {}", Span(spec.duration)),
        _ => String::new(),
    }
}

impl fmt::Display for BucketTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.became {
            Became::Overflowed => return f.write_str("overflows: an alert"),
            Became::Cancelled => return f.write_str("emptied by cancel_on"),
            Became::Filtered => return f.write_str("overflows, and overflow_filter drops it"),
            Became::Sourceless => {
                return f.write_str("overflows, and no event in it names a source");
            }
            Became::Silent { until } => {
                return write!(
                    f,
                    "overflows in silence until {}, since it did so before",
                    until.to_the_second()
                );
            }
            Became::Repeated => f.write_str("not counted, its distinct value is known; ")?,
            Became::Counted => {}
        }
        match self.capacity {
            Some(capacity) => write!(f, "holds {} of {capacity}", self.level)?,
            None => write!(f, "holds {}", self.events)?,
        }
        if !self.leak.is_empty() {
            write!(f, ", leaks {}", self.leak)?;
        }
        Ok(())
    }
}
