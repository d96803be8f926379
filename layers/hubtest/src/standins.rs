//! Databases of addresses for whoever has none: of each the few networks that the hub's own
//! cases ask about.
//!
//! `CrowdSec`'s test databases are not published, and MaxMind's are not free to hand on. The
//! cases only ask that 1.2.3.4 is French and of network 4242 in the one, Australian in the
//! other, that 9.8.8.8 is American, and that the two are far apart. **Refuses** to stand in
//! for a database that was given; what it stood in for is told.

use std::net::IpAddr;

use detect::geo::write::{asn, city, database};
use detect::rules::DataFile;
use vocab::Cidr;

/// The paths of the databases that can be stood in for, in the URLs under which the hub knows
/// them.
pub const PATHS: [&str; 4] = [
    "GeoLite2-Test-City.mmdb",
    "GeoLite2-Test-ASN.mmdb",
    "mmdb_update/GeoLite2-City.mmdb",
    "mmdb_update/GeoLite2-ASN.mmdb",
];

/// A database in the place of the one that a rule names; `None` when none is known.
#[must_use]
pub fn of(wanted: &DataFile) -> Option<Vec<u8>> {
    let path = PATHS
        .iter()
        .find(|path| wanted.source_url.ends_with(&format!("/{path}")))?;
    at(path)
}

/// The database at one of [`PATHS`].
#[must_use]
pub fn at(path: &str) -> Option<Vec<u8>> {
    let french = network([1, 2, 3, 0])?;
    let american = network([9, 8, 8, 0])?;
    let documentation = network([203, 0, 113, 0])?;
    let (kind, records) = match path {
        "GeoLite2-Test-City.mmdb" => ("GeoLite2-City", vec![(french, city("FR", true, 46.0, 2.0))]),
        "GeoLite2-Test-ASN.mmdb" => ("GeoLite2-ASN", vec![(french, asn(4242, "Crowdsec"))]),
        "mmdb_update/GeoLite2-City.mmdb" => (
            "GeoLite2-City",
            vec![
                (french, city("AU", false, -33.5, 143.25)),
                (american, city("US", false, 37.75, -97.75)),
            ],
        ),
        "mmdb_update/GeoLite2-ASN.mmdb" => (
            "GeoLite2-ASN",
            vec![(documentation, asn(64_496, "Documentation"))],
        ),
        _ => return None,
    };
    Some(database(kind, &records))
}

fn network(address: [u8; 4]) -> Option<Cidr> {
    Cidr::new(IpAddr::from(address), 24)
}
