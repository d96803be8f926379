//! What the hub publishes, and what of it is installed here.
//!
//! For: reading the hub's index, choosing items with all they need, and keeping what is
//! installed as numbered sets of files of which one is current. Nothing here calls anybody:
//! bytes are handed in, and belong to an item only if their digest is the index's.
//! **Refuses:** an index beyond its bounds, or one in which any path or name leads out of
//! the folder it belongs in ([`IndexError`]); bytes of another digest ([`WrongDigest`]).
//! **Assumes:** one writer at a time, who holds the [`Lock`]; readers need none, since a
//! finished set does not change and `current` is switched in one step.
//! **On failure:** what is current stays current; a set that was begun is removed, by
//! whoever comes next if need be.
//!
//! | module | what it is for |
//! |---|---|
//! | [`index`] | the hub's index, read and checked |
//! | [`plan`] | what the next set holds, and where each file of it comes from |
//! | [`manifest`] | what a set holds, as it is written down |
//! | [`sets`] | sets on disk |
//! | [`standing`] | how installed items stand: up to date, tampered, … |
//! | [`tuning`] | thresholds that were changed here, without touching an item |

mod closeness;
pub mod index;
pub mod kind;
pub mod manifest;
pub mod plan;
pub mod sets;
pub mod standing;
pub mod tuning;

pub use closeness::nearest;
pub use index::{Index, IndexError, Item, Version};
pub use kind::{Id, Kind};
pub use manifest::{Data, Installed, Manifest};
pub use plan::{Plan, PlanError, Source, Step};
pub use sets::{Draft, Lock, Set, Sets, SetsError};
pub use standing::{Standing, State};
pub use tuning::{Override, Tuning};

use sha2::{Digest as _, Sha256};

/// The largest item.
pub const ITEM_BYTES: u64 = 4 << 20;

/// Bytes that are not those of the item.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{id} is not what the index says: its SHA-256 is {found}, and {expected} was expected")]
pub struct WrongDigest {
    /// Which item.
    pub id: Id,
    /// What the index says.
    pub expected: String,
    /// What came.
    pub found: String,
}

/// The SHA-256 of bytes as the index writes it: lower-case hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Hands bytes on if they are the item's.
///
/// # Errors
/// [`WrongDigest`] if they are not.
pub fn verified(id: &Id, expected: &str, bytes: Vec<u8>) -> Result<Vec<u8>, WrongDigest> {
    let found = digest(&bytes);
    if found == expected {
        return Ok(bytes);
    }
    Err(WrongDigest {
        id: id.clone(),
        expected: expected.to_owned(),
        found,
    })
}
