//! One shard: a slab of entries, an index, the order of use and a timer wheel.
//!
//! An entry is a scenario's bucket for one group, the blackhole that follows its
//! overflow, or both. Each entry is in three lists: the order of last use, from
//! which evictions are taken, the same among what its source owns, and one slot of
//! the wheel.

use std::collections::HashMap;
use std::sync::Arc;

use vocab::Timestamp;

use super::entry::{Entry, Key, USED, VACANT, hash};
use super::estate::{EstateId, Estates};
use super::index::Index;
use super::list::{List, NONE};
use super::wheel::{Turn, Wheel};
use super::{Alarm, Counts, Mode, Peek, Realm};
use crate::alert;
use crate::bucket::{
    Bucket, BucketKind, BucketSpec, Held, Now, Occurrence, Outcome, Owner, Pour, ScenarioId,
    ScopeRule,
};

/// How many entries of the wheel one live pour may look at.
const WHEEL_BUDGET: usize = 64;
/// A clock this much behind is a jump, and not the race of two threads.
const JUMP_NANOS: i64 = 1_000_000_000;

type Specs = Arc<[BucketSpec]>;

/// The share of a shard's entries that one source may hold, and of its bytes. A source
/// that groups by path makes a bucket of every path; what is left to it serves a large
/// office behind one address, and it takes more than sixty such to crowd out others.
const ENTRY_SHARE: usize = 64;
const BYTE_SHARE: usize = 16;
/// Entries of a shard that a source may hold however small the table is.
const LEAST_SHARE: usize = 8;

#[derive(Debug)]
pub(super) struct Shard {
    specs: Specs,
    max_entries: usize,
    max_bytes: usize,
    mode: Mode,
    index: Index,
    estates: Estates,
    slab: Vec<Entry>,
    free: Vec<u32>,
    used: List<USED>,
    wheel: Wheel,
    /// The shard's clock: never goes back on live traffic.
    clock: Timestamp,
    /// What live time lacks on the shard's clock, after jumps back.
    lag_nanos: i64,
    bytes: usize,
    counts: Counts,
}

impl Shard {
    pub(super) fn new(specs: Specs, max_entries: usize, max_bytes: usize, mode: Mode) -> Self {
        Self {
            specs,
            // Indices are 32 bits, the last of which says "none".
            max_entries: max_entries.min(NONE as usize - 1),
            max_bytes,
            mode,
            index: Index::default(),
            estates: Estates::default(),
            slab: Vec::new(),
            free: Vec::new(),
            used: List::EMPTY,
            wheel: Wheel::new(),
            clock: Timestamp::from_unix_nanos(i64::MIN),
            lag_nanos: 0,
            bytes: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            buckets: self.index.len() as u64,
            bytes: self.bytes as u64,
            ..self.counts
        }
    }

    /// The entry for a key.
    fn find(&self, key: Key) -> Option<u32> {
        self.index
            .find(hash(key), |at| self.entry(at).is_some_and(|it| it.is(key)))
    }

    #[inline]
    fn entry(&self, at: u32) -> Option<&Entry> {
        let entry = self.slab.get(at as usize)?;
        (entry.scenario != VACANT).then_some(entry)
    }

    #[inline]
    fn entry_mut(&mut self, at: u32) -> Option<&mut Entry> {
        let entry = self.slab.get_mut(at as usize)?;
        (entry.scenario != VACANT).then_some(entry)
    }

    pub(super) fn peek(&self, key: Key) -> Option<Peek> {
        let at = self.find(key)?;
        let entry = self.entry(at)?;
        let spec = self.specs.get(key.0.0 as usize)?;
        let level = |bucket: &Bucket| bucket.level(spec, self.clock);
        Some(Peek {
            events: entry.bucket.as_ref().map_or(0, |bucket| bucket.total),
            level: entry.bucket.as_ref().map_or(0, level),
            silent_until: entry.blackhole,
        })
    }

    pub(super) fn apply(
        &mut self,
        specs: &Specs,
        (realm, pours): (Realm, &[Pour]),
        occurrence: &mut dyn Occurrence,
        now: Timestamp,
        alarm: &mut dyn Alarm,
    ) {
        if !Arc::ptr_eq(specs, &self.specs) {
            self.counts.stale += pours.len() as u64;
            return;
        }
        let now = self.tell(now);
        let budget = match self.mode {
            Mode::Live => WHEEL_BUDGET,
            Mode::Replay => usize::MAX,
        };
        self.turn(now, budget, alarm);
        for pour in pours {
            if let Some(spec) = specs.get(pour.scenario.0 as usize) {
                self.counts.poured += 1;
                let pour = Pour {
                    key: realm.key(pour.key),
                    ..*pour
                };
                self.pour(spec, &pour, occurrence, now, alarm);
            }
        }
    }

