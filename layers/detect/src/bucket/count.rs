//! One bucket's arithmetic: when it overflows, when it is dead, what it keeps.
//!
//! Times here are the shard's own (see `shard`): in live mode they never go back.
//! In replay they may, and then the rules of Go's `x/time/rate` hold: nothing
//! leaks for a step back, and the next leak is counted from there.

use vocab::Timestamp;

use super::held::Distinct;
use super::{Bayes, BucketKind, BucketSpec, BucketView, Held, Queue};

/// A moment: on the shard's clock, and as it is shown to people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) clock: Timestamp,
    pub(crate) shown: Timestamp,
}

/// What one event counted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The bucket holds.
    Quiet,
    /// The bucket is full, or its condition holds.
    Overflow,
}

/// A bucket that holds something. What must be looked at to drop it comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Bucket {
    /// The events that are kept, oldest first.
    pub(crate) queue: Queue,
    distinct: Distinct,
    /// How many were poured.
    pub(crate) total: u64,
    /// The first event's time, as it is shown.
    pub(crate) first: Timestamp,
    /// The last event's time, as it is shown.
    pub(crate) last: Timestamp,
    /// The shard's time of the first event.
    opened: Timestamp,
    /// The shard's time of the last event.
    touched: Timestamp,
    /// Nanoseconds of leaking until it is empty, at `touched`.
    debt: u64,
    /// The Bayesian conditions that held for good, one bit each.
    guillotined: u64,
    /// The bytes of the kept events; all that a bucket may hold is far less than 4 GiB.
    held: u32,
    /// Which of `distinct` is forgotten next, once it is full.
    oldest_distinct: u16,
}

impl Bucket {
    /// An empty bucket whose first event comes at `now`.
    pub(crate) fn new(now: Now) -> Self {
        Self {
            queue: Queue::default(),
            total: 0,
            first: now.shown,
            last: now.shown,
            opened: now.clock,
            touched: now.clock,
            debt: 0,
            distinct: Distinct::default(),
            oldest_distinct: 0,
            guillotined: 0,
            held: 0,
        }
    }

    /// Whether this value was seen before; remembers it otherwise.
    pub(crate) fn is_repeated(&mut self, spec: &BucketSpec, value: u64) -> bool {
        if self.distinct.contains(value) {
            return true;
        }
        if self.distinct.len() < spec.distinct_limit() {
            self.distinct.push(value);
        } else {
            let oldest = usize::from(self.oldest_distinct);
            self.distinct.replace(oldest, value);
            let next = (oldest + 1) % self.distinct.len().max(1);
            self.oldest_distinct = u16::try_from(next).unwrap_or(0);
        }
        false
    }

    /// Pours one event.
    pub(crate) fn pour(&mut self, spec: &BucketSpec, held: Held, now: Now) -> Outcome {
        self.total += 1;
        let allowed = self.take_token(spec, now.clock);
        self.touched = now.clock;
        self.last = now.shown;
        while self.queue.len() >= spec.queue_limit() {
            let oldest = self.queue.pop();
            self.held -= oldest.map_or(self.held, |held| held.weight());
        }
        self.held += held.weight();
        self.queue.push(held);
        let full = match &spec.kind {
            BucketKind::Trigger => true,
            BucketKind::Counter => false,
            BucketKind::Leaky | BucketKind::Conditional => match &spec.condition {
                Some(condition) => condition.holds(&self.view()),
                None => !allowed,
            },
            BucketKind::Bayesian(bayes) => self.posterior(bayes) > bayes.threshold || !allowed,
        };
        if full {
            Outcome::Overflow
        } else {
            Outcome::Quiet
        }
    }

    /// When it dies if nothing more is poured; a counter then overflows.
    pub(crate) fn deadline(&self, spec: &BucketSpec) -> Timestamp {
        match spec.kind {
            BucketKind::Counter => self.opened.after(spec.duration),
            _ if spec.leakspeed.is_zero() => Timestamp::MAX,
            _ => self.touched.after(spec.life()),
        }
    }

    /// The bucket as tests see it.
    pub(crate) fn view(&self) -> BucketView<'_> {
        BucketView {
            queue: &self.queue,
            total: self.total,
            first: self.first,
            last: self.last,
        }
    }

    /// How many of its events have not leaked at `now` (a moment on the shard's clock).
    pub(crate) fn level(&self, spec: &BucketSpec, now: Timestamp) -> u64 {
        if spec.capacity.is_none() {
            return self.total;
        }
        let leaked = if spec.leakspeed.is_zero() {
            0
        } else {
            nanos(now.since(self.touched))
        };
        self.debt
            .saturating_sub(leaked)
            .div_ceil(nanos(spec.leakspeed).max(1))
    }

    /// The bytes that its kept events and distinct values occupy.
    pub(crate) fn weight(&self) -> usize {
        self.held as usize + self.queue.weight() + self.distinct.weight()
    }

    /// A token bucket of `capacity` that refills one token every `leakspeed`.
    fn take_token(&mut self, spec: &BucketSpec, now: Timestamp) -> bool {
        let Some(capacity) = spec.capacity else {
            return true;
        };
        let token = nanos(spec.leakspeed).max(1);
        if !spec.leakspeed.is_zero() {
            self.debt = self.debt.saturating_sub(nanos(now.since(self.touched)));
        }
        let room = token.saturating_mul(u64::from(capacity));
        let debt = self.debt.saturating_add(token);
        if debt > room {
            return false;
        }
        self.debt = debt;
        true
    }

    /// Bayes' rule over all conditions, from the prior each time.
    fn posterior(&mut self, bayes: &Bayes) -> f64 {
        let mut posterior = bayes.prior;
        for (index, condition) in bayes.conditions.iter().enumerate() {
            let bit = u32::try_from(index)
                .ok()
                .and_then(|at| 1_u64.checked_shl(at));
            let for_good = bit.is_some_and(|bit| self.guillotined & bit != 0);
            let holds = for_good || condition.test.holds(&self.view());
            if let (true, true, Some(bit)) = (holds, condition.guillotine, bit) {
                self.guillotined |= bit;
            }
            let (evil, benign) = if holds {
                (condition.given_evil, condition.given_benign)
            } else {
                (1.0 - condition.given_evil, 1.0 - condition.given_benign)
            };
            let both = evil * posterior + benign * (1.0 - posterior);
            posterior = if both > 0.0 {
                evil * posterior / both
            } else {
                0.0
            };
        }
        posterior
    }
}

fn nanos(span: core::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
