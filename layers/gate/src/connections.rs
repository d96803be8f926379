//! How many connections are open at once, per client and in total.
//!
//! A fixed table of counters: 40 bits tell the client, 24 bits count. A set holds eight clients;
//! a counter that falls to zero is free again. A client that finds its set full of others is not
//! counted on its own (only in the total), and that is counted: the table errs to letting
//! through. Two cores that meet a new client at the same instant may give it two counters; both
//! are exact, the client's limit is then up to twice as wide for as long as both are in use.
//!
//! A [`ConnectionGuard`] gives back what it took when it is dropped, once and on every path.

use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use crate::hash::Seed;

const WAYS: usize = 8;
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const TRIES: usize = 16;

#[repr(align(64))]
#[derive(Debug, Default)]
struct Set([AtomicU64; WAYS]);

/// Open connections of as many clients as fit; shared by all cores.
#[derive(Debug)]
pub struct ConnectionTable {
    sets: Box<[Set]>,
    seed: Seed,
    open: AtomicU32,
    uncounted: AtomicU64,
}

/// Why one more connection is too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooMany {
    /// This client holds as many as it may.
    OfClient,
    /// All clients together do.
    InTotal,
}

/// One open connection; dropping it closes the count.
#[derive(Debug)]
pub struct ConnectionGuard {
    table: Arc<ConnectionTable>,
    place: Option<(usize, usize)>,
}

impl ConnectionTable {
    /// A table for at least `clients` clients with open connections: rounded up to a power of
    /// two, between 8 and 1,048,576, at eight bytes each.
    #[must_use]
    pub fn new(clients: usize) -> Self {
        let sets = clients.clamp(WAYS, 1 << 20).next_power_of_two() / WAYS;
        Self {
            sets: (0..sets).map(|_| Set::default()).collect(),
            seed: Seed::default(),
            open: AtomicU32::new(0),
            uncounted: AtomicU64::new(0),
        }
    }

    /// Opens one more: of `client` up to `per_client` (`None` counts it in the total alone),
    /// `total` at most of all.
    ///
    /// # Errors
    /// Says which limit is reached; nothing is counted then.
    pub fn open(
        self: &Arc<Self>,
        client: Option<(IpAddr, u32)>,
        total: u32,
    ) -> Result<ConnectionGuard, TooMany> {
        let place = match client {
            None => None,
            Some((client, limit)) => self.take(client, limit)?,
        };
        // from here on the guard gives back what was taken, on refusal too
        let guard = ConnectionGuard {
            table: Arc::clone(self),
            place,
        };
        if self.open.fetch_add(1, Relaxed) >= total {
            return Err(TooMany::InTotal);
        }
        Ok(guard)
    }

    /// How many are open now.
    #[must_use]
    pub fn open_now(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// How many connections were not counted for their client because the table was full.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Relaxed)
    }

    fn take(&self, client: IpAddr, limit: u32) -> Result<Option<(usize, usize)>, TooMany> {
        let hash = self.seed.address(0, client);
        let tag = (hash >> COUNT_BITS).max(1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits choose the set"
        )]
        let at = hash as usize & (self.sets.len() - 1);
        let words = self.sets.get(at).map_or(&[][..], |set| &set.0);
        for _ in 0..TRIES {
            let found = words.iter().enumerate().find_map(|(way, word)| {
                let held = word.load(Relaxed);
                (held >> COUNT_BITS == tag).then_some((way, word, held))
            });
            let free = || {
                let mut words = words.iter().enumerate();
                words
                    .find(|(_, word)| word.load(Relaxed) == 0)
                    .map(|(way, word)| (way, word, 0))
            };
            let Some((way, word, held)) = found.or_else(free) else {
                break;
            };
            let count = held & COUNT_MASK;
            if count >= u64::from(limit).min(COUNT_MASK) {
                return Err(TooMany::OfClient);
            }
            let next = tag << COUNT_BITS | (count + 1);
            if word
                .compare_exchange_weak(held, next, Relaxed, Relaxed)
                .is_ok()
            {
                return Ok(Some((at, way)));
            }
        }
        self.uncounted.fetch_add(1, Relaxed);
        Ok(None)
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.table.open.fetch_sub(1, Relaxed);
        let word = self
            .place
            .and_then(|(at, way)| self.table.sets.get(at)?.0.get(way));
        if let Some(word) = word {
            // the word is this client's for as long as any of its guards lives
            let less = |held: u64| {
                let count = (held & COUNT_MASK).saturating_sub(1);
                Some(if count == 0 {
                    0
                } else {
                    held & !COUNT_MASK | count
                })
            };
            let changed = word.fetch_update(Relaxed, Relaxed, less);
            debug_assert!(changed.is_ok(), "the update never declines");
        }
    }
}

#[cfg(test)]
mod tests;
