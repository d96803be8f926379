//! What sources did before, for escalation on repetition.

use vocab::{DecisionId, Timestamp};

use crate::Force;

/// One earlier decision about a source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Past {
    /// When it was made.
    pub created: Timestamp,
    /// The decision's name.
    pub id: DecisionId,
    /// When it ended or ends.
    pub until: Timestamp,
    /// What it did.
    pub force: Force,
}
