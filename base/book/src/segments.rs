//! A frozen prefix map: sorted, disjoint stretches of addresses, each naming the narrowest
//! range that covers it; ranges know the range around them, so that a lookup walks outwards.
//!
//! Sorted arrays instead of a hash map: no key that a client chooses can make a lookup slow,
//! and an address that no range covers, the ordinary case, costs one search and nothing else.
//! They are packed without padding and filled to their end: a range takes some 55 bytes of them
//! in a large map. A single address's stretch is alone among stretches to have no end: what
//! follows it belongs to whatever is around it. (Most single sources never come here:
//! [`crate::points`] has them.)

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::HashSet;

use vocab::{Cidr, Timestamp};

use crate::Force;

mod build;

pub(crate) use build::Room;

/// What stands on a range: a decision, or permission when `force` is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, packed)]
pub(crate) struct Mark {
    pub(crate) id: u128,
    pub(crate) until: Timestamp,
    pub(crate) force: Option<Force>,
}

impl Mark {
    /// Permission beats all, then the stronger kind, then the later end; the name decides the rest,
    /// so that every node shows the same one.
    pub(crate) fn rank(&self) -> (bool, Option<Force>, Timestamp, u128) {
        let force = self.force;
        (force.is_none(), force, self.until, self.id)
    }
}

/// Marks that count no more, each on its range.
pub(crate) type Gone = HashSet<(Cidr, u128)>;

/// Names no range.
const NOBODY: u32 = ALONE - 1;
/// The owner is a single address: it owns its stretch's start, not what follows.
const HOST: u32 = 1 << 31;
/// And nothing is around it.
const ALONE: u32 = 1 << 30;

/// Fewer stretches than this are searched without the index of leading bits.
const INDEX_FROM: usize = 4_096;

/// One start in so many is sampled.
const SAMPLE: usize = 8;

/// An address as a number.
trait Key: Copy + Ord + core::fmt::Debug {
    /// How many bits it has.
    const BITS: u8;
    /// The first address after the range; `None` when it is the last.
    fn after(self, prefix: u8) -> Option<Self>;
    fn address(self) -> IpAddr;
}

impl Key for u32 {
    const BITS: u8 = 32;

    fn after(self, prefix: u8) -> Option<Self> {
        let size = 1_u32.checked_shl(32_u32.saturating_sub(prefix.into()))?;
        self.checked_add(size)
    }

    fn address(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(self))
    }
}

impl Key for u128 {
    const BITS: u8 = 128;

    fn after(self, prefix: u8) -> Option<Self> {
        let size = 1_u128.checked_shl(128_u32.saturating_sub(prefix.into()))?;
        self.checked_add(size)
    }

    fn address(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(self))
    }
}

#[derive(Clone, Copy, Debug)]
#[repr(C, packed)]
struct Range<T: Copy> {
    start: T,
    around: u32,
    /// Its first mark; the next range's first ends them.
    first: u32,
    prefix: u8,
}

impl<T: Key> Range<T> {
    fn cidr(&self) -> Cidr {
        let address = self.start.address();
        // the prefix fits its family, since it came out of a range
        Cidr::new(address, self.prefix).unwrap_or_else(|| Cidr::host(address))
    }
}

/// From its start to before the next one's. Start and owner side by side: whoever finds the
/// one has fetched the other.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
struct Stretch<T: Copy> {
    start: T,
    /// A range's place, or [`NOBODY`], with [`HOST`] and [`ALONE`] in the upper bits.
    owner: u32,
}

/// A family's addresses, cut into stretches.
#[derive(Clone, Debug)]
struct Family<T: Copy> {
    stretches: Vec<Stretch<T>>,
    /// Every [`SAMPLE`]th start.
    samples: Vec<T>,
    /// Every [`SAMPLE`]th sample: few enough to stay in the nearest cache.
    tops: Vec<T>,
    ranges: Vec<Range<T>>,
    /// Grouped by range, strongest first.
    marks: Vec<Mark>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    v4: Family<u32>,
    v6: Family<u128>,
    /// For every value of an IPv4 address's upper half, the stretch in which it begins.
    index: Vec<u32>,
}

impl<T: Copy> Default for Family<T> {
    fn default() -> Self {
        Self {
            stretches: Vec::new(),
            samples: Vec::new(),
            tops: Vec::new(),
            ranges: Vec::new(),
            marks: Vec::new(),
        }
    }
}

impl<T: Key> Family<T> {
    fn sample(&mut self) {
        let starts = self.stretches.iter().map(|stretch| stretch.start);
        self.samples = starts.step_by(SAMPLE).collect();
        self.tops = self.samples.iter().copied().step_by(SAMPLE).collect();
    }

