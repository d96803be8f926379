//! The methods that statics may call.

use std::io::Write as _;
use std::net::IpAddr;

use expr::{Data, Fields, json};

use crate::event::{Event, slot};
use crate::geo::Geo;

/// What a static's `method` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// Reads a date into `evt.Enriched.MarshaledTime`.
    ParseDate,
    /// Reads JSON into `evt.Unmarshaled`.
    UnmarshalJson,
    /// Where an address lies, into `evt.Enriched`.
    GeoIpCity,
    /// Who announces an address, into `evt.Enriched`.
    GeoIpAsn,
    /// The range that an address was given out with, into `evt.Enriched.SourceRange`.
    IpToRange,
    /// The name of an address, into `evt.Enriched.reverse_dns`.
    ReverseDns,
}

impl Method {
    /// The method of this name; `None` when nobody knows it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ParseDate" => Self::ParseDate,
            "UnmarshalJSON" => Self::UnmarshalJson,
            "GeoIpCity" => Self::GeoIpCity,
            "GeoIpASN" => Self::GeoIpAsn,
            "IpToRange" => Self::IpToRange,
            "reverse_dns" => Self::ReverseDns,
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

/// Sets what the databases know about the address that `text` is; nothing where it is none,
/// or there is no database.
pub(crate) fn locate(method: Method, event: &mut Event, geo: &Geo, text: &mut Vec<u8>) {
    if geo.is_empty() {
        return;
    }
    let address = core::str::from_utf8(text).ok();
    let Some(address) = address.and_then(|text| text.parse::<IpAddr>().ok()) else {
        return;
    };
    let mut set = |slot, value: &dyn core::fmt::Display| {
        text.clear();
        // Writing into a Vec does not fail.
        drop(write!(text, "{value}"));
        event.set(slot, text);
    };
    match method {
        Method::GeoIpCity => {
            let Some(place) = geo.place(address) else {
                return;
            };
            set(slot::ENRICHED_IN_EU, &place.in_eu);
            set(
                slot::ENRICHED_LATITUDE,
                &format_args!("{:.6}", place.latitude),
            );
            set(
                slot::ENRICHED_LONGITUDE,
                &format_args!("{:.6}", place.longitude),
            );
            event.set(slot::ENRICHED_COUNTRY, place.country);
        }
        Method::GeoIpAsn => {
            let Some(network) = geo.network(address) else {
                return;
            };
            set(slot::ENRICHED_ASN_NUMBER, &network.number);
            set(slot::ENRICHED_AS_NUMBER, &network.number);
            event.set(slot::ENRICHED_ASN_ORG, network.organisation);
        }
        Method::IpToRange => {
            if let Some(range) = geo.range(address) {
                set(
                    slot::ENRICHED_RANGE,
                    &format_args!("{}/{}", range.address(), range.prefix()),
                );
            }
        }
        Method::ParseDate | Method::UnmarshalJson | Method::ReverseDns => {}
    }
}
