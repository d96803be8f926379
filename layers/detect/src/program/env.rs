//! An event as expressions see it while they are evaluated.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Mutex;

use expr::{
    Data, DataSearch, Effect, Env, EvalError, Expr, Missing, Question, SlotId, Unanswered, Value,
};
use vocab::Timestamp;

use crate::data::{DataSet, Searches, Table};
use crate::event::{Event, Slots, Space, slot};
use crate::geo::Geo;
use crate::outside::Outside;
use crate::overflow;
use crate::parse::Stashes;

/// What does not change while a program runs, shared by all its events.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    pub(crate) slots: Slots,
    pub(crate) data: DataSet,
    pub(crate) searches: Searches,
    pub(crate) tables: HashMap<String, Table>,
    pub(crate) stashes: Mutex<Stashes>,
    pub(crate) geo: Geo,
}

impl Ground {
    /// Answers what address databases know; `nil` without one, as in CrowdSec.
    fn located(&self, function: &str, args: &[Data]) -> Result<Value<'static>, Unanswered> {
        let text = match args {
            [Data::Text(text), ..] => core::str::from_utf8(text).unwrap_or_default(),
            _ => "",
        };
        let address = text.parse::<IpAddr>().ok();
        let tree = |data| match data {
            Data::Nil => Value::Nil,
            data => Value::Tree(Rc::new(data)),
        };
        let geo = &self.geo;
        Ok(match function {
            "GeoIPEnrich" => tree(address.map_or(Data::Nil, |address| geo.city_record(address))),
            "GeoIPASNEnrich" => tree(address.map_or(Data::Nil, |address| geo.asn_record(address))),
            "GeoIPRangeEnrich" => match address.and_then(|address| geo.range(address)) {
                Some(range) => Value::owned(format!("{}/{}", range.address(), range.prefix())),
                None => Value::Nil,
            },
            "IPToCountry" => {
                let place = address.and_then(|address| geo.place(address));
                Value::owned(place.map_or(&b""[..], |place| place.country))
            }
            _ => return Err(Unanswered::Unavailable),
        })
    }
}

/// Answers of costly searches on texts that come again and again, such as a
/// `User-Agent`.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Of searches on texts that are known to come again.
    repeated: Answers,
    /// Of all others, whose texts would soon take the place of those.
    searched: Answers,
    /// How many answers were already there.
    pub(crate) hits: u64,
    /// What only others can answer.
    pub(crate) outside: Outside,
}

/// Answers by number and text: one entry per place, the later one stays.
#[derive(Debug, Default)]
struct Answers(Vec<(u32, Vec<u8>, bool)>);

impl Memo {
    const PLACES: usize = 256;
    /// Longer texts are not remembered, so that the memory of a memo is bounded.
    const LONGEST: usize = 512;

    /// Forgets what belongs to a program.
    pub(super) fn forget(&mut self) {
        self.repeated.0.clear();
        self.searched.0.clear();
        self.hits = 0;
    }

    /// The place of a text in a memo, for what has number `search`.
    pub(crate) fn place(search: u32, text: &[u8]) -> usize {
        // Not seeded: a collision costs one more search, nothing else.
        let mut hash = u64::from(search).wrapping_add(text.len() as u64) ^ 0x9e37_79b9_7f4a_7c15;
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^= hash >> 32;
        }
        for byte in rest {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        usize::try_from((hash ^ hash >> 29) % Self::PLACES as u64).unwrap_or(0)
    }
}

impl Answers {
    fn get(&self, search: u32, text: &[u8]) -> Option<bool> {
        let entry = self.0.get(Memo::place(search, text))?;
        (entry.0 == search && *entry.1 == *text).then_some(entry.2)
    }

    fn put(&mut self, search: u32, text: &[u8], answer: bool) {
        if text.len() > Memo::LONGEST {
            return;
        }
        if self.0.is_empty() {
            self.0.resize(Memo::PLACES, (u32::MAX, Vec::new(), false));
        }
        if let Some(entry) = self.0.get_mut(Memo::place(search, text)) {
            (entry.0, entry.2) = (search, answer);
            entry.1.clear();
            entry.1.extend_from_slice(text);
        }
    }
}

/// An event, what it may look up, and the time.
#[derive(Debug)]
pub(crate) struct EventEnv<'e> {
    pub(crate) event: &'e mut Event,
    pub(crate) ground: &'e Ground,
    pub(crate) memo: &'e core::cell::RefCell<Memo>,
    pub(crate) now: Timestamp,
}

