//! What each source holds of a shard.

use super::entry::{Entry, OWNED};
use super::index::Index;
use super::list::{List, NONE};
use crate::bucket::Owner;

/// The place of a source's estate; `NONE` where nobody is the owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EstateId(u32);

impl EstateId {
    pub(super) const NOBODY: Self = Self(NONE);
}

/// What one source holds of the shard.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) owner: Owner,
    pub(super) entries: usize,
    pub(super) bytes: usize,
    /// In the order of last use.
    pub(super) order: List<OWNED>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Estates {
    index: Index,
    slab: Vec<Estate>,
    free: Vec<u32>,
}

impl Estates {
    pub(super) fn find(&self, owner: Owner) -> Option<EstateId> {
        let is = |at: u32| {
            self.slab
                .get(at as usize)
                .is_some_and(|it| it.owner == owner)
        };
        self.index.find(hash(owner), is).map(EstateId)
    }

    #[inline]
    pub(super) fn get(&self, id: EstateId) -> Option<&Estate> {
        self.slab.get(id.0 as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: EstateId) -> Option<&mut Estate> {
        self.slab.get_mut(id.0 as usize)
    }

    /// An empty one for a source that has none.
    pub(super) fn found(&mut self, owner: Owner) -> EstateId {
        let fresh = Estate {
            owner,
            entries: 0,
            bytes: 0,
            order: List::EMPTY,
        };
        let at = self.free.pop().unwrap_or_else(|| {
            self.slab.push(Estate {
                order: List::EMPTY,
                ..fresh
            });
            u32::try_from(self.slab.len() - 1).unwrap_or(NONE)
        });
        if let Some(place) = self.slab.get_mut(at as usize) {
            *place = fresh;
        }
        self.index.insert(hash(owner), at);
        EstateId(at)
    }

    /// Takes an entry out of its owner's.
    pub(super) fn leave(&mut self, slab: &mut [Entry], at: u32) {
        let Some(entry) = slab.get(at as usize) else {
            return;
        };
        let (id, weight) = (entry.estate, entry.weight());
        let Some(estate) = self.slab.get_mut(id.0 as usize) else {
            return;
        };
        estate.order.remove(slab, at);
        estate.entries = estate.entries.saturating_sub(1);
        estate.bytes = estate.bytes.saturating_sub(weight);
        if estate.entries == 0 {
            self.index.remove(hash(estate.owner), id.0);
            self.free.push(id.0);
        }
    }
}

fn hash(owner: Owner) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    let half = owner.0 as u32;
    half
}
