//! What comes after a bucket: postoverflows, contexts, and the way back into the buckets.
//!
//! For: an overflow on its way to being alerts. Refuses: to go round for ever. An overflow
//! that comes of [`DEPTH`] others is not poured again, and one overflow leads to at most
//! [`MOST`] more; both are counted. Assumes: overflows come in an order that is the same
//! each time, so that what they lead to is, too. On failure: a postoverflow that fails is
//! counted, and the overflow goes on as if that rule were not there.

use std::collections::VecDeque;
use std::sync::Arc;

use expr::{Env, Expr, SlotId, Value};
use vocab::{Source, Whereabouts};

use super::env::{EventEnv, Ground};
use super::{Program, Scratch, Seen};
use crate::bucket::{Kept, Owner, text};
use crate::event::{Space, slot};
use crate::outside::{Answer, Query};
use crate::overflow::{self, About, Overflow, Shown};
use crate::parse::{Parsed, Run};
use crate::shard::Shards;

/// How many overflows may lead to one another by being poured again.
pub const DEPTH: u8 = 4;
/// How many overflows one overflow may lead to in all.
pub const MOST: usize = 256;
/// The most bytes of one context value list, as CrowdSec bounds it.
const CONTEXT_BYTES: usize = 4_000;
/// The most values under one key of a context.
const CONTEXT_VALUES: usize = 64;
/// The most keys of contexts.
const CONTEXT_KEYS: usize = 64;

/// What became of an overflow.
#[derive(Debug)]
pub enum Settled {
    /// It is judged: give it on, or show it where it is whitelisted.
    Done(Box<Overflow>),
    /// A rule asks the network: ask, and settle it again with the answer.
    Waits(Box<Overflow>, Query),
}

/// A key of a context and the expressions for its values.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) key: String,
    pub(crate) values: Vec<Expr>,
}

impl Program {
    /// Judges an overflow, pours it again where its scenario says so, and judges what
    /// overflows of that. `known` are the answers to what it asked before.
    pub fn settle(
        &self,
        shards: &Shards,
        scratch: &mut Scratch,
        overflow: Overflow,
        known: &[(Query, Answer)],
        give: &mut dyn FnMut(Settled),
    ) {
        let mut waiting = VecDeque::from([overflow]);
        let mut known = known;
        let mut led_to = 0;
        while let Some(mut overflow) = waiting.pop_front() {
            if let Err(query) = self.review(&mut overflow, known, scratch) {
                give(Settled::Waits(Box::new(overflow), query));
                continue;
            }
            known = &[];
            if overflow.whitelisted.is_some() {
                scratch.counted.exempt += 1;
            } else if overflow.spec.reprocess {
                if overflow.depth >= DEPTH {
                    scratch.counted.cut += 1;
                } else {
                    let mut more: Vec<Overflow> = Vec::new();
                    let (realm, now) = (overflow.realm, overflow.stop_at);
                    let mut seen = self.again(&overflow, scratch);
                    shards.apply_within(
                        realm,
                        &self.specs,
                        seen.pours,
                        &mut seen.occurrence,
                        now,
                        &mut more,
                    );
                    let room = MOST - led_to;
                    scratch.counted.cut += more.len().saturating_sub(room) as u64;
                    more.truncate(room);
                    led_to += more.len();
                    waiting.extend(more);
                }
            }
            give(Settled::Done(Box::new(overflow)));
        }
    }

    /// Runs postoverflows and contexts over an overflow. `Err` says what must be asked
    /// first; the overflow is then as it was.
    ///
    /// # Errors
    /// The question that has no answer among `known` yet.
    pub fn review(
        &self,
        overflow: &mut Overflow,
        known: &[(Query, Answer)],
        scratch: &mut Scratch,
    ) -> Result<(), Query> {
        for source in &mut overflow.sources {
            self.locate(source);
        }
        if !self.postoverflows.stages.is_empty() {
            self.enter(overflow, scratch);
            scratch.memo.get_mut().outside.begin(known);
            // An overflow that no postoverflow takes goes on as it is.
            let errors = scratch.counted.errors;
            self.run_postoverflows(overflow, scratch);
            if let Some(query) = scratch.memo.get_mut().outside.end() {
                // It is run again with the answer, and its errors count then.
                scratch.counted.errors = errors;
                return Err(query);
            }
            write_back(overflow, scratch);
        }
        if overflow.whitelisted.is_none() {
            overflow.context = self.context_of(overflow);
        }
        Ok(())
    }

