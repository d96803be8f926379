//! The sieve: which scenarios an event can matter to at all.
//!
//! For: asking few filters instead of all. Every filter says what must hold for it to
//! be true ([`Need`]); the words of all of them are looked for in one pass over each
//! field. A scenario's condition is a row of clauses, each a set of facts of which one
//! must hold. What the facts have proven is not asked again: the sides of a filter that
//! are facts, and those that deny a word that is not there. Refuses: to drop a filter that would fail or change the event; `Need`
//! promises that. Assumes: facts are cheap; conditions that would need too many are
//! weakened, which lets more scenarios through and none fewer.

use core::ops::Range;

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use expr::{DataSearch, Expr, Inner, Need, Part, SearchTest, SlotId};

use super::env::Memo;
use super::scenario::Scenario;
use crate::data::{DataSet, cased, needs};
use crate::event::{Event, slot};

/// How many lines of a data file are looked for by the sieve.
const LINES: usize = 256;
/// How many facts there are at most.
const FACTS: usize = 2_048;
/// How many clauses one scenario has at most.
const CLAUSES: usize = 16;
/// How many clauses the sides of one `or` are joined to at most.
const JOINS: usize = 12;
/// Fields that say the same in one request after the other.
const REPEATED: [SlotId; 3] = [
    slot::META_HTTP_USER_AGENT,
    slot::PARSED_USER_AGENT,
    slot::META_TARGET_FQDN,
];

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

/// Which scenarios an event can matter to.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// Facts about whole fields.
    texts: Vec<Texts>,
    words: Vec<Words>,
    /// The conditions of each scenario, in order, all in one row: the clauses of scenario
    /// `n` end at `ends[n]`.
    clauses: Vec<Clause>,
    ends: Vec<usize>,
    /// What is left to ask of each scenario that was chosen, in order.
    rests: Vec<Box<[Ask]>>,
    facts: usize,
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

/// A fact about the whole of a field.
#[derive(Debug)]
struct TextFact {
    slot: SlotId,
    test: TextIs,
    fact: usize,
}

/// What is asked of the whole of a field.
#[derive(PartialEq, Eq, Debug)]
enum TextIs {
    OneOf(Vec<Box<[u8]>>),
    NoneOf(Vec<Box<[u8]>>),
    Begins(u8),
}

impl TextIs {
    fn holds(&self, text: &[u8]) -> bool {
        let is_among = |texts: &[Box<[u8]>]| texts.iter().any(|known| **known == *text);
        match self {
            Self::OneOf(texts) => is_among(texts),
            Self::NoneOf(texts) => !is_among(texts),
            Self::Begins(byte) => text.first() == Some(byte),
        }
    }
}

/// The facts about the whole of one field, by the texts that any of them names.
#[derive(Debug)]
struct Texts {
    slot: SlotId,
    known: Vec<(Packed, Box<[u8]>, Bits)>,
    /// What holds of every other text.
    otherwise: Bits,
    /// What holds of other texts that begin with a byte.
    begins: Vec<(u8, Bits)>,
}

/// Words of the fact set and bits in them.
type Bits = Box<[(usize, u64)]>;

/// A text's length and first bytes: texts of up to seven bytes are equal when these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Packed(u64);

impl Packed {
    const WHOLE: usize = 7;

    fn new(text: &[u8]) -> Self {
        let mut packed = text
            .iter()
            .take(Self::WHOLE)
            .fold(0, |packed, byte| packed << 8 | u64::from(*byte));
        packed |= (text.len().min(255) as u64) << 56;
        Self(packed)
    }
}

impl Texts {
    fn new(slot: SlotId, facts: &[&TextFact]) -> Self {
        let named = facts.iter().flat_map(|known| match &known.test {
            TextIs::OneOf(texts) | TextIs::NoneOf(texts) => texts.as_slice(),
            TextIs::Begins(_) => &[],
        });
        let mut texts: Vec<&Box<[u8]>> = named.collect();
        texts.sort_unstable();
        texts.dedup();
        let that = |holds: &dyn Fn(&TextIs) -> bool| {
            let held = facts.iter().filter(|known| holds(&known.test));
            bits(held.map(|known| known.fact))
        };
        let begins = facts.iter().filter_map(|known| match known.test {
            TextIs::Begins(byte) => Some((byte, bits(core::iter::once(known.fact)))),
            _ => None,
        });
        Self {
            slot,
            known: texts
                .into_iter()
                .map(|text| {
                    let held = that(&|test| test.holds(text));
                    (Packed::new(text), text.clone(), held)
                })
                .collect(),
            otherwise: that(&|test| matches!(test, TextIs::NoneOf(_))),
            begins: begins.collect(),
        }
    }

