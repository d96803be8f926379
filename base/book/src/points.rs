//! Decisions about single sources, by far the most: an IPv4 address, or an IPv6 /64.
//!
//! Sorted pieces of sorted pieces, shared between the views that hold them. A change copies the
//! pieces on its way, some ten kilobytes in all, however many sources there are; everything else
//! is in the old view and in the new one. Nothing is built anew behind, and nothing stands
//! beside the map until it is: what is taken back leaves it at once.
//!
//! A source takes about 30 bytes with IPv4. Lookups search and hash nothing, so no key that
//! a client chooses can make one slow.

use std::sync::Arc;

use vocab::Timestamp;

use crate::segments::Mark;

/// The most marks of one block, unless a single source has more: 7 KiB.
const BLOCK: usize = 256;
/// The most blocks of one group.
const GROUP: usize = 64;

/// A source as a number: all of an IPv4 address, the upper half of an IPv6 address.
pub(crate) trait Source: Copy + Ord + core::fmt::Debug {}

impl Source for u32 {}
impl Source for u64 {}

/// Some marks, by source. Two arrays, since a search reads keys only.
#[derive(Clone, Debug)]
struct Block<K> {
    keys: Vec<K>,
    marks: Vec<Mark>,
}

/// Some blocks, none empty, with the first key of each.
#[derive(Clone, Debug)]
struct Group<K> {
    firsts: Vec<K>,
    blocks: Vec<Arc<Block<K>>>,
}

/// All marks of one family of sources.
#[derive(Clone, Debug)]
pub(crate) struct Points<K> {
    firsts: Vec<K>,
    groups: Vec<Arc<Group<K>>>,
    len: usize,
}

impl<K> Default for Points<K> {
    fn default() -> Self {
        Self {
            firsts: Vec::new(),
            groups: Vec::new(),
            len: 0,
        }
    }
}

/// The piece that holds `key`, or would.
fn piece<K: Source>(firsts: &[K], key: K) -> usize {
    firsts
        .partition_point(|first| *first <= key)
        .saturating_sub(1)
}

impl<K: Source> Points<K> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The strongest mark on `key` that is in force.
    pub(crate) fn best(&self, key: K, now: Timestamp) -> Option<Mark> {
        let group = self.groups.get(piece(&self.firsts, key))?;
        let block = group.blocks.get(piece(&group.firsts, key))?;
        let marks = block.marks.get(block.on(key))?.iter();
        let live = marks.filter(|mark| { mark.until } > now);
        live.max_by_key(|mark| mark.rank()).copied()
    }

    /// Puts a mark on a source; one of the same name is replaced.
    pub(crate) fn put(&mut self, key: K, mark: Mark) {
        let at = piece(&self.firsts, key);
        let Some(group) = self.groups.get_mut(at) else {
            self.firsts.push(key);
            self.groups.push(Arc::new(Group::of(Block::of(key, mark))));
            self.len = 1;
            return;
        };
        let group = Arc::make_mut(group);
        self.len += usize::from(group.put(key, mark));
        let upper = group.split();
        let first = group.firsts.first().copied().unwrap_or(key);
        if let Some(place) = self.firsts.get_mut(at) {
            *place = first;
        }
        if let Some(upper) = upper {
            self.firsts
                .insert(at + 1, upper.firsts.first().copied().unwrap_or(key));
            self.groups.insert(at + 1, Arc::new(upper));
        }
    }

    /// Takes the mark of this name off a source.
    pub(crate) fn take(&mut self, key: K, id: u128) {
        let at = piece(&self.firsts, key);
        let Some(group) = self.groups.get_mut(at) else {
            return;
        };
        if !group.holds(key, id) {
            return;
        }
        let group = Arc::make_mut(group);
        group.take(key, id);
        self.len -= 1;
        self.tidy_group(at);
    }

    /// Puts a group in order that has lost something: it goes when it is empty, and joins the
    /// next when it is small.
    fn tidy_group(&mut self, at: usize) {
        let Some(group) = self.groups.get(at) else {
            return;
        };
        let Some(first) = group.firsts.first().copied() else {
            self.groups.remove(at);
            self.firsts.remove(at);
            return;
        };
        if let Some(place) = self.firsts.get_mut(at) {
            *place = first;
        }
        let fits = self
            .groups
            .get(at + 1)
            .is_some_and(|next| group.blocks.len() + next.blocks.len() <= GROUP / 2);
        if fits {
            let next = Arc::unwrap_or_clone(self.groups.remove(at + 1));
            self.firsts.remove(at + 1);
            if let Some(group) = self.groups.get_mut(at) {
                let group = Arc::make_mut(group);
                group.firsts.extend(next.firsts);
                group.blocks.extend(next.blocks);
            }
        }
    }

    /// Leaves out what ended before `now` in one group: that at `turn`, counted round and round.
    /// Returns whether there was anything.
    pub(crate) fn forget(&mut self, turn: usize, now: Timestamp) -> bool {
        let at = turn % self.groups.len().max(1);
        let ended = |block: &Block<K>| block.marks.iter().any(|mark| { mark.until } <= now);
        let Some(group) = self
            .groups
            .get_mut(at)
            .filter(|group| group.blocks.iter().any(|block| ended(block)))
        else {
            return false;
        };
        let group = Arc::make_mut(group);
        for place in (0..group.blocks.len()).rev() {
            let Some(block) = group.blocks.get_mut(place).filter(|block| ended(block)) else {
                continue;
            };
            let (kept, gone) = block.lasting(now);
            self.len -= gone;
            *block = Arc::new(kept);
            group.tidy_block(place);
        }
        self.tidy_group(at);
        true
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// These marks, which come in the order of their sources.
    pub(crate) fn of_sorted(marks: impl Iterator<Item = (K, Mark)>) -> Self {
        // Room is left in every block: what comes later comes between.
        const FILL: usize = BLOCK * 3 / 4;
        let mut all = Self::default();
        let mut group = Group::default();
        let mut block = Block::with_room(FILL);
        let mut last = None;
        for (key, mark) in marks {
            if block.keys.len() >= FILL && last != Some(key) {
                group.push(core::mem::replace(&mut block, Block::with_room(FILL)));
                if group.blocks.len() >= GROUP / 2 {
                    all.push(core::mem::take(&mut group));
                }
            }
            last = Some(key);
            block.put(key, mark);
        }
        if !block.keys.is_empty() {
            block.shrink();
            group.push(block);
        }
        if !group.blocks.is_empty() {
            all.push(group);
        }
        all
    }

    fn push(&mut self, group: Group<K>) {
        let Some(first) = group.firsts.first() else {
            return;
        };
        let held = group.blocks.iter().map(|block| block.keys.len());
        self.len += held.sum::<usize>();
        self.firsts.push(*first);
        self.groups.push(Arc::new(group));
    }
}

