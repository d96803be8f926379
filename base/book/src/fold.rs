//! The state of the book: the fold of its log.
//!
//! Entries may come twice and in any order, from one node or several: what they add is named
//! for ever, and what they remove stays removed (tombstones). So every order of the same
//! entries ends in the same state, as long as no bound is reached; at a bound what ends soonest
//! goes first, and is counted.
//!
//! The fold knows no clock. Decisions past their end are ignored by every query that is given
//! the time, and leave when [`Book::sweep`] is called.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use vocab::{Cidr, Decision, DecisionId, Origin, Timestamp};

use crate::ledger::Ledger;
use crate::ranges::Ranges;
use crate::resolved::Resolved;
use crate::tombs::Tombs;
use crate::{AllowId, AllowItem, AllowSubject, Change, Cursor, Entry, Held, NodeId, Op};

mod query;

pub use crate::past::Past;
pub use query::Filter;

/// How much a book holds at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Decisions; about 120 bytes each, the published view counted.
    pub decisions: usize,
    /// Allowlist items.
    pub allow_items: usize,
    /// Tombstones, of decisions and of allowlist items each.
    pub tombstones: usize,
    /// Sources whose past is remembered.
    pub sources: usize,
    /// Nodes whose log is followed; entries of further ones are ignored.
    pub nodes: usize,
    /// For how long a source's past is remembered after its last decision was made.
    pub memory: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            decisions: 1_000_000,
            allow_items: 100_000,
            tombstones: 200_000,
            sources: 200_000,
            nodes: 1_024,
            memory: Duration::from_secs(90 * 86_400),
        }
    }
}

/// What was left out because a bound was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Decisions that were dropped before their end.
    pub decisions_evicted: u64,
    /// Allowlist items that were not taken.
    pub allow_items_refused: u64,
    /// Entries of nodes beyond the bound.
    pub entries_ignored: u64,
}

/// What an entry, a resolution or a sweep changed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Applied {
    /// For [`crate::Published::publish`].
    pub changes: Vec<Change>,
    /// The decision that came into force.
    pub began: Option<Decision>,
    /// Decisions that ended: removed, past their end, or evicted.
    pub ended: Vec<Decision>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heads {
    read: Cursor,
    committed: Cursor,
}

#[derive(Debug, Default)]
struct Tally {
    held: u32,
    /// Decisions made by calendar minute; the latest few.
    minutes: BTreeMap<i64, u32>,
}

/// Minutes that a tally remembers: the present one, and some for clocks that differ.
const MINUTES: usize = 5;

