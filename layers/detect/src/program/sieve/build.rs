//! From what filters need to facts, clauses, and what is left to ask.

use std::collections::HashMap;

use expr::{DataSearch, Inner, Need, Part, SearchTest, SlotId};

use super::texts::{Asked, Bits, TextFact, TextIs, Texts, bits};
use super::words::{WordList, Words};
use super::{Ask, Clause, FactSet, REPEATED, Rest};
use crate::data::{DataSet, cased, needs};
use crate::event::slot;

/// Fields of which there are few different texts, for whoever is without words.
const SETTLED: [SlotId; 4] = [
    slot::PARSED_PROGRAM,
    slot::LABEL_TYPE,
    slot::META_SERVICE,
    slot::META_LOG_TYPE,
];

/// How many lines of a data file are looked for by the sieve.
const LINES: usize = 256;
/// How many facts there are at most about whole fields; the others are words.
pub(super) const TEXTS: usize = FactSet::MOST / 4;
/// How many clauses one scenario has at most.
const CLAUSES: usize = 16;
/// How many words have facts of their own; longer lists of words are one fact, which any of
/// them proves.
const FEW: usize = 4;
/// How many words there are at most.
const WORDS: usize = 8_192;
/// How many letters they have in all: each may cost the automaton half a kilobyte.
const LETTERS: usize = 64 << 10;
/// How many clauses the sides of one `or` are joined to at most.
const JOINS: usize = 12;
/// Words of which one must stand in a field.
type Row = (SlotId, Vec<Box<[u8]>>);
/// Facts of which one must hold.
pub(super) type Facts = Vec<usize>;

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

/// The words of many parts, if each says that one stands in the same field.
fn row(parts: &[Need]) -> Option<Row> {
    let mut found = None;
    let mut words = Vec::new();
    for part in parts {
        let Need::Contains(slot, word) = part else {
            return None;
        };
        if found.replace(*slot).is_some_and(|known| known != *slot) {
            return None;
        }
        words.push(word.clone());
    }
    found
        .map(|slot| (slot, words))
        .filter(|_| parts.len() > FEW)
}

pub(super) struct Builder<'d> {
    data: &'d DataSet,
    texts: Vec<TextFact>,
    words: Vec<WordList>,
    /// The next facts about whole fields and about words.
    next_text: usize,
    next_word: usize,
    /// Conditions that rest on one field that says the same in line after line.
    asked: Vec<Asked>,
    /// The fact of each list of words in a field.
    lists: HashMap<Row, usize>,
    remembered: u32,
    /// Whether words are left out.
    wordless: bool,
}

impl<'d> Builder<'d> {
    /// A builder that knows no facts yet.
    pub(super) fn new(data: &'d DataSet) -> Self {
        Self {
            data,
            texts: Vec::new(),
            words: Vec::new(),
            next_text: 0,
            next_word: TEXTS,
            asked: Vec::new(),
            lists: HashMap::new(),
            remembered: 0,
            wordless: false,
        }
    }

    /// A builder that leaves out what needs a look at the words of a field.
    pub(super) fn wordless(data: &'d DataSet) -> Self {
        Self {
            wordless: true,
            ..Self::new(data)
        }
    }

    /// How many words of a fact set are about whole fields; at least one.
    pub(super) fn whole(&self) -> usize {
        self.next_text.div_ceil(64).max(1)
    }

    /// The facts that something could not be told.
    pub(super) fn doubts(&self) -> Bits {
        bits(self.asked.iter().map(|asked| asked.doubt))
    }

    /// What finds the facts in an event.
    pub(super) fn build(self) -> (Vec<Texts>, Vec<Words>) {
        let texts = self.by_field();
        let words = self.words.into_iter().map(WordList::build).collect();
        (texts, words)
    }

