//! What comes of judging.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use crate::chain::OF_CLIENT;
use vocab::{DecisionId, RefusedBy};

use crate::ConnectionGuard;

/// A rule's name: a constant such as `book.ban`, or `tool.` and a tool's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A rule of the gate itself.
    Fixed(&'static str),
    /// A rule from a list that was handed in.
    Listed(Arc<str>),
}

impl Rule {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fixed(name) => name,
            Self::Listed(name) => name,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a request or a connection is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The rule that refused.
    pub rule: Rule,
    /// Which part of the edge that is.
    pub by: RefusedBy,
    /// The status to answer.
    pub status: u16,
    /// When the client may come back, rounded up to whole seconds for `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Whether to close the connection after the answer. Never set for a trusted proxy's.
    pub close: bool,
    /// The decision it rests on.
    pub decision: Option<DecisionId>,
}

impl Refusal {
    /// Whether the client has as many connections as it may: one of its own that is idle
    /// could make room, see [`crate::Gate::admit_in_place`].
    #[must_use]
    pub fn too_many_of_client(&self) -> bool {
        self.rule.as_str() == OF_CLIENT
    }
}

/// What the gate says about a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on.
    Pass {
        /// The rules that would have refused it, had they been enforced here.
        observed: Observed,
    },
    /// It ends here.
    Refuse(Refusal),
}

impl Verdict {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Pass { .. } => None,
            Self::Refuse(refusal) => Some(refusal),
        }
    }
}

/// What the gate says about a connection.
#[derive(Debug)]
pub enum Admission {
    /// It is served while the guard lives.
    Accept(ConnectionGuard),
    /// It is closed. `by` tells a ban ([`RefusedBy::Book`]) from a limit; over plain HTTP the edge
    /// may answer the status first, before TLS it just closes.
    Refuse(Refusal),
}

/// How many rules an [`Observed`] names.
const MOST_OBSERVED: usize = 4;

/// The rules that matched where they are only observed, in the chain's order. Four at most, the
/// rest is not told: whoever trips five rules is known by four. Costs nothing while empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    rules: Vec<(Rule, RefusedBy)>,
}

impl Observed {
    /// Whether no rule matched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules with the part of the edge that they belong to.
    pub fn iter(&self) -> impl Iterator<Item = (&Rule, RefusedBy)> {
        self.rules.iter().map(|(rule, by)| (rule, *by))
    }

    pub(crate) fn note(&mut self, rule: Rule, by: RefusedBy) {
        if self.rules.len() < MOST_OBSERVED {
            self.rules.push((rule, by));
        }
    }
}
