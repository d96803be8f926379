//! What the configuration says to the book: who is spared, who is allowed, the profiles.

use book::{AllowId, AllowItem, AllowSubject, EntryId, Op};
use config::snapshot::Allow;
use vocab::{Cidr, Origin, Timestamp};

use super::{Bookkeeper, Desk, Spared, who};
use crate::{now, random_id};

/// The list that stands for the configuration.
pub(super) const BY_CONFIGURATION: &str = "configuration";

impl Bookkeeper {
    /// Replaces what the configuration says: profiles, never-ban list, allowlist.
    pub fn configure(
        &self,
        profiles: respond::Profiles,
        spared: Spared,
        allow: &[Allow],
        bans_per_minute: u32,
        prefix: respond::PrefixPolicy,
    ) {
        let time = now();
        let mut desk = self.lock();
        desk.profiles = profiles;
        desk.neighbours.policy = prefix;
        desk.policy.local_alert_only = spared.local_alert_only();
        desk.policy.budgets.detection.per_minute = bans_per_minute;
        desk.spared = spared.remembering(&desk.spared);
        let mut changes = desk.respare();
        changes.extend(desk.reallow(allow, time));
        // Published at the desk, here and below, so that views change in the book's order.
        self.published.publish(&changes);
        drop(desk);
    }

    /// Replaces the never-ban list alone, for upstreams that came or went.
    pub fn spare(&self, spared: Spared) {
        let mut desk = self.lock();
        desk.spared = spared.remembering(&desk.spared);
        let changes = desk.respare();
        self.published.publish(&changes);
        drop(desk);
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
        self.published.publish(&changes);
        drop(desk);
    }

    fn learn(&self, name: &str, ranges: &[Cidr]) {
        let mut desk = self.lock();
        desk.spared.resolved(name, ranges.to_vec());
        let applied = desk
            .book
            .update_resolution(&AllowSubject::Host(name.to_owned()), ranges);
        self.published.publish(&applied.changes);
        drop(desk);
    }
}

impl Desk {
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