    pub(super) fn advance(&mut self, now: Timestamp, alarm: &mut dyn Alarm) {
        let now = self.tell(now);
        self.turn(now, usize::MAX, alarm);
    }

    pub(super) fn reload(&mut self, specs: &Specs) {
        let by_name: HashMap<(&str, &str, usize), u32> = numbered(specs)
            .map(|(id, identity)| (identity, id))
            .collect();
        let moved: Vec<Option<u32>> = numbered(&self.specs)
            .map(|(_, identity)| by_name.get(&identity).copied())
            .collect();
        self.index.clear();
        for at in 0..self.slab.len() {
            let at = u32::try_from(at).unwrap_or(NONE);
            let Some(entry) = self.entry_mut(at) else {
                continue;
            };
            match moved.get(entry.scenario.0 as usize).copied().flatten() {
                Some(id) => {
                    entry.scenario = ScenarioId(id);
                    let hash = hash(entry.key());
                    self.index.insert(hash, at);
                }
                None => self.free(at),
            }
        }
        self.specs = Arc::clone(specs);
    }

    /// The shard's moment for a time that was passed in.
    fn tell(&mut self, shown: Timestamp) -> Now {
        let clock = match self.mode {
            Mode::Replay => shown,
            Mode::Live => {
                let told = shown.unix_nanos().saturating_add(self.lag_nanos);
                let behind = self.clock.unix_nanos().saturating_sub(told);
                if self.clock.unix_nanos() != i64::MIN && behind >= JUMP_NANOS {
                    self.lag_nanos = self.lag_nanos.saturating_add(behind);
                }
                self.clock.max(Timestamp::from_unix_nanos(told))
            }
        };
        self.clock = clock;
        Now { clock, shown }
    }

    fn pour(
        &mut self,
        spec: &BucketSpec,
        pour: &Pour,
        occurrence: &mut dyn Occurrence,
        now: Now,
        alarm: &mut dyn Alarm,
    ) {
        if matches!(spec.kind, BucketKind::Trigger) {
            let mut bucket = Bucket::new(now);
            bucket.pour(spec, hold(spec, pour, occurrence), now);
            self.overflow(
                spec,
                (pour.scenario, pour.key, pour.owner),
                &bucket,
                now,
                alarm,
            );
            return;
        }
        let key = (pour.scenario, pour.key);
        let at = match self.find(key) {
            Some(at) => at,
            None if pour.cancel => return,
            None => self.insert(key, pour.owner, spec, now),
        };
        if let Some(dead) = self.take_dead(at, now)
            && matches!(spec.kind, BucketKind::Counter)
        {
            self.overflow(spec, (key.0, key.1, pour.owner), &dead, now, alarm);
        }
        let Some(entry) = self.entry_mut(at) else {
            return;
        };
        let bucket = entry.bucket.get_or_insert_with(|| Bucket::new(now));
        let repeated = pour
            .distinct
            .is_some_and(|value| bucket.is_repeated(spec, value));
        if repeated {
            // Nothing was added, so weight, deadline and bounds are what they were.
            self.used_again(at);
            return;
        }
        let outcome = if pour.cancel {
            entry.bucket = None;
            Outcome::Quiet
        } else {
            bucket.pour(spec, hold(spec, pour, occurrence), now)
        };
        let full = match outcome {
            Outcome::Overflow => entry.bucket.take(),
            Outcome::Quiet => None,
        };
        self.settle(at, spec);
        if let Some(bucket) = full {
            self.overflow(spec, (key.0, key.1, pour.owner), &bucket, now, alarm);
        }
        self.shed(at);
    }

    /// Takes the bucket out of an entry when its time is over.
    fn take_dead(&mut self, at: u32, now: Now) -> Option<Bucket> {
        let entry = self.slab.get_mut(at as usize)?;
        let spec = self.specs.get(entry.scenario.0 as usize)?;
        let dead = entry.bucket.as_ref().is_some_and(|bucket| {
            // The entry's is the bucket's, unless a blackhole outlasts it.
            let deadline = if entry.blackhole < entry.deadline {
                entry.deadline
            } else {
                bucket.deadline(spec)
            };
            match spec.kind {
                BucketKind::Counter => now.clock >= deadline,
                _ => now.clock > deadline,
            }
        });
        if dead { entry.bucket.take() } else { None }
    }

