//! What was removed stays removed, also when the removal is read first.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use vocab::Timestamp;

/// How long the removal of something that was never met is remembered.
const UNMET: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Copy, Debug)]
struct Tomb {
    /// Until when the removed thing could still do harm if it came again.
    until: Timestamp,
    met: bool,
}

#[derive(Debug)]
pub(crate) struct Tombs<Id> {
    tombs: BTreeMap<Id, Tomb>,
    ends: BTreeSet<(Timestamp, Id)>,
}

impl<Id> Default for Tombs<Id> {
    fn default() -> Self {
        Self {
            tombs: BTreeMap::new(),
            ends: BTreeSet::new(),
        }
    }
}

impl<Id: Copy + Ord> Tombs<Id> {
    pub(crate) fn holds(&self, id: Id) -> bool {
        self.tombs.contains_key(&id)
    }

    /// Notes that the thing itself came by; says whether it did for the first time.
    pub(crate) fn meet(&mut self, id: Id, until: Timestamp) -> bool {
        match self.tombs.get_mut(&id) {
            None => true,
            Some(tomb) if tomb.met => false,
            Some(tomb) => {
                self.ends.remove(&(tomb.until, id));
                self.ends.insert((until, id));
                *tomb = Tomb { until, met: true };
                true
            }
        }
    }

    /// Remembers a removal at `at` of something that ends at `until`, if it was met; past the
    /// bound the one that matters for the shortest time is forgotten.
    pub(crate) fn bury(&mut self, id: Id, at: Timestamp, until: Option<Timestamp>, bound: usize) {
        if self.holds(id) {
            return;
        }
        let tomb = Tomb {
            until: until.unwrap_or_else(|| at.after(UNMET)),
            met: until.is_some(),
        };
        self.tombs.insert(id, tomb);
        self.ends.insert((tomb.until, id));
        if self.tombs.len() > bound
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.tombs.remove(&first);
        }
    }

    pub(crate) fn forget(&mut self, now: Timestamp, most: usize) {
        for _ in 0..most {
            let Some((until, id)) = self
                .ends
                .first()
                .copied()
                .filter(|(until, _)| *until <= now)
            else {
                return;
            };
            self.ends.remove(&(until, id));
            self.tombs.remove(&id);
        }
    }
}
