//! Header lines as ranges into the caller's buffer, in the order and case they came in.

use crate::Fault;
use crate::head::Line;
use crate::name::{HeaderId, HeaderSet};
use crate::scan::{self, NameKind};

/// One header line, as ranges from the head's first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    name: u32,
    name_end: u32,
    value: u32,
    value_end: u32,
    id: HeaderId,
    /// What the name would be known as, were its odd characters dashes.
    alias: HeaderId,
    /// Whether the line reads `Name: value` with exactly one space and none at its end.
    usual: bool,
}

impl Slot {
    /// The whole line, CR LF included, when it could not be written differently.
    pub(crate) const fn usual_line(&self) -> Option<(u32, u32)> {
        if self.usual {
            Some((self.name, self.value_end + 2))
        } else {
            None
        }
    }
}

/// The header lines of one head. Cleared, not freed, between messages.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    /// Where each known name stands first, plus one.
    first: [u16; HeaderId::COUNT],
    seen: HeaderSet,
    repeated: HeaderSet,
    aliased: HeaderSet,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            first: [0; HeaderId::COUNT],
            seen: HeaderSet::EMPTY,
            repeated: HeaderSet::EMPTY,
            aliased: HeaderSet::EMPTY,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        // `first` is only read for what `seen` holds, so it need not be cleared.
        self.seen = HeaderSet::EMPTY;
        self.repeated = HeaderSet::EMPTY;
        self.aliased = HeaderSet::EMPTY;
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) const fn seen(&self) -> HeaderSet {
        self.seen
    }

    pub(crate) const fn repeated(&self) -> HeaderSet {
        self.repeated
    }

    pub(crate) const fn aliased(&self) -> HeaderSet {
        self.aliased
    }

    /// Takes one header line.
    #[inline]
    pub(crate) fn push(&mut self, line: Line<'_>) -> Result<(), Fault> {
        let Line { bytes, at, clean } = line;
        let colon = scan::first_colon(bytes);
        let Some((name, [_, rest @ ..])) = bytes.split_at_checked(colon) else {
            return Err(name_fault(bytes));
        };
        let kind = scan::name_kind(name);
        if kind == NameKind::Bad {
            return Err(name_fault(bytes));
        }
        let value = scan::trim_start(rest);
        let value_at = bytes.len() - value.len();
        let value = scan::trim_end(value);
        if !clean && !scan::is_clean(value, true) {
            return Err(control_fault(value, Fault::HeaderControl));
        }
        let value_end = value_at + value.len();
        let (id, alias) = match kind {
            NameKind::Plain => (HeaderId::of(name), HeaderId::Other),
            NameKind::Odd | NameKind::Bad => (HeaderId::Other, HeaderId::alias_of(name)),
        };
        let end = u32::try_from(at + bytes.len()).map_err(|_| Fault::HeadTooLong)?;
        // Offsets are at most the line's length, which `end` shows to fit.
        let before_end = |offset: usize| end - u32::try_from(bytes.len() - offset).unwrap_or(end);
        self.slots.push(Slot {
            name: before_end(0),
            name_end: before_end(colon),
            value: before_end(value_at),
            value_end: before_end(value_end),
            id,
            alias,
            usual: value_at == colon + 2 && rest.first() == Some(&b' ') && value_end == bytes.len(),
        });
        self.note(id, alias);
        Ok(())
    }

    fn note(&mut self, id: HeaderId, alias: HeaderId) {
        if self.seen.has(id) {
            self.repeated = self.repeated.and(id);
        } else if let (Some(first), Ok(number)) = (
            self.first.get_mut(id as usize),
            u16::try_from(self.slots.len()),
        ) {
            *first = number;
            self.seen = self.seen.and(id);
        }
        self.aliased = self.aliased.and(alias);
    }
}