    /// Sets the facts that hold of a text.
    fn look(&self, text: &[u8], facts: &mut [u64]) {
        let packed = Packed::new(text);
        let known = self.known.iter().find(|(known, whole, _)| {
            *known == packed && (text.len() <= Packed::WHOLE || **whole == *text)
        });
        if let Some((_, _, held)) = known {
            return set_all(facts, held);
        }
        set_all(facts, &self.otherwise);
        for (byte, held) in &self.begins {
            if text.first() == Some(byte) {
                set_all(facts, held);
            }
        }
    }
}

fn bits(facts: impl Iterator<Item = usize>) -> Bits {
    let mut bits: Vec<(usize, u64)> = Vec::new();
    for fact in facts {
        let bit = 1 << (fact % 64);
        match bits.iter_mut().find(|(word, _)| *word == fact / 64) {
            Some((_, known)) => *known |= bit,
            None => bits.push((fact / 64, bit)),
        }
    }
    bits.into()
}

fn set_all(facts: &mut [u64], bits: &[(usize, u64)]) {
    for (word, bits) in bits {
        if let Some(word) = facts.get_mut(*word) {
            *word |= bits;
        }
    }
}

/// The words that are looked for in one field, or in several of which one holds the others.
#[derive(Debug)]
struct Words {
    slots: Vec<SlotId>,
    automaton: Option<DFA>,
    /// Each word, in the automaton's order.
    words: Vec<Word>,
}

/// A word of an automaton.
#[derive(Debug)]
struct Word {
    length: usize,
    /// In which of the fields it proves which fact.
    facts: Vec<(usize, usize)>,
}

/// Facts of which one must hold: a word of the fact set and its bits, and more such.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Clause {
    first: (usize, u64),
    others: Box<[(usize, u64)]>,
}

/// The scenarios that are asked, by index; and the facts that led to it.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    scenarios: Vec<u32>,
    facts: Vec<u64>,
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
        let mut builder = Builder {
            data,
            texts: Vec::new(),
            words: Vec::new(),
            facts: 0,
            remembered: 0,
        };
        let mut sieve = Self::default();
        for parts in filters {
            let (mut conditions, rests) = builder.filter(parts);
            // What holds of most events is asked last.
            conditions.sort_by_key(|facts| core::cmp::Reverse(builder.rarity(facts)));
            sieve
                .clauses
                .extend(conditions.into_iter().map(Clause::new));
            sieve.ends.push(sieve.clauses.len());
            sieve.rests.push(rests);
        }
        sieve.texts = builder.by_field();
        sieve.words = builder.words.into_iter().map(WordList::build).collect();
        sieve.facts = builder.facts;
        sieve
    }

    /// What is left to ask of a scenario that was chosen by its facts.
    pub(crate) fn rest(&self, at: usize) -> &[Ask] {
        self.rests.get(at).map_or(&[], |rest| rest)
    }

    /// Chooses the scenarios that `event` can matter to; every one for `all`.
    pub(crate) fn choose(&self, event: &Event, all: bool, chosen: &mut Chosen) {
        chosen.scenarios.clear();
        chosen.facts.clear();
        let numbers = 0..u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        if all {
            chosen.scenarios.extend(numbers);
            return;
        }
        chosen.facts.resize(self.facts.div_ceil(64), 0);
        let facts = &mut chosen.facts;
        for texts in &self.texts {
            texts.look(event.text(texts.slot), facts);
        }
        for words in &self.words {
            words.look(event, facts, &mut chosen.seen);
        }
        let mut begin = 0;
        for (number, end) in numbers.zip(&self.ends) {
            let clauses = self.clauses.get(begin..*end).unwrap_or_default();
            begin = *end;
            if clauses.iter().all(|clause| clause.holds(facts)) {
                chosen.scenarios.push(number);
            }
        }
    }
}

