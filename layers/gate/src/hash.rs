//! One seeded hash for all tables: clients choose the keys, so the seed must not be guessable.

use core::hash::BuildHasher;
use core::net::IpAddr;
use std::hash::RandomState;

/// Hashes keys with a seed that the process draws at its start (std's SipHash-1-3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Seed(RandomState);

impl Seed {
    /// The hash of an address within a space of keys.
    pub(crate) fn address(&self, space: u64, address: IpAddr) -> u64 {
        let bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        self.0.hash_one((space, bits))
    }

    /// The hash of a text.
    pub(crate) fn text(&self, text: &[u8]) -> u64 {
        self.0.hash_one(text)
    }
}
