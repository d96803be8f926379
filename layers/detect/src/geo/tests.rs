use std::sync::Arc;

use expr::Data;
use vocab::Cidr;

use super::mmdb::{Broken, Database};
use super::write::{Form, asn, city, database, map, shaped};
use super::{Geo, Place};

fn open(bytes: Vec<u8>) -> Database {
    Database::open(Arc::from(bytes)).unwrap()
}

fn range(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn records() -> Vec<(Cidr, Data)> {
    vec![
        (range("192.0.2.0/24"), city("FR", true, 46.0, 2.0)),
        (range("198.51.100.128/25"), city("AU", false, -33.5, 143.25)),
        (range("2001:db8:7::/48"), city("JP", false, 35.0, 139.0)),
        (range("203.0.113.9/32"), asn(4242, "Somebody")),
    ]
}

#[test]
fn what_is_written_is_found_in_every_form_of_the_format() {
    for record in [24, 28, 32] {
        for wide in [true, false] {
            let form = Form { record, wide };
            let mut records = records();
            records.retain(|(range, _)| wide || range.address().is_ipv4());
            let database = open(shaped(form, "Test-City", &records));
            let found = |address: &str| {
                let (entry, range) = database.find(address.parse().unwrap())?;
                let country = entry.get("country")?.get("iso_code")?.text()?;
                Some((String::from_utf8(country.to_vec()).unwrap(), range))
            };
            for (address, country, network) in [
                ("192.0.2.77", "FR", "192.0.2.0/24"),
                ("::ffff:192.0.2.1", "FR", "192.0.2.0/24"),
                ("198.51.100.200", "AU", "198.51.100.128/25"),
                ("2001:db8:7:1::9", "JP", "2001:db8:7::/48"),
            ] {
                let wanted = Some((country.to_owned(), range(network)));
                let known = wide || !network.contains("::");
                assert_eq!(
                    found(address),
                    wanted.filter(|_| known),
                    "{form:?} {address}"
                );
            }
            for address in ["198.51.100.1", "192.0.3.1", "2001:db8:8::1", "::1"] {
                assert_eq!(found(address), None, "{form:?} {address}");
            }
            let (entry, _) = database.find("203.0.113.9".parse().unwrap()).unwrap();
            assert_eq!(
                entry.get("autonomous_system_number").unwrap().number(),
                Some(4242)
            );
        }
    }
}

#[test]
fn texts_of_every_length_come_back_whole() {
    for len in [0, 28, 29, 284, 285, 286, 65_820, 65_821, 70_000] {
        let record = map(&[("a", Data::text(vec![b'x'; len])), ("z", Data::Int(7))]);
        let database = open(database("Test", &[(range("192.0.2.0/24"), record.clone())]));
        let (entry, _) = database.find("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!(entry.to_data(), Some(record), "{len}");
        assert_eq!(
            entry.get("z").unwrap().number(),
            Some(7),
            "behind {len} bytes"
        );
    }
}

#[test]
fn what_a_database_does_not_know_is_empty_and_without_one_nothing_is_said() {
    let files = [
        (
            "GeoLite2-City.mmdb",
            Arc::new(open(database("City", &records()))),
        ),
        (
            "GeoLite2-ASN.mmdb",
            Arc::new(open(database("ASN", &records()))),
        ),
    ];
    let geo = Geo::of(files.iter().map(|(name, file)| (*name, file)));
    let unknown = geo.place("203.0.113.1".parse().unwrap()).unwrap();
    let nowhere = Place {
        country: b"",
        in_eu: false,
        latitude: 0.0,
        longitude: 0.0,
    };
    assert_eq!(unknown, nowhere);
    let network = geo.network("203.0.113.9".parse().unwrap()).unwrap();
    assert_eq!(
        (network.number, network.organisation),
        (4242, &b"Somebody"[..])
    );
    let none = Geo::default();
    assert_eq!(none.place("192.0.2.1".parse().unwrap()), None);
    assert_eq!(none.range("192.0.2.1".parse().unwrap()), None);
}

#[test]
fn every_cut_and_every_changed_byte_is_a_fault_or_a_record_and_never_a_crash() {
    let whole = shaped(Form::default(), "Test-City", &records());
    for end in 0..whole.len() {
        let cut = whole[..end].to_vec();
        assert!(
            Database::open(Arc::from(cut)).is_err(),
            "cut at {end} of {}",
            whole.len()
        );
    }
    let addresses = [
        "192.0.2.1",
        "198.51.100.200",
        "2001:db8:7::1",
        "203.0.113.9",
    ];
    for at in 0..whole.len() {
        for value in [0, 1, 0x20, 0x3f, 0x7f, 0xe0, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let Ok(database) = Database::open(Arc::from(bytes)) else {
                continue;
            };
            for address in addresses {
                if let Some((entry, _)) = database.find(address.parse().unwrap()) {
                    let country = entry.get("country").and_then(|it| it.get("iso_code"));
                    let _read = (entry.to_data(), country.map(|it| it.text().is_some()));
                }
            }
        }
    }
}

#[test]
fn records_that_lead_into_themselves_or_are_nested_without_end_are_no_records() {
    let deep = (0..500).fold(Data::Bool(true), |inner, _| map(&[("a", inner)]));
    let database_of = |record| open(database("Test", &[(range("192.0.2.0/24"), record)]));
    let deep = database_of(deep);
    let (entry, _) = deep.find("192.0.2.1".parse().unwrap()).unwrap();
    assert_eq!(entry.to_data(), None);
    assert!(entry.get("b").is_none());
    let broad = Data::List((0..100_000).map(|_| Data::Bool(false)).collect());
    let broad = database_of(map(&[("a", broad), ("b", Data::Int(1))]));
    let (entry, _) = broad.find("192.0.2.1".parse().unwrap()).unwrap();
    assert!(entry.get("b").is_none() && entry.to_data().is_none());
    // A map of one key whose value is a pointer to the map itself.
    let mut looped = database("Test", &[(range("192.0.2.0/24"), map(&[("a", map(&[]))]))]);
    let head = [0xe1, 0x41, b'a', 0xe0];
    let at = looped.windows(4).position(|bytes| bytes == head).unwrap();
    looped[at + 3] = 0x20;
    looped.insert(at + 4, 0);
    let looped = open(looped);
    let (entry, _) = looped.find("192.0.2.1".parse().unwrap()).unwrap();
    assert_eq!(entry.to_data(), None);
}

#[test]
fn what_is_no_database_says_so_in_a_sentence() {
    let open = |bytes: &[u8]| Database::open(Arc::from(bytes)).unwrap_err();
    assert_eq!(open(b""), Broken::Mark);
    assert_eq!(open(&[b'x'; 300_000]), Broken::Mark);
    assert!(
        open(b"\xab\xcd\xefMaxMind.com")
            .to_string()
            .contains("binary_format")
    );
}
