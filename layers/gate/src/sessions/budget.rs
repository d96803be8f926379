//! What each client may have of something in an hour, whatever it carries.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use vocab::{ClientAddr, Timestamp};

use crate::{Pace, Rate, RateTable};

/// Clients whose spending is remembered; 64 KiB.
const CLIENTS: usize = 1 << 13;

#[derive(Debug)]
pub(super) struct Budget {
    table: RateTable,
    rate: Option<Rate>,
    overdrawn: AtomicU64,
}

impl Budget {
    /// So many an hour, evenly, and at a stroke after a rest.
    pub(super) fn an_hour(count: u32) -> Self {
        let count = NonZeroU32::new(count);
        Self {
            table: RateTable::new(CLIENTS),
            rate: count.and_then(|count| Rate::new(count, Duration::from_secs(3_600), count)),
            overdrawn: AtomicU64::new(0),
        }
    }

    /// Spends one; whether there was one left.
    pub(super) fn spend(&self, client: ClientAddr, now: Timestamp) -> bool {
        let pace = |rate| self.table.count(0, client.counting_key(), rate, now);
        let had = self.rate.is_some_and(|rate| pace(rate) == Pace::Within);
        self.overdrawn.fetch_add(u64::from(!had), Relaxed);
        had
    }

    /// How often there was none left.
    pub(super) fn overdrawn(&self) -> u64 {
        self.overdrawn.load(Relaxed)
    }
}
