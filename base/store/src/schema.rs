//! The database's shape, and how older shapes become it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// "RWal": tells our databases from other programs'.
pub(crate) const APPLICATION: i64 = 0x5257_616c;

/// The steps from an empty file on; `user_version` counts those already done. A
/// released step is never changed, only followed by another.
const STEPS: &[&str] = &["
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE book (
    id    INTEGER PRIMARY KEY,
    node  TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    uuid  TEXT NOT NULL,
    at    INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    name  TEXT,
    value TEXT,
    until INTEGER,
    entry TEXT NOT NULL,
    UNIQUE (node, epoch, seq)
) STRICT;
CREATE INDEX book_by_name  ON book (name)  WHERE name  IS NOT NULL;
CREATE INDEX book_by_value ON book (value) WHERE value IS NOT NULL;
CREATE INDEX book_by_until ON book (until) WHERE until IS NOT NULL;

CREATE TABLE alert (
    id       INTEGER PRIMARY KEY,
    recorded INTEGER NOT NULL,
    scenario TEXT NOT NULL,
    value    TEXT NOT NULL,
    ip       TEXT,
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX alert_by_value ON alert (value);
CREATE INDEX alert_by_ip    ON alert (ip) WHERE ip IS NOT NULL;

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"];

/// The newest shape this program knows.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// What a connection keeps of the database, in KiB where negative (SQLite's way): the upper parts
/// of its trees fit, and the kernel has the rest. By itself SQLite takes 2 MiB for good.
const CACHE: i64 = -512;

/// What keeps a database from being used, besides SQLite's own errors.
#[derive(Debug)]
pub(crate) enum Misfit {
    /// SQLite said so.
    Sqlite(rusqlite::Error),
    /// Written by a newer program.
    Newer(i64),
    /// Another program's database.
    Foreign,
}

impl From<rusqlite::Error> for Misfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A connection that writes: WAL, every commit on the disk before it returns.
/// Checks that the log is whole and brings an older shape up to date.
pub(crate) fn connect(path: &Path, patience: Duration) -> Result<Connection, Misfit> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if application != APPLICATION && !(application == 0 && is_empty(&connection)?) {
        return Err(Misfit::Foreign);
    }
    if version > VERSION {
        return Err(Misfit::Newer(version));
    }
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.set_prepared_statement_cache_capacity(32);
    if version == VERSION {
        check(&connection)?;
    } else {
        migrate(&mut connection, version)?;
    }
    Ok(connection)
}

/// A connection that only reads. It sees what is committed, also while another
/// connection writes.
pub(crate) fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(250))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    Ok(connection)
}

/// The last resort for reading on a file system that cannot be written at all:
/// the main file as it is, without the log beside it.
pub(crate) fn connect_to_frozen(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, flags)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// Whether the tables that the start reads are whole. Alerts can be many and are
/// found out about when they are read.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    for table in ["meta", "book"] {
        let verdict: String = connection.query_row(
            &format!("SELECT quick_check FROM pragma_quick_check('{table}') LIMIT 1"),
            [],
            |row| row.get(0),
        )?;
        if verdict != "ok" {
            return Err(damaged(verdict));
        }
    }
    Ok(())
}

fn damaged(verdict: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(verdict))
}

fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