fn set(facts: &mut [u64], fact: usize) {
    if let Some(word) = facts.get_mut(fact / 64) {
        *word |= 1 << (fact % 64);
    }
}

impl Words {
    /// Sets the facts that the words in an event's fields prove.
    fn look(&self, event: &Event, facts: &mut [u64], seen: &mut Seen) {
        if let [slot] = *self.slots {
            self.look_at_one(slot, event.text(slot), facts, seen);
            return;
        }
        let whole = self.slots.first().map_or(&[][..], |slot| event.text(*slot));
        let Some(parts) = self.parts(event).filter(|_| whole.is_ascii()) else {
            for (field, slot) in self.slots.iter().enumerate() {
                self.each_in(event.text(*slot), field, |fact| set(facts, fact));
            }
            return;
        };
        self.find(whole, |word, end| {
            for (field, fact) in &word.facts {
                let inside = parts
                    .get(*field)
                    .is_some_and(|part| part.start + word.length <= end && end <= part.end);
                if inside {
                    set(facts, *fact);
                }
            }
        });
    }

    fn look_at_one(&self, slot: SlotId, text: &[u8], facts: &mut [u64], seen: &mut Seen) {
        if REPEATED.contains(&slot)
            && let Some((seen, known)) = seen.place(slot, text)
        {
            if !known {
                self.each_in(text, 0, |fact| seen.facts.push(fact));
                seen.facts.sort_unstable();
                seen.facts.dedup();
            }
            seen.facts.iter().for_each(|fact| set(facts, *fact));
            return;
        }
        self.each_in(text, 0, |fact| set(facts, fact));
    }

    /// Where each field lies within the first one; nothing where one lies elsewhere.
    fn parts(&self, event: &Event) -> Option<[Range<usize>; TARGET.len()]> {
        let mut parts: [Range<usize>; TARGET.len()] = core::array::from_fn(|_| 0..0);
        let whole = event.place(*self.slots.first()?);
        for (part, slot) in parts.iter_mut().zip(&self.slots) {
            let place = event.place(*slot);
            if !place.is_empty() {
                if place.start < whole.start || place.end > whole.end {
                    return None;
                }
                *part = place.start - whole.start..place.end - whole.start;
            }
        }
        Some(parts)
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

/// Facts of which one must hold.
type Facts = Vec<usize>;

impl Clause {
    fn new(facts: Facts) -> Self {
        let mut masks = bits(facts.into_iter()).into_iter();
        Self {
            first: masks.next().unwrap_or_default(),
            others: masks.collect(),
        }
    }

    fn holds(&self, facts: &[u64]) -> bool {
        let holds = |(word, mask): &(usize, u64)| {
            let facts = facts.get(*word).copied().unwrap_or_default();
            facts & mask != 0
        };
        holds(&self.first) || self.others.iter().any(holds)
    }
}

/// The words of one automaton while it is built.
struct WordList {
    slots: Vec<SlotId>,
    texts: Vec<Box<[u8]>>,
    words: Vec<Word>,
}

impl WordList {
    /// A list for a field, and for those that lie in the same text.
    fn new(slot: SlotId) -> Self {
        let slots = if TARGET.contains(&slot) {
            TARGET.to_vec()
        } else {
            vec![slot]
        };
        Self {
            slots,
            texts: Vec::new(),
            words: Vec::new(),
        }
    }

    fn build(self) -> Words {
        let automaton = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&self.texts)
            .ok();
        Words {
            slots: self.slots,
            automaton,
            words: self.words,
        }
    }
}

/// The clauses that every side has.
fn common(sides: &[Vec<Facts>]) -> Vec<Facts> {
    let Some((first, others)) = sides.split_first() else {
        return Vec::new();
    };
    let everywhere = |clause: &&Facts| others.iter().all(|side| side.contains(clause));
    first.iter().filter(everywhere).cloned().collect()
}

/// Clauses without those that follow from a shorter one.
fn shortest(mut clauses: Vec<Facts>) -> Vec<Facts> {
    clauses.sort_by_key(Vec::len);
    let mut kept: Vec<Facts> = Vec::new();
    for clause in clauses {
        let follows = |known: &Facts| known.iter().all(|fact| clause.contains(fact));
        if !kept.iter().any(follows) {
            kept.push(clause);
        }
    }
    kept
}

struct Builder<'d> {
    data: &'d DataSet,
    texts: Vec<TextFact>,
    words: Vec<WordList>,
    facts: usize,
    remembered: u32,
}

