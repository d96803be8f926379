//! Functions on addresses and places.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::call::Function;
use crate::eval::Outcome;
use crate::functions::{failed, take};
use crate::value::Value;

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A network as Go's `ParseCIDR` reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `a.b.c.d/n`.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (base, prefix) = text.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        if prefix.is_empty()
            || prefix.len() > 3
            || !prefix.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let prefix: u8 = prefix.parse().ok()?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        (prefix <= longest).then(|| Self {
            base: masked(base, prefix),
            prefix,
        })
    }

    /// Whether an address lies in it. An IPv4-mapped address is its IPv4 one.
    fn contains(&self, ip: IpAddr) -> bool {
        let ip = match self.base {
            IpAddr::V4(_) => ip.to_canonical(),
            IpAddr::V6(_) => ip,
        };
        ip.is_ipv4() == self.base.is_ipv4() && masked(ip, self.prefix) == self.base
    }
}

/// Whether a text is an address in one of these networks.
pub(crate) fn in_networks(ip: &[u8], networks: &[Network]) -> bool {
    address(ip).is_some_and(|ip| networks.iter().any(|network| network.contains(ip)))
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// `IpInRange`; anything unreadable is outside.
pub(crate) fn in_range(ip: &[u8], range: &[u8]) -> bool {
    Network::new(range).is_some_and(|network| in_networks(ip, &[network]))
}

pub(super) fn call<'v>(function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    if function == Function::Distance {
        return distance(args).map(Value::Float);
    }
    let text = take(function, args, 0)?;
    // As Go: an IPv4-mapped IPv6 address is IPv4.
    let ip = address(&text).map(|ip| ip.to_canonical());
    Ok(match function {
        Function::IsIp => Value::Bool(ip.is_some()),
        Function::IsIpv4 => Value::Bool(ip.is_some_and(|ip| ip.is_ipv4())),
        Function::IsIpv6 => Value::Bool(ip.is_some_and(|ip| ip.is_ipv6())),
        Function::IpInRange => Value::Bool(in_range(&text, &take(function, args, 1)?)),
        _ => to_range(address(&text), &take(function, args, 1)?),
    })
}

/// `IpToRange("1.2.3.4", "/24")`; the empty string when it makes no sense.
fn to_range<'v>(ip: Option<IpAddr>, prefix: &[u8]) -> Value<'v> {
    let prefix = prefix.strip_prefix(b"/").unwrap_or(prefix);
    let prefix = std::str::from_utf8(prefix)
        .ok()
        .and_then(|text| text.parse::<u8>().ok());
    match (ip, prefix) {
        (Some(ip), Some(prefix)) if prefix <= if ip.is_ipv4() { 32 } else { 128 } => {
            Value::owned(format!("{}/{prefix}", masked(ip, prefix)))
        }
        _ => Value::from(""),
    }
}

/// Kilometres between two places on a globe; 0 when either is the null island.
fn distance(args: &mut [Value<'_>]) -> Outcome<f64> {
    let function = Function::Distance;
    let mut coordinates = [0.0_f64; 4];
    for (at, coordinate) in coordinates.iter_mut().enumerate() {
        let text = take(function, args, at)?;
        let number = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok());
        *coordinate = number.ok_or_else(|| failed(function, "a coordinate is no number"))?;
    }
    let [lat1, long1, lat2, long2] = coordinates;
    if lat1 == 0.0 && long1 == 0.0 || lat2 == 0.0 && long2 == 0.0 {
        return Ok(0.0);
    }
    let (lat1, lat2) = (lat1.to_radians(), lat2.to_radians());
    let (apart_lat, apart_long) = (lat2 - lat1, (long2 - long1).to_radians());
    let half = (apart_lat / 2.0).sin().powi(2)
        + lat1.cos() * lat2.cos() * (apart_long / 2.0).sin().powi(2);
    // The helper's earth radius.
    Ok(2.0 * half.sqrt().atan2((1.0 - half).sqrt()) * 6_371.0)
}
