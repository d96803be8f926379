//! Events that wait until none that is older can come.
//!
//! Logs are nearly in order, so events that are in order stand in a queue, and only the
//! others in a heap. Assumes nothing of how many are out of order: both cost little. The
//! room of events that were taken is used again.

use core::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use vocab::Timestamp;

use crate::bucket::{Kept, Occurrence, Pour, ScenarioId};

/// A scope value that the shards might ask for.
pub(super) type ScopeValue = (ScenarioId, Option<Box<str>>);

/// An event with what it pours, free of the scratch it was made in.
#[derive(Debug, Default)]
pub(super) struct Event {
    pub(super) time: Timestamp,
    pub(super) pours: Vec<Pour>,
    pub(super) scopes: Vec<ScopeValue>,
    pub(super) kept: Option<Kept>,
}

impl Occurrence for Event {
    fn keep(&mut self) -> Kept {
        self.kept.clone().unwrap_or_else(|| Kept::empty(self.time))
    }

    fn scope_value(&mut self, scenario: ScenarioId) -> Option<Box<str>> {
        let mut scopes = self.scopes.iter();
        scopes.find(|(id, _)| *id == scenario)?.1.clone()
    }
}

/// By time, then by place in the input; and which room holds the event.
type Queued = (Timestamp, u64, usize);

/// Events that wait.
#[derive(Debug, Default)]
pub(super) struct Window {
    rooms: Vec<Event>,
    free: Vec<usize>,
    /// Those that came in order.
    ordered: VecDeque<Queued>,
    late: BinaryHeap<Reverse<Queued>>,
    sequence: u64,
}

impl Window {
    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.ordered.len() + self.late.len()
    }

    /// Takes in an event that happened at `time`; `furnish` fills its room, whose lists are
    /// empty.
    pub(super) fn put(&mut self, time: Timestamp, furnish: impl FnOnce(&mut Event)) {
        let room = self.free.pop().unwrap_or_else(|| {
            self.rooms.push(Event::default());
            self.rooms.len() - 1
        });
        if let Some(event) = self.rooms.get_mut(room) {
            event.time = time;
            furnish(event);
        }
        self.sequence += 1;
        let queued = (time, self.sequence, room);
        if self.ordered.back().is_none_or(|last| *last < queued) {
            self.ordered.push_back(queued);
        } else {
            self.late.push(Reverse(queued));
        }
    }

    /// Hands the oldest event over; `None` when none waits.
    pub(super) fn next<T>(&mut self, take: impl FnOnce(&mut Event) -> T) -> Option<T> {
        let late = match (self.ordered.front(), self.late.peek()) {
            (Some(ordered), Some(Reverse(late))) => late < ordered,
            (ordered, _) => ordered.is_none(),
        };
        let (.., room) = if late {
            self.late.pop()?.0
        } else {
            self.ordered.pop_front()?
        };
        self.free.push(room);
        let event = self.rooms.get_mut(room)?;
        let taken = take(event);
        event.pours.clear();
        event.scopes.clear();
        event.kept = None;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_by_time_and_of_one_time_as_they_came() {
        let mut window = Window::default();
        let mut left = Vec::new();
        let mut state = 7_u64;
        let mut want = Vec::new();
        for number in 0..2_000_i64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let jitter = i64::try_from(state >> 60).unwrap();
            let nanos = number / 4 + jitter;
            want.push((nanos, number));
            window.put(Timestamp::from_unix_nanos(nanos), |event| {
                event
                    .scopes
                    .push((ScenarioId(0), Some(number.to_string().into())));
            });
        }
        assert!(!window.late.is_empty() && window.late.len() < 1_900);
        while window.len() > 0 {
            let one = window.next(|event| {
                assert_eq!(
                    event.scopes.len(),
                    1,
                    "a room is empty when it is given out"
                );
                let number = event.scope_value(ScenarioId(0)).unwrap();
                (event.time.unix_nanos(), number.parse::<i64>().unwrap())
            });
            left.push(one.unwrap());
        }
        want.sort_unstable();
        assert_eq!(left, want);
        assert!(window.next(|_| ()).is_none());
    }

    #[test]
    fn rooms_are_used_again() {
        let mut window = Window::default();
        for number in 0..1_000 {
            window.put(Timestamp::from_unix_nanos(number), |_| ());
            if window.len() > 8 {
                window.next(|_| ());
            }
        }
        assert_eq!(window.rooms.len(), 9);
    }
}
