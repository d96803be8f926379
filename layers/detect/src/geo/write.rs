//! Writes small databases in MaxMind's format, for tests that need addresses of their own.
//!
//! For: tests of this crate and of those that run hub items with GeoIP. Refuses nothing
//! and shares nothing: every record is written out in full. Assumes: networks do not lie
//! within each other; of two that do, the later one wins where it can. Not for operators.

use core::net::IpAddr;

use expr::{Data, Fields, Missing};
use vocab::Cidr;

/// What a database's tree and frame look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// Bits of one half of a node: 24, 28 or 32.
    pub record: u8,
    /// Whether addresses have 128 bits, IPv4 ones among them.
    pub wide: bool,
}

impl Default for Form {
    /// As GeoLite2 files are: 28 bits, IPv6.
    fn default() -> Self {
        Self {
            record: 28,
            wide: true,
        }
    }
}

/// A database of this type (such as `GeoLite2-City`) with these records.
#[must_use]
pub fn database(kind: &str, records: &[(Cidr, Data)]) -> Vec<u8> {
    shaped(Form::default(), kind, records)
}

/// The same, of another form.
#[must_use]
pub fn shaped(form: Form, kind: &str, records: &[(Cidr, Data)]) -> Vec<u8> {
    let mut tree = vec![[Half::Nothing; 2]];
    let mut data = Vec::new();
    for (network, record) in records {
        let at = data.len();
        value(&mut data, record);
        plant(&mut tree, form, *network, at);
    }
    let mut out = Vec::new();
    let nodes = tree.len() as u64;
    for [left, right] in tree {
        let number = |half| match half {
            Half::Nothing => nodes,
            Half::Node(node) => node as u64,
            Half::Record(at) => nodes + 16 + at as u64,
        };
        node(&mut out, form.record, number(left), number(right));
    }
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    let whole = |number: u64| Data::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let metadata = map(&[
        ("binary_format_major_version", whole(2)),
        ("binary_format_minor_version", whole(0)),
        ("build_epoch", whole(1_700_000_000)),
        ("database_type", Data::text(kind)),
        (
            "description",
            map(&[("en", Data::text("written by a test"))]),
        ),
        ("ip_version", whole(if form.wide { 6 } else { 4 })),
        ("languages", Data::List(vec![Data::text("en")])),
        ("node_count", whole(nodes)),
        ("record_size", whole(u64::from(form.record))),
    ]);
    value(&mut out, &metadata);
    out
}

/// A map from these pairs.
#[must_use]
pub fn map(pairs: &[(&str, Data)]) -> Data {
    let mut fields = Fields::new(Missing::Nil);
    for (key, value) in pairs {
        fields.insert(key.as_bytes(), value.clone());
    }
    Data::Map(fields)
}

/// A record as `GeoLite2-City` has it: country, whether it is in the European Union, degrees.
#[must_use]
pub fn city(country: &str, in_eu: bool, latitude: f64, longitude: f64) -> Data {
    let nation = map(&[
        ("is_in_european_union", Data::Bool(in_eu)),
        ("iso_code", Data::text(country)),
        ("names", map(&[("en", Data::text("a country"))])),
    ]);
    let place = map(&[
        ("latitude", Data::Float(latitude)),
        ("longitude", Data::Float(longitude)),
        ("time_zone", Data::text("Etc/UTC")),
    ]);
    map(&[("country", nation), ("location", place)])
}

/// A record as `GeoLite2-ASN` has it.
#[must_use]
pub fn asn(number: u32, organisation: &str) -> Data {
    map(&[
        ("autonomous_system_number", Data::Int(i64::from(number))),
        ("autonomous_system_organization", Data::text(organisation)),
    ])
}

#[derive(Clone, Copy, Debug)]
enum Half {
    Nothing,
    Node(usize),
    Record(usize),
}

fn plant(tree: &mut Vec<[Half; 2]>, form: Form, network: Cidr, at: usize) {
    let (bits, count) = match network.address() {
        IpAddr::V4(four) if form.wide => (u128::from(four.to_bits()), 96 + network.prefix()),
        IpAddr::V4(four) => (u128::from(four.to_bits()) << 96, network.prefix()),
        IpAddr::V6(six) => (six.to_bits(), network.prefix()),
    };
    let mut node = 0;
    for used in 0..count {
        let side = usize::from(bits >> (127 - u32::from(used)) & 1 == 1);
        let fresh = tree.len();
        let Some(half) = tree.get_mut(node).and_then(|halves| halves.get_mut(side)) else {
            return;
        };
        if used + 1 == count {
            *half = Half::Record(at);
            return;
        }
        match *half {
            Half::Node(next) => node = next,
            Half::Nothing | Half::Record(_) => {
                *half = Half::Node(fresh);
                tree.push([Half::Nothing; 2]);
                node = fresh;
            }
        }
    }
}

fn node(out: &mut Vec<u8>, record: u8, left: u64, right: u64) {
    let low = |number: u64, bytes: usize| number.to_be_bytes().into_iter().skip(8 - bytes);
    match record {
        24 => {
            out.extend(low(left, 3));
            out.extend(low(right, 3));
        }
        28 => {
            out.extend(low(left, 3));
            out.extend(low(left >> 20 & 0xf0 | right >> 24 & 0x0f, 1));
            out.extend(low(right, 3));
        }
        _ => {
            out.extend(low(left, 4));
            out.extend(low(right, 4));
        }
    }
}

/// A control byte with the type and the size, as the format packs them.
fn head(out: &mut Vec<u8>, kind: u8, size: usize) {
    let (short, extra, rest) = match size {
        0..29 => (size, 0, 0),
        29..285 => (29, 1, size - 29),
        285..65_821 => (30, 2, size - 285),
        _ => (31, 3, size - 65_821),
    };
    let short = u8::try_from(short).unwrap_or(31);
    match kind.checked_sub(8) {
        None => out.push(kind << 5 | short),
        Some(_) => out.extend([short, kind - 7]),
    }
    let rest = (rest as u64).to_be_bytes();
    out.extend(rest.into_iter().skip(8 - extra));
}

/// A value, written out.
fn value(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::Map(fields) => {
            head(out, 7, fields.len());
            for (key, inner) in fields.iter() {
                head(out, 2, key.len());
                out.extend_from_slice(key);
                value(out, inner);
            }
        }
        Data::List(list) => {
            head(out, 11, list.len());
            list.iter().for_each(|inner| value(out, inner));
        }
        Data::Text(text) => {
            head(out, 2, text.len());
            out.extend_from_slice(text);
        }
        Data::Bool(flag) => head(out, 14, usize::from(*flag)),
        Data::Float(number) => {
            head(out, 3, 8);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Data::Int(number) => {
            head(out, 9, 8);
            out.extend_from_slice(&number.to_be_bytes());
        }
        // Nothing of the kind is in such a file.
        Data::Nil | Data::Time(_) | Data::Duration(_) => head(out, 2, 0),
    }
}
