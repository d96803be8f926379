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
/// How many steps of walks are remembered at first, and at most: where more are missed than
/// there is room for, the room is made larger.
const STEPS: usize = 1_024;
const MOST_STEPS: usize = 16_384;
/// Stands for a byte's class where a walk begins.
const NO_CLASS: u16 = u16::MAX;
/// How many different lists of slots are remembered; a search that needs more gives up.
const LISTS: usize = 1_024;
/// What may stand before a position: nothing, a line's end, a word's letter, another byte.
const KINDS: u16 = 4;
const UNKNOWN: u16 = u16::MAX;
/// Marks the number of a set in which a match can begin.
const BEGINS: u16 = 1 << 15;
const NOWHERE: usize = usize::MAX;
/// Marks a state that ends the match.
const ENDS: u32 = 1 << 31;

/// A pattern's automaton, prepared for both passes.
#[derive(Debug)]
pub(super) struct Walk {
    states: Box<[State]>,
    start: u32,
    classes: Box<[Class; 256]>,
    /// How many entries a set has in the table of what stands before it.
    stride: usize,
    /// Which states lead to a state by a byte of these classes.
    from: Box<[Vec<(u32, u8, u8)>]>,
    /// Which states lead to a state without a byte.
    silent: Box<[Vec<u32>]>,
    matches: Vec<u32>,
    slots: usize,
}

/// What is to know of a byte.
#[derive(Clone, Copy, Default, Debug)]
struct Class {
    /// Its class, times [`KINDS`]: all bytes of a class are alike.
    class: u16,
    /// What it is to the byte behind it.
    kind: u16,
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
    /// Prepares a pattern in Rust's syntax to tell where these of its groups lie; `None`
    /// where it cannot be searched so.
    pub(super) fn new(pattern: &str, groups: &[usize], limit: usize, nest: u32) -> Option<Self> {
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
        Self::of(&nfa, groups)
    }

    fn of(nfa: &NFA, groups: &[usize]) -> Option<Self> {
        let bytes = nfa.byte_classes();
        let number = |id: regex_automata::util::primitives::StateID| {
            u32::try_from(id.as_usize()).unwrap_or(u32::MAX)
        };
        let mut states: Box<[State]> = nfa
            .states()
            .iter()
            .map(|state| of_state(state, groups, &number))
            .collect();
        let start = shorten(&mut states, number(nfa.start_anchored()));
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
                // Nothing leads here any more.
                State::Any(all) if all.len() == 1 => {}
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
        let mut classes = Box::new([Class::default(); 256]);
        for (byte, known) in (0..=u8::MAX).zip(&mut *classes) {
            known.class = u16::from(bytes.get(byte)) * KINDS;
            known.kind = u16::from(kind_of(byte));
        }
        Some(Self {
            states,
            start,
            classes,
            stride: bytes.alphabet_len() * usize::from(KINDS),
            from: from.into(),
            silent: silent.into(),
            matches,
            slots: groups.len() * 2,
        })
    }

    fn state(&self, at: u32) -> &State {
        self.states.get(at as usize).unwrap_or(&State::Fail)
    }

    fn class(&self, byte: u8) -> Class {
        self.classes
            .get(usize::from(byte))
            .copied()
            .unwrap_or_default()
    }
}

/// Has every state lead past those that only lead on; the start that is left.
fn shorten(states: &mut [State], start: u32) -> u32 {
    let ends = ends(states);
    let to = |next: &mut u32| *next = ends.get(*next as usize).copied().unwrap_or(*next);
    for state in states {
        match state {
            State::Bytes(ranges) => ranges.iter_mut().for_each(|(.., next)| to(next)),
            State::Any(all) if all.len() > 1 => all.iter_mut().for_each(to),
            State::Keep(_, next) | State::Look(_, next) => to(next),
            State::Any(_) | State::Match | State::Fail => {}
        }
    }
    let mut start = start;
    to(&mut start);
    start
}

/// Where each state leads that only leads on, and every other state itself. No state is
/// gone through twice: a rule may have tens of thousands in a row.
fn ends(states: &[State]) -> Vec<u32> {
    let mut ends: Vec<u32> = (0..u32::try_from(states.len()).unwrap_or(0)).collect();
    let mut known = vec![false; states.len()];
    let mut passed = Vec::new();
    for from in 0..ends.len() {
        let mut at = from;
        while let Some(State::Any(all)) = states.get(at)
            && let [next] = **all
            && let Some(known) = known.get_mut(at).filter(|known| !**known)
        {
            // A circle ends at a state that only leads on, which is right: it has no end.
            *known = true;
            passed.push(at);
            at = next as usize;
        }
        let end = ends.get(at).copied();
        for at in passed.drain(..) {
            if let (Some(place), Some(end)) = (ends.get_mut(at), end) {
                *place = end;
            }
        }
    }
    ends
}

