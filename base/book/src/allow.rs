//! Allowlists, and the addresses that are never barred.
//!
//! An allowlist item is an entry of the log like a decision. Addresses and ranges stand for
//! themselves; host names and presets stand for what the caller last resolved them to
//! ([`crate::Book::update_resolution`]). A resolution that fails is simply not reported: the
//! last good one stays (fail static).
//!
//! [`Protected`] comes from the configuration and from what the host says about itself. It is
//! stronger than an allowlist: a decision that overlaps it is refused to everybody.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use vocab::{Cidr, Origin, Timestamp};

use crate::{AllowId, Change};

/// One item of an allowlist.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AllowItem {
    /// Its name.
    pub id: AllowId,
    /// The list it belongs to, such as `office`.
    pub list: String,
    /// Whom it lets through.
    pub subject: AllowSubject,
    /// Why, in the asker's words.
    pub why: String,
    /// Who asked.
    pub by: Origin,
    /// When it was added.
    pub created: Timestamp,
    /// When it ends by itself; [`Timestamp::MAX`] for never.
    pub until: Timestamp,
}

/// Whom an allowlist item lets through.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowSubject {
    /// An address or a range.
    Range(Cidr),
    /// A DNS name, re-resolved by the caller with the last good answer kept.
    Host(String),
    /// A set that the caller knows the members of.
    Preset(Preset),
}

/// Sets of addresses that have a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Private, loopback and link-local ranges (RFC 1918, 4193, 3927, 4291).
    Lan,
    /// Shared address space that VPNs such as Tailscale use (RFC 6598), and what the caller adds.
    Vpn,
    /// The host's own public addresses; empty until the caller resolves it.
    Wan,
}

impl Preset {
    /// What the preset stands for before the caller resolves it.
    #[must_use]
    pub fn known(self) -> Vec<Cidr> {
        let v4 = |a, b, prefix| Cidr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), prefix);
        let v6 = |bits: u128, prefix| Cidr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), prefix);
        let ranges = match self {
            Self::Lan => vec![
                v4(127, 0, 8),
                v4(10, 0, 8),
                v4(172, 16, 12),
                v4(192, 168, 16),
                v4(169, 254, 16),
                v6(1, 128),
                v6(0xfc << 120, 7),
                v6(0xfe80 << 112, 10),
            ],
            Self::Vpn => vec![v4(100, 64, 10)],
            Self::Wan => Vec::new(),
        };
        ranges.into_iter().flatten().collect()
    }
}

impl fmt::Display for AllowSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Host(name) => f.write_str(name),
            Self::Preset(Preset::Lan) => f.write_str("lan"),
            Self::Preset(Preset::Vpn) => f.write_str("vpn"),
            Self::Preset(Preset::Wan) => f.write_str("wan"),
        }
    }
}

impl AllowSubject {
    /// Reads an address, a range, `lan`, `vpn`, `wan`, or a DNS name; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "lan" => return Some(Self::Preset(Preset::Lan)),
            "vpn" => return Some(Self::Preset(Preset::Vpn)),
            "wan" => return Some(Self::Preset(Preset::Wan)),
            _ => {}
        }
        if let Ok(range) = text.parse() {
            return Some(Self::Range(range));
        }
        // a label that is all digits at the end is a mistyped address, not a name (RFC 3696 §2)
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let last = name.rsplit('.').next()?;
        let named = name.len() <= 253
            && name.split('.').all(label)
            && !last.bytes().all(|b| b.is_ascii_digit());
        named.then_some(Self::Host(name))
    }
}

/// Why an address is never barred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of this host's own addresses, the public one included.
    Own,
    /// The way out of this host's networks.
    Gateway,
    /// A service behind the edge.
    Upstream,
    /// A proxy whose word about client addresses is believed.
    TrustedProxy,
    /// Where an operator is logged in from right now.
    OperatorSession,
    /// Named in the configuration.
    NeverBan,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "one of this host's own addresses",
            Self::Gateway => "a gateway of this host",
            Self::Upstream => "a service behind the edge",
            Self::TrustedProxy => "a trusted proxy",
            Self::OperatorSession => "the address of a logged-in operator",
            Self::NeverBan => "on the configured never-ban list",
        })
    }
}

/// The addresses that nothing ever bars.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Protected {
    ranges: Vec<(Cidr, Role)>,
}

impl Protected {
    /// A set of ranges with their roles.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = (Cidr, Role)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable();
        ranges.dedup();
        Self { ranges }
    }

    /// The ranges with their roles, sorted.
    #[must_use]
    pub fn ranges(&self) -> &[(Cidr, Role)] {
        &self.ranges
    }

    /// The first protected range that shares an address with `range`.
    #[must_use]
    pub fn overlapping(&self, range: Cidr) -> Option<(Cidr, Role)> {
        self.ranges
            .iter()
            .copied()
            .find(|(held, _)| held.overlaps(range))
    }

    /// What the published view must learn when the set was `before` and is now `self`.
    /// Publish it at start (against the empty set) and after every reload or login.
    #[must_use]
    pub fn changes_from(&self, before: &Self) -> Vec<Change> {
        let ranges = |set: &Self| -> std::collections::BTreeSet<Cidr> {
            set.ranges.iter().map(|(range, _)| *range).collect()
        };
        let (old, new) = (ranges(before), ranges(self));
        let gone = old.difference(&new).map(|range| Change::Lift {
            range: *range,
            id: PROTECTED,
        });
        let come = new.difference(&old).map(|range| Change::Allow {
            range: *range,
            id: PROTECTED,
            until: Timestamp::MAX,
        });
        gone.chain(come).collect()
    }
}

/// The name under which protected ranges stand in a view; random identifiers never meet it.
pub(crate) const PROTECTED: u128 = 0;