/// Which fault a line has that does not begin with a token and a colon.
#[cold]
fn name_fault(line: &[u8]) -> Fault {
    let name_len = line
        .iter()
        .position(|b| !scan::is_token(*b))
        .unwrap_or(line.len());
    match line.get(name_len..) {
        None | Some([]) => Fault::HeaderColon,
        Some([b' ' | b'\t', ..]) if name_len == 0 => Fault::HeaderFold,
        Some([b'\r', ..]) => Fault::BareCr,
        Some([b' ' | b'\t', rest @ ..]) if scan::trim_start(rest).first() == Some(&b':') => {
            Fault::HeaderSpace
        }
        Some(rest) if !rest.contains(&b':') => control_fault(rest, Fault::HeaderColon),
        Some(_) => Fault::HeaderName,
    }
}

/// A carriage return among `bytes` is a fault of line ends; all else is `otherwise`.
pub(crate) fn control_fault(bytes: &[u8], otherwise: Fault) -> Fault {
    if bytes.contains(&b'\r') {
        Fault::BareCr
    } else {
        otherwise
    }
}

/// One header: its id, and its name and value as sent, without surrounding white space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The known name, or [`HeaderId::Other`].
    pub id: HeaderId,
    /// The known name that a gateway behind us might mistake this one for:
    /// `X_Forwarded_For` aliases `X-Forwarded-For`. [`HeaderId::Other`] when none.
    pub alias: HeaderId,
    /// The name in the sender's case.
    pub name: &'a [u8],
    /// The value; may be empty, holds no control character but tabs.
    pub value: &'a [u8],
}

/// The header lines of one message. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    pub(crate) index: &'a Index,
    pub(crate) buf: &'a [u8],
}

impl<'a> Headers<'a> {
    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All lines in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let Self { index, buf } = *self;
        index.slots.iter().map(move |slot| header(slot, buf))
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = (&'a Slot, Header<'a>)> + use<'a> {
        let Self { index, buf } = *self;
        index
            .slots
            .iter()
            .map(move |slot| (slot, header(slot, buf)))
    }

    /// Which known names are present.
    #[must_use]
    pub const fn present(&self) -> HeaderSet {
        self.index.seen
    }

    /// The value of the first line with this known name; constant time.
    /// Never anything for [`HeaderId::Other`].
    #[must_use]
    pub fn first(&self, id: HeaderId) -> Option<&'a [u8]> {
        if !self.index.seen.has(id) {
            return None;
        }
        let number = usize::from(*self.index.first.get(id as usize)?);
        let slot = self.index.slots.get(number.checked_sub(1)?)?;
        Some(header(slot, self.buf).value)
    }

    /// The values of all lines with this known name, in order.
    pub fn all(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let lines = if self.index.seen.has(id) {
            self.index.slots.as_slice()
        } else {
            &[]
        };
        let buf = self.buf;
        lines
            .iter()
            .filter(move |slot| slot.id == id)
            .map(move |slot| header(slot, buf).value)
    }

    /// The values of all lines with this name, known or not, in any case.
    pub fn named<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter()
            .filter(|h| h.name.eq_ignore_ascii_case(name))
            .map(|h| h.value)
    }

    /// The elements of a comma-separated list header over all its lines; white space
    /// and empty elements dropped. Quoted strings are not understood here.
    pub fn tokens(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.all(id)
            .flat_map(|value| value.split(|b| *b == b','))
            .map(scan::trim)
            .filter(|token| !token.is_empty())
    }
}

fn header<'a>(slot: &Slot, buf: &'a [u8]) -> Header<'a> {
    Header {
        id: slot.id,
        alias: slot.alias,
        name: cut(buf, slot.name, slot.name_end),
        value: cut(buf, slot.value, slot.value_end),
    }
}

/// A range of the buffer; empty when the caller handed another buffer than it parsed.
pub(crate) fn cut(buf: &[u8], from: u32, to: u32) -> &[u8] {
    buf.get(from as usize..to as usize).unwrap_or_default()
}
