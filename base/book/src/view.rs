//! What the gate reads for every request: address in, standing out.
//!
//! Decisions about single sources, IPv4 addresses and IPv6 /64s, lie in maps in which a change
//! costs the same however many there are ([`crate::points`]); those about other ranges in
//! frozen maps that are merged now and then ([`crate::wide`]).
//!
//! Marks keep their end: an expired one is passed over at lookup, and what it outranked while
//! it lasted is found again, so no rebuild is ever due on time. A lookup never allocates,
//! locks or hashes what a client chose (the maps are sorted arrays), except that, while
//! removals of ranges await a merge, the few identifiers that were *found* are looked up among
//! them.

use core::net::{IpAddr, Ipv6Addr};

use vocab::{Cidr, DecisionId, Kind, Timestamp};

use crate::points::Points;
use crate::segments::{Mark, Room};
use crate::wide::{Turn, Wide};

/// What a decision does, in the order of strength; [`Kind`] without its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Force {
    /// Nothing is done; it is shown.
    Observe,
    /// Something that only another enforcer understands.
    Other,
    /// The source's rate is cut.
    Throttle,
    /// The source must prove that it is a browser.
    Challenge,
    /// The source is refused.
    Ban,
}

impl From<&Kind> for Force {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Observe => Self::Observe,
            Kind::Other(_) => Self::Other,
            Kind::Throttle => Self::Throttle,
            Kind::Challenge => Self::Challenge,
            Kind::Ban => Self::Ban,
        }
    }
}

/// The decision that prevails for an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// What it does.
    pub force: Force,
    /// Its name.
    pub id: DecisionId,
    /// When it ends.
    pub until: Timestamp,
}

/// How the book stands to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// No decision in force covers it.
    Stranger,
    /// It is never barred, or on an allowlist: nothing else counts.
    Allowed,
    /// The strongest decision in force that covers it; among equals the one that lasts longest.
    Held(Hit),
}

/// One thing that a view must learn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A decision covers a range.
    Bar {
        /// The range.
        range: Cidr,
        /// The decision's name, [`DecisionId`]'s number.
        id: u128,
        /// What it does.
        force: Force,
        /// When it ends.
        until: Timestamp,
    },
    /// A range is let through whatever else stands.
    Allow {
        /// The range.
        range: Cidr,
        /// The allowlist item's name.
        id: u128,
        /// When it ends.
        until: Timestamp,
    },
    /// An earlier `Bar` or `Allow` of this name on this range ends now.
    Lift {
        /// The range.
        range: Cidr,
        /// The name it came under.
        id: u128,
    },
}

/// Every address's standing, frozen; a change makes a new view that shares what it did not
/// touch.
#[derive(Clone, Debug, Default)]
pub struct View {
    v4: Points<u32>,
    /// By the upper half of the address.
    v6: Points<u64>,
    wide: Wide,
}

/// Where a range's marks lie.
#[derive(Clone, Copy)]
enum Where {
    V4(u32),
    V6(u64),
    Wide,
}

impl Where {
    fn of(range: Cidr) -> Self {
        match (range.address(), range.prefix()) {
            (IpAddr::V4(v4), 32) => Self::V4(v4.to_bits()),
            (IpAddr::V6(v6), 64) => Self::V6(upper(v6)),
            _ => Self::Wide,
        }
    }
}

fn upper(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> 64) as u64
}

