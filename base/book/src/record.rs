//! A decision in 60 bytes, or 72 with IPv6, and the slab that records live in.
//!
//! What decisions have in common (kind, origin, reason) is a number here. Records of one size
//! in large pieces leave no holes in the allocator, however they come and go; a piece that is
//! empty is given back.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use vocab::{Cidr, DecisionId, Timestamp};

use crate::Force;
use crate::interned::NOTHING;

/// Records of one piece: 60 KiB, or 72 KiB with IPv6.
const PIECE: usize = 1_024;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Family {
    None,
    V4,
    V6,
}

/// A decision that is held, or that is remembered as its source's past, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    // numbers of 128 bits as two halves: whole, they would be padded to 16 bytes
    id: [u64; 2],
    address: [u64; 2],
    pub(crate) created: Timestamp,
    pub(crate) until: Timestamp,
    /// Its writer's number for it, within [`Record::run`].
    pub(crate) seq: u64,
    /// Node and epoch that wrote it.
    pub(crate) run: u32,
    /// Scope, kind and origin.
    pub(crate) manner: u32,
    pub(crate) reason: u32,
    family: Family,
    prefix: u8,
    pub(crate) force: Force,
    states: u8,
}

/// What holds of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Its decision stands in the book.
    Held = 1,
    /// It counts as its source's past.
    Past = 2,
    /// Its value as text stands elsewhere: it is no address, or written unusually.
    Spelt = 4,
}

const fn halves(number: u128) -> [u64; 2] {
    [(number >> 64) as u64, number as u64]
}

const fn whole(halves: [u64; 2]) -> u128 {
    (halves[0] as u128) << 64 | halves[1] as u128
}

/// By range as [`Cidr`]s are ordered, then as pasts are.
pub(crate) type Place = (Spot, Timestamp, DecisionId, Timestamp, Force);

/// A range, ordered as [`Cidr`]s are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Spot(Family, u128, u8);

impl From<Cidr> for Spot {
    fn from(range: Cidr) -> Self {
        match range.address() {
            IpAddr::V4(v4) => Self(Family::V4, v4.to_bits().into(), range.prefix()),
            IpAddr::V6(v6) => Self(Family::V6, v6.to_bits(), range.prefix()),
        }
    }
}

impl Record {
    const BLANK: Self = Self {
        id: [0; 2],
        address: [0; 2],
        created: Timestamp::EPOCH,
        until: Timestamp::EPOCH,
        seq: 0,
        run: NOTHING,
        manner: NOTHING,
        reason: NOTHING,
        family: Family::None,
        prefix: 0,
        force: Force::Observe,
        states: 0,
    };

    pub(crate) fn new(id: DecisionId, range: Option<Cidr>) -> Self {
        let spot = range.map_or(Spot(Family::None, 0, 0), Spot::from);
        Self {
            id: halves(id.0),
            address: halves(spot.1),
            family: spot.0,
            prefix: spot.2,
            ..Self::BLANK
        }
    }

    pub(crate) fn is(&self, state: State) -> bool {
        self.states & state as u8 != 0
    }

    pub(crate) fn set(&mut self, state: State, holds: bool) {
        self.states &= !(state as u8);
        if holds {
            self.states |= state as u8;
        }
    }

    pub(crate) fn id(&self) -> DecisionId {
        DecisionId(whole(self.id))
    }

    pub(crate) fn range(&self) -> Option<Cidr> {
        let address = match self.family {
            Family::None => return None,
            // the upper bits are zero by construction
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(self.address[1] as u32)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(whole(self.address))),
        };
        Cidr::new(address, self.prefix)
    }

    pub(crate) fn spot(&self) -> Spot {
        Spot(self.family, whole(self.address), self.prefix)
    }

    pub(crate) fn place(&self) -> Place {
        let spot = self.spot();
        (spot, self.created, self.id(), self.until, self.force)
    }

    /// Before every record on this range.
    pub(crate) fn before(spot: Spot) -> Place {
        let first = Timestamp::from_unix_nanos(i64::MIN);
        (spot, first, DecisionId(0), first, Force::Observe)
    }
}

