//! This host's own addresses and gateways, read from `/proc/net`, and host names resolved.
//!
//! They are never barred: whoever bars the gateway bars himself. What cannot be
//! read is left out and named by the caller as unknown.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use vocab::Cidr;

/// The most addresses that one host name may stand for.
const MOST_ADDRESSES: usize = 64;

/// Addresses of this host's interfaces, both families, without loopback.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut found = local_v4(&v4);
    found.extend(local_v6(&v6));
    found.retain(|address| !address.is_loopback());
    found.sort_unstable();
    found.dedup();
    found
}

/// The next hops of this host's default and other routes.
#[must_use]
pub fn gateways() -> Vec<IpAddr> {
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let mut found = gateways_v4(&v4);
    found.extend(gateways_v6(&v6));
    found.sort_unstable();
    found.dedup();
    found
}

/// Which device leads where, of the kernel's main routing table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routes(Vec<Route>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Route {
    to: Cidr,
    metric: u32,
    /// Whether whoever is there answers himself and no gateway passes it on.
    direct: bool,
    device: String,
}

impl Routes {
    /// As they are now.
    #[must_use]
    pub fn now() -> Self {
        let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
        let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        Self::read(&v4, &v6)
    }

    /// From tables such as `/proc/net/route` and `/proc/net/ipv6_route`.
    #[must_use]
    pub fn read(v4: &str, v6: &str) -> Self {
        let v4 = v4.lines().filter_map(route_v4);
        Self(v4.chain(v6.lines().filter_map(route_v6)).collect())
    }

    /// The device behind which somebody with this address is, without a gateway between:
    /// that of the narrowest route, of those the one with the lowest metric, of those the
    /// first, as the kernel chooses.
    #[must_use]
    pub fn device(&self, address: IpAddr) -> Option<&str> {
        let there = self.0.iter().filter(|route| route.to.contains(address));
        let best = there.min_by_key(|route| (u8::MAX - route.to.prefix(), route.metric))?;
        best.direct.then_some(best.device.as_str())
    }
}

/// Device, destination, gateway, flags, two counters, metric and mask; numbers in hex,
/// addresses in the host's byte order, the metric in decimal.
fn route_v4(line: &str) -> Option<Route> {
    let mut words = line.split_whitespace();
    let device = words.next()?.to_owned();
    let mut bits = || u32::from_str_radix(words.next()?, 16).ok();
    let (to, gateway, _flags) = (bits()?, bits()?, bits()?);
    let mut words = words.skip(2);
    let metric = words.next()?.parse().ok()?;
    let mask = u32::from_str_radix(words.next()?, 16).ok()?;
    let to = Ipv4Addr::from(to.to_ne_bytes());
    let length = mask.to_ne_bytes().map(u8::leading_ones).iter().sum::<u32>();
    Some(Route {
        to: Cidr::new(IpAddr::V4(to), u8::try_from(length).ok()?)?,
        metric,
        direct: gateway == 0,
        device,
    })
}

/// Destination with length, source with length, next hop, metric, two counters, flags
/// and device; all in hex.
fn route_v6(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [to, length, _, _, hop, metric, _, _, _, device] = words.as_slice() else {
        return None;
    };
    let length = u8::from_str_radix(length, 16).ok()?;
    Some(Route {
        to: Cidr::new(IpAddr::V6(hex_v6(to)?), length)?,
        metric: u32::from_str_radix(metric, 16).ok()?,
        direct: hex_v6(hop)?.is_unspecified(),
        device: (*device).to_owned(),
    })
}

/// Files besides those of clients and upstreams: listeners, log, store, control.
const OTHER_FILES: usize = 128;
/// Of four files three are for clients. Most connections are idle most of the time; where more
/// than every third is busy at once, an upstream may not be reached for want of a file, and
/// that request hears 502.
const CLIENTS_SHARE: (usize, usize) = (3, 4);

/// How many client connections the limit on open files leaves room for, at most
/// `asked`. When the limit cannot be read, what is asked for is taken to fit.
#[must_use]
pub fn connections(asked: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    open_files(&limits).map_or(asked, |files| asked.min(room(files)))
}

/// How many open files `connections` client connections take.
#[must_use]
pub const fn files_for(connections: usize) -> usize {
    let (clients, all) = CLIENTS_SHARE;
    connections
        .saturating_mul(all)
        .div_ceil(clients)
        .saturating_add(OTHER_FILES)
}

