//! Where buckets live.
//!
//! For: applying pours from several threads at once. Buckets are spread over
//! shards by a keyed hash of their group, each shard is a bounded table behind
//! its own lock, so that one source's pours take one lock and no two sources
//! wait for each other for longer than a pour takes.
//!
//! Refuses: to grow. Entries and bytes of kept events are bounded; the bucket
//! that was poured into longest ago goes first and is counted. No source holds more
//! than its share: one that makes a bucket of every path it invents pushes out its own.
//!
//! Assumes: pours that must be ordered come in that order. On live traffic the
//! time passed in may jump: forward looks like idleness, backward (by a second
//! or more) is taken out of the shard's own clock, so that no bucket freezes.
//!
//! On failure: pours of a program that was replaced meanwhile are dropped and
//! counted; a panic inside a test leaves the shard as it was before the pour,
//! or with one bucket less.

mod core;
mod entry;
mod estate;
mod index;
mod list;
mod wheel;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vocab::{Alert, Timestamp};

use self::core::Shard;
use crate::bucket::{BucketSpec, Occurrence, Pour};
use crate::overflow::Overflow;

/// How much the shards may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How many shards; rounded up to a power of two, 1 to 256.
    pub shards: usize,
    /// The most buckets in all.
    pub buckets: usize,
    /// The most bytes of kept events in all.
    pub bytes: usize,
}

impl Default for Limits {
    /// 16 shards, 262,144 buckets, 64 MiB of kept events.
    fn default() -> Self {
        Self {
            shards: 16,
            buckets: 262_144,
            bytes: 64 << 20,
        }
    }
}

/// Whose time the buckets run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Arrival time. Several IPv6 addresses of one /64 make one alert about the /64.
    Live,
    /// Event time, in the order in which events are handed over.
    Replay,
}

/// Where events count that must not be counted together, whatever their groups are: sites
/// that bar and sites that only observe, say. A source may do as it likes where nobody is
/// barred; were the buckets the same, an overflow there would empty those of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Realm {
    /// The one where there is but one.
    #[default]
    First,
    /// Another.
    Second,
    /// A third.
    Third,
}

impl Realm {
    /// A bucket's key within this realm. Two bits of the hash are given up for it, none of
    /// them among those that choose the shard.
    fn key(self, key: u128) -> u128 {
        key & !3 | self as u128
    }

    /// The realm that a key was made for.
    pub(crate) fn of(key: u128) -> Self {
        match key & 3 {
            1 => Self::Second,
            2 => Self::Third,
            _ => Self::First,
        }
    }
}

/// Takes overflows as they happen.
pub trait Alarm {
    /// One more.
    fn raise(&mut self, overflow: Overflow);
}

impl Alarm for Vec<Overflow> {
    fn raise(&mut self, overflow: Overflow) {
        self.push(overflow);
    }
}

/// For whoever wants the alerts alone.
impl Alarm for Vec<Alert> {
    fn raise(&mut self, overflow: Overflow) {
        self.extend(overflow.alerts());
    }
}

/// A bucket as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peek {
    /// How many events it counted.
    pub events: u64,
    /// How many of them have not leaked.
    pub level: u64,
    /// Until when its overflows are silent; long past where they are not.
    pub silent_until: Timestamp,
}

/// What the shards hold and what they did so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Entries held now: buckets, and blackholes without a bucket.
    pub buckets: u64,
    /// Bytes of kept events held now.
    pub bytes: u64,
    /// Living entries dropped because a bound was reached.
    pub evicted: u64,
    /// Living entries dropped because their source held its share of the table.
    pub crowded: u64,
    /// Pours in all.
    pub poured: u64,
    /// Pours of a program that was replaced meanwhile.
    pub stale: u64,
    /// Overflows that a blackhole suppressed.
    pub suppressed: u64,
    /// Overflows that `overflow_filter` dropped.
    pub filtered: u64,
    /// Overflows without a source to name.
    pub sourceless: u64,
    /// Alerts in all.
    pub alerts: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.buckets += other.buckets;
        self.bytes += other.bytes;
        self.evicted += other.evicted;
        self.crowded += other.crowded;
        self.poured += other.poured;
        self.stale += other.stale;
        self.suppressed += other.suppressed;
        self.filtered += other.filtered;
        self.sourceless += other.sourceless;
        self.alerts += other.alerts;
    }
}

/// The buckets of one program, safe to pour into from several threads.
#[derive(Debug)]
pub struct Shards {
    shards: Box<[Mutex<Shard>]>,
    mask: usize,
}

impl Shards {
    /// Empty shards for these scenarios, listed in the order of their ids.
    #[must_use]
    pub fn new(specs: &Arc<[BucketSpec]>, limits: Limits, mode: Mode) -> Self {
        let count = limits.shards.clamp(1, 256).next_power_of_two();
        let shard = || {
            let buckets = limits.buckets.div_ceil(count).max(1);
            Mutex::new(Shard::new(
                Arc::clone(specs),
                buckets,
                limits.bytes / count,
                mode,
            ))
        };
        Self {
            shards: (0..count).map(|_| shard()).collect(),
            mask: count - 1,
        }
    }

    /// Pours one event's pours, made by the program that owns `specs`, at `now`
    /// (live: arrival; replay: the event's time); `alarm` gets what overflows, in the
    /// order of the pours.
    pub fn apply(
        &self,
        specs: &Arc<[BucketSpec]>,
        pours: &[Pour],
        occurrence: &mut dyn Occurrence,
        now: Timestamp,
        alarm: &mut dyn Alarm,
    ) {
        self.apply_within(Realm::First, specs, pours, occurrence, now, alarm);
    }

    /// The same within a realm. An overflow may be of another one: time passes for all.
    pub fn apply_within(
        &self,
        realm: Realm,
        specs: &Arc<[BucketSpec]>,
        pours: &[Pour],
        occurrence: &mut dyn Occurrence,
        now: Timestamp,
        alarm: &mut dyn Alarm,
    ) {
        let mut rest = pours;
        while let Some(first) = rest.first() {
            let at = self.place(first.key);
            let same = rest
                .iter()
                .take_while(|pour| self.place(pour.key) == at)
                .count();
            let (here, others) = rest.split_at(same);
            rest = others;
            if let Some(shard) = self.shards.get(at) {
                lock(shard).apply(specs, (realm, here), occurrence, now, alarm);
            }
        }
    }

    /// The bucket that a pour goes to, as it is now; `None` when there is none.
    #[must_use]
    pub fn peek(&self, realm: Realm, pour: &Pour) -> Option<Peek> {
        let shard = self.shards.get(self.place(pour.key))?;
        lock(shard).peek((pour.scenario, realm.key(pour.key)))
    }

    /// Lets time pass to `now`: counters that are due overflow, dead buckets are
    /// freed. To be called about once a second on live traffic.
    pub fn advance(&self, now: Timestamp, alarm: &mut dyn Alarm) {
        for shard in &self.shards {
            lock(shard).advance(now, alarm);
        }
    }

    /// Replaces the scenarios. Buckets of scenarios that kept name and hash
    /// survive; the others are dropped.
    pub fn reload(&self, specs: &Arc<[BucketSpec]>) {
        for shard in &self.shards {
            lock(shard).reload(specs);
        }
    }

    /// The counters, summed over all shards.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for shard in &self.shards {
            sum.add(&lock(shard).counts());
        }
        sum
    }

    /// The upper bits choose the shard, the lower ones the place inside it.
    fn place(&self, key: u128) -> usize {
        usize::from((key >> 120) as u8) & self.mask
    }
}

/// A shard is consistent between pours, so a panic elsewhere does not spoil it.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