impl Builder<'_> {
    /// What must hold for a scenario to be asked, and what is left to ask then.
    fn filter(&mut self, parts: Vec<Part>) -> (Vec<Facts>, Box<[Ask]>) {
        let mut all: Vec<Facts> = Vec::new();
        let mut rests = Vec::new();
        // Behind a side that may fail, nothing spares asking it.
        let mut harmless = true;
        for part in parts {
            let mut proven = part.exact && harmless;
            if harmless {
                let clauses = self.clauses(&part.need);
                proven &= clauses.len() == 1;
                for clause in clauses {
                    let known = all.contains(&clause);
                    if !known && all.len() < CLAUSES {
                        all.push(clause);
                    } else if !known {
                        proven = false;
                    }
                }
            }
            harmless &= part.harmless;
            if !proven {
                rests.push(self.ask(part, false));
            }
        }
        (all, rests.into())
    }

    /// How a side is asked; what an inner one needs is not among its scenario's conditions.
    fn ask(&mut self, part: Part, inner: bool) -> Ask {
        if part.exact
            && let [facts] = &*self.clauses(&part.need)
        {
            return Ask::Fact(Clause::new(facts.clone()));
        }
        let all = |builder: &mut Self, parts: Vec<Part>| {
            let asks = parts.into_iter().map(|part| builder.ask(part, true));
            asks.collect()
        };
        match part.inner {
            Inner::All(parts) => Ask::All(all(self, parts)),
            Inner::Any(parts) => Ask::Any(all(self, parts)),
            Inner::One => Ask::Rest(self.rest(part, inner)),
        }
    }

    /// The facts about whole fields, by field.
    fn by_field(&self) -> Vec<Texts> {
        let mut slots: Vec<SlotId> = self.texts.iter().map(|known| known.slot).collect();
        slots.sort_unstable_by_key(|slot| slot.0);
        slots.dedup();
        let of = |slot: SlotId| {
            let facts = self.texts.iter().filter(|known| known.slot == slot);
            Texts::new(slot, &facts.collect::<Vec<_>>())
        };
        slots.into_iter().map(of).collect()
    }

    fn rest(&mut self, part: Part, inner: bool) -> Rest {
        let mut some = |need: Option<Need>| {
            let clauses = need.map_or_else(Vec::new, |need| self.clauses(&need));
            clauses.into_iter().take(CLAUSES).map(Clause::new).collect()
        };
        let needed = some(Some(part.need).filter(|_| inner));
        let denied = some(part.denies);
        let remembered = part.searches.filter(|slot| REPEATED.contains(slot));
        self.remembered += 1;
        Rest {
            side: part.expr,
            needed,
            denied,
            remembered: remembered.map(|slot| (self.remembered, slot)),
        }
    }

    /// The clauses that all hold when a need does; none where nothing is known.
    fn clauses(&mut self, need: &Need) -> Vec<Facts> {
        match need {
            Need::Always => Vec::new(),
            Need::Never => vec![Vec::new()],
            Need::OneOf(slot, texts) => self.text(*slot, TextIs::OneOf(texts.clone())),
            Need::NoneOf(slot, texts) => self.text(*slot, TextIs::NoneOf(texts.clone())),
            Need::Begins(slot, byte) => self.text(*slot, TextIs::Begins(*byte)),
            Need::Contains(slot, word) => self
                .word(*slot, word)
                .map(|fact| vec![fact])
                .into_iter()
                .collect(),
            Need::Search(slot, search) => self.search(*slot, search).into_iter().collect(),
            Need::SearchKey { slot, file, key } => {
                self.search_key(*slot, file, key).into_iter().collect()
            }
            Need::All(parts) => {
                let mut all: Vec<Facts> = Vec::new();
                for part in parts {
                    for clause in self.clauses(part) {
                        if !all.contains(&clause) {
                            all.push(clause);
                        }
                    }
                }
                all
            }
            Need::Any(parts) => self.any(parts),
        }
    }

    /// Either side may hold, so each clause of a side is joined with each of every other;
    /// where that were too many, only the rarest of each, which is taken to be the one
    /// with the fewest facts that are words, since words are rarer than statuses.
    fn any(&mut self, parts: &[Need]) -> Vec<Facts> {
        let mut sides: Vec<Vec<Facts>> = parts.iter().map(|part| self.clauses(part)).collect();
        if sides.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        let joins = sides
            .iter()
            .fold(1_usize, |joins, side| joins.saturating_mul(side.len()));
        if joins > JOINS {
            let common = common(&sides);
            for side in &mut sides {
                side.sort_by_key(|clause| self.rarity(clause));
                side.drain(..side.len() - 1);
            }
            sides
                .iter_mut()
                .for_each(|side| side.extend(common.iter().cloned()));
        }
        let mut all = vec![Facts::new()];
        for side in sides {
            let joined = all.iter().flat_map(|known| {
                side.iter().map(move |clause| {
                    let mut facts = [known.as_slice(), clause].concat();
                    facts.sort_unstable();
                    facts.dedup();
                    facts
                })
            });
            all = shortest(joined.collect());
        }
        all
    }

    fn rarity(&self, clause: &Facts) -> usize {
        let is_text = |fact: &usize| self.texts.iter().any(|known| known.fact == *fact);
        usize::from(!clause.iter().any(is_text)) * FACTS + FACTS - clause.len().min(FACTS)
    }

    fn fresh(&mut self) -> Option<usize> {
        (self.facts < FACTS).then(|| {
            self.facts += 1;
            self.facts - 1
        })
    }

    /// The clause that a field's whole text is as told.
    fn text(&mut self, slot: SlotId, test: TextIs) -> Vec<Facts> {
        let known = self
            .texts
            .iter()
            .find(|known| known.slot == slot && known.test == test)
            .map(|known| known.fact);
        let Some(fact) = known.or_else(|| self.fresh()) else {
            return Vec::new();
        };
        if known.is_none() {
            self.texts.push(TextFact { slot, test, fact });
        }
        vec![vec![fact]]
    }

    /// The list for a field, and the field's number in it.
    fn list(&mut self, slot: SlotId) -> Option<(&mut WordList, usize)> {
        let at = self
            .words
            .iter()
            .position(|list| list.slots.contains(&slot))
            .unwrap_or_else(|| {
                self.words.push(WordList::new(slot));
                self.words.len() - 1
            });
        let list = self.words.get_mut(at)?;
        let field = list.slots.iter().position(|known| *known == slot)?;
        Some((list, field))
    }

    fn word(&mut self, slot: SlotId, word: &[u8]) -> Option<usize> {
        let word = word.to_ascii_lowercase().into_boxed_slice();
        let (list, field) = self.list(slot)?;
        let known = list.texts.iter().position(|known| *known == word);
        let fact = known
            .and_then(|at| list.words.get(at))
            .and_then(|known| known.facts.iter().find(|(at, _)| *at == field));
        if let Some((_, fact)) = fact {
            return Some(*fact);
        }
        let fact = self.fresh()?;
        let (list, _) = self.list(slot)?;
        match known.and_then(|at| list.words.get_mut(at)) {
            Some(known) => known.facts.push((field, fact)),
            None => {
                list.words.push(Word {
                    length: word.len(),
                    facts: vec![(field, fact)],
                });
                list.texts.push(word);
            }
        }
        Some(fact)
    }

    /// One fact for each line's text under a key; `None` where a line has none.
    fn search_key(&mut self, slot: SlotId, file: &[u8], key: &[u8]) -> Option<Facts> {
        let file = self.data.get(core::str::from_utf8(file).ok()?)?;
        let key = core::str::from_utf8(key).ok()?;
        if file.lines.len() > LINES || key.contains(['.', '[']) {
            return None;
        }
        let mut facts = Facts::new();
        for line in file.lines.iter() {
            let json: serde_json::Value = serde_json::from_slice(line).ok()?;
            let word = json
                .get(key)?
                .as_str()
                .filter(|word| !word.is_empty() && word.is_ascii())?;
            facts.push(self.word(slot, word.as_bytes())?);
        }
        facts.sort_unstable();
        facts.dedup();
        Some(facts)
    }

    /// One fact for each line of a short file; `None` where a line names no word.
    fn search(&mut self, slot: SlotId, search: &DataSearch) -> Option<Facts> {
        let name = core::str::from_utf8(&search.file).ok()?;
        let Some(file) = self.data.get(name) else {
            // A file that is not there is an empty one.
            return Some(Facts::new());
        };
        if file.lines.len() > LINES || search.test == SearchTest::InRange {
            return None;
        }
        let mut facts = Facts::new();
        for line in file.lines.iter() {
            let words = match search.test {
                SearchTest::Regexp => needs(line)?,
                _ => vec![cased(search.line_case, line).into_owned().into()],
            };
            for word in words {
                if word.is_empty() || !word.is_ascii() {
                    return None;
                }
                facts.push(self.word(slot, &word)?);
            }
        }
        facts.sort_unstable();
        facts.dedup();
        Some(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventSchema, Slots, Space};
    use crate::rules::DataKind;

    #[test]
    fn scenarios_that_cannot_hold_are_not_asked() {
        let mut slots = Slots::default();
        let (kind, path) = (
            slots.intern(Space::Meta, "kind"),
            slots.intern(Space::Meta, "path"),
        );
        let text = |text: &str| Box::<[u8]>::from(text.as_bytes());
        let mut data = DataSet::default();
        data.add("f", DataKind::Lines, "/.env\n/.git\n");
        let search = DataSearch {
            file: text("f"),
            test: SearchTest::EndsWith,
            text_case: expr::Case::Exact,
            line_case: expr::Case::Exact,
            id: None,
        };
        let http = || Need::OneOf(kind, vec![text("http")]);
        let wants = vec![
            Need::Always,
            Need::Never,
            http(),
            Need::All(vec![http(), Need::Contains(path, text("WP-"))]),
            Need::Any(vec![http(), Need::Contains(path, text("x"))]),
            Need::All(vec![http(), Need::Search(path, search)]),
            Need::Any(vec![Need::Always, http()]),
            Need::Any(vec![
                Need::All(vec![http(), Need::Contains(path, text("/a/"))]),
                Need::All(vec![http(), Need::Contains(path, text("/b/"))]),
            ]),
        ];
        let mut schema_slots = slots.clone();
        let nothing = expr::compile(
            "true",
            &mut EventSchema::new(&mut schema_slots),
            expr::Type::Bool,
        );
        let parts = wants.into_iter().map(|need| {
            vec![Part {
                expr: nothing.clone().unwrap(),
                exact: matches!(need, Need::OneOf(..)),
                need,
                denies: None,
                harmless: true,
                searches: None,
                inner: Inner::One,
            }]
        });
        let sieve = Sieve::new(parts, &data);
        assert!(sieve.rest(2).is_empty(), "what is a fact is not asked");
        assert_eq!(sieve.rest(3).len(), 1);
        let mut event = Event::new(&slots);
        let mut chosen = Chosen::default();
        let mut ask = |kind_text: &str, path_text: &str| {
            event.clear(&slots);
            event.set(kind, kind_text.as_bytes());
            event.set(path, path_text.as_bytes());
            sieve.choose(&event, false, &mut chosen);
            chosen.scenarios.clone()
        };
        assert_eq!(ask("http", "/"), [0, 2, 4, 6]);
        assert_eq!(ask("ssh", "/"), [0, 6]);
        assert_eq!(ask("ssh", "/x/wp-"), [0, 4, 6]);
        assert_eq!(ask("http", "/Wp-login"), [0, 2, 3, 4, 6]);
        assert_eq!(ask("http", "/.env"), [0, 2, 4, 5, 6]);
        assert_eq!(ask("http", "/B/c"), [0, 2, 4, 6, 7]);
        assert_eq!(
            ask("http", "/ı"),
            [0, 2, 3, 4, 5, 6, 7],
            "letters beyond ASCII count as every word"
        );
    }
}
