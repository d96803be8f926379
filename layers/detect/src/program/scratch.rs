//! What changes from event to event: one per thread, reused.

use core::cell::RefCell;
use std::sync::Arc;

use expr::SlotId;
use vocab::{ClientAddr, Timestamp};

use super::Program;
use super::env::Memo;
use super::scenario::Hashes;
use super::sieve::Chosen;
use crate::bucket::{Keeper, Kept, Occurrence, Pour, ScenarioId, Seed};
use crate::event::{Event, Slots, Space, slot};
use crate::outside::{Answer, BookView, HostsView, Query};
use crate::parse::{Parsed, Rooms, Stages};

/// Counters of a scratch, over its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Events and lines that were looked at.
    pub events: u64,
    /// Scenario filters that were evaluated.
    pub filters: u64,
    /// Expressions that failed.
    pub errors: u64,
    /// Overflows that a postoverflow exempted.
    pub exempt: u64,
    /// Overflows that were not poured again, or dropped, because too many led to them.
    pub cut: u64,
    /// Questions to the network or the book that nobody was there to answer.
    pub unanswered: u64,
}

/// Room for one event under work, and small caches.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) event: Event,
    pub(crate) memo: RefCell<Memo>,
    pub(crate) rooms: Rooms,
    /// The same for postoverflows.
    pub(crate) after: Rooms,
    pub(crate) pours: Vec<Pour>,
    pub(crate) chosen: Chosen,
    pub(crate) hashes: Hashes,
    pub(crate) text: Vec<u8>,
    pub(crate) seed: Seed,
    /// What stands for the source address in group keys, where it is not itself.
    pub(crate) group: Option<Vec<u8>>,
    /// Whether pours were dropped because nobody knows when the event happened.
    pub(crate) undated: bool,
    pub(crate) counted: Counted,
    keeper: Keeper,
    ranks: Vec<Ranked>,
    /// Which program the rooms and the memo belong to.
    fitted: u64,
    plain: bool,
}

impl Scratch {
    /// A scratch for a program; `seed` keys its bucket and distinct hashes and must
    /// be the same in every scratch that pours into the same shards.
    #[must_use]
    pub fn new(program: &Program, seed: Seed) -> Self {
        Self {
            event: Event::new(program.slots()),
            memo: RefCell::default(),
            rooms: Rooms::default(),
            after: Rooms::default(),
            pours: Vec::new(),
            chosen: Chosen::seeded(seed),
            hashes: Hashes::default(),
            text: Vec::new(),
            seed,
            group: None,
            undated: false,
            counted: Counted::default(),
            keeper: Keeper::new(),
            ranks: Vec::new(),
            fitted: 0,
            plain: false,
        }
    }

    /// A scratch with which nothing is spared: every node of a parser is asked, and groks
    /// search by backtracking. Slower, with the same outcome: what the shorter ways are held
    /// against.
    #[must_use]
    pub fn plain(program: &Program, seed: Seed) -> Self {
        Self {
            plain: true,
            ..Self::new(program, seed)
        }
    }

    /// The event that was looked at last.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// What was done so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        Counted {
            unanswered: self.memo.borrow().outside.unanswered,
            ..self.counted
        }
    }

    /// Has postoverflows ask the network: what they ask is told, so that the overflow waits
    /// for the answer. Otherwise, as in replay, and for events, every answer is empty.
    pub fn ask_the_network(&mut self) {
        self.memo.get_mut().outside.asks = true;
    }

    /// Gives rules the addresses of hosts that were looked up beforehand, for events too.
    pub fn ask_hosts(&mut self, hosts: Arc<dyn HostsView>) {
        self.memo.get_mut().outside.hosts = Some(hosts);
    }

    /// Gives the answer to a question beforehand, to events as well; tests do.
    pub fn tell(&mut self, query: Query, answer: Answer) {
        self.memo.get_mut().outside.known.push((query, answer));
    }

    /// Gives rules the book to ask.
    pub fn ask_the_book(&mut self, book: Arc<dyn BookView>) {
        self.memo.get_mut().outside.book = Some(book);
    }

    /// Whether others look at lines of the same log at the same time. Then a line that
    /// leaves something for later ones, or asks for it, is deferred
    /// ([`Occurring::is_deferred`]).
    pub(crate) fn defer(&mut self, defers: bool) {
        self.event.defers = defers;
    }

    pub(crate) fn begin(&mut self, slots: &Slots) {
        self.counted.events += 1;
        self.fresh(slots);
        if slots.is_read(slot::TYPE) {
            self.event.set(slot::TYPE, b"log");
        }
    }

    /// Room for another event.
    pub(crate) fn fresh(&mut self, slots: &Slots) {
        self.event.clear(slots);
        self.pours.clear();
        self.group = None;
        self.undated = false;
        let program = slots.mark();
        if self.fitted != program {
            self.fitted = program;
            self.rooms = Rooms::default();
            self.after = Rooms::default();
            self.memo.get_mut().forget();
            self.chosen = Chosen::seeded(self.seed);
        }
    }

    pub(crate) fn fit(&mut self, stages: &Stages) {
        fit(&mut self.rooms, stages, self.seed, self.plain);
    }

    pub(crate) fn fit_after(&mut self, stages: &Stages) {
        fit(&mut self.after, stages, self.seed, self.plain);
    }

    pub(crate) fn group_address(&mut self, client: ClientAddr) {
        let key = client.counting_key();
        if key != client.0 {
            let mut text = Vec::new();
            super::http::address(key, &mut text);
            self.group = Some(text);
        }
    }

    /// Writes the event's time into its meta fields.
    pub(crate) fn stamp(&mut self) {
        stamp(&mut self.event, &mut self.text);
    }

    pub(crate) fn seen<'s>(&'s mut self, program: &'s Program, parsed: Parsed) -> Seen<'s> {
        Seen {
            parsed,
            time: self.event.time,
            undated: self.undated,
            pours: &self.pours,
            occurrence: Occurring {
                program,
                parts: Parts {
                    now: self.event.time,
                    event: &mut self.event,
                    memo: &self.memo,
                },
                keeper: &mut self.keeper,
                text: &mut self.text,
                ranks: &mut self.ranks,
                kept: None,
            },
        }
    }
}

