//! Whom a request comes from. Pure.
//!
//! Only a trusted proxy's word counts, and only as far as trusted proxies reach:
//! the list of hops is walked from the right, and the first address that is not
//! a trusted proxy is the client. Whatever stands left of it was written by
//! strangers and is not read. A hop that is no address ends the walk at the hop
//! before it, so that nonsense never makes somebody else's address.

use core::net::{IpAddr, SocketAddr};

use vocab::ClientAddr;
use wire::{HeaderId, Headers};

use crate::route::Plan;
use crate::snapshot::ClientHeader;

/// Hops that are read; a longer list ends the walk.
const MOST_HOPS: usize = 32;

/// The client behind a trusted proxy `peer`.
pub(crate) fn behind_proxy(peer: IpAddr, headers: Headers<'_>, plan: &Plan) -> ClientAddr {
    let by_list = || walk(peer, lines(headers, HeaderId::XForwardedFor), listed, plan);
    let by_forwarded = || walk(peer, lines(headers, HeaderId::Forwarded), forwarded, plan);
    match plan.client_header {
        ClientHeader::XForwardedFor => by_list(),
        ClientHeader::Forwarded => by_forwarded(),
        ClientHeader::Either if headers.first(HeaderId::XForwardedFor).is_some() => by_list(),
        ClientHeader::Either => by_forwarded(),
    }
}

/// All lines of a header, the last first.
fn lines<'a>(headers: Headers<'a>, id: HeaderId) -> impl Iterator<Item = &'a [u8]> {
    let mut all: Vec<&[u8]> = headers.all(id).collect();
    all.reverse();
    all.into_iter()
}

fn walk<'a>(
    peer: IpAddr,
    lines: impl Iterator<Item = &'a [u8]>,
    address: fn(&[u8]) -> Option<IpAddr>,
    plan: &Plan,
) -> ClientAddr {
    let mut client = peer;
    let hops = lines.flat_map(|line| line.rsplit(|byte| *byte == b','));
    for hop in hops.take(MOST_HOPS) {
        let Some(found) = address(hop.trim_ascii()) else {
            break;
        };
        client = found.to_canonical();
        if !plan.is_trusted(client) {
            break;
        }
    }
    ClientAddr::new(client)
}

/// An address with or without port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]`, `[2001:db8::1]:80`.
fn listed(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4).
fn forwarded(element: &[u8]) -> Option<IpAddr> {
    let mut node = None;
    for pair in element.split(|byte| *byte == b';') {
        let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=')?);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            let value = value.get(1..)?.trim_ascii();
            let bare = value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""));
            if node.replace(bare.unwrap_or(value)).is_some() {
                return None; // two answers are none
            }
        }
    }
    listed(node?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;
    use wire::{Parse, RequestHead};

    fn plan(client_header: ClientHeader) -> Plan {
        Plan::new(Snapshot {
            trusted_proxies: ["10.0.0.0/8", "2001:db8:f::/48"]
                .map(|range| range.parse().unwrap())
                .to_vec(),
            client_header,
            ..Snapshot::default()
        })
        .unwrap()
    }

    fn client(fields: &str, client_header: ClientHeader) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = RequestHead::new();
        let done = head.parse(text.as_bytes(), &wire::Limits::default());
        assert!(matches!(done, Parse::Done { .. }), "{text}");
        let request = head.request(text.as_bytes());
        let peer = "10.0.0.1".parse().unwrap();
        behind_proxy(peer, request.headers(), &plan(client_header)).to_string()
    }

    #[test]
    fn the_nearest_stranger_is_the_client() {
        for (fields, want) in [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
            ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
            ("X-Forwarded-For: [2001:db8::7]:1\r\n", "2001:db8::7"),
            ("X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7"),
            // DENY: what the client itself wrote stands left and is not believed
            (
                "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.0.0.2\r\n",
                "192.0.2.7",
            ),
            (
                "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
                "192.0.2.7",
            ),
            // DENY: nonsense ends the walk at the last good hop
            (
                "X-Forwarded-For: 198.51.100.1, nonsense, 10.0.0.2\r\n",
                "10.0.0.2",
            ),
            ("X-Forwarded-For: 198.51.100.1, , 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: unknown\r\n", "10.0.0.1"),
            // all trusted: the leftmost
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            (
                "Forwarded: for=198.51.100.1, for=\"[2001:db8::9]:80\";proto=https\r\n",
                "2001:db8::9",
            ),
            (
                "Forwarded: proto=http; For=192.0.2.9 , for=10.0.0.4\r\n",
                "192.0.2.9",
            ),
            ("Forwarded: for=_hidden\r\n", "10.0.0.1"),
            ("Forwarded: for=192.0.2.1;for=192.0.2.2\r\n", "10.0.0.1"),
            // DENY: the second header cannot override the first
            (
                "Forwarded: for=198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
                "192.0.2.7",
            ),
        ] {
            assert_eq!(client(fields, ClientHeader::Either), want, "{fields}");
        }
        let both = "Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 198.51.100.1\r\n";
        assert_eq!(client(both, ClientHeader::Forwarded), "192.0.2.9", "DENY");
        let only = "Forwarded: for=198.51.100.1\r\n";
        assert_eq!(
            client(only, ClientHeader::XForwardedFor),
            "10.0.0.1",
            "DENY"
        );
    }
}