/// A record as it rests when an IPv4 address is all it has to hold, as with most. Its numbers
/// are halved, so that none of them asks for padding.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    id: [[u32; 2]; 2],
    created: [u32; 2],
    until: [u32; 2],
    seq: [u32; 2],
    address: u32,
    run: u32,
    manner: u32,
    reason: u32,
    family: Family,
    prefix: u8,
    force: Force,
    states: u8,
}

const fn split(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

const fn joined(halves: [u32; 2]) -> u64 {
    (halves[0] as u64) << 32 | halves[1] as u64
}

const fn time(halves: [u32; 2]) -> Timestamp {
    Timestamp::from_unix_nanos(joined(halves).cast_signed())
}

impl From<&Record> for Narrow {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id.map(split),
            created: split(record.created.unix_nanos().cast_unsigned()),
            until: split(record.until.unix_nanos().cast_unsigned()),
            seq: split(record.seq),
            // the upper bits are zero by construction
            address: record.address[1] as u32,
            run: record.run,
            manner: record.manner,
            reason: record.reason,
            family: record.family,
            prefix: record.prefix,
            force: record.force,
            states: record.states,
        }
    }
}

impl From<&Narrow> for Record {
    fn from(narrow: &Narrow) -> Self {
        Self {
            id: narrow.id.map(joined),
            address: [0, narrow.address.into()],
            created: time(narrow.created),
            until: time(narrow.until),
            seq: joined(narrow.seq),
            run: narrow.run,
            manner: narrow.manner,
            reason: narrow.reason,
            family: narrow.family,
            prefix: narrow.prefix,
            force: narrow.force,
            states: narrow.states,
        }
    }
}

#[derive(Debug)]
enum Records {
    Narrow(Vec<Narrow>),
    Whole(Vec<Record>),
}

impl Records {
    /// None yet, of the kind that holds such a record.
    const fn like(record: &Record) -> Self {
        match record.family {
            Family::None | Family::V4 => Self::Narrow(Vec::new()),
            Family::V6 => Self::Whole(Vec::new()),
        }
    }

    const fn is_narrow(&self) -> bool {
        matches!(self, Self::Narrow(_))
    }

    fn len(&self) -> usize {
        match self {
            Self::Narrow(records) => records.len(),
            Self::Whole(records) => records.len(),
        }
    }

    fn get(&self, at: usize) -> Option<Record> {
        match self {
            Self::Narrow(records) => records.get(at).map(Record::from),
            Self::Whole(records) => records.get(at).copied(),
        }
    }

    fn set(&mut self, at: usize, record: &Record) {
        match self {
            Self::Narrow(records) => {
                if let Some(place) = records.get_mut(at) {
                    *place = record.into();
                }
            }
            Self::Whole(records) => {
                if let Some(place) = records.get_mut(at) {
                    *place = *record;
                }
            }
        }
    }

    /// One more at the end; the first makes room for a piece.
    fn push(&mut self, record: &Record) {
        match self {
            Self::Narrow(records) => {
                if records.is_empty() {
                    records.reserve_exact(PIECE);
                }
                records.push(record.into());
            }
            Self::Whole(records) => {
                if records.is_empty() {
                    records.reserve_exact(PIECE);
                }
                records.push(*record);
            }
        }
    }

    fn empty(&mut self) {
        match self {
            Self::Narrow(records) => *records = Vec::new(),
            Self::Whole(records) => *records = Vec::new(),
        }
    }
}

/// Records of one kind.
#[derive(Debug)]
struct Piece {
    records: Records,
    free: Vec<u16>,
}

#[derive(Debug, Default)]
pub(crate) struct Slab {
    pieces: Vec<Piece>,
    /// Pieces with room, whole ones and narrow ones; the lowest is filled first, so that the
    /// others can become empty.
    roomy: [BTreeSet<u32>; 2],
}

impl Slab {
    pub(crate) fn at(&self, slot: u32) -> Record {
        let at = slot as usize;
        let piece = self.pieces.get(at / PIECE);
        let found = piece.and_then(|piece| piece.records.get(at % PIECE));
        // orders name no slot that is not there; if one did, it would name nobody's decision
        found.unwrap_or(Record::BLANK)
    }

