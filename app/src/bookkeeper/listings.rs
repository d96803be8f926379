//! What the book holds, for people and machines to read.

use std::time::Duration;

use book::{AllowSubject, Held};
use store::AlertQuery;
use vocab::{Alert, Cidr, Timestamp};

use super::{Bookkeeper, Desk};
use crate::control::protocol::{AllowView, BookView, DecisionView};
use crate::now;

/// How long whoever looks waits for the disk.
const LOOK: Duration = Duration::from_millis(500);
/// Decisions listed at most.
const LISTED: usize = 10_000;

impl Bookkeeper {
    /// Decisions for a listing, newest first. What gathers to be written is written first,
    /// so that what is shown as volatile is what the disk does not take. Blocks.
    #[must_use]
    pub fn decisions(&self, covering: Option<Cidr>) -> Vec<DecisionView> {
        let views = self.listed(covering);
        if !views.iter().any(|view| view.volatile) {
            return views;
        }
        match self.store.append_or_fail(&[]).wait(LOOK) {
            Ok(()) => self.listed(covering),
            // They are volatile, then, and shown so.
            Err(_) => views,
        }
    }

    fn listed(&self, covering: Option<Cidr>) -> Vec<DecisionView> {
        let time = now();
        let desk = self.lock();
        let fits = |one: &Held<'_>| {
            covering.is_none_or(|range| one.cidr().is_some_and(|held| held.overlaps(range)))
        };
        let mut views: Vec<_> = desk
            .book
            .active(time)
            .filter(fits)
            .take(LISTED)
            .map(|one| desk.view(one, time))
            .collect();
        views.sort_by_key(|view| std::cmp::Reverse((view.decision.created, view.decision.id)));
        views
    }

    /// The allowlist, configuration first.
    #[must_use]
    pub fn allowlist(&self) -> Vec<AllowView> {
        let desk = self.lock();
        let mut views: Vec<_> = desk
            .book
            .allow_items(now())
            .map(|item| AllowView {
                value: item.subject.to_string(),
                reason: item.why.clone(),
                from: item.list.clone(),
                until: (item.until != Timestamp::MAX).then_some(item.until),
                resolved: match item.subject {
                    AllowSubject::Range(_) => Vec::new(),
                    AllowSubject::Host(_) | AllowSubject::Preset(_) => desk
                        .book
                        .resolution(&item.subject)
                        .iter()
                        .map(Cidr::to_string)
                        .collect(),
                },
            })
            .collect();
        views.sort_by(|one, other| (&other.from, &one.value).cmp(&(&one.from, &other.value)));
        views
    }

    /// Alerts, newest first: from the disk, or from memory when it cannot be asked.
    #[must_use]
    pub fn alerts(&self, limit: usize, value: Option<&str>) -> Vec<Alert> {
        let query = AlertQuery {
            source: value.map(str::to_owned),
            limit,
            ..AlertQuery::default()
        };
        // What was raised a moment ago may still wait for the disk.
        let _saved = self.store.flush(Duration::from_millis(500));
        match self.store.alerts(&query) {
            Ok(stored) => stored.into_iter().map(|one| one.alert).collect(),
            Err(error) => {
                tracing::warn!(%error, "alerts read from memory");
                self.recent
                    .alerts(limit, value.and_then(|text| text.parse().ok()))
            }
        }
    }

    /// Ranges with barred addresses that are remembered, and how many were forgotten for
    /// want of room.
    #[must_use]
    pub fn neighbourhoods(&self) -> (usize, u64) {
        self.lock().neighbours.counts()
    }

    /// How many entries (decisions, allowances, and their ends) were written to the log
    /// since the start.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.lock().author.written()
    }

    /// The book in numbers.
    #[must_use]
    pub fn numbers(&self) -> BookView {
        let time = now();
        let desk = self.lock();
        let (active, volatile) = desk.book.numbers(time);
        BookView {
            active,
            volatile,
            allowed: desk.book.allow_items(time).count(),
            refused: self.refused.load(std::sync::atomic::Ordering::Relaxed),
        }
    }
}

impl Desk {
    pub(super) fn view(&self, held: Held<'_>, time: Timestamp) -> DecisionView {
        DecisionView {
            decision: held.decision(),
            volatile: self.book.is_volatile(held.id()),
            active: held.is_active(time),
        }
    }
}