    /// The narrowest range that holds `key`.
    fn owner(&self, key: T) -> u32 {
        let top = self
            .tops
            .partition_point(|start| *start <= key)
            .saturating_sub(1)
            * SAMPLE;
        let samples = self
            .samples
            .get(top..)
            .unwrap_or_default()
            .iter()
            .take(SAMPLE);
        // counting is quicker than searching in so few: no step waits for the one before
        let sample = top
            + samples
                .filter(|start| **start <= key)
                .count()
                .saturating_sub(1);
        let from = sample * SAMPLE;
        let stretches = self
            .stretches
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take(SAMPLE);
        let at = from + stretches.filter(|stretch| { stretch.start } <= key).count();
        let found = at.checked_sub(1).and_then(|at| self.stretches.get(at));
        found.map_or(NOBODY, |stretch| self.holder(*stretch, key))
    }

    /// The narrowest range that holds `key`, searched among the stretches `from..to`.
    fn owner_between(&self, key: T, from: usize, to: usize) -> u32 {
        let part = self.stretches.get(from..to).unwrap_or_default();
        let at = part.partition_point(|stretch| { stretch.start } <= key);
        let found = at.checked_sub(1).and_then(|at| part.get(at));
        found.map_or(NOBODY, |stretch| self.holder(*stretch, key))
    }

    /// The narrowest range that holds `key`, which lies in this stretch.
    fn holder(&self, stretch: Stretch<T>, key: T) -> u32 {
        let at = stretch.owner & !(HOST | ALONE);
        if stretch.owner & HOST == 0 || { stretch.start } == key {
            return at;
        }
        if stretch.owner & ALONE != 0 {
            return NOBODY;
        }
        let host = self.ranges.get(at as usize);
        host.map_or(NOBODY, |range| range.around)
    }

    /// The strongest mark that is in force, on the range at this place and those around it.
    fn best(&self, mut at: u32, now: Timestamp, gone: Option<&Gone>) -> Option<Mark> {
        let mut best: Option<Mark> = None;
        while let Some(range) = self.ranges.get(at as usize) {
            let lifted =
                |mark: &Mark| gone.is_some_and(|gone| gone.contains(&(range.cidr(), mark.id)));
            let mut marks = self.marks_at(at as usize, range).iter();
            if let Some(mark) = marks.find(|mark| { mark.until } > now && !lifted(mark))
                && best.is_none_or(|best| best.rank() < mark.rank())
            {
                best = Some(*mark);
            }
            at = range.around;
        }
        best
    }

    fn marks_at(&self, at: usize, range: &Range<T>) -> &[Mark] {
        let end = self.ranges.get(at + 1).map(|next| next.first as usize);
        let end = end.unwrap_or(self.marks.len());
        let marks = self.marks.get(range.first as usize..end);
        marks.unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = (Cidr, Mark)> {
        self.ranges.iter().enumerate().flat_map(|(at, range)| {
            let marks = self.marks_at(at, range).iter();
            marks.map(|mark| (range.cidr(), *mark))
        })
    }
}

impl Segments {
    fn index_v4(&mut self) {
        if self.v4.stretches.len() < INDEX_FROM {
            return;
        }
        let mut at = 0;
        self.index = (0..=0xffff_u32)
            .map(|upper| {
                let before = |stretch: &Stretch<u32>| stretch.start < upper << 16;
                while self.v4.stretches.get(at).is_some_and(before) {
                    at += 1;
                }
                u32::try_from(at).unwrap_or(NOBODY)
            })
            .collect();
    }

    /// The strongest mark on `address` that is in force and not `gone`. `address` is canonical.
    pub(crate) fn best(
        &self,
        address: IpAddr,
        now: Timestamp,
        gone: Option<&Gone>,
    ) -> Option<Mark> {
        match address {
            IpAddr::V4(v4) => {
                let key = v4.to_bits();
                let upper = (key >> 16) as usize;
                let at = match (self.index.get(upper), self.index.get(upper + 1)) {
                    // the stretch before the first that begins in this block may reach into it
                    (Some(first), Some(next)) => {
                        let from = (*first as usize).saturating_sub(1);
                        self.v4.owner_between(key, from, *next as usize)
                    }
                    _ => self.v4.owner(key),
                };
                self.v4.best(at, now, gone)
            }
            IpAddr::V6(v6) => {
                let at = self.v6.owner(v6.to_bits());
                self.v6.best(at, now, gone)
            }
        }
    }

    /// Every mark, as ranges are ordered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Cidr, Mark)> {
        self.v4.iter().chain(self.v6.iter())
    }

    pub(crate) fn len(&self) -> usize {
        self.v4.marks.len() + self.v6.marks.len()
    }
}
