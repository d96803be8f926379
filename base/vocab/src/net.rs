//! Addresses by their role, and address ranges.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whom a request comes from, after trusted proxies were believed.
/// IPv4-mapped IPv6 addresses are held as IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// The address in canonical form: an IPv4-mapped IPv6 address becomes IPv4.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The key under which one client is counted: an IPv4 address whole, an
    /// IPv6 address by its /64, since one subscriber holds at least that.
    #[must_use]
    pub fn counting_key(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        }
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The other end of an accepted connection: the client itself or a proxy before us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerAddr(pub SocketAddr);

impl PeerAddr {
    /// The peer with an IPv4-mapped IPv6 address held as IPv4.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

/// Where an upstream server listens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UpstreamAddr(pub SocketAddr);

/// An address range; a single address is a range of full length.
/// The host bits are zero by construction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// The range of `prefix` bits around `address`, host bits cleared; `None`
    /// when the family has fewer bits. An IPv4-mapped address becomes IPv4.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if prefix >= 96 => (v4, prefix - 96),
            (same, _) => (same, prefix),
        };
        let address = match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask(prefix, 32) as u32))
            }
            IpAddr::V6(v6) if prefix <= 128 => {
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask(prefix, 128)))
            }
            _ => return None,
        };
        Some(Self { address, prefix })
    }

    /// The range that holds this one address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        Self { address, prefix }
    }

    /// The first address of the range.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The number of fixed leading bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether the range is a single address.
    #[must_use]
    pub fn is_host(self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether `address` lies in the range.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(one)) => {
                u128::from(range.to_bits() ^ one.to_bits()) & mask(self.prefix, 32) == 0
            }
            (IpAddr::V6(range), IpAddr::V6(one)) => {
                (range.to_bits() ^ one.to_bits()) & mask(self.prefix, 128) == 0
            }
            _ => false,
        }
    }

    /// Whether the two ranges share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        if self.prefix <= other.prefix {
            self.contains(other.address)
        } else {
            other.contains(self.address)
        }
    }
}

/// The upper `prefix` of `width` bits set, right-aligned.
fn mask(prefix: u8, width: u32) -> u128 {
    let host_bits = width.saturating_sub(u32::from(prefix));
    let all = if width == 128 {
        u128::MAX
    } else {
        (1 << width) - 1
    };
    all & u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// A text that is neither an address nor a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotCidr;

impl fmt::Display for NotCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither an address such as 192.0.2.7 nor a range such as 192.0.2.0/24")
    }
}

impl core::error::Error for NotCidr {}

impl FromStr for Cidr {
    type Err = NotCidr;

    fn from_str(text: &str) -> Result<Self, NotCidr> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse().map(Self::host).map_err(|_| NotCidr);
        };
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotCidr);
        }
        let address = address.parse().map_err(|_| NotCidr)?;
        let prefix = prefix.parse().map_err(|_| NotCidr)?;
        Self::new(address, prefix).ok_or(NotCidr)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Addresses that no one beyond the operator's own reach can hold: loopback,
/// private (RFC 1918), unique local (RFC 4193), link-local and the operator's
/// share of carrier-grade NAT (RFC 6598), which VPNs such as Tailscale use too.
/// Documentation ranges are *not* local: tests use them as strangers.
#[must_use]
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || is_cgnat(v4)
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
        }
    }
}

fn is_cgnat(v4: Ipv4Addr) -> bool {
    v4.to_bits() & 0xffc0_0000 == 0x6440_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_should_and_nothing_else() {
        for (range, address, held) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.2.200", true),
            ("::/0", "2001:db8::1", true),
        ] {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                held,
                "{range} {address}"
            );
        }
        for text in [
            "",
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "example.org",
            "192.0.2.0/24/8",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(NotCidr), "{text}");
        }
        assert_eq!(
            "192.0.2.77/24".parse::<Cidr>().unwrap().to_string(),
            "192.0.2.0/24"
        );
    }

    #[test]
    fn local_ranges_are_told_from_strangers() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.9",
            "100.64.0.1",
            "100.127.255.255",
            "fd00::1",
            "fe80::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_local(text.parse().unwrap()), "{text}");
        }
        for text in [
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "2001:db8::1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
        ] {
            assert!(!is_local(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn one_ipv6_subscriber_is_one_counting_key() {
        let key = |text: &str| ClientAddr::new(text.parse().unwrap()).counting_key();
        assert_eq!(key("2001:db8:1:2:3:4:5:6"), key("2001:db8:1:2::9"));
        assert_ne!(key("2001:db8:1:2::9"), key("2001:db8:1:3::9"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
