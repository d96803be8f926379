//! A bucket as crowdsec 1.4.6 keeps it, with its two weaknesses, written down as a model: what
//! its runs raise must be what the model can raise, or it is no excuse.
//!
//! - It counts tokens in floating point, and cuts the time until a bucket is full to whole
//!   nanoseconds. A bucket that had been full again can so lack a billionth of a token, and
//!   an event that comes just when there would be a token finds none.
//! - Whether a bucket's time is over is asked before its own task has taken the event
//!   before: the time of the one before that may be looked at, or that there is none.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use detect::bucket::{BucketKind, BucketSpec};
use vocab::Timestamp;

use super::compare::Seen;

/// What is poured: when, into which bucket, with which distinct value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poured {
    pub(super) at: Timestamp,
    pub(super) key: u128,
    pub(super) distinct: Option<u64>,
}

/// How many steps a search may take.
const STEPS: usize = 2_000_000;

#[derive(Clone, Debug)]
struct Bucket {
    first: Timestamp,
    last: Timestamp,
    /// The time before the last, if there were two.
    before: Option<Timestamp>,
    count: u64,
    tokens: f64,
    distinct: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
struct State {
    bucket: Option<Bucket>,
    blackhole: Option<Timestamp>,
}

/// Whether a run may raise these alerts, in the order of their ends. With `late`, its looks
/// at a bucket's time may come too early.
pub(super) fn raises(spec: &BucketSpec, poured: &[Poured], alerts: &[Seen], late: bool) -> bool {
    let mut search = Search {
        spec,
        poured,
        alerts,
        late,
        steps: 0,
    };
    search.from(0, 0, BTreeMap::new())
}

struct Search<'s> {
    spec: &'s BucketSpec,
    poured: &'s [Poured],
    alerts: &'s [Seen],
    late: bool,
    steps: usize,
}

impl Search<'_> {
    fn from(&mut self, at: usize, raised: usize, mut states: BTreeMap<u128, State>) -> bool {
        let mut raised = raised;
        for (next, pour) in self.poured.iter().enumerate().skip(at) {
            self.steps += 1;
            if self.steps > STEPS {
                return false;
            }
            let state = states.entry(pour.key).or_default();
            let over = state
                .bucket
                .as_ref()
                .map(|bucket| self.over(bucket, pour.at));
            match over {
                Some((true, false)) => state.bucket = None,
                Some((false, false)) | None => {}
                // It may be taken for over, or not: the other way is tried first.
                Some((is, true)) => {
                    let mut other = states.clone();
                    let state = other.entry(pour.key).or_default();
                    if !is {
                        state.bucket = None;
                    }
                    let fits = self.pour(state, *pour, raised);
                    if let Some(then) = fits
                        && self.from(next + 1, then, other)
                    {
                        return true;
                    }
                    if is {
                        states.entry(pour.key).or_default().bucket = None;
                    }
                }
            }
            let state = states.entry(pour.key).or_default();
            match self.pour(state, *pour, raised) {
                Some(then) => raised = then,
                None => return false,
            }
        }
        raised == self.alerts.len()
    }

    /// Whether a bucket's time is over, and whether it may be taken for the contrary.
    fn over(&self, bucket: &Bucket, now: Timestamp) -> (bool, bool) {
        let past = |last: Timestamp| now > last.after(self.spec.life());
        let is = past(bucket.last);
        let may = match bucket.before {
            None => is,
            Some(before) => past(before) != is,
        };
        (is, self.late && may)
    }

    /// Pours; how many alerts there are then, or `None` when one is not what was raised.
    fn pour(&self, state: &mut State, pour: Poured, raised: usize) -> Option<usize> {
        let bucket = state.bucket.get_or_insert_with(|| Bucket {
            first: pour.at,
            last: pour.at,
            before: None,
            count: 0,
            tokens: f64::from(self.spec.capacity.unwrap_or(0)),
            distinct: BTreeSet::new(),
        });
        if pour
            .distinct
            .is_some_and(|value| !bucket.distinct.insert(value))
        {
            return Some(raised);
        }
        let elapsed = pour.at.since(bucket.last);
        bucket.before = (bucket.count > 0).then_some(bucket.last);
        (bucket.last, bucket.count) = (pour.at, bucket.count + 1);
        if !matches!(self.spec.kind, BucketKind::Trigger) && take(self.spec, bucket, elapsed) {
            return Some(raised);
        }
        let (first, count) = (bucket.first, bucket.count);
        state.bucket = None;
        if state.blackhole.is_some_and(|until| until > pour.at) {
            return Some(raised);
        }
        state.blackhole = self.spec.blackhole.map(|span| pour.at.after(span));
        let alert = self.alerts.get(raised)?;
        let same = (alert.start, alert.stop, alert.count) == (first, pour.at, count);
        same.then_some(raised + 1)
    }
}

/// Takes a token as its arithmetic does.
fn take(spec: &BucketSpec, bucket: &mut Bucket, elapsed: Duration) -> bool {
    let limit = 1.0 / spec.leakspeed.as_secs_f64();
    let burst = f64::from(spec.capacity.unwrap_or(0));
    let whole = |tokens: f64| (1e9 * (tokens / limit)).trunc();
    let nanoseconds = elapsed.as_nanos() as f64;
    let elapsed = nanoseconds.min(whole(burst - bucket.tokens));
    let (seconds, rest) = ((elapsed / 1e9).trunc(), elapsed % 1e9);
    let tokens = (bucket.tokens + (seconds * limit + rest * limit / 1e9)).min(burst) - 1.0;
    let allowed = burst >= 1.0 && (tokens >= 0.0 || whole(-tokens) <= 0.0);
    if allowed {
        bucket.tokens = tokens;
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(start: i64, stop: i64, count: u64) -> Seen {
        Seen {
            start: Timestamp::from_unix_seconds(start),
            stop: Timestamp::from_unix_seconds(stop),
            count,
            scenario: String::new(),
            source: String::new(),
        }
    }

    fn poured(seconds: &[i64]) -> Vec<Poured> {
        let pour = |second: &i64| Poured {
            at: Timestamp::from_unix_seconds(*second),
            key: 1,
            distinct: None,
        };
        seconds.iter().map(pour).collect()
    }

    #[test]
    fn a_model_raises_what_its_buckets_raise_and_nothing_else() {
        let spec = BucketSpec::leaky("a", "", 5, Duration::from_secs(10));
        let quick = poured(&[0, 1, 2, 3, 4, 5]);
        for late in [false, true] {
            assert!(raises(&spec, &quick, &[alert(0, 5, 6)], late));
            assert!(!raises(&spec, &quick, &[], late));
            assert!(!raises(&spec, &quick, &[alert(0, 5, 5)], late));
        }
    }

    #[test]
    fn a_bucket_may_be_dropped_by_the_time_of_the_event_before_the_last() {
        let spec = BucketSpec::leaky("a", "", 2, Duration::from_secs(10));
        let poured = poured(&[0, 29, 31, 32, 33]);
        assert!(raises(&spec, &poured, &[alert(0, 32, 4)], false));
        assert!(!raises(&spec, &poured, &[alert(31, 33, 3)], false));
        assert!(raises(&spec, &poured, &[alert(31, 33, 3)], true));
    }
}
