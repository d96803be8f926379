//! Where requests are judged: one datagram in, one [`Order`] out. Pure; the time is
//! passed in, and the loop in [`serve`](mod@crate::serve) carries the order out.
//!
//! On failure: a bad datagram is refused and counted, and after [`MOST_FAULTS`] of
//! them the order is to part for good.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::docker::DockerRule;
use crate::policy::{FileRule, ListenerRule, Policy};
use crate::verb::{Counters, Refusal, VERSION, Verb, Why, Word};

/// How many malformed or unknown datagrams a peer gets away with.
pub const MOST_FAULTS: u64 = 32;

/// Requests a second that a peer may go on making once its burst is used up.
const REQUESTS_A_SECOND: u32 = 32;

/// Descriptors a second, likewise.
const DESCRIPTORS_A_SECOND: u32 = 16;

/// How often each share of an address may be bound at once (restarts, reloads)
/// before it takes [`REBIND`] for another.
const REBINDS: u32 = 4;

/// The time that earns one more bind of an address.
const REBIND: Duration = Duration::from_secs(5);

/// What is to be done about a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Answer this, nothing else.
    Say(Word),
    /// Bind this and hand it over.
    Bind(ListenerRule),
    /// Open this and hand it over.
    Open(FileRule),
    /// Watch containers and hand over the pipe.
    Watch(DockerRule),
    /// Read the configuration again and [`Desk::adopt`] it.
    Reload,
    /// Answer this and end the process.
    Part(Word),
}

/// A token bucket in whole tokens.
#[derive(Debug)]
struct Meter {
    tokens: u32,
    most: u32,
    earned_in: Duration,
    since: Instant,
}

impl Meter {
    const fn new(most: u32, earned_in: Duration, now: Instant) -> Self {
        Self {
            tokens: most,
            most,
            earned_in,
            since: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        let earned = passed.as_nanos() / self.earned_in.as_nanos().max(1);
        if let Ok(earned) = u32::try_from(earned.min(u128::from(self.most)))
            && earned > 0
        {
            self.tokens = self.tokens.saturating_add(earned).min(self.most);
            self.since = now;
        }
        let granted = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        granted
    }
}

/// The judge of one peer's requests.
#[derive(Debug)]
pub struct Desk {
    policy: Policy,
    greeted: bool,
    counted: Counters,
    requests: Meter,
    descriptors: Meter,
    /// By address; holds configured addresses only.
    binds: HashMap<String, Meter>,
}

/// A request whose verb is not judged yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    number: u64,
    verb: serde_json::Value,
}

impl Desk {
    /// A desk for a peer that starts now.
    #[must_use]
    pub fn new(policy: Policy, now: Instant) -> Self {
        let burst = burst(&policy);
        Self {
            policy,
            greeted: false,
            counted: Counters::default(),
            requests: Meter::new(burst, Duration::from_secs(1) / REQUESTS_A_SECOND, now),
            descriptors: Meter::new(burst, Duration::from_secs(1) / DESCRIPTORS_A_SECOND, now),
            binds: HashMap::new(),
        }
    }

    /// Puts a new policy in force. Budgets that were used up stay used up.
    pub fn adopt(&mut self, policy: Policy) {
        self.policy = policy;
        let most = burst(&self.policy);
        for meter in [&mut self.requests, &mut self.descriptors] {
            meter.tokens = meter.tokens.saturating_add(most.saturating_sub(meter.most));
            meter.most = most;
        }
        let policy = &self.policy;
        self.binds.retain(|id, _| policy.listener(id).is_some());
    }

