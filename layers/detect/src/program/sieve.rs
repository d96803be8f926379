//! The sieve: which scenarios an event can matter to at all.
//!
//! For: asking few filters instead of all. Every filter says what must hold for it to
//! be true ([`Need`]); the words of all of them are looked for in one pass over each
//! field. A scenario's condition is a row of clauses, each a set of facts of which one
//! must hold. What the facts have proven is not asked again: the sides of a filter that
//! are facts, and those that deny a word that is not there. Refuses: to drop a filter that would fail or change the event; `Need`
//! promises that. Assumes: facts are cheap; conditions that would need too many are
//! weakened, which lets more scenarios through and none fewer.

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use expr::{DataSearch, Expr, Need, Part, SearchTest, SlotId};

use super::env::Memo;
use super::scenario::Scenario;
use crate::data::{DataSet, cased, needs};
use crate::event::{Event, slot};

/// How many lines of a data file are looked for by the sieve.
const LINES: usize = 256;
/// How many facts there are at most.
const FACTS: usize = 2_048;
/// How many clauses one scenario has at most.
const CLAUSES: usize = 8;
/// Fields that say the same in one request after the other.
const REPEATED: [SlotId; 3] = [
    slot::META_HTTP_USER_AGENT,
    slot::PARSED_USER_AGENT,
    slot::META_TARGET_FQDN,
];

/// Which scenarios an event can matter to.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// Facts of the kind "this field is one of these texts".
    texts: Vec<TextFact>,
    words: Vec<Words>,
    /// The conditions of each scenario, in order.
    conditions: Vec<Vec<Clause>>,
    /// What is left to ask of each scenario that was chosen, in order.
    rests: Vec<Box<[Rest]>>,
    facts: usize,
}

/// A side of a filter that facts do not settle.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) side: Expr,
    /// It is true where not all of these hold; nothing is known when there are none.
    denied: Vec<Clause>,
    /// Its number, and the text on which alone its answer rests.
    pub(crate) remembered: Option<(u32, SlotId)>,
}

/// A field, texts of which it must be one, and the fact that this is.
type TextFact = (SlotId, Vec<Box<[u8]>>, usize);

/// The words that are looked for in one field.
#[derive(Debug)]
struct Words {
    slot: SlotId,
    automaton: Option<DFA>,
    /// The fact behind each word, in the automaton's order.
    facts: Vec<usize>,
}

/// Facts of which one must hold: words of the fact set and their bits.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Clause {
    masks: Vec<(usize, u64)>,
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

    /// Whether the facts already say that a side is true.
    pub(crate) fn settles(&self, rest: &Rest) -> bool {
        !rest.denied.iter().all(|clause| clause.holds(&self.facts))
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
        let (conditions, rests) = filters.map(|parts| builder.filter(parts)).unzip();
        Self {
            conditions,
            rests,
            texts: builder.texts,
            words: builder.words.into_iter().map(WordList::build).collect(),
            facts: builder.facts,
        }
    }

    /// What is left to ask of a scenario that was chosen by its facts.
    pub(crate) fn rest(&self, at: usize) -> &[Rest] {
        self.rests.get(at).map_or(&[], |rest| rest)
    }

    /// Chooses the scenarios that `event` can matter to; every one for `all`.
    pub(crate) fn choose(&self, event: &Event, all: bool, chosen: &mut Chosen) {
        chosen.scenarios.clear();
        chosen.facts.clear();
        let numbers = 0..u32::try_from(self.conditions.len()).unwrap_or(u32::MAX);
        if all {
            chosen.scenarios.extend(numbers);
            return;
        }
        chosen.facts.resize(self.facts.div_ceil(64), 0);
        let facts = &mut chosen.facts;
        for (slot, texts, fact) in &self.texts {
            let text = event.text(*slot);
            if texts.iter().any(|known| **known == *text) {
                set(facts, *fact);
            }
        }
        for words in &self.words {
            let text = event.text(words.slot);
            if !REPEATED.contains(&words.slot) {
                words.find(text, |fact| set(facts, fact));
            } else if let Some((seen, known)) = chosen.seen.place(words.slot, text) {
                if !known {
                    words.find(text, |fact| seen.facts.push(fact));
                    seen.facts.sort_unstable();
                    seen.facts.dedup();
                }
                seen.facts.iter().for_each(|fact| set(facts, *fact));
            } else {
                words.find(text, |fact| set(facts, fact));
            }
        }
        let held = numbers
            .zip(&self.conditions)
            .filter(|(_, clauses)| clauses.iter().all(|clause| clause.holds(facts)));
        chosen.scenarios.extend(held.map(|(at, _)| at));
    }
}

fn set(facts: &mut [u64], fact: usize) {
    if let Some(word) = facts.get_mut(fact / 64) {
        *word |= 1 << (fact % 64);
    }
}

