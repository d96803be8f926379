//! The events and values that one bucket holds. Most buckets hold one of each until they
//! die, and the first needs no allocation.

use std::collections::VecDeque;

use super::kept::Kept;

/// What a kept event counts for beside its fields, in bytes, whatever room it really takes.
const ROOM: usize = 80;

/// A kept event with the value of its scenario's scope expression.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) kept: Kept,
    /// Few scenarios have one, so it takes the room of one pointer.
    scope_value: Option<Box<ScopeValue>>,
}

#[derive(Clone, Debug)]
struct ScopeValue(Box<str>);

impl Held {
    pub(crate) fn new(kept: Kept, scope_value: Option<Box<str>>) -> Self {
        Self {
            kept,
            scope_value: scope_value.map(|value| Box::new(ScopeValue(value))),
        }
    }

    pub(crate) fn scope_value(&self) -> Option<&str> {
        self.scope_value.as_ref().map(|value| &*value.0)
    }

    pub(super) fn weight(&self) -> u32 {
        let bytes = self.kept.weight() + self.scope_value().map_or(0, str::len);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// A bucket's events, oldest first.
#[derive(Debug, Default)]
pub(crate) enum Queue {
    #[default]
    Empty,
    One(Held),
    More(VecDeque<Held>),
}

/// Some of them, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Events<'q> {
    queue: &'q Queue,
    next: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::More(events) => events.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Held> {
        match self {
            Self::Empty => None,
            Self::One(held) => (index == 0).then_some(held),
            Self::More(events) => events.get(index),
        }
    }

    pub(crate) fn last(&self) -> Option<&Held> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(crate) fn iter(&self) -> Events<'_> {
        Events {
            queue: self,
            next: 0,
        }
    }

    pub(super) fn push(&mut self, held: Held) {
        *self = match core::mem::take(self) {
            Self::Empty => Self::One(held),
            Self::One(first) => Self::More(VecDeque::from([first, held])),
            Self::More(mut events) => {
                events.push_back(held);
                Self::More(events)
            }
        }
    }

    /// Takes the oldest out.
    pub(super) fn pop(&mut self) -> Option<Held> {
        match self {
            Self::More(events) => events.pop_front(),
            Self::Empty | Self::One(_) => match core::mem::take(self) {
                Self::One(held) => Some(held),
                _ => None,
            },
        }
    }

    /// What its room counts for. By a rule, so that which buckets make room for others does
    /// not depend on how this one is kept.
    pub(super) fn weight(&self) -> usize {
        rooms(self.len()) * ROOM
    }
}

impl<'q> Iterator for Events<'q> {
    type Item = &'q Held;

    fn next(&mut self) -> Option<&'q Held> {
        let held = self.queue.get(self.next)?;
        self.next += 1;
        Some(held)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.queue.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Events<'_> {}

/// Hashes of the values that a bucket saw.
#[derive(Debug, Default)]
pub(super) enum Distinct {
    #[default]
    Nothing,
    One(u64),
    More(Vec<u64>),
}

impl Distinct {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(_) => 1,
            Self::More(values) => values.len(),
        }
    }

    pub(super) fn contains(&self, value: u64) -> bool {
        match self {
            Self::Nothing => false,
            Self::One(known) => *known == value,
            Self::More(values) => values.contains(&value),
        }
    }

    pub(super) fn push(&mut self, value: u64) {
        match self {
            Self::Nothing => *self = Self::One(value),
            Self::One(first) => *self = Self::More(vec![*first, value]),
            Self::More(values) => values.push(value),
        }
    }

    /// Puts a value into another's place.
    pub(super) fn replace(&mut self, at: usize, value: u64) {
        match self {
            Self::Nothing => {}
            Self::One(known) => *known = value,
            Self::More(values) => {
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            }
        }
    }

    /// As [`Queue::weight`].
    pub(super) fn weight(&self) -> usize {
        rooms(self.len()) * size_of::<u64>()
    }
}

/// For how many there is room where so many are: room doubles, and begins with four.
fn rooms(count: usize) -> usize {
    if count == 0 {
        0
    } else {
        count.next_power_of_two().max(4)
    }
}

#[cfg(test)]
mod tests {
    use vocab::Timestamp;

    use super::*;

    fn held(second: i64) -> Held {
        Held::new(Kept::empty(Timestamp::from_unix_seconds(second)), None)
    }

    #[test]
    fn events_come_out_in_the_order_in_which_they_went_in() {
        let mut queue = Queue::default();
        assert!(queue.pop().is_none() && queue.last().is_none());
        let (mut first, mut weights) = (0, Vec::new());
        for second in 0..40 {
            queue.push(held(second));
            if second % 3 == 0 {
                let oldest = queue.pop().map(|held| held.kept.time().unix_seconds());
                assert_eq!(oldest, Some(first));
                first += 1;
            }
            let seconds: Vec<i64> = queue
                .iter()
                .map(|held| held.kept.time().unix_seconds())
                .collect();
            assert_eq!(seconds, (first..=second).collect::<Vec<_>>());
            assert_eq!(queue.iter().len(), queue.len());
            let last = queue.last().map(|held| held.kept.time().unix_seconds());
            assert_eq!(last, seconds.last().copied());
            weights.push(queue.weight() / ROOM);
        }
        assert_eq!(weights[..8], [0, 4, 4, 4, 4, 4, 4, 8]);
    }

    #[test]
    fn values_are_known_until_another_takes_their_place() {
        let mut distinct = Distinct::default();
        for value in 10..20 {
            assert!(!distinct.contains(value));
            distinct.push(value);
            assert!((10..=value).all(|known| distinct.contains(known)));
            assert_eq!(distinct.len(), usize::try_from(value - 9).unwrap());
        }
        distinct.replace(3, 99);
        assert!(distinct.contains(99) && !distinct.contains(13));
        assert_eq!(distinct.weight(), 16 * 8);
    }
}