    fn run_postoverflows(&self, overflow: &Overflow, scratch: &mut Scratch) {
        scratch.fit_after(&self.postoverflows);
        let mut run = Run {
            env: EventEnv {
                event: &mut scratch.event,
                ground: &self.ground,
                memo: &scratch.memo,
                now: overflow.stop_at,
            },
            rooms: &mut scratch.after,
            whites: None,
            dates: &self.dates,
            stage: 0,
            last: 0,
            errors: &mut scratch.counted.errors,
            witness: None,
            text: &mut scratch.text,
            date: None,
        };
        let _taken = self.postoverflows.run(&mut run);
    }

    /// Makes an overflow the event under work.
    fn enter(&self, overflow: &Overflow, scratch: &mut Scratch) {
        scratch.fresh(&self.ground.slots);
        scratch.event.time = overflow.stop_at;
        scratch.event.set(slot::TYPE, b"overflow");
        let stop = overflow.stop_at.to_string();
        scratch.event.set(slot::MARSHALED_TIME, stop.as_bytes());
        scratch.event.overflow = Some(Box::new(Shown::of(overflow)));
    }

    /// Asks the scenarios about an overflow that [`Program::review`] has just judged.
    fn again<'s>(&'s self, overflow: &Overflow, scratch: &'s mut Scratch) -> Seen<'s> {
        if self.postoverflows.stages.is_empty() {
            self.enter(overflow, scratch);
        }
        let about = Arc::new(About {
            sources: overflow.sources.as_slice().into(),
            depth: overflow.depth,
        });
        if let Some(shown) = &mut scratch.event.overflow {
            shown.about = Some(about);
        }
        self.pour(scratch, overflow.stop_at, None);
        let source = overflow.sources.first();
        let value = source.map_or("", |source| source.value.as_str());
        let owner = Owner(scratch.seed.distinct(value.as_bytes()).max(1));
        for pour in &mut scratch.pours {
            pour.owner = owner;
            if overflow.foreign {
                *pour = pour.into_foreign();
            }
        }
        scratch.seen(self, Parsed::Event)
    }

    /// Puts in what the databases know of a source and no parser wrote.
    fn locate(&self, source: &mut Source) {
        let Some(ip) = source.ip else { return };
        let geo = &self.ground.geo;
        let (place, network) = (geo.place(ip), geo.network(ip));
        if place.is_none() && network.is_none() {
            return;
        }
        let mut known = source.whereabouts.take().unwrap_or_default();
        let put = |field: &mut String, value: String| {
            if field.is_empty() {
                *field = value;
            }
        };
        if let Some(place) = place.filter(|place| !place.country.is_empty()) {
            put(&mut known.country, text(place.country));
            put(&mut known.latitude, format!("{:.6}", place.latitude));
            put(&mut known.longitude, format!("{:.6}", place.longitude));
        }
        if let Some(network) = network.filter(|network| network.number != 0) {
            put(&mut known.as_number, network.number.to_string());
            put(&mut known.as_name, text(network.organisation));
        }
        source.whereabouts = Some(known).filter(|known| **known != Whereabouts::default());
    }

