//! A fixed table of words that all cores share: 32 bits that tell a key from its neighbours,
//! 12 bits of a mark, 20 bits of the minute (wrapping after two years).
//!
//! Sets of eight words are one cache line. A full set gives up what is dead, then what is worth
//! least, then what is oldest, and counts it when it was alive. Races lose one of two changes,
//! which is as if it had not been seen.
//!
//! Doubt admitted: a stranger's key is taken for another's once in half a thousand million
//! looks; the seed is drawn per process, so nobody can arrange it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vocab::Timestamp;

const WAYS: usize = 8;
const MINUTE_BITS: u32 = 20;
const MARK_BITS: u32 = 12;
const MINUTES: u32 = (1 << MINUTE_BITS) - 1;
const TAG_SHIFT: u32 = MINUTE_BITS + MARK_BITS;

/// The largest mark.
pub(super) const MOST_MARK: u32 = (1 << MARK_BITS) - 1;

/// A word in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) mark: u32,
    /// Minutes since it was put there; 0 when the clock went back.
    pub(super) age: u32,
}

#[repr(align(64))]
#[derive(Debug, Default)]
struct Set([AtomicU64; WAYS]);

#[derive(Debug)]
pub(super) struct Table {
    sets: Box<[Set]>,
    evicted: AtomicU64,
}

/// Entries older than this are dead in every table.
const DEAD: u32 = super::REMEMBERED_FOR;

impl Table {
    /// A table for `room` keys, rounded up to a power of two.
    pub(super) fn new(room: usize) -> Self {
        let sets = room.clamp(WAYS, 1 << 20).next_power_of_two() / WAYS;
        Self {
            sets: (0..sets).map(|_| Set::default()).collect(),
            evicted: AtomicU64::new(0),
        }
    }

    /// What is held for a key, if it is not older than `minutes`.
    pub(super) fn find(&self, key: u64, minute: u32, minutes: u32) -> Option<Held> {
        let words = self.set(key)?.0.iter();
        let mut held = words.map(|word| word.load(Relaxed));
        let held = read(held.find(|word| tag(*word) == tag_of(key))?, minute);
        (held.age <= minutes).then_some(held)
    }

    /// Puts a mark under a key with this minute. `worth` says what a full set keeps longest.
    /// Whether the key was not there before.
    pub(super) fn put(
        &self,
        key: u64,
        mark: u32,
        minute: u32,
        worth: impl Fn(Held) -> u32,
    ) -> bool {
        let Some(set) = self.set(key) else {
            return false;
        };
        let next = tag_of(key) << TAG_SHIFT
            | u64::from(mark & MOST_MARK) << MINUTE_BITS
            | u64::from(minute);
        let mut least: Option<(&AtomicU64, u64, (u32, u32, u32))> = None;
        for word in &set.0 {
            let old = word.load(Relaxed);
            if tag(old) == tag_of(key) {
                // lost to another core: as if that had come later
                let _lost = word.compare_exchange(old, next, Relaxed, Relaxed);
                return false;
            }
            let rank = if old == 0 {
                (0, 0, 0)
            } else {
                let held = read(old, minute);
                let alive = u32::from(held.age <= DEAD);
                (1 + alive, worth(held), u32::MAX - held.age)
            };
            if least.is_none_or(|(_, _, other)| rank < other) {
                least = Some((word, old, rank));
            }
        }
        let Some((word, old, (life, _, _))) = least else {
            return false;
        };
        let done = word.compare_exchange(old, next, Relaxed, Relaxed).is_ok();
        if done && life == 2 {
            self.evicted.fetch_add(1, Relaxed);
        }
        done
    }

    /// Forgets a key.
    pub(super) fn remove(&self, key: u64) {
        let Some(set) = self.set(key) else { return };
        for word in &set.0 {
            let old = word.load(Relaxed);
            if tag(old) == tag_of(key) {
                let _lost = word.compare_exchange(old, 0, Relaxed, Relaxed);
            }
        }
    }

    /// How many live entries made room for others.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    fn set(&self, key: u64) -> Option<&Set> {
        self.sets.get(low(key) as usize & (self.sets.len() - 1))
    }
}

fn tag(word: u64) -> u64 {
    word >> TAG_SHIFT
}

fn tag_of(key: u64) -> u64 {
    tag(key).max(1)
}

/// The low half of a hash.
#[expect(clippy::cast_possible_truncation, reason = "takes a number apart")]
pub(super) fn low(hash: u64) -> u32 {
    hash as u32
}

fn read(word: u64, minute: u32) -> Held {
    let mark = low(word >> MINUTE_BITS) & MOST_MARK;
    let age = minute.wrapping_sub(low(word)) & MINUTES;
    // the upper half of the circle is the future: the clock went back
    let age = if age > MINUTES / 2 { 0 } else { age };
    Held { mark, age }
}

/// The minute of a time.
pub(super) fn minute(now: Timestamp) -> u32 {
    let minutes = now.unix_nanos().div_euclid(60_000_000_000);
    u32::try_from(minutes.rem_euclid(i64::from(MINUTES) + 1)).unwrap_or(0)
}

/// So many minutes before.
pub(super) fn earlier(minute: u32, by: u32) -> u32 {
    minute.wrapping_sub(by) & MINUTES
}
