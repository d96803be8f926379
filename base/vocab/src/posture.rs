//! What holds, and how we know.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A ring of the defence, or a service around it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    /// Ring 1: the managed edge.
    Edge,
    /// Ring 2: adaptive detection.
    Detection,
    /// Ring 3: network segmentation.
    Network,
    /// Ring 4: container hardening.
    Container,
    /// DNS filtering.
    Dns,
    /// Encrypted backups.
    Backup,
}

impl Ring {
    /// Every ring and service, in the order they are shown.
    pub const ALL: [Self; 6] = [
        Self::Edge,
        Self::Detection,
        Self::Network,
        Self::Container,
        Self::Dns,
        Self::Backup,
    ];
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edge => "edge",
            Self::Detection => "detection",
            Self::Network => "network",
            Self::Container => "container",
            Self::Dns => "dns",
            Self::Backup => "backup",
        })
    }
}

/// Something that is defended, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Control {
    /// A stable name such as `edge.framing`.
    pub id: &'static str,
    /// The ring it belongs to.
    pub ring: Ring,
    /// A short title.
    pub title: &'static str,
    /// What goes wrong without it.
    pub why: &'static str,
}

/// What a control's state rests on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The configuration says so.
    Declared,
    /// It was seen at run time.
    Observed,
    /// What it forbids was attempted and failed.
    Proven,
}

/// How a control stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "because")]
pub enum State {
    /// It does what it should.
    Holds,
    /// It watches and enforces nothing.
    Observing(String),
    /// It is there and does not do what it should.
    Broken(String),
    /// It could not be checked here.
    Unknown(String),
    /// Nothing protects this.
    NotProtected(String),
}

/// How a control stands for one subject, and how we know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// The control's id.
    pub control: &'static str,
    /// What it was looked at for: a site, a container, the host.
    pub subject: String,
    /// How it stands.
    pub state: State,
    /// What that rests on.
    pub basis: Basis,
    /// What was seen, in a sentence.
    pub evidence: String,
}