    /// What contexts say of an overflow's events: keys, sorted, each with its values.
    fn context_of(&self, overflow: &Overflow) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        for context in self.contexts.iter().take(CONTEXT_KEYS) {
            let mut values = Vec::new();
            let mut bytes = 2;
            for event in &overflow.events {
                let env = KeptEnv {
                    ground: &self.ground,
                    event,
                };
                for expression in &context.values {
                    // What cannot be evaluated says nothing: many rules of a context are
                    // about kinds of events that this one is not.
                    if let Ok(value) = expression.eval(&env) {
                        gather(&value, &mut values, &mut bytes);
                    }
                }
            }
            if !values.is_empty() {
                all.push((context.key.clone(), values));
            }
        }
        all
    }
}

/// Takes over what postoverflows made of an overflow.
fn write_back(overflow: &mut Overflow, scratch: &mut Scratch) {
    if scratch.event.whitelisted {
        let reason = text(scratch.event.text(slot::WHITELIST_REASON));
        overflow.whitelisted = Some(reason);
        return;
    }
    let Some(shown) = &scratch.event.overflow else {
        return;
    };
    // A rule that names one source speaks of the first; of several, each keeps its own.
    if let [only] = overflow.sources.as_mut_slice() {
        match shown.source() {
            Some(source) => *only = source,
            None => scratch.counted.errors += 1,
        }
    }
    let spared = &shown.spared;
    overflow
        .sources
        .retain(|source| !spared.contains(&source.value));
}

/// Adds a value's texts, each once, as long as there is room.
fn gather(value: &Value<'_>, values: &mut Vec<String>, bytes: &mut usize) {
    let mut add = |found: &[u8]| {
        let room = CONTEXT_BYTES.saturating_sub(*bytes + 3);
        if found.is_empty() || room < 8 || values.len() >= CONTEXT_VALUES {
            return;
        }
        let mut value = text(found);
        if value.len() > room {
            let mut end = room - 3;
            while !value.is_char_boundary(end) {
                end -= 1;
            }
            value.truncate(end);
            value.push_str("...");
        }
        if !values.contains(&value) {
            *bytes += value.len() + 3;
            values.push(value);
        }
    };
    match value {
        Value::Str(found) => add(found),
        Value::Int(number) => add(number.to_string().as_bytes()),
        Value::Float(number) => add(number.to_string().as_bytes()),
        Value::Bool(flag) => add(flag.to_string().as_bytes()),
        Value::List(list) => list.iter().filter_map(Value::as_text).for_each(&mut add),
        Value::Tree(data) => texts(data, &mut add),
        Value::Data(data) => texts(data, &mut add),
        _ => {}
    }
}

fn texts(data: &expr::Data, add: &mut dyn FnMut(&[u8])) {
    if let expr::Data::List(list) = data {
        for inner in list {
            if let expr::Data::Text(found) = inner {
                add(found);
            }
        }
    }
}

/// A kept event as the expressions of contexts see it.
#[derive(Debug)]
struct KeptEnv<'k> {
    ground: &'k Ground,
    event: &'k Kept,
}

impl Env for KeptEnv<'_> {
    fn text(&self, slot: SlotId) -> &[u8] {
        let Some((space, name)) = self.ground.slots.name(slot) else {
            return b"";
        };
        let pairs = match space {
            Space::Meta => self.event.meta(),
            Space::Parsed => self.event.parsed(),
            Space::Enriched => self.event.enriched(),
            Space::Label | Space::Field | Space::Special => return b"",
        };
        pairs.value(name.as_bytes())
    }

    fn value(&self, slot: SlotId) -> Value<'_> {
        match slot {
            slot::TIME => Value::Time(self.event.time()),
            slot::OVERFLOW => Value::Object(&overflow::NONE),
            slot::UNMARSHALED | slot::APPSEC | slot::REQUEST | slot::MATCH => Value::Nil,
            slot => Value::from(self.text(slot)),
        }
    }

    fn file(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        let name = core::str::from_utf8(name).ok()?;
        self.ground.data.get(name).map(|file| &*file.lines)
    }

    fn search(&self, search: &expr::DataSearch, text: &[u8]) -> Option<bool> {
        self.ground.searches.test(search, text)
    }
}
