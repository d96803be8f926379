//! The sieve: which scenarios an event can matter to at all.
//!
//! For: asking few filters instead of all. Every filter says what must hold for it to
//! be true ([`Need`](expr::Need)); facts about whole fields and the words of all filters
//! are looked for in one pass each. A scenario's condition is a row of clauses, each a set
//! of facts of which one must hold. What facts prove is not asked again: sides that are
//! facts, and those that deny a word that is not there. Refuses: to drop a filter that
//! would fail or change the event; `Need` promises that. Assumes: facts are cheap;
//! conditions that would need too many are weakened, which lets more scenarios through and
//! none fewer.

mod build;
mod passes;
mod texts;
mod words;

use expr::{Expr, Part, SlotId};

use self::build::{Builder, Facts};
use self::passes::{Passes, asked};
use self::texts::{Bits, Texts, bits};
use self::words::Words;
use super::env::Memo;
use super::scenario::Scenario;
use crate::bucket::Seed;
use crate::data::DataSet;
use crate::event::{Event, slot};

/// Fields that say the same in one request after the other.
const REPEATED: [SlotId; 3] = [
    slot::META_HTTP_USER_AGENT,
    slot::PARSED_USER_AGENT,
    slot::META_TARGET_FQDN,
];

/// Which scenarios an event can matter to.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// Facts about whole fields.
    texts: Vec<Texts>,
    /// Which of these are about a slot, by its number, and one more; nothing for none.
    of_slot: Vec<u16>,
    /// The facts that hold of an event without any field.
    bare: Bits,
    words: Vec<Words>,
    /// How many words of the fact set are about whole fields.
    whole: usize,
    /// What must hold of each scenario, all in one row, and where the clauses of each end.
    clauses: Vec<Clause>,
    ends: Vec<usize>,
    /// What is left to ask of each scenario that was chosen, in order.
    rests: Vec<Box<[Ask]>>,
    /// The facts that this rests on.
    asked: Vec<Bits>,
    /// The facts that something could not be told.
    doubts: Bits,
}

/// A side of a filter that is left to ask.
#[derive(Debug)]
pub(crate) enum Ask {
    /// One of these facts must hold, which is all there is to it.
    Fact(Clause),
    All(Box<[Self]>),
    Any(Box<[Self]>),
    Rest(Rest),
}

/// What facts alone do not settle.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) side: Expr,
    /// It is false where not all of these hold.
    needed: Vec<Clause>,
    /// It is true where not all of these hold; nothing is known when there are none.
    denied: Vec<Clause>,
    /// Its number, and the text on which alone its answer rests.
    pub(crate) remembered: Option<(u32, SlotId)>,
}

/// The facts that hold of an event.
#[derive(Debug)]
struct FactSet {
    words: [u64; Self::WORDS],
    /// Which of the words may not be zero.
    some: u64,
}

impl FactSet {
    const WORDS: usize = 64;
    /// How many facts there are at most; the first of them are about whole fields, so that
    /// of the words of the others few are not zero.
    const MOST: usize = 64 * Self::WORDS;
    /// Which words are about words in fields.
    const OF_WORDS: u64 = u64::MAX << (build::TEXTS / 64);

    fn set(&mut self, fact: usize) {
        self.set_bits(fact / 64, 1 << (fact % 64));
    }

    fn set_bits(&mut self, word: usize, bits: u64) {
        if let Some(known) = self.words.get_mut(word) {
            *known |= bits;
            self.some |= 1 << word;
        }
    }

    /// Takes facts back. Words that are empty then may still count as some.
    fn unset_all(&mut self, bits: &[(usize, u64)]) {
        for (word, bits) in bits {
            if let Some(known) = self.words.get_mut(*word) {
                *known &= !bits;
            }
        }
    }

    fn set_all(&mut self, bits: &[(usize, u64)]) {
        for (word, bits) in bits {
            self.set_bits(*word, *bits);
        }
    }
}

impl FactSet {
    /// Forgets all.
    fn clear(&mut self) {
        while self.some != 0 {
            let word = self.some.trailing_zeros() as usize;
            self.some &= self.some - 1;
            if let Some(word) = self.words.get_mut(word) {
                *word = 0;
            }
        }
    }

    /// Whether one of these bits of a word is set.
    fn has_any(&self, (word, bits): (usize, u64)) -> bool {
        self.words.get(word).is_some_and(|facts| facts & bits != 0)
    }
}

impl Default for FactSet {
    fn default() -> Self {
        Self {
            words: [0; Self::WORDS],
            some: 0,
        }
    }
}

