//! What happened lately, in bounded memory: alerts, and how soon the book bit.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vocab::{Alert, Cidr, Decision, Kind, Refusal, Timestamp};

/// Alerts kept for `why` and `alert list` when the disk cannot be asked, and how many
/// of their last events: strangers choose how long those are, 10 KiB each at most.
const ALERTS: usize = 256;
const EVENTS: usize = 16;
/// Sources whose first refusal is awaited or known.
const SOURCES: usize = 4_096;

/// Refusals kept, so that a reference can be explained.
const REFUSALS: usize = 4_096;

/// A refusal that somebody may ask about by its reference.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Turned {
    reference: u64,
    pub(super) client: IpAddr,
    pub(super) time: Timestamp,
    pub(super) rule: Box<str>,
    pub(super) status: u16,
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    turned: Mutex<VecDeque<Turned>>,
    alerts: Mutex<VecDeque<Alert>>,
    bites: Mutex<Bites>,
    /// Sources awaited, so that a refusal of a known source costs one load.
    awaited: AtomicUsize,
}

#[derive(Debug, Default)]
struct Bites {
    order: VecDeque<Cidr>,
    /// When the deciding request was seen, and the time from then to the first refusal.
    sources: HashMap<Cidr, (Timestamp, Option<Duration>)>,
}

impl Recent {
    /// Waits for the first refusal that these decisions bring about. To be called
    /// before they are published, or another core's refusal comes first.
    pub(super) fn expect<'a>(
        &self,
        decided: Timestamp,
        decisions: impl Iterator<Item = &'a Decision>,
    ) {
        for range in decisions
            .filter(|one| one.kind == Kind::Ban)
            .filter_map(Decision::cidr)
        {
            self.await_refusal(range, decided);
        }
    }

    /// Remembers an alert.
    pub(super) fn raised(&self, mut alert: Alert) {
        let surplus = alert.events.len().saturating_sub(EVENTS);
        alert.events.drain(..surplus);
        alert.events.shrink_to_fit();
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        if alerts.len() == ALERTS {
            alerts.pop_front();
        }
        alerts.push_back(alert);
    }

    fn await_refusal(&self, range: Cidr, decided: Timestamp) {
        let mut bites = self.bites.lock().unwrap_or_else(PoisonError::into_inner);
        if bites.order.len() == SOURCES
            && let Some(oldest) = bites.order.pop_front()
            && let Some((_, None)) = bites.sources.remove(&oldest)
        {
            self.awaited.fetch_sub(1, Ordering::Relaxed);
        }
        match bites.sources.insert(range, (decided, None)) {
            None => {
                bites.order.push_back(range);
                self.awaited.fetch_add(1, Ordering::Relaxed);
            }
            Some((_, Some(_))) => {
                self.awaited.fetch_add(1, Ordering::Relaxed);
            }
            Some((_, None)) => {}
        }
    }

    /// Remembers a refusal by the reference that the visitor was told.
    pub(super) fn turned(&self, refusal: &Refusal<'_>) {
        let turned = Turned {
            reference: refusal.request_id,
            client: refusal.client.0,
            time: refusal.time,
            rule: refusal.rule.as_ref().into(),
            status: refusal.status,
        };
        let mut kept = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == REFUSALS {
            kept.pop_front();
        }
        kept.push_back(turned);
    }

    /// The refusal of a reference: 16 hex digits.
    pub(super) fn by_reference(&self, text: &str) -> Option<Turned> {
        let shape = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let reference = u64::from_str_radix(text, 16).ok().filter(|_| shape)?;
        let kept = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .rev()
            .find(|turned| turned.reference == reference)
            .cloned()
    }

    pub(super) fn refused(&self, source: IpAddr, time: Timestamp) {
        if self.awaited.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut bites = self.bites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((decided, bite @ None)) = bites.sources.get_mut(&book::source_range(source)) {
            *bite = Some(time.since(*decided));
            self.awaited.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn reaction(&self, source: IpAddr) -> Option<Duration> {
        let bites = self.bites.lock().unwrap_or_else(PoisonError::into_inner);
        bites.sources.get(&book::source_range(source))?.1
    }

    pub(super) fn latest_alert(&self, source: IpAddr) -> Option<Alert> {
        let alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts
            .iter()
            .rev()
            .find(|alert| alert.source.ip == Some(source))
            .cloned()
    }

    /// Newest first.
    pub(super) fn alerts(&self, limit: usize, source: Option<Cidr>) -> Vec<Alert> {
        let alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        let about = |alert: &&Alert| {
            source.is_none_or(|range| {
                let named = alert
                    .source
                    .value
                    .parse::<Cidr>()
                    .is_ok_and(|value| value.overlaps(range));
                named || alert.source.ip.is_some_and(|ip| range.contains(ip))
            })
        };
        alerts
            .iter()
            .rev()
            .filter(about)
            .take(limit)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use vocab::{DecisionId, Origin, Scope, Source};

    use super::*;

    fn alert(source: &str, at: i64) -> Alert {
        Alert {
            scenario: "ringwall/test".to_owned(),
            scenario_hash: String::new(),
            source: Source {
                scope: Scope::Ip,
                value: source.to_owned(),
                ip: source.parse().ok(),
                whereabouts: None,
            },
            events_count: 1,
            start_at: Timestamp::from_unix_nanos(at),
            stop_at: Timestamp::from_unix_nanos(at),
            events: Vec::new(),
            remediation: true,
            simulated: false,
            labels: Vec::new(),
            context: Vec::new(),
            exempt: None,
        }
    }

    fn ban(source: &str) -> Decision {
        Decision {
            id: DecisionId(7),
            scope: Scope::Ip,
            value: source.to_owned(),
            kind: Kind::Ban,
            origin: Origin::Detection,
            reason: String::new(),
            created: Timestamp::EPOCH,
            until: Timestamp::MAX,
        }
    }

    #[test]
    fn the_first_refusal_after_a_decision_is_the_reaction_time() {
        let recent = Recent::default();
        let source: IpAddr = "192.0.2.7".parse().unwrap();
        recent.refused(source, Timestamp::from_unix_nanos(5));
        assert_eq!(recent.reaction(source), None);
        recent.expect(Timestamp::from_unix_nanos(100), [ban("192.0.2.7")].iter());
        recent.refused(
            "192.0.2.8".parse().unwrap(),
            Timestamp::from_unix_nanos(150),
        );
        assert_eq!(recent.reaction(source), None);
        recent.refused(source, Timestamp::from_unix_nanos(400));
        recent.refused(source, Timestamp::from_unix_nanos(900));
        assert_eq!(recent.reaction(source), Some(Duration::from_nanos(300)));
        assert_eq!(recent.awaited.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn memory_is_bounded_by_count() {
        let recent = Recent::default();
        for number in 0..(SOURCES as u32 + 100) {
            let source = std::net::Ipv4Addr::from(0xc633_0000 + number).to_string();
            recent.expect(Timestamp::from_unix_nanos(1), [ban(&source)].iter());
            recent.raised(alert(&source, 1));
        }
        assert_eq!(recent.alerts.lock().unwrap().len(), ALERTS);
        assert_eq!(recent.bites.lock().unwrap().sources.len(), SOURCES);
        assert_eq!(recent.awaited.load(Ordering::Relaxed), SOURCES);
    }
}
