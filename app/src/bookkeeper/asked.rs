//! What rules ask the book: how often, and whether, somebody was restrained.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use book::{Book, Force, source_range};
use detect::outside::BookView;
use vocab::{Cidr, Timestamp};

use super::Bookkeeper;
use crate::now;

/// The book as rules see it. Counts are of what restrained a source, the latest 16 at most;
/// threat feeds' decisions do not count.
#[derive(Debug)]
struct Asked(Arc<Bookkeeper>);

impl Bookkeeper {
    /// The book for rules to ask.
    #[must_use]
    pub fn asked(self: &Arc<Self>) -> Arc<dyn BookView> {
        Arc::new(Asked(Arc::clone(self)))
    }

    /// How many alerts a rule exempted.
    #[must_use]
    pub fn exempted(&self) -> u64 {
        self.exempt.load(Ordering::Relaxed)
    }
}

/// The range that decisions about an address or a range are kept under.
fn range(value: &str) -> Option<Cidr> {
    match value.parse::<IpAddr>() {
        Ok(address) => Some(source_range(address)),
        Err(_) => value.parse().ok(),
    }
}

/// How many decisions restrained this value, of the last `within` nanoseconds or ever.
pub(super) fn decisions(book: &Book, value: &str, within: Option<i64>, time: Timestamp) -> i64 {
    let Some(range) = range(value) else { return 0 };
    let window = within.map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
    let counts = |created| window.is_none_or(|window| time.since(created) <= window);
    let past = book.past(range).into_iter();
    i64::try_from(past.filter(|past| counts(past.created)).count()).unwrap_or(i64::MAX)
}

/// How many decisions restrain it now, and how long the last of them does, in nanoseconds.
pub(super) fn active(book: &Book, value: &str, time: Timestamp) -> (i64, i64) {
    let Some(range) = range(value) else {
        return (0, 0);
    };
    let all = book.covering(range, time).into_iter();
    let left = all
        .filter(|held| held.force() >= Force::Throttle)
        .map(|held| i64::try_from(held.until().since(time).as_nanos()).unwrap_or(i64::MAX));
    left.fold((0, 0), |(count, longest), left| {
        (count + 1, longest.max(left))
    })
}

impl BookView for Asked {
    fn decisions(&self, value: &str, within: Option<i64>) -> i64 {
        decisions(&self.0.lock().book, value, within, now())
    }

    fn active(&self, value: &str) -> i64 {
        active(&self.0.lock().book, value, now()).0
    }

    fn time_left(&self, value: &str) -> i64 {
        active(&self.0.lock().book, value, now()).1
    }
}
