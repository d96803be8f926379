//! What detection made of signals.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Scope, Timestamp};

/// Whom an alert is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Source {
    /// What kind of thing `value` names.
    pub scope: Scope,
    /// The address, range, user, container … as text.
    pub value: String,
    /// The address the events came from, where there is one.
    pub ip: Option<IpAddr>,
    /// What address databases say of that address, where they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<Box<Whereabouts>>,
}

/// What address databases say of an address. What they don't know is empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The range it was given out with, such as `192.0.2.0/24`.
    pub range: String,
    /// The autonomous system's number, in decimal.
    pub as_number: String,
    /// The autonomous system's organisation.
    pub as_name: String,
    /// The country's two letters.
    pub country: String,
    /// Degrees north, in decimal.
    pub latitude: String,
    /// Degrees east, in decimal.
    pub longitude: String,
}

/// One event that led to an alert: its meta fields, sorted by key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// When the event happened.
    pub time: Timestamp,
    /// Key and value, sorted by key, values cut to 1,024 bytes.
    pub meta: Vec<(String, String)>,
}

impl Evidence {
    /// The value of a meta key, empty when absent.
    #[must_use]
    pub fn meta(&self, key: &str) -> &str {
        self.meta
            .iter()
            .find(|(name, _)| name == key)
            .map_or("", |(_, value)| value)
    }
}

/// A scenario's bucket overflowed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alert {
    /// The scenario's name, such as `crowdsecurity/http-probing`.
    pub scenario: String,
    /// SHA-256 of the scenario's file, lower-case hex.
    pub scenario_hash: String,
    /// Whom it is about.
    pub source: Source,
    /// How many events were poured into the bucket.
    pub events_count: u64,
    /// The first event's time.
    pub start_at: Timestamp,
    /// The last event's time.
    pub stop_at: Timestamp,
    /// The events that were kept, oldest first; bounded by the scenario's queue.
    pub events: Vec<Evidence>,
    /// Whether the scenario asks for a remedy.
    pub remediation: bool,
    /// Whether the scenario runs in simulation: shown, never enforced.
    pub simulated: bool,
    /// The scenario's labels, sorted by key.
    pub labels: Vec<(String, String)>,
    /// Context that was attached: key and values, sorted by key.
    pub context: Vec<(String, Vec<String>)>,
    /// Why nothing is done about it, when a rule exempts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exempt: Option<String>,
}

impl Alert {
    /// The value of a label, empty when absent.
    #[must_use]
    pub fn label(&self, key: &str) -> &str {
        self.labels
            .iter()
            .find(|(name, _)| name == key)
            .map_or("", |(_, value)| value)
    }
}