impl<K> Default for Group<K> {
    fn default() -> Self {
        Self {
            firsts: Vec::new(),
            blocks: Vec::new(),
        }
    }
}

impl<K: Source> Group<K> {
    fn of(block: Block<K>) -> Self {
        let mut group = Self::default();
        group.push(block);
        group
    }

    fn push(&mut self, block: Block<K>) {
        self.firsts.extend(block.keys.first());
        self.blocks.push(Arc::new(block));
    }

    fn holds(&self, key: K, id: u128) -> bool {
        let block = self.blocks.get(piece(&self.firsts, key));
        block.is_some_and(|block| block.place_of(key, id).is_ok())
    }

    /// Whether the mark is one more.
    fn put(&mut self, key: K, mark: Mark) -> bool {
        let at = piece(&self.firsts, key);
        let Some(block) = self.blocks.get_mut(at) else {
            return false;
        };
        let (mut changed, fresh) = block.with(key, mark);
        let upper = changed.split();
        if let (Some(place), Some(first)) = (self.firsts.get_mut(at), changed.keys.first()) {
            *place = *first;
        }
        *block = Arc::new(changed);
        if let Some(upper) = upper
            && let Some(first) = upper.keys.first()
        {
            self.firsts.insert(at + 1, *first);
            self.blocks.insert(at + 1, Arc::new(upper));
        }
        fresh
    }

    fn take(&mut self, key: K, id: u128) {
        let at = piece(&self.firsts, key);
        let Some(block) = self.blocks.get_mut(at) else {
            return;
        };
        *block = Arc::new(block.without(key, id));
        self.tidy_block(at);
    }

    /// Puts a block in order that has lost something, as [`Points::tidy_group`] does.
    fn tidy_block(&mut self, at: usize) {
        let Some(block) = self.blocks.get(at) else {
            return;
        };
        let Some(first) = block.keys.first().copied() else {
            self.blocks.remove(at);
            self.firsts.remove(at);
            return;
        };
        if let Some(place) = self.firsts.get_mut(at) {
            *place = first;
        }
        let next = self.blocks.get(at + 1);
        if let Some(next) = next
            && block.keys.len() + next.keys.len() <= BLOCK / 2
        {
            let joined = Arc::new(block.and(next));
            self.blocks.remove(at + 1);
            self.firsts.remove(at + 1);
            if let Some(place) = self.blocks.get_mut(at) {
                *place = joined;
            }
        }
    }

