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
//! Refuses: texts longer than [`LONGEST`]. Memory is bounded: what was numbered is
//! forgotten at [`MOST`] bytes, and soon after that a search gives up instead. On failure:
//! `None`, and whoever asked searches in another way.

use std::collections::HashMap;

use super::walk::{KINDS, State, Walk, holds};

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
const UNKNOWN: u16 = u16::MAX;
/// Marks the number of a set in which a match can begin.
const BEGINS: u16 = 1 << 15;
const NOWHERE: usize = usize::MAX;
/// Marks a state that ends the match.
const ENDS: u32 = 1 << 31;

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
