//! Longer on repetition, forgotten after quiet.
//!
//! A source has a level. Each earlier decision that restrained it raises the level by one; each
//! full `half_life` that it then stayed quiet halves it, rounded down; after `forget` of quiet it
//! is zero. The ban is `base` times `factor` once per level (doubled by default), never longer than `longest`.
//!
//! Quiet is counted from the end of a ban, not from its start, since a barred source has no
//! choice. Decisions made while another one on the same source is in force (overlapping ones, a
//! second scenario that saw the same attack) count as one offence: one attack that trips five
//! scenarios is not five repetitions.

use core::time::Duration;

use book::{Force, Past};
use vocab::Timestamp;

/// How durations grow and shrink.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Escalation {
    /// What each level multiplies the ban's length by; 1 to 100, what lies outside is
    /// taken as the nearer of the two.
    pub factor: f64,
    /// The longest ban.
    pub longest: Duration,
    /// Quiet that halves the level.
    pub half_life: Duration,
    /// Quiet that ends all memory.
    pub forget: Duration,
}

impl Default for Escalation {
    /// At most 7 days: addresses change hands, and whoever comes back after a week is barred again
    /// within seconds. Halved by each 10 quiet days, forgotten after 30.
    fn default() -> Self {
        Self {
            factor: 2.0,
            longest: Duration::from_secs(7 * 86_400),
            half_life: Duration::from_secs(10 * 86_400),
            forget: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Escalation {
    /// The level of a source with this past at `now`. Decisions made after `now` do not count.
    #[must_use]
    pub fn level(&self, past: &[Past], now: Timestamp) -> u32 {
        let mut level: u32 = 0;
        let mut end: Option<Timestamp> = None;
        let offences = past
            .iter()
            .filter(|past| past.created <= now && past.force >= Force::Throttle);
        for past in offences {
            match end {
                // still restrained: the same offence
                Some(before) if past.created < before => end = Some(before.max(past.until)),
                Some(before) => {
                    level = self
                        .decayed(level, past.created.since(before))
                        .saturating_add(1);
                    end = Some(past.until);
                }
                None => {
                    level = 1;
                    end = Some(past.until);
                }
            }
        }
        end.map_or(0, |end| self.decayed(level, now.since(end)))
    }

    /// How long a source of this level is restrained.
    #[must_use]
    pub fn lasts(&self, base: Duration, level: u32) -> Duration {
        let longest = self.longest.max(base);
        let level = i32::try_from(level).unwrap_or(i32::MAX);
        // The product may be infinite, which is longer than the longest, too.
        let seconds = base.as_secs_f64() * self.factor.clamp(1.0, 100.0).powi(level);
        if seconds < longest.as_secs_f64() {
            Duration::from_secs_f64(seconds)
        } else {
            longest
        }
    }

    fn decayed(&self, level: u32, quiet: Duration) -> u32 {
        if quiet >= self.forget {
            return 0;
        }
        let halvings = quiet
            .as_nanos()
            .checked_div(self.half_life.as_nanos())
            .unwrap_or(0);
        level
            .checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX))
            .unwrap_or(0)
    }
}
