//! Lists threaded through a slab by index, so that moving an entry to another
//! list costs no allocation.

/// No entry.
pub(super) const NONE: u32 = u32::MAX;

/// An entry's neighbours in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    before: u32,
    after: u32,
}

impl Links {
    /// In no list.
    pub(super) const ALONE: Self = Self {
        before: NONE,
        after: NONE,
    };
}

/// What can be in several lists at once, each with a number.
pub(super) trait Linked {
    /// The neighbours in a list; nothing where there is no such list.
    fn links(&mut self, list: usize) -> Option<&mut Links>;
}

/// Both ends of a list, by its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<const NUMBER: usize> {
    first: u32,
    last: u32,
}

impl<const NUMBER: usize> List<NUMBER> {
    /// Without entries.
    pub(super) const EMPTY: Self = Self {
        first: NONE,
        last: NONE,
    };

    /// The entry that was added longest ago.
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// The entry that was added last.
    pub(super) fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    /// Adds an entry at the end.
    pub(super) fn push<E: Linked>(&mut self, slab: &mut [E], at: u32) {
        let last = self.last;
        if let Some(own) = Self::links(slab, at) {
            *own = Links {
                before: last,
                after: NONE,
            };
        }
        match Self::links(slab, last) {
            Some(neighbour) => neighbour.after = at,
            None => self.first = at,
        }
        self.last = at;
    }

    /// Takes an entry of this list out of it.
    pub(super) fn remove<E: Linked>(&mut self, slab: &mut [E], at: u32) {
        let Some(own) = Self::links(slab, at) else {
            return;
        };
        let Links { before, after } = core::mem::replace(own, Links::ALONE);
        match Self::links(slab, before) {
            Some(neighbour) => neighbour.after = after,
            None => self.first = after,
        }
        match Self::links(slab, after) {
            Some(neighbour) => neighbour.before = before,
            None => self.last = before,
        }
    }

    fn links<E: Linked>(slab: &mut [E], at: u32) -> Option<&mut Links> {
        slab.get_mut(at as usize)?.links(NUMBER)
    }
}
