//! How the store does, and what its troubles are called.

use std::path::Path;

use rusqlite::ErrorCode;
use vocab::Timestamp;

/// How the store does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// Whether what is queued reaches the disk.
    pub condition: Condition,
    /// Jobs that are not durable yet.
    pub queued: usize,
    /// What was given up for lack of room since the start.
    pub dropped: Dropped,
    /// Transactions committed since the start.
    pub commits: u64,
    /// Book entries made durable since the start.
    pub written: u64,
}

/// Whether what is queued reaches the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It does.
    Healthy,
    /// It does not; it is kept and tried again.
    Degraded {
        /// Since when.
        since: Timestamp,
        /// Why, as a sentence with the likely fix.
        why: String,
    },
}

/// What was given up for lack of room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Book entries: they hold until the next start only.
    pub entries: u64,
    /// Alerts.
    pub alerts: u64,
    /// Lines of the audit trail and remembered values.
    pub other: u64,
}

impl Health {
    /// Whether what is queued reaches the disk.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        matches!(self.condition, Condition::Healthy)
    }
}

/// What the operator reads about a failure of the database at `path`.
pub(crate) fn sentence(error: &rusqlite::Error, path: &Path) -> String {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            format!(
                "The disk that holds {path} is full. Free some space; writing goes on by itself."
            )
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("Another program holds {path} locked. Run 'fuser {path}' to find it.")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => format!(
            "{path} cannot be written. Check its owner, its mode, and that the file system is not read-only."
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
            "{path} is damaged. Restart Ringwall: it moves the file aside and starts a new one."
        ),
        Some(ErrorCode::SystemIoFailure) => {
            format!("The disk that holds {path} reports errors. Run 'dmesg' to see which.")
        }
        _ => format!("{path} cannot be used: {error}."),
    }
}

/// Whether the file itself is at fault, so that only a new one helps.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}
