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
