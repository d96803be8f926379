//! One compiled node, and how it runs.

use std::borrow::Cow;
use std::net::IpAddr;

use expr::{Expr, SlotId, Value};
use vocab::{Cidr, Timestamp};

use super::enrich::{self, Method};
use super::gates::{Gates, Next};
use crate::bucket::Seed;
use crate::event::{Event, slot};
use crate::explain::Witness;
use crate::gotime::Dates;
use crate::grok::{Grok, Room, Search};
use crate::outside::Query;
use crate::overflow::Part;
use crate::program::env::EventEnv;
use crate::program::{Chosen, Sieve};

/// A compiled parser node.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name, empty for children.
    pub(crate) name: String,
    pub(crate) filter: Option<Expr>,
    pub(crate) whitelist: Option<Whitelist>,
    pub(crate) grok: Option<GrokStep>,
    pub(crate) stash: Vec<StashStep>,
    pub(crate) children: Vec<Self>,
    pub(crate) statics: Vec<Static>,
    pub(crate) next_stage: bool,
}

#[derive(Debug)]
pub(crate) struct GrokStep {
    pub(crate) grok: Grok,
    /// The slots of the grok's fields, in its order.
    pub(crate) slots: Vec<SlotId>,
    pub(crate) input: Input,
    pub(crate) statics: Vec<Static>,
    /// Its room in the scratch.
    pub(crate) room: usize,
}

#[derive(Debug)]
pub(crate) enum Input {
    Slot(SlotId),
    Expression(Expr),
}

#[derive(Debug)]
pub(crate) struct StashStep {
    pub(crate) name: String,
    pub(crate) key: Expr,
    pub(crate) value: Expr,
}

#[derive(Debug)]
pub(crate) struct Whitelist {
    pub(crate) reason: String,
    pub(crate) ranges: Vec<Cidr>,
    pub(crate) expressions: Vec<Expr>,
    /// The number of its first expression among those of all whitelists.
    pub(crate) first: u32,
}

#[derive(Debug)]
pub(crate) struct Static {
    pub(crate) target: Target,
    pub(crate) value: StaticValue,
}

#[derive(Debug)]
pub(crate) enum Target {
    Slot(SlotId),
    Method(Method),
    /// A part of an overflow's source.
    Source(Part),
    /// A place that does not exist: nothing is set.
    Nowhere,
}

#[derive(Debug)]
pub(crate) enum StaticValue {
    Constant(Box<[u8]>),
    Slot(SlotId),
    Expression(Expr),
}

/// Captures of every grok of a program, made when first used; and which nodes gates let
/// through.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: Vec<Option<Room>>,
    passes: Vec<Chosen>,
    /// Whether nothing is spared: every node is asked, and groks search as they always did.
    pub(crate) plain: bool,
    /// Which expressions of whitelists can hold, and of which state of the event.
    may_hold: Chosen,
    looked_at: Option<u64>,
    last_date: LastDate,
    source: Source,
}

/// The source's address, read once an event.
#[derive(Debug, Default)]
struct Source {
    /// Of which event, and where the text lay.
    of: Option<(u64, core::ops::Range<usize>)>,
    address: Option<IpAddr>,
}

impl Source {
    /// The address of an event's source, if it is one.
    fn read(&mut self, event: &Event) -> Option<IpAddr> {
        // What lies at a place of an event's memory stays as it is while the event lives.
        let of = Some((event.born(), event.place(slot::META_SOURCE_IP)));
        if self.of != of {
            let text = core::str::from_utf8(event.text(slot::META_SOURCE_IP)).ok();
            self.address = text.and_then(|text| text.parse().ok());
            self.of = of;
        }
        self.address
    }
}

/// The date that was read last: a busy log has many lines of one second.
#[derive(Debug, Default)]
struct LastDate {
    text: Vec<u8>,
    layout: Vec<u8>,
    now: Option<Timestamp>,
    date: Option<Timestamp>,
    /// The date, or the time where the text is none.
    written: String,
}

