//! One way to a listener or a file, whether a helper holds root for us or not.

use std::fs::File;
use std::net::TcpListener;

use host_sys::file;

use crate::client::{Client, HelperState, HostError};
use crate::docker::{self, DockerRule, Stream};
use crate::policy::{FileRule, ListenerRule};

/// Whose hands open what the process needs.
#[derive(Debug)]
pub enum Access {
    /// The helper's.
    Helper(Client),
    /// The process's own, with what its user may.
    Own {
        /// Why there is no helper, as a sentence.
        why: String,
    },
}

impl Access {
    /// A listener on a configured address; `share` counts from 0 to the rule's
    /// `shares`. It does not block and is closed on exec. Blocks for
    /// [`PATIENCE`](crate::client::PATIENCE) at most.
    ///
    /// # Errors
    /// See [`HostError`]; each is a sentence for the operator.
    pub fn bind(&self, rule: &ListenerRule, share: u16) -> Result<TcpListener, HostError> {
        match self {
            Self::Helper(client) => client.bind(rule, share),
            Self::Own { .. } => {
                host_sys::bind_listener(rule.address, rule.shares > 1, rule.backlog)
                    .map_err(|source| own(format!("bind {}", rule.id()), source))
            }
        }
    }

    /// A configured file, opened for reading. Without a helper it is opened with the
    /// user's own rights, and links are followed as the kernel does.
    ///
    /// # Errors
    /// See [`HostError`]; each is a sentence for the operator.
    pub fn open(&self, rule: &FileRule) -> Result<File, HostError> {
        match self {
            Self::Helper(client) => client.open(rule),
            Self::Own { .. } => file::open_plain(&rule.path)
                .map_err(|source| own(format!("open {}", rule.id()), source)),
        }
    }

    /// What containers' labels say, from now on. With a helper, Docker's socket is in
    /// its hands; without one, a thread of this process asks with the user's own rights.
    ///
    /// # Errors
    /// See [`HostError`]; that Docker does not answer is no error but told in the stream.
    pub fn docker_events(&self, rule: &DockerRule) -> Result<Stream, HostError> {
        match self {
            Self::Helper(client) => Ok(Stream {
                pipe: client.docker_events()?,
                watch: None,
            }),
            Self::Own { .. } => match docker::watch(rule) {
                Ok((pipe, watch)) => Ok(Stream {
                    pipe,
                    watch: Some(watch),
                }),
                Err(error) => Err(own(
                    "watch Docker's containers".to_owned(),
                    host_sys::Error::Call {
                        doing: "start a thread".to_owned(),
                        source: error,
                    },
                )),
            },
        }
    }

    /// Whether a helper holds root for us.
    #[must_use]
    pub const fn is_helped(&self) -> bool {
        matches!(self, Self::Helper(_))
    }

    /// Tells the helper to read the configuration again, before anything new in it
    /// is asked for.
    ///
    /// # Errors
    /// See [`HostError`]; without a helper there is nothing to tell.
    pub fn reload(&self) -> Result<(), HostError> {
        match self {
            Self::Helper(client) => client.reload().map(drop),
            Self::Own { .. } => Ok(()),
        }
    }

    /// How things stand, as a sentence for `status`, and whether all is well.
    #[must_use]
    pub fn state(&self) -> (bool, String) {
        match self {
            Self::Helper(client) => match client.state() {
                HelperState::Serving { pid } => (
                    true,
                    format!("The privileged helper runs as process {pid}."),
                ),
                HelperState::Gone { why } => (
                    false,
                    format!(
                        "The privileged helper is gone ({why}); what is open stays open, new listeners and changed certificates need a restart."
                    ),
                ),
            },
            Self::Own { why } => (true, why.clone()),
        }
    }
}

const fn own(what: String, source: host_sys::Error) -> HostError {
    HostError::Own { what, source }
}
