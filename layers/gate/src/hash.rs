//! Seeded hashes for all tables: clients choose the keys, so the seed must not be guessable.

use core::hash::BuildHasher;
use core::net::IpAddr;
use std::hash::RandomState;

/// Hashes keys with a seed that the process draws at its start.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    state: RandomState,
    text: [u64; 2],
}

impl Default for Seed {
    fn default() -> Self {
        let state = RandomState::new();
        let text = [state.hash_one(1_u8) | 1, state.hash_one(2_u8)];
        Self { state, text }
    }
}

impl Seed {
    /// The hash of an address within a space of keys (std's SipHash-1-3).
    pub(crate) fn address(&self, space: u64, address: IpAddr) -> u64 {
        let bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        self.state.hash_one((space, bits))
    }

    /// A quick hash of a text, by multiplying and folding 16 bytes at a time. Not for keys whose
    /// collisions would hurt anybody: it is no cryptographic hash.
    pub(crate) fn text(&self, text: &[u8]) -> u64 {
        let [first, second] = self.text;
        let (pairs, rest) = text.as_chunks::<16>();
        let mut last = [0; 16];
        last.iter_mut()
            .zip(rest)
            .for_each(|(slot, byte)| *slot = *byte);
        let mix = |sum: u64, chunk: &[u8; 16]| {
            let chunk = u128::from_le_bytes(*chunk);
            let (low, high) = halves(chunk);
            fold(low ^ first ^ sum, high ^ second)
        };
        let sum = pairs.iter().fold(text.len() as u64 ^ second, mix);
        fold(mix(sum, &last), first)
    }

    /// One hash of two, not the same when they change places.
    pub(crate) fn join(&self, one: u64, other: u64) -> u64 {
        let [first, second] = self.text;
        fold(one ^ first, other ^ second)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "takes a number apart")]
fn halves(whole: u128) -> (u64, u64) {
    (whole as u64, (whole >> 64) as u64)
}

fn fold(one: u64, other: u64) -> u64 {
    let (low, high) = halves(u128::from(one) * u128::from(other));
    low ^ high
}
