//! Reads MaxMind's database format: a tree of address bits, and records at its leaves.
//!
//! For: GeoIP and ASN lookups in files that the operator supplies. Refuses: what the
//! format forbids, and records nested deeper or spread wider than any real one: an
//! answer costs at most [`MAX_STEPS`] decoded values. Assumes: nothing about the bytes;
//! they may come from a stranger. On failure: a file whose frame is broken is a
//! [`Broken`], a sentence for the operator; a broken record is no record.

use core::net::IpAddr;
use std::sync::Arc;

use expr::{Data, Fields, Missing};
use vocab::Cidr;

/// What stands before the metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The metadata lies within so many bytes of the end.
const TAIL: usize = 128 << 10;
/// How many values one look-up may decode, skipped ones included.
pub const MAX_STEPS: u32 = 4_096;
/// How deep a record may be nested.
pub const MAX_DEPTH: u32 = 16;
/// The zero bytes between tree and records.
const GAP: usize = 16;

/// Why a file is no database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// There is no metadata.
    #[error("it is no MaxMind database: the mark before its metadata is missing")]
    Mark,
    /// The metadata says something that no reader understands.
    #[error("its metadata is damaged or of another version: {0} is missing or out of range")]
    Metadata(&'static str),
    /// The tree is longer than the file.
    #[error("it is cut off: its tree is longer than the file")]
    CutOff,
}

/// A database in memory.
#[derive(Clone, Debug)]
pub struct Database {
    bytes: Arc<[u8]>,
    nodes: u32,
    /// Bits of one half of a node: 24, 28 or 32.
    record: u8,
    /// Where records begin.
    data: usize,
    /// Whether its addresses have 128 bits.
    wide: bool,
    /// Where IPv4 addresses begin in a tree of 128 bits.
    v4: Found,
    kind: String,
}

/// Where a walk down the tree ended.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// At an inner node.
    Node(u32),
    /// At a leaf after so many bits; the record is at this offset.
    Leaf { record: usize, bits: u8 },
    /// Nowhere.
    Nothing,
}

/// A value of a record.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'d> {
    /// The part of the file that offsets count in.
    section: &'d [u8],
    at: usize,
}

/// A value's head: what it is, how long, and where its content begins.
#[derive(Clone, Copy)]
struct Head {
    kind: u8,
    size: usize,
    at: usize,
}

const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const BYTES: u8 = 4;
const MAP: u8 = 7;
const LIST: u8 = 11;
const FLAG: u8 = 14;
const FLOAT: u8 = 15;