    /// What must hold for a scenario to be asked, and what is left to ask then.
    pub(super) fn filter(&mut self, parts: Vec<Part>) -> (Vec<Facts>, Box<[Ask]>) {
        let mut all: Vec<Facts> = Vec::new();
        let mut rests = Vec::new();
        // Behind a side that may fail, nothing spares asking it.
        let mut harmless = true;
        for part in parts {
            if harmless && let Some(fact) = self.settled(&part) {
                all.push(vec![fact]);
                continue;
            }
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

    /// The fact that a side is true, where its answer can be remembered by the text on which
    /// it rests.
    fn settled(&mut self, part: &Part) -> Option<usize> {
        let slot = part.reads.filter(|slot| SETTLED.contains(slot))?;
        let fits = self.wordless && !part.exact && part.expr.searches().is_empty();
        let fact = Some(self.next_text).filter(|fact| fits && fact + 1 < TEXTS)?;
        self.next_text += 2;
        self.asked.push(Asked {
            slot,
            condition: part.expr.clone(),
            fact,
            doubt: fact + 1,
        });
        Some(fact)
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
        let asked = self.asked.iter().map(|asked| asked.slot);
        let slots = self.texts.iter().map(|known| known.slot).chain(asked);
        let mut slots: Vec<SlotId> = slots.collect();
        slots.sort_unstable_by_key(|slot| slot.0);
        slots.dedup();
        let of = |slot: SlotId| {
            let facts = self.texts.iter().filter(|known| known.slot == slot);
            let asked = self.asked.iter().filter(|asked| asked.slot == slot);
            Texts::new(slot, &facts.collect::<Vec<_>>(), asked.cloned().collect())
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
            Need::Any(parts) => match row(parts) {
                Some((slot, words)) => self.words(slot, &words).into_iter().collect(),
                None => self.any(parts),
            },
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
                side.sort_by_key(Self::rarity);
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

    /// How seldom a clause holds: words are rarer than texts, and few are rarer than many.
    pub(super) fn rarity(clause: &Facts) -> usize {
        let words_alone = clause.iter().all(|fact| *fact >= TEXTS);
        let most = FactSet::MOST;
        usize::from(words_alone) * most + most - clause.len().min(most)
    }

    /// The clause that a field's whole text is as told.
    fn text(&mut self, slot: SlotId, test: TextIs) -> Vec<Facts> {
        let known = self
            .texts
            .iter()
            .find(|known| known.slot == slot && known.test == test)
            .map(|known| known.fact);
        let fresh = Some(self.next_text).filter(|fact| *fact < TEXTS);
        let Some(fact) = known.or(fresh) else {
            return Vec::new();
        };
        if known.is_none() {
            self.next_text += 1;
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
        self.fact_of(slot, vec![word.to_ascii_lowercase().into()])
    }

    /// The clause that one of these words stands in a field.
    fn words(&mut self, slot: SlotId, words: &[Box<[u8]>]) -> Option<Facts> {
        let mut words: Vec<Box<[u8]>> = words
            .iter()
            .map(|word| word.to_ascii_lowercase().into())
            .collect();
        words.sort_unstable();
        words.dedup();
        if words.len() > FEW {
            return self.fact_of(slot, words).map(|fact| vec![fact]);
        }
        let facts = words.iter().map(|word| self.word(slot, word));
        let mut facts = facts.collect::<Option<Facts>>()?;
        facts.sort_unstable();
        facts.dedup();
        Some(facts)
    }

    /// The fact that one of these words, in lower case, stands in a field.
    fn fact_of(&mut self, slot: SlotId, words: Vec<Box<[u8]>>) -> Option<usize> {
        if self.wordless {
            return None;
        }
        let key = (slot, words);
        if let Some(fact) = self.lists.get(&key) {
            return Some(*fact);
        }
        let fact = Some(self.next_word).filter(|fact| *fact < FactSet::MOST)?;
        let (list, field) = self.list(slot)?;
        let letters: usize = key.1.iter().map(|word| word.len()).sum();
        if list.words.len() + key.1.len() > WORDS || list.letters + letters > LETTERS {
            return None;
        }
        for word in &key.1 {
            list.add(word, (field, fact));
        }
        self.next_word += 1;
        self.lists.insert(key, fact);
        Some(fact)
    }

    /// One fact for each line's text under a key; `None` where a line has none.
    fn search_key(&mut self, slot: SlotId, file: &[u8], key: &[u8]) -> Option<Facts> {
        let file = self.data.get(core::str::from_utf8(file).ok()?)?;
        let key = core::str::from_utf8(key).ok()?;
        if file.lines.len() > LINES || key.contains(['.', '[']) {
            return None;
        }
        let mut words = Vec::new();
        for line in file.lines.iter() {
            let json: serde_json::Value = serde_json::from_slice(line).ok()?;
            let word = json
                .get(key)?
                .as_str()
                .filter(|word| !word.is_empty() && word.is_ascii())?;
            words.push(word.as_bytes().into());
        }
        self.words(slot, &words)
    }

    /// One fact for each line of a short file; `None` where a line names no word.
    fn search(&mut self, slot: SlotId, search: &DataSearch) -> Option<Facts> {
        let name = core::str::from_utf8(&search.file).ok()?;
        let Some(file) = self.data.get(name) else {
            // A file that is not there is an empty one.
            return Some(Facts::new());
        };
        let wordless = matches!(search.test, SearchTest::InRange | SearchTest::Matches);
        if file.lines.len() > LINES || wordless {
            return None;
        }
        let mut all = Vec::new();
        for line in file.lines.iter() {
            let words = match search.test {
                SearchTest::Regexp => needs(line)?,
                _ => vec![cased(search.line_case, line).into_owned().into()],
            };
            for word in words {
                if word.is_empty() || !word.is_ascii() {
                    return None;
                }
                all.push(word);
            }
        }
        self.words(slot, &all)
    }
}