    /// After a change: the entry's weight, its deadline, its place in the order
    /// of use; an entry that holds nothing goes.
    fn settle(&mut self, at: u32, spec: &BucketSpec) {
        self.weigh(at);
        let clock = self.clock;
        let Some(entry) = self.entry_mut(at) else {
            return;
        };
        if let Some(bucket) = &entry.bucket {
            entry.deadline = bucket.deadline(spec).max(entry.blackhole);
        } else if entry.blackhole <= clock {
            self.free(at);
            return;
        } else {
            // That may be long before the bucket's.
            entry.deadline = entry.blackhole;
            self.wheel.put(&mut self.slab, at);
        }
        self.used_again(at);
    }

    /// After a change of what a bucket holds: what the bytes are in all.
    fn weigh(&mut self, at: u32) {
        let Some(entry) = self.slab.get_mut(at as usize) else {
            return;
        };
        let weight = entry.bucket.as_ref().map_or(0, Bucket::weight);
        let before = entry.weight();
        if weight != before {
            entry.weight = u32::try_from(weight).unwrap_or(u32::MAX);
            let weight = entry.weight();
            self.bytes = self.bytes + weight - before;
            if let Some(estate) = self.estates.get_mut(entry.estate) {
                estate.bytes = estate.bytes + weight - before;
            }
        }
    }

    /// Moves an entry to the end of the orders of use.
    fn used_again(&mut self, at: u32) {
        if self.used.last() == Some(at) {
            // Then it is the last of its owner's, too.
            return;
        }
        self.used.remove(&mut self.slab, at);
        self.used.push(&mut self.slab, at);
        let estate = self.entry(at).map_or(EstateId::NOBODY, |it| it.estate);
        if let Some(estate) = self.estates.get_mut(estate) {
            estate.order.remove(&mut self.slab, at);
            estate.order.push(&mut self.slab, at);
        }
    }

    /// What happens to a bucket that is full: filter, blackhole, alert.
    fn overflow(
        &mut self,
        spec: &BucketSpec,
        (scenario, group, owner): (ScenarioId, u128, Owner),
        bucket: &Bucket,
        now: Now,
        alarm: &mut dyn Alarm,
    ) {
        if spec
            .overflow_filter
            .as_ref()
            .is_some_and(|filter| !filter.holds(&bucket.view()))
        {
            self.counts.filtered += 1;
            return;
        }
        if let Some(span) = spec.blackhole {
            let key = (scenario, group);
            let at = match self.find(key) {
                Some(at) => at,
                None => self.insert(key, owner, spec, now),
            };
            let Some(entry) = self.entry_mut(at) else {
                return;
            };
            if entry.blackhole > now.clock {
                self.counts.suppressed += 1;
                return;
            }
            entry.blackhole = now.clock.after(span);
            self.settle(at, spec);
            self.wheel.put(&mut self.slab, at);
            self.shed(at);
        }
        let key = (scenario, group);
        match alert::assemble(spec, key, bucket, self.mode, now.shown) {
            Some(overflow) => {
                self.counts.alerts += overflow.sources.len() as u64;
                alarm.raise(overflow);
            }
            None => self.counts.sourceless += 1,
        }
    }

