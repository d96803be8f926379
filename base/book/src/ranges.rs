//! Which items stand on which ranges: by exact range, and by what covers or lies within one.

use core::net::IpAddr;
use std::collections::HashMap;

use vocab::Cidr;

#[derive(Debug)]
pub(crate) struct Ranges<Id> {
    /// Keys are partly the clients' choice: std's seeded hash.
    items: HashMap<Cidr, Vec<Id>>,
    /// How many ranges of each prefix length there are, so that only those are asked for.
    v4: [u32; 33],
    v6: [u32; 129],
}

impl<Id> Default for Ranges<Id> {
    fn default() -> Self {
        Self {
            items: HashMap::new(),
            v4: [0; 33],
            v6: [0; 129],
        }
    }
}

impl<Id: Copy + Ord> Ranges<Id> {
    pub(crate) fn insert(&mut self, range: Cidr, id: Id) {
        // Nearly every range has one; a vector that grows by itself begins with room for four.
        let ids = self
            .items
            .entry(range)
            .or_insert_with(|| Vec::with_capacity(1));
        let fresh = ids.is_empty();
        if let Err(at) = ids.binary_search(&id) {
            ids.insert(at, id);
        }
        if fresh && let Some(count) = self.count(range) {
            *count += 1;
        }
    }

    pub(crate) fn remove(&mut self, range: Cidr, id: Id) {
        let Some(ids) = self.items.get_mut(&range) else {
            return;
        };
        if let Ok(at) = ids.binary_search(&id) {
            ids.remove(at);
        }
        if ids.is_empty() {
            self.items.remove(&range);
            if let Some(count) = self.count(range) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn count(&mut self, range: Cidr) -> Option<&mut u32> {
        let at = usize::from(range.prefix());
        match range.address() {
            IpAddr::V4(_) => self.v4.get_mut(at),
            IpAddr::V6(_) => self.v6.get_mut(at),
        }
    }

    /// Everything on ranges that cover `range` wholly, the range itself included.
    pub(crate) fn covering(&self, range: Cidr) -> impl Iterator<Item = Id> {
        let counts: &[u32] = if range.address().is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        (0..=range.prefix())
            .filter(|prefix| {
                counts
                    .get(usize::from(*prefix))
                    .is_some_and(|count| *count > 0)
            })
            .filter_map(move |prefix| self.items.get(&Cidr::new(range.address(), prefix)?))
            .flatten()
            .copied()
    }
}
