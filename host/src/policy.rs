//! What the configuration allows: the helper's own reading of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::docker::DockerRule;

/// The most listeners and the most files a policy keeps; what is over is left out
/// by [`Policy::bounded`].
pub const MOST_RULES: usize = 4_096;

/// Everything that may be asked for. Made by the same code from the same
/// configuration in both processes; only the helper's copy counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Addresses that may be bound.
    pub listeners: Vec<ListenerRule>,
    /// Files that may be opened for reading.
    pub files: Vec<FileRule>,
    /// Where containers may be watched; `None` where nobody asked for it.
    pub docker: Option<DockerRule>,
}

/// An address that may be bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerRule {
    /// The address and port.
    pub address: SocketAddr,
    /// How many sockets may share it, one for each core that accepts; at least 1.
    pub shares: u16,
    /// The length of the queue of connections that nobody has accepted yet.
    pub backlog: u16,
}

impl ListenerRule {
    /// A rule with a backlog of 4,096, for which the kernel's `somaxconn` is the bound.
    #[must_use]
    pub const fn new(address: SocketAddr, shares: u16) -> Self {
        Self {
            address,
            shares,
            backlog: 4_096,
        }
    }

    /// The name that the verb carries: the address as text.
    #[must_use]
    pub fn id(&self) -> String {
        self.address.to_string()
    }
}

/// A file that may be opened for reading: a key, a certificate, a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRule {
    /// The absolute path, as the configuration resolved it.
    pub path: PathBuf,
}

impl FileRule {
    /// A rule for this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The name that the verb carries: the path as text.
    #[must_use]
    pub fn id(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

impl Policy {
    /// The policy cut to [`MOST_RULES`] of each kind.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.listeners.truncate(MOST_RULES);
        self.files.truncate(MOST_RULES);
        self
    }

    /// The rule of a listener's name.
    #[must_use]
    pub fn listener(&self, id: &str) -> Option<&ListenerRule> {
        self.listeners.iter().find(|rule| rule.id() == id)
    }

    /// The rule of a file's name.
    #[must_use]
    pub fn file(&self, id: &str) -> Option<&FileRule> {
        self.files.iter().find(|rule| rule.id() == id)
    }

    /// How many descriptors a peer that asks for everything once gets.
    #[must_use]
    pub fn descriptors(&self) -> u32 {
        let shares: u32 = self
            .listeners
            .iter()
            .map(|rule| u32::from(rule.shares))
            .sum();
        shares.saturating_add(u32::try_from(self.files.len()).unwrap_or(u32::MAX))
    }
}
