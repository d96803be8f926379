//! The datagrams between the main process and the helper: one request, one reply,
//! JSON, at most [`LARGEST`] bytes, matched by number.
//!
//! Refuses fields and verbs that it does not know: both ends are the same program.

use serde::{Deserialize, Serialize};

/// The largest datagram in either direction, in bytes.
pub const LARGEST: usize = 8_192;

/// The version of this protocol; both ends must name the same.
pub const VERSION: u32 = 2;

/// What the main process may ask for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// The first word, with the speaker's [`VERSION`].
    Hello {
        /// The protocol's version.
        version: u32,
    },
    /// A listening socket on a configured address.
    BindListener {
        /// [`crate::ListenerRule::id`].
        id: String,
        /// Which of the sockets that share the address, from 0.
        share: u16,
    },
    /// A configured file, opened for reading.
    OpenConfigured {
        /// [`crate::FileRule::id`].
        id: String,
    },
    /// A pipe that tells what containers' labels say: see [`crate::docker`]. It takes
    /// the place of the one before.
    DockerEvents,
    /// Read the configuration again.
    Reload,
    /// Is anybody there?
    Ping,
    /// The end, by intent.
    Goodbye,
}

/// A numbered verb.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Comes back with the reply.
    pub number: u64,
    /// What is asked for.
    pub verb: Verb,
}

/// What the helper answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Word {
    /// To [`Verb::Hello`].
    Welcome {
        /// The helper's protocol version.
        version: u32,
        /// Its process id.
        pid: u32,
    },
    /// The listener comes with this datagram.
    Bound,
    /// The file comes with this datagram.
    Opened,
    /// The pipe's reading end comes with this datagram.
    Watching,
    /// The configuration was read again.
    Reloaded {
        /// How many listeners it names.
        listeners: usize,
        /// How many files it names.
        files: usize,
    },
    /// To [`Verb::Ping`].
    Pong {
        /// What the helper counted.
        counted: Counters,
    },
    /// To [`Verb::Goodbye`].
    Farewell,
    /// It was not done.
    Refused(Refusal),
}

/// A numbered word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The request's number; 0 where it could not be read.
    pub number: u64,
    /// The answer.
    pub word: Word,
}

/// Why something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// By cause.
    pub why: Why,
    /// What the kernel or the configuration said; may be empty.
    pub detail: String,
    /// The kernel's error number, where it was the kernel.
    pub errno: Option<i32>,
}

/// The causes of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The datagram is no request.
    Malformed,
    /// There is no such verb, or not with these fields.
    UnknownVerb,
    /// Something else came before [`Verb::Hello`].
    NoHello,
    /// The two ends are of different versions.
    Version,
    /// The configuration that the helper read does not name it.
    NotConfigured,
    /// More sockets than cores were asked for on one address.
    Share,
    /// Too much was asked for in too short a time.
    Budget,
    /// The configuration could not be read again; the old one stays in force.
    Config,
    /// The kernel, or the way to the file, said no.
    System,
}

/// What the helper counted since its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Listeners handed over.
    pub bound: u64,
    /// Files handed over.
    pub opened: u64,
    /// Pipes of containers' labels handed over.
    #[serde(default)]
    pub watched: u64,
    /// Requests refused for what they asked.
    pub refused: u64,
    /// Requests refused for coming too fast.
    pub over_budget: u64,
    /// Datagrams that were no request, and unknown verbs.
    pub malformed: u64,
}

impl Refusal {
    /// A refusal without the kernel's part in it.
    pub fn new(why: Why, detail: impl Into<String>) -> Self {
        Self {
            why,
            detail: detail.into(),
            errno: None,
        }
    }
}
