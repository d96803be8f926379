//! Decisions about ranges: what [`crate::points`] does not hold.
//!
//! Three frozen prefix maps of rising size: a tail that every publication rebuilds
//! (at most 32 marks), a middle that takes the tail's marks when it is full, and a base
//! that only [`Wide::merged`] builds, on a worker, since 100,000 marks take milliseconds.
//! Removals are a small set of tombstones that holds at once and ends with the next merge.

use core::net::IpAddr;
use std::sync::Arc;

use vocab::{Cidr, Timestamp};

use crate::segments::{Gone, Mark, Room, Segments};

/// The most marks in the part that every publication rebuilds.
const TAIL: usize = 32;

/// How many marks and removals outside the base make a merge worth its while.
const MERGE_FROM: usize = 1_024;

/// What happens to a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    Mark(Cidr, Mark),
    Lift(Cidr, u128),
}

impl Turn {
    pub(crate) fn range(self) -> Cidr {
        match self {
            Self::Mark(range, _) | Self::Lift(range, _) => range,
        }
    }
}

/// Every range's standing, frozen; a change makes a new one that shares the large parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wide {
    base: Arc<Segments>,
    middle: Arc<Segments>,
    tail: Arc<Segments>,
    gone: Arc<Gone>,
}

impl Wide {
    /// These turns alone, all in the base.
    pub(crate) fn of(turns: &[Turn]) -> Self {
        let (mut marks, mut gone) = (Vec::with_capacity(turns.len()), Arc::default());
        take_in(turns, &mut marks, &mut gone);
        marks.retain(|(range, mark)| !gone.contains(&(*range, mark.id)));
        Self {
            base: Arc::new(Segments::of(marks)),
            ..Self::default()
        }
    }

    /// These marks, which come as their ranges are ordered, and `more` in any order.
    pub(crate) fn of_sorted(
        room: Room,
        marks: impl Iterator<Item = (Cidr, Mark)>,
        more: &[Turn],
    ) -> Self {
        let more = Self::of(more).base;
        let all = in_order([Box::new(marks) as Marks<'_>, Box::new(more.iter())]);
        Self {
            base: Arc::new(Segments::build(room.and(&more), all)),
            ..Self::default()
        }
    }

    /// The strongest mark in force on any range that holds `address`, which is canonical.
    pub(crate) fn best(&self, address: IpAddr, now: Timestamp) -> Option<Mark> {
        let gone = (!self.gone.is_empty()).then_some(&*self.gone);
        [&self.base, &self.middle, &self.tail]
            .into_iter()
            .filter_map(|part| part.best(address, now, gone))
            .max_by_key(Mark::rank)
    }

    /// This with some turns made. Costs microseconds for a few; the base is shared, not copied.
    pub(crate) fn with(&self, turns: &[Turn]) -> Self {
        if turns.is_empty() {
            return self.clone();
        }
        let mut tail: Vec<_> = self.tail.iter().collect();
        let mut gone = Arc::clone(&self.gone);
        take_in(turns, &mut tail, &mut gone);
        let mut wide = Self {
            gone,
            ..self.clone()
        };
        if tail.len() > TAIL {
            tail.extend(self.middle.iter());
            wide.middle = Arc::new(Segments::of(core::mem::take(&mut tail)));
        }
        wide.tail = Arc::new(Segments::of(tail));
        wide
    }

    /// The same with everything in the base; marks that ended before `now`, when one is given,
    /// are left out. For a worker: takes milliseconds for 100,000 marks.
    pub(crate) fn merged(&self, now: Option<Timestamp>) -> Self {
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

    pub(crate) fn wants_merge(&self) -> bool {
        self.overlay() >= MERGE_FROM
    }

    /// How many marks and removals stand outside the base.
    pub(crate) fn overlay(&self) -> usize {
        self.middle.len() + self.tail.len() + self.gone.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.base.len() + self.middle.len() + self.tail.len()
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

fn take_in(turns: &[Turn], marks: &mut Vec<(Cidr, Mark)>, gone: &mut Arc<Gone>) {
    for turn in turns {
        match *turn {
            Turn::Lift(range, id) => {
                Arc::make_mut(gone).insert((range, id));
            }
            Turn::Mark(range, mark) => {
                marks.push((range, mark));
                // a name may come back to a range it was lifted from (a host name's address does)
                if gone.contains(&(range, mark.id)) {
                    Arc::make_mut(gone).remove(&(range, mark.id));
                }
            }
        }
    }
}
