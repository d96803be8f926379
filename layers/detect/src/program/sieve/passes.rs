//! What facts about whole fields leave to be decided by words.
//!
//! For: not going through all scenarios for each event. Events of one kind have the same
//! facts about whole fields, however different their paths are: which scenarios these leave,
//! and which clauses words must decide for each, is remembered by the facts. Refuses: to grow
//! with what strangers send: a set of facts has one place, where the later one stays; which
//! one is nobody's to choose, since the places are seeded.
//! Assumes: facts about whole fields stand in the first words of a fact set.

use super::texts::Bits;
use super::{Ask, Chosen, Clause, FactSet, Sieve};

/// Sets of facts and what they leave: one a place.
#[derive(Debug, Default)]
pub(super) struct Passes {
    places: Vec<Passing>,
    seed: u64,
}

/// What a set of facts leaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Passing {
    /// The facts; none where the place is free.
    facts: Vec<u64>,
    /// Scenarios in their order, each with where its clauses end.
    members: Vec<(u32, u32)>,
    /// Clauses that words must decide: which words of a fact set they have, and their places.
    clauses: Vec<(u64, u32)>,
    /// The lists of words of which any can matter, a bit each.
    lists: u64,
}

impl Passes {
    const PLACES: usize = 512;

    pub(super) fn seeded(seed: u64) -> Self {
        Self {
            places: Vec::new(),
            seed,
        }
    }

    /// What the facts about whole fields leave.
    fn of(&mut self, sieve: &Sieve, facts: &FactSet) -> &Passing {
        if self.places.is_empty() {
            self.places.resize(Self::PLACES, Passing::default());
        }
        let whole = facts.words.get(..sieve.whole).unwrap_or_default();
        // Two that share a place cost one more look at all scenarios each time.
        let hash = whole.iter().fold(self.seed, |hash, word| {
            let hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^ hash >> 32
        });
        let place = usize::try_from(hash % Self::PLACES as u64).unwrap_or(0);
        static NOTHING: Passing = Passing::nothing();
        let Some(passing) = self.places.get_mut(place) else {
            return &NOTHING;
        };
        if passing.facts.is_empty() || passing.facts != whole {
            passing.fill(sieve, facts, whole);
        }
        passing
    }
}

impl Passing {
    const fn nothing() -> Self {
        Self {
            facts: Vec::new(),
            members: Vec::new(),
            clauses: Vec::new(),
            lists: 0,
        }
    }

    /// Goes through all scenarios.
    fn fill(&mut self, sieve: &Sieve, facts: &FactSet, whole: &[u64]) {
        self.facts.clear();
        self.facts.extend_from_slice(whole);
        self.members.clear();
        self.clauses.clear();
        let mut asked = FactSet::default();
        let mut begin = 0;
        for (number, end) in (0_u32..).zip(&sieve.ends) {
            let kept = self.clauses.len();
            let mut open = true;
            for at in begin..*end {
                let Some(clause) = sieve.clauses.get(at) else {
                    continue;
                };
                if clause.holds(facts) {
                    continue;
                }
                let words = clause.some & FactSet::OF_WORDS;
                open = words != 0;
                if !open {
                    break;
                }
                self.clauses.push((words, u32::try_from(at).unwrap_or(0)));
            }
            begin = *end;
            if !open {
                self.clauses.truncate(kept);
                continue;
            }
            for (_, at) in self.clauses.get(kept..).unwrap_or_default() {
                if let Some(clause) = sieve.clauses.get(*at as usize) {
                    clause.add_to(&mut asked);
                }
            }
            asked.set_all(sieve.asked.get(number as usize).map_or(&[], |bits| bits));
            let end = u32::try_from(self.clauses.len()).unwrap_or(u32::MAX);
            self.members.push((number, end));
        }
        self.lists = 0;
        for (number, words) in sieve.words.iter().enumerate() {
            if words.facts.iter().any(|bits| asked.has_any(*bits)) {
                self.lists |= list(number);
            }
        }
    }
}

/// The bit of a list of words; the last one stands for all that have none.
fn list(number: usize) -> u64 {
    1 << number.min(63)
}

/// The facts that what is left to ask of a scenario rests on.
pub(super) fn asked(rest: &[Ask]) -> Bits {
    fn gather(asks: &[Ask], facts: &mut FactSet) {
        for ask in asks {
            match ask {
                Ask::Fact(clause) => clause.add_to(facts),
                Ask::All(asks) | Ask::Any(asks) => gather(asks, facts),
                Ask::Rest(rest) => {
                    let clauses = rest.needed.iter().chain(&rest.denied);
                    clauses.for_each(|clause| clause.add_to(facts));
                }
            }
        }
    }
    let mut facts = FactSet::default();
    gather(rest, &mut facts);
    let words = facts.words.iter().copied().enumerate();
    words.filter(|(_, bits)| *bits != 0).collect()
}

impl Sieve {
    /// Adds the scenarios whose clauses all hold of an event whose fields were looked at.
    pub(super) fn pass(&self, event: &crate::event::Event, chosen: &mut Chosen) {
        let facts = &mut chosen.facts;
        let passing = chosen.passes.of(self, facts);
        for (number, words) in self.words.iter().enumerate() {
            if passing.lists & list(number) != 0 {
                words.look(event, facts, &mut chosen.seen);
            }
        }
        let holds = |(words, at): &(u64, u32)| {
            words & facts.some != 0
                && self
                    .clauses
                    .get(*at as usize)
                    .is_some_and(|clause: &Clause| clause.holds(facts))
        };
        let mut begin = 0;
        for (number, end) in &passing.members {
            let clauses = passing.clauses.get(begin..*end as usize);
            begin = *end as usize;
            if clauses.unwrap_or_default().iter().all(holds) {
                chosen.scenarios.push(*number);
            }
        }
    }
}
