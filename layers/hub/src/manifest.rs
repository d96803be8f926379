//! What a set holds, as it is written down beside its files.

use serde::{Deserialize, Serialize};

use crate::kind::Id;

/// The manifest's name in a set's folder.
pub const FILE: &str = "manifest.json";
/// The manifest's format.
pub const FORMAT: u32 = 1;

/// An item of a set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Installed {
    /// Which item.
    #[serde(flatten)]
    pub id: Id,
    /// Its path below the set.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 it came with.
    pub digest: String,
    /// Whether the operator asked for it by name, rather than a collection.
    pub asked: bool,
    /// What a collection of that version names.
    #[serde(default)]
    pub members: Vec<Id>,
}

/// A data file of a set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Data {
    /// Its name below `data/`, by which items ask for it.
    pub file: String,
    /// Where it came from; empty where the operator supplied it.
    pub url: String,
    /// Its SHA-256 when it came.
    pub digest: String,
    /// How to ask whether it changed.
    #[serde(default)]
    pub etag: Option<String>,
    /// How to ask whether it changed.
    #[serde(default)]
    pub last_modified: Option<String>,
}

/// What a set holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// When it was made, RFC 3339.
    pub made: String,
    /// The set that was current before it.
    pub previous: Option<u32>,
    /// The hub's address.
    pub hub: String,
    /// Its items, by kind and name.
    pub items: Vec<Installed>,
    /// Its data files, by name.
    pub data: Vec<Data>,
}

impl Manifest {
    /// One item.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Installed> {
        self.items.iter().find(|item| item.id == *id)
    }
}