    fn insert(&mut self, key: Key, owner: Owner, spec: &BucketSpec, now: Now) -> u32 {
        let share = (self.max_entries / ENTRY_SHARE).max(LEAST_SHARE);
        let estate = self.estates.find(owner);
        let estate = estate.and_then(|estate| self.estates.get(estate));
        if let Some(estate) = estate.filter(|held| held.entries >= share) {
            self.drop_living(estate.order.first());
        } else if self.index.len() >= self.max_entries {
            self.evict(NONE);
        }
        // Not before: making room may have taken all that the source had.
        let estate = match owner {
            Owner::NOBODY => EstateId::NOBODY,
            owner => {
                let known = self.estates.find(owner);
                known.unwrap_or_else(|| self.estates.found(owner))
            }
        };
        let entry = Entry::new(key, estate, Bucket::new(now).deadline(spec));
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.slab.get_mut(at as usize) {
                    *place = entry;
                }
                at
            }
            None => {
                self.slab.push(entry);
                u32::try_from(self.slab.len() - 1).unwrap_or(NONE)
            }
        };
        self.index.insert(hash(key), at);
        self.used.push(&mut self.slab, at);
        if let Some(estate) = self.estates.get_mut(estate) {
            estate.entries += 1;
            estate.order.push(&mut self.slab, at);
        }
        self.wheel.put(&mut self.slab, at);
        at
    }

    fn free(&mut self, at: u32) {
        self.used.remove(&mut self.slab, at);
        self.estates.leave(&mut self.slab, at);
        self.wheel.remove(&mut self.slab, at);
        if let Some(entry) = self.slab.get_mut(at as usize) {
            self.index.remove(hash(entry.key()), at);
            self.bytes -= entry.weight();
            entry.scenario = VACANT;
            entry.bucket = None;
            self.free.push(at);
        }
    }

    /// Drops what was used longest ago until the bytes are in bounds, first of whoever
    /// owns `spare`; `spare`, just used, goes last.
    fn shed(&mut self, spare: u32) {
        let owner = self
            .entry(spare)
            .map_or(EstateId::NOBODY, |entry| entry.estate);
        while let Some(estate) = self.estates.get(owner)
            && estate.bytes > self.max_bytes / BYTE_SHARE
            && let Some(at) = estate.order.first().filter(|at| *at != spare)
        {
            self.drop_living(Some(at));
        }
        while self.bytes > self.max_bytes && self.index.len() > 1 {
            self.evict(spare);
        }
    }

    fn evict(&mut self, spare: u32) {
        let Some(at) = self.used.first() else {
            return;
        };
        if at == spare {
            self.used.remove(&mut self.slab, at);
            self.used.push(&mut self.slab, at);
            return;
        }
        let alive = self
            .entry(at)
            .is_some_and(|entry| entry.deadline >= self.clock);
        self.counts.evicted += u64::from(alive);
        self.free(at);
    }

    /// Drops an entry of a source that holds its share.
    fn drop_living(&mut self, at: Option<u32>) {
        let Some(at) = at else { return };
        let alive = self
            .entry(at)
            .is_some_and(|entry| entry.deadline >= self.clock);
        self.counts.crowded += u64::from(alive);
        self.free(at);
    }

    /// Turns the wheel to `now`, looking at no more than `budget` entries.
    fn turn(&mut self, now: Now, mut budget: usize, alarm: &mut dyn Alarm) {
        let target = now.clock.unix_seconds();
        self.wheel.skip(target);
        while let Some(turn) = self.wheel.due(target) {
            if budget == 0 {
                return;
            }
            budget -= 1;
            match turn {
                Turn::Spread(at) => self.wheel.put(&mut self.slab, at),
                Turn::Look(at) => self.look(at, now, alarm),
            }
        }
    }

    /// An entry's turn on the wheel: it goes, or goes on.
    fn look(&mut self, at: u32, now: Now, alarm: &mut dyn Alarm) {
        if let Some(dead) = self.take_dead(at, now) {
            let specs = Arc::clone(&self.specs);
            let key = self.entry(at).map(|entry| {
                let owner = self.estates.get(entry.estate);
                (
                    entry.scenario,
                    entry.group,
                    owner.map_or(Owner::NOBODY, |estate| estate.owner),
                )
            });
            if let Some((key, spec)) = key.and_then(|key| Some((key, specs.get(key.0.0 as usize)?)))
                && matches!(spec.kind, BucketKind::Counter)
            {
                self.overflow(spec, key, &dead, now, alarm);
            }
        }
        let Some(entry) = self.entry_mut(at) else {
            return;
        };
        if entry.bucket.is_none() && entry.blackhole <= now.clock {
            self.free(at);
        } else {
            self.rewheel_after(at, now);
        }
    }

    /// Back on the wheel, in a slot whose turn is still to come.
    fn rewheel_after(&mut self, at: u32, now: Now) {
        self.weigh(at);
        if let Some(entry) = self.slab.get_mut(at as usize)
            && let Some(spec) = self.specs.get(entry.scenario.0 as usize)
        {
            let held = entry.bucket.as_ref().map_or(entry.blackhole, |bucket| {
                bucket.deadline(spec).max(entry.blackhole)
            });
            entry.deadline = held.max(now.clock);
        }
        self.wheel.put(&mut self.slab, at);
    }
}

/// What a bucket keeps of the event.
fn hold(spec: &BucketSpec, pour: &Pour, occurrence: &mut dyn Occurrence) -> Held {
    let kept = occurrence.keep();
    let scope_value = match spec.scope {
        ScopeRule::Expression(_) => occurrence.scope_value(pour.scenario),
        ScopeRule::Ip | ScopeRule::Range => None,
    };
    Held::new(kept, scope_value)
}

/// The specs with what identifies them over a reload: name, hash, and which of
/// several documents of that name in one file.
fn numbered(specs: &Specs) -> impl Iterator<Item = (u32, (&str, &str, usize))> {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    specs.iter().zip(0_u32..).map(move |(spec, id)| {
        let count = seen.entry((&spec.name, &spec.hash)).or_default();
        *count += 1;
        (id, (spec.name.as_str(), spec.hash.as_str(), *count))
    })
}
