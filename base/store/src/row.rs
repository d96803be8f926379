//! Values as rows, made before they are queued so that their size is known.

use book::{Entry, Op};
use vocab::{Alert, Timestamp};

use crate::StoredAlert;

/// A book entry as a row.
#[derive(Debug)]
pub(crate) struct EntryRow {
    pub(crate) node: String,
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) uuid: String,
    pub(crate) at: i64,
    /// `add`, `remove`, `allowlist_add`, `allowlist_remove`.
    pub(crate) kind: &'static str,
    /// The decision or allowlist item that an addition adds.
    pub(crate) name: Option<String>,
    /// Whom a decision is about.
    pub(crate) value: Option<String>,
    /// When a decision ends.
    pub(crate) until: Option<i64>,
    pub(crate) entry: String,
}

impl EntryRow {
    /// `None` for an entry that JSON cannot hold, which no entry is.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let (kind, name, value, until) = match &entry.op {
            Op::Add { decision } => (
                "add",
                Some(decision.id.to_string()),
                Some(decision.value.clone()),
                Some(decision.until.unix_nanos()),
            ),
            Op::Remove { .. } => ("remove", None, None, None),
            Op::AllowlistAdd { item } => ("allowlist_add", Some(item.id.to_string()), None, None),
            Op::AllowlistRemove { .. } => ("allowlist_remove", None, None, None),
        };
        Some(Self {
            node: entry.node.to_string(),
            epoch: entry.epoch.cast_signed(),
            seq: entry.seq.cast_signed(),
            uuid: entry.uuid.to_string(),
            at: entry.at.unix_nanos(),
            kind,
            name,
            value,
            until,
            entry: entry.to_json().ok()?,
        })
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.entry.len() + 256
    }
}

/// An alert as a row.
#[derive(Debug)]
pub(crate) struct AlertRow {
    pub(crate) id: i64,
    pub(crate) recorded: i64,
    pub(crate) scenario: String,
    pub(crate) value: String,
    pub(crate) ip: Option<String>,
    pub(crate) body: String,
}

impl AlertRow {
    pub(crate) fn of(id: i64, alert: &Alert, now: Timestamp) -> Self {
        Self {
            id,
            recorded: now.unix_nanos(),
            scenario: alert.scenario.clone(),
            value: alert.source.value.clone(),
            ip: alert.source.ip.map(|ip| ip.to_string()),
            body: serde_json::to_string(alert).unwrap_or_default(),
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.body.len() + self.scenario.len() + self.value.len() + 256
    }

    pub(crate) fn read(&self) -> Option<StoredAlert> {
        alert_from(self.id, self.recorded, &self.body)
    }
}

pub(crate) fn alert_from(id: i64, recorded: i64, body: &str) -> Option<StoredAlert> {
    Some(StoredAlert {
        id,
        recorded: Timestamp::from_unix_nanos(recorded),
        alert: serde_json::from_str(body).ok()?,
    })
}
