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
mod texts;
mod words;

use std::collections::{BTreeMap, HashMap};

use expr::{Expr, Part, SlotId};

use self::build::{Builder, Facts};
use self::texts::{Texts, bits};
use self::words::Words;
use super::env::Memo;
use super::scenario::Scenario;
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
    words: Vec<Words>,
    /// Scenarios by the clause that each shares with most others.
    groups: Vec<Group>,
    /// The scenarios of all groups in one row, and where the clauses of each end.
    members: Vec<(u32, usize)>,
    /// What else must hold of each, all in one row.
    clauses: Vec<Clause>,
    /// What is left to ask of each scenario that was chosen, in order.
    rests: Vec<Box<[Ask]>>,
}

/// Scenarios that need the same clause.
#[derive(Debug)]
struct Group {
    /// None of them is looked at where this does not hold.
    shared: Option<Clause>,
    /// Where its members and their clauses end.
    members: usize,
    clauses: usize,
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
    /// Which of the words are not zero.
    some: u64,
}

impl FactSet {
    const WORDS: usize = 64;
    /// How many facts there are at most; the first of them are about whole fields, so that
    /// of the words of the others few are not zero.
    const MOST: usize = 64 * Self::WORDS;

    fn set(&mut self, fact: usize) {
        self.set_bits(fact / 64, 1 << (fact % 64));
    }

    fn set_bits(&mut self, word: usize, bits: u64) {
        if let Some(known) = self.words.get_mut(word) {
            *known |= bits;
            self.some |= 1 << word;
        }
    }

    fn set_all(&mut self, bits: &[(usize, u64)]) {
        for (word, bits) in bits {
            self.set_bits(*word, *bits);
        }
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
    /// The first chosen scenario at or after `from`, with its index.
    pub(crate) fn next<'s>(
        &self,
        from: usize,
        scenarios: &'s [Scenario],
    ) -> Option<(usize, &'s Scenario)> {
        let place = self.scenarios.partition_point(|at| (*at as usize) < from);
        let at = *self.scenarios.get(place)? as usize;
        Some((at, scenarios.get(at)?))
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
        let mut builder = Builder::new(data);
        let mut sieve = Self::default();
        let mut all: Vec<Vec<Facts>> = Vec::new();
        for parts in filters {
            let (conditions, rests) = builder.filter(parts);
            all.push(conditions);
            sieve.rests.push(rests);
        }
        sieve.group(all);
        (sieve.texts, sieve.words) = builder.build();
        sieve
    }

    /// Puts scenarios together that share a clause, such as the kind of event: a hub has
    /// hundreds for systems that are not here.
    fn group(&mut self, all: Vec<Vec<Facts>>) {
        let mut shared: HashMap<Facts, usize> = HashMap::new();
        for clause in all.iter().flatten() {
            *shared.entry(clause.clone()).or_default() += 1;
        }
        let often = |clause: &Facts| shared.get(clause).copied().unwrap_or(0);
        let mut groups: BTreeMap<Option<Facts>, Vec<(u32, Vec<Facts>)>> = BTreeMap::new();
        for (number, mut conditions) in (0_u32..).zip(all) {
            let most = conditions
                .iter()
                .max_by_key(|clause| (often(clause), core::cmp::Reverse(*clause)))
                .cloned();
            conditions.retain(|clause| Some(clause) != most.as_ref());
            // What holds of most events is asked last.
            conditions.sort_by_key(|facts| core::cmp::Reverse(Builder::rarity(facts)));
            groups.entry(most).or_default().push((number, conditions));
        }
        for (shared, scenarios) in groups {
            for (number, conditions) in scenarios {
                self.clauses.extend(conditions.into_iter().map(Clause::new));
                self.members.push((number, self.clauses.len()));
            }
            self.groups.push(Group {
                shared: shared.map(Clause::new),
                members: self.members.len(),
                clauses: self.clauses.len(),
            });
        }
    }

    /// What is left to ask of a scenario that was chosen by its facts.
    pub(crate) fn rest(&self, at: usize) -> &[Ask] {
        self.rests.get(at).map_or(&[], |rest| rest)
    }

    /// Chooses the scenarios that `event` can matter to; every one for `all`.
    pub(crate) fn choose(&self, event: &Event, all: bool, chosen: &mut Chosen) {
        chosen.scenarios.clear();
        chosen.facts = FactSet::default();
        if all {
            let numbers = 0..u32::try_from(self.members.len()).unwrap_or(u32::MAX);
            chosen.scenarios.extend(numbers);
            return;
        }
        let facts = &mut chosen.facts;
        for texts in &self.texts {
            texts.look(event, facts);
        }
        for words in &self.words {
            words.look(event, facts, &mut chosen.seen);
        }
        let (mut member, mut begin) = (0, 0);
        for group in &self.groups {
            let members = self.members.get(member..group.members).unwrap_or_default();
            member = group.members;
            if group
                .shared
                .as_ref()
                .is_none_or(|clause| clause.holds(facts))
            {
                for (number, end) in members {
                    let clauses = self.clauses.get(begin..*end).unwrap_or_default();
                    begin = *end;
                    if clauses.iter().all(|clause| clause.holds(facts)) {
                        chosen.scenarios.push(*number);
                    }
                }
            }
            begin = group.clauses;
        }
        // They are asked in their order.
        chosen.scenarios.sort_unstable();
    }
}

#[cfg(test)]
mod tests;
