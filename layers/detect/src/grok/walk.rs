//! Captures in two passes over the text.
//!
//! For: the same answer as a backtracking search, some times sooner. The first pass goes
//! from the text's end to its beginning and finds, for every position, from which states
//! of the pattern's automaton a match can still be completed. Then the leftmost position
//! where a match can begin is known, and the second pass walks on from there: wherever
//! there is a choice, it takes the first that can be completed, which is the one that
//! backtracking would end with. (Frisch and Cardelli, "Greedy regular expression
//! matching", 2004.) Sets of states are numbered as they are met, and so are the steps of
//! the walk, so that both passes are look-ups.
//!
//! Refuses: texts longer than [`LONGEST`]; assertions about words beyond ASCII. Memory is
//! bounded: what was numbered is forgotten at [`MOST`] bytes, and soon after that a search
//! gives up instead. On failure: `None`, and whoever asked searches in another way.

use std::collections::HashMap;

use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::syntax;

/// The longest text that is searched so.
const LONGEST: usize = 32 << 10;
/// How many bytes one thread's numbers may take for one pattern.
const MOST: usize = 2 << 20;
/// Searches after which what was numbered may be forgotten again.
const PATIENCE: u32 = 256;
/// How many steps of walks are remembered.
const STEPS: usize = 4_096;
/// How many different lists of slots are remembered; a search that needs more gives up.
const LISTS: usize = 1_024;
/// What may stand before a position: nothing, a line's end, a word's letter, another byte.
const KINDS: u16 = 4;
const UNKNOWN: u16 = u16::MAX;
const NOWHERE: usize = usize::MAX;

/// A pattern's automaton, prepared for both passes.
#[derive(Debug)]
pub(super) struct Walk {
    states: Box<[State]>,
    start: u32,
    /// Each byte's class, times [`KINDS`]: all bytes of a class are alike.
    classes: Box<[u16; 256]>,
    /// How many entries a set has in the table of what stands before it.
    stride: usize,
    kinds: Box<[u8; 256]>,
    /// Which states lead to a state by a byte of these classes.
    from: Box<[Vec<(u32, u8, u8)>]>,
    /// Which states lead to a state without a byte.
    silent: Box<[Vec<u32>]>,
    matches: Vec<u32>,
    slots: usize,
}

#[derive(Debug)]
enum State {
    Bytes(Box<[(u8, u8, u32)]>),
    Any(Box<[u32]>),
    Keep(usize, u32),
    Look(Look, u32),
    Match,
    Fail,
}

impl Walk {
    /// Prepares a pattern in Rust's syntax; `None` where it cannot be searched so.
    pub(super) fn new(pattern: &str, limit: usize, nest: u32) -> Option<Self> {
        let nfa = NFA::compiler()
            .syntax(syntax::Config::new().utf8(false).nest_limit(nest))
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(WhichCaptures::All)
                    .nfa_size_limit(Some(limit)),
            )
            .build(pattern)
            .ok()?;
        let known = [
            Look::Start,
            Look::End,
            Look::StartLF,
            Look::EndLF,
            Look::WordAscii,
            Look::WordAsciiNegate,
        ];
        if nfa.look_set_any().iter().any(|look| !known.contains(&look)) {
            return None;
        }
        Self::of(&nfa)
    }

    fn of(nfa: &NFA) -> Option<Self> {
        let bytes = nfa.byte_classes();
        let number = |id: regex_automata::util::primitives::StateID| {
            u32::try_from(id.as_usize()).unwrap_or(u32::MAX)
        };
        let states: Box<[State]> = nfa
            .states()
            .iter()
            .map(|state| of_state(state, &number))
            .collect();
        let mut from = vec![Vec::new(); states.len()];
        let mut silent = vec![Vec::new(); states.len()];
        let mut matches = Vec::new();
        for (at, state) in (0_u32..).zip(&states) {
            match state {
                State::Bytes(ranges) => {
                    for (low, high, next) in ranges {
                        let edge = (at, bytes.get(*low), bytes.get(*high));
                        from.get_mut(*next as usize)?.push(edge);
                    }
                }
                State::Any(all) => {
                    for next in all {
                        silent.get_mut(*next as usize)?.push(at);
                    }
                }
                State::Keep(_, next) | State::Look(_, next) => {
                    silent.get_mut(*next as usize)?.push(at);
                }
                State::Match => matches.push(at),
                State::Fail => {}
            }
        }
        let mut classes = Box::new([0; 256]);
        let mut kinds = Box::new([0; 256]);
        for ((byte, class), kind) in (0..=u8::MAX).zip(&mut *classes).zip(&mut *kinds) {
            *class = u16::from(bytes.get(byte)) * KINDS;
            *kind = kind_of(byte);
        }
        Some(Self {
            states,
            start: number(nfa.start_anchored()),
            classes,
            stride: bytes.alphabet_len() * usize::from(KINDS),
            kinds,
            from: from.into(),
            silent: silent.into(),
            matches,
            slots: nfa.group_info().slot_len(),
        })
    }

    fn state(&self, at: u32) -> &State {
        self.states.get(at as usize).unwrap_or(&State::Fail)
    }
}

