//! What is said over the control socket. Version 1.

use crate::labels::LabelsView;
use serde::{Deserialize, Serialize};
use vocab::{Alert, Decision, Ring, State, Timestamp};

/// The protocol's version; both ends must speak the same.
pub const VERSION: u32 = 1;
/// The longest line either side reads.
pub const MAX_LINE: usize = 64 * 1024;
/// The longest answer the command line reads.
pub const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// One question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// The protocol version of the caller.
    pub version: u32,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What can be asked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// The posture of every ring.
    Status,
    /// Enforce nothing, for a while or until `resume`.
    Pause {
        /// For how many seconds; `None` until resumed.
        seconds: Option<u64>,
    },
    /// Enforce again.
    Resume,
    /// Read the configuration again, all or nothing.
    Reload,
    /// Drain and stop.
    Down,
    /// Why an address is barred, or is not.
    Why {
        /// An address, a decision's id (or its first digits), or the reference that a
        /// refused visitor was told.
        subject: String,
    },
    /// How a decision came about: the events, the rule that counted them, what it asked for.
    Explain {
        /// As in `why`.
        subject: String,
    },
    /// Decisions in force.
    Decisions {
        /// Only those that cover this address or range.
        value: Option<String>,
    },
    /// Decide something by hand.
    Decide {
        /// An address or a range.
        value: String,
        /// `ban`, `challenge`, `throttle`, `observe`.
        kind: String,
        /// For how many seconds.
        seconds: u64,
        /// Why, in the operator's words.
        reason: String,
    },
    /// Undo decisions: one by id, or all that cover an address.
    Undecide {
        /// A decision's id or its first digits, or an address or range.
        subject: String,
    },
    /// What detection raised, newest first.
    Alerts {
        /// How many at most.
        limit: usize,
        /// Only about this source.
        value: Option<String>,
    },
    /// Who is allowed whatever happens.
    Allowlist,
    /// Allow somebody.
    Allow {
        /// An address or a range.
        value: String,
        /// Why.
        reason: String,
        /// For how many seconds; `None` for always.
        seconds: Option<u64>,
    },
    /// Take an allowance back.
    Disallow {
        /// The address or range as it is listed.
        value: String,
    },
}

/// One answer: either a value of the type that the question calls for, or a sentence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What was asked for.
    Ok(serde_json::Value),
    /// Why not, in a whole sentence.
    Error(String),
}

/// Answers [`Ask::Status`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// The main process.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// When this was said.
    pub now: Timestamp,
    /// Whether nothing is enforced, and until when.
    pub paused: Option<PauseView>,
    /// Every ring and service.
    pub rings: Vec<RingView>,
    /// Every site.
    pub sites: Vec<SiteView>,
    /// Containers' labels; `None` where the configuration does not ask for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsView>,
    /// What went through.
    pub traffic: TrafficView,
    /// The book in numbers.
    pub book: BookView,
    /// What the operator should know, in whole sentences.
    pub notes: Vec<String>,
}

/// A pause.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PauseView {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// One ring's posture: its controls.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RingView {
    /// Which.
    pub ring: Ring,
    /// Its worst control's state.
    pub state: State,
    /// Its controls.
    pub controls: Vec<ControlView>,
}

/// One control's state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ControlView {
    /// Its stable name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How it stands.
    pub state: State,
    /// What that rests on.
    pub basis: vocab::Basis,
    /// What was seen, in a sentence.
    pub evidence: String,
}

/// One site.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SiteView {
    /// Its name: host and path.
    pub name: String,
    /// Its upstreams.
    pub upstreams: Vec<String>,
    /// `gradual`, `enforce` or `observe`.
    pub mode: String,
    /// When volume rules begin to be enforced, while they are not.
    pub volume_from: Option<Timestamp>,
    /// The containers whose labels declare it; `None` for a site of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<Vec<String>>,
}

/// What went through since the start.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TrafficView {
    /// Connections that are open.
    pub open: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Requests read.
    pub requests: u64,
    /// Requests that the edge refused.
    pub refused: u64,
    /// Requests that the edge answered with 502 or 504 for an upstream.
    pub upstream_failures: u64,
    /// Access log lines that were dropped.
    pub log_dropped: u64,
    /// How many percent of recent requests hide their visitors' addresses; `None` when
    /// they are visible.
    #[serde(default)]
    pub hidden_percent: Option<u64>,
    /// The addresses that carried most recent requests, the heaviest first.
    #[serde(default)]
    pub through: Vec<ThroughView>,
}

/// An address that many recent requests came through.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ThroughView {
    /// Which.
    pub address: std::net::IpAddr,
    /// Its requests in the last half to whole hour, at least.
    pub requests: u64,
}

/// The book in numbers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct BookView {
    /// Decisions in force.
    pub active: usize,
    /// Of them, not yet committed to disk.
    pub volatile: usize,
    /// Allowlist entries.
    pub allowed: usize,
    /// Proposed decisions that `admit` refused.
    pub refused: u64,
}

/// One decision as listed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DecisionView {
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// Whether it is enforced but not yet on disk.
    pub volatile: bool,
    /// Whether it is in force.
    pub active: bool,
}

/// One allowance as listed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AllowView {
    /// Who.
    pub value: String,
    /// Why.
    pub reason: String,
    /// `configuration` or `command`.
    pub from: String,
    /// Until when; `None` for always.
    pub until: Option<Timestamp>,
    /// What a host name resolves to now.
    pub resolved: Vec<String>,
}

/// Answers [`Ask::Why`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WhyView {
    /// What was asked about.
    pub subject: String,
    /// The answer in a sentence.
    pub sentence: String,
    /// Whether it is barred now.
    pub barred: bool,
    /// The decisions that cover it, the one in force first.
    pub decisions: Vec<DecisionView>,
    /// The alerts about it, newest first.
    pub alerts: Vec<Alert>,
    /// Commands that help, each with what it does.
    pub remedies: Vec<Remedy>,
}

/// Answers [`Ask::Explain`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ExplainView {
    /// What [`Ask::Why`] answers.
    #[serde(flatten)]
    pub why: WhyView,
    /// The rules that raised the alerts, each once, as they run now.
    pub rules: Vec<RuleView>,
}

/// A rule that raised an alert.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RuleView {
    /// The scenario's name.
    pub name: String,
    /// Whether it still runs.
    pub runs: bool,
    /// Whether it is the same as when it raised the alert.
    pub unchanged: bool,
    /// `leaky`, `trigger`, `counter`, `conditional` or `bayesian`; empty when it does not run.
    pub kind: String,
    /// Which events it counts.
    pub filter: String,
    /// What tells its buckets apart.
    pub groupby: String,
    /// Of which values each counts once.
    pub distinct: String,
    /// When it overflows.
    pub overflows: String,
}

/// A command and what it does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Remedy {
    /// What it does.
    pub does: String,
    /// The command, or the lines for the configuration.
    pub command: String,
}