impl Env for EventEnv<'_> {
    fn text(&self, slot: SlotId) -> &[u8] {
        self.event.text(slot)
    }

    fn value(&self, slot: SlotId) -> Value<'_> {
        let map = |space| Value::Fields(self.event.map(&self.ground.slots, space));
        match slot {
            slot::MAP_META => map(Space::Meta),
            slot::MAP_PARSED => map(Space::Parsed),
            slot::MAP_ENRICHED => map(Space::Enriched),
            slot::MAP_LABELS => map(Space::Label),
            slot::UNMARSHALED => match &self.event.unmarshaled {
                Some(fields) => Value::Fields(fields),
                None => Value::Fields(&NOTHING),
            },
            slot::TIME => Value::Time(self.event.time),
            slot::WHITELISTED => Value::Bool(self.event.whitelisted),
            slot::OVERFLOW => match &self.event.overflow {
                Some(overflow) => Value::Object(&**overflow),
                None => Value::Object(&overflow::NONE),
            },
            slot::EVENT | slot::APPSEC | slot::QUEUE | slot::LEAKY | slot::SIGNAL => Value::Nil,
            slot => Value::from(self.event.text(slot)),
        }
    }

    fn has_key(&self, map: SlotId, key: &[u8]) -> Option<bool> {
        let space = match map {
            slot::MAP_META => Space::Meta,
            slot::MAP_PARSED => Space::Parsed,
            slot::MAP_ENRICHED => Space::Enriched,
            slot::MAP_LABELS => Space::Label,
            _ => return None,
        };
        Some(self.event.has_named(&self.ground.slots, space, key))
    }

    fn file(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        let name = core::str::from_utf8(name).ok()?;
        self.ground.data.get(name).map(|file| &*file.lines)
    }

    fn search(&self, search: &DataSearch, text: &[u8]) -> Option<bool> {
        let costly = search.test == expr::SearchTest::Regexp;
        let number = search.id?.0;
        if costly {
            let mut memo = self.memo.borrow_mut();
            if let Some(known) = memo.searched.get(number, text) {
                memo.hits += 1;
                return Some(known);
            }
        }
        let answer = match self.ground.searches.test(search, text) {
            Some(answer) => answer,
            // A file that is not there is an empty one; it was reported at the start.
            None if costly => false,
            None => return None,
        };
        if costly {
            self.memo.borrow_mut().searched.put(number, text, answer);
        }
        Some(answer)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Value<'_>, Unanswered> {
        match question {
            Question::Now => Ok(Value::Time(self.now)),
            Question::LookupFile { text, file } => {
                let table = core::str::from_utf8(file)
                    .ok()
                    .and_then(|name| self.ground.tables.get(name));
                Ok(Value::from(
                    table.map_or(&b""[..], |table| table.find(text)),
                ))
            }
            Question::Stash { cache, key } => {
                if self.event.must_wait() {
                    return Err(Unanswered::Unavailable);
                }
                let Ok(stashes) = self.ground.stashes.lock() else {
                    return Err(Unanswered::Unavailable);
                };
                Ok(Value::Str(Cow::Owned(
                    stashes.get(cache, key, self.now).to_vec(),
                )))
            }
            Question::Other { function, args } => self.ground.located(function, args),
            _ => self.memo.borrow_mut().outside.ask(question),
        }
    }

    fn apply(&mut self, effect: Effect<'_>) -> Result<(), EvalError> {
        let slots = &self.ground.slots;
        self.event.effects += 1;
        match effect {
            Effect::SetMeta { key, value } => self.event.set_named(slots, Space::Meta, key, value),
            Effect::SetParsed { key, value } => {
                self.event.set_named(slots, Space::Parsed, key, value);
            }
            Effect::Unmarshal {
                key, data, merge, ..
            } => self.unmarshal(key, data, merge),
            Effect::Stash {
                cache,
                key,
                value,
                ttl,
            } => {
                if !self.event.must_wait()
                    && let Ok(mut stashes) = self.ground.stashes.lock()
                {
                    stashes.put(cache, key, value, ttl, self.now);
                }
            }
        }
        Ok(())
    }
}

static NOTHING: expr::Fields = expr::Fields::new(Missing::Nil);

impl EventEnv<'_> {
    /// The answer of a condition that rests on one text alone, asked once as long as
    /// its place in the memo is not taken by another.
    pub(crate) fn remembered(
        &self,
        number: u32,
        slot: SlotId,
        side: &Expr,
    ) -> Result<bool, EvalError> {
        let text = self.event.text(slot);
        {
            let mut memo = self.memo.borrow_mut();
            if let Some(known) = memo.repeated.get(number, text) {
                memo.hits += 1;
                return Ok(known);
            }
        }
        let answer = side.truth(self)?;
        self.memo.borrow_mut().repeated.put(number, text, answer);
        Ok(answer)
    }

    fn unmarshal(&mut self, key: &[u8], data: Data, merge: bool) {
        use expr::Fields;
        let all = self
            .event
            .unmarshaled
            .get_or_insert_with(|| Fields::new(Missing::Nil));
        match (data, all.get_mut(key)) {
            (Data::Map(fresh), Some(Data::Map(known))) if merge => {
                for (name, value) in fresh.iter() {
                    known.insert(name, value.clone());
                }
            }
            (data, _) => all.insert(key, data),
        }
    }
}
