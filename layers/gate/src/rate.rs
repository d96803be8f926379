//! Rates per client: the generic cell rate algorithm (ITU-T I.371) in a fixed table.
//!
//! Every client costs one 64-bit word: 20 bits that tell it from its neighbours and 44 bits of
//! its theoretical arrival time in microseconds (wrapping after 203 days). Sets of eight words
//! are one cache line. When a set is full the word that is longest idle is replaced; if it was
//! still in debt, that debt is forgiven and counted. So a flood of addresses cannot grow the
//! table, and its worst effect is that somebody is let through.
//!
//! Doubt admitted: two clients in one set share a word when their 20 bits agree (one in 131,072
//! for a full set); the seed is drawn per process, so nobody can arrange to be another's twin.
//!
//! The time may be any clock: one that jumps forward lets through, one that jumps back finds
//! debts further ahead than their rate allows and forgives them.

use core::net::IpAddr;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use vocab::Timestamp;

use crate::hash::Seed;

const WAYS: usize = 8;
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// How often a word that others change at the same time is tried; then the request passes.
const TRIES: usize = 16;

/// So many at a stroke, and one more with every interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Microseconds from one to the next.
    interval: u64,
    burst: u32,
}

impl Rate {
    /// One a second, five at a stroke.
    pub const ONE_A_SECOND: Self = Self {
        interval: 1_000_000,
        burst: 5,
    };

    /// `count` in each `per`, evenly, and `burst` at a stroke after a rest. Intervals are rounded
    /// up to whole microseconds. `None` when the burst takes longer than a day to earn.
    #[must_use]
    pub fn new(count: NonZeroU32, per: Duration, burst: NonZeroU32) -> Option<Self> {
        let interval = per
            .as_nanos()
            .div_ceil(u128::from(count.get()) * 1_000)
            .max(1);
        let interval = u64::try_from(interval).ok()?;
        let earned = interval.checked_mul(u64::from(burst.get()))?;
        (earned <= 86_400_000_000).then_some(Self {
            interval,
            burst: burst.get(),
        })
    }

    /// Ten times as many in the same time and at a stroke.
    #[must_use]
    pub fn tenfold(self) -> Self {
        Self {
            interval: (self.interval / 10).max(1),
            burst: self.burst.saturating_mul(10),
        }
    }

    /// The time from one to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_micros(self.interval)
    }

    /// How many at a stroke.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    fn tolerance(self) -> u64 {
        self.interval * u64::from(self.burst)
    }
}

/// Whether one more is within the rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// It is, and was counted.
    Within,
    /// It is not, and was not counted.
    Over {
        /// When one more will be.
        retry_after: Duration,
    },
}

#[repr(align(64))]
#[derive(Debug, Default)]
struct Set([AtomicU64; WAYS]);

/// The rates of as many clients as fit; shared by all cores.
#[derive(Debug)]
pub struct RateTable {
    sets: Box<[Set]>,
    seed: Seed,
    forgiven: AtomicU64,
}

impl RateTable {
    /// A table for at least `clients` clients: rounded up to a power of two, between 8 and
    /// 16,777,216, at eight bytes each.
    #[must_use]
    pub fn new(clients: usize) -> Self {
        let sets = clients.clamp(WAYS, 1 << 24).next_power_of_two() / WAYS;
        Self {
            sets: (0..sets).map(|_| Set::default()).collect(),
            seed: Seed::default(),
            forgiven: AtomicU64::new(0),
        }
    }

    /// Counts one more of `client` in `space` (clients of different spaces are strangers).
    pub fn count(&self, space: u64, client: IpAddr, rate: Rate, now: Timestamp) -> Pace {
        let hash = self.seed.address(space, client);
        let tag = (hash >> TIME_BITS).max(1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits choose the set"
        )]
        let at = hash as usize & (self.sets.len() - 1);
        let Some(set) = self.sets.get(at) else {
            return Pace::Within;
        };
        let now = micros(now);
        for _ in 0..TRIES {
            let mut place = None;
            let mut idlest: Option<(&AtomicU64, u64, i64)> = None;
            for word in &set.0 {
                let held = word.load(Relaxed);
                if held >> TIME_BITS == tag {
                    place = Some((word, held));
                    break;
                }
                let ahead = if held == 0 {
                    i64::MIN
                } else {
                    ahead(held, now)
                };
                if idlest.is_none_or(|(_, _, other)| ahead < other) {
                    idlest = Some((word, held, ahead));
                }
            }
            let (word, held, debt) = match (place, idlest) {
                (Some((word, held)), _) => {
                    let ahead = u64::try_from(ahead(held, now)).unwrap_or(0);
                    // further ahead than this rate can run up: from before a change of the clock
                    // or of the rate
                    (word, held, if ahead > rate.tolerance() { 0 } else { ahead })
                }
                (None, Some((word, held, ahead))) => {
                    if ahead > 0 {
                        self.forgiven.fetch_add(1, Relaxed);
                    }
                    (word, held, 0)
                }
                (None, None) => return Pace::Within,
            };
            let after = debt + rate.interval;
            if after > rate.tolerance() {
                return Pace::Over {
                    retry_after: Duration::from_micros(after - rate.tolerance()),
                };
            }
            let next = tag << TIME_BITS | (now.wrapping_add(after) & TIME_MASK);
            if word
                .compare_exchange_weak(held, next, Relaxed, Relaxed)
                .is_ok()
            {
                return Pace::Within;
            }
        }
        Pace::Within
    }

    /// How many clients were in debt when their place was given to another.
    #[must_use]
    pub fn forgiven(&self) -> u64 {
        self.forgiven.load(Relaxed)
    }

    /// How many clients it has room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.sets.len() * WAYS
    }
}

#[expect(
    clippy::cast_sign_loss,
    reason = "times wrap on purpose; only differences count"
)]
fn micros(now: Timestamp) -> u64 {
    now.unix_nanos().div_euclid(1_000) as u64 & TIME_MASK
}

/// How far a word's time lies ahead of `now`, negative when it is past; times wrap at 44 bits.
#[expect(
    clippy::cast_possible_wrap,
    reason = "the shift brings the 44-bit sign into place"
)]
fn ahead(held: u64, now: u64) -> i64 {
    let unused = u64::BITS - TIME_BITS;
    (held.wrapping_sub(now) << unused) as i64 >> unused
}

#[cfg(test)]
mod tests;