impl View {
    /// A view of these changes alone. Takes milliseconds for many: run it off the decision's
    /// way.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut view = Self::default();
        let wide = view.take_in(changes);
        view.wide = Wide::of(&wide);
        view
    }

    /// A view of these bars, which come as their ranges are ordered, and of allowances in any
    /// order. The bars are asked for once for each kind of range.
    pub(crate) fn of_sorted<B: Iterator<Item = Change>>(
        room: Room,
        bars: impl Fn() -> B,
        allowances: &[Change],
    ) -> Self {
        let marks = || {
            bars().filter_map(|bar| match turn(bar) {
                Turn::Mark(range, mark) => Some((range, mark)),
                Turn::Lift(..) => None,
            })
        };
        let v4 = marks().filter_map(|(range, mark)| match Where::of(range) {
            Where::V4(key) => Some((key, mark)),
            Where::V6(_) | Where::Wide => None,
        });
        let v6 = marks().filter_map(|(range, mark)| match Where::of(range) {
            Where::V6(key) => Some((key, mark)),
            Where::V4(_) | Where::Wide => None,
        });
        let mut view = Self {
            v4: Points::of_sorted(v4),
            v6: Points::of_sorted(v6),
            wide: Wide::default(),
        };
        let more = view.take_in(allowances);
        let wide = marks().filter(|(range, _)| matches!(Where::of(*range), Where::Wide));
        view.wide = Wide::of_sorted(room, wide, &more);
        view
    }

    /// The standing of `address` at `now`.
    #[must_use]
    pub fn standing(&self, address: IpAddr, now: Timestamp) -> Standing {
        let address = address.to_canonical();
        let own = match address {
            IpAddr::V4(v4) => self.v4.best(v4.to_bits(), now),
            IpAddr::V6(v6) => self.v6.best(upper(v6), now),
        };
        let around = self.wide.best(address, now);
        match own.into_iter().chain(around).max_by_key(Mark::rank) {
            None => Standing::Stranger,
            Some(Mark { force: None, .. }) => Standing::Allowed,
            Some(Mark {
                force: Some(force),
                id,
                until,
            }) => Standing::Held(Hit {
                force,
                id: DecisionId(id),
                until,
            }),
        }
    }

    /// This view with changes made to it, in their order. Costs microseconds for a few changes:
    /// what they do not touch is shared, not copied.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut view = self.clone();
        let wide = view.take_in(changes);
        view.wide = view.wide.with(&wide);
        view
    }

    /// Makes the changes to single sources; returns those to other ranges.
    fn take_in(&mut self, changes: &[Change]) -> Vec<Turn> {
        let mut wide = Vec::new();
        for turn in changes.iter().map(|change| turn(*change)) {
            match (Where::of(turn.range()), turn) {
                (Where::V4(key), Turn::Mark(_, mark)) => self.v4.put(key, mark),
                (Where::V4(key), Turn::Lift(_, id)) => self.v4.take(key, id),
                (Where::V6(key), Turn::Mark(_, mark)) => self.v6.put(key, mark),
                (Where::V6(key), Turn::Lift(_, id)) => self.v6.take(key, id),
                (Where::Wide, turn) => wide.push(turn),
            }
        }
        wide
    }

    /// The same standings with all ranges in one map; marks that ended before `now`, when one is
    /// given, are left out. For a worker: takes milliseconds for 100,000 ranges.
    #[must_use]
    pub fn merged(&self, now: Option<Timestamp>) -> Self {
        let mut view = Self {
            wide: self.wide.merged(now),
            ..self.clone()
        };
        if let Some(now) = now {
            // Backwards: pieces that have become small join those behind them.
            for piece in (0..view.pieces()).rev() {
                view.forget(piece, now);
            }
        }
        view
    }

    /// How many pieces [`View::forget`] looks at, one at a time.
    pub(crate) fn pieces(&self) -> usize {
        self.v4.groups() + self.v6.groups()
    }

    /// Leaves out what ended before `now` in one piece; says whether there was anything.
    pub(crate) fn forget(&mut self, piece: usize, now: Timestamp) -> bool {
        match piece.checked_sub(self.v4.groups()) {
            None => self.v4.forget(piece, now),
            Some(piece) => self.v6.forget(piece, now),
        }
    }

    /// What stands on other ranges than single sources.
    pub(crate) fn wide(&self) -> &Wide {
        &self.wide
    }

    /// This view with `wide` for its ranges, and with the changes made to those.
    pub(crate) fn with_wide(&self, wide: &Wide, changes: &[Change]) -> Self {
        let turns = changes.iter().map(|change| turn(*change));
        let wide_only = turns.filter(|turn| matches!(Where::of(turn.range()), Where::Wide));
        let turns: Vec<Turn> = wide_only.collect();
        Self {
            wide: wide.with(&turns),
            ..self.clone()
        }
    }

    /// Whether a merge is worth its while: much about ranges stands outside their large map.
    #[must_use]
    pub fn wants_merge(&self) -> bool {
        self.wide.wants_merge()
    }

    /// How many marks on ranges, and removals of such, await a merge.
    #[must_use]
    pub fn overlay(&self) -> usize {
        self.wide.overlay()
    }

    /// How many marks it holds, those included that ended and were not cleared away yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len() + self.wide.len()
    }

    /// Whether it holds no mark at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn turn(change: Change) -> Turn {
    let mark = |range, id, until, force| Turn::Mark(range, Mark { id, until, force });
    match change {
        Change::Bar {
            range,
            id,
            force,
            until,
        } => mark(range, id, until, Some(force)),
        Change::Allow { range, id, until } => mark(range, id, until, None),
        Change::Lift { range, id } => Turn::Lift(range, id),
    }
}
