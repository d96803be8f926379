//! Databases of addresses as the hub's cases expect them, in files by the paths of the
//! URLs under which the hub knows them.

use std::fs;
use std::path::Path;

use detect::geo::write::{asn, city, database};

/// The hub's own test databases, and of the real ones as much as its cases assert: two
/// countries that are far from each other, and nothing about who announces the addresses.
pub(crate) fn write(folder: &Path) {
    let range = |text: &str| text.parse().unwrap();
    let all = folder.join("mmdb_update");
    fs::create_dir(&all).unwrap();
    for (path, kind, records) in [
        (
            folder.join("GeoLite2-Test-City.mmdb"),
            "GeoLite2-City",
            vec![(range("1.2.3.0/24"), city("FR", true, 46.0, 2.0))],
        ),
        (
            folder.join("GeoLite2-Test-ASN.mmdb"),
            "GeoLite2-ASN",
            vec![(range("1.2.3.0/24"), asn(4242, "Crowdsec"))],
        ),
        (
            all.join("GeoLite2-City.mmdb"),
            "GeoLite2-City",
            vec![
                (range("1.2.3.0/24"), city("AU", false, -33.5, 143.25)),
                (range("9.8.8.0/24"), city("US", false, 37.75, -97.75)),
            ],
        ),
        (
            all.join("GeoLite2-ASN.mmdb"),
            "GeoLite2-ASN",
            vec![(range("203.0.113.0/24"), asn(64_496, "Documentation"))],
        ),
    ] {
        fs::write(path, database(kind, &records)).unwrap();
    }
}
