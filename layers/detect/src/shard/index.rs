//! Places by hash: eight bytes each, in one array.
//!
//! For: finding an entry of a slab with one look at memory that is not at hand. What an
//! entry is for lies in the entry, which is touched anyway; here is only half of its hash.
//! Hashes that differ in their last three bits alone lie in one line of the processor's
//! cache: buckets of one group do.
//!
//! Assumes: hashes are keyed, so that nobody can choose which meet. On failure: a place
//! that is not there is not removed.

use super::list::NONE;

/// A place and its hash; `NONE` where nothing is.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    at: u32,
}

const EMPTY: Slot = Slot { hash: 0, at: NONE };
const LEAST: usize = 16;

/// Open addressing, half of it empty at least.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Nothing, or a power of two.
    slots: Vec<Slot>,
    len: usize,
}

impl Index {
    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The place with this hash that `is` it.
    #[inline]
    pub(super) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut near = hash as usize;
        loop {
            let slot = self.slots.get(self.wrap(near))?;
            if slot.at == NONE {
                return None;
            }
            if slot.hash == hash && is(slot.at) {
                return Some(slot.at);
            }
            near += 1;
        }
    }

    /// Adds a place that is not there yet.
    pub(super) fn insert(&mut self, hash: u32, at: u32) {
        if (self.len + 1) * 2 > self.slots.len() {
            let room = (self.slots.len() * 2).max(LEAST);
            let old = core::mem::replace(&mut self.slots, vec![EMPTY; room]);
            for slot in old.into_iter().filter(|slot| slot.at != NONE) {
                self.settle(slot);
            }
        }
        self.settle(Slot { hash, at });
        self.len += 1;
    }

    /// Puts a slot where the first is free.
    fn settle(&mut self, slot: Slot) {
        let mut near = slot.hash as usize;
        loop {
            let place = self.wrap(near);
            match self.slots.get_mut(place) {
                Some(here) if here.at == NONE => {
                    *here = slot;
                    return;
                }
                Some(_) => near += 1,
                None => return,
            }
        }
    }

    /// Takes a place out; those behind it move up, so that searches stay short.
    pub(super) fn remove(&mut self, hash: u32, at: u32) {
        let mut near = hash as usize;
        loop {
            match self.slots.get(self.wrap(near)) {
                Some(slot) if slot.at == at => break,
                Some(slot) if slot.at != NONE => near += 1,
                _ => return,
            }
        }
        let mut hole = self.wrap(near);
        let mut next = hole;
        loop {
            next = self.wrap(next + 1);
            let Some(slot) = self.slots.get(next).copied().filter(|slot| slot.at != NONE) else {
                break;
            };
            let from_home = self.wrap(next.wrapping_sub(slot.hash as usize));
            if from_home >= self.wrap(next.wrapping_sub(hole)) {
                if let Some(place) = self.slots.get_mut(hole) {
                    *place = slot;
                }
                hole = next;
            }
        }
        if let Some(place) = self.slots.get_mut(hole) {
            *place = EMPTY;
        }
        self.len -= 1;
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.len = 0;
    }

    fn wrap(&self, place: usize) -> usize {
        place & self.slots.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn places_are_found_until_they_are_removed() {
        let mut index = Index::default();
        let mut known: HashMap<u32, u32> = HashMap::new();
        let mut state = 9_u64;
        for at in 0..40_000_u32 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Many hashes meet, at the array's end too.
            let hash = (state >> 33) as u32 % 16 * 0x0fff_ffff;
            if state >> 61 < 5 && known.len() < 400 {
                index.insert(hash, at);
                known.insert(at, hash);
            } else if let Some((&gone, &hash)) = known.iter().next() {
                known.remove(&gone);
                index.remove(hash, gone);
                assert_eq!(index.find(hash, |found| found == gone), None);
            }
            if at % 97 == 0 {
                for (at, hash) in &known {
                    assert_eq!(index.find(*hash, |found| found == *at), Some(*at));
                }
            }
            assert_eq!(index.len(), known.len());
        }
        assert!(known.len() > 100, "{}", known.len());
        index.clear();
        assert_eq!((index.len(), index.find(0, |_| true)), (0, None));
    }

    #[test]
    fn an_empty_index_finds_and_removes_nothing() {
        let mut index = Index::default();
        assert_eq!(index.find(7, |_| true), None);
        index.remove(7, 1);
        assert_eq!(index.len(), 0);
    }
}
