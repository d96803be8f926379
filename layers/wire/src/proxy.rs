//! The PROXY protocol, versions 1 and 2, as a receiver: who stands behind a proxy.
//!
//! **For.** A proxy that passes bytes on unread writes one header before them, which
//! names the client's address (*The PROXY protocol, Versions 1 & 2*, HAProxy
//! Technologies, §2.1 and §2.2). **Refuses** whatever is not exactly such a header:
//! nothing is guessed, and no connection counts as "one without a header".
//! **Assumes** that the caller believes the sender, holds the same bytes, grown at
//! their end, for every further call, and bounds the time. **On failure** a
//! [`ProxyFault`] with a constant name; the connection is of no more use.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest header of version 1, its line end included (§2.1).
const LONGEST_V1: usize = 107;
/// The longest header of version 2 that is read. The addresses take at most 216 bytes;
/// the rest is for type-length-value fields, of which a client certificate is the
/// largest one in use. The protocol itself would allow 65,551.
const LONGEST_V2: usize = 4096;
/// Version 2 begins with these bytes, which no HTTP or TLS client sends.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_V2: usize = SIGNATURE.len() + 4;

/// How far reading the header came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyParse {
    /// The header is not complete; every byte so far belongs to it. Call again with
    /// the same bytes and more behind them.
    Partial,
    /// The header is complete.
    Done {
        /// Bytes that it took; the client's own bytes begin there.
        consumed: usize,
        /// The client's address. `None` where the proxy speaks for itself (`LOCAL`) or
        /// does not know (`UNKNOWN`, no or another address family): then nobody is
        /// named, and the connection is the proxy's own.
        client: Option<IpAddr>,
    },
    /// The connection must be closed.
    Refuse(ProxyFault),
}

/// Why the header is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProxyFault {
    /// The first bytes are not those of a header.
    Absent,
    /// The header is longer than a receiver reads.
    TooLong,
    /// Version 1: the line is not what §2.1 asks for.
    Line,
    /// Version 2: another version, or a command besides `LOCAL` and `PROXY`.
    Version,
    /// Version 2: a family or protocol that is not TCP's.
    Family,
    /// Version 2: the addresses do not fit into the length that is told.
    Length,
}

impl ProxyFault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Absent,
        Self::TooLong,
        Self::Line,
        Self::Version,
        Self::Family,
        Self::Length,
    ];

    /// The constant name, such as `proxy.absent`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "proxy.absent",
            Self::TooLong => "proxy.too-long",
            Self::Line => "proxy.line",
            Self::Version => "proxy.version",
            Self::Family => "proxy.family",
            Self::Length => "proxy.length",
        }
    }
}

/// Reads the header at the front of `bytes`.
#[must_use]
pub fn parse(bytes: &[u8]) -> ProxyParse {
    match bytes.first() {
        None => ProxyParse::Partial,
        Some(b'P') => version_1(bytes),
        Some(_) => version_2(bytes),
    }
}

/// Whether these bytes, the first of a connection, look like a header: for telling an
/// operator why nothing works, never for believing one.
#[must_use]
pub fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PROXY ") || bytes.starts_with(&SIGNATURE)
}

const fn refuse(fault: ProxyFault) -> ProxyParse {
    ProxyParse::Refuse(fault)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 4711 80` and its line end.
fn version_1(bytes: &[u8]) -> ProxyParse {
    const START: &[u8] = b"PROXY ";
    if !bytes.starts_with(START) {
        return if START.starts_with(bytes) {
            ProxyParse::Partial
        } else {
            refuse(ProxyFault::Absent)
        };
    }
    let Some(end) = bytes.iter().take(LONGEST_V1).position(|b| *b == b'\n') else {
        return if bytes.len() < LONGEST_V1 {
            ProxyParse::Partial
        } else {
            refuse(ProxyFault::TooLong)
        };
    };
    let line = bytes.get(START.len()..end).unwrap_or_default();
    match line.strip_suffix(b"\r").and_then(named_in) {
        Some(client) => ProxyParse::Done {
            consumed: end + 1,
            client,
        },
        None => refuse(ProxyFault::Line),
    }
}

/// What a line of version 1 names, without its start and end; `None` when it is wrong.
fn named_in(line: &[u8]) -> Option<Option<IpAddr>> {
    // Whatever stands behind UNKNOWN must be ignored; it is one line all the same.
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return (!line.contains(&b'\r')).then_some(None);
    }
    let line = core::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let [family, source, destination, from, to] = [(); 5].map(|()| words.next().unwrap_or(""));
    let address: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |word| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |word| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let (source, _) = (address(source)?, address(destination)?);
    let whole = words.next().is_none() && is_port(from) && is_port(to);
    whole.then(|| Some(source.to_canonical()))
}

/// Decimal, without sign or leading zero.
fn is_port(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
        && (word == "0" || !word.starts_with('0'))
        && word.parse::<u16>().is_ok()
}

/// Signature, version and command, family and protocol, length; addresses; fields
/// that are passed over.
fn version_2(bytes: &[u8]) -> ProxyParse {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes.get(..known) != SIGNATURE.get(..known) {
        return refuse(ProxyFault::Absent);
    }
    // What cannot become right is refused as soon as it is there.
    let is_local = match bytes.get(SIGNATURE.len()) {
        None => return ProxyParse::Partial,
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return refuse(ProxyFault::Version),
    };
    let family = match bytes.get(SIGNATURE.len() + 1) {
        None => return ProxyParse::Partial,
        Some(0x11) => Family::V4,
        Some(0x21) => Family::V6,
        // Unspecified, or a Unix stream: a connection without addresses of ours.
        Some(0x00 | 0x31) => Family::Unnamed,
        // A local connection's family means nothing (§2.2).
        Some(_) if is_local => Family::Unnamed,
        Some(_) => return refuse(ProxyFault::Family),
    };
    let Some([high, low]) = bytes.get(FIXED_V2 - 2..FIXED_V2) else {
        return ProxyParse::Partial;
    };
    let behind = usize::from(u16::from_be_bytes([*high, *low]));
    let consumed = FIXED_V2 + behind;
    if consumed > LONGEST_V2 {
        return refuse(ProxyFault::TooLong);
    }
    if !is_local && behind < family.bytes() {
        return refuse(ProxyFault::Length);
    }
    let Some(body) = bytes.get(FIXED_V2..consumed) else {
        return ProxyParse::Partial;
    };
    let client = if is_local { None } else { family.source(body) };
    ProxyParse::Done { consumed, client }
}

/// Which addresses a header of version 2 holds.
#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
    Unnamed,
}

impl Family {
    /// Two addresses and two ports.
    const fn bytes(self) -> usize {
        match self {
            Self::V4 => 12,
            Self::V6 => 36,
            Self::Unnamed => 0,
        }
    }

    /// The source stands first.
    fn source(self, body: &[u8]) -> Option<IpAddr> {
        match self {
            Self::V4 => body.first_chunk::<4>().copied().map(IpAddr::from),
            Self::V6 => {
                let address = body.first_chunk::<16>().copied().map(IpAddr::from);
                address.map(|address| address.to_canonical())
            }
            Self::Unnamed => None,
        }
    }
}
