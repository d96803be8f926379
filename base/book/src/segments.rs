//! A frozen prefix map: sorted, disjoint stretches of addresses, each naming the narrowest
//! range that covers it; ranges know the range around them, so that a lookup walks outwards.
//!
//! Sorted arrays instead of a hash map: no key that a client chooses can make a lookup slow,
//! and an address that no range covers, the ordinary case, costs one search and nothing else.

use core::net::IpAddr;

use vocab::{Cidr, Timestamp};

use crate::Force;

/// What stands on a range: a decision, or permission when `force` is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub(crate) id: u128,
    pub(crate) until: Timestamp,
    pub(crate) force: Option<Force>,
}

impl Mark {
    /// Permission beats all, then the stronger kind, then the later end; the name decides the rest,
    /// so that every node shows the same one.
    pub(crate) fn rank(&self) -> (bool, Option<Force>, Timestamp, u128) {
        (self.force.is_none(), self.force, self.until, self.id)
    }
}

const NONE: u32 = u32::MAX;

/// Fewer stretches than this are searched without the index of leading bits.
const INDEX_FROM: usize = 4_096;

/// One start in so many is sampled.
const SAMPLE: usize = 8;

#[derive(Clone, Debug)]
struct Range {
    range: Cidr,
    around: u32,
    first: u32,
    count: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Segments {
    ranges: Vec<Range>,
    /// Grouped by range, strongest first.
    marks: Vec<Mark>,
    v4: Family<u32>,
    v6: Family<u128>,
    /// For every value of an IPv4 address's upper half, the stretch in which it begins.
    index: Vec<u32>,
}

/// A family's addresses, cut into stretches: each runs from its start to before the next one's
/// and belongs to a range, or to none.
#[derive(Clone, Debug, Default)]
struct Family<T> {
    /// Start and owner side by side: whoever finds the one has fetched the other.
    stretches: Vec<(T, u32)>,
    /// Every [`SAMPLE`]th start.
    samples: Vec<T>,
    /// Every [`SAMPLE`]th sample: few enough to stay in the nearest cache.
    tops: Vec<T>,
}

impl<T: Copy + Ord> Family<T> {
    fn begin(&mut self, start: T, owner: u32) {
        match self.stretches.last_mut() {
            Some((last, held)) if *last == start => *held = owner,
            _ => self.stretches.push((start, owner)),
        }
    }

    fn sample(&mut self) {
        let starts = self.stretches.iter().map(|(start, _)| *start);
        self.samples = starts.step_by(SAMPLE).collect();
        self.tops = self.samples.iter().copied().step_by(SAMPLE).collect();
    }

    /// The range that owns `key`.
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
        let at = from + stretches.filter(|(start, _)| *start <= key).count();
        let found = at.checked_sub(1).and_then(|at| self.stretches.get(at));
        found.map_or(NONE, |(_, owner)| *owner)
    }

    /// The range that owns `key`, searched among the stretches `from..to`.
    fn owner_between(&self, key: T, from: usize, to: usize) -> u32 {
        let part = self.stretches.get(from..to).unwrap_or_default();
        let at = part.partition_point(|(start, _)| *start <= key);
        let found = at.checked_sub(1).and_then(|at| part.get(at));
        found.map_or(NONE, |(_, owner)| *owner)
    }
}