impl Database {
    /// Reads a database's frame; its records are read when they are asked for.
    ///
    /// # Errors
    /// When the bytes are no database.
    pub fn open(bytes: Arc<[u8]>) -> Result<Self, Broken> {
        let from = bytes.len().saturating_sub(TAIL);
        let tail = bytes.get(from..).unwrap_or_default();
        let mark = memchr::memmem::rfind(tail, MARKER).ok_or(Broken::Mark)?;
        let section = tail.get(mark + MARKER.len()..).unwrap_or_default();
        let root = Entry { section, at: 0 };
        let number = |key: &'static str, most: u64| {
            let found = root.get(key).and_then(|entry| entry.number());
            found
                .filter(|number| *number <= most)
                .ok_or(Broken::Metadata(key))
        };
        if number("binary_format_major_version", 2)? != 2 {
            return Err(Broken::Metadata("binary_format_major_version"));
        }
        let nodes = u32::try_from(number("node_count", u64::from(u32::MAX) / 2)?).unwrap_or(0);
        let record = match number("record_size", 32)? {
            24 => 24,
            28 => 28,
            32 => 32,
            _ => return Err(Broken::Metadata("record_size")),
        };
        let wide = match number("ip_version", 6)? {
            4 => false,
            6 => true,
            _ => return Err(Broken::Metadata("ip_version")),
        };
        let kind = root.get("database_type").and_then(|entry| entry.text());
        let kind = String::from_utf8_lossy(kind.unwrap_or_default()).into_owned();
        let tree = usize::try_from(u64::from(nodes) * u64::from(record) / 4);
        let data = tree.ok().and_then(|tree| tree.checked_add(GAP));
        let data = data
            .filter(|data| *data <= from + mark)
            .ok_or(Broken::CutOff)?;
        let mut database = Self {
            bytes,
            nodes,
            record,
            data,
            wide,
            v4: Found::Node(0),
            kind,
        };
        if wide {
            database.v4 = database.walk(Found::Node(0), 0, 0, 96);
        }
        Ok(database)
    }

    /// What its metadata calls it, such as `GeoLite2-City`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The record about an address, and the network it is about.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<(Entry<'_>, Cidr)> {
        let address = address.to_canonical();
        let (found, short) = match address {
            IpAddr::V4(four) => {
                let bits = u128::from(four.to_bits()) << 96;
                (self.walk(self.v4, bits, 0, 32), self.wide)
            }
            IpAddr::V6(six) if self.wide => {
                (self.walk(Found::Node(0), six.to_bits(), 0, 128), false)
            }
            IpAddr::V6(_) => return None,
        };
        let Found::Leaf { record, bits } = found else {
            return None;
        };
        // A leaf above all IPv4 addresses was found on the way to them.
        let above = short && matches!(self.v4, Found::Leaf { .. });
        let network = Cidr::new(address, if above { 0 } else { bits })?;
        let section = self.bytes.get(self.data..)?;
        let entry = Entry {
            section,
            at: record,
        };
        Some((entry, network))
    }

    /// Follows the upper bits of `bits` until a leaf, or `most` of them are used up.
    fn walk(&self, from: Found, bits: u128, start: u8, most: u8) -> Found {
        let Found::Node(mut node) = from else {
            return from;
        };
        for used in start..most {
            if node >= self.nodes {
                return Found::Nothing;
            }
            let right = bits >> (127 - u32::from(used)) & 1 == 1;
            let Some(value) = self.half(node, right) else {
                return Found::Nothing;
            };
            if value == self.nodes {
                return Found::Nothing;
            }
            if let Some(record) = value.checked_sub(self.nodes) {
                let record = usize::try_from(record).unwrap_or(usize::MAX);
                return match record.checked_sub(GAP) {
                    Some(record) => Found::Leaf {
                        record,
                        bits: used + 1,
                    },
                    None => Found::Nothing,
                };
            }
            node = value;
        }
        Found::Node(node)
    }

    /// The left or right half of a node.
    fn half(&self, node: u32, right: bool) -> Option<u32> {
        let width = usize::from(self.record) / 4;
        let at = usize::try_from(node).ok()?.checked_mul(width)?;
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte))
        };
        match (self.record, right) {
            (28, false) => {
                let middle = u32::from(*bytes.get(3)?);
                Some((middle & 0xf0) << 20 | number(bytes.get(..3)?))
            }
            (28, true) => {
                let middle = u32::from(*bytes.get(3)?);
                Some((middle & 0x0f) << 24 | number(bytes.get(4..)?))
            }
            (_, false) => Some(number(bytes.get(..width / 2)?)),
            (_, true) => Some(number(bytes.get(width / 2..)?)),
        }
    }
}

