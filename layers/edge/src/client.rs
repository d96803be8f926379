//! Whom a request comes from. Pure.
//!
//! Only a trusted proxy's word counts, and only as far as trusted proxies reach:
//! the list of hops is walked from the right, and the first address that is not
//! a trusted proxy is the client. Whatever stands left of it was written by
//! strangers and is not read. A hop that is no address ends the walk at the hop
//! before it, so that nonsense never makes somebody else's address.
//!
//! A proxy that writes one header passes others on as strangers sent them. Which one
//! is the proxy's own is named in the configuration, or seen in [`Habit`].

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, Ordering};

use vocab::ClientAddr;
use wire::{HeaderId, Headers};

use crate::route::Plan;
use crate::snapshot::ClientHeader;

/// Hops that are read; a longer list ends the walk.
const MOST_HOPS: usize = 32;

/// Which of the two usual headers our proxies leave out, as requests have shown.
///
/// A stranger can add a header, but cannot take away one that the proxy writes: a
/// request that has one of them without the other proves that the other is not the
/// proxy's habit. Each fact is learnt once and kept until other proxies are trusted, or
/// another header is.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    no_list: AtomicBool,
    no_forwarded: AtomicBool,
}

impl Habit {
    fn learn(fact: &AtomicBool) {
        // Reading first keeps the cores from contending for what is known already.
        if !fact.load(Ordering::Relaxed) {
            fact.store(true, Ordering::Relaxed);
        }
    }

    /// Whether `X-Forwarded-For` is the proxies' own; `None` when that is not clear.
    fn writes_list(&self) -> Option<bool> {
        let no_list = self.no_list.load(Ordering::Relaxed);
        let no_forwarded = self.no_forwarded.load(Ordering::Relaxed);
        (no_list != no_forwarded).then_some(no_forwarded)
    }
}

/// The client behind a trusted proxy `peer`; nobody when no address is named that one
/// could believe.
pub(crate) fn behind_proxy(peer: IpAddr, headers: Headers<'_>, plan: &Plan) -> Option<ClientAddr> {
    let by_list = || walk(peer, lines(headers, HeaderId::XForwardedFor), listed, plan);
    let by_forwarded = || walk(peer, lines(headers, HeaderId::Forwarded), forwarded, plan);
    match &plan.client_header {
        ClientHeader::XForwardedFor => by_list(),
        ClientHeader::Forwarded => by_forwarded(),
        ClientHeader::Single(name) => single(headers.named(name.as_bytes())),
        ClientHeader::Either => {
            let has = |id| headers.first(id).is_some();
            match (has(HeaderId::XForwardedFor), has(HeaderId::Forwarded)) {
                (false, false) => None,
                (true, false) => {
                    Habit::learn(&plan.habit.no_forwarded);
                    by_list()
                }
                (false, true) => {
                    Habit::learn(&plan.habit.no_list);
                    by_forwarded()
                }
                (true, true) => match plan.habit.writes_list() {
                    Some(true) => by_list(),
                    Some(false) => by_forwarded(),
                    // One of the two may be a stranger's: only what both say counts.
                    None => by_list().filter(|client| by_forwarded() == Some(*client)),
                },
            }
        }
    }
}

/// Whether a request says who its client is, believed or not, where that is looked for.
pub(crate) fn is_claimed(headers: Headers<'_>, plan: &Plan) -> bool {
    let has = |id| headers.first(id).is_some();
    match &plan.client_header {
        ClientHeader::XForwardedFor => has(HeaderId::XForwardedFor),
        ClientHeader::Forwarded => has(HeaderId::Forwarded),
        ClientHeader::Single(name) => headers.named(name.as_bytes()).next().is_some(),
        ClientHeader::Either => has(HeaderId::XForwardedFor) || has(HeaderId::Forwarded),
    }
}

