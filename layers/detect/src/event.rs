//! An event: named byte strings in numbered slots.
//!
//! For: what parsers write and filters read. Names are turned into [`SlotId`]s when
//! rules are compiled ([`Slots`]); at run time a value is a range of one arena that is
//! reused, so that an event of the live path allocates nothing. Refuses: values beyond
//! [`MAX_BYTES`] in sum and more than [`MAX_EXTRA`] names that no rule mentions; they are
//! not set and counted. Assumes: one event is worked on by one thread.

mod schema;
mod slots;

use core::cell::OnceCell;

use expr::{Data, Fields, Missing, SlotId};
use vocab::Timestamp;

use crate::overflow::Shown;

pub use schema::EventSchema;
pub use slots::{Slots, Space, slot};

/// How many bytes all values of an event may have in sum.
pub const MAX_BYTES: usize = 1 << 20;
/// How many values an event may have under names that no rule mentions.
pub const MAX_EXTRA: usize = 64;

/// Where a slot's value lies, if it was set in this generation.
#[derive(Clone, Copy, Default, Debug)]
struct Cell {
    generation: u32,
    start: u32,
    len: u32,
}

/// What [`Event::swap`] took out of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Swapped(Cell);

/// A value under a name that no rule mentions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Extra {
    pub(crate) space: Space,
    pub(crate) name: Box<[u8]>,
    pub(crate) value: Box<[u8]>,
}

/// An event under work; reused from one to the next.
#[derive(Clone, Debug, Default)]
pub struct Event {
    generation: u32,
    cells: Vec<Cell>,
    arena: Vec<u8>,
    touched: Vec<SlotId>,
    extra: Vec<Extra>,
    maps: [OnceCell<Fields>; Space::COUNT],
    maps_made: core::cell::Cell<bool>,
    pub(crate) unmarshaled: Option<Fields>,
    /// The overflow that it is, as rules see it; `None` for what was observed.
    pub(crate) overflow: Option<Box<Shown>>,
    /// When it happened, or was received where the log does not say.
    pub time: Timestamp,
    /// Whether a whitelist exempts it.
    pub whitelisted: bool,
    /// How often a filter changed it, over its life.
    pub(crate) effects: u64,
    /// How often a value was set or the event cleared, over its life.
    changes: u64,
    /// What `changes` was when the event was cleared last: of one life, no two events have it.
    born: u64,
    /// Values that were not set because the event was full, over its life.
    pub refused: u64,
    /// Whether others look at events of the same log at the same time, so that what one
    /// leaves for the next must wait for its turn.
    pub(crate) defers: bool,
    /// Whether something waits for its turn: what else was found counts for nothing.
    pub(crate) deferred: core::cell::Cell<bool>,
}

impl Event {
    /// An event for the slots of a program.
    #[must_use]
    pub fn new(slots: &Slots) -> Self {
        let mut event = Self::default();
        event.clear(slots);
        event
    }

    /// Forgets everything and makes room for `slots`.
    pub fn clear(&mut self, slots: &Slots) {
        if self.cells.len() != slots.len() {
            self.cells.clear();
            self.cells.resize(slots.len(), Cell::default());
            self.generation = 0;
        }
        self.generation = self.generation.checked_add(1).unwrap_or_else(|| {
            self.cells.fill(Cell::default());
            1
        });
        self.changes += 1;
        self.born = self.changes;
        self.arena.clear();
        self.touched.clear();
        self.extra.clear();
        self.forget_maps();
        self.unmarshaled = None;
        self.overflow = None;
        self.whitelisted = false;
        self.deferred.set(false);
    }

    /// Whether what is left for other events must not be touched now; then the event is
    /// looked at again when its turn comes.
    pub(crate) fn must_wait(&self) -> bool {
        if self.defers {
            self.deferred.set(true);
        }
        self.defers
    }

    /// A number that is another for every event of this one's life.
    pub(crate) fn born(&self) -> u64 {
        self.born
    }

    /// A number that is another whenever a value was set.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    #[inline]
    fn forget_maps(&mut self) {
        if self.maps_made.get() {
            self.maps_made.set(false);
            self.maps = Default::default();
        }
    }

