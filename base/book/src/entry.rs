//! The log: entries, who wrote them, and positions in it.
//!
//! An entry is never changed or taken back; a removal is an entry of its own (a tombstone),
//! and it holds whether it is read before or after what it removes. Entries of one node are
//! numbered by (epoch, seq): the epoch grows with every start of the process, so that numbers
//! handed to entries that were lost before they reached the disk are never used again.
//!
//! On failure: a text that is no entry is an [`EntryFault`], never a panic and never a
//! half-read entry.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vocab::{Decision, DecisionId, Origin, Timestamp};

use crate::AllowItem;

/// The longest text that is read as an entry, in bytes.
pub const LONGEST_ENTRY: usize = 1 << 20;

/// The most identifiers that one removal names; [`Op::removals`] splits larger ones.
pub const MOST_REMOVED: usize = 10_000;

macro_rules! hex_name {
    ($(#[$doc:meta])* $name:ident($int:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl FromStr for $name {
            type Err = core::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <$int>::from_str_radix(text, 16).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_name!(
    /// Names the host that wrote an entry: 64 random bits drawn once per installation,
    /// shown and serialised as 16 hex digits.
    NodeId(u64), "{:016x}"
);

hex_name!(
    /// Names an entry for ever: 128 random bits, shown and serialised as 32 hex digits.
    EntryId(u128), "{:032x}"
);

hex_name!(
    /// Names an allowlist item for ever: 128 random bits, shown and serialised as 32 hex digits.
    AllowId(u128), "{:032x}"
);

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The host that wrote it.
    pub node: NodeId,
    /// The writer's start number.
    pub epoch: u64,
    /// Its number within the epoch, from 1.
    pub seq: u64,
    /// Its name, unique among all nodes.
    pub uuid: EntryId,
    /// When it was written, by the writer's clock.
    pub at: Timestamp,
    /// What it says.
    pub op: Op,
}

/// What an entry says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Op {
    /// A decision that [`crate::admit()`] let in.
    Add {
        /// The decision.
        decision: Decision,
    },
    /// Decisions end now, by someone's word. A filter is resolved to identifiers by whoever
    /// writes the entry ([`crate::Book::matching`]), so that the log means the same everywhere.
    Remove {
        /// Which; at most [`MOST_REMOVED`].
        ids: Vec<DecisionId>,
        /// Who asked.
        by: Origin,
        /// Why, in the asker's words.
        why: String,
    },
    /// Something joins an allowlist.
    AllowlistAdd {
        /// What joins.
        item: AllowItem,
    },
    /// Items leave their allowlists.
    AllowlistRemove {
        /// Which; at most [`MOST_REMOVED`].
        ids: Vec<AllowId>,
        /// Who asked.
        by: Origin,
        /// Why, in the asker's words.
        why: String,
    },
}

impl Op {
    /// The removals of any number of decisions, split so that each fits an entry.
    #[must_use]
    pub fn removals(ids: &[DecisionId], by: &Origin, why: &str) -> Vec<Self> {
        ids.chunks(MOST_REMOVED)
            .map(|ids| Self::Remove {
                ids: ids.to_vec(),
                by: by.clone(),
                why: why.to_owned(),
            })
            .collect()
    }
}

/// Why a text is not an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryFault {
    /// The text is longer than [`LONGEST_ENTRY`].
    #[error("read book entry of {0} bytes: longer than {LONGEST_ENTRY}")]
    TooLong(usize),
    /// A removal names more than [`MOST_REMOVED`] identifiers.
    #[error("read book entry: removes {0} items, at most {MOST_REMOVED} are allowed")]
    TooMany(usize),
    /// The text is not JSON of this shape.
    #[error("read book entry: not JSON of the expected shape")]
    Shape(#[from] serde_json::Error),
}

impl Entry {
    /// Where the entry stands in its node's log.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq: self.seq,
        }
    }

    /// The entry as one line of JSON without a line end.
    ///
    /// # Errors
    /// Never for values that can be built; the signature keeps the writer's failure visible.
    pub fn to_json(&self) -> Result<String, EntryFault> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads what [`Entry::to_json`] wrote.
    ///
    /// # Errors
    /// See [`EntryFault`].
    pub fn from_json(text: &[u8]) -> Result<Self, EntryFault> {
        if text.len() > LONGEST_ENTRY {
            return Err(EntryFault::TooLong(text.len()));
        }
        let entry: Self = serde_json::from_slice(text)?;
        match &entry.op {
            Op::Remove { ids, .. } if ids.len() > MOST_REMOVED => {
                Err(EntryFault::TooMany(ids.len()))
            }
            Op::AllowlistRemove { ids, .. } if ids.len() > MOST_REMOVED => {
                Err(EntryFault::TooMany(ids.len()))
            }
            _ => Ok(entry),
        }
    }
}

/// A position in one node's log: everything up to and including (epoch, seq) was read.
///
/// A consumer keeps one cursor per node, asks the store for the entries *after* it, ordered by
/// (epoch, seq), and moves it with [`Cursor::advance`]. Reading an entry twice is harmless,
/// skipping one is not; a gap within an epoch is told, a new epoch may start at any number,
/// since what was never committed of the epoch before is gone for good.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Cursor {
    /// The start number.
    pub epoch: u64,
    /// The number within the epoch; 0 before its first entry.
    pub seq: u64,
}

/// How an entry follows a cursor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is the next one; the cursor moved.
    Next,
    /// It was read before; the cursor stays.
    Again,
    /// Entries between are missing; the cursor stays. Ask the store from the cursor on.
    Gap {
        /// How many are missing.
        missing: u64,
    },
}

impl Cursor {
    /// Before every entry.
    pub const START: Self = Self { epoch: 0, seq: 0 };

    /// Whether `entry` stands after this position.
    #[must_use]
    pub fn precedes(self, entry: &Entry) -> bool {
        self < entry.cursor()
    }

    /// Moves over `entry` if it is the next one. Within an epoch numbers are consecutive.
    pub fn advance(&mut self, entry: &Entry) -> Step {
        if !self.precedes(entry) {
            return Step::Again;
        }
        let missing = if entry.epoch == self.epoch {
            entry.seq - self.seq - 1
        } else {
            0
        };
        if missing > 0 {
            return Step::Gap { missing };
        }
        *self = entry.cursor();
        Step::Next
    }
}

/// Numbers the entries of one node during one run of the process.
#[derive(Debug)]
pub struct Author {
    node: NodeId,
    epoch: u64,
    last: u64,
}

impl Author {
    /// An author for this run. `epoch` must be larger than every epoch the node's log holds:
    /// the store's last epoch plus one.
    #[must_use]
    pub fn new(node: NodeId, epoch: u64) -> Self {
        Self {
            node,
            epoch,
            last: 0,
        }
    }

    /// The node it writes for.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// How many entries it wrote in this run.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.last
    }

    /// The next entry. `uuid` is 128 random bits from the caller.
    pub fn entry(&mut self, uuid: EntryId, at: Timestamp, op: Op) -> Entry {
        self.last += 1;
        Entry {
            node: self.node,
            epoch: self.epoch,
            seq: self.last,
            uuid,
            at,
            op,
        }
    }
}
