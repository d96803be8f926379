//! A pattern's automaton, prepared for a search in two passes ([`Ways`](super::ways::Ways)).
//!
//! For: knowing beforehand what both passes ask: where a state leads, what leads to it, and
//! which bytes are alike. Refuses: assertions about words beyond ASCII. Assumes: patterns
//! are bounded by whoever compiles them. On failure: `None`, and the pattern is searched in
//! another way.

use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::syntax;

/// How many kinds there are of what may stand before a position at most.
pub(super) const KINDS: u16 = 4;
/// Nothing, a line's end, a word's letter, another byte.
const NOTHING: u16 = 0;
const LINE_END: u16 = 1;
const LETTER: u16 = 2;
const OTHER: u16 = 3;

/// A pattern's automaton, prepared for both passes.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) states: Box<[State]>,
    pub(super) start: u32,
    pub(super) classes: Box<[Class; 256]>,
    /// How many kinds there are of what stands before a position: as many as the pattern's
    /// assertions tell apart.
    pub(super) kinds: u16,
    /// How many entries a set has in the table of what stands before it, as a power of two.
    pub(super) stride: u32,
    /// Which states lead to a state by a byte of these classes.
    pub(super) from: Box<[Vec<(u32, u8, u8)>]>,
    /// Which states lead to a state without a byte.
    pub(super) silent: Box<[Vec<u32>]>,
    pub(super) matches: Vec<u32>,
    pub(super) slots: usize,
}

/// What is to know of a byte.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Class {
    /// Its class, times [`Walk::kinds`]: all bytes of a class are alike.
    pub(super) class: u16,
    /// What it is to the byte behind it.
    pub(super) kind: u16,
}

#[derive(Debug)]
pub(super) enum State {
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
        let looks = nfa.look_set_any();
        let kinds = if looks.contains(Look::Start) || looks.contains(Look::StartLF) {
            KINDS
        } else if looks.contains_word() {
            2
        } else {
            1
        };
        let mut classes = Box::new([Class::default(); 256]);
        for (byte, known) in (0..=u8::MAX).zip(&mut *classes) {
            known.class = u16::from(bytes.get(byte)) * kinds;
            known.kind = kind_of(byte, kinds);
        }
        let entries = bytes.alphabet_len() * usize::from(kinds);
        Some(Self {
            states,
            start,
            classes,
            kinds,
            stride: entries.next_power_of_two().trailing_zeros(),
            from: from.into(),
            silent: silent.into(),
            matches,
            slots: groups.len() * 2,
        })
    }

    pub(super) fn state(&self, at: u32) -> &State {
        self.states.get(at as usize).unwrap_or(&State::Fail)
    }

    /// The entry of a set's row that tells what stands before the byte at a place of a text:
    /// by its class and by what stands before it.
    pub(super) fn entry(&self, text: &[u8], at: usize) -> u16 {
        let class = |at: usize| text.get(at).map(|byte| self.class(*byte));
        let before = at.checked_sub(1).and_then(class);
        class(at).unwrap_or_default().class + before.unwrap_or_default().kind
    }

    /// Where an entry of a set's row lies.
    #[inline]
    pub(super) fn place(&self, set: u16, entry: u16) -> usize {
        (usize::from(set) << self.stride) + usize::from(entry)
    }

    /// What a kind of this pattern's stands for; what its assertions do not tell apart counts
    /// as another byte.
    pub(super) fn kind(&self, kind: u16) -> u16 {
        match (self.kinds, kind) {
            (KINDS, kind) => kind,
            (_, 0) => OTHER,
            _ => LETTER,
        }
    }

    pub(super) fn class(&self, byte: u8) -> Class {
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

/// The kind of a byte where so many are told apart.
fn kind_of(byte: u8, kinds: u16) -> u16 {
    match (kinds, byte) {
        (KINDS, b'\n') => LINE_END,
        (KINDS, byte) if is_word(byte) => LETTER,
        (KINDS, _) => OTHER,
        (2, byte) => u16::from(is_word(byte)),
        _ => 0,
    }
}

/// Whether an assertion holds between what stands before (a kind) and the next byte.
pub(super) fn holds(look: Look, before: u16, next: Option<u8>) -> bool {
    let boundary = (before == LETTER) != next.is_some_and(is_word);
    match look {
        Look::Start => before == NOTHING,
        Look::StartLF => before == NOTHING || before == LINE_END,
        Look::End => next.is_none(),
        Look::EndLF => next.is_none_or(|byte| byte == b'\n'),
        Look::WordAscii => boundary,
        Look::WordAsciiNegate => !boundary,
        _ => false,
    }
}
