//! Where the fold keeps its decisions: one slab of records, in four orders.
//!
//! A record is *held* while its decision stands in the book, and *past* while it counts as
//! something that its source did before; it is one record in either case, and leaves when it
//! is neither. The orders are by name, by end (both of what is held), by range (of both), and
//! of sources by the latest of their past. A decision costs about 80 bytes in all.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use crate::interned::{Interned, NOTHING};
use crate::order::Order;
use crate::record::{Record, Slab, Spot, State};
use crate::segments::Room;
use crate::{Cursor, Force, NodeId, Past};

/// The most decisions that are remembered of one source.
const MOST_PAST: usize = 16;

/// What decisions have in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Manner {
    pub(crate) scope: Scope,
    pub(crate) kind: Kind,
    pub(crate) origin: Origin,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: Slab,
    names: Order,
    ends: Order,
    ranges: Order,
    quiet: Order,
    manners: Interned<Manner>,
    reasons: Interned<str>,
    runs: Interned<(NodeId, u64)>,
    /// Values that their range does not spell.
    texts: BTreeMap<u32, Box<str>>,
    /// How many held ranges of each prefix length there are, so that only those are asked for.
    lengths: Lengths,
}

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn record(&self, slot: u32) -> Record {
        self.records.at(slot)
    }

    pub(crate) fn manner(&self, slot: u32) -> Option<&Manner> {
        self.manners.get(self.record(slot).manner)
    }

    pub(crate) fn reason(&self, slot: u32) -> &str {
        self.reasons
            .get(self.record(slot).reason)
            .unwrap_or_default()
    }

    /// The value, when its range does not spell it.
    pub(crate) fn text(&self, slot: u32) -> Option<&str> {
        let text = self
            .record(slot)
            .is(State::Spelt)
            .then(|| self.texts.get(&slot));
        text.flatten().map(AsRef::as_ref)
    }

    /// Who wrote it, and where; the smallest when several entries say the same.
    pub(crate) fn written(&self, slot: u32) -> Option<(NodeId, Cursor)> {
        let record = self.record(slot);
        let (node, epoch) = *self.runs.get(record.run)?;
        let seq = record.seq;
        Some((node, Cursor { epoch, seq }))
    }

    /// Notes that another entry says the same as this decision's.
    pub(crate) fn written_too(&mut self, slot: u32, written: (NodeId, Cursor)) {
        if self.written(slot).is_some_and(|known| written < known) {
            let run = self.run(written);
            self.runs.release(self.record(slot).run);
            self.records.change(slot, |record| {
                record.run = run;
                record.seq = written.1.seq;
            });
        }
    }

    fn run(&mut self, (node, cursor): (NodeId, Cursor)) -> u32 {
        let run = (node, cursor.epoch);
        self.runs.take(&run, || Arc::new(run))
    }

    /// A decision that is held, by its name.
    pub(crate) fn find(&self, id: DecisionId) -> Option<u32> {
        self.names_from(id)
            .next()
            .filter(|slot| self.record(*slot).id() == id)
    }

    /// What is held, by name, from this one on.
    pub(crate) fn names_from(&self, id: DecisionId) -> impl Iterator<Item = u32> {
        self.names.from(move |slot| self.record(slot).id() < id)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = u32> {
        self.names.iter()
    }

    /// What is held and ends first.
    pub(crate) fn soonest(&self) -> Option<u32> {
        self.ends.first()
    }

    /// Everything held that has a range, as ranges are ordered.
    pub(crate) fn by_range(&self) -> impl Iterator<Item = u32> {
        self.ranges
            .iter()
            .filter(|slot| self.record(*slot).is(State::Held))
    }

    /// How much room a view of its ranges takes, those of single sources left out.
    pub(crate) fn room(&self) -> Room {
        self.lengths.room()
    }

    /// Everything on exactly this range, held or past; the past as it came.
    fn on(&self, range: Cidr) -> impl Iterator<Item = u32> {
        let spot = Spot::from(range);
        let first = Record::before(spot);
        self.ranges
            .from(move |slot| self.record(slot).place() < first)
            .take_while(move |slot| self.record(*slot).spot() == spot)
    }

    /// Everything held on ranges that cover `range` wholly, the range itself included.
    pub(crate) fn covering(&self, range: Cidr) -> impl Iterator<Item = u32> {
        (0..=range.prefix())
            .filter(move |prefix| self.lengths.of(range, *prefix) > 0)
            .filter_map(move |prefix| Cidr::new(range.address(), prefix))
            .flat_map(|outer| self.on(outer))
            .filter(|slot| self.record(*slot).is(State::Held))
    }

    /// Takes in a decision whose name is not held. It is not past yet; see [`Ledger::note`].
    pub(crate) fn put(&mut self, decision: &Decision, written: (NodeId, Cursor)) -> u32 {
        let range = decision.cidr();
        let mut record = Record::new(decision.id, range);
        record.created = decision.created;
        record.until = decision.until;
        record.force = Force::from(&decision.kind);
        record.set(State::Held, true);
        record.seq = written.1.seq;
        record.run = self.run(written);
        let manner = Manner {
            scope: decision.scope.clone(),
            kind: decision.kind.clone(),
            origin: decision.origin.clone(),
        };
        record.manner = self.manners.take(&manner, || Arc::new(manner.clone()));
        let reason = decision.reason.as_str();
        record.reason = self.reasons.take(reason, || reason.into());
        let spelt = range.is_none_or(|range| !spells(range, &decision.value));
        record.set(State::Spelt, spelt);

        let slot = self.place(record);
        if spelt {
            self.texts.insert(slot, decision.value.as_str().into());
        }
        let (records, id, until) = (&self.records, decision.id, decision.until);
        self.names.insert(slot, |other| records.at(other).id() < id);
        self.ends.insert(slot, |other| {
            let other = records.at(other);
            (other.until, other.id()) < (until, id)
        });
        if let Some(range) = range {
            self.lengths.count(range, |count| count.saturating_add(1));
        }
        slot
    }

    /// A slot for the record: that of the very same past, or a new one.
    fn place(&mut self, mut record: Record) -> u32 {
        if record.range().is_none() {
            return self.records.put(&record);
        }
        let place = record.place();
        let before = |other| self.records.at(other).place() < place;
        let same = self.ranges.from(before).next();
        if let Some(slot) = same.filter(|slot| self.record(*slot).place() == place) {
            self.records.change(slot, |known| {
                record.set(State::Past, known.is(State::Past));
                *known = record;
            });
            return slot;
        }
        let slot = self.records.put(&record);
        let records = &self.records;
        self.ranges
            .insert(slot, |other| records.at(other).place() < place);
        slot
    }

    /// Takes a decision out; its past stays.
    pub(crate) fn end(&mut self, slot: u32) {
        let record = self.record(slot);
        if !record.is(State::Held) {
            return;
        }
        let (records, id, until) = (&self.records, record.id(), record.until);
        self.names.remove(slot, |other| records.at(other).id() < id);
        self.ends.remove(slot, |other| {
            let other = records.at(other);
            (other.until, other.id()) < (until, id)
        });
        if let Some(range) = record.range() {
            self.lengths.count(range, |count| count.saturating_sub(1));
        }
        if record.is(State::Spelt) {
            self.texts.remove(&slot);
        }
        self.manners.release(record.manner);
        self.reasons.release(record.reason);
        self.runs.release(record.run);
        self.records.change(slot, |record| {
            record.set(State::Held, false);
            record.set(State::Spelt, false);
            (record.manner, record.reason, record.run) = (NOTHING, NOTHING, NOTHING);
        });
        self.leave(slot);
    }

    /// Frees a record that is neither held nor past.
    fn leave(&mut self, slot: u32) {
        let record = self.record(slot);
        if record.is(State::Held) || record.is(State::Past) {
            return;
        }
        if record.range().is_some() {
            let (records, place) = (&self.records, record.place());
            self.ranges
                .remove(slot, |other| records.at(other).place() < place);
        }
        self.records.free(slot);
    }
}