impl Words {
    fn find(&self, text: &[u8], mut hold: impl FnMut(usize)) {
        let Some(automaton) = self.automaton.as_ref().filter(|_| text.is_ascii()) else {
            // Letters beyond ASCII may become others by a change of case.
            self.facts.iter().for_each(|fact| hold(*fact));
            return;
        };
        if text.is_empty() {
            return;
        }
        let Ok(mut state) = automaton.start_state(Anchored::No) else {
            return;
        };
        for byte in text {
            state = automaton.next_state(Anchored::No, state, *byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                for place in 0..automaton.match_len(state) {
                    let word = automaton.match_pattern(state, place).as_usize();
                    if let Some(fact) = self.facts.get(word) {
                        hold(*fact);
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
        let mut masks: Vec<(usize, u64)> = Vec::new();
        for fact in facts {
            let bit = 1 << (fact % 64);
            match masks.iter_mut().find(|(word, _)| *word == fact / 64) {
                Some((_, mask)) => *mask |= bit,
                None => masks.push((fact / 64, bit)),
            }
        }
        Self { masks }
    }

    fn holds(&self, facts: &[u64]) -> bool {
        self.masks
            .iter()
            .any(|(word, mask)| facts.get(*word).is_some_and(|facts| facts & mask != 0))
    }
}

struct WordList {
    slot: SlotId,
    words: Vec<Box<[u8]>>,
    facts: Vec<usize>,
}

impl WordList {
    fn build(self) -> Words {
        let automaton = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&self.words)
            .ok();
        Words {
            slot: self.slot,
            automaton,
            facts: self.facts,
        }
    }
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
    fn filter(&mut self, parts: Vec<Part>) -> (Vec<Clause>, Box<[Rest]>) {
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
                rests.push(self.rest(part));
            }
        }
        (all.into_iter().map(Clause::new).collect(), rests.into())
    }

    fn rest(&mut self, part: Part) -> Rest {
        let denied = part.denies.map(|need| self.clauses(&need));
        let remembered = part.searches.filter(|slot| REPEATED.contains(slot));
        self.remembered += 1;
        Rest {
            side: part.expr,
            denied: denied
                .unwrap_or_default()
                .into_iter()
                .take(CLAUSES)
                .map(Clause::new)
                .collect(),
            remembered: remembered.map(|slot| (self.remembered, slot)),
        }
    }

    /// The clauses that all hold when a need does; none where nothing is known.
    fn clauses(&mut self, need: &Need) -> Vec<Facts> {
        match need {
            Need::Always => Vec::new(),
            Need::Never => vec![Vec::new()],
            Need::OneOf(slot, texts) => self.one_of(*slot, texts).into_iter().collect(),
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

    /// Either side may hold, so one clause of each side is joined with one of every
    /// other: the rarest, which is taken to be the one with the fewest facts that are
    /// words, since words are rarer than statuses.
    fn any(&mut self, parts: &[Need]) -> Vec<Facts> {
        let mut joined = Facts::new();
        let mut common: Option<Vec<Facts>> = None;
        for part in parts {
            let clauses = self.clauses(part);
            let Some(rarest) = clauses.iter().max_by_key(|clause| self.rarity(clause)) else {
                return Vec::new();
            };
            joined.extend(rarest);
            common = Some(match common {
                None => clauses,
                Some(known) => known
                    .into_iter()
                    .filter(|clause| clauses.contains(clause))
                    .collect(),
            });
        }
        joined.sort_unstable();
        joined.dedup();
        let mut all = common.unwrap_or_default();
        if !all.contains(&joined) {
            all.push(joined);
        }
        all
    }

    fn rarity(&self, clause: &Facts) -> usize {
        let is_text = |fact: &usize| self.texts.iter().any(|(_, _, known)| known == fact);
        usize::from(!clause.iter().any(is_text)) * FACTS + FACTS - clause.len().min(FACTS)
    }

    fn fresh(&mut self) -> Option<usize> {
        (self.facts < FACTS).then(|| {
            self.facts += 1;
            self.facts - 1
        })
    }

    fn one_of(&mut self, slot: SlotId, texts: &[Box<[u8]>]) -> Option<Facts> {
        let known = self
            .texts
            .iter()
            .find(|(at, known, _)| *at == slot && known == texts);
        if let Some((_, _, fact)) = known {
            return Some(vec![*fact]);
        }
        let fact = self.fresh()?;
        self.texts.push((slot, texts.to_vec(), fact));
        Some(vec![fact])
    }

    fn list(&mut self, slot: SlotId) -> Option<&mut WordList> {
        let at = self
            .words
            .iter()
            .position(|list| list.slot == slot)
            .unwrap_or_else(|| {
                self.words.push(WordList {
                    slot,
                    words: Vec::new(),
                    facts: Vec::new(),
                });
                self.words.len() - 1
            });
        self.words.get_mut(at)
    }

    fn word(&mut self, slot: SlotId, word: &[u8]) -> Option<usize> {
        let word = word.to_ascii_lowercase().into_boxed_slice();
        let list = self.list(slot)?;
        if let Some(at) = list.words.iter().position(|known| *known == word) {
            return list.facts.get(at).copied();
        }
        let fact = self.fresh()?;
        let list = self.list(slot)?;
        list.words.push(word);
        list.facts.push(fact);
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