/// The address in a header of one line and one address; more than one is none, since a
/// stranger's may be among them.
fn single<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<ClientAddr> {
    let address = listed(lines.next()?.trim_ascii())?;
    lines.next().is_none().then(|| ClientAddr::new(address))
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
) -> Option<ClientAddr> {
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
    (client != peer).then(|| ClientAddr::new(client))
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

    fn named(fields: &str, plan: &Plan) -> String {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = RequestHead::new();
        let done = head.parse(text.as_bytes(), &wire::Limits::default());
        assert!(matches!(done, Parse::Done { .. }), "{text}");
        let request = head.request(text.as_bytes());
        let peer = "10.0.0.1".parse().unwrap();
        let client = behind_proxy(peer, request.headers(), plan);
        client.map_or_else(|| "nobody".to_owned(), |client| client.to_string())
    }

    /// Before anything was learnt.
    fn client(fields: &str, client_header: ClientHeader) -> String {
        named(fields, &plan(client_header))
    }

    #[test]
    fn the_nearest_stranger_is_the_client() {
        for (fields, want) in [
            ("", "nobody"),
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
            ("X-Forwarded-For: unknown\r\n", "nobody"),
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
            ("Forwarded: for=_hidden\r\n", "nobody"),
            ("Forwarded: for=192.0.2.1;for=192.0.2.2\r\n", "nobody"),
            // DENY: where it is not known which one is the proxy's, neither alone counts
            (
                "Forwarded: for=198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
                "nobody",
            ),
            (
                "Forwarded: for=192.0.2.7\r\nX-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n",
                "192.0.2.7",
            ),
        ] {
            assert_eq!(client(fields, ClientHeader::Either), want, "{fields}");
        }
        let both = "Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 198.51.100.1\r\n";
        assert_eq!(client(both, ClientHeader::Forwarded), "192.0.2.9", "DENY");
        let only = "Forwarded: for=198.51.100.1\r\n";
        assert_eq!(client(only, ClientHeader::XForwardedFor), "nobody", "DENY");
    }

    #[test]
    fn what_the_proxy_leaves_out_shows_which_header_is_its_own() {
        const BOTH: &str = "Forwarded: for=192.0.2.9\r\nX-Forwarded-For: 192.0.2.7\r\n";
        const LIST: &str = "X-Forwarded-For: 192.0.2.1\r\n";
        const FORWARDED: &str = "Forwarded: for=192.0.2.1\r\n";
        for (before, want) in [
            (&[][..], "nobody"),
            // DENY: a stranger cannot shake a habit by adding a header
            (&[LIST][..], "192.0.2.7"),
            (&[LIST, BOTH, BOTH][..], "192.0.2.7"),
            (&[FORWARDED][..], "192.0.2.9"),
            (&[FORWARDED, BOTH, "", BOTH][..], "192.0.2.9"),
            // the proxies differ among themselves
            (&[LIST, FORWARDED][..], "nobody"),
            // requests that the proxy makes by itself teach nothing
            (&["", ""][..], "nobody"),
        ] {
            let plan = plan(ClientHeader::Either);
            for fields in before {
                named(fields, &plan);
            }
            assert_eq!(named(BOTH, &plan), want, "after {before:?}");
        }
    }

    #[test]
    fn a_header_of_one_address_names_exactly_one() {
        for (fields, want) in [
            ("CF-Connecting-IP: 192.0.2.7\r\n", "192.0.2.7"),
            ("cf-connecting-ip: 2001:db8::7\r\n", "2001:db8::7"),
            ("CF-Connecting-IP: ::ffff:192.0.2.7\r\n", "192.0.2.7"),
            // a proxy's own word on one of its kind: nobody behind it is walked to
            ("CF-Connecting-IP: 10.0.0.9\r\n", "10.0.0.9"),
            // DENY
            ("", "nobody"),
            ("CF-Connecting-IP:\r\n", "nobody"),
            ("CF-Connecting-IP: 192.0.2.7, 198.51.100.1\r\n", "nobody"),
            ("CF-Connecting-IP: 192.0.2.7 198.51.100.1\r\n", "nobody"),
            ("CF-Connecting-IP: nonsense\r\n", "nobody"),
            (
                "CF-Connecting-IP: 192.0.2.7\r\nCF-Connecting-IP: 192.0.2.7\r\n",
                "nobody",
            ),
            ("CF_Connecting_IP: 192.0.2.7\r\n", "nobody"),
            (
                "X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\n",
                "nobody",
            ),
            (
                "X-Forwarded-For: 198.51.100.1\r\nCF-Connecting-IP: 192.0.2.7\r\n",
                "192.0.2.7",
            ),
        ] {
            let header = ClientHeader::Single("CF-Connecting-IP".into());
            assert_eq!(client(fields, header), want, "{fields}");
        }
    }
}