fn of_state(
    state: &thompson::State,
    groups: &[usize],
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
        thompson::State::Capture {
            next,
            slot,
            group_index,
            ..
        } => {
            // The slots of a group are neighbours, the first of them even.
            let wanted = groups
                .iter()
                .position(|group| *group == group_index.as_usize());
            match wanted {
                Some(place) => State::Keep(place * 2 + slot.as_usize() % 2, number(*next)),
                None => State::Any([number(*next)].into()),
            }
        }
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
fn holds(look: Look, before: u16, next: Option<u8>) -> bool {
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
    /// The set before a byte, by set, class and kind.
    before: Vec<u16>,
    /// The set at the text's end, by kind.
    ends: [Option<u16>; KINDS as usize],
    steps: Vec<Step>,
    missed: usize,
    kept: Vec<Box<[usize]>>,
    bytes: usize,
    searches: u32,
    path: Vec<u16>,
    slots: Vec<usize>,
    room: Room,
}

/// From a state, by a byte's class, into a set: to this state, keeping these slots. It has
/// two places, the second being the neighbour of the first.
#[derive(Clone, Copy, Debug)]
struct Step {
    key: u64,
    to: u32,
    kept: u32,
}

impl Step {
    const NONE: Self = Self {
        key: u64::MAX,
        to: 0,
        kept: 0,
    };

    fn key(state: u32, class: u16, set: u16) -> u64 {
        u64::from(state) << 32 | u64::from(class) << 16 | u64::from(set)
    }

    /// The state and the set of a key.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half, and the lowest part"
    )]
    fn of(key: u64) -> (u32, u16) {
        ((key >> 32) as u32, key as u16)
    }

    /// The first place among so many, which are a power of two.
    fn place(key: u64, places: usize) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize & (places - 1)
    }
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

    /// Where a group of the last match lies, by its place among those that are wanted.
    pub(super) fn group(&self, group: usize) -> Option<(usize, usize)> {
        let (start, end) = (*self.slots.get(group * 2)?, *self.slots.get(group * 2 + 1)?);
        (start != NOWHERE && end != NOWHERE).then_some((start, end))
    }

    /// Fills the path; the leftmost position where a match begins.
    fn backward(&mut self, walk: &Walk, text: &[u8]) -> Result<Option<usize>, Full> {
        let mut path = core::mem::take(&mut self.path);
        if path.len() <= text.len() {
            path.resize(text.len() + 1, 0);
        }
        let filled = self.fill(walk, text, &mut path);
        let known = path.get(..=text.len()).unwrap_or_default();
        let begin = known.iter().position(|set| *set & BEGINS != 0);
        self.path = path;
        filled.map(|()| begin)
    }

    fn fill(&mut self, walk: &Walk, text: &[u8], path: &mut [u16]) -> Result<(), Full> {
        let end = text.last().map_or(0, |byte| walk.class(*byte).kind);
        let mut set = match self.ends.get(usize::from(end)).copied().flatten() {
            Some(set) => set,
            None => {
                let set = self.number(walk, None, None, end)?;
                if let Some(known) = self.ends.get_mut(usize::from(end)) {
                    *known = Some(set);
                }
                set
            }
        };
        if let Some(last) = path.get_mut(text.len()) {
            *last = set;
        }
        let Some((last, before)) = text.split_last() else {
            return Ok(());
        };
        let (mut byte, mut class) = (*last, walk.class(*last).class);
        let places = path.get_mut(1..text.len()).unwrap_or_default();
        for (previous, here) in before.iter().zip(places).rev() {
            let known = walk.class(*previous);
            set = self.step_back(walk, set, byte, class + known.kind)?;
            *here = set;
            (byte, class) = (*previous, known.class);
        }
        set = self.step_back(walk, set, byte, class)?;
        if let Some(first) = path.first_mut() {
            *first = set;
        }
        Ok(())
    }

    /// The set before a byte with its class and what stands before it.
    #[inline]
    fn step_back(&mut self, walk: &Walk, set: u16, byte: u8, entry: u16) -> Result<u16, Full> {
        let place = usize::from(set & !BEGINS) * walk.stride + usize::from(entry);
        match self.before.get(place) {
            Some(found) if *found != UNKNOWN => Ok(*found),
            _ => {
                let before = entry % KINDS;
                let found = self.number(walk, Some(set & !BEGINS), Some(byte), before)?;
                if let Some(known) = self.before.get_mut(place) {
                    *known = found;
                }
                Ok(found)
            }
        }
    }

    /// The number of the set of states before a byte after which `after` holds; of those at
    /// the end without one.
    #[cold]
    fn number(
        &mut self,
        walk: &Walk,
        after: Option<u16>,
        byte: Option<u8>,
        before: u16,
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
            let class = walk.class(byte).class / KINDS;
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
        if self.bytes + bytes > MOST || fresh >= BEGINS - 1 {
            return Err(Full);
        }
        self.bytes += bytes;
        let begins = alive.binary_search(&walk.start).is_ok();
        let fresh = if begins { fresh | BEGINS } else { fresh };
        self.before.resize(self.before.len() + stride, UNKNOWN);
        self.sets.push(alive.into());
        self.numbers.insert(alive.into(), fresh);
        Ok(fresh)
    }

    /// Walks from where the match begins, keeping what it passes.
    fn forward(&mut self, walk: &Walk, text: &[u8], begin: usize) -> Option<()> {
        if self.steps.is_empty() {
            self.steps.resize(STEPS, Step::NONE);
            self.kept.push(Box::default());
        } else if self.missed > self.steps.len() && self.steps.len() < MOST_STEPS {
            self.missed = 0;
            let more = self.steps.len() * 4;
            self.steps.clear();
            self.steps.resize(more, Step::NONE);
        }
        self.slots.clear();
        self.slots.resize(walk.slots, NOWHERE);
        let mut steps = core::mem::take(&mut self.steps);
        let path = core::mem::take(&mut self.path);
        let walked = self.walk_on(walk, text, (begin, &path), &mut steps);
        (self.steps, self.path) = (steps, path);
        walked
    }

    fn walk_on(
        &mut self,
        walk: &Walk,
        text: &[u8],
        (begin, path): (usize, &[u16]),
        steps: &mut [Step],
    ) -> Option<()> {
        let key = Step::key(walk.start, NO_CLASS, *path.get(begin)?);
        let mut step = match steps.get(Step::place(key, steps.len())) {
            Some(known) if known.key == key => *known,
            _ => self.step(walk, key, None, steps)?,
        };
        let sets = path.get(begin + 1..=text.len())?;
        let mut bytes = text.get(begin..)?.iter().zip(sets).zip(begin + 1..);
        let mut at = begin;
        loop {
            if step.kept != 0 {
                for slot in self.kept.get(step.kept as usize)?.iter() {
                    *self.slots.get_mut(*slot)? = at;
                }
            }
            if step.to & ENDS != 0 {
                return Some(());
            }
            let ((byte, set), next) = bytes.next()?;
            at = next;
            let key = Step::key(step.to, walk.class(*byte).class, *set);
            step = match steps.get(Step::place(key, steps.len())) {
                Some(known) if known.key == key => *known,
                _ => self.step(walk, key, Some(*byte), steps)?,
            };
        }
    }

    /// A step that is not in its first place: in its second one, or not remembered yet.
    #[cold]
    fn step(
        &mut self,
        walk: &Walk,
        key: u64,
        byte: Option<u8>,
        steps: &mut [Step],
    ) -> Option<Step> {
        let place = Step::place(key, steps.len());
        let (first, second) = (*steps.get(place)?, *steps.get(place ^ 1)?);
        let step = if second.key == key {
            second
        } else {
            self.missed += 1;
            let (state, set) = Step::of(key);
            let next = match (byte, walk.state(state)) {
                (None, _) => state,
                (Some(byte), State::Bytes(ranges)) => {
                    let mut ranges = ranges.iter();
                    let fits = |(low, high, _): &&(u8, u8, u32)| (*low..=*high).contains(&byte);
                    ranges.find(fits)?.2
                }
                _ => return None,
            };
            let alive = self.sets.get(usize::from(set & !BEGINS))?;
            Step {
                key,
                to: choose(walk, next, alive, &mut self.room)?,
                kept: keep(&mut self.kept, &self.room.kept)?,
            }
        };
        *steps.get_mut(place ^ 1)? = first;
        *steps.get_mut(place)? = step;
        Some(step)
    }
}

/// The number of a list of slots.
fn keep(lists: &mut Vec<Box<[usize]>>, slots: &[usize]) -> Option<u32> {
    let known = lists.iter().position(|known| **known == *slots);
    if known.is_none() && lists.len() >= LISTS {
        return None;
    }
    let at = known.unwrap_or_else(|| {
        lists.push(slots.into());
        lists.len() - 1
    });
    u32::try_from(at).ok()
}

/// Follows what takes no byte, the first choice that can be completed each time; the state
/// that takes one, or ends the match. What is kept on the way is in the room.
fn choose(walk: &Walk, from: u32, alive: &[u32], room: &mut Room) -> Option<u32> {
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
            State::Bytes(_) => return Some(state),
            State::Match => return Some(state | ENDS),
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
