//! The kernel's doors, small and wrapped: what `host` and the main process need
//! of privileges, descriptors and confinement.
//!
//! For: dropping root for good, confining the process, passing descriptors,
//! binding listeners, opening configured files without being led astray.
//! Refuses: to decide anything. Which address, which file, which user is the
//! caller's word; this room carries it out or says why not.
//! Assumes: Linux; that what must happen before threads exist is called first.
//! On failure: an [`Error`] for what the caller must not go on without, a *level*
//! ([`Fence`], [`Filter`]) for what hardens where the kernel has it.
//!
//! | module | for |
//! |---|---|
//! | [`account`] | whom to become, and becoming it: [`Account`], [`become_account`](account::become_account) |
//! | [`channel`] | datagrams and descriptors between two processes: [`Channel`] |
//! | [`fence`] | landlock: what of the file system and which ports can be reached |
//! | [`file`](mod@file) | opening a configured file, preparing a directory |
//! | [`filter`] | seccomp: which system calls can be made |
//! | [`listener`] | [`bind_listener`] |
//! | [`names`] | names of addresses, from the host's own resolver |
//! | [`process`] | starting oneself as a second process; what a process gives up |

pub mod account;
pub mod channel;
pub mod fence;
pub mod file;
pub mod filter;
pub mod listener;
pub mod names;
pub mod process;

use std::io;
use std::path::PathBuf;

pub use account::Account;
pub use channel::{Channel, PeerCredentials, peer_credentials};
pub use fence::{Fence, Reach, TcpBind};
pub use filter::{Exec, Filter};
pub use listener::bind_listener;

/// What went wrong at the kernel's door.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{doing}")]
    Call {
        /// What was being done to what.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No such account.
    #[error("find the user {name}: there is no such user")]
    NoAccount {
        /// The name that was looked up.
        name: String,
    },
    /// Root was given up and yet is still there.
    #[error("verify dropped privileges: {found}")]
    StillPrivileged {
        /// What was found.
        found: String,
    },
    /// A step that binds one thread only was asked for when there are several.
    #[error("confine the process: {threads} threads exist, it must be done while there is one")]
    ThreadsExist {
        /// How many there are.
        threads: usize,
    },
    /// A path that does not start at the root.
    #[error("open {}: not an absolute path", path.display())]
    Relative {
        /// The path.
        path: PathBuf,
    },
    /// A path that leads to something else than a regular file or directory.
    #[error("open {}: it is not a {wanted}", path.display())]
    WrongKind {
        /// The path.
        path: PathBuf,
        /// What it should have been.
        wanted: &'static str,
    },
    /// A symbolic link, or a second name of a file, in a directory where somebody
    /// besides root could have put it.
    #[error(
        "open {}: it goes through a link that somebody besides root can change",
        path.display()
    )]
    UntrustedLink {
        /// The path.
        path: PathBuf,
    },
    /// A directory that is not ours alone, and must not be made so.
    #[error(
        "prepare {}: it belongs to the system or to somebody else; name a directory of its own",
        path.display()
    )]
    Shared {
        /// The path.
        path: PathBuf,
    },
    /// The other end of a channel is gone.
    #[error("the other end of the channel is closed")]
    Closed,
    /// Standard input is no channel.
    #[error("standard input is not the channel of a ringwall process")]
    NoChannel,
}

impl Error {
    pub(crate) fn call(doing: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Call {
            doing: doing.into(),
            source: source.into(),
        }
    }

    /// The kernel's error number, where a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { source, .. } => source.raw_os_error(),
            Self::NoAccount { .. }
            | Self::StillPrivileged { .. }
            | Self::ThreadsExist { .. }
            | Self::Relative { .. }
            | Self::WrongKind { .. }
            | Self::UntrustedLink { .. }
            | Self::Shared { .. }
            | Self::Closed
            | Self::NoChannel => None,
        }
    }
}