fn room(files: usize) -> usize {
    let (clients, all) = CLIENTS_SHARE;
    (files.saturating_sub(OTHER_FILES) / all * clients).max(16)
}

/// The soft limit, which this process has raised to the hard one at its start; `None`
/// for no limit and for tables of another kind.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a host name stands for now, at most 64 addresses. Blocks: run it off the runtimes.
///
/// # Errors
/// When it cannot be resolved; the caller keeps its last good answer.
pub fn resolve(name: &str) -> std::io::Result<Vec<Cidr>> {
    let mut found: Vec<Cidr> = (name, 0)
        .to_socket_addrs()?
        .take(MOST_ADDRESSES)
        .map(|address| Cidr::host(address.ip()))
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Lines such as `|-- 192.0.2.7` whose next line says `/32 host LOCAL`.
fn local_v4(trie: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut found = Vec::new();
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

/// Lines that start with 32 hex digits of an address.
fn local_v6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| hex_v6(line.split_whitespace().next()?))
        .map(IpAddr::V6)
        .collect()
}

fn hex_v6(text: &str) -> Option<Ipv6Addr> {
    (text.len() == 32)
        .then(|| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from_bits))
        .flatten()
}

/// The third column, hex in the host's byte order; zero is "no gateway".
fn gateways_v4(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok())
        .filter(|bits| *bits != 0)
        .map(|bits| IpAddr::V4(Ipv4Addr::from(bits.to_ne_bytes())))
        .collect()
}

/// The fifth column, hex; all zero is "no gateway".
fn gateways_v6(table: &str) -> Vec<IpAddr> {
    table
        .lines()
        .filter_map(|line| hex_v6(line.split_whitespace().nth(4)?))
        .filter(|address| !address.is_unspecified())
        .map(IpAddr::V6)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_files_that_may_be_open() {
        let table = "Limit  Soft Limit Hard Limit Units\nMax open files            1024                 524288               files     \n";
        assert_eq!(open_files(table), Some(1024));
        assert_eq!(open_files("Max open files unlimited unlimited files"), None);
        assert_eq!(open_files("nonsense"), None);
        assert_eq!((room(1024), room(524_288), room(10)), (672, 393_120, 16));
        assert!((19_998..=20_000).contains(&room(files_for(20_000))));
    }

    #[test]
    fn the_device_is_that_of_the_kernels_choice() {
        let v4 = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
            eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n\
            eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
            br-late 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
            br-shop 007100CB 00000000 0001 0 0 100 C0FFFFFF 0 0 0\n\
            docker0 007100CB 00000000 0001 0 0 7 C0FFFFFF 0 0 0\n\
            br-part 207100CB 00000000 0001 0 0 900 F0FFFFFF 0 0 0\n\
            br-past 006433C6 0A7100CB 0003 0 0 0 00FFFFFF 0 0 0\n\
            * 406433C6 00000000 0201 0 0 0 F0FFFFFF 0 0 0\nnonsense\n";
        let v6 = "20010db8000500000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 br-six\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\nnonsense\n";
        let v4 = if cfg!(target_endian = "little") {
            v4
        } else {
            return;
        };
        let routes = Routes::read(v4, v6);
        for (address, device) in [
            ("192.0.2.9", Some("eth0")), // DENY: not the later one of the same range
            ("203.0.113.9", Some("docker0")), // the lower metric
            ("203.0.113.33", Some("br-part")), // the narrower range, whatever its metric
            ("2001:db8:5::9", Some("br-six")),
            ("2001:db8:6::9", Some("lo")),
            // DENY: behind a gateway
            ("198.51.100.9", None),
            ("10.0.0.9", None),
            ("198.51.100.65", Some("*")),
        ] {
            assert_eq!(routes.device(address.parse().unwrap()), device, "{address}");
        }
        assert_eq!(Routes::default().device("192.0.2.9".parse().unwrap()), None);
    }

    #[test]
    fn kernel_tables_are_read_and_nonsense_is_passed_over() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.7\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        let inet6 = "20010db8000000000000000000000007 02 40 00 80     eth0\nnonsense\n";
        assert_eq!(local_v6(inet6), ["2001:db8::7".parse::<IpAddr>().unwrap()]);
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let route = format!(
            "Iface Destination Gateway\neth0 00000000 {gateway:08X} 0003\neth0 000200C0 00000000 1\nx\n"
        );
        assert_eq!(
            gateways_v4(&route),
            ["192.0.2.1".parse::<IpAddr>().unwrap()]
        );
        assert!(gateways_v6("00 00 00\n").is_empty());
    }
}
