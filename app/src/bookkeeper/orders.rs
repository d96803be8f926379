//! What people ask of the book: to decide, to undo, to allow, to explain.

use std::time::Duration;

use book::{AllowId, AllowItem, AllowSubject, Applied, Entry, EntryId, Op, Proposed};
use config::snapshot::Allow;
use store::{AlertQuery, NotDurable};
use vocab::time::Span;
use vocab::{Alert, Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use super::{Bookkeeper, Desk, Spared, who};
use crate::control::protocol::{AllowView, BookView, DecisionView, Remedy, WhyView};
use crate::{now, random_id};

/// How long a person waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// Decisions listed at most.
const LISTED: usize = 10_000;
/// The list that commands write to.
const BY_COMMAND: &str = "command";
/// The list that stands for the configuration.
const BY_CONFIGURATION: &str = "configuration";

impl Bookkeeper {
    /// Decides by a person's word; done when this returns `Ok`.
    ///
    /// # Errors
    /// A sentence: what `admit` or the store refused.
    pub fn decide(
        &self,
        value: &str,
        kind: &str,
        lasts: Duration,
        reason: &str,
    ) -> Result<DecisionView, String> {
        let range: Cidr = value
            .parse()
            .map_err(|error| format!("'{value}' is {error}."))?;
        let kind: Kind = kind.parse().unwrap_or(Kind::Ban);
        if matches!(kind, Kind::Other(_)) {
            return Err(format!(
                "'{kind}' is not a kind of decision. Use ban, challenge, throttle or observe."
            ));
        }
        let proposed = Proposed {
            scope: if range.is_host() {
                Scope::Ip
            } else {
                Scope::Range
            },
            value: range.to_string(),
            kind,
            origin: Origin::Operator,
            reason: reason.to_owned(),
            lasts,
        };
        let time = now();
        let mut desk = self.lock();
        let decision = book::admit(
            &proposed,
            DecisionId(random_id()),
            &desk.policy,
            &desk.book,
            time,
        )
        .map_err(|refused| refused.to_string())?;
        let entry = desk.author.entry(
            EntryId(random_id()),
            time,
            Op::Add {
                decision: decision.clone(),
            },
        );
        drop(desk);
        self.commit(&[entry])?;
        Ok(DecisionView {
            decision,
            volatile: false,
            active: true,
        })
    }

    /// Ends decisions by a person's word: one by its name, or all that cover an address.
    ///
    /// # Errors
    /// A sentence: nothing fits, or the store refused.
    pub fn undecide(&self, subject: &str) -> Result<String, String> {
        let time = now();
        let mut desk = self.lock();
        let found: Vec<Decision> = desk
            .find(subject, time)
            .into_iter()
            .map(|one| (*one).clone())
            .collect();
        let ids: Vec<DecisionId> = found.iter().map(|one| one.id).collect();
        if ids.is_empty() {
            return Err(format!(
                "No decision in force fits '{subject}'. List them with: ringwall decision list"
            ));
        }
        let entries: Vec<Entry> = Op::removals(&ids, &Origin::Operator, "undone by hand")
            .into_iter()
            .map(|op| desk.author.entry(EntryId(random_id()), time, op))
            .collect();
        drop(desk);
        self.commit(&entries)?;
        let values: Vec<&str> = found.iter().map(|one| one.value.as_str()).collect();
        Ok(format!(
            "Undone: {} for {}.",
            count(ids.len(), "decision"),
            values.join(", ")
        ))
    }

    /// Allows somebody by a person's word; bans that lie within end.
    ///
    /// # Errors
    /// A sentence: not somebody, on the list already, or the store refused.
    pub fn allow(
        &self,
        value: &str,
        reason: &str,
        lasts: Option<Duration>,
    ) -> Result<String, String> {
        let subject = AllowSubject::parse(value).ok_or_else(|| {
            format!("'{value}' is neither an address, a range, a host name, nor lan, vpn or wan.")
        })?;
        let resolved = match &subject {
            AllowSubject::Host(name) => crate::surroundings::resolve(name).map_err(|error| {
                format!("'{name}' cannot be resolved now ({error}); it was not added.")
            })?,
            AllowSubject::Range(_) | AllowSubject::Preset(_) => Vec::new(),
        };
        let time = now();
        let item = AllowItem {
            id: AllowId(random_id()),
            list: BY_COMMAND.to_owned(),
            subject: subject.clone(),
            why: reason.to_owned(),
            by: Origin::Operator,
            created: time,
            until: lasts.map_or(Timestamp::MAX, |span| time.after(span)),
        };
        let mut desk = self.lock();
        if desk
            .book
            .allow_items(time)
            .any(|held| held.subject == subject)
        {
            return Err(format!("{subject} is on the allowlist already."));
        }
        let learnt =
            (!resolved.is_empty()).then(|| desk.book.update_resolution(&subject, &resolved));
        let voided = desk.book.voided_by(&subject, time);
        let mut ops = vec![Op::AllowlistAdd { item }];
        ops.extend(Op::removals(
            &voided,
            &Origin::Operator,
            "its source is now on the allowlist",
        ));
        let entries: Vec<Entry> = ops
            .into_iter()
            .map(|op| desk.author.entry(EntryId(random_id()), time, op))
            .collect();
        drop(desk);
        if let Some(applied) = learnt {
            self.published.publish(&applied.changes);
        }
        self.commit(&entries)?;
        Ok(match voided.len() {
            0 => format!("{subject} is allowed."),
            ended => format!("{subject} is allowed; {} ended.", count(ended, "decision")),
        })
    }

    /// Takes an allowance back.
    ///
    /// # Errors
    /// A sentence: not on the list, configured, or the store refused.
    pub fn disallow(&self, value: &str) -> Result<String, String> {
        let subject = AllowSubject::parse(value).ok_or_else(|| {
            format!("'{value}' is neither an address, a range, a host name, nor lan, vpn or wan.")
        })?;
        let time = now();
        let mut desk = self.lock();
        let items: Vec<AllowItem> = desk
            .book
            .allow_items(time)
            .filter(|item| item.subject == subject)
            .cloned()
            .collect();
        if items.iter().any(|item| item.list == BY_CONFIGURATION) {
            return Err(format!(
                "{subject} is allowed by the configuration: remove its [[book.allow]] entry there."
            ));
        }
        if items.is_empty() {
            return Err(format!(
                "{subject} is not on the allowlist. List it with: ringwall allowlist list"
            ));
        }
        let ids = items.iter().map(|item| item.id).collect();
        let op = Op::AllowlistRemove {
            ids,
            by: Origin::Operator,
            why: "taken back by hand".to_owned(),
        };
        let entry = desk.author.entry(EntryId(random_id()), time, op);
        drop(desk);
        self.commit(&[entry])?;
        Ok(format!("{subject} is no longer allowed."))
    }

    /// Saves entries and only then lets them count: an acknowledged order is on disk.
    fn commit(&self, entries: &[Entry]) -> Result<(), String> {
        self.store
            .append_or_fail(entries)
            .wait(PATIENCE)
            .map_err(|why: NotDurable| why.to_string())?;
        let mut desk = self.lock();
        let applied: Vec<Applied> = entries.iter().map(|entry| desk.book.apply(entry)).collect();
        if let Some(last) = entries.last() {
            desk.book.committed(last.node, last.cursor());
        }
        self.enforce(desk, &[], &applied);
        Ok(())
    }

    /// Replaces what the configuration says: profiles, never-ban list, allowlist.
    pub fn configure(
        &self,
        profiles: respond::Profiles,
        spared: Spared,
        allow: &[Allow],
        bans_per_minute: u32,
    ) {
        let time = now();
        let mut desk = self.lock();
        desk.profiles = profiles;
        desk.policy.local_alert_only = spared.local_alert_only();
        desk.policy.budgets.detection.per_minute = bans_per_minute;
        desk.spared = spared.remembering(&desk.spared);
        let mut changes = desk.respare();
        changes.extend(desk.reallow(allow, time));
        drop(desk);
        self.published.publish(&changes);
    }

    /// Resolves every host name that somebody is spared or allowed by. Blocks.
    pub fn resolve_names(&self) {
        let desk = self.lock();
        let mut names = desk.spared.names();
        names.extend(
            desk.book
                .allow_items(now())
                .filter_map(|item| match &item.subject {
                    AllowSubject::Host(name) => Some(name.clone()),
                    AllowSubject::Range(_) | AllowSubject::Preset(_) => None,
                }),
        );
        drop(desk);
        for name in names {
            match crate::surroundings::resolve(&name) {
                Ok(ranges) => self.learn(&name, &ranges),
                Err(error) => {
                    tracing::warn!(%name, %error, "host name not resolved, last answer kept");
                }
            }
        }
        let mut desk = self.lock();
        let changes = desk.respare();
        drop(desk);
        self.published.publish(&changes);
    }

    fn learn(&self, name: &str, ranges: &[Cidr]) {
        let mut desk = self.lock();
        desk.spared.resolved(name, ranges.to_vec());
        let applied = desk
            .book
            .update_resolution(&AllowSubject::Host(name.to_owned()), ranges);
        drop(desk);
        self.published.publish(&applied.changes);
    }

    /// Decisions for a listing, newest first.
    #[must_use]
    pub fn decisions(&self, covering: Option<Cidr>) -> Vec<DecisionView> {
        let time = now();
        let desk = self.lock();
        let fits = |one: &Decision| {
            covering.is_none_or(|range| one.cidr().is_some_and(|held| held.overlaps(range)))
        };
        let mut views: Vec<_> = desk
            .book
            .active(time)
            .filter(|one| fits(one))
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

    /// The book in numbers.
    #[must_use]
    pub fn numbers(&self) -> BookView {
        let time = now();
        let desk = self.lock();
        let (mut active, mut volatile) = (0, 0);
        for decision in desk.book.active(time) {
            active += 1;
            volatile += usize::from(desk.book.is_volatile(decision.id));
        }
        BookView {
            active,
            volatile,
            allowed: desk.book.allow_items(time).count(),
            refused: self.refused.load(std::sync::atomic::Ordering::Relaxed),
        }
    }

    /// Why an address, a range or a decision's subject is barred, or is not.
    ///
    /// # Errors
    /// A sentence when the subject is not understood.
    pub fn why(&self, subject: &str) -> Result<WhyView, String> {
        let time = now();
        let turned = self.recent.by_reference(subject);
        let subject = turned
            .as_ref()
            .map_or_else(|| subject.to_owned(), |turned| turned.client.to_string());
        let subject = subject.as_str();
        let desk = self.lock();
        let range = match subject.parse::<Cidr>() {
            Ok(range) => range,
            Err(_) => desk.find(subject, time).first().and_then(|one| one.cidr()).ok_or_else(|| {
                format!("'{subject}' is neither an address, a range, the id of a decision in force, nor the reference \
                     of a recent refusal. The access log holds older references.")
            })?,
        };
        let spared = desk.policy.protected.overlapping(range);
        let allowing = desk.book.allowing(range, time).cloned();
        let decisions: Vec<DecisionView> = desk
            .book
            .covering(range, time)
            .into_iter()
            .map(|one| desk.view(one, time))
            .collect();
        drop(desk);
        let alerts = self.alerts(20, Some(&range.to_string()));
        let verdict = Verdict {
            range,
            spared,
            allowing,
            decisions: &decisions,
            alerts: &alerts,
            time,
        };
        let (mut sentence, barred, remedies) =
            (verdict.sentence(), verdict.barred(), verdict.remedies());
        if let Some(turned) = turned {
            sentence = format!(
                "{} was refused with {} by {} at {}. {sentence}",
                turned.client, turned.status, turned.rule, turned.time
            );
        }
        Ok(WhyView {
            subject: range.to_string(),
            sentence,
            barred,
            decisions,
            alerts,
            remedies,
        })
    }
}

impl Desk {
    fn view(&self, decision: &Decision, time: Timestamp) -> DecisionView {
        DecisionView {
            decision: decision.clone(),
            volatile: self.book.is_volatile(decision.id),
            active: decision.is_active(time),
        }
    }

    /// Decisions by name, or all that cover an address.
    fn find(&self, subject: &str, time: Timestamp) -> Vec<std::sync::Arc<Decision>> {
        let found = match subject.parse::<Cidr>() {
            Ok(range) => self.book.covering(range, time),
            Err(_) => self.book.by_prefix(subject, time, 2),
        };
        found.into_iter().cloned().collect()
    }

    /// Works the never-ban list out anew; what the view must learn of it.
    fn respare(&mut self) -> Vec<book::Change> {
        let protected = self.spared.protected();
        let changes = protected.changes_from(&self.policy.protected);
        self.policy.protected = protected;
        changes
    }

    /// Replaces the configured allowances; what the view must learn of it.
    fn reallow(&mut self, allow: &[Allow], time: Timestamp) -> Vec<book::Change> {
        let mut changes = Vec::new();
        let ids = std::mem::take(&mut self.configured_items);
        let why = "the configuration changed".to_owned();
        let mut ops = vec![Op::AllowlistRemove {
            ids,
            by: Origin::Operator,
            why,
        }];
        for entry in allow {
            let id = AllowId(random_id());
            self.configured_items.push(id);
            ops.push(Op::AllowlistAdd {
                item: AllowItem {
                    id,
                    list: BY_CONFIGURATION.to_owned(),
                    subject: who::subject(&entry.who),
                    why: entry.reason.clone(),
                    by: Origin::Operator,
                    created: time,
                    until: entry.until.unwrap_or(Timestamp::MAX),
                },
            });
        }
        for op in ops {
            let entry = self.configured.entry(EntryId(random_id()), time, op);
            changes.extend(self.book.apply(&entry).changes);
        }
        changes
    }
}

/// What `why` has to go by.
struct Verdict<'a> {
    range: Cidr,
    spared: Option<(Cidr, book::Role)>,
    allowing: Option<AllowItem>,
    decisions: &'a [DecisionView],
    alerts: &'a [Alert],
    time: Timestamp,
}

impl Verdict<'_> {
    /// The decision that restrains it now.
    fn restraint(&self) -> Option<&Decision> {
        let free = self.spared.is_some() || self.allowing.is_some();
        let first = self.decisions.first().map(|view| &view.decision);
        first.filter(|one| !free && one.kind != Kind::Observe)
    }

    fn barred(&self) -> bool {
        self.restraint().is_some()
    }

    fn cause(&self, decision: &Decision) -> Option<&Alert> {
        self.alerts
            .iter()
            .find(|alert| alert.scenario == decision.reason)
    }

    fn sentence(&self) -> String {
        let range = self.range;
        if let Some((_, role)) = self.spared {
            return format!("{range} is never barred: it is {role}.");
        }
        if let Some(item) = &self.allowing {
            return format!(
                "{range} is allowed whatever it does, by the {}: {}.",
                item.list, item.why
            );
        }
        let Some(decision) = self.decisions.first().map(|view| &view.decision) else {
            return match self.alerts.first() {
                Some(alert) => format!(
                    "{range} is not barred. It was last noticed by {} at {}.",
                    alert.scenario, alert.stop_at
                ),
                None => format!("{range} is not barred, and nothing was noticed about it."),
            };
        };
        let deed = match decision.kind {
            Kind::Ban => "barred",
            Kind::Challenge => "challenged",
            Kind::Throttle => "throttled",
            Kind::Observe => "only watched, not barred",
            Kind::Other(_) => "marked for other enforcers",
        };
        let left = Span(decision.until.since(self.time));
        let because = match (&decision.origin, self.cause(decision)) {
            (Origin::Detection, Some(alert)) => format!(
                "{} saw {} within {}",
                alert.scenario,
                count(
                    usize::try_from(alert.events_count).unwrap_or(usize::MAX),
                    "event"
                ),
                Span(alert.stop_at.since(alert.start_at))
            ),
            (Origin::Detection, None) => format!("{} asked for it", decision.reason),
            (origin, _) => format!("{origin} decided so: {}", decision.reason),
        };
        format!("{range} is {deed} for another {left}, because {because}.")
    }

    fn remedies(&self) -> Vec<Remedy> {
        let Some(decision) = self.restraint() else {
            return Vec::new();
        };
        let short: String = decision.id.to_string().chars().take(8).collect();
        let mut remedies = vec![
            Remedy {
                does: "Undo this decision".to_owned(),
                command: format!("ringwall decision delete {short}"),
            },
            Remedy {
                does: "Never again for this source".to_owned(),
                command: format!("ringwall allowlist add {} --reason \"…\"", decision.value),
            },
        ];
        if decision.origin == Origin::Detection {
            remedies.push(Remedy {
                does: "Tune the rule away (in ringwall.toml, then 'ringwall reload')".to_owned(),
                command: format!(
                    "[detection.tune.\"{}\"]\noff = true    # or: capacity = …",
                    decision.reason
                ),
            });
        }
        remedies
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}
