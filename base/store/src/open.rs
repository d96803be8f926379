//! The start: claim the directory, open the database, give back what is in it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use book::Entry;
use rusqlite::Connection;
use vocab::Timestamp;

use crate::health::{is_damage, sentence};
use crate::instance::{self, Claim};
use crate::schema::{self, Misfit};
use crate::{DATABASE, redact};

/// Bounds and choices.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names of query arguments, headers and fields whose values are never stored.
    pub redact: Vec<String>,
    /// The most alerts kept; the oldest go first.
    pub most_alerts: u32,
    /// The most lines of the audit trail kept.
    pub most_audit: u32,
    /// How long ended decisions stay in the log, for `why`.
    pub keep_ended: Duration,
    /// The most book entries that wait for the disk.
    pub waiting_entries: usize,
    /// The most bytes of book entries that wait for the disk.
    pub waiting_entry_bytes: usize,
    /// The most alerts that wait for the disk.
    pub waiting_alerts: usize,
    /// The most bytes of alerts that wait for the disk.
    pub waiting_alert_bytes: usize,
    /// The longest pause between two attempts.
    pub slowest_retry: Duration,
    /// How long what nobody waits for gathers before it is written: one transaction for a wave
    /// of decisions, and none right behind a decision, when its source comes again.
    pub gather: Duration,
    /// Called on the writing thread before it does anything: to give others precedence.
    pub begin: fn(),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            redact: redact::CREDENTIALS.map(str::to_owned).to_vec(),
            most_alerts: 100_000,
            most_audit: 100_000,
            keep_ended: Duration::from_secs(30 * 86_400),
            waiting_entries: 100_000,
            waiting_entry_bytes: 64 << 20,
            waiting_alerts: 2_000,
            waiting_alert_bytes: 16 << 20,
            slowest_retry: Duration::from_secs(5),
            gather: Duration::from_millis(100),
            begin: || {},
        }
    }
}

/// What the state directory held.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The book's log, in the order in which it was written.
    pub entries: Vec<Entry>,
    /// Remembered values.
    pub meta: BTreeMap<String, String>,
    /// This run's epoch for [`book::Author`]: larger than any before, also than those
    /// of a database that could not be read.
    pub epoch: u64,
    /// What the operator should know, as sentences.
    pub warnings: Vec<String>,
}

/// Why the store does not open. Each is a sentence.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another instance runs on this directory.
    #[error(
        "Another Ringwall{} uses {}. Stop it with 'ringwall down', or give this one its own state directory.",
        .pid.map_or_else(String::new, |pid| format!(" (process {pid})")), .dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other one's process id, where known.
        pid: Option<u32>,
    },
    /// Written by a newer program.
    #[error(
        "{} was written by a newer Ringwall (format {found}, this one knows {known}). Install that version again, or move the file away.",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file is another program's database.
    #[error(
        "{} is a database of another program. Choose another state directory.",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The directory cannot be made.
    #[error("Cannot make the state directory {}: {source}. Choose another one, or make it.", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("Cannot start the store's thread: {0}.")]
    Thread(#[source] io::Error),
}

/// What [`open`] found and holds.
pub(crate) struct Opened {
    pub(crate) recovered: Recovered,
    /// `None` when the database cannot be written (yet).
    pub(crate) connection: Option<Connection>,
    /// Why not, then.
    pub(crate) trouble: Option<String>,
    /// Whether what is in the database is still to be read.
    pub(crate) blind: bool,
    pub(crate) last_alert: i64,
    pub(crate) instance: Option<File>,
}

/// How long the start waits for somebody else's lock.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn open(dir: &Path, _: &Options) -> Result<Opened, OpenError> {
    let mut warnings = Vec::new();
    prepare(dir)?;
    let instance = match instance::claim(dir) {
        Claim::Held(file) => Some(file),
        Claim::Taken { pid } => {
            let dir = dir.to_owned();
            return Err(OpenError::InUse { dir, pid });
        }
        Claim::Unknown(error) => {
            warnings.push(format!(
                "{} cannot be locked ({error}): a second Ringwall on it would not be noticed.",
                dir.display()
            ));
            None
        }
    };
    let path = dir.join(DATABASE);
    let mut opened = match connect(&path, &mut warnings)? {
        Ok(connection) => from_writable(connection, &path),
        Err(trouble) => from_readable(&path, trouble),
    };
    opened.instance = instance;
    warnings.append(&mut opened.recovered.warnings);
    opened.recovered.warnings = warnings;
    let started = seconds_of(SystemTime::now());
    opened.recovered.epoch = opened.recovered.epoch.max(started);
    Ok(opened)
}

fn prepare(dir: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    if let Err(source) = made {
        let dir = dir.to_owned();
        return Err(OpenError::Directory { dir, source });
    }
    // Tighten what exists already; on a read-only file system that fails, and the
    // mode is what it is.
    for (path, mode) in [(dir.to_owned(), 0o700), (dir.join(DATABASE), 0o600)] {
        if let Ok(found) = fs::metadata(&path)
            && found.permissions().mode() & 0o077 != 0
            && let Err(error) = fs::set_permissions(&path, Permissions::from_mode(mode))
        {
            tracing::warn!(path = %path.display(), %error, "state is readable by others");
        }
    }
    if let Err(error) = make_private(&dir.join(DATABASE)) {
        tracing::debug!(%error, "cannot make the database file");
    }
    Ok(())
}

