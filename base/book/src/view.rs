//! What the gate reads for every request: address in, standing out.
//!
//! A view is three frozen prefix maps of rising size: a tail that every publication rebuilds
//! (at most 32 marks), a middle that takes the tail's marks when it is full, and a base
//! that only [`View::merged`] builds, on a worker, since 100,000 marks take milliseconds.
//! Removals are a small set of tombstones that holds at once and ends with the next merge.
//!
//! Marks keep their end: an expired one is passed over at lookup, and what it outranked while
//! it lasted is found again, so no rebuild is ever due on time. A lookup never allocates,
//! locks or hashes what a client chose (the maps are sorted arrays), except that, while
//! removals await a merge, the few identifiers that were *found* are looked up among them.

use core::net::IpAddr;
use std::sync::Arc;

use vocab::{Cidr, DecisionId, Kind, Timestamp};

use crate::segments::{Gone, Mark, Room, Segments};

/// The most marks in the part of a view that every publication rebuilds.
const TAIL: usize = 32;

/// How many marks and removals outside the base make a merge worth its while.
const MERGE_FROM: usize = 1_024;

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

/// Every address's standing, frozen; a change makes a new view that shares the large parts.
#[derive(Clone, Debug, Default)]
pub struct View {
    base: Arc<Segments>,
    middle: Arc<Segments>,
    tail: Arc<Segments>,
    gone: Arc<Gone>,
}

impl View {
    /// A view of these changes alone, all in the base. Takes milliseconds for many: run it
    /// off the decision's way.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let (mut marks, mut gone) = (Vec::with_capacity(changes.len()), Arc::default());
        take_in(changes, &mut marks, &mut gone);
        marks.retain(|(range, mark)| !gone.contains(&(*range, mark.id)));
        Self {
            base: Arc::new(Segments::of(marks)),
            ..Self::default()
        }
    }

    /// A view of these bars, which come as their ranges are ordered, and of allowances in any
    /// order.
    pub(crate) fn of_sorted(
        room: Room,
        bars: impl Iterator<Item = Change>,
        allowances: &[Change],
    ) -> Self {
        let allowed = Self::of(allowances).base;
        let bars = bars.filter_map(mark_of);
        let all = in_order([Box::new(bars) as Marks<'_>, Box::new(allowed.iter())]);
        Self {
            base: Arc::new(Segments::build(room.and(&allowed), all)),
            ..Self::default()
        }
    }

    /// The standing of `address` at `now`.
    #[must_use]
    pub fn standing(&self, address: IpAddr, now: Timestamp) -> Standing {
        let address = address.to_canonical();
        let gone = (!self.gone.is_empty()).then_some(&*self.gone);
        let best = [&self.base, &self.middle, &self.tail]
            .into_iter()
            .filter_map(|part| part.best(address, now, gone))
            .max_by_key(Mark::rank);
        match best {
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

    /// This view with changes made to it, in their order. Costs microseconds for a few changes;
    /// the base is shared, not copied.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut tail: Vec<_> = self.tail.iter().collect();
        let mut gone = Arc::clone(&self.gone);
        take_in(changes, &mut tail, &mut gone);
        let mut view = Self {
            gone,
            ..self.clone()
        };
        if tail.len() > TAIL {
            tail.extend(self.middle.iter());
            view.middle = Arc::new(Segments::of(core::mem::take(&mut tail)));
        }
        view.tail = Arc::new(Segments::of(tail));
        view
    }

    /// The same standings with everything in the base; marks that ended before `now`, when one
    /// is given, are left out. For a worker: takes milliseconds for 100,000 marks.
    #[must_use]
    pub fn merged(&self, now: Option<Timestamp>) -> Self {
        let parts = [&*self.base, &*self.middle, &*self.tail];
        let room = parts.into_iter().fold(Room::default(), Room::and);
        let all = in_order(parts.map(|part| Box::new(part.iter()) as Marks<'_>));
        let lasting = all.filter(|(range, mark)| {
            now.is_none_or(|now| { mark.until } > now) && !self.gone.contains(&(*range, mark.id))
        });
        Self {
            base: Arc::new(Segments::build(room, lasting)),
            ..Self::default()
        }
    }

    /// Whether a merge is worth its while: much stands outside the base.
    #[must_use]
    pub fn wants_merge(&self) -> bool {
        self.overlay() >= MERGE_FROM
    }

    /// How many marks and removals stand outside the base.
    #[must_use]
    pub fn overlay(&self) -> usize {
        self.middle.len() + self.tail.len() + self.gone.len()
    }

    /// How many marks it holds, those that ended or were lifted since the last merge included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.base.len() + self.middle.len() + self.tail.len()
    }

    /// Whether it holds no mark at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

type Marks<'a> = Box<dyn Iterator<Item = (Cidr, Mark)> + 'a>;

/// What several sorted sources say, sorted by range.
fn in_order<'a, const N: usize>(sources: [Marks<'a>; N]) -> impl Iterator<Item = (Cidr, Mark)> {
    let mut sources = sources.map(Iterator::peekable);
    core::iter::from_fn(move || {
        let heads = sources.iter_mut().filter_map(|source| {
            let (range, _) = *source.peek()?;
            Some((range, source))
        });
        heads.min_by_key(|(range, _)| *range)?.1.next()
    })
}

/// The mark that a change makes, if it makes one.
fn mark_of(change: Change) -> Option<(Cidr, Mark)> {
    let (range, id, until, force) = match change {
        Change::Bar {
            range,
            id,
            force,
            until,
        } => (range, id, until, Some(force)),
        Change::Allow { range, id, until } => (range, id, until, None),
        Change::Lift { .. } => return None,
    };
    Some((range, Mark { id, until, force }))
}

fn take_in(changes: &[Change], marks: &mut Vec<(Cidr, Mark)>, gone: &mut Arc<Gone>) {
    for change in changes {
        if let Change::Lift { range, id } = *change {
            Arc::make_mut(gone).insert((range, id));
        }
        let Some((range, mark)) = mark_of(*change) else {
            continue;
        };
        marks.push((range, mark));
        // a name may come back to a range it was lifted from (a host name's address does)
        if gone.contains(&(range, mark.id)) {
            Arc::make_mut(gone).remove(&(range, mark.id));
        }
    }
}