    /// The upper half of a group that has become too large.
    fn split(&mut self) -> Option<Self> {
        (self.blocks.len() > GROUP).then(|| Self {
            firsts: self.firsts.split_off(GROUP / 2),
            blocks: self.blocks.split_off(GROUP / 2),
        })
    }
}

impl<K: Source> Block<K> {
    /// Room for so many marks. In steps, so that pieces which grow and are copied again and
    /// again fit where others like them lay.
    fn with_room(marks: usize) -> Self {
        let room = marks.next_multiple_of(16);
        Self {
            keys: Vec::with_capacity(room),
            marks: Vec::with_capacity(room),
        }
    }

    fn of(key: K, mark: Mark) -> Self {
        let mut block = Self::with_room(1);
        block.put(key, mark);
        block
    }

    /// The places of a source's marks.
    fn on(&self, key: K) -> core::ops::Range<usize> {
        let from = self.keys.partition_point(|other| *other < key);
        let rest = self.keys.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|other| **other == key).count();
        from..from + count
    }

    /// Where this mark is, or where it belongs.
    fn place_of(&self, key: K, id: u128) -> Result<usize, usize> {
        let places = self.on(key);
        let (from, end) = (places.start, places.end);
        let marks = self.marks.get(places).unwrap_or_default();
        let found = marks.iter().position(|mark| { mark.id } == id);
        found.map(|at| from + at).ok_or(end)
    }

    /// Whether the mark is one more.
    fn put(&mut self, key: K, mark: Mark) -> bool {
        match self.place_of(key, mark.id) {
            Ok(at) => {
                if let Some(place) = self.marks.get_mut(at) {
                    *place = mark;
                }
                false
            }
            Err(at) => {
                self.keys.insert(at, key);
                self.marks.insert(at, mark);
                true
            }
        }
    }

    /// A copy with this mark, and whether it is one more.
    fn with(&self, key: K, mark: Mark) -> (Self, bool) {
        let mut copy = self.copy(0..self.keys.len(), 1);
        let fresh = copy.put(key, mark);
        (copy, fresh)
    }

    /// A copy of these places, with room for more.
    fn copy(&self, places: core::ops::Range<usize>, more: usize) -> Self {
        let mut copy = Self::with_room(places.len() + more);
        let keys = self.keys.get(places.clone());
        copy.keys.extend_from_slice(keys.unwrap_or_default());
        let marks = self.marks.get(places);
        copy.marks.extend_from_slice(marks.unwrap_or_default());
        copy
    }

    fn without(&self, key: K, id: u128) -> Self {
        let mut copy = self.copy(0..self.keys.len(), 0);
        if let Ok(at) = copy.place_of(key, id) {
            copy.keys.remove(at);
            copy.marks.remove(at);
        }
        copy.copy(0..copy.keys.len(), 0)
    }

    /// A copy of what ends after `now`, and how much did not.
    fn lasting(&self, now: Timestamp) -> (Self, usize) {
        let all = self.keys.iter().zip(&self.marks);
        let lasting = all.filter(|(_, mark)| { mark.until } > now);
        let mut copy = Self::with_room(lasting.clone().count());
        for (key, mark) in lasting {
            copy.keys.push(*key);
            copy.marks.push(*mark);
        }
        let gone = self.keys.len() - copy.keys.len();
        (copy, gone)
    }

    /// A copy of both; `next` comes after.
    fn and(&self, next: &Self) -> Self {
        let mut both = self.copy(0..self.keys.len(), next.keys.len());
        both.keys.extend_from_slice(&next.keys);
        both.marks.extend_from_slice(&next.marks);
        both
    }

    /// The upper half of a block that has become too large; no source's marks are torn apart.
    fn split(&mut self) -> Option<Self> {
        if self.keys.len() <= BLOCK {
            return None;
        }
        let middle = self.on(*self.keys.get(self.keys.len() / 2)?);
        let at = if middle.start > 0 {
            middle.start
        } else {
            middle.end
        };
        if at >= self.keys.len() {
            return None;
        }
        let upper = self.copy(at..self.keys.len(), 0);
        *self = self.copy(0..at, 0);
        Some(upper)
    }

    fn shrink(&mut self) {
        *self = self.copy(0..self.keys.len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Force;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn mark(id: u128, until: i64) -> Mark {
        Mark {
            id,
            until: at(until),
            force: Some(Force::Ban),
        }
    }

    fn is_in_order(points: &Points<u32>) {
        let mut before = None;
        let mut len = 0;
        assert_eq!(points.firsts.len(), points.groups.len());
        for (first, group) in points.firsts.iter().zip(&points.groups) {
            assert_eq!(Some(first), group.firsts.first());
            assert_eq!(group.firsts.len(), group.blocks.len());
            assert!((1..=GROUP).contains(&group.blocks.len()));
            for (first, block) in group.firsts.iter().zip(&group.blocks) {
                assert_eq!(Some(first), block.keys.first());
                assert_eq!(block.keys.len(), block.marks.len());
                assert!(block.keys.is_sorted());
                assert!(before < Some(*first), "a source lies in one block");
                before = block.keys.last().copied();
                len += block.keys.len();
            }
        }
        assert_eq!(points.len(), len);
    }

    /// Against a tree, coming and going in every manner.
    #[test]
    fn points_say_what_a_tree_says() {
        let mut state = 0x5eed_u64;
        let mut roll = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for spread in [40, 30_000, 1 << 32] {
            let (mut points, mut tree) = (Points::default(), BTreeMap::new());
            for step in 0..60_000_u64 {
                let key = u32::try_from(roll(spread)).unwrap();
                // grows, shrinks and grows again
                if roll(10) < if step / 15_000 % 2 == 0 { 8 } else { 2 } {
                    let one = mark(u128::from(roll(40)), i64::try_from(roll(100)).unwrap() + 1);
                    points.put(key, one);
                    tree.insert((key, { one.id }), one);
                } else if let Some(((key, id), _)) =
                    tree.range((key, 0)..).next().or_else(|| tree.iter().next())
                {
                    let (key, id) = (*key, *id);
                    points.take(key, id);
                    tree.remove(&(key, id));
                }
                points.take(key, 1_000);
                if step % 4_000 == 0 {
                    let now = at(i64::try_from(step / 4_000).unwrap());
                    for turn in 0..points.groups() {
                        points.forget(turn, now);
                    }
                    // groups may have joined meanwhile
                    while (0..points.groups()).any(|turn| points.forget(turn, now)) {}
                    tree.retain(|_, one| { one.until } > now);
                    is_in_order(&points);
                }
                assert_eq!(points.len(), tree.len());
                let key = u32::try_from(roll(spread)).unwrap();
                let now = at(i64::try_from(roll(100)).unwrap());
                let on = tree.range((key, 0)..=(key, u128::MAX)).map(|(_, one)| one);
                let best = on
                    .filter(|one| { one.until } > now)
                    .max_by_key(|one| one.rank());
                assert_eq!(points.best(key, now), best.copied());
            }
            is_in_order(&points);
            let marks = tree.iter().map(|((key, _), one)| (*key, *one));
            let built = Points::of_sorted(marks);
            is_in_order(&built);
            assert_eq!(built.len(), tree.len());
            for (key, _) in tree.keys() {
                assert_eq!(built.best(*key, at(3)), points.best(*key, at(3)));
            }
        }
    }

    #[test]
    fn a_change_leaves_older_copies_as_they_were_and_shares_what_it_did_not_touch() {
        let all = (0..100_000).map(|key| (key * 7, mark(key.into(), 9)));
        let old = Points::<u32>::of_sorted(all);
        let mut new = old.clone();
        new.put(21, mark(500_000, 99));
        new.take(28, 4);
        assert_eq!(old.best(28, at(1)), Some(mark(4, 9)));
        assert_eq!(new.best(28, at(1)), None);
        assert_eq!(old.best(21, at(50)), None);
        assert_eq!(new.best(21, at(50)), Some(mark(500_000, 99)));
        let same = |one: &Arc<Group<u32>>, other| Arc::ptr_eq(one, other);
        let shared = old.groups.iter().zip(&new.groups);
        let shared = shared.filter(|(one, other)| same(one, other)).count();
        assert_eq!(shared + 1, old.groups.len());
        let blocks = old.groups[0].blocks.iter().zip(&new.groups[0].blocks);
        let copied = blocks.filter(|(one, other)| !Arc::ptr_eq(one, other));
        assert_eq!(copied.count(), 1);
    }
}
