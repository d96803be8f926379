//! Whether the wall clock may be believed when it says that something is over.
//!
//! A clock that is set ahead by a slip, and back soon after, must not end bans for good.
//! Lookups judge by the clock as it is, each time anew, so they are right again when it is;
//! but what was cleared away does not come back. So nothing is cleared away for a while
//! after the wall clock ran ahead of the steady one.
//!
//! **Assumes:** it is asked every second or so. **On failure:** a clock that was wrong
//! when the program started, or stays wrong for longer than [`DOUBT`], is believed.

use std::time::{Duration, Instant};

use vocab::Timestamp;

/// A step that daemons which keep the time make without anything being wrong.
const SLIGHT: Duration = Duration::from_secs(5);
/// How long a clock is doubted after it ran ahead.
const DOUBT: Duration = Duration::from_mins(10);
/// A time at which nothing is over.
const NEVER: Timestamp = Timestamp::from_unix_nanos(i64::MIN);

/// The wall clock, watched by the steady one.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<(Timestamp, Instant)>,
    doubted_until: Option<Instant>,
}

/// How the wall clock went since it was read last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Even,
    /// Further than time went, by so much.
    Ahead(Duration),
    /// Less far than time went, by so much.
    Back(Duration),
}

impl Clock {
    /// Takes what both clocks say.
    pub(super) fn read(&mut self, wall: Timestamp, steady: Instant) -> Step {
        let (before, at) = self.last.replace((wall, steady)).unwrap_or((wall, steady));
        let due = before.after(steady.saturating_duration_since(at));
        // The one that is not later than the other gives no time at all.
        let (ahead, back) = (wall.since(due), due.since(wall));
        if ahead > SLIGHT {
            self.doubted_until = Some(steady + DOUBT);
            Step::Ahead(ahead)
        } else if back > SLIGHT {
            Step::Back(back)
        } else {
            Step::Even
        }
    }

    /// The time by which things are cleared away: the one read last, or one at which
    /// nothing is over while the clock is in doubt.
    pub(super) fn over(&self) -> Timestamp {
        match self.last {
            Some((wall, steady)) if self.doubted_until.is_none_or(|until| steady >= until) => wall,
            _ => NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_step_ahead_nothing_is_over_for_ten_minutes() {
        let began = Instant::now();
        let mut clock = Clock::default();
        let mut read = |wall: i64, steady: u64| {
            let steady = began + Duration::from_secs(steady);
            let step = clock.read(Timestamp::from_unix_seconds(wall), steady);
            (step, clock.over())
        };
        let at = Timestamp::from_unix_seconds;
        let (ahead, back) = (
            |by| Step::Ahead(Duration::from_secs(by)),
            |by| Step::Back(Duration::from_secs(by)),
        );
        for (wall, steady, step, over) in [
            (1_000, 0, Step::Even, at(1_000)),
            (1_001, 1, Step::Even, at(1_001)),
            // A worker that was busy for a minute has not seen a step.
            (1_061, 61, Step::Even, at(1_061)),
            // Time is corrected a little, both ways.
            (1_067, 62, Step::Even, at(1_067)),
            (1_063, 63, Step::Even, at(1_063)),
            (4_664, 64, ahead(3_600), NEVER),
            (4_665, 65, Step::Even, NEVER),
            (1_066, 66, back(3_600), NEVER),
            (1_663, 663, Step::Even, NEVER),
            (1_664, 664, Step::Even, at(1_664)),
            // Set right for good: believed after the doubt.
            (5_265, 665, ahead(3_600), NEVER),
            (5_864, 1_264, Step::Even, NEVER),
            (5_865, 1_265, Step::Even, at(5_865)),
        ] {
            assert_eq!(read(wall, steady), (step, over), "{wall} {steady}");
        }
    }

    #[test]
    fn nothing_is_over_before_the_clock_was_read() {
        assert_eq!(Clock::default().over(), NEVER);
    }
}
