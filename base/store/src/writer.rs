//! The one thread that writes: whatever waits becomes one transaction, so that a
//! thousand decisions a second cost a few `fsync`s.
//!
//! What nobody waits for gathers a moment first ([`Options::gather`]). A commit right behind
//! each decision would have the core when the decision's source comes again.
//!
//! On failure: what is to be kept goes back to the front of the queue and is tried
//! again, pausing 100 ms first and up to [`Options::slowest_retry`] later; what was
//! to be written once fails now. Somebody who asks for durability causes an attempt
//! at once, so that the answer is about this moment.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use book::{Entry, Op};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use crate::health::sentence;
use crate::open::{self, Options, timestamp};
use crate::queue::{Job, Shared};
use crate::row::{AlertRow, EntryRow};
use crate::schema::{self, Misfit};
use crate::ticket::NotDurable;

/// How long a write waits for somebody else's lock; what waits behind it waits too.
const PATIENCE: Duration = Duration::from_millis(250);

const FIRST_RETRY: Duration = Duration::from_millis(100);

/// How often what has ended is cleared away.
const CLEARING: Duration = Duration::from_secs(6 * 3_600);

/// The most removals looked through in one clearing.
const MOST_CLEARED: i64 = 2_000;

struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    connection: Option<Connection>,
    /// The device and number of the file that the connection writes.
    file: Option<(u64, u64)>,
    options: Options,
    /// What is in the database has not been read yet.
    blind: bool,
    retry: Option<Instant>,
    pause: Duration,
    cleared: Option<Instant>,
    alerts: u32,
}

/// Why an attempt brought nothing.
struct Failure {
    why: String,
    no_room: bool,
}

pub(crate) fn spawn(
    shared: Arc<Shared>,
    path: PathBuf,
    connection: Option<Connection>,
    options: Options,
) -> io::Result<JoinHandle<()>> {
    let mut writer = Writer {
        blind: shared.blind,
        retry: connection.is_none().then(Instant::now),
        shared,
        file: identity(&path),
        path,
        connection,
        options,
        pause: FIRST_RETRY,
        cleared: None,
        alerts: 0,
    };
    std::thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || {
            (writer.options.begin)();
            // Whoever waits must hear of it, and `status` too.
            let shared = Arc::clone(&writer.shared);
            if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                shared.degraded("The thread that saves state ended by a fault of ours. Restart Ringwall, and report it.");
                shared.close();
            }
        })
}

impl Writer {
    fn run(&mut self) {
        loop {
            let (batch, end) = self.shared.next(self.retry);
            let wanted: Vec<Job> = batch.into_iter().filter(begin).collect();
            let failed = self.store(wanted);
            if end || (failed && self.shared.is_stopping()) {
                break;
            }
        }
        self.shared.close();
    }

    /// One transaction for the whole batch; where there is no room for it, one for
    /// the entries alone, since alerts are what is large. Returns whether anything
    /// is left.
    fn store(&mut self, batch: Vec<Job>) -> bool {
        let mut left = batch;
        let outcome = self.attempt(&left);
        if matches!(&outcome, Err(failure) if failure.no_room) {
            let (entries, rest): (Vec<Job>, Vec<Job>) = left
                .into_iter()
                .partition(|job| matches!(job, Job::Entries { .. }));
            left = if entries.is_empty() || rest.is_empty() || self.attempt(&entries).is_err() {
                entries.into_iter().chain(rest).collect()
            } else {
                settle(entries);
                rest
            };
        } else if outcome.is_ok() {
            settle(core::mem::take(&mut left));
        }
        match outcome {
            Ok(()) => {
                self.retry = None;
                self.pause = FIRST_RETRY;
                false
            }
            Err(failure) => {
                self.fail(left, &failure.why);
                true
            }
        }
    }

