//! Where the book's log, alerts and the audit trail rest: SQLite, in one directory.
//!
//! For: making entries durable without anybody waiting who need not, giving them
//! back at the next start, and answering `alert`, `why` and `audit`.
//! Refuses: to decide, to be the truth while the process runs (that is the book in
//! memory), and to share its directory with a second instance.
//! Assumes: a local file system with working locks and `fsync`.
//! On failure: nothing that decides waits for the disk. While it is full, locked or
//! read-only, entries are kept in a bounded queue and tried again; [`Health`] says
//! since when and why; whoever asked for durability gets a plain sentence. A damaged
//! database is moved aside, never deleted; one from a newer Ringwall is refused.
//!
//! ```text
//! Store::open(dir) ──► Recovered { entries, meta, epoch }       at the start
//! append(entries)        ──► Ticket    kept and tried again until it is durable
//! append_or_fail(entries)──► Ticket    once: durable, or never written
//! record_alert · audit · set_meta      kept within bounds, told when dropped
//!            └── bounded queue ──► one writer thread ──► one transaction a batch
//! ```
//!
//! | module | in it |
//! |---|---|
//! | [`open`](mod@open) | [`Recovered`], [`OpenError`], [`Options`] |
//! | [`ticket`] | [`Ticket`], [`NotDurable`] |
//! | [`health`] | [`Health`], [`Condition`], [`Dropped`] |
//! | [`history`] | [`AlertQuery`], [`StoredAlert`], [`AuditLine`], [`ReadError`] |
//! | [`redact`] | [`Redactor`]: credentials are cut before anything is stored |

pub mod health;
pub mod history;
pub mod open;
pub mod redact;
pub mod ticket;

mod instance;
mod queue;
mod row;
mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use book::Entry;
use vocab::{Alert, Timestamp};

pub use health::{Condition, Dropped, Health};
pub use history::{AlertId, AlertQuery, AuditLine, ReadError, StoredAlert};
pub use open::{OpenError, Options, Recovered};
pub use redact::Redactor;
pub use ticket::{NotDurable, Ticket};

use queue::{Job, Shared};

/// The file in the state directory.
pub const DATABASE: &str = "state.db";

/// The store of one running instance. Dropping it writes what can be written at
/// once and closes the database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    shared: Arc<Shared>,
    redactor: Redactor,
    reader: Mutex<Option<rusqlite::Connection>>,
    writer: Option<JoinHandle<()>>,
    /// Held until the end; the kernel lets it go if we are killed.
    _instance: Option<std::fs::File>,
}

impl Store {
    /// Opens the state in `dir`, which is made when missing, and gives back what was
    /// there. With a disk that is full, locked or read-only it still opens: the
    /// store is then degraded from the start and keeps trying.
    ///
    /// # Errors
    /// [`OpenError`], each a sentence: another instance runs on this directory, or
    /// the database is not ours to write.
    pub fn open(dir: &Path) -> Result<(Self, Recovered), OpenError> {
        Self::open_with(dir, Options::default())
    }

    /// [`Store::open`] with bounds and redaction of the caller's choice.
    ///
    /// # Errors
    /// See [`Store::open`].
    pub fn open_with(dir: &Path, options: Options) -> Result<(Self, Recovered), OpenError> {
        let opened = open::open(dir, &options)?;
        let redactor = Redactor::new(&options.redact);
        let shared = Arc::new(Shared::new(&opened, &options));
        let path = dir.join(DATABASE);
        let writer = writer::spawn(
            Arc::clone(&shared),
            path.clone(),
            opened.connection,
            options,
        )
        .map_err(OpenError::Thread)?;
        let store = Self {
            path,
            shared,
            redactor,
            reader: Mutex::new(None),
            writer: Some(writer),
            _instance: opened.instance,
        };
        Ok((store, opened.recovered))
    }

    /// Queues entries that are already in force (automatic decisions, feeds). They
    /// are kept and tried again until they are durable; past the queue's bound they
    /// are dropped and counted. Never blocks on the disk. Entries of one call become
    /// durable together.
    pub fn append(&self, entries: &[Entry]) -> Ticket {
        self.shared.entries(entries, true)
    }

    /// Queues entries that somebody waits for (a command, a LAPI client): they are
    /// tried once, at once, and either become durable or are never written.
    pub fn append_or_fail(&self, entries: &[Entry]) -> Ticket {
        self.shared.entries(entries, false)
    }

    /// Queues an alert, redacted, and names it. Past the queue's bound the oldest
    /// waiting alert is dropped and counted. Never blocks on the disk.
    pub fn record_alert(&self, alert: &Alert, now: Timestamp) -> AlertId {
        let alert = self.redactor.alert(alert);
        self.shared.alert(&alert, now)
    }

    /// Queues a line of the audit trail: who did what, with what words.
    pub fn audit(&self, now: Timestamp, actor: &str, action: &str, detail: &str) {
        self.shared.push(Job::Audit(AuditLine {
            at: now,
            actor: actor.to_owned(),
            action: action.to_owned(),
            detail: self.redactor.text(detail),
        }));
    }

    /// A remembered value.
    #[must_use]
    pub fn meta(&self, key: &str) -> Option<String> {
        self.shared.meta(key)
    }

    /// Remembers a value; it is seen by [`Store::meta`] at once and durable soon.
    pub fn set_meta(&self, key: &str, value: &str) {
        self.shared.set_meta(key, value, false);
    }

    /// When a site was first served: now, if it never was before. A time that comes
    /// to light late ([`Store::recovered_late`]) wins over this run's.
    #[must_use]
    pub fn first_seen(&self, site: &str, now: Timestamp) -> Timestamp {
        let key = format!("first-seen:{site}");
        if let Some(time) = self.meta(&key).and_then(|text| text.parse().ok()) {
            return time;
        }
        self.shared.set_meta(&key, &now.to_string(), true);
        now
    }

    /// How the store does, without asking the disk.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// All that is in the database, when it could not be read, or not wholly, at the
    /// start and later could. To be folded into the book; given out once. Ask now
    /// and then while [`Recovered::warnings`] or [`Store::health`] told of trouble.
    #[must_use]
    pub fn recovered_late(&self) -> Option<Recovered> {
        self.shared.take_late()
    }

    /// Waits until everything queued so far is durable, or `timeout` has passed.
    ///
    /// # Errors
    /// [`NotDurable`] with the reason.
    pub fn flush(&self, timeout: Duration) -> Result<(), NotDurable> {
        let ticket = self.shared.entries(&[], true);
        self.shared.hurry();
        ticket.wait(timeout)
    }

    /// Runs a query on the store's reading connection, which is opened when needed.
    fn read<T>(
        &self,
        query: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match reader.as_ref() {
            Some(connection) => query(connection),
            None => schema::connect_to_read(&self.path)
                .and_then(|connection| query(reader.insert(connection))),
        };
        answer.map_err(|error| {
            *reader = None; // the next question starts afresh
            ReadError(health::sentence(&error, &self.path))
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}
