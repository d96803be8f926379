//! Facts about parts of a field: it contains this word. One automaton finds the words of
//! all rules in one pass, and one pass serves fields that are parts of another.

use core::ops::Range;
use std::collections::HashMap;

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use expr::SlotId;

use super::texts::{Bits, bits};
use super::{FactSet, REPEATED, Seen};
use crate::event::{Event, slot};

/// Fields that are parts of the first one in a request of the edge: one pass over that
/// one finds the words of all.
const TARGET: [SlotId; 7] = [
    slot::META_HTTP_PATH,
    slot::PARSED_REQUEST,
    slot::PARSED_HTTP_ARGS,
    slot::PARSED_FILE_DIR,
    slot::PARSED_FILE_NAME,
    slot::PARSED_FILE_FRAG,
    slot::PARSED_FILE_EXT,
];

/// The words that are looked for in one field, or in several of which one holds the others.
#[derive(Debug)]
pub(super) struct Words {
    slots: Vec<SlotId>,
    automaton: Option<DFA>,
    /// Each word, in the automaton's order.
    words: Vec<Word>,
    /// All facts that any of them proves.
    pub(super) facts: Bits,
}

/// A word of an automaton.
#[derive(Debug)]
pub(super) struct Word {
    length: usize,
    /// In which of the fields it proves which fact.
    facts: Vec<(usize, usize)>,
}

impl Words {
    /// Sets the facts that the words in an event's fields prove.
    pub(super) fn look(&self, event: &Event, facts: &mut FactSet, seen: &mut Seen) {
        if let [slot] = *self.slots {
            self.look_at_one(slot, event.text(slot), facts, seen);
            return;
        }
        let whole = self.slots.first().map_or(&[][..], |slot| event.text(*slot));
        if !whole.is_ascii() {
            for (field, slot) in self.slots.iter().enumerate() {
                self.each_in(event.text(*slot), field, |fact| facts.set(fact));
            }
            return;
        }
        let parts = self.parts(event);
        for ((field, slot), part) in self.slots.iter().enumerate().zip(&parts) {
            if part.is_none() {
                self.each_in(event.text(*slot), field, |fact| facts.set(fact));
            }
        }
        self.find(whole, |word, end| {
            for (field, fact) in &word.facts {
                let inside = parts
                    .get(*field)
                    .and_then(Option::as_ref)
                    .is_some_and(|part| part.start + word.length <= end && end <= part.end);
                if inside {
                    facts.set(*fact);
                }
            }
        });
    }

    fn look_at_one(&self, slot: SlotId, text: &[u8], facts: &mut FactSet, seen: &mut Seen) {
        if REPEATED.contains(&slot)
            && let Some((seen, known)) = seen.place(slot, text)
        {
            if !known {
                self.each_in(text, 0, |fact| seen.facts.push(fact));
                seen.facts.sort_unstable();
                seen.facts.dedup();
            }
            seen.facts.iter().for_each(|fact| facts.set(*fact));
            return;
        }
        self.each_in(text, 0, |fact| facts.set(fact));
    }

    /// Where each field lies within the first one, in memory or as the same text at its end;
    /// nothing for one that lies elsewhere.
    fn parts(&self, event: &Event) -> [Option<Range<usize>>; TARGET.len()] {
        let mut parts = [const { Some(0..0) }; TARGET.len()];
        let whole = self.slots.first().map_or(0..0, |slot| event.place(*slot));
        let text = self.slots.first().map_or(&[][..], |slot| event.text(*slot));
        for (part, slot) in parts.iter_mut().zip(&self.slots) {
            let place = event.place(*slot);
            if !place.is_empty() {
                let inside = whole.start <= place.start && place.end <= whole.end;
                *part = if inside {
                    Some(place.start - whole.start..place.end - whole.start)
                } else if text.ends_with(event.text(*slot)) {
                    Some(text.len() - place.len()..text.len())
                } else {
                    None
                };
            }
        }
        parts
    }

    /// The facts that one field's words in a text prove.
    fn each_in(&self, text: &[u8], field: usize, mut hold: impl FnMut(usize)) {
        self.find(text, |word, _| {
            for (_, fact) in word.facts.iter().filter(|(at, _)| *at == field) {
                hold(*fact);
            }
        });
    }

    /// Calls `hold` with each word that stands in a text, and where it ends. Letters beyond
    /// ASCII may become others by a change of case, so such a text has every word.
    fn find(&self, text: &[u8], mut hold: impl FnMut(&Word, usize)) {
        let Some(automaton) = self.automaton.as_ref().filter(|_| text.is_ascii()) else {
            self.words.iter().for_each(|word| hold(word, 0));
            return;
        };
        if text.is_empty() {
            return;
        }
        let Ok(mut state) = automaton.start_state(Anchored::No) else {
            return;
        };
        for (at, byte) in text.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                for place in 0..automaton.match_len(state) {
                    let word = automaton.match_pattern(state, place).as_usize();
                    if let Some(word) = self.words.get(word) {
                        hold(word, at + 1);
                    }
                }
            }
        }
    }
}

/// The words of one automaton while it is built.
pub(super) struct WordList {
    pub(super) slots: Vec<SlotId>,
    texts: Vec<Box<[u8]>>,
    pub(super) words: Vec<Word>,
    /// Where each word stands.
    places: HashMap<Box<[u8]>, usize>,
    /// How many letters they have in all.
    pub(super) letters: usize,
}

impl WordList {
    /// A list for a field, and for those that lie in the same text.
    pub(super) fn new(slot: SlotId) -> Self {
        let slots = if TARGET.contains(&slot) {
            TARGET.to_vec()
        } else {
            vec![slot]
        };
        Self {
            slots,
            texts: Vec::new(),
            words: Vec::new(),
            places: HashMap::new(),
            letters: 0,
        }
    }

    /// Adds what a word proves in a field.
    pub(super) fn add(&mut self, word: &[u8], fact: (usize, usize)) {
        let places = &self.places;
        let known = places.get(word).and_then(|at| self.words.get_mut(*at));
        if let Some(known) = known {
            known.facts.push(fact);
            return;
        }
        self.places.insert(word.into(), self.words.len());
        self.texts.push(word.into());
        self.letters += word.len();
        self.words.push(Word {
            length: word.len(),
            facts: vec![fact],
        });
    }

    pub(super) fn build(self) -> Words {
        let automaton = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&self.texts)
            .ok();
        let facts = self.words.iter().flat_map(|word| &word.facts);
        Words {
            facts: bits(facts.map(|(_, fact)| *fact)),
            slots: self.slots,
            automaton,
            words: self.words,
        }
    }
}
