//! One shard: a slab of entries, an index, the order of use and a timer wheel.
//!
//! An entry is a scenario's bucket for one group, the blackhole that follows its
//! overflow, or both. Each entry is in two lists: the order of last use, from
//! which evictions are taken, and one slot of the wheel. The wheel is lazy: a
//! pour only changes the entry's deadline, and the slot moves on when its turn comes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use vocab::Timestamp;

use super::list::{Links, List, NONE};
use super::{Alarm, Counts, Mode, Peek, Realm};
use crate::alert;
use crate::bucket::{
    Bucket, BucketKind, BucketSpec, Held, Now, Occurrence, Outcome, Owner, Pour, ScenarioId,
    ScopeRule,
};

/// Slots of the wheel, one second each; later deadlines are looked at again.
const SLOTS: usize = 256;
/// How many entries of the wheel one live pour may look at.
const WHEEL_BUDGET: usize = 64;
/// A clock this much behind is a jump, and not the race of two threads.
const JUMP_NANOS: i64 = 1_000_000_000;

type Key = (ScenarioId, u128);
type Specs = Arc<[BucketSpec]>;

#[derive(Debug)]
struct Entry {
    key: Key,
    bucket: Option<Bucket>,
    /// Until when overflows are suppressed.
    blackhole: Timestamp,
    /// When there is nothing left to hold.
    deadline: Timestamp,
    weight: usize,
    slot: usize,
    used: Links,
    wheel: Links,
    /// Whose pour made it, and its place among what that source owns.
    owner: Owner,
    owned: Links,
}

/// What one source holds of the shard.
#[derive(Debug)]
struct Estate {
    entries: usize,
    bytes: usize,
    /// In the order of last use.
    order: List,
}

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
    index: HashMap<Key, u32, BuildHasherDefault<AlreadyHashed>>,
    estates: HashMap<Owner, Estate, BuildHasherDefault<AlreadyHashed>>,
    slab: Vec<Option<Entry>>,
    free: Vec<u32>,
    used: List,
    wheel: Box<[List; SLOTS]>,
    /// The wheel's next second; all before it were looked at.
    second: i64,
    /// The shard's clock: never goes back on live traffic.
    clock: Timestamp,
    /// What live time lacks on the shard's clock, after jumps back.
    lag_nanos: i64,
    bytes: usize,
    counts: Counts,
}

/// The keys are keyed hashes already; only the scenario is mixed in.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, scenario: u32) {
        self.0 = (self.0 ^ u64::from(scenario)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u64(&mut self, owner: u64) {
        self.0 ^= owner;
    }

    fn write_u128(&mut self, key: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        let half = key as u64;
        self.0 ^= half;
    }
}

fn used(slab: &mut [Option<Entry>], at: u32) -> Option<&mut Links> {
    slab.get_mut(at as usize)?
        .as_mut()
        .map(|entry| &mut entry.used)
}

fn wheel(slab: &mut [Option<Entry>], at: u32) -> Option<&mut Links> {
    slab.get_mut(at as usize)?
        .as_mut()
        .map(|entry| &mut entry.wheel)
}

fn owned(slab: &mut [Option<Entry>], at: u32) -> Option<&mut Links> {
    slab.get_mut(at as usize)?
        .as_mut()
        .map(|entry| &mut entry.owned)
}