impl LastDate {
    fn read(&mut self, dates: &Dates, text: &[u8], layout: &[u8], now: Timestamp) {
        // A date without a year depends on the time.
        if self.now == Some(now) && self.text == text && self.layout == layout {
            return;
        }
        let date = dates.parse(text, layout, now);
        self.written = date.map_or_else(|| now.to_string(), |date| date.to_string());
        self.date = date.map(|date| date.time);
        // Longer texts are no dates, and their memory is not kept.
        let known = text.len().max(layout.len()) <= Dates::LONGEST;
        self.now = known.then_some(now);
        self.text.clear();
        self.layout.clear();
        if known {
            self.text.extend_from_slice(text);
            self.layout.extend_from_slice(layout);
        }
    }
}

impl Rooms {
    pub(crate) fn new(groks: usize, stages: usize, seed: Seed) -> Self {
        let (mut rooms, mut passes) = (Vec::new(), Vec::new());
        rooms.resize_with(groks, || None);
        passes.resize_with(stages, || Chosen::seeded(seed));
        Self {
            rooms,
            passes,
            may_hold: Chosen::seeded(seed),
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.passes.is_empty()
    }
}

/// A line on its way through the nodes.
#[derive(Debug)]
pub(crate) struct Run<'r> {
    pub(crate) env: EventEnv<'r>,
    pub(crate) rooms: &'r mut Rooms,
    /// Tells which expressions of whitelists can hold, where there are many.
    pub(crate) whites: Option<&'r Sieve>,
    pub(crate) dates: &'r Dates,
    /// The stage that the event is in: each node that succeeds with
    /// `onsuccess: next_stage` moves it one further.
    pub(crate) stage: usize,
    /// The last stage, beyond which nothing moves.
    pub(crate) last: usize,
    /// How many expressions failed.
    pub(crate) errors: &'r mut u64,
    /// Who looks on, if anybody does.
    pub(crate) witness: Option<&'r mut dyn Witness>,
    /// The date that the line says, once a static has read it.
    pub(crate) date: Option<Timestamp>,
    /// The text a grok reads or a static writes, reused.
    pub(crate) text: &'r mut Vec<u8>,
}

