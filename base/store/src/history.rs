//! What was: alerts, decisions that ended, the audit trail.

use rusqlite::{Row, params};
use vocab::{Alert, Timestamp};

use crate::{Store, row};
use book::Entry;

/// The most lines one question brings.
pub const MOST_LINES: usize = 10_000;

/// Names a stored alert; larger is newer.
pub type AlertId = i64;

/// Which alerts are asked for, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertQuery {
    /// Recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Of this scenario only.
    pub scenario: Option<String>,
    /// About this source only: its value, or the address its events came from.
    pub source: Option<String>,
    /// At most this many, and at most [`MOST_LINES`].
    pub limit: usize,
}

impl Default for AlertQuery {
    fn default() -> Self {
        Self {
            since: None,
            scenario: None,
            source: None,
            limit: 50,
        }
    }
}

/// An alert as it was stored.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredAlert {
    /// Its name.
    pub id: AlertId,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// The alert, redacted.
    pub alert: Alert,
}

/// A line of the audit trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// Who: a user name, `uid 0`, a LAPI client.
    pub actor: String,
    /// What, as a constant name such as `decision.add`.
    pub action: String,
    /// On what, in which words.
    pub detail: String,
}

/// Why a question could not be answered: a sentence.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub(crate) String);

impl Store {
    /// The alerts that match, newest first, those that wait for the disk included.
    ///
    /// # Errors
    /// [`ReadError`] when the database cannot be read and nothing waits either.
    pub fn alerts(&self, query: &AlertQuery) -> Result<Vec<StoredAlert>, ReadError> {
        let limit = query.limit.min(MOST_LINES);
        let mut found: Vec<StoredAlert> = self
            .shared
            .waiting_alerts()
            .into_iter()
            .filter(|one| matches(query, one))
            .collect();
        match self.stored_alerts(query, limit) {
            Ok(stored) => found.extend(stored),
            Err(error) if found.is_empty() => return Err(error),
            Err(_) => {}
        }
        found.sort_by_key(|one| core::cmp::Reverse(one.id));
        found.dedup_by_key(|one| one.id); // written between the two looks
        found.truncate(limit);
        Ok(found)
    }

    /// One alert.
    ///
    /// # Errors
    /// [`ReadError`] when the database cannot be read.
    pub fn alert(&self, id: AlertId) -> Result<Option<StoredAlert>, ReadError> {
        let waiting = self.shared.waiting_alerts();
        if let Some(one) = waiting.into_iter().find(|one| one.id == id) {
            return Ok(Some(one));
        }
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, recorded, body FROM alert WHERE id = ?1")?;
            let mut rows = statement.query_map([id], stored_alert)?;
            rows.next().transpose()
        })
        .map(Option::flatten)
    }

    /// The book's entries that decided about this value, ended ones included, newest
    /// first.
    ///
    /// # Errors
    /// [`ReadError`] when the database cannot be read.
    pub fn decisions_of(&self, value: &str, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let limit = i64::try_from(limit.min(MOST_LINES)).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT entry FROM book WHERE value = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![value, limit], |row| row.get::<_, String>(0))?;
            let texts: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
            Ok(texts
                .iter()
                .filter_map(|text| Entry::from_json(text.as_bytes()).ok())
                .collect())
        })
    }

    /// The audit trail's last lines, newest first.
    ///
    /// # Errors
    /// [`ReadError`] when the database cannot be read.
    pub fn audit_trail(&self, limit: usize) -> Result<Vec<AuditLine>, ReadError> {
        let limit = i64::try_from(limit.min(MOST_LINES)).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT at, actor, action, detail FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                Ok(AuditLine {
                    at: Timestamp::from_unix_nanos(row.get(0)?),
                    actor: row.get(1)?,
                    action: row.get(2)?,
                    detail: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    fn stored_alerts(
        &self,
        query: &AlertQuery,
        limit: usize,
    ) -> Result<Vec<StoredAlert>, ReadError> {
        let since = query.since.map_or(i64::MIN, Timestamp::unix_nanos);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, recorded, body FROM alert
                 WHERE recorded >= ?1
                   AND (?2 IS NULL OR scenario = ?2)
                   AND (?3 IS NULL OR value = ?3 OR ip = ?3)
                 ORDER BY id DESC LIMIT ?4",
            )?;
            let rows = statement.query_map(
                params![since, query.scenario, query.source, limit],
                stored_alert,
            )?;
            Ok(rows
                .collect::<rusqlite::Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect())
        })
    }
}

/// `None` for a body that no longer reads, which is left out.
fn stored_alert(row: &Row<'_>) -> rusqlite::Result<Option<StoredAlert>> {
    let body: String = row.get(2)?;
    Ok(row::alert_from(row.get(0)?, row.get(1)?, &body))
}

fn matches(query: &AlertQuery, one: &StoredAlert) -> bool {
    let source = &one.alert.source;
    query.since.is_none_or(|since| one.recorded >= since)
        && query
            .scenario
            .as_ref()
            .is_none_or(|name| *name == one.alert.scenario)
        && query.source.as_ref().is_none_or(|value| {
            *value == source.value || source.ip.is_some_and(|ip| ip.to_string() == *value)
        })
}
