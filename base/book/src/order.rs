//! An order of slots: which of the ledger's records comes before which, at four bytes each.
//!
//! Leaves of at most [`LEAF`] slots, none empty, each sorted and before the next. Keys are not
//! kept here: whoever asks hands in a test that says of a slot whether it stands before the
//! sought place. Assumes that keys are unique, and that a record does not change its place
//! while it is in an order.

/// The most slots of one leaf. An insertion moves half a leaf at most: a kilobyte.
const LEAF: usize = 512;

/// By how much a full leaf's room grows: by itself it would double.
const STEP: usize = 64;

fn put(leaf: &mut Vec<u32>, at: usize, slot: u32) {
    if leaf.len() == leaf.capacity() {
        leaf.reserve_exact(STEP);
    }
    leaf.insert(at, slot);
}

#[derive(Debug, Default)]
pub(crate) struct Order {
    leaves: Vec<Vec<u32>>,
    len: usize,
}

impl Order {
    /// The leaf, and the place within it, of the first slot that is not `before`.
    fn seek(&self, before: &impl Fn(u32) -> bool) -> (usize, usize) {
        let leaf = self
            .leaves
            .partition_point(|leaf| leaf.last().is_some_and(|last| before(*last)));
        let at = self
            .leaves
            .get(leaf)
            .map_or(0, |leaf| leaf.partition_point(|slot| before(*slot)));
        (leaf, at)
    }

    /// Puts a slot in front of the first that is not `before` it.
    pub(crate) fn insert(&mut self, slot: u32, before: impl Fn(u32) -> bool) {
        self.len += 1;
        let (at_leaf, at) = self.seek(&before);
        let past_the_end = at_leaf == self.leaves.len();
        let found = if past_the_end {
            self.leaves.last_mut()
        } else {
            self.leaves.get_mut(at_leaf)
        };
        match found {
            Some(leaf) if leaf.len() < LEAF => {
                let at = if past_the_end { leaf.len() } else { at };
                put(leaf, at, slot);
            }
            // What always comes last, as ends do, leaves full leaves behind.
            Some(_) | None if past_the_end => self.leaves.push(vec![slot]),
            Some(leaf) => {
                let mut upper = leaf.split_off(LEAF / 2);
                leaf.shrink_to(LEAF / 2 + STEP);
                if at <= LEAF / 2 {
                    put(leaf, at, slot);
                } else {
                    put(&mut upper, at - LEAF / 2, slot);
                }
                self.leaves.insert(at_leaf + 1, upper);
            }
            None => {}
        }
    }

    /// Takes a slot out; `before` says which ones stand before it.
    pub(crate) fn remove(&mut self, slot: u32, before: impl Fn(u32) -> bool) {
        let (at_leaf, at) = self.seek(&before);
        let Some(leaf) = self.leaves.get_mut(at_leaf) else {
            return;
        };
        if leaf.get(at) != Some(&slot) {
            return;
        }
        leaf.remove(at);
        self.len -= 1;
        if leaf.is_empty() {
            self.leaves.remove(at_leaf);
        } else if leaf.len() < LEAF / 4 {
            self.join_next(at_leaf);
        }
    }

    /// Joins a small leaf and the one after it, when both fit well into one.
    fn join_next(&mut self, at: usize) {
        let fits = match (self.leaves.get(at), self.leaves.get(at + 1)) {
            (Some(one), Some(next)) => one.len() + next.len() <= LEAF / 2,
            _ => false,
        };
        if fits {
            let mut next = self.leaves.remove(at + 1);
            if let Some(leaf) = self.leaves.get_mut(at) {
                leaf.append(&mut next);
            }
        }
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.leaves.first()?.first().copied()
    }

    /// Every slot from the first that is not `before`.
    pub(crate) fn from(&self, before: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let (leaf, at) = self.seek(&before);
        let first = self.leaves.get(leaf).and_then(|leaf| leaf.get(at..));
        let rest = self.leaves.get(leaf + 1..).unwrap_or_default();
        first
            .into_iter()
            .chain(rest.iter().map(Vec::as_slice))
            .flatten()
            .copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.leaves.iter().flatten().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Against a tree: keys by slot, coming and going in every manner.
    #[test]
    fn an_order_says_what_a_tree_says() {
        let mut state = 0x5eed_u64;
        let mut roll = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for ascending in [false, true] {
            let (mut order, mut tree) = (Order::default(), BTreeMap::new());
            let mut keys: Vec<u64> = Vec::new();
            for step in 0..30_000_u64 {
                // grows, shrinks and grows again
                let adding = roll(10) < if step / 6_000 % 2 == 0 { 8 } else { 3 };
                if adding || tree.is_empty() {
                    let slot = u32::try_from(keys.len()).unwrap();
                    let key = if ascending {
                        step
                    } else {
                        roll(1 << 40) << 16 | step
                    };
                    keys.push(key);
                    order.insert(slot, |other| keys[other as usize] < key);
                    tree.insert(key, slot);
                } else {
                    let from = if ascending && roll(2) == 0 {
                        0
                    } else {
                        roll(1 << 56)
                    };
                    let next = tree.range(from..).next().or_else(|| tree.iter().next());
                    let (key, slot) = next.map(|(key, slot)| (*key, *slot)).unwrap();
                    order.remove(slot, |other| keys[other as usize] < key);
                    tree.remove(&key);
                }
                assert_eq!(order.len(), tree.len());
                assert_eq!(order.first(), tree.values().next().copied());
                if step % 500 == 0 {
                    assert!(order.iter().eq(tree.values().copied()));
                    let low = if ascending {
                        roll(step + 1)
                    } else {
                        roll(1 << 56)
                    };
                    let found = order.from(|other| keys[other as usize] < low);
                    assert!(found.eq(tree.range(low..).map(|(_, slot)| *slot)));
                    let leaves = || order.leaves.iter().map(Vec::len);
                    assert!(leaves().all(|len| (1..=LEAF).contains(&len)));
                }
            }
            order.remove(0, |_| true);
            assert_eq!(order.len(), tree.len(), "what is not there is not removed");
        }
    }
}
