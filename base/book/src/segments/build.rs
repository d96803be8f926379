//! Building a map from marks that come as their ranges are ordered, into arrays of the right
//! size: nothing is sorted, copied or held twice on the way.

use core::net::IpAddr;

use vocab::Cidr;

use super::{ALONE, Family, HOST, INDEX_FROM, Key, Mark, NOBODY, Range, Segments, Stretch};

/// How much will come, as well as it is known; more is no mistake.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    v4: Share,
    v6: Share,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    marks: usize,
    stretches: usize,
}

impl Room {
    /// Room for so many more of this range.
    pub(crate) fn add(&mut self, is_v4: bool, prefix: u8, count: usize) {
        let (share, bits) = if is_v4 {
            (&mut self.v4, u32::BITS)
        } else {
            (&mut self.v6, u128::BITS)
        };
        let ends = if u32::from(prefix) == bits { 0 } else { count };
        share.marks += count;
        share.stretches += count + ends;
    }

    /// This room, and room for everything in `part`.
    pub(crate) fn and(self, part: &Segments) -> Self {
        let share = |share: Share, marks: usize, stretches: usize| Share {
            marks: share.marks + marks,
            stretches: share.stretches + stretches,
        };
        Self {
            v4: share(self.v4, part.v4.marks.len(), part.v4.stretches.len()),
            v6: share(self.v6, part.v6.marks.len(), part.v6.stretches.len()),
        }
    }
}

#[derive(Debug)]
struct Building<T: Copy> {
    family: Family<T>,
    /// Ranges that the next one may lie in, the narrowest last.
    open: Vec<u32>,
}

impl<T: Key> Building<T> {
    fn with(room: Share) -> Self {
        let mut family = Family::default();
        family.stretches.reserve_exact(room.stretches);
        family.ranges.reserve_exact(room.marks);
        family.marks.reserve_exact(room.marks);
        Self {
            family,
            open: Vec::new(),
        }
    }

    fn push(&mut self, start: T, prefix: u8, mark: Mark) {
        let last = self.family.ranges.last();
        if last.is_some_and(|last| ({ last.start }, last.prefix) == (start, prefix)) {
            self.family.marks.push(mark);
            return;
        }
        self.sort_last();
        self.close_before(Some(start));
        let here = number(self.family.ranges.len());
        let around = self.open.last().copied().unwrap_or(NOBODY);
        self.family.ranges.push(Range {
            start,
            around,
            first: number(self.family.marks.len()),
            prefix,
        });
        self.family.marks.push(mark);
        if prefix < T::BITS {
            self.begin(start, here);
            self.open.push(here);
        } else {
            let alone = if around == NOBODY { ALONE } else { 0 };
            self.begin(start, here | HOST | alone);
        }
    }

    /// Puts the marks of the last range in order, the strongest first, each once.
    fn sort_last(&mut self) {
        let Family { ranges, marks, .. } = &mut self.family;
        let first = ranges.last().map_or(0, |last| last.first as usize);
        if marks.len() - first < 2 {
            return;
        }
        let mut group: Vec<Mark> = marks.drain(first..).collect();
        group.sort_unstable_by_key(|mark| core::cmp::Reverse(mark.rank()));
        group.dedup();
        marks.append(&mut group);
    }

    /// Ends the open ranges that do not hold `next`; outer ranges come first.
    fn close_before(&mut self, next: Option<T>) {
        while let Some(range) = self.open.last()
            && let Some(range) = self.family.ranges.get(*range as usize).copied()
        {
            let after = range.start.after(range.prefix);
            if next.is_some_and(|next| after.is_none_or(|after| next < after)) {
                return;
            }
            self.open.pop();
            if let Some(after) = after {
                self.begin(after, range.around);
            }
        }
    }

    fn begin(&mut self, start: T, owner: u32) {
        match self.family.stretches.last_mut() {
            Some(last) if { last.start } == start => last.owner = owner,
            _ => self.family.stretches.push(Stretch { start, owner }),
        }
    }

    fn done(mut self) -> Family<T> {
        self.sort_last();
        self.close_before(None);
        if self.family.stretches.len() >= INDEX_FROM {
            self.family.stretches.shrink_to_fit();
            self.family.ranges.shrink_to_fit();
            self.family.marks.shrink_to_fit();
        }
        self.family.sample();
        self.family
    }
}

/// A place in an array; a map of more than a thousand million ranges fits no memory.
fn number(place: usize) -> u32 {
    u32::try_from(place).map_or(NOBODY, |place| place.min(NOBODY))
}

impl Segments {
    /// A map of these marks, which come as their ranges are ordered; several of one range in
    /// any order.
    pub(crate) fn build(room: Room, marks: impl Iterator<Item = (Cidr, Mark)>) -> Self {
        let mut v4 = Building::<u32>::with(room.v4);
        let mut v6 = Building::<u128>::with(room.v6);
        for (range, mark) in marks {
            match range.address() {
                IpAddr::V4(address) => v4.push(address.to_bits(), range.prefix(), mark),
                IpAddr::V6(address) => v6.push(address.to_bits(), range.prefix(), mark),
            }
        }
        let mut built = Self {
            v4: v4.done(),
            v6: v6.done(),
            index: Vec::new(),
        };
        built.index_v4();
        built
    }

    /// A map of these marks, in any order.
    pub(crate) fn of(mut marks: Vec<(Cidr, Mark)>) -> Self {
        marks.sort_unstable_by_key(|(range, _)| *range);
        let mut room = Room::default();
        for (range, _) in &marks {
            room.add(range.address().is_ipv4(), range.prefix(), 1);
        }
        Self::build(room, marks.into_iter())
    }
}