impl Segments {
    pub(crate) fn build(mut marks: Vec<(Cidr, Mark)>) -> Self {
        marks.sort_unstable_by(|(range, mark), (other, beside)| {
            range
                .cmp(other)
                .then_with(|| beside.rank().cmp(&mark.rank()))
        });
        marks.dedup();
        let mut built = Self::default();
        let mut open: Vec<u32> = Vec::new();
        for (range, mark) in marks {
            if built.ranges.last().is_some_and(|last| last.range == range) {
                if let Some(last) = built.ranges.last_mut() {
                    last.count += 1;
                }
                built.marks.push(mark);
                continue;
            }
            built.close_before(&mut open, Some(range));
            let here = u32::try_from(built.ranges.len()).unwrap_or(NONE);
            built.ranges.push(Range {
                range,
                around: open.last().copied().unwrap_or(NONE),
                first: u32::try_from(built.marks.len()).unwrap_or(NONE),
                count: 1,
            });
            built.marks.push(mark);
            match range.address() {
                IpAddr::V4(v4) => built.v4.begin(v4.to_bits(), here),
                IpAddr::V6(v6) => built.v6.begin(v6.to_bits(), here),
            }
            open.push(here);
        }
        built.close_before(&mut open, None);
        built.v4.sample();
        built.v6.sample();
        built.index_v4();
        built
    }

    /// Ends the open ranges that do not hold `next`; sorted input opens outer ranges first.
    fn close_before(&mut self, open: &mut Vec<u32>, next: Option<Cidr>) {
        while let Some(range) = open.last().and_then(|at| self.ranges.get(*at as usize)) {
            if next.is_some_and(|next| range.range.contains(next.address())) {
                return;
            }
            let (range, around) = (range.range, range.around);
            open.pop();
            match range.address() {
                IpAddr::V4(v4) => {
                    let size = 1_u64 << (32 - u32::from(range.prefix()));
                    if let Ok(after) = u32::try_from(u64::from(v4.to_bits()) + size) {
                        self.v4.begin(after, around);
                    }
                }
                IpAddr::V6(v6) => {
                    let size = 1_u128.checked_shl(128 - u32::from(range.prefix()));
                    if let Some(after) = size.and_then(|size| v6.to_bits().checked_add(size)) {
                        self.v6.begin(after, around);
                    }
                }
            }
        }
    }

    fn index_v4(&mut self) {
        if self.v4.stretches.len() < INDEX_FROM {
            return;
        }
        let mut at = 0;
        self.index = (0..=0xffff_u32)
            .map(|upper| {
                let before = |(start, _): &(u32, u32)| *start < upper << 16;
                while self.v4.stretches.get(at).is_some_and(before) {
                    at += 1;
                }
                u32::try_from(at).unwrap_or(NONE)
            })
            .collect();
    }

    /// The strongest mark on `address` that is `live`. `address` is canonical.
    pub(crate) fn best(&self, address: IpAddr, live: impl Fn(Cidr, &Mark) -> bool) -> Option<Mark> {
        let mut at = match address {
            IpAddr::V4(v4) => {
                let key = v4.to_bits();
                let upper = (key >> 16) as usize;
                match (self.index.get(upper), self.index.get(upper + 1)) {
                    // the stretch before the first that begins in this block may reach into it
                    (Some(first), Some(next)) => {
                        let from = (*first as usize).saturating_sub(1);
                        self.v4.owner_between(key, from, *next as usize)
                    }
                    _ => self.v4.owner(key),
                }
            }
            IpAddr::V6(v6) => self.v6.owner(v6.to_bits()),
        };
        let mut best: Option<Mark> = None;
        while let Some(range) = self.ranges.get(at as usize) {
            let (first, count) = (range.first as usize, range.count as usize);
            let marks = self.marks.get(first..first + count).unwrap_or_default();
            if let Some(mark) = marks.iter().find(|mark| live(range.range, mark))
                && best.is_none_or(|best| best.rank() < mark.rank())
            {
                best = Some(*mark);
            }
            at = range.around;
        }
        best
    }

    pub(crate) fn marks(&self) -> Vec<(Cidr, Mark)> {
        let mut all = Vec::with_capacity(self.marks.len());
        for range in &self.ranges {
            let (first, count) = (range.first as usize, range.count as usize);
            let marks = self.marks.get(first..first + count).unwrap_or_default();
            all.extend(marks.iter().map(|mark| (range.range, *mark)));
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }
}