/// Makes the file, when missing, readable by nobody else; SQLite gives the files
/// beside it the same mode.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Opens the database for writing, a damaged one moved aside first; the inner
/// error is the sentence of why it cannot be written now.
fn connect(
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<Result<Connection, String>, OpenError> {
    for attempt in 0..2 {
        match schema::connect(path, PATIENCE) {
            Ok(connection) => return Ok(Ok(connection)),
            Err(Misfit::Newer(found)) => {
                return Err(OpenError::Newer {
                    path: path.to_owned(),
                    found,
                    known: schema::VERSION,
                });
            }
            Err(Misfit::Foreign) => {
                let path = path.to_owned();
                return Err(OpenError::Foreign { path });
            }
            Err(Misfit::Sqlite(error)) if attempt == 0 && is_damage(&error) => {
                match move_aside(path) {
                    Ok(aside) => warnings.push(format!(
                        "{} was damaged ({error}) and is now {}. Starting with an empty book: bans made before are not in force.",
                        path.display(),
                        aside.display()
                    )),
                    Err(_) => return Ok(Err(sentence(&error, path))),
                }
            }
            Err(Misfit::Sqlite(error)) => return Ok(Err(sentence(&error, path))),
        }
    }
    Ok(Err(format!("{} cannot be used.", path.display())))
}

/// Renames the database and what belongs to it; never deletes, never overwrites.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = seconds_of(SystemTime::now());
    let named = |suffix: &str, number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".corrupt-{stamp}"));
        if number > 0 {
            name.push(format!("-{number}"));
        }
        name.push(suffix);
        PathBuf::from(name)
    };
    let free = (0..1_000).find(|number| !named("", *number).exists());
    let number = free.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
    fs::rename(path, named("", number))?;
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        if let Err(error) = fs::rename(&beside, named(suffix, number))
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    make_private(path)?;
    Ok(named("", number))
}

fn from_writable(connection: Connection, path: &Path) -> Opened {
    match load(&connection) {
        Ok((recovered, last_alert)) => Opened {
            recovered,
            connection: Some(connection),
            trouble: None,
            blind: false,
            last_alert,
            instance: None,
        },
        Err(error) => blind(sentence(&error, path)),
    }
}

/// Reads what can be read of a database that cannot be written.
fn from_readable(path: &Path, trouble: String) -> Opened {
    if let Ok((mut recovered, last_alert)) =
        schema::connect_to_read(path).and_then(|connection| load(&connection))
    {
        recovered.warnings.push(trouble.clone());
        return Opened {
            recovered,
            connection: None,
            trouble: Some(trouble),
            blind: false,
            last_alert,
            instance: None,
        };
    }
    // Without the log beside it, and perhaps under somebody's pen: better than to
    // let everybody in. The whole is read, and told, once that is possible.
    let frozen = schema::connect_to_frozen(path).and_then(|connection| load(&connection));
    let mut opened = blind(trouble.clone());
    if let Ok((mut recovered, _)) = frozen {
        let note = format!(
            "The latest entries of {} may be missing until then.",
            path.display()
        );
        recovered.warnings.extend([trouble, note]);
        opened.recovered = recovered;
    }
    opened
}

/// Starts with nothing, and reads later.
fn blind(trouble: String) -> Opened {
    let recovered = Recovered {
        warnings: vec![
            trouble.clone(),
            "Starting without what was saved: bans made before are not in force yet.".to_owned(),
        ],
        ..Recovered::default()
    };
    // Names of alerts must not collide with those we could not look at.
    let last_alert = i64::try_from(seconds_of(SystemTime::now())).unwrap_or(0) * 1_000;
    Opened {
        recovered,
        connection: None,
        trouble: Some(trouble),
        blind: true,
        last_alert,
        instance: None,
    }
}

/// Reads everything the start needs, and the last alert's name.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<(Recovered, i64)> {
    let mut recovered = Recovered::default();
    let mut unreadable = 0_u64;
    let mut last_epoch = 0_u64;
    let mut statement = connection.prepare("SELECT epoch, entry FROM book ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        last_epoch = last_epoch.max(row.get::<_, i64>(0)?.cast_unsigned());
        match Entry::from_json(row.get_ref(1)?.as_bytes()?) {
            Ok(entry) => recovered.entries.push(entry),
            Err(_) => unreadable += 1,
        }
    }
    let mut statement = connection.prepare("SELECT key, value FROM meta")?;
    let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    recovered.meta = pairs.collect::<rusqlite::Result<_>>()?;
    recovered.epoch = last_epoch.saturating_add(1);
    if unreadable > 0 {
        recovered.warnings.push(format!(
            "{unreadable} entries of the book could not be read and are left out."
        ));
    }
    let last_alert = connection.query_row("SELECT coalesce(max(id), 0) FROM alert", [], |row| {
        row.get(0)
    })?;
    Ok((recovered, last_alert))
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The time now, for what the writer itself notes.
pub(crate) fn timestamp() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    Timestamp::from_unix_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