    /// The policy in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counted(&self) -> Counters {
        self.counted
    }

    /// Counts what came of an order: whether it was done.
    pub const fn note(&mut self, order: &Order, done: bool) {
        match (order, done) {
            (Order::Bind(_), true) => self.counted.bound += 1,
            (Order::Open(_), true) => self.counted.opened += 1,
            (Order::Watch(_), true) => self.counted.watched += 1,
            (Order::Bind(_) | Order::Open(_) | Order::Watch(_) | Order::Reload, false) => {
                self.counted.refused += 1;
            }
            (Order::Reload, true) | (Order::Say(_) | Order::Part(_), _) => {}
        }
    }

    /// Judges a datagram; `cut` says that it was longer than
    /// [`LARGEST`](crate::verb::LARGEST). Returns the request's number with the order.
    pub fn judge(&mut self, datagram: &[u8], cut: bool, now: Instant) -> (u64, Order) {
        if !self.requests.take(now) {
            self.counted.over_budget += 1;
            let number = serde_json::from_slice::<Sealed>(datagram).map_or(0, |one| one.number);
            return (number, refuse(Why::Budget, ""));
        }
        if cut {
            return (0, self.fault(Why::Malformed));
        }
        let Ok(sealed) = serde_json::from_slice::<Sealed>(datagram) else {
            return (0, self.fault(Why::Malformed));
        };
        let order = match Verb::deserialize(sealed.verb) {
            Ok(verb) => self.weigh(verb, now),
            Err(_) => self.fault(Why::UnknownVerb),
        };
        (sealed.number, order)
    }

    fn weigh(&mut self, verb: Verb, now: Instant) -> Order {
        if !self.greeted && !matches!(verb, Verb::Hello { .. }) {
            return self.fault(Why::NoHello);
        }
        match verb {
            Verb::Hello { version: VERSION } => {
                self.greeted = true;
                Order::Say(Word::Welcome {
                    version: VERSION,
                    pid: std::process::id(),
                })
            }
            Verb::Hello { .. } => Order::Part(Word::Refused(Refusal::new(Why::Version, ""))),
            Verb::BindListener { id, share } => self.bind(id, share, now),
            Verb::OpenConfigured { id } => self.open(&id, now),
            Verb::DockerEvents => self.watch(now),
            Verb::Reload => Order::Reload,
            Verb::Ping => Order::Say(Word::Pong {
                counted: self.counted,
            }),
            Verb::Goodbye => Order::Part(Word::Farewell),
        }
    }

    fn bind(&mut self, id: String, share: u16, now: Instant) -> Order {
        let Some(rule) = self.policy.listener(&id).cloned() else {
            return self.refused(Why::NotConfigured);
        };
        if share >= rule.shares.max(1) {
            return self.refused(Why::Share);
        }
        let most = u32::from(rule.shares.max(1)) * REBINDS;
        let meter = self
            .binds
            .entry(id)
            .or_insert_with(|| Meter::new(most, REBIND, now));
        if !(meter.take(now) && self.descriptors.take(now)) {
            self.counted.over_budget += 1;
            return refuse(Why::Budget, "");
        }
        Order::Bind(rule)
    }

    fn open(&mut self, id: &str, now: Instant) -> Order {
        let Some(rule) = self.policy.file(id).cloned() else {
            return self.refused(Why::NotConfigured);
        };
        if !self.descriptors.take(now) {
            self.counted.over_budget += 1;
            return refuse(Why::Budget, "");
        }
        Order::Open(rule)
    }

    fn watch(&mut self, now: Instant) -> Order {
        let Some(rule) = self.policy.docker.clone() else {
            return self.refused(Why::NotConfigured);
        };
        if !self.descriptors.take(now) {
            self.counted.over_budget += 1;
            return refuse(Why::Budget, "");
        }
        Order::Watch(rule)
    }

    fn refused(&mut self, why: Why) -> Order {
        self.counted.refused += 1;
        refuse(why, "")
    }

    fn fault(&mut self, why: Why) -> Order {
        self.counted.malformed += 1;
        let word = Word::Refused(Refusal::new(why, ""));
        if self.counted.malformed >= MOST_FAULTS {
            Order::Part(word)
        } else {
            Order::Say(word)
        }
    }
}

fn refuse(why: Why, detail: &str) -> Order {
    Order::Say(Word::Refused(Refusal::new(why, detail)))
}

/// Enough for a start and some reloads of everything that is configured.
fn burst(policy: &Policy) -> u32 {
    policy.descriptors().saturating_mul(4).saturating_add(64)
}

#[cfg(test)]
mod tests;
