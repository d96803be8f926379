//! The methods that statics may call.

use expr::{Data, Fields, json};

/// What a static's `method` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// Reads a date into `evt.Enriched.MarshaledTime`.
    ParseDate,
    /// Reads JSON into `evt.Unmarshaled`.
    UnmarshalJson,
    /// Needs a database or the network; sets nothing here.
    Outside,
}

impl Method {
    /// The method of this name; `None` when nobody knows it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ParseDate" => Self::ParseDate,
            "UnmarshalJSON" => Self::UnmarshalJson,
            "GeoIpCity" | "GeoIpASN" | "IpToRange" | "reverse_dns" => Self::Outside,
            _ => return None,
        })
    }
}

/// A JSON object as fields.
pub(crate) fn json_object(text: &[u8]) -> Option<Fields> {
    match json::parse(text) {
        Ok(Data::Map(fields)) => Some(fields),
        _ => None,
    }
}