/// What the scenarios said to an event: give `pours` and `occurrence` to the shards.
#[derive(Debug)]
pub struct Seen<'s> {
    /// What became of it in the parsers; live requests are always events.
    pub parsed: Parsed,
    /// The event's time.
    pub time: Timestamp,
    /// Whether, in a replay, no parser read its date, and scenarios that count did not
    /// count it for that.
    pub undated: bool,
    /// One for each scenario whose filter held, in their order.
    pub pours: &'s [Pour],
    /// The event, for buckets that keep it.
    pub occurrence: Occurring<'s>,
}

#[derive(Debug)]
pub(crate) struct Parts<'s> {
    pub(crate) event: &'s mut Event,
    pub(crate) memo: &'s RefCell<Memo>,
    pub(crate) now: Timestamp,
}

/// A field's place in the order of names: its space, its place there, and its slot.
type Ranked = (Space, u32, SlotId);

/// The event behind pours, kept at most once.
#[derive(Debug)]
pub struct Occurring<'s> {
    program: &'s Program,
    parts: Parts<'s>,
    keeper: &'s mut Keeper,
    text: &'s mut Vec<u8>,
    /// Room for putting fields in order.
    ranks: &'s mut Vec<Ranked>,
    kept: Option<Kept>,
}

impl Occurring<'_> {
    /// Whether the line must be looked at again, when all before it were.
    pub(crate) fn is_deferred(&self) -> bool {
        self.parts.event.deferred.get()
    }

    /// The event's value of a slot.
    #[must_use]
    pub fn text(&self, slot: SlotId) -> &[u8] {
        self.parts.event.text(slot)
    }
}

impl Occurrence for Occurring<'_> {
    fn keep(&mut self) -> Kept {
        if let Some(kept) = &self.kept {
            return kept.clone();
        }
        let slots = self.program.slots();
        if !self.parts.event.has(slot::META_TIMESTAMP) {
            stamp(self.parts.event, self.text);
        }
        let event = &*self.parts.event;
        if let Some(about) = event.overflow.as_ref().and_then(|it| it.about.as_ref()) {
            self.keeper.about(Arc::clone(about));
        }
        let (parsed, enriched) = (self.program.keeps.parsed, self.program.keeps.enriched);
        let is_needed = |space| match space {
            Space::Meta => true,
            Space::Parsed => parsed,
            Space::Enriched => enriched,
            Space::Label | Space::Field | Space::Special => false,
        };
        // Without names that no rule knows, the order is known beforehand.
        let ranked = event.touched().iter().filter_map(|slot| {
            let (space, rank) = slots.rank(*slot)?;
            (is_needed(space) && event.has(*slot)).then_some((space, rank, *slot))
        });
        self.ranks.clear();
        self.ranks.extend(ranked);
        self.ranks.sort_unstable();
        for (space, needed) in [
            (Space::Meta, true),
            (Space::Parsed, parsed),
            (Space::Enriched, enriched),
        ] {
            if !needed {
                let single = match space {
                    Space::Parsed => &self.program.keeps.parsed_slots,
                    _ => &self.program.keeps.enriched_slots,
                };
                for slot in single.iter().filter(|slot| event.has(**slot)) {
                    if let Some((_, name)) = slots.name(*slot) {
                        put(self.keeper, space, name, event.text(*slot));
                    }
                }
                continue;
            }
            if event.has_more(space) {
                let mut entries: Vec<(&[u8], &[u8])> = event.entries(slots, space).collect();
                entries.sort_unstable();
                for (name, value) in entries {
                    if let Ok(name) = core::str::from_utf8(name) {
                        put(self.keeper, space, name, value);
                    }
                }
                continue;
            }
            for (_, _, slot) in self.ranks.iter().filter(|(of, ..)| *of == space) {
                if let Some((_, name)) = slots.name(*slot) {
                    put(self.keeper, space, name, event.text(*slot));
                }
            }
        }
        let kept = self.keeper.finish(event.time);
        self.kept = Some(kept.clone());
        kept
    }

    fn scope_value(&mut self, scenario: ScenarioId) -> Option<Box<str>> {
        self.program
            .scope_value(scenario.0 as usize, &mut self.parts)
    }
}

fn stamp(event: &mut Event, text: &mut Vec<u8>) {
    use std::io::Write as _;
    text.clear();
    // Writing into a Vec does not fail.
    drop(write!(text, "{}", event.time));
    event.set(slot::META_TIMESTAMP, text);
}

fn put(keeper: &mut Keeper, space: Space, name: &str, value: &[u8]) {
    match space {
        Space::Meta => keeper.meta(name, value),
        Space::Parsed => keeper.parsed(name, value),
        _ => keeper.enriched(name, value),
    };
}

/// Makes room for what runs through these stages, unless it is there.
fn fit(rooms: &mut Rooms, stages: &Stages, seed: Seed, plain: bool) {
    if rooms.is_empty() {
        *rooms = stages.rooms(seed);
        rooms.plain = plain;
    }
}