    /// The value of a slot, empty when it was not set.
    #[must_use]
    pub fn text(&self, slot: SlotId) -> &[u8] {
        match self.cells.get(slot.0 as usize) {
            Some(cell) if cell.generation == self.generation => self.range(*cell),
            _ => b"",
        }
    }

    /// Where a slot's value lies in the event's memory; slots of which one is a part of
    /// the other lie within each other. Empty when it was not set.
    pub(crate) fn place(&self, slot: SlotId) -> core::ops::Range<usize> {
        match self.cells.get(slot.0 as usize) {
            Some(cell) if cell.generation == self.generation => {
                let start = cell.start as usize;
                start..start + cell.len as usize
            }
            _ => 0..0,
        }
    }

    fn range(&self, cell: Cell) -> &[u8] {
        let start = cell.start as usize;
        self.arena
            .get(start..start + cell.len as usize)
            .unwrap_or(b"")
    }

    /// Whether a slot was set.
    #[must_use]
    pub fn has(&self, slot: SlotId) -> bool {
        let cell = self.cells.get(slot.0 as usize);
        cell.is_some_and(|cell| cell.generation == self.generation)
    }

    /// Slots that were set, each once; one may have been taken back.
    pub(crate) fn touched(&self) -> &[SlotId] {
        &self.touched
    }

    /// Sets a slot; one that is not of the program's is ignored.
    pub fn set(&mut self, slot: SlotId, value: &[u8]) {
        let start = self.arena.len();
        if !self.fits(value.len()) {
            return;
        }
        self.arena.extend_from_slice(value);
        self.point(slot, start, value.len());
    }

    /// Sets a slot to what two slices are one after the other.
    pub fn set_joined(&mut self, slot: SlotId, first: &[u8], second: &[u8]) {
        let start = self.arena.len();
        if !self.fits(first.len() + second.len()) {
            return;
        }
        self.arena.extend_from_slice(first);
        self.arena.extend_from_slice(second);
        self.point(slot, start, first.len() + second.len());
    }

    /// Sets a slot to another slot's value, without copying it.
    pub fn alias(&mut self, slot: SlotId, from: SlotId) {
        let cell = self.cells.get(from.0 as usize).copied();
        if let Some(cell) = cell.filter(|cell| cell.generation == self.generation) {
            self.point(slot, cell.start as usize, cell.len as usize);
        }
    }

    /// Sets `slot` to a part of what `from` holds, without copying it.
    pub fn alias_part(&mut self, slot: SlotId, from: SlotId, offset: usize, len: usize) {
        let Some(cell) = self.cells.get(from.0 as usize).copied() else {
            return;
        };
        if cell.generation == self.generation && offset + len <= cell.len as usize {
            self.point(slot, cell.start as usize + offset, len);
        }
    }

    /// Sets a slot to what lies at a place of the event's memory, without copying it.
    pub(crate) fn lies(&mut self, slot: SlotId, start: usize, len: usize) {
        if start + len <= self.arena.len() {
            self.point(slot, start, len);
        }
    }

    fn fits(&mut self, len: usize) -> bool {
        let fits = self.arena.len() + len <= MAX_BYTES;
        self.refused += u64::from(!fits);
        fits
    }

    fn point(&mut self, slot: SlotId, start: usize, len: usize) {
        let Some(cell) = self.cells.get_mut(slot.0 as usize) else {
            return;
        };
        if cell.generation != self.generation {
            self.touched.push(slot);
        }
        let (Ok(start), Ok(len)) = (u32::try_from(start), u32::try_from(len)) else {
            return;
        };
        *cell = Cell {
            generation: self.generation,
            start,
            len,
        };
        self.changes += 1;
        self.forget_maps();
    }

    /// Sets a value by name: in its slot, or beside the slots when no rule knows it.
    pub fn set_named(&mut self, slots: &Slots, space: Space, name: &[u8], value: &[u8]) {
        if let Some(slot) = slots.find(space, name) {
            self.set(slot, value);
            return;
        }
        self.forget_maps();
        let known = self
            .extra
            .iter_mut()
            .find(|extra| extra.space == space && *extra.name == *name);
        if let Some(known) = known {
            known.value = value.into();
        } else if self.extra.len() < MAX_EXTRA && name.len() + value.len() <= MAX_BYTES / MAX_EXTRA
        {
            self.extra.push(Extra {
                space,
                name: name.into(),
                value: value.into(),
            });
        } else {
            self.refused += 1;
        }
    }