    /// Changes a record in its place. What it is about stays.
    pub(crate) fn change(&mut self, slot: u32, change: impl FnOnce(&mut Record)) {
        let at = slot as usize;
        let Some(piece) = self.pieces.get_mut(at / PIECE) else {
            return;
        };
        if let Some(mut record) = piece.records.get(at % PIECE) {
            change(&mut record);
            piece.records.set(at % PIECE, &record);
        }
    }

    pub(crate) fn put(&mut self, record: &Record) -> u32 {
        let records = Records::like(record);
        let roomy = &mut self.roomy[usize::from(records.is_narrow())];
        let at = roomy.first().copied().unwrap_or_else(|| {
            let fresh = u32::try_from(self.pieces.len()).unwrap_or(NOTHING);
            self.pieces.push(Piece {
                records,
                free: Vec::new(),
            });
            roomy.insert(fresh);
            fresh
        });
        let Some(piece) = self.pieces.get_mut(at as usize) else {
            return NOTHING;
        };
        let within = match piece.free.pop() {
            Some(within) => {
                piece.records.set(usize::from(within), record);
                usize::from(within)
            }
            None => {
                piece.records.push(record);
                piece.records.len() - 1
            }
        };
        if piece.free.is_empty() && piece.records.len() == PIECE {
            roomy.remove(&at);
        }
        at * PIECE as u32 + u32::try_from(within).unwrap_or(0)
    }

    pub(crate) fn free(&mut self, slot: u32) {
        let (at, within) = (slot / PIECE as u32, slot % PIECE as u32);
        let Some(piece) = self.pieces.get_mut(at as usize) else {
            return;
        };
        piece.free.push(u16::try_from(within).unwrap_or(0));
        if piece.free.len() == piece.records.len() {
            piece.records.empty();
            piece.free = Vec::new();
        }
        self.roomy[usize::from(piece.records.is_narrow())].insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small_and_gives_its_range_back() {
        assert_eq!((size_of::<Record>(), size_of::<Narrow>()), (72, 60));
        for text in [
            "203.0.113.9",
            "198.51.100.0/24",
            "0.0.0.0/0",
            "2001:db8::/64",
            "::/0",
            "2001:db8::1",
        ] {
            let range: Cidr = text.parse().unwrap();
            let mut record = Record::new(DecisionId(u128::MAX - 5), Some(range));
            record.until = Timestamp::MAX;
            record.created = Timestamp::from_unix_nanos(-7);
            record.seq = u64::MAX - 1;
            let mut slab = Slab::default();
            let slot = slab.put(&record);
            let kept = slab.at(slot);
            assert_eq!(
                (kept.until, kept.created, kept.seq, kept.place()),
                (record.until, record.created, record.seq, record.place())
            );
            let record = kept;
            assert_eq!(
                (record.range(), record.id().0),
                (Some(range), u128::MAX - 5)
            );
        }
        assert_eq!(Record::new(DecisionId(1), None).range(), None);
    }

    #[test]
    fn ranges_are_ordered_as_everywhere_else() {
        let mut ranges: Vec<Cidr> = [
            "203.0.113.0/24",
            "203.0.113.0",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/64",
            "1.0.0.0/8",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec();
        ranges.sort_unstable();
        assert!(ranges.is_sorted_by_key(|range| Spot::from(*range)));
    }

    #[test]
    fn slots_are_used_again_and_empty_pieces_given_back() {
        let mut slab = Slab::default();
        let put = |slab: &mut Slab, id: u32| slab.put(&Record::new(DecisionId(id.into()), None));
        let slots: Vec<u32> = (0..3_000).map(|id| put(&mut slab, id)).collect();
        assert!(
            slots
                .iter()
                .enumerate()
                .all(|(id, slot)| slab.at(*slot).id().0 == id as u128)
        );
        slots[1_024..].iter().for_each(|slot| slab.free(*slot));
        assert!(
            slab.pieces[1..]
                .iter()
                .all(|piece| piece.records.len() == 0)
        );
        slab.free(7);
        assert_eq!(put(&mut slab, 9_000), 7, "the lowest piece is filled first");
        let next = put(&mut slab, 9_001);
        assert_eq!((next, slab.at(next).id().0), (1_024, 9_001));
        assert_eq!(slab.at(6).id().0, 6);
        assert_eq!(
            (slab.pieces.len(), slab.at(999_999).is(State::Held)),
            (3, false)
        );
    }
}