fn of_state(
    state: &thompson::State,
    number: &impl Fn(regex_automata::util::primitives::StateID) -> u32,
) -> State {
    let range = |one: &thompson::Transition| (one.start, one.end, number(one.next));
    match state {
        thompson::State::ByteRange { trans } => State::Bytes([range(trans)].into()),
        thompson::State::Sparse(sparse) => {
            State::Bytes(sparse.transitions.iter().map(range).collect())
        }
        thompson::State::Dense(dense) => {
            let each = (0..=u8::MAX)
                .filter_map(|byte| Some((byte, byte, number(dense.matches_byte(byte)?))));
            State::Bytes(each.collect())
        }
        thompson::State::Look { look, next } => State::Look(*look, number(*next)),
        thompson::State::Union { alternates } => {
            State::Any(alternates.iter().map(|next| number(*next)).collect())
        }
        thompson::State::BinaryUnion { alt1, alt2 } => {
            State::Any([number(*alt1), number(*alt2)].into())
        }
        thompson::State::Capture { next, slot, .. } => State::Keep(slot.as_usize(), number(*next)),
        thompson::State::Fail => State::Fail,
        thompson::State::Match { .. } => State::Match,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn kind_of(byte: u8) -> u8 {
    match byte {
        b'\n' => 1,
        byte if is_word(byte) => 2,
        _ => 3,
    }
}

/// Whether an assertion holds between what stands before (a kind) and the next byte.
fn holds(look: Look, before: u8, next: Option<u8>) -> bool {
    let boundary = (before == 2) != next.is_some_and(is_word);
    match look {
        Look::Start => before == 0,
        Look::StartLF => before <= 1,
        Look::End => next.is_none(),
        Look::EndLF => next.is_none_or(|byte| byte == b'\n'),
        Look::WordAscii => boundary,
        Look::WordAsciiNegate => !boundary,
        _ => false,
    }
}

/// What one thread has numbered so far for one pattern, and where its last match lies.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// States, sorted, from which a match can be completed.
    sets: Vec<Box<[u32]>>,
    numbers: HashMap<Box<[u32]>, u16>,
    /// Whether a match can begin where a set stands.
    begins: Vec<bool>,
    /// The set before a byte, by set, class and kind.
    before: Vec<u16>,
    /// The set at the text's end, by kind.
    ends: [Option<u16>; KINDS as usize],
    steps: Vec<Step>,
    kept: Vec<Box<[usize]>>,
    bytes: usize,
    searches: u32,
    path: Vec<u16>,
    slots: Vec<usize>,
    room: Room,
}

/// From a state, by a byte's class, into a set: to this state, keeping these slots.
#[derive(Clone, Copy, Debug)]
struct Step {
    key: u64,
    to: u32,
    kept: u32,
}

/// Lists that are used again.
#[derive(Debug, Default)]
struct Room {
    marks: Vec<u64>,
    alive: Vec<u32>,
    kept: Vec<usize>,
    stack: Vec<(u32, usize)>,
}

impl Room {
    /// Notes a state; whether that is news.
    fn mark(&mut self, state: u32) -> bool {
        let (word, bit) = (state as usize / 64, 1 << (state % 64));
        self.marks.get_mut(word).is_some_and(|marks| {
            let news = *marks & bit == 0;
            *marks |= bit;
            news
        })
    }
}

/// The full room of numbers.
struct Full;

impl Ways {
    /// Searches a text; `None` where it must be searched in another way, else whether it
    /// matches. Then [`Ways::slot`] tells what was kept.
    pub(super) fn search(&mut self, walk: &Walk, text: &[u8]) -> Option<bool> {
        if text.len() > LONGEST {
            return None;
        }
        self.searches = self.searches.saturating_add(1);
        let begin = match self.backward(walk, text) {
            Ok(begin) => begin,
            Err(Full) if self.searches > PATIENCE => {
                *self = Self::default();
                self.backward(walk, text).ok()?
            }
            Err(Full) => return None,
        };
        match begin {
            Some(begin) => self.forward(walk, text, begin).map(|()| true),
            None => Some(false),
        }
    }

    /// How many bytes are held, the path of the last text left out.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        let sets: usize = self.sets.iter().map(|set| set.len() * 8 + 32).sum();
        sets + self.before.len() * 2 + self.steps.len() * size_of::<Step>()
    }

    /// Where a group of the last match lies.
    pub(super) fn group(&self, group: usize) -> Option<(usize, usize)> {
        let (start, end) = (*self.slots.get(group * 2)?, *self.slots.get(group * 2 + 1)?);
        (start != NOWHERE && end != NOWHERE).then_some((start, end))
    }

    /// Fills the path; the leftmost position where a match begins.
    fn backward(&mut self, walk: &Walk, text: &[u8]) -> Result<Option<usize>, Full> {
        let kind = |byte: u8| walk.kinds.get(usize::from(byte)).copied().unwrap_or(0);
        let last = text.last().map_or(0, |byte| kind(*byte));
        let mut set = match self.ends.get(usize::from(last)).copied().flatten() {
            Some(set) => set,
            None => {
                let set = self.number(walk, None, None, last)?;
                if let Some(end) = self.ends.get_mut(usize::from(last)) {
                    *end = Some(set);
                }
                set
            }
        };
        let stride = walk.stride;
        self.path.clear();
        self.path.resize(text.len() + 1, 0);
        let begins = |ways: &Self, set: u16| ways.begins.get(usize::from(set)) == Some(&true);
        let mut leftmost = begins(self, set).then_some(text.len());
        if let Some(end) = self.path.last_mut() {
            *end = set;
        }
        for at in (0..text.len()).rev() {
            let byte = text.get(at).copied().unwrap_or(0);
            let class = walk.classes.get(usize::from(byte)).copied().unwrap_or(0);
            let before = match at.checked_sub(1).and_then(|at| text.get(at)) {
                Some(byte) => kind(*byte),
                None => 0,
            };
            let place = usize::from(set) * stride + usize::from(class) + usize::from(before);
            let mut found = self.before.get(place).copied().unwrap_or(UNKNOWN);
            if found == UNKNOWN {
                found = self.number(walk, Some(set), Some(byte), before)?;
                if let Some(known) = self.before.get_mut(place) {
                    *known = found;
                }
            }
            set = found;
            if let Some(here) = self.path.get_mut(at) {
                *here = set;
            }
            if begins(self, set) {
                leftmost = Some(at);
            }
        }
        Ok(leftmost)
    }

    /// The number of the set of states before a byte after which `after` holds; of those at
    /// the end without one.
    #[cold]
    fn number(
        &mut self,
        walk: &Walk,
        after: Option<u16>,
        byte: Option<u8>,
        before: u8,
    ) -> Result<u16, Full> {
        let mut room = core::mem::take(&mut self.room);
        room.marks.clear();
        room.marks.resize(walk.states.len() / 64 + 1, 0);
        room.alive.clear();
        // A match may end anywhere.
        for state in &walk.matches {
            room.mark(*state);
            room.alive.push(*state);
        }
        if let (Some(after), Some(byte)) = (after, byte) {
            let class = walk.classes.get(usize::from(byte)).copied().unwrap_or(0) / KINDS;
            for state in self.sets.get(usize::from(after)).into_iter().flatten() {
                for (from, low, high) in walk.from.get(*state as usize).into_iter().flatten() {
                    if (u16::from(*low)..=u16::from(*high)).contains(&class) && room.mark(*from) {
                        room.alive.push(*from);
                    }
                }
            }
        }
        let mut next = 0;
        while let Some(state) = room.alive.get(next).copied() {
            next += 1;
            for from in walk.silent.get(state as usize).into_iter().flatten() {
                let open = match walk.state(*from) {
                    State::Look(look, _) => holds(*look, before, byte),
                    _ => true,
                };
                if open && room.mark(*from) {
                    room.alive.push(*from);
                }
            }
        }
        room.alive.sort_unstable();
        let number = self.intern(walk, &room.alive);
        self.room = room;
        number
    }

    fn intern(&mut self, walk: &Walk, alive: &[u32]) -> Result<u16, Full> {
        if let Some(number) = self.numbers.get(alive) {
            return Ok(*number);
        }
        let stride = walk.stride;
        let bytes = alive.len() * 8 + stride * 2 + 128;
        let fresh = u16::try_from(self.sets.len()).unwrap_or(UNKNOWN);
        if self.bytes + bytes > MOST || fresh == UNKNOWN {
            return Err(Full);
        }
        self.bytes += bytes;
        self.begins.push(alive.binary_search(&walk.start).is_ok());
        self.before.resize(self.before.len() + stride, UNKNOWN);
        self.sets.push(alive.into());
        self.numbers.insert(alive.into(), fresh);
        Ok(fresh)
    }

    /// Walks from where the match begins, keeping what it passes.
    fn forward(&mut self, walk: &Walk, text: &[u8], begin: usize) -> Option<()> {
        if self.steps.is_empty() {
            let none = Step {
                key: u64::MAX,
                to: 0,
                kept: 0,
            };
            self.steps.resize(STEPS, none);
            self.kept.push(Box::default());
        }
        self.slots.clear();
        self.slots.resize(walk.slots, NOWHERE);
        let mut room = core::mem::take(&mut self.room);
        let set = self.path.get(begin).copied()?;
        let mut to = self.choose(walk, walk.start, set, &mut room);
        for slot in &room.kept {
            if let Some(slot) = self.slots.get_mut(*slot) {
                *slot = begin;
            }
        }
        let mut at = begin;
        while let Some(state) = to {
            let State::Bytes(ranges) = walk.state(state) else {
                break;
            };
            let byte = text.get(at).copied()?;
            at += 1;
            let set = self.path.get(at).copied()?;
            let class = walk.classes.get(usize::from(byte)).copied()?;
            let key = u64::from(state) << 32 | u64::from(class) << 16 | u64::from(set);
            let place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % STEPS;
            let mut step = *self.steps.get(place)?;
            if step.key != key {
                let next = ranges
                    .iter()
                    .find(|(low, high, _)| (*low..=*high).contains(&byte))?
                    .2;
                step = Step {
                    key,
                    to: self.choose(walk, next, set, &mut room)?,
                    kept: self.keep(&room.kept)?,
                };
                *self.steps.get_mut(place)? = step;
            }
            if step.kept != 0 {
                for slot in self.kept.get(step.kept as usize)?.iter() {
                    *self.slots.get_mut(*slot)? = at;
                }
            }
            to = Some(step.to);
        }
        self.room = room;
        to.map(|_| ())
    }

    /// The number of a list of slots.
    fn keep(&mut self, slots: &[usize]) -> Option<u32> {
        let known = self.kept.iter().position(|known| **known == *slots);
        if known.is_none() && self.kept.len() >= LISTS {
            return None;
        }
        let at = known.unwrap_or_else(|| {
            self.kept.push(slots.into());
            self.kept.len() - 1
        });
        u32::try_from(at).ok()
    }

    /// Follows what takes no byte, the first choice that can be completed each time; the
    /// state that takes one, or ends the match. What is kept on the way is in the room.
    fn choose(&self, walk: &Walk, from: u32, set: u16, room: &mut Room) -> Option<u32> {
        let alive = self.sets.get(usize::from(set))?;
        room.marks.clear();
        room.marks.resize(walk.states.len() / 64 + 1, 0);
        room.kept.clear();
        room.stack.clear();
        room.stack.push((from, 0));
        while let Some((state, kept)) = room.stack.pop() {
            room.kept.truncate(kept);
            // Whoever comes here again has gone in a circle and gained nothing.
            if alive.binary_search(&state).is_err() || !room.mark(state) {
                continue;
            }
            match walk.state(state) {
                State::Bytes(_) | State::Match => return Some(state),
                State::Any(all) => {
                    let kept = room.kept.len();
                    room.stack
                        .extend(all.iter().rev().map(|next| (*next, kept)));
                }
                State::Keep(slot, next) => {
                    room.kept.push(*slot);
                    room.stack.push((*next, room.kept.len()));
                }
                State::Look(_, next) => room.stack.push((*next, room.kept.len())),
                State::Fail => {}
            }
        }
        None
    }
}
