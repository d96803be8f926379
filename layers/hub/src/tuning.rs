//! Thresholds that were changed here, without touching an item.
//!
//! A file of ours beside the sets, so that an update changes the item and leaves the
//! tuning, and a rollback of one is none of the other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The file's name beside the sets.
pub const FILE: &str = "tuning.json";
/// The largest file that is read, in bytes.
pub const BYTES: u64 = 1 << 20;
/// The most scenarios that are tuned.
pub const MOST: usize = 5_000;
/// The most sites at which one scenario is off.
pub const MOST_SITES: usize = 1_000;

/// How one scenario is tuned.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// Another capacity of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Another time in which one event leaks out, as it was typed (`10s`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leakspeed: Option<String>,
    /// Another silence after an overflow, as it was typed (`5m`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackhole: Option<String>,
    /// Whether it is not loaded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// Sites at which it is not asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub off_at: Vec<String>,
    /// Whether it raises alerts and bars nobody.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

impl Override {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// All that was tuned here, by scenario.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tuning(pub BTreeMap<String, Override>);

/// The file is not one of ours.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is not in our format: {0}")]
pub struct NotTuning(pub String);

impl Tuning {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// [`NotTuning`] where they are none.
    pub fn read(bytes: &[u8]) -> Result<Self, NotTuning> {
        let read: Self =
            serde_json::from_slice(bytes).map_err(|error| NotTuning(error.to_string()))?;
        let sites = |one: &Override| one.off_at.len() > MOST_SITES;
        if read.0.len() > MOST || read.0.values().any(sites) {
            return Err(NotTuning("it tunes more than can be".to_owned()));
        }
        Ok(read)
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // Texts and numbers always become JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}