    fn attempt(&mut self, batch: &[Job]) -> Result<(), Failure> {
        self.connect().map_err(|why| Failure {
            why,
            no_room: false,
        })?;
        let Some(connection) = self.connection.as_mut() else {
            return Ok(()); // `connect` has just made one
        };
        match write(connection, batch) {
            Ok(()) => {
                self.shared.committed(batch.iter().map(entries_in).sum());
                self.tidy(batch);
                Ok(())
            }
            Err(error) => {
                let code = error.sqlite_error_code();
                if !matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy)) {
                    self.connection = None; // start afresh with the next attempt
                }
                Err(Failure {
                    why: sentence(&error, &self.path),
                    no_room: code == Some(ErrorCode::DiskFull),
                })
            }
        }
    }

    fn connect(&mut self) -> Result<(), String> {
        // A file that was removed or replaced takes writes and keeps nothing.
        if self.connection.is_some() && self.file != identity(&self.path) {
            tracing::warn!(path = %self.path.display(), "state was removed or replaced while running; starting it anew");
            self.connection = None;
        }
        if self.connection.is_none() {
            if let Err(error) = open::make_private(&self.path) {
                tracing::debug!(%error, "cannot make the database file");
            }
            let connection =
                schema::connect(&self.path, PATIENCE).map_err(|misfit| match misfit {
                    Misfit::Sqlite(error) => sentence(&error, &self.path),
                    Misfit::Newer(_) | Misfit::Foreign => format!(
                        "{} was replaced by another program's database.",
                        self.path.display()
                    ),
                })?;
            if self.blind {
                let (late, _) =
                    open::load(&connection).map_err(|error| sentence(&error, &self.path))?;
                self.shared.came_late(late);
                self.blind = false;
            }
            self.file = identity(&self.path);
            self.connection = Some(connection);
        }
        if let Some(connection) = &self.connection {
            connection
                .busy_timeout(PATIENCE)
                .map_err(|error| sentence(&error, &self.path))?;
        }
        Ok(())
    }

    fn fail(&mut self, batch: Vec<Job>, why: &str) {
        self.shared.degraded(why);
        let mut kept = Vec::new();
        for job in batch {
            match &job {
                Job::Entries { promise, .. } if !promise.is_kept() => {
                    promise.settle(Err(NotDurable::Refused(why.to_owned())));
                }
                Job::Entries { promise, .. } => {
                    promise.again(why);
                    kept.push(job);
                }
                Job::Alert(_) | Job::Audit(_) | Job::Meta { .. } => kept.push(job),
            }
        }
        self.shared.put_back(kept);
        self.retry = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(self.options.slowest_retry);
    }

    /// Keeps the history within its bounds. Nothing depends on it: a failure is
    /// for the log.
    fn tidy(&mut self, batch: &[Job]) {
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        let alerts = batch.iter().filter(|job| matches!(job, Job::Alert(_)));
        self.alerts += u32::try_from(alerts.count()).unwrap_or(0);
        let due = self.cleared.is_none_or(|at| at.elapsed() > CLEARING);
        if !due && self.alerts < 256 {
            return;
        }
        self.alerts = 0;
        let outcome = clear(connection, &self.options, due);
        if due {
            self.cleared = Some(Instant::now());
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot clear old state away");
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether a job is still wanted; its waiter may have given up.
fn begin(job: &Job) -> bool {
    match job {
        Job::Entries { promise, .. } => promise.begin(),
        Job::Alert(_) | Job::Audit(_) | Job::Meta { .. } => true,
    }
}

fn settle(batch: Vec<Job>) {
    for job in batch {
        if let Job::Entries { promise, .. } = job {
            promise.settle(Ok(()));
        }
    }
}

fn entries_in(job: &Job) -> u64 {
    match job {
        Job::Entries { rows, .. } => u64::try_from(rows.len()).unwrap_or(u64::MAX),
        Job::Alert(_) | Job::Audit(_) | Job::Meta { .. } => 0,
    }
}

fn write(connection: &mut Connection, batch: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        // Whoever waits for this core goes first: by itself the kernel gives it back as late as
        // with its next tick, four milliseconds on.
        std::thread::yield_now();
        match job {
            Job::Entries { rows, .. } => {
                rows.iter()
                    .try_for_each(|row| add_entry(&transaction, row))?;
            }
            Job::Alert(row) => add_alert(&transaction, row)?,
            Job::Audit(line) => {
                transaction
                    .prepare_cached(
                        "INSERT INTO audit (at, actor, action, detail) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![
                        line.at.unix_nanos(),
                        line.actor,
                        line.action,
                        line.detail
                    ])?;
            }
            Job::Meta { key, value, once } => {
                transaction
                    .prepare_cached(
                        "INSERT INTO meta (key, value) VALUES (?1, ?2)
                         ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE NOT ?3",
                    )?
                    .execute(params![key, value, once])?;
            }
        }
    }
    transaction.commit()
}

/// Writing an entry again changes nothing.
fn add_entry(transaction: &Transaction<'_>, row: &EntryRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO book (node, epoch, seq, uuid, at, kind, name, value, until, entry)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (node, epoch, seq) DO NOTHING",
        )?
        .execute(params![
            row.node, row.epoch, row.seq, row.uuid, row.at, row.kind, row.name, row.value,
            row.until, row.entry
        ])
        .map(drop)
}

fn add_alert(transaction: &Transaction<'_>, row: &AlertRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO alert (id, recorded, scenario, value, ip, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            row.id,
            row.recorded,
            row.scenario,
            row.value,
            row.ip,
            row.body
        ])
        .map(drop)
}

/// Clears away alerts and audit lines past their bound and, when `log` says so,
/// decisions that ended long ago, and removals together with what they removed (a
/// removal alone would bring its decision back).
fn clear(connection: &mut Connection, options: &Options, log: bool) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (table, most) in [
        ("alert", options.most_alerts),
        ("audit", options.most_audit),
    ] {
        transaction.execute(
            &format!("DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?1"),
            [most],
        )?;
    }
    if log {
        let before = timestamp().before(options.keep_ended).unix_nanos();
        transaction.execute("DELETE FROM book WHERE until < ?1", [before])?;
        for (id, entry) in old_removals(&transaction, before)? {
            for name in removed_by(&entry) {
                transaction
                    .prepare_cached("DELETE FROM book WHERE name = ?1")?
                    .execute([name])?;
            }
            transaction.execute("DELETE FROM book WHERE id = ?1", [id])?;
        }
    }
    transaction.commit()
}

fn old_removals(
    transaction: &Transaction<'_>,
    before: i64,
) -> rusqlite::Result<Vec<(i64, String)>> {
    transaction
        .prepare_cached(
            "SELECT id, entry FROM book
             WHERE kind IN ('remove', 'allowlist_remove') AND at < ?1 LIMIT ?2",
        )?
        .query_map(params![before, MOST_CLEARED], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect()
}

fn removed_by(entry: &str) -> Vec<String> {
    match Entry::from_json(entry.as_bytes()).map(|entry| entry.op) {
        Ok(Op::Remove { ids, .. }) => ids.iter().map(ToString::to_string).collect(),
        Ok(Op::AllowlistRemove { ids, .. }) => ids.iter().map(ToString::to_string).collect(),
        Ok(Op::Add { .. } | Op::AllowlistAdd { .. }) | Err(_) => Vec::new(),
    }
}
