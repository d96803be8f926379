//! Where addresses lie and who announces them, from databases that the operator supplies.
//!
//! For: the enrichment methods `GeoIpCity`, `GeoIpASN` and `IpToRange`, the functions
//! `GeoIPEnrich` and its relatives, and what alerts say of their sources. Refuses: to
//! fetch anything. Assumes: a reload opens the files anew. On failure: what a database
//! does not know is empty, as in CrowdSec; without a database nothing is set at all.

pub mod mmdb;
pub mod write;

use core::net::IpAddr;
use std::sync::Arc;

use expr::{Data, Fields, Missing};
use vocab::Cidr;

use mmdb::{Database, Entry};

/// The databases of a program.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    city: Option<Arc<Database>>,
    asn: Option<Arc<Database>>,
}

/// Where an address lies.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place<'d> {
    /// The country's two letters, empty when unknown.
    pub country: &'d [u8],
    /// Whether the country is in the European Union.
    pub in_eu: bool,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// Who announces an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network<'d> {
    /// The autonomous system's number, 0 when unknown.
    pub number: u64,
    /// Its organisation, empty when unknown.
    pub organisation: &'d [u8],
}

impl Geo {
    /// Chooses from named databases: by the names that the hub uses, else by what a
    /// database says of itself. Of several of a kind the first by name counts.
    pub fn of<'d>(databases: impl Iterator<Item = (&'d str, &'d Arc<Database>)>) -> Self {
        let mut geo = Self::default();
        for (name, database) in databases {
            let says = |word: &str| name.contains(word) || database.kind().contains(word);
            if says("ASN") {
                geo.asn.get_or_insert_with(|| Arc::clone(database));
            } else if says("City") || says("Country") {
                geo.city.get_or_insert_with(|| Arc::clone(database));
            }
        }
        geo
    }

    /// Whether there is no database.
    pub(crate) fn is_empty(&self) -> bool {
        self.city.is_none() && self.asn.is_none()
    }

    /// Where an address lies; `None` when there is no database.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> Option<Place<'_>> {
        let record = self.city.as_ref()?.find(address).map(|(entry, _)| entry);
        let text = |entry: Option<Entry<'_>>| entry.is_some_and(|entry| !is_empty(entry));
        let nation = ["country", "registered_country", "represented_country"]
            .into_iter()
            .filter_map(|key| record?.get(key))
            .find(|nation| text(nation.get("iso_code")));
        let code = nation.and_then(|nation| nation.get("iso_code")?.text());
        let degrees = |key| record?.get("location")?.get(key)?.float();
        Some(Place {
            country: code.unwrap_or_default(),
            in_eu: nation
                .and_then(|nation| nation.get("is_in_european_union")?.flag())
                .unwrap_or(false),
            latitude: degrees("latitude").unwrap_or(0.0),
            longitude: degrees("longitude").unwrap_or(0.0),
        })
    }

    /// Who announces an address; `None` when there is no database.
    #[must_use]
    pub fn network(&self, address: IpAddr) -> Option<Network<'_>> {
        let record = self.asn.as_ref()?.find(address).map(|(entry, _)| entry);
        Some(Network {
            number: record
                .and_then(|record| record.get("autonomous_system_number")?.number())
                .unwrap_or(0),
            organisation: record
                .and_then(|record| record.get("autonomous_system_organization")?.text())
                .unwrap_or_default(),
        })
    }

    /// The range that a database's record about an address is for: of the one of
    /// autonomous systems, where there is one.
    #[must_use]
    pub fn range(&self, address: IpAddr) -> Option<Cidr> {
        let database = self.asn.as_ref().or(self.city.as_ref())?;
        database.find(address).map(|(_, range)| range)
    }

    /// What `GeoIPEnrich` gives: the record with the names that rules know, `nil` without a
    /// database.
    pub(crate) fn city_record(&self, address: IpAddr) -> Data {
        let Some(database) = &self.city else {
            return Data::Nil;
        };
        let record = database.find(address);
        let mut fields = match record.and_then(|(entry, _)| entry.to_data()) {
            Some(Data::Map(fields)) => renamed(&fields, 0),
            _ => Fields::new(Missing::Nil),
        };
        let nation = [
            ("IsoCode", Data::text("")),
            ("IsInEuropeanUnion", Data::Bool(false)),
        ];
        let place = [
            ("Latitude", Data::Float(0.0)),
            ("Longitude", Data::Float(0.0)),
        ];
        for key in ["Country", "RegisteredCountry", "RepresentedCountry"] {
            complete(&mut fields, key, &nation);
        }
        complete(&mut fields, "Location", &place);
        Data::Map(fields)
    }

    /// What `GeoIPASNEnrich` gives.
    pub(crate) fn asn_record(&self, address: IpAddr) -> Data {
        let Some(network) = self.network(address) else {
            return Data::Nil;
        };
        let number = i64::try_from(network.number).unwrap_or(0);
        write::map(&[
            ("AutonomousSystemNumber", Data::Int(number)),
            (
                "AutonomousSystemOrganization",
                Data::text(network.organisation),
            ),
        ])
    }
}

fn is_empty(entry: Entry<'_>) -> bool {
    entry.text().is_none_or(<[u8]>::is_empty)
}

/// Puts in what a record leaves out: rules do not ask whether it is there.
fn complete(fields: &mut Fields, key: &str, parts: &[(&str, Data)]) {
    if !matches!(fields.get(key.as_bytes()), Some(Data::Map(_))) {
        fields.insert(key.as_bytes(), Data::Map(Fields::new(Missing::Nil)));
    }
    if let Some(Data::Map(inner)) = fields.get_mut(key.as_bytes()) {
        for (name, value) in parts {
            if inner.get(name.as_bytes()).is_none() {
                inner.insert(name.as_bytes(), value.clone());
            }
        }
    }
}

/// `iso_code` as `IsoCode`, and so on; languages keep their names.
fn renamed(fields: &Fields, depth: u32) -> Fields {
    let mut out = Fields::new(Missing::Nil);
    for (key, value) in fields.iter() {
        let value = match value {
            Data::Map(inner) if key != b"names" && depth < mmdb::MAX_DEPTH => {
                Data::Map(renamed(inner, depth + 1))
            }
            other => other.clone(),
        };
        let mut name = Vec::with_capacity(key.len());
        for word in key.split(|byte| *byte == b'_') {
            if let Some((first, rest)) = word.split_first() {
                name.push(first.to_ascii_uppercase());
                name.extend_from_slice(rest);
            }
        }
        out.insert(&name, value);
    }
    out
}

#[cfg(test)]
mod tests;
