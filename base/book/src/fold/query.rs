//! What can be asked of the book. Every answer that can be long is bounded by its asker.

use core::net::IpAddr;

use vocab::{Cidr, DecisionId, Kind, Origin, Scope, Timestamp};

use super::{Book, minute};
use crate::{AllowItem, AllowSubject, Change, Held, Past, View};

/// Which decisions are meant. Every field that is set must fit; none set means all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// It covers this address.
    pub covers: Option<IpAddr>,
    /// It lies within this range.
    pub within: Option<Cidr>,
    /// Its scope.
    pub scope: Option<Scope>,
    /// Its value, as text.
    pub value: Option<String>,
    /// Its kind.
    pub kind: Option<Kind>,
    /// Who asked for it.
    pub origin: Option<Origin>,
    /// Part of its reason.
    pub reason: Option<String>,
}

impl Filter {
    /// Whether the filter means this decision.
    #[must_use]
    pub fn fits(&self, held: Held<'_>) -> bool {
        let range = held.cidr();
        let covers = |address| range.is_some_and(|range| range.contains(address));
        let within = |outer: Cidr| {
            range.is_some_and(|range| {
                outer.prefix() <= range.prefix() && outer.contains(range.address())
            })
        };
        let fits = |part: &String| held.reason().contains(part.as_str());
        self.covers.is_none_or(covers)
            && self.within.is_none_or(within)
            && self.scope.as_ref().is_none_or(|it| it == held.scope())
            && self.kind.as_ref().is_none_or(|it| it == held.kind())
            && self.origin.as_ref().is_none_or(|it| it == held.origin())
            && self.reason.as_ref().is_none_or(fits)
            && self.value.as_ref().is_none_or(|it| *it == held.value())
    }
}

