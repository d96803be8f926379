//! Facts about the whole of a field: it is one of these texts, none of these, or begins
//! with that byte. All that are known of a text are found by one look at it.

use expr::{Env, Expr, SlotId, Value};

use super::{FactSet, Seen};

/// A fact about the whole of a field.
#[derive(Debug)]
pub(super) struct TextFact {
    pub(super) slot: SlotId,
    pub(super) test: TextIs,
    pub(super) fact: usize,
}

/// What is asked of the whole of a field.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum TextIs {
    OneOf(Vec<Box<[u8]>>),
    NoneOf(Vec<Box<[u8]>>),
    Begins(u8),
}

impl TextIs {
    fn holds(&self, text: &[u8]) -> bool {
        let is_among = |texts: &[Box<[u8]>]| texts.iter().any(|known| **known == *text);
        match self {
            Self::OneOf(texts) => is_among(texts),
            Self::NoneOf(texts) => !is_among(texts),
            Self::Begins(byte) => text.first() == Some(byte),
        }
    }
}

/// A condition that rests on the text of one field alone, neither fails nor changes anything,
/// and looks into no data file.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) slot: SlotId,
    pub(super) condition: Expr,
    pub(super) fact: usize,
    /// The fact that it could not be told, and must be asked again.
    pub(super) doubt: usize,
}

/// A text as the only one that there is.
struct Alone<'t>(&'t [u8]);

impl Env for Alone<'_> {
    fn text(&self, _: SlotId) -> &[u8] {
        self.0
    }

    fn value(&self, _: SlotId) -> Value<'_> {
        Value::from(self.0)
    }
}

impl Asked {
    /// The facts that hold of a text. A long one may need more than expressions may do.
    fn facts(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let (held, doubt) = match self.condition.truth(&Alone(text)) {
            Ok(held) => (held, false),
            Err(_) => (true, true),
        };
        let held = held.then_some(self.fact);
        held.into_iter().chain(doubt.then_some(self.doubt))
    }
}

/// The facts about the whole of one field, by the texts that any of them names.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) slot: SlotId,
    /// The texts, packed, in order; and at the same place the text and what holds of it.
    packed: Box<[Packed]>,
    known: Vec<(Box<[u8]>, Bits)>,
    /// How long the longest of them is.
    longest: usize,
    /// What holds of a field that is empty or was not set.
    empty: Bits,
    /// What holds of every other text.
    otherwise: Bits,
    /// What holds of other texts that begin with a byte.
    begins: Vec<(u8, Bits)>,
    /// What is asked of other texts.
    asked: Vec<Asked>,
}

/// Words of the fact set and bits in them.
pub(super) type Bits = Box<[(usize, u64)]>;

/// A text's length and first bytes: texts of up to seven bytes are equal when these are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Packed(u64);

impl Packed {
    const WHOLE: usize = 7;

    fn new(text: &[u8]) -> Self {
        let mut packed = match text.first_chunk::<{ Self::WHOLE }>() {
            Some([a, b, c, d, e, f, g]) => u64::from_be_bytes([0, *a, *b, *c, *d, *e, *f, *g]),
            None => text
                .iter()
                .fold(0, |packed, byte| packed << 8 | u64::from(*byte)),
        };
        packed |= (text.len().min(255) as u64) << 56;
        Self(packed)
    }
}

impl Texts {
    pub(super) fn new(slot: SlotId, facts: &[&TextFact], asked: Vec<Asked>) -> Self {
        let named = facts.iter().flat_map(|known| match &known.test {
            TextIs::OneOf(texts) | TextIs::NoneOf(texts) => texts.as_slice(),
            TextIs::Begins(_) => &[],
        });
        let mut texts: Vec<&Box<[u8]>> = named.collect();
        texts.sort_unstable();
        texts.dedup();
        let that = |holds: &dyn Fn(&TextIs) -> bool| {
            let held = facts.iter().filter(|known| holds(&known.test));
            bits(held.map(|known| known.fact))
        };
        let of = |text: &[u8]| {
            let held = facts.iter().filter(|known| known.test.holds(text));
            let held = held.map(|known| known.fact);
            bits(held.chain(asked.iter().flat_map(|asked| asked.facts(text))))
        };
        let begins = facts.iter().filter_map(|known| match known.test {
            TextIs::Begins(byte) => Some((byte, bits(core::iter::once(known.fact)))),
            _ => None,
        });
        let known = texts
            .into_iter()
            .map(|text| (Packed::new(text), text.clone(), of(text)));
        let mut known: Vec<(Packed, Box<[u8]>, Bits)> = known.collect();
        known.sort_by_key(|(packed, ..)| *packed);
        let lengths = known.iter().map(|(_, text, _)| text.len());
        Self {
            slot,
            longest: lengths.max().unwrap_or(0),
            packed: known.iter().map(|(packed, ..)| *packed).collect(),
            known: known
                .into_iter()
                .map(|(_, text, held)| (text, held))
                .collect(),
            empty: of(b""),
            otherwise: that(&|test| matches!(test, TextIs::NoneOf(_))),
            begins: begins.collect(),
            asked,
        }
    }

    /// The facts that hold of a field that is empty or was not set.
    pub(super) fn bare(&self) -> &Bits {
        &self.empty
    }

    /// Sets the facts that hold of a field's text that is not empty.
    pub(super) fn look(&self, text: &[u8], facts: &mut FactSet, seen: &mut Seen) {
        if text.len() > self.longest {
            return self.look_at_other(text, facts, seen);
        }
        let packed = Packed::new(text);
        let first = self.packed.partition_point(|known| *known < packed);
        let alike = self.packed.get(first..).unwrap_or_default().iter();
        let alike = alike.zip(self.known.get(first..).unwrap_or_default());
        for (_, (whole, held)) in alike.take_while(|(known, _)| **known == packed) {
            if text.len() <= Packed::WHOLE || **whole == *text {
                return facts.set_all(held);
            }
        }
        self.look_at_other(text, facts, seen);
    }

    /// Sets the facts that hold of a text that none of them names.
    fn look_at_other(&self, text: &[u8], facts: &mut FactSet, seen: &mut Seen) {
        facts.set_all(&self.otherwise);
        for (byte, held) in &self.begins {
            if text.first() == Some(byte) {
                facts.set_all(held);
            }
        }
        if self.asked.is_empty() {
            return;
        }
        let asked = self.asked.iter().flat_map(|asked| asked.facts(text));
        match seen.place(self.slot, text) {
            Some((seen, known)) => {
                if !known {
                    seen.facts.extend(asked);
                }
                seen.facts.iter().for_each(|fact| facts.set(*fact));
            }
            None => asked.for_each(|fact| facts.set(fact)),
        }
    }
}

pub(super) fn bits(facts: impl Iterator<Item = usize>) -> Bits {
    let mut bits: Vec<(usize, u64)> = Vec::new();
    for fact in facts {
        let bit = 1 << (fact % 64);
        match bits.iter_mut().find(|(word, _)| *word == fact / 64) {
            Some((_, known)) => *known |= bit,
            None => bits.push((fact / 64, bit)),
        }
    }
    bits.into()
}
