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
/// How many rows of steps are remembered at first, and at most: where more are missed than
/// there is room for, the room is made larger.
const ROWS: usize = 256;
const MOST_ROWS: usize = 4_096;
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
    steps: Vec<Row>,
    missed: usize,
    kept: Vec<Box<[usize]>>,
    /// What all of these take.
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

impl Step {
    const NONE: Self = Self {
        key: u64::MAX,
        to: 0,
        kept: 0,
    };

    fn key(state: u32, class: u16, set: u16) -> u64 {
        u64::from(state) << 32 | u64::from(class) << 16 | u64::from(set)
    }

    /// The state, the class and the set of a key.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half, and the two parts of the lower one"
    )]
    fn of(key: u64) -> (u32, u16, u16) {
        ((key >> 32) as u32, (key >> 16) as u16, key as u16)
    }
}

/// Steps that share a place, as many as a line of the processor's cache holds.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Row([Step; 4]);

impl Row {
    const NONE: Self = Self([Step::NONE; 4]);

    /// The row of a step among so many, which are a power of two. It hangs on the class and
    /// the set alone and not on the state: so the processor looks rows up long before it
    /// knows how the walk comes there.
    #[inline]
    fn place(class: u16, set: u16, rows: usize) -> usize {
        let text = u64::from(class) << 16 | u64::from(set);
        (text.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (rows - 1)
    }

    /// Where a step goes that finds no room there.
    fn second_place(key: u64, rows: usize) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize & (rows - 1)
    }

    #[inline]
    fn find(&self, key: u64) -> Option<&Step> {
        let [first, second, third, fourth] = &self.0;
        if first.key == key {
            return Some(first);
        }
        [second, third, fourth]
            .into_iter()
            .find(|step| step.key == key)
    }

    /// Puts a step first; the one that finds no room any more.
    fn push(&mut self, step: Step) -> Step {
        let [first, second, third, last] = self.0;
        self.0 = [step, first, second, third];
        last
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
        match self.both(walk, text) {
            Ok(matched) => Some(matched),
            Err(Full) if self.searches > PATIENCE => {
                *self = Self::default();
                self.both(walk, text).ok()
            }
            Err(Full) => None,
        }
    }

    /// Both passes; whether it matches.
    fn both(&mut self, walk: &Walk, text: &[u8]) -> Result<bool, Full> {
        match self.backward(walk, text)? {
            Some(begin) => self.forward(walk, text, begin).ok_or(Full).map(|()| true),
            None => Ok(false),
        }
    }

