//! One instance for one state directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The file that is locked. It stays when the process ends; the lock does not.
const NAME: &str = "ringwall.lock";

/// What came of asking for the directory.
pub(crate) enum Claim {
    /// It is ours as long as the file is open.
    Held(File),
    /// Somebody else has it.
    Taken {
        /// Its process id, where it wrote one.
        pid: Option<u32>,
    },
    /// The directory does not let us ask.
    Unknown(io::Error),
}

/// Claims `dir` for this process.
pub(crate) fn claim(dir: &Path) -> Claim {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join(NAME));
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => return Claim::Unknown(error),
    };
    match file.try_lock() {
        Ok(()) => {
            // Only for the other one's sentence; a full disk may refuse it.
            let written = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()));
            if let Err(error) = written {
                tracing::debug!(%error, "cannot note the process id in the lock file");
            }
            Claim::Held(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = io::Read::by_ref(&mut file)
                .take(32)
                .read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            Claim::Taken { pid }
        }
        Err(TryLockError::Error(error)) => Claim::Unknown(error),
    }
}