impl Run<'_> {
    pub(crate) fn enter(&mut self, stage: &str) {
        if let Some(witness) = &mut self.witness {
            witness.stage(stage);
        }
    }

    /// Whether somebody wants to hear of every node, taken or not.
    fn is_watched(&self) -> bool {
        self.witness.is_some()
    }

    /// The first node at or after that of `from` that may take the event. What a node before
    /// it changed is seen.
    pub(crate) fn next_node(&mut self, gates: Option<&Gates>, from: Next) -> Option<Next> {
        let gates = gates.filter(|_| !self.is_watched() && !self.rooms.plain);
        let Some(gates) = gates else {
            return Some(from);
        };
        match self.rooms.passes.get_mut(gates.stage) {
            Some(chosen) => gates.next(self.env.event, chosen, from),
            None => Some(from),
        }
    }

    /// Runs a leading node and tells whoever looks on.
    pub(crate) fn top(&mut self, node: &Node, open: bool) -> bool {
        if let Some(witness) = &mut self.witness {
            witness.before(self.env.event, &self.env.ground.slots);
        }
        let ok = self.node(node, open);
        if let Some(witness) = &mut self.witness {
            witness.after(&node.name, ok, self.env.event, &self.env.ground.slots);
        }
        ok
    }

    /// Runs a node; where it is `open` its filter is known to be true.
    fn node(&mut self, node: &Node, open: bool) -> bool {
        if let Some(filter) = node.filter.as_ref().filter(|_| !open)
            && !self.truth(filter)
        {
            return false;
        }
        let whitelisted = node
            .whitelist
            .as_ref()
            .map(|whitelist| self.whitelist(whitelist));
        let mut state = true;
        let mut own_grok = false;
        if let Some(step) = &node.grok {
            own_grok = self.grok(step);
            state = own_grok;
        }
        if own_grok || node.grok.is_none() {
            for step in &node.stash {
                self.stash(step);
            }
        }
        for child in &node.children {
            if self.node(child, false) {
                state = true;
                if node.next_stage {
                    break;
                }
            } else if !own_grok {
                state = false;
            }
        }
        if state && whitelisted.unwrap_or(true) {
            for assignment in &node.statics {
                self.assign(assignment);
            }
        }
        if state && node.next_stage {
            self.stage = (self.stage + 1).min(self.last);
        }
        state
    }

    fn truth(&mut self, filter: &Expr) -> bool {
        match filter.run_truth(&mut self.env) {
            Ok(answer) => answer,
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &expr::EvalError) -> bool {
        *self.errors += 1;
        if let Some(witness) = &mut self.witness {
            witness.error(error);
        }
        false
    }

    fn whitelist(&mut self, whitelist: &Whitelist) -> bool {
        let mut numbered = (whitelist.first..).zip(&whitelist.expressions);
        let exempt = self.in_range(whitelist)
            || numbered.any(|(number, expression)| self.may_hold(number) && self.truth(expression));
        if exempt && !self.env.event.whitelisted {
            let event = &mut *self.env.event;
            event.whitelisted = true;
            if let Some(overflow) = &mut event.overflow {
                overflow.whitelisted = true;
            }
            event.set(slot::WHITELIST_REASON, whitelist.reason.as_bytes());
        }
        exempt
    }

    /// Whether an expression of a whitelist can hold; where not, it neither holds nor fails.
    fn may_hold(&mut self, number: u32) -> bool {
        let unspared = self.is_watched() || self.rooms.plain;
        let Some(sieve) = self.whites.filter(|_| !unspared) else {
            return true;
        };
        let now = Some(self.env.event.changes());
        if self.rooms.looked_at != now {
            sieve.choose(self.env.event, false, &mut self.rooms.may_hold);
            self.rooms.looked_at = now;
        }
        self.rooms.may_hold.has(number)
    }

    /// Whether the source lies in the whitelist's ranges; of an overflow, all of its
    /// sources. One colleague among many attackers does not exempt the others.
    fn in_range(&mut self, whitelist: &Whitelist) -> bool {
        if whitelist.ranges.is_empty() {
            return false;
        }
        let within = |address| whitelist.ranges.iter().any(|range| range.contains(address));
        let covers = |text: &str| text.parse::<IpAddr>().is_ok_and(within);
        let event = &mut *self.env.event;
        let Some(overflow) = &mut event.overflow else {
            return self.rooms.source.read(event).is_some_and(within);
        };
        let all = overflow.values().len();
        let mut spared = core::mem::take(&mut overflow.spared);
        for value in overflow.values().filter(|value| covers(value)) {
            if !spared.iter().any(|known| known == value) {
                spared.push(value.to_owned());
            }
        }
        overflow.spared = spared;
        overflow.spared.len() == all
    }

    fn grok(&mut self, step: &GrokStep) -> bool {
        let from = match &step.input {
            Input::Slot(slot) => Some(*slot),
            Input::Expression(expression) => match evaluate(expression, &mut self.env, self.text) {
                Ok(true) => None,
                Ok(false) => return false,
                Err(error) => return self.failed(&error),
            },
        };
        let plain = self.rooms.plain;
        let Some(room) = self.rooms.rooms.get_mut(step.room) else {
            return false;
        };
        let room = room.get_or_insert_with(|| {
            let mut room = step.grok.room();
            if plain {
                room.search_plainly();
            }
            room
        });
        let event = &mut *self.env.event;
        let text = from.map_or(self.text.as_slice(), |slot| event.text(slot));
        let changed = match step.grok.search(text, room) {
            Search::No => return false,
            Search::In(Cow::Borrowed(_)) => None,
            Search::In(Cow::Owned(text)) => Some(text),
        };
        // What was kept of a slot's text lies there already.
        let base = from.filter(|_| changed.is_none());
        let base = base.map(|slot| event.place(slot).start);
        let text = changed.as_ref().unwrap_or(self.text);
        for ((_, range), slot) in step.grok.ranges(room).zip(&step.slots) {
            match (base, range) {
                (Some(base), Some((start, end))) => event.lies(*slot, base + start, end - start),
                (None, Some((start, end))) => {
                    event.set(*slot, text.get(start..end).unwrap_or(b""));
                }
                (_, None) => event.set(*slot, b""),
            }
        }
        for assignment in &step.statics {
            self.assign(assignment);
        }
        true
    }

    fn stash(&mut self, step: &StashStep) {
        if self.env.event.must_wait() {
            return;
        }
        let mut key = Vec::new();
        let mut value = Vec::new();
        let done = evaluate(&step.key, &mut self.env, &mut key)
            .and_then(|known| Ok(known && evaluate(&step.value, &mut self.env, &mut value)?));
        match done {
            Ok(true) => {
                if let Ok(mut stashes) = self.env.ground.stashes.lock() {
                    let name = step.name.as_bytes();
                    let taken = stashes.put(name, &key, &value, None, self.env.now);
                    *self.errors += u64::from(!taken);
                }
            }
            Ok(false) => {}
            Err(error) => {
                self.failed(&error);
            }
        }
    }

    fn assign(&mut self, assignment: &Static) {
        let target = match &assignment.target {
            Target::Nowhere => return,
            target => target,
        };
        match (&assignment.value, target) {
            // The commonest kind, without a copy.
            (StaticValue::Slot(from), Target::Slot(to)) => {
                if !self.env.event.text(*from).is_empty() {
                    self.env.event.alias(*to, *from);
                }
                return;
            }
            (StaticValue::Constant(value), Target::Slot(to)) => {
                if !value.is_empty() {
                    self.env.event.set(*to, value);
                }
                return;
            }
            _ => {}
        }
        self.text.clear();
        match &assignment.value {
            StaticValue::Constant(value) => self.text.extend_from_slice(value),
            StaticValue::Slot(from) => self.text.extend_from_slice(self.env.event.text(*from)),
            StaticValue::Expression(expression) => {
                match evaluate(expression, &mut self.env, self.text) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        self.failed(&error);
                        return;
                    }
                }
            }
        }
        match target {
            Target::Slot(to) if !self.text.is_empty() => self.env.event.set(*to, self.text),
            Target::Slot(_) | Target::Nowhere => {}
            Target::Method(method) => self.enrich(*method),
            Target::Source(part) => {
                if let (Some(overflow), false) =
                    (&mut self.env.event.overflow, self.text.is_empty())
                {
                    overflow.write(*part, self.text);
                }
            }
        }
    }

    fn enrich(&mut self, method: Method) {
        if self.text.is_empty() && method != Method::ParseDate {
            return;
        }
        match method {
            Method::ParseDate => {
                let event = &mut *self.env.event;
                let layout = event.text(slot::STR_TIME_FORMAT);
                let last = &mut self.rooms.last_date;
                last.read(self.dates, self.text, layout, self.env.now);
                self.date = last.date.or(self.date);
                event.set(slot::ENRICHED_MARSHALED_TIME, last.written.as_bytes());
            }
            Method::UnmarshalJson => {
                if let Some(message) = enrich::json_object(self.text) {
                    self.env.event.unmarshaled = Some(message);
                }
            }
            Method::GeoIpCity | Method::GeoIpAsn | Method::IpToRange => {
                enrich::locate(method, self.env.event, &self.env.ground.geo, self.text);
            }
            Method::ReverseDns => self.reverse_dns(),
        }
    }
}