/// What sources did before, for escalation on repetition.
impl Ledger {
    /// What a source did, oldest first.
    pub(crate) fn past(&self, source: Cidr) -> Vec<Past> {
        let pasts = self.pasts(source).map(|slot| {
            let record = self.record(slot);
            Past {
                created: record.created,
                id: record.id(),
                until: record.until,
                force: record.force,
            }
        });
        pasts.collect()
    }

    fn pasts(&self, source: Cidr) -> impl Iterator<Item = u32> {
        self.on(source)
            .filter(|slot| self.record(*slot).is(State::Past))
    }

    /// Lets a decision that is held count as its source's past. Feeds tell what a source did
    /// to others, and what is only shown restrained nobody: they do not count.
    pub(crate) fn note(&mut self, slot: u32, bound: usize) {
        let feed = |manner: &Manner| matches!(manner.origin, Origin::Feed(_));
        let record = self.record(slot);
        let Some(source) = record.range() else { return };
        if record.force < Force::Throttle || self.manner(slot).is_none_or(feed) {
            return;
        }
        self.change_past(source, |ledger| {
            ledger
                .records
                .change(slot, |record| record.set(State::Past, true));
            let oldest = ledger.pasts(source).next();
            if ledger.pasts(source).count() > MOST_PAST {
                oldest.into_iter().for_each(|slot| ledger.unremember(slot));
            }
        });
        if self.quiet.len() > bound
            && let Some((_, quietest)) = self.quietest()
        {
            self.forget(quietest);
        }
    }