impl Shard {
    pub(super) fn new(specs: Specs, max_entries: usize, max_bytes: usize, mode: Mode) -> Self {
        Self {
            specs,
            // Indices are 32 bits, the last of which says "none".
            max_entries: max_entries.min(NONE as usize - 1),
            max_bytes,
            mode,
            index: HashMap::default(),
            estates: HashMap::default(),
            slab: Vec::new(),
            free: Vec::new(),
            used: List::EMPTY,
            wheel: Box::new([List::EMPTY; SLOTS]),
            second: i64::MIN / 2,
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

    pub(super) fn peek(&self, key: (ScenarioId, u128)) -> Option<Peek> {
        let at = *self.index.get(&key)?;
        let entry = self.slab.get(at as usize)?.as_ref()?;
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
        for at in 0..self.slab.len() {
            let at = u32::try_from(at).unwrap_or(NONE);
            let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut) else {
                continue;
            };
            self.index.remove(&entry.key);
            if let Some(Some(id)) = moved.get(entry.key.0.0 as usize) {
                entry.key.0 = ScenarioId(*id);
            } else {
                entry.key.0 = ScenarioId(NONE);
            }
        }
        for at in 0..self.slab.len() {
            let at = u32::try_from(at).unwrap_or(NONE);
            match self.slab.get(at as usize).and_then(Option::as_ref) {
                Some(entry) if entry.key.0 == ScenarioId(NONE) => self.free(at),
                Some(entry) => {
                    self.index.insert(entry.key, at);
                }
                None => {}
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
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None if pour.cancel => return,
            None => self.insert(key, pour.owner, spec, now),
        };
        if let Some(dead) = self.take_dead(at, now)
            && matches!(spec.kind, BucketKind::Counter)
        {
            self.overflow(spec, (key.0, key.1, pour.owner), &dead, now, alarm);
        }
        let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut) else {
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
        let entry = self.slab.get_mut(at as usize)?.as_mut()?;
        let spec = self.specs.get(entry.key.0.0 as usize)?;
        let dead = entry.bucket.as_ref().is_some_and(|bucket| {
            let deadline = bucket.deadline(spec);
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
        let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut) else {
            return;
        };
        let weight = entry.bucket.as_ref().map_or(0, Bucket::weight);
        if weight != entry.weight {
            self.bytes = self.bytes + weight - entry.weight;
            if let Some(estate) = self.estates.get_mut(&entry.owner) {
                estate.bytes = estate.bytes + weight - entry.weight;
            }
            entry.weight = weight;
        }
        entry.deadline = match &entry.bucket {
            Some(bucket) => bucket.deadline(spec).max(entry.blackhole),
            None => entry.blackhole,
        };
        let empty = entry.bucket.is_none() && entry.blackhole <= self.clock;
        if empty {
            self.free(at);
        } else {
            self.used_again(at);
        }
    }

    /// Moves an entry to the end of the orders of use.
    fn used_again(&mut self, at: u32) {
        if self.used.last() == Some(at) {
            // Then it is the last of its owner's, too.
            return;
        }
        self.used.remove(&mut self.slab, at, used);
        self.used.push(&mut self.slab, at, used);
        self.own_again(at);
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
            let at = match self.index.get(&key) {
                Some(at) => *at,
                None => self.insert(key, owner, spec, now),
            };
            let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut) else {
                return;
            };
            if entry.blackhole > now.clock {
                self.counts.suppressed += 1;
                return;
            }
            entry.blackhole = now.clock.after(span);
            self.settle(at, spec);
            self.rewheel(at);
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
        let estate = self.estates.get(&owner);
        let full = estate.filter(|held| held.entries >= share);
        if let Some(oldest) = full.map(|estate| estate.order.first()) {
            self.drop_living(oldest);
        } else if self.index.len() >= self.max_entries {
            self.evict(NONE);
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            u32::try_from(self.slab.len() - 1).unwrap_or(NONE)
        });
        if let Some(place) = self.slab.get_mut(at as usize) {
            *place = Some(Entry {
                key,
                bucket: None,
                blackhole: Timestamp::from_unix_nanos(i64::MIN),
                deadline: Bucket::new(now).deadline(spec),
                weight: 0,
                slot: SLOTS,
                used: Links::ALONE,
                wheel: Links::ALONE,
                owner,
                owned: Links::ALONE,
            });
        }
        self.index.insert(key, at);
        self.used.push(&mut self.slab, at, used);
        if owner != Owner::NOBODY {
            let estate = self.estates.entry(owner).or_insert(Estate {
                entries: 0,
                bytes: 0,
                order: List::EMPTY,
            });
            estate.entries += 1;
            estate.order.push(&mut self.slab, at, owned);
        }
        self.rewheel(at);
        at
    }

    fn free(&mut self, at: u32) {
        self.used.remove(&mut self.slab, at, used);
        self.disown(at);
        self.unwheel(at);
        if let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::take) {
            self.index.remove(&entry.key);
            self.bytes -= entry.weight;
            self.free.push(at);
        }
    }

