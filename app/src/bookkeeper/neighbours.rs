//! Ranges that are slowed down because several of their addresses were barred.
//!
//! `respond::prefix` counts and proposes; here the proposal meets the book.
//! **Refuses:** ranges that hold anybody who is allowed or never barred. **On failure:**
//! what is refused is not proposed again for a while.

use std::time::Duration;

use book::Op;
use respond::{PrefixPolicy, Prefixes, prefix};
use vocab::{Alert, Cidr, Decision, DecisionId, Origin, Timestamp};

use super::{Desk, Made};
use crate::control::protocol::Remedy;
use crate::random_id;

/// For how long a range that was refused is not proposed again.
const REST: Duration = Duration::from_secs(600);

/// Who was barred where, and what follows from it.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    prefixes: Prefixes,
    pub(super) policy: PrefixPolicy,
}

impl Neighbours {
    pub(super) fn note(
        &mut self,
        alert: &Alert,
        decision: &Decision,
        time: Timestamp,
    ) -> Option<Cidr> {
        self.policy.offenders?;
        self.prefixes.note(alert, decision, time)
    }

    pub(super) fn forget(&mut self, time: Timestamp) {
        self.prefixes.forget(&self.policy, time);
    }

    /// Ranges remembered, and forgotten for want of room.
    pub(super) fn counts(&self) -> (usize, u64) {
        self.prefixes.counts()
    }
}

impl Desk {
    /// Puts a range before the door when enough of its addresses were barred.
    pub(super) fn slow_down(&mut self, range: Cidr, time: Timestamp, made: &mut Made) {
        let Neighbours { prefixes, policy } = &self.neighbours;
        let past = self.book.past(range);
        let Some(proposed) = prefixes.propose(range, policy, &past, time) else {
            return;
        };
        if let Some(allowed) = self.allowed_within(range, time) {
            tracing::info!(%range, %allowed, "range not slowed down, since somebody in it is allowed");
            self.neighbours.prefixes.rest(range, time.after(REST));
            return;
        }
        let id = DecisionId(random_id());
        match book::admit(&proposed, id, &self.policy, &self.book, time) {
            Ok(decision) => {
                tracing::info!(%range, kind = %decision.kind, reason = %decision.reason, "range slowed down");
                self.neighbours.prefixes.rest(range, decision.until);
                let (entry, applied) = self.write(Op::Add { decision }, time);
                made.entries.push(entry);
                made.applied.push(applied);
            }
            Err(refused) => {
                made.refused += 1;
                tracing::info!(%range, why = %refused, "range not slowed down");
                self.neighbours.prefixes.rest(range, time.after(REST));
            }
        }
    }

    /// An allowed range that shares an address with this one.
    fn allowed_within(&self, range: Cidr, time: Timestamp) -> Option<Cidr> {
        let items = self.book.allow_items(time);
        items
            .flat_map(|item| self.book.resolution(&item.subject))
            .find(|held| held.overlaps(range))
    }

    /// These decisions, and those on the ranges that too few offenders are left in once
    /// these are taken back. Nobody is forgiven yet: the disk may say no.
    pub(super) fn with_their_ranges(&self, ids: &[DecisionId], time: Timestamp) -> Vec<DecisionId> {
        let mut all = ids.to_vec();
        let Neighbours { prefixes, policy } = &self.neighbours;
        let mut prefixes = prefixes.clone();
        for id in ids {
            let Some(range) = prefixes.forgive(*id, policy, time) else {
                continue;
            };
            for held in self.book.covering(range, time) {
                let ours =
                    tells(held.origin(), held.reason()).is_some() && held.cidr() == Some(range);
                if ours && !all.contains(&held.id()) {
                    all.push(held.id());
                }
            }
        }
        all
    }

    /// Their sources did not offend, as a person's order says that is on disk.
    pub(super) fn forgive(&mut self, ids: &[DecisionId], time: Timestamp) {
        let Neighbours { prefixes, policy } = &mut self.neighbours;
        for id in ids {
            let _range = prefixes.forgive(*id, policy, time);
        }
    }
}

/// What a decision says of a range's offenders; `None` for every other decision.
pub(super) fn told(decision: &Decision) -> Option<&str> {
    tells(&decision.origin, &decision.reason)
}

fn tells<'a>(origin: &Origin, reason: &'a str) -> Option<&'a str> {
    let rest = reason.strip_prefix(prefix::REASON)?;
    let ours = *origin == Origin::Detection;
    rest.strip_prefix(": ").filter(|_| ours)
}

/// The ways out for somebody whose range is slowed down.
pub(super) fn remedies(decision: &Decision, subject: Cidr, short: &str) -> Vec<Remedy> {
    vec![
        Remedy {
            does: "Leave this source out of it for good".to_owned(),
            command: format!("ringwall allowlist add {subject} --reason \"…\""),
        },
        Remedy {
            does: format!("Undo it for all of {}", decision.value),
            command: format!("ringwall decision delete {short}"),
        },
        Remedy {
            does: "Leave ranges alone (in ringwall.toml, then 'ringwall reload')".to_owned(),
            command: "[book.prefix]\noff = true    # or: kind = \"observe\"".to_owned(),
        },
    ]
}