    /// A decision was taken back: it was wrong, and does not count.
    pub(crate) fn forgive(&mut self, source: Cidr, id: DecisionId) {
        self.change_past(source, |ledger| {
            let meant = |slot: &u32| ledger.record(*slot).id() == id;
            let wrong: Vec<u32> = ledger.pasts(source).filter(meant).collect();
            wrong.into_iter().for_each(|slot| ledger.unremember(slot));
        });
    }

    /// The source whose latest decision is the oldest, and when that was made.
    pub(crate) fn quietest(&self) -> Option<(Timestamp, Cidr)> {
        let record = self.record(self.quiet.first()?);
        Some((record.created, record.range()?))
    }

    /// Forgets a source's past.
    pub(crate) fn forget(&mut self, source: Cidr) {
        self.change_past(source, |ledger| {
            let all: Vec<u32> = ledger.pasts(source).collect();
            all.into_iter().for_each(|slot| ledger.unremember(slot));
        });
    }

    fn unremember(&mut self, slot: u32) {
        self.records
            .change(slot, |record| record.set(State::Past, false));
        self.leave(slot);
    }

    /// Changes a source's past, and its place among the quiet with it.
    fn change_past(&mut self, source: Cidr, change: impl FnOnce(&mut Self)) {
        let calm = |record: &Record| (record.created, record.spot());
        if let Some(latest) = self.pasts(source).last() {
            let (records, mine) = (&self.records, calm(&self.record(latest)));
            self.quiet
                .remove(latest, |other| calm(&records.at(other)) < mine);
        }
        change(self);
        if let Some(latest) = self.pasts(source).last() {
            let (records, mine) = (&self.records, calm(&self.record(latest)));
            self.quiet
                .insert(latest, |other| calm(&records.at(other)) < mine);
        }
    }
}

#[derive(Debug)]
struct Lengths {
    v4: [u32; 33],
    v6: [u32; 129],
}

impl Default for Lengths {
    fn default() -> Self {
        Self {
            v4: [0; 33],
            v6: [0; 129],
        }
    }
}

impl Lengths {
    fn of(&self, range: Cidr, prefix: u8) -> u32 {
        let counts: &[u32] = if range.address().is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        counts.get(usize::from(prefix)).copied().unwrap_or(0)
    }

    fn room(&self) -> Room {
        let mut room = Room::default();
        for (is_v4, counts) in [(true, &self.v4[..]), (false, &self.v6[..])] {
            let single = if is_v4 { 32 } else { 64 };
            for (prefix, count) in (0..).zip(counts).filter(|(prefix, _)| *prefix != single) {
                room.add(is_v4, prefix, *count as usize);
            }
        }
        room
    }

    fn count(&mut self, range: Cidr, change: impl FnOnce(u32) -> u32) {
        let counts: &mut [u32] = if range.address().is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        };
        if let Some(count) = counts.get_mut(usize::from(range.prefix())) {
            *count = change(*count);
        }
    }
}

/// Whether a range is written exactly so.
fn spells(range: Cidr, text: &str) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    fmt::write(&mut rest, format_args!("{range}")).is_ok() && rest.0.is_empty()
}