/// The book's state.
#[derive(Debug, Default)]
pub struct Book {
    bounds: Bounds,
    ledger: Ledger,
    tombs: Tombs<DecisionId>,
    tallies: HashMap<Origin, Tally>,
    allowed: BTreeMap<AllowId, AllowItem>,
    allowed_ranges: Ranges<AllowId>,
    allowed_tombs: Tombs<AllowId>,
    resolved: Resolved,
    heads: BTreeMap<NodeId, Heads>,
    counters: Counters,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    /// Takes an entry in. Taking it twice changes nothing.
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        let mut applied = Applied::default();
        if !self.heads.contains_key(&entry.node) && self.heads.len() >= self.bounds.nodes {
            self.counters.entries_ignored += 1;
            return applied;
        }
        let heads = self.heads.entry(entry.node).or_default();
        heads.read = heads.read.max(entry.cursor());
        match &entry.op {
            Op::Add { decision } => self.add(decision, entry, &mut applied),
            Op::Remove { ids, .. } => {
                for id in ids {
                    self.remove(*id, entry.at, &mut applied);
                }
            }
            Op::AllowlistAdd { item } => self.allow(item, &mut applied),
            Op::AllowlistRemove { ids, .. } => {
                for id in ids {
                    self.disallow(*id, entry.at, &mut applied);
                }
            }
        }
        applied
    }

    fn add(&mut self, decision: &Decision, entry: &Entry, applied: &mut Applied) {
        let id = decision.id;
        let written = (entry.node, entry.cursor());
        if let Some(slot) = self.ledger.find(id) {
            self.ledger.written_too(slot, written);
            return;
        }
        let first = self.tombs.meet(id, decision.until);
        if first {
            let tally = self.tallies.entry(decision.origin.clone()).or_default();
            *tally.minutes.entry(minute(decision.created)).or_default() += 1;
            if tally.minutes.len() > MINUTES {
                tally.minutes.pop_first();
            }
        }
        if self.tombs.holds(id) {
            return;
        }
        self.tallies
            .entry(decision.origin.clone())
            .or_default()
            .held += 1;
        let slot = self.ledger.put(decision, written);
        let held = Held::new(&self.ledger, slot);
        applied.changes.extend(held.bar());
        applied.began = Some(decision.clone());
        self.ledger.note(slot, self.bounds.sources);
        while self.ledger.len() > self.bounds.decisions
            && let Some(soonest) = self.ledger.soonest()
        {
            self.counters.decisions_evicted += 1;
            self.take_out(soonest, applied);
        }
    }

    fn remove(&mut self, id: DecisionId, at: Timestamp, applied: &mut Applied) {
        let known = self.ledger.find(id);
        let ends = known.map(|slot| self.ledger.record(slot).until);
        self.tombs.bury(id, at, ends, self.bounds.tombstones);
        let Some(slot) = known else {
            return;
        };
        // whoever takes a decision back says that it was wrong: it does not count as past
        if let Some(range) = self.ledger.record(slot).range() {
            self.ledger.forgive(range, id);
        }
        self.take_out(slot, applied);
    }

    /// Takes a decision out of the book; its past stays.
    fn take_out(&mut self, slot: u32, applied: &mut Applied) {
        let held = Held::new(&self.ledger, slot);
        let decision = held.decision();
        applied.changes.extend(held.lift());
        self.ledger.end(slot);
        if let Some(tally) = self.tallies.get_mut(&decision.origin) {
            tally.held = tally.held.saturating_sub(1);
        }
        applied.ended.push(decision);
    }

    fn allow(&mut self, item: &AllowItem, applied: &mut Applied) {
        if self.allowed.contains_key(&item.id) || self.allowed_tombs.holds(item.id) {
            self.allowed_tombs.meet(item.id, item.until);
            return;
        }
        if self.allowed.len() >= self.bounds.allow_items {
            self.counters.allow_items_refused += 1;
            return;
        }
        for range in self.resolved.ranges(&item.subject) {
            self.allowed_ranges.insert(range, item.id);
            applied.changes.push(Change::Allow {
                range,
                id: item.id.0,
                until: item.until,
            });
        }
        self.allowed.insert(item.id, item.clone());
    }

    fn disallow(&mut self, id: AllowId, at: Timestamp, applied: &mut Applied) {
        let known = self.allowed.remove(&id);
        self.allowed_tombs.bury(
            id,
            at,
            known.as_ref().map(|item| item.until),
            self.bounds.tombstones,
        );
        for range in known
            .iter()
            .flat_map(|item| self.resolved.ranges(&item.subject))
        {
            self.allowed_ranges.remove(range, id);
            applied.changes.push(Change::Lift { range, id: id.0 });
        }
    }

    /// Tells what a host name or preset stands for now: at most 256 ranges, the rest is left out.
    /// Call it with good answers only; what is not called again keeps its last good answer. An
    /// empty answer is no good answer for a host name and is ignored.
    pub fn update_resolution(&mut self, subject: &AllowSubject, ranges: &[Cidr]) -> Applied {
        let mut applied = Applied::default();
        let before = self.resolved.ranges(subject);
        if !self
            .resolved
            .update(subject, ranges, self.bounds.allow_items)
        {
            return applied;
        }
        let after = self.resolved.ranges(subject);
        for item in self
            .allowed
            .values()
            .filter(|item| item.subject == *subject)
        {
            let (id, until) = (item.id, item.until);
            for range in before
                .iter()
                .copied()
                .filter(|range| !after.contains(range))
            {
                self.allowed_ranges.remove(range, id);
                applied.changes.push(Change::Lift { range, id: id.0 });
            }
            for range in after
                .iter()
                .copied()
                .filter(|range| !before.contains(range))
            {
                self.allowed_ranges.insert(range, id);
                applied.changes.push(Change::Allow {
                    range,
                    id: id.0,
                    until,
                });
            }
        }
        applied
    }

    /// Ends what is past its end at `now`: at most `most` decisions in one call, soonest first;
    /// call again while it returns that many. The published view needs none of it.
    pub fn sweep(&mut self, now: Timestamp, most: usize) -> Applied {
        let mut applied = Applied::default();
        for _ in 0..most {
            let Some(slot) = self
                .ledger
                .soonest()
                .filter(|slot| self.ledger.record(*slot).until <= now)
            else {
                break;
            };
            self.take_out(slot, &mut applied);
        }
        let ended: Vec<AllowId> = self
            .allowed
            .values()
            .filter(|item| item.until <= now)
            .map(|item| item.id)
            .take(most)
            .collect();
        for item in ended.iter().filter_map(|id| self.allowed.remove(id)) {
            for range in self.resolved.ranges(&item.subject) {
                self.allowed_ranges.remove(range, item.id);
            }
        }
        // views respect ends by themselves: telling them would only fill their tombstones
        applied.changes.clear();
        self.tombs.forget(now, most);
        self.allowed_tombs.forget(now, most);
        let before = now.before(self.bounds.memory);
        for _ in 0..most {
            let Some((_, source)) = self.ledger.quietest().filter(|(at, _)| *at < before) else {
                break;
            };
            self.ledger.forget(source);
        }
        self.tallies.retain(|_, tally| {
            tally.minutes.retain(|at, _| *at + 1 >= minute(now));
            tally.held > 0 || !tally.minutes.is_empty()
        });
        applied
    }

    /// The node's entries up to and including `upto` rest on disk.
    pub fn committed(&mut self, node: NodeId, upto: Cursor) {
        if let Some(heads) = self.heads.get_mut(&node) {
            heads.committed = heads.committed.max(upto);
        }
    }

    /// Whether the decision would be lost if the process died now.
    #[must_use]
    pub fn is_volatile(&self, id: DecisionId) -> bool {
        let held = self.decision(id);
        held.is_some_and(|held| self.is_held_volatile(held))
    }

    fn is_held_volatile(&self, held: Held<'_>) -> bool {
        let written = self.ledger.written(held.slot());
        written.is_some_and(|(node, cursor)| {
            let heads = self.heads.get(&node);
            heads.is_none_or(|heads| heads.committed < cursor)
        })
    }

    /// How far the node's log was read.
    #[must_use]
    pub fn read_upto(&self, node: NodeId) -> Cursor {
        self.heads
            .get(&node)
            .map_or(Cursor::START, |heads| heads.read)
    }

    /// How many decisions it holds, past their end or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ledger.len()
    }

    /// Whether it holds no decision.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ledger.len() == 0
    }

    /// How much it holds at most.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// What was left out because a bound was reached.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

fn minute(time: Timestamp) -> i64 {
    time.unix_seconds().div_euclid(60)
}