    /// Drops what was used longest ago until the bytes are in bounds, first of whoever
    /// owns `spare`; `spare`, just used, goes last.
    fn shed(&mut self, spare: u32) {
        let owner = self
            .slab
            .get(spare as usize)
            .and_then(Option::as_ref)
            .map_or(Owner::NOBODY, |entry| entry.owner);
        while let Some(estate) = self.estates.get(&owner)
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
            self.used.remove(&mut self.slab, at, used);
            self.used.push(&mut self.slab, at, used);
            return;
        }
        let alive = self
            .slab
            .get(at as usize)
            .and_then(Option::as_ref)
            .is_some_and(|entry| entry.deadline >= self.clock);
        self.counts.evicted += u64::from(alive);
        self.free(at);
    }

    /// Drops an entry of a source that holds its share.
    fn drop_living(&mut self, at: Option<u32>) {
        let Some(at) = at else { return };
        let alive = self
            .slab
            .get(at as usize)
            .and_then(Option::as_ref)
            .is_some_and(|entry| entry.deadline >= self.clock);
        self.counts.crowded += u64::from(alive);
        self.free(at);
    }

    /// Takes an entry out of what its source holds.
    fn disown(&mut self, at: u32) {
        let Some((owner, weight)) = self
            .slab
            .get(at as usize)
            .and_then(Option::as_ref)
            .map(|entry| (entry.owner, entry.weight))
        else {
            return;
        };
        if let Some(estate) = self.estates.get_mut(&owner) {
            estate.order.remove(&mut self.slab, at, owned);
            estate.entries = estate.entries.saturating_sub(1);
            estate.bytes = estate.bytes.saturating_sub(weight);
            if estate.entries == 0 {
                self.estates.remove(&owner);
            }
        }
    }

    /// Moves an entry to the end of its source's order of use.
    fn own_again(&mut self, at: u32) {
        let owner = self
            .slab
            .get(at as usize)
            .and_then(Option::as_ref)
            .map_or(Owner::NOBODY, |entry| entry.owner);
        if let Some(estate) = self.estates.get_mut(&owner) {
            estate.order.remove(&mut self.slab, at, owned);
            estate.order.push(&mut self.slab, at, owned);
        }
    }

    fn unwheel(&mut self, at: u32) {
        let slot = self
            .slab
            .get(at as usize)
            .and_then(Option::as_ref)
            .map_or(SLOTS, |entry| entry.slot);
        if let Some(list) = self.wheel.get_mut(slot) {
            list.remove(&mut self.slab, at, wheel);
        }
    }

    /// Puts an entry into the slot of its deadline.
    fn rewheel(&mut self, at: u32) {
        self.unwheel(at);
        let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut) else {
            return;
        };
        // Never the slot that is being looked at: it would not come to an end.
        let (first, last) = (self.second + 1, self.second + SLOTS as i64 - 1);
        let due = entry.deadline.unix_seconds().clamp(first, last);
        entry.slot = slot_of(due);
        if let Some(list) = self.wheel.get_mut(entry.slot) {
            list.push(&mut self.slab, at, wheel);
        }
    }

    /// Turns the wheel to `now`, looking at no more than `budget` entries.
    fn turn(&mut self, now: Now, mut budget: usize, alarm: &mut dyn Alarm) {
        let target = now.clock.unix_seconds();
        // After a long idleness every slot is looked at once.
        self.second = self.second.max(target.saturating_sub(SLOTS as i64));
        while self.second < target {
            let slot = slot_of(self.second);
            while let Some(at) = self.wheel.get(slot).and_then(List::first) {
                if budget == 0 {
                    return;
                }
                budget -= 1;
                self.look(at, now, alarm);
            }
            self.second += 1;
        }
    }

    /// An entry's turn on the wheel: it goes, or goes on.
    fn look(&mut self, at: u32, now: Now, alarm: &mut dyn Alarm) {
        if let Some(dead) = self.take_dead(at, now) {
            let specs = Arc::clone(&self.specs);
            let key = self
                .slab
                .get(at as usize)
                .and_then(Option::as_ref)
                .map(|entry| (entry.key.0, entry.key.1, entry.owner));
            if let Some((key, spec)) = key.and_then(|key| Some((key, specs.get(key.0.0 as usize)?)))
                && matches!(spec.kind, BucketKind::Counter)
            {
                self.overflow(spec, key, &dead, now, alarm);
            }
        }
        let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut) else {
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
        if let Some(entry) = self.slab.get_mut(at as usize).and_then(Option::as_mut)
            && let Some(spec) = self.specs.get(entry.key.0.0 as usize)
        {
            let weight = entry.bucket.as_ref().map_or(0, Bucket::weight);
            self.bytes = self.bytes + weight - entry.weight;
            if let Some(estate) = self.estates.get_mut(&entry.owner) {
                estate.bytes = estate.bytes + weight - entry.weight;
            }
            entry.weight = weight;
            let held = entry.bucket.as_ref().map_or(entry.blackhole, |bucket| {
                bucket.deadline(spec).max(entry.blackhole)
            });
            entry.deadline = held.max(now.clock);
        }
        self.rewheel(at);
    }
}

/// What a bucket keeps of the event.
fn hold(spec: &BucketSpec, pour: &Pour, occurrence: &mut dyn Occurrence) -> Held {
    Held {
        kept: occurrence.keep(),
        scope_value: match spec.scope {
            ScopeRule::Expression(_) => occurrence.scope_value(pour.scenario),
            ScopeRule::Ip | ScopeRule::Range => None,
        },
    }
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

fn slot_of(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SLOTS as i64)).unwrap_or(0)
}