impl Book {
    /// A decision by its name, past its end or not.
    #[must_use]
    pub fn decision(&self, id: DecisionId) -> Option<Held<'_>> {
        self.ledger.find(id).map(|slot| self.held(slot))
    }

    fn held(&self, slot: u32) -> Held<'_> {
        Held::new(&self.ledger, slot)
    }

    /// Decisions in force whose name begins with these hex digits, `most` at most; none when
    /// the text is no hex number of 1 to 32 digits.
    #[must_use]
    pub fn by_prefix(&self, digits: &str, now: Timestamp, most: usize) -> Vec<Held<'_>> {
        let hex = (1..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let Some(head) = hex.then(|| u128::from_str_radix(digits, 16).ok()).flatten() else {
            return Vec::new();
        };
        let free = u32::try_from(4 * (32 - digits.len())).unwrap_or(0);
        let low = head.checked_shl(free).unwrap_or(0);
        let high = low | 1_u128.checked_shl(free).map_or(u128::MAX, |bit| bit - 1);
        self.ledger
            .names_from(DecisionId(low))
            .map(|slot| self.held(slot))
            .take_while(|held| held.id() <= DecisionId(high))
            .filter(|held| held.is_active(now))
            .take(most)
            .collect()
    }

    /// Every decision in force, by name.
    pub fn active(&self, now: Timestamp) -> impl Iterator<Item = Held<'_>> {
        let all = self.ledger.names().map(|slot| self.held(slot));
        all.filter(move |held| held.is_active(now))
    }

    /// How many decisions are in force, and how many of them would be lost if the process died
    /// now.
    #[must_use]
    pub fn numbers(&self, now: Timestamp) -> (usize, usize) {
        self.active(now).fold((0, 0), |(active, volatile), held| {
            let lost = usize::from(self.is_held_volatile(held));
            (active + 1, volatile + lost)
        })
    }

    /// Decisions in force that the filter means, `most` at most.
    #[must_use]
    pub fn matching(&self, filter: &Filter, now: Timestamp, most: usize) -> Vec<Held<'_>> {
        self.active(now)
            .filter(|held| filter.fits(*held))
            .take(most)
            .collect()
    }

    /// Decisions in force that cover a range (or an address, as [`Cidr::host`]) wholly, the
    /// prevailing one first. Allowlists are not looked at; see [`Book::allowing`].
    #[must_use]
    pub fn covering(&self, range: Cidr, now: Timestamp) -> Vec<Held<'_>> {
        let mut found: Vec<_> = self
            .ledger
            .covering(range)
            .map(|slot| self.held(slot))
            .filter(|held| held.is_active(now))
            .collect();
        found.sort_by_key(|held| core::cmp::Reverse((held.force(), held.until(), held.id())));
        found
    }

    /// The allowlist item in force that covers a range wholly; the one that lasts longest.
    #[must_use]
    pub fn allowing(&self, range: Cidr, now: Timestamp) -> Option<&AllowItem> {
        self.allowed_ranges
            .covering(range)
            .filter_map(|id| self.allowed.get(&id))
            .filter(|item| item.until > now)
            .max_by_key(|item| (item.until, item.id))
    }

    /// Every allowlist item in force, by name.
    pub fn allow_items(&self, now: Timestamp) -> impl Iterator<Item = &AllowItem> {
        self.allowed.values().filter(move |item| item.until > now)
    }

    /// What an allowlist subject stands for now.
    #[must_use]
    pub fn resolution(&self, subject: &AllowSubject) -> Vec<Cidr> {
        self.resolved.ranges(subject)
    }

    /// Decisions in force that an allowlist item makes void: they lie wholly within it. The view
    /// ignores them at once; whoever adds an item may write their removal, so that listings agree.
    #[must_use]
    pub fn voided_by(&self, subject: &AllowSubject, now: Timestamp) -> Vec<DecisionId> {
        let ranges = self.resolved.ranges(subject);
        let filters = ranges.into_iter().map(|range| Filter {
            within: Some(range),
            ..Filter::default()
        });
        let filters: Vec<Filter> = filters.collect();
        self.active(now)
            .filter(|held| filters.iter().any(|filter| filter.fits(*held)))
            .map(Held::id)
            .collect()
    }

    /// What a source did before: its decisions that restrained (threat feeds' not counted, those
    /// taken back forgotten), oldest first, the latest 16.
    #[must_use]
    pub fn past(&self, source: Cidr) -> Vec<Past> {
        self.ledger.past(source)
    }

    /// How many decisions of an origin the book holds.
    #[must_use]
    pub fn held_by(&self, origin: &Origin) -> u32 {
        self.tallies.get(origin).map_or(0, |tally| tally.held)
    }

    /// How many decisions an origin made within the calendar minute of `now`.
    #[must_use]
    pub fn made_by(&self, origin: &Origin, now: Timestamp) -> u32 {
        let tally = self.tallies.get(origin);
        tally
            .and_then(|tally| tally.minutes.get(&minute(now)))
            .copied()
            .unwrap_or(0)
    }

    /// Everything in force as changes.
    #[must_use]
    pub fn changes(&self, now: Timestamp) -> Vec<Change> {
        let bars = self.active(now).filter_map(Held::bar);
        bars.chain(self.allowances(now)).collect()
    }

    fn allowances(&self, now: Timestamp) -> impl Iterator<Item = Change> {
        self.allow_items(now).flat_map(|item| {
            let (id, until) = (item.id.0, item.until);
            let ranges = self.resolved.ranges(&item.subject).into_iter();
            ranges.map(move |range| Change::Allow { range, id, until })
        })
    }

    /// Everything in force as a view, after a start: what [`View::of`] makes of
    /// [`Book::changes`], without a list of them in between.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> View {
        let allowances: Vec<Change> = self.allowances(now).collect();
        let held = || self.ledger.by_range().map(|slot| self.held(slot));
        let bars = || {
            let active = held().filter(|held| held.is_active(now));
            active.filter_map(Held::bar)
        };
        View::of_sorted(self.ledger.room(), bars, &allowances)
    }
}