/// Facts of which one must hold: words of the fact set and bits in them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Clause {
    /// Which words there are.
    some: u64,
    first: (usize, u64),
    others: Box<[(usize, u64)]>,
}

impl Clause {
    fn new(facts: Facts) -> Self {
        let masks = bits(facts.into_iter());
        let some = masks.iter().fold(0, |some, (word, _)| some | 1 << word);
        let mut masks = masks.into_iter();
        Self {
            some,
            first: masks.next().unwrap_or_default(),
            others: masks.collect(),
        }
    }

    fn add_to(&self, facts: &mut FactSet) {
        if self.some != 0 {
            facts.set_bits(self.first.0, self.first.1);
        }
        facts.set_all(&self.others);
    }

    fn holds(&self, facts: &FactSet) -> bool {
        let holds = |(word, mask): &(usize, u64)| {
            let facts = facts.words.get(*word).copied().unwrap_or_default();
            facts & mask != 0
        };
        self.some & facts.some != 0 && (holds(&self.first) || self.others.iter().any(holds))
    }
}

/// The scenarios that are asked, by index; and the facts that led to it.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    scenarios: Vec<u32>,
    facts: FactSet,
    seen: Seen,
    passes: Passes,
    /// Of which event they were chosen, and where its fields lay.
    looked_at: Option<(u64, u64)>,
    places: Vec<(usize, usize)>,
}

/// Texts that come again and again, and the facts that hold of them: one a place, the
/// later one stays.
#[derive(Debug, Default)]
struct Seen(Vec<Option<SeenText>>);

#[derive(Debug, Default)]
struct SeenText {
    slot: u32,
    text: Vec<u8>,
    facts: Vec<usize>,
}

impl Seen {
    const PLACES: usize = 64;
    /// Longer texts are not kept, so that memory is bounded.
    const LONGEST: usize = 512;

    /// The place of a text, and whether it is this text's already. Texts beyond ASCII
    /// have every word and are not kept.
    fn place(&mut self, slot: SlotId, text: &[u8]) -> Option<(&mut SeenText, bool)> {
        if text.len() > Self::LONGEST || !text.is_ascii() {
            return None;
        }
        if self.0.is_empty() {
            self.0.resize_with(Self::PLACES, || None);
        }
        let place = self.0.get_mut(Memo::place(slot.0, text) % Self::PLACES)?;
        let known = place
            .as_ref()
            .is_some_and(|seen| seen.slot == slot.0 && *seen.text == *text);
        let seen = place.get_or_insert_default();
        if !known {
            seen.slot = slot.0;
            seen.text.clear();
            seen.text.extend_from_slice(text);
            seen.facts.clear();
        }
        Some((seen, known))
    }
}

impl Chosen {
    /// Nothing yet; what is remembered lies at places that hang on the seed.
    pub(crate) fn seeded(seed: Seed) -> Self {
        Self {
            passes: Passes::seeded(seed.distinct(b"facts")),
            ..Self::default()
        }
    }

    /// The first chosen scenario at or after `from`, with its index.
    pub(crate) fn next<'s>(
        &self,
        from: usize,
        scenarios: &'s [Scenario],
    ) -> Option<(usize, &'s Scenario)> {
        let at = self.first(from)?;
        Some((at, scenarios.get(at)?))
    }

    /// The first that was chosen at or after `from`.
    pub(crate) fn first(&self, from: usize) -> Option<usize> {
        let place = self.scenarios.partition_point(|at| (*at as usize) < from);
        self.scenarios.get(place).map(|at| *at as usize)
    }

    /// The same, where the one at a place of the list was found last; and its place.
    pub(crate) fn first_behind(&self, from: usize, last: usize) -> Option<(usize, usize)> {
        let at = |place: usize| self.scenarios.get(place).map(|at| *at as usize);
        let next = last + 1;
        let place = match (at(last), at(next)) {
            (Some(before), Some(behind)) if before < from && from <= behind => next,
            _ => self.scenarios.partition_point(|at| (*at as usize) < from),
        };
        Some((at(place)?, place))
    }

    /// Whether this one was chosen.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.scenarios.binary_search(&number).is_ok()
    }

    /// What the facts say of a side; nothing when it must be asked.
    pub(crate) fn settles(&self, rest: &Rest) -> Option<bool> {
        let all_hold = |clauses: &[Clause]| clauses.iter().all(|clause| clause.holds(&self.facts));
        if !all_hold(&rest.needed) {
            return Some(false);
        }
        (!all_hold(&rest.denied)).then_some(true)
    }

    /// Whether a fact holds.
    pub(crate) fn holds(&self, clause: &Clause) -> bool {
        clause.holds(&self.facts)
    }
}

