//! What people order of the book: to decide, to undo, to allow. Done when it is on disk.

use std::sync::MutexGuard;
use std::time::Duration;

use book::{AllowId, AllowItem, AllowSubject, Applied, Entry, EntryId, Held, Op, Proposed};
use store::NotDurable;
use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use super::configured::BY_CONFIGURATION;
use super::{Bookkeeper, Desk};
use crate::control::protocol::DecisionView;
use crate::term::counted;
use crate::{now, random_id};

/// How long a person waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// The list that commands write to.
const BY_COMMAND: &str = "command";

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
        self.commit(desk, &[entry])?;
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
        let found = desk.find(subject, time);
        let ids: Vec<DecisionId> = found.iter().map(|one| one.id).collect();
        // Several may cover one address; several of one name are a slip of the keyboard.
        if ids.len() > 1 && subject.parse::<Cidr>().is_err() {
            return Err(format!(
                "More than one decision begins with '{subject}'. Give more of its digits."
            ));
        }
        if ids.is_empty() {
            return Err(format!(
                "No decision in force fits '{subject}'. List them with: ringwall decision list"
            ));
        }
        let ids = desk.with_their_ranges(&ids, time);
        let entries: Vec<Entry> = Op::removals(&ids, &Origin::Operator, "undone by hand")
            .into_iter()
            .map(|op| desk.author.entry(EntryId(random_id()), time, op))
            .collect();
        self.commit(desk, &entries)?;
        self.lock().forgive(&ids, time);
        let mut values: Vec<&str> = found.iter().map(|one| one.value.as_str()).collect();
        values.sort_unstable();
        values.dedup();
        Ok(format!(
            "Undone: {} for {}.",
            counted(ids.len(), "decision"),
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
        let voided = desk.with_their_ranges(&voided, time);
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
        if let Some(applied) = learnt {
            self.published.publish(&applied.changes);
        }
        self.commit(desk, &entries)?;
        self.lock().forgive(&voided, time);
        Ok(match voided.len() {
            0 => format!("{subject} is allowed."),
            ended => format!(
                "{subject} is allowed; {} ended.",
                counted(ended, "decision")
            ),
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
        self.commit(desk, &[entry])?;
        Ok(format!("{subject} is no longer allowed."))
    }

    /// Saves entries and only then lets them count: an acknowledged order is on disk.
    /// They are queued at the desk that numbered them, so that the log's order is theirs.
    fn commit(&self, desk: MutexGuard<'_, Desk>, entries: &[Entry]) -> Result<(), String> {
        let ticket = self.store.append_or_fail(entries);
        drop(desk);
        ticket
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
}

impl Desk {
    /// Decisions by name, or all that cover an address.
    pub(super) fn find(&self, subject: &str, time: Timestamp) -> Vec<Decision> {
        let found = match subject.parse::<Cidr>() {
            Ok(range) => self.book.covering(range, time),
            Err(_) => self.book.by_prefix(subject, time, 2),
        };
        found.into_iter().map(Held::decision).collect()
    }
}