    /// Puts another value into a slot and gives back what was there, for
    /// [`Event::put_back`].
    pub(crate) fn swap(&mut self, slot: SlotId, value: &[u8]) -> Swapped {
        let before = self.cells.get(slot.0 as usize).copied().unwrap_or_default();
        self.set(slot, value);
        Swapped(before)
    }

    /// Undoes [`Event::swap`].
    pub(crate) fn put_back(&mut self, slot: SlotId, before: Swapped) {
        if let Some(cell) = self.cells.get_mut(slot.0 as usize) {
            *cell = before.0;
        }
        self.changes += 1;
        self.forget_maps();
    }

    /// What lies under `evt.Unmarshaled`, if anything was unmarshaled.
    #[must_use]
    pub fn unmarshaled(&self) -> Option<&Fields> {
        self.unmarshaled.as_ref()
    }

    /// Every name and value of a space, as a map.
    pub(crate) fn map(&self, slots: &Slots, space: Space) -> &Fields {
        static EMPTY: Fields = Fields::new(Missing::Empty);
        let Some(map) = self.maps.get(space.place()) else {
            return &EMPTY;
        };
        map.get_or_init(|| {
            self.maps_made.set(true);
            let mut fields = Fields::new(Missing::Empty);
            for (name, value) in self.entries(slots, space) {
                fields.insert(name, Data::text(value));
            }
            fields
        })
    }

    /// Whether a value was set by this name.
    pub(crate) fn has_named(&self, slots: &Slots, space: Space, name: &[u8]) -> bool {
        let beside = |extra: &Extra| extra.space == space && *extra.name == *name;
        slots.find(space, name).is_some_and(|slot| self.has(slot)) || self.extra.iter().any(beside)
    }

    /// Whether a space has values under names that no rule mentions.
    pub(crate) fn has_more(&self, space: Space) -> bool {
        self.extra.iter().any(|extra| extra.space == space)
    }

    /// Names and values of a space, in the order in which they were first set.
    pub fn entries<'e>(
        &'e self,
        slots: &'e Slots,
        space: Space,
    ) -> impl Iterator<Item = (&'e [u8], &'e [u8])> {
        let touched = self.touched.iter().filter_map(move |slot| {
            let (found, name) = slots.name(*slot)?;
            (found == space).then(|| (name.as_bytes(), self.text(*slot)))
        });
        let extra = self.extra.iter().filter(move |extra| extra.space == space);
        touched.chain(extra.map(|extra| (&*extra.name, &*extra.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_live_until_the_next_event() {
        let mut slots = Slots::default();
        let slot = slots.intern(Space::Meta, "service");
        let other = slots.intern(Space::Parsed, "copy");
        let mut event = Event::new(&slots);
        assert!(!event.has(slot));
        event.set(slot, b"http");
        event.set(slot, b"https");
        event.alias_part(other, slot, 1, 3);
        assert_eq!(
            (event.text(slot), event.text(other)),
            (&b"https"[..], &b"ttp"[..])
        );
        event.clear(&slots);
        assert!(!event.has(slot) && event.text(slot).is_empty());
    }

    #[test]
    fn names_that_no_rule_mentions_are_kept_beside_and_bounded() {
        let slots = Slots::default();
        let mut event = Event::new(&slots);
        event.set_named(&slots, Space::Meta, b"cve", b"1");
        event.set_named(&slots, Space::Meta, b"cve", b"2");
        assert_eq!(
            event.map(&slots, Space::Meta).value(b"cve").as_text(),
            Some(&b"2"[..])
        );
        for at in 0..200 {
            event.set_named(&slots, Space::Meta, format!("k{at}").as_bytes(), b"v");
        }
        assert_eq!(event.extra.len(), MAX_EXTRA);
        assert!(event.refused > 100);
    }

    #[test]
    fn an_event_cannot_grow_without_end() {
        let mut slots = Slots::default();
        let slot = slots.intern(Space::Parsed, "message");
        let mut event = Event::new(&slots);
        for _ in 0..100 {
            event.set(slot, &[b'x'; 100_000]);
        }
        assert!(event.arena.len() <= MAX_BYTES && event.refused > 0);
    }
}
