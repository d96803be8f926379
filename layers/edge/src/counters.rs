//! Counters: kept per core without sharing, merged when somebody reads them.
//!
//! Every counter only grows, except the gauges named so. A core writes its own
//! with plain relaxed stores; readers may be a moment behind.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vocab::RefusedBy;

use crate::io::Broken;
use crate::registry::Cut;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One core's counters, or the sum over all cores.
        #[derive(Clone, Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Refusals by rule name, observed ones included, sorted by name.
            pub refusals: Vec<(String, u64)>,
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            refusals: Mutex<Vec<(String, u64)>>,
            /// A copy, at most a second old.
            pub(crate) arrivals: Mutex<crate::arrivals::Table>,
        }

        impl Counters {
            pub(crate) fn add_to(&self, sum: &mut Stats) {
                $(sum.$name += self.$name.value();)*
                let Ok(own) = self.refusals.lock() else { return };
                for (rule, count) in own.iter() {
                    match sum.refusals.iter_mut().find(|(name, _)| name == rule) {
                        Some((_, total)) => *total += count,
                        None => sum.refusals.push((rule.clone(), *count)),
                    }
                }
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted,
    /// Gauge: connections open now.
    open,
    /// Gauge: of those, idle between requests.
    idle,
    /// Gauge: of those, tunnels.
    tunnels,
    /// Gauge: tasks that the cores' runtimes hold.
    tasks,
    /// Failed accepts (descriptors exhausted and the like).
    accept_errors,
    /// Connections closed at once for a cap.
    over_cap,
    /// Requests of trusted proxies that named no client one could believe.
    unnamed,
    /// TLS handshakes that completed.
    handshakes,
    /// TLS handshakes that failed, ran out of time or had no place.
    handshake_errors,
    /// Of those, TLS handshakes that made room for newcomers.
    handshakes_displaced,
    /// Requests whose head was complete and well-formed.
    requests,
    /// Answers by class: 1xx (forwarded).
    status_1xx,
    /// Answers 2xx.
    status_2xx,
    /// Answers 3xx.
    status_3xx,
    /// Answers 4xx, refusals included.
    status_4xx,
    /// Answers 5xx.
    status_5xx,
    /// Refusals by the codec.
    refused_codec,
    /// Refusals by the book.
    refused_book,
    /// Refusals by a limit.
    refused_limit,
    /// Refusals by a rule.
    refused_rule,
    /// Refusals for want of a site.
    refused_route,
    /// Upstream connections opened.
    upstream_connects,
    /// Requests that went out on a pooled upstream connection.
    upstream_reused,
    /// Upstream connections that could not be opened, broke or ran out of time.
    upstream_errors,
    /// Requests sent once more because a pooled connection had died.
    upstream_retries,
    /// Body and head bytes read from clients.
    bytes_in,
    /// Body and head bytes written to clients.
    bytes_out,
    /// Connections closed because their source was barred.
    cut_barred,
    /// Connections closed for slowness or silence outside an exchange.
    cut_expired,
    /// Idle connections closed to make room.
    evicted_idle,
    /// Requests whose client went away before the answer was complete.
    client_aborts,
    /// Access-log lines lost because the writer could not keep up.
    log_dropped,
    /// Connections that ended in a panic of ours.
    panics,
}

/// Written by one thread, read by many.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds without a locked instruction: only the owning core writes.
    pub(crate) fn add(&self, amount: u64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(amount), Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn less(&self) {
        self.add(u64::MAX);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Distinct rule names counted per core; rules come from our own code and data.
const RULES: usize = 256;

impl Counters {
    /// A connection ended outside an exchange.
    pub(crate) fn cut(&self, broken: &Broken) {
        match broken {
            Broken::Cut(Cut::Barred) => self.cut_barred.one(),
            Broken::Cut(Cut::Expired | Cut::TooSlow) => self.cut_expired.one(),
            Broken::Cut(Cut::Evicted) => self.evicted_idle.one(),
            Broken::Cut(Cut::Draining) | Broken::Io(_) => {}
        }
    }

    pub(crate) fn status(&self, status: u16) {
        match status {
            100..200 => self.status_1xx.one(),
            200..300 => self.status_2xx.one(),
            300..400 => self.status_3xx.one(),
            400..500 => self.status_4xx.one(),
            _ => self.status_5xx.one(),
        }
    }

    pub(crate) fn refusal(&self, by: RefusedBy, rule: &str) {
        match by {
            RefusedBy::Codec => self.refused_codec.one(),
            RefusedBy::Book => self.refused_book.one(),
            RefusedBy::Limit => self.refused_limit.one(),
            RefusedBy::Rule => self.refused_rule.one(),
            RefusedBy::Route => self.refused_route.one(),
        }
        let Ok(mut rules) = self.refusals.lock() else {
            return;
        };
        match rules.binary_search_by(|(name, _)| name.as_str().cmp(rule)) {
            Ok(at) => {
                if let Some((_, count)) = rules.get_mut(at) {
                    *count += 1;
                }
            }
            Err(at) if rules.len() < RULES => rules.insert(at, (rule.to_owned(), 1)),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_cores_add_up_and_gauges_go_down() {
        let (one, two) = (Counters::default(), Counters::default());
        one.open.one();
        one.open.one();
        one.open.less();
        two.open.one();
        one.refusal(RefusedBy::Codec, "framing.cl-te");
        two.refusal(RefusedBy::Codec, "framing.cl-te");
        two.refusal(RefusedBy::Book, "book.ban");
        let mut sum = Stats::default();
        one.add_to(&mut sum);
        two.add_to(&mut sum);
        assert_eq!((sum.open, sum.refused_codec, sum.refused_book), (2, 2, 1));
        sum.refusals.sort();
        assert_eq!(
            sum.refusals,
            [("book.ban".to_owned(), 1), ("framing.cl-te".to_owned(), 2)]
        );
    }
}
