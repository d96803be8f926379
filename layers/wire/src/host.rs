//! Host names: checked, split from their port, brought into one spelling.
//!
//! Stricter than RFC 3986 §3.2.2: letters, digits, `-`, `.`, `_` and bracketed IPv6
//! only. No user information, no percent-encoding, no empty label, no zone.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Fault, scan};

/// What kind of host a [`Host`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostKind {
    /// A name, possibly with one dot at its end.
    Name,
    /// An IPv4 address in dotted form.
    V4(Ipv4Addr),
    /// An IPv6 address; it stood in brackets.
    V6(Ipv6Addr),
}

/// A checked host with its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host<'a> {
    /// The name as sent, without port and brackets.
    pub name: &'a [u8],
    /// The port, when one was given; never 0.
    pub port: Option<u16>,
    /// Name or address.
    pub kind: HostKind,
}

impl<'a> Host<'a> {
    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// [`Fault::HostInvalid`] or [`Fault::HostPort`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        if let [b'[', rest @ ..] = bytes {
            let end = memchr::memchr(b']', rest).ok_or(Fault::HostInvalid)?;
            let (name, after) = rest.split_at_checked(end).ok_or(Fault::HostInvalid)?;
            let address = ascii(name).and_then(|name| name.parse().ok());
            let port = match after {
                [_, b':', port @ ..] => Some(port_number(port)?),
                [_] => None,
                _ => return Err(Fault::HostInvalid),
            };
            let kind = HostKind::V6(address.ok_or(Fault::HostInvalid)?);
            return Ok(Self { name, port, kind });
        }
        let end = bytes
            .iter()
            .position(|b| !scan::is_host(*b))
            .unwrap_or(bytes.len());
        let (name, after) = bytes.split_at_checked(end).ok_or(Fault::HostInvalid)?;
        let port = match after {
            [] => None,
            [b':', port @ ..] => Some(port_number(port)?),
            _ => return Err(Fault::HostInvalid),
        };
        Ok(Self {
            name,
            port,
            kind: name_kind(name)?,
        })
    }

    /// The host as routing compares it: lower case, no dot at the end; an IPv6 address
    /// in its canonical form without brackets. Borrowed when nothing changes.
    #[must_use]
    pub fn normal(&self) -> Cow<'a, str> {
        if let HostKind::V6(address) = self.kind {
            return Cow::Owned(address.to_string());
        }
        let name = self.name.strip_suffix(b".").unwrap_or(self.name);
        let name = ascii(name).unwrap_or_default();
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    }
}

/// A host of any spelling, lower case, without port, brackets and final dot; `None`
/// when it is no host. For names from configuration, SNI and tests.
#[must_use]
pub fn normal_host(bytes: &[u8]) -> Option<Cow<'_, str>> {
    Host::parse(bytes).ok().map(|host| host.normal())
}

fn name_kind(name: &[u8]) -> Result<HostKind, Fault> {
    const LONGEST: usize = 254; // RFC 1035 §2.3.4, and the dot at the end
    let empty_label =
        name.first().is_none_or(|b| *b == b'.') || name.windows(2).any(|w| w == b"..");
    if empty_label || name.len() > LONGEST {
        return Err(Fault::HostInvalid);
    }
    let numeric = name.last().is_some_and(u8::is_ascii_digit);
    let address = if numeric {
        ascii(name).and_then(|name| name.parse().ok())
    } else {
        None
    };
    Ok(address.map_or(HostKind::Name, HostKind::V4))
}

fn port_number(digits: &[u8]) -> Result<u16, Fault> {
    scan::decimal(digits)
        .filter(|port| *port != 0 && digits.len() <= 5)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(Fault::HostPort)
}

fn ascii(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