impl<'d> Entry<'d> {
    /// The value at a key of a map; `None` when there is none, or this is no map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Self> {
        let mut steps = MAX_STEPS;
        let head = self.head(self.at)?;
        if head.kind != MAP {
            return None;
        }
        let mut at = head.at;
        for _ in 0..head.size {
            let name = self.head(at)?;
            let own = name.kind == TEXT && self.slice(name)? == key.as_bytes();
            at = self.after(at, &mut steps, 0)?;
            if own {
                return Some(Self { at, ..*self });
            }
            at = self.after(at, &mut steps, 0)?;
        }
        None
    }

    /// Its bytes, if it is a text.
    #[must_use]
    pub fn text(&self) -> Option<&'d [u8]> {
        let head = self.head(self.at)?;
        (head.kind == TEXT).then(|| self.slice(head)).flatten()
    }

    /// Its value, if it is a whole number that is not negative.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        let head = self.head(self.at)?;
        matches!(head.kind, 5 | 6 | 8 | 9)
            .then(|| self.unsigned(head))
            .flatten()
    }

    /// Its value, if it is true or false.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        let head = self.head(self.at)?;
        (head.kind == FLAG).then_some(head.size != 0)
    }

    /// Its value, if it is a number with a fraction.
    #[must_use]
    pub fn float(&self) -> Option<f64> {
        let head = self.head(self.at)?;
        let bytes = self.slice(head)?;
        match head.kind {
            DOUBLE => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
            FLOAT => Some(f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
            _ => None,
        }
    }

    /// Everything in it.
    #[must_use]
    pub fn to_data(&self) -> Option<Data> {
        self.data(self.at, &mut MAX_STEPS.clone(), 0)
    }

    fn data(&self, at: usize, steps: &mut u32, depth: u32) -> Option<Data> {
        *steps = steps.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let head = self.head(at)?;
        let entry = Self { at, ..*self };
        Some(match head.kind {
            MAP => {
                let mut fields = Fields::new(Missing::Nil);
                let mut at = head.at;
                for _ in 0..head.size {
                    let name = self.head(at).filter(|name| name.kind == TEXT)?;
                    let key = self.slice(name)?;
                    at = self.after(at, steps, depth)?;
                    fields.insert(key, self.data(at, steps, depth + 1)?);
                    at = self.after(at, steps, depth)?;
                }
                Data::Map(fields)
            }
            LIST => {
                let mut list = Vec::new();
                let mut at = head.at;
                for _ in 0..head.size {
                    list.push(self.data(at, steps, depth + 1)?);
                    at = self.after(at, steps, depth)?;
                }
                Data::List(list)
            }
            TEXT | BYTES => Data::Text(self.slice(head)?.into()),
            FLAG => Data::Bool(head.size != 0),
            DOUBLE | FLOAT => Data::Float(entry.float()?),
            _ => Data::Int(i64::try_from(self.unsigned(head)?).ok()?),
        })
    }

    /// Where the value behind the one at `at` begins.
    fn after(&self, at: usize, steps: &mut u32, depth: u32) -> Option<usize> {
        *steps = steps.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let control = *self.section.get(at)?;
        if control >> 5 == 1 {
            // A pointer ends where its own bytes end, wherever it points to.
            return at.checked_add(2 + usize::from(control >> 3 & 3));
        }
        let head = self.plain(at)?;
        let (values, mut at) = match head.kind {
            MAP => (head.size.checked_mul(2)?, head.at),
            LIST => (head.size, head.at),
            FLAG => (0, head.at),
            _ => (0, head.at.checked_add(head.size)?),
        };
        for _ in 0..values {
            at = self.after(at, steps, depth + 1)?;
        }
        Some(at)
    }

    fn slice(&self, head: Head) -> Option<&'d [u8]> {
        self.section.get(head.at..head.at.checked_add(head.size)?)
    }

    fn unsigned(&self, head: Head) -> Option<u64> {
        if head.size > 8 {
            return None;
        }
        let bytes = self.slice(head)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    /// The head of the value at `at`, a pointer followed once: it never leads to another.
    fn head(&self, at: usize) -> Option<Head> {
        let control = *self.section.get(at)?;
        if control >> 5 != 1 {
            return self.plain(at);
        }
        let width = usize::from(control >> 3 & 3);
        let bytes = self.section.get(at + 1..at + 2 + width)?;
        let low = bytes
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let high = usize::from(control & 7);
        let to = match width {
            0 => high << 8 | low,
            1 => (high << 16 | low) + 2_048,
            2 => (high << 24 | low) + 526_336,
            _ => low,
        };
        self.plain(to).filter(|head| head.kind != 1)
    }

    fn plain(&self, at: usize) -> Option<Head> {
        let control = *self.section.get(at)?;
        let mut at = at.checked_add(1)?;
        let mut kind = control >> 5;
        if kind == 0 {
            kind = self.section.get(at)?.checked_add(7)?;
            at += 1;
        }
        let mut size = usize::from(control & 31);
        if kind != 1 && size > 28 {
            let extra = size - 28;
            let bytes = self.section.get(at..at + extra)?;
            let number = bytes
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            size = number
                + match extra {
                    1 => 29,
                    2 => 285,
                    _ => 65_821,
                };
            at += extra;
        }
        Some(Head { kind, size, at })
    }
}