impl Sieve {
    /// A sieve for the sides of scenarios' filters, in their order.
    pub(crate) fn new(filters: impl Iterator<Item = Vec<Part>>, data: &DataSet) -> Self {
        Self::built(filters, Builder::new(data))
    }

    /// A sieve that knows whole fields and no words in them.
    pub(crate) fn wordless(filters: impl Iterator<Item = Vec<Part>>) -> Self {
        Self::built(filters, Builder::wordless(&DataSet::default()))
    }

    fn built(filters: impl Iterator<Item = Vec<Part>>, mut builder: Builder<'_>) -> Self {
        let mut sieve = Self::default();
        let mut all: Vec<Vec<Facts>> = Vec::new();
        for parts in filters {
            let (conditions, rests) = builder.filter(parts);
            all.push(conditions);
            sieve.asked.push(asked(&rests));
            sieve.rests.push(rests);
        }
        for mut conditions in all {
            // What whole fields decide is asked first, since it is remembered.
            conditions.sort_by_key(Builder::rarity);
            sieve
                .clauses
                .extend(conditions.into_iter().map(Clause::new));
            sieve.ends.push(sieve.clauses.len());
        }
        sieve.whole = builder.whole();
        sieve.doubts = builder.doubts();
        (sieve.texts, sieve.words) = builder.build();
        sieve.index();
        sieve
    }

    /// What is left to ask of a scenario that was chosen by its facts.
    pub(crate) fn rest(&self, at: usize) -> &[Ask] {
        self.rests.get(at).map_or(&[], |rest| rest)
    }

    /// Whether something could not be told of the event: what was chosen may not hold.
    pub(crate) fn doubts(&self, chosen: &Chosen) -> bool {
        let held = |bits: &(usize, u64)| chosen.facts.has_any(*bits);
        self.doubts.iter().any(held)
    }

    /// Chooses the scenarios that `event` can matter to; every one for `all`.
    pub(crate) fn choose(&self, event: &Event, all: bool, chosen: &mut Chosen) {
        chosen.scenarios.clear();
        chosen.facts.clear();
        if all {
            let numbers = 0..u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
            chosen.scenarios.extend(numbers);
            return;
        }
        chosen.looked_at = None;
        self.look(event, chosen);
        self.pass(event, chosen);
    }

    /// Notes where each slot's facts are, and what holds where there is no field.
    fn index(&mut self) {
        let mut bare = FactSet::default();
        for (place, texts) in (1..).zip(&self.texts) {
            let slot = texts.slot.0 as usize;
            if self.of_slot.len() <= slot {
                self.of_slot.resize(slot + 1, 0);
            }
            if let Some(known) = self.of_slot.get_mut(slot) {
                *known = place;
            }
            bare.set_all(texts.bare());
        }
        let words = bare.words.iter().copied().enumerate();
        self.bare = words.filter(|(_, bits)| *bits != 0).collect();
    }

    /// Sets the facts about whole fields: those of an event without any, but for the fields
    /// that it has.
    fn look(&self, event: &Event, chosen: &mut Chosen) {
        let facts = &mut chosen.facts;
        facts.set_all(&self.bare);
        for slot in event.touched() {
            let place = self.of_slot.get(slot.0 as usize).copied().unwrap_or(0);
            let texts = usize::from(place).checked_sub(1);
            if let Some(texts) = texts.and_then(|at| self.texts.get(at)) {
                let text = event.text(*slot);
                if !text.is_empty() {
                    facts.unset_all(texts.bare());
                    texts.look(text, facts, &mut chosen.seen);
                }
            }
        }
    }

    /// As [`Sieve::choose`], but looks only when a field that matters has changed. For a
    /// sieve without words.
    pub(crate) fn choose_anew(&self, event: &Event, chosen: &mut Chosen) {
        let now = (event.born(), event.changes());
        let known = chosen.looked_at;
        if known == Some(now) {
            return;
        }
        let place = |texts: &Texts| {
            let place = event.place(texts.slot);
            (place.start, place.len())
        };
        let of_this = known.is_some_and(|(born, _)| born == event.born());
        let unchanged = of_this
            && self
                .texts
                .iter()
                .map(place)
                .eq(chosen.places.iter().copied());
        if !unchanged {
            self.choose(event, false, chosen);
            chosen.places.clear();
            chosen.places.extend(self.texts.iter().map(place));
        }
        chosen.looked_at = Some(now);
    }
}

#[cfg(test)]
mod tests;
