//! What sources did before, for escalation on repetition.

use std::collections::{BTreeSet, HashMap};

use vocab::{Cidr, Decision, DecisionId, Origin, Timestamp};

use crate::Force;

/// The most decisions that are remembered of one source.
const MOST: usize = 16;

/// One earlier decision about a source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Past {
    /// When it was made.
    pub created: Timestamp,
    /// The decision's name.
    pub id: DecisionId,
    /// When it ended or ends.
    pub until: Timestamp,
    /// What it did.
    pub force: Force,
}

#[derive(Debug, Default)]
pub(crate) struct Pasts {
    sources: HashMap<Cidr, Vec<Past>>,
    latest: BTreeSet<(Timestamp, Cidr)>,
}

impl Pasts {
    pub(crate) fn of(&self, source: Cidr) -> &[Past] {
        self.sources.get(&source).map_or(&[], Vec::as_slice)
    }

    /// Feeds tell what a source did to others, and what is only shown restrained nobody.
    pub(crate) fn note(&mut self, source: Cidr, decision: &Decision, bound: usize) {
        let force = Force::from(&decision.kind);
        if force < Force::Throttle || matches!(decision.origin, Origin::Feed(_)) {
            return;
        }
        let past = Past {
            created: decision.created,
            id: decision.id,
            until: decision.until,
            force,
        };
        self.change(source, |pasts| {
            if let Err(at) = pasts.binary_search(&past) {
                pasts.insert(at, past);
            }
            if pasts.len() > MOST {
                pasts.remove(0);
            }
        });
        if self.sources.len() > bound
            && let Some((_, quietest)) = self.latest.pop_first()
        {
            self.sources.remove(&quietest);
        }
    }

    pub(crate) fn forgive(&mut self, source: Cidr, id: DecisionId) {
        self.change(source, |pasts| pasts.retain(|past| past.id != id));
    }

    /// Forgets sources whose latest decision was made before `before`.
    pub(crate) fn forget(&mut self, before: Timestamp, most: usize) {
        for _ in 0..most {
            let Some((at, source)) = self.latest.first().copied().filter(|(at, _)| *at < before)
            else {
                return;
            };
            self.latest.remove(&(at, source));
            self.sources.remove(&source);
        }
    }

    fn change(&mut self, source: Cidr, change: impl FnOnce(&mut Vec<Past>)) {
        // Nearly every source has one; a vector that grows by itself begins with room for four.
        let pasts = self
            .sources
            .entry(source)
            .or_insert_with(|| Vec::with_capacity(1));
        if let Some(last) = pasts.last() {
            self.latest.remove(&(last.created, source));
        }
        change(pasts);
        match pasts.last() {
            Some(last) => {
                self.latest.insert((last.created, source));
            }
            None => {
                self.sources.remove(&source);
            }
        }
    }
}
