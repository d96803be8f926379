//! Keyed hashing of what an attacker chooses.
//!
//! SipHash-1-3 with 128-bit output (Aumasson and Bernstein, 2012), keyed by a
//! seed that the caller drew: without the seed nobody can make two groups meet
//! in one bucket or fill one shard.

/// The key of bucket and distinct hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    k0: u64,
    k1: u64,
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(secret)")
    }
}

impl Seed {
    /// A seed from 128 bits, random for live traffic, fixed in replay.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
        Self {
            k0: bits as u64,
            k1: (bits >> 64) as u64,
        }
    }

    /// The bucket key of a `groupby` value. Its last three bits are left for telling apart
    /// buckets of one group: the realm, and what a page elsewhere had sent.
    #[must_use]
    pub fn key(self, group: &[u8]) -> u128 {
        self.hash(group) & !7
    }

    /// The hash of a `distinct` value.
    #[must_use]
    pub fn distinct(self, value: &[u8]) -> u64 {
        self.absorbed(value).finish()
    }

    fn hash(self, bytes: &[u8]) -> u128 {
        let mut state = self.absorbed(bytes);
        let low = state.finish();
        state.v1 ^= 0xdd;
        let high = state.finish();
        u128::from(high) << 64 | u128::from(low)
    }

    fn absorbed(self, bytes: &[u8]) -> State {
        let mut state = State {
            v0: self.k0 ^ 0x736f_6d65_7073_6575,
            v1: self.k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            v2: self.k0 ^ 0x6c79_6765_6e65_7261,
            v3: self.k1 ^ 0x7465_6462_7974_6573,
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state.absorb(u64::from_le_bytes(*word));
        }
        let mut tail = [0; 8];
        for (to, from) in tail.iter_mut().zip(rest) {
            *to = *from;
        }
        state.absorb(u64::from_le_bytes(tail) | ((bytes.len() as u64) << 56));
        state.v2 ^= 0xee;
        state
    }
}

struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    fn finish(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_the_seed_and_on_every_byte() {
        let one = Seed::new(1);
        assert_eq!(one.key(b"192.0.2.1"), one.key(b"192.0.2.1"));
        assert_ne!(one.key(b"192.0.2.1"), Seed::new(2).key(b"192.0.2.1"));
        assert_ne!(one.key(b"192.0.2.1"), Seed::new(1 << 64).key(b"192.0.2.1"));
        let mut seen = std::collections::HashSet::new();
        for length in 0..64_u8 {
            let text: Vec<u8> = (0..length).collect();
            assert!(seen.insert(one.key(&text)), "length {length}");
            for at in 0..text.len() {
                let mut changed = text.clone();
                changed[at] ^= 0x80;
                assert!(seen.insert(one.key(&changed)), "length {length} at {at}");
            }
        }
        assert_ne!(one.key(b""), one.key(b"\0"));
    }
}
