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

/// Both ends of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: u32,
    last: u32,
}

impl List {
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

    /// Adds an entry at the end; `links` finds an entry's links in the slab.
    pub(super) fn push<E>(
        &mut self,
        slab: &mut [E],
        at: u32,
        links: fn(&mut [E], u32) -> Option<&mut Links>,
    ) {
        let last = self.last;
        if let Some(own) = links(slab, at) {
            *own = Links {
                before: last,
                after: NONE,
            };
        }
        match links(slab, last) {
            Some(neighbour) => neighbour.after = at,
            None => self.first = at,
        }
        self.last = at;
    }

    /// Takes an entry of this list out of it.
    pub(super) fn remove<E>(
        &mut self,
        slab: &mut [E],
        at: u32,
        links: fn(&mut [E], u32) -> Option<&mut Links>,
    ) {
        let Some(own) = links(slab, at) else {
            return;
        };
        let Links { before, after } = core::mem::replace(own, Links::ALONE);
        match links(slab, before) {
            Some(neighbour) => neighbour.after = after,
            None => self.first = after,
        }
        match links(slab, after) {
            Some(neighbour) => neighbour.before = before,
            None => self.last = before,
        }
    }
}