    /// How many bytes are held, the path of the last text left out.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        let sets: usize = self.sets.iter().map(|set| set.len() * 8 + 32).sum();
        let kept: usize = self.kept.iter().map(|kept| size_of_val(&**kept) + 16).sum();
        sets + kept + self.before.len() * 2 + self.steps.len() * size_of::<Row>()
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
        let mut left = text.len();
        while left > 0 {
            left = self.step_back(walk, text.get(..left).unwrap_or_default(), &mut set, path);
            let Some(at) = left.checked_sub(1) else { break };
            // This step is not known yet.
            let entry = walk.entry(text, at);
            let (byte, kind) = (text.get(at).copied(), entry % walk.kinds);
            let found = self.number(walk, Some(set & !BEGINS), byte, kind)?;
            let known = self.before.get_mut(walk.place(set & !BEGINS, entry));
            if let (Some(known), Some(place)) = (known, path.get_mut(at)) {
                (*known, *place) = (found, found);
            }
            (set, left) = (found, at);
        }
        Ok(())
    }

    /// Goes back from the end of a text, where `set` is, as far as steps are known; how much
    /// of the text is left then.
    #[inline]
    fn step_back(&self, walk: &Walk, text: &[u8], set: &mut u16, path: &mut [u16]) -> usize {
        let step = |now: u16, entry: u16| {
            let found = self.before.get(walk.place(now & !BEGINS, entry)).copied();
            found.filter(|found| *found != UNKNOWN)
        };
        let Some((last, earlier)) = text.split_last() else {
            return 0;
        };
        let (mut now, mut class) = (*set, walk.class(*last).class);
        let mut left = text.len();
        let places = path.get_mut(1..left).unwrap_or_default();
        for (byte, place) in earlier.iter().zip(places).rev() {
            let known = walk.class(*byte);
            let Some(found) = step(now, class + known.kind) else {
                *set = now;
                return left;
            };
            (*place, now, class) = (found, found, known.class);
            left -= 1;
        }
        *set = now;
        match (step(now, class), path.first_mut()) {
            (Some(found), Some(first)) => {
                (*first, *set) = (found, found);
                0
            }
            _ => 1,
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
        let before = walk.kind(before);
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
            let class = walk.class(byte).class / walk.kinds;
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
        let stride = 1 << walk.stride;
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
            self.kept.push(Box::default());
            self.make_room(ROWS);
        } else if self.missed > self.steps.len() * 4 && self.steps.len() < MOST_ROWS {
            self.make_room(self.steps.len() * 4);
        }
        self.slots.clear();
        self.slots.resize(walk.slots, NOWHERE);
        let mut steps = core::mem::take(&mut self.steps);
        let path = core::mem::take(&mut self.path);
        let walked = self.walk_on(walk, text, (begin, &path), &mut steps);
        (self.steps, self.path) = (steps, path);
        walked
    }

    /// Room for as many rows of steps; those that were there are forgotten.
    fn make_room(&mut self, rows: usize) {
        self.missed = 0;
        self.bytes += rows.saturating_sub(self.steps.len()) * size_of::<Row>();
        self.steps.clear();
        self.steps.resize(rows, Row::NONE);
    }

    fn walk_on(
        &mut self,
        walk: &Walk,
        text: &[u8],
        (begin, path): (usize, &[u16]),
        steps: &mut [Row],
    ) -> Option<()> {
        let set = *path.get(begin)?;
        let key = Step::key(walk.start, NO_CLASS, set);
        let row = steps.get(Row::place(NO_CLASS, set, steps.len()))?;
        let (mut to, mut kept) = match row.find(key) {
            Some(known) => (known.to, known.kept),
            None => self.step(walk, key, None, steps)?,
        };
        let sets = path.get(begin + 1..=text.len())?;
        let mut bytes = text.get(begin..)?.iter().zip(sets).zip(begin + 1..);
        let mut at = begin;
        loop {
            if kept != 0 {
                for slot in self.kept.get(kept as usize)?.iter() {
                    *self.slots.get_mut(*slot)? = at;
                }
            }
            if to & ENDS != 0 {
                return Some(());
            }
            let ((byte, set), next) = bytes.next()?;
            at = next;
            let class = walk.class(*byte).class;
            let row = steps.get(Row::place(class, *set, steps.len()))?;
            let key = Step::key(to, class, *set);
            (to, kept) = match row.find(key) {
                Some(known) => (known.to, known.kept),
                None => self.step(walk, key, Some(*byte), steps)?,
            };
        }
    }

    /// A step that is not in its row: in its second one, or not remembered yet.
    #[cold]
    fn step(
        &mut self,
        walk: &Walk,
        key: u64,
        byte: Option<u8>,
        steps: &mut [Row],
    ) -> Option<(u32, u32)> {
        let rows = steps.len();
        if let Some(known) = steps.get(Row::second_place(key, rows))?.find(key) {
            return Some((known.to, known.kept));
        }
        self.missed += 1;
        let (state, class, set) = Step::of(key);
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
        let to = choose(walk, next, alive, &mut self.room)?;
        let kept = self.keep()?;
        let row = steps.get_mut(Row::place(class, set, rows))?;
        let moved = row.push(Step { key, to, kept });
        if moved.key != Step::NONE.key {
            steps
                .get_mut(Row::second_place(moved.key, rows))?
                .push(moved);
        }
        Some((to, kept))
    }

    /// The number of the list of slots that is in the room.
    fn keep(&mut self) -> Option<u32> {
        let slots = self.room.kept.as_slice();
        let known = self.kept.iter().position(|known| **known == *slots);
        let at = match known {
            Some(at) => at,
            None => {
                let bytes = size_of_val(slots) + 16;
                if self.kept.len() >= LISTS || self.bytes + bytes > MOST {
                    return None;
                }
                self.bytes += bytes;
                self.kept.push(slots.into());
                self.kept.len() - 1
            }
        };
        u32::try_from(at).ok()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_what_is_kept_count_towards_the_bound() {
        let mut ways = Ways::default();
        let mut lists = 0;
        for first in 0..LISTS {
            ways.room.kept.clear();
            ways.room.kept.extend(first..first + 2_000);
            lists += usize::from(ways.keep().is_some());
        }
        assert!((100..200).contains(&lists), "{lists} of 16 kB each");
        assert!(ways.weight() <= MOST, "{}", ways.weight());
    }
}
