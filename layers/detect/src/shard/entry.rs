//! What a shard holds for one scenario and one group.

use vocab::Timestamp;

use super::estate::EstateId;
use super::list::{Linked, Links, NONE};
use super::wheel::NOWHERE;
use crate::bucket::{Bucket, ScenarioId};

/// The number of the list that is the order of use.
pub(super) const USED: usize = 0;
/// Of a slot of the wheel.
pub(super) const WHEEL: usize = 1;
/// Of what one source owns.
pub(super) const OWNED: usize = 2;

/// Whom an entry is for.
pub(super) type Key = (ScenarioId, u128);

/// Which scenario a vacant entry is for.
pub(super) const VACANT: ScenarioId = ScenarioId(NONE);

/// A bucket, a blackhole, or both. What is looked at when others come or go lies in one
/// line of the processor's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Entry {
    pub(super) group: u128,
    /// When there is nothing left to hold.
    pub(super) deadline: Timestamp,
    /// Its neighbours in three lists.
    pub(super) links: [Links; 3],
    pub(super) scenario: ScenarioId,
    /// Whose pour made it.
    pub(super) estate: EstateId,
    pub(super) weight: u32,
    /// Its slot of the wheel.
    pub(super) slot: u16,
    /// Until when overflows are suppressed.
    pub(super) blackhole: Timestamp,
    pub(super) bucket: Option<Bucket>,
}

const _: () = assert!(size_of::<Entry>() == 192, "three lines");

impl Entry {
    /// One that holds nothing.
    pub(super) fn new((scenario, group): Key, estate: EstateId, deadline: Timestamp) -> Self {
        Self {
            group,
            deadline,
            links: [Links::ALONE; 3],
            scenario,
            estate,
            weight: 0,
            slot: NOWHERE,
            blackhole: Timestamp::from_unix_nanos(i64::MIN),
            bucket: None,
        }
    }

    pub(super) fn key(&self) -> Key {
        (self.scenario, self.group)
    }

    pub(super) fn is(&self, key: Key) -> bool {
        self.key() == key
    }

    pub(super) fn weight(&self) -> usize {
        self.weight as usize
    }
}

impl Linked for Entry {
    #[inline]
    fn links(&mut self, list: usize) -> Option<&mut Links> {
        self.links.get_mut(list)
    }
}

/// Half of the hash that a key is, so that the buckets of one group lie side by side in
/// the index: the scenario decides the last bits, and the first that small tables leave.
pub(super) fn hash((scenario, group): Key) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    let (low, flags) = ((group >> 3) as u32, group as u32);
    let mixed = (scenario.0 ^ flags.wrapping_mul(0x0100_0001)).wrapping_mul(0x9e37_79b9);
    (low << 3 | (scenario.0 ^ flags) & 7) ^ (mixed & 0xff00_0000)
}