impl Run<'_> {
    /// Sets the name of the address that the text is, when it is known.
    fn reverse_dns(&mut self) {
        let address = core::str::from_utf8(self.text).ok();
        let Some(address) = address.and_then(|text| text.parse::<IpAddr>().ok()) else {
            return;
        };
        let mut memo = self.env.memo.borrow_mut();
        let answer = memo.outside.answer(&Query::Reverse(address));
        if let Some(name) = answer.and_then(|names| names.first()) {
            self.env
                .event
                .set(slot::ENRICHED_REVERSE_DNS, name.as_bytes());
        }
    }
}

/// Evaluates an expression to a text as a static writes it; `false` when its value is
/// none.
pub(crate) fn evaluate(
    expression: &Expr,
    env: &mut EventEnv<'_>,
    into: &mut Vec<u8>,
) -> Result<bool, expr::EvalError> {
    if expression.is_pure() {
        expression.eval(env).map(|value| as_text(&value, into))
    } else {
        expression.run(env).map(|value| as_text(&value, into))
    }
}

/// A value as a static writes it: strings as they are, whole numbers in decimal,
/// others with six digits; `false` for what is not written at all.
fn as_text(value: &Value<'_>, into: &mut Vec<u8>) -> bool {
    use std::io::Write as _;
    into.clear();
    match value {
        Value::Str(text) => into.extend_from_slice(text),
        Value::Int(number) => return write!(into, "{number}").is_ok(),
        Value::Float(number) => return write!(into, "{number:.6}").is_ok(),
        _ => return false,
    }
    true
}
