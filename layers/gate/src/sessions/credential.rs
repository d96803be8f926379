//! What of a request may be a credential.

use crate::hash::Seed;

/// A shorter cookie value can be guessed (`lang=en`), or tells nothing about a person.
const SHORTEST_VALUE: usize = 16;
/// So many pairs are looked at; more than browsers send to an application. Where there are
/// more, the one that counts may be among those that were not looked at.
const MOST_PAIRS: usize = 16;
/// And so many bytes of cookies.
const MOST_BYTES: usize = 64 * 1024;

/// The header lines of a request that may hold credentials.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'c, I> {
    /// The `Authorization` header's value.
    pub authorization: Option<&'c [u8]>,
    /// The values of all `Cookie` lines.
    pub cookies: I,
}

impl<'c, I: Iterator<Item = &'c [u8]> + Clone> Credentials<'c, I> {
    /// Hashes of the credentials, at most 17, in the order they stand in.
    pub(super) fn each(&self, seed: &Seed) -> impl Iterator<Item = u64> {
        let header = self.authorization.map(|value| !seed.text(value));
        let cookies = self.pairs().take(MOST_PAIRS).map(|pair| seed.text(pair));
        header.into_iter().chain(cookies)
    }

    /// Whether all there are were looked at: else nothing is known to come of one of them.
    pub(super) fn are_few(&self) -> bool {
        let bytes: usize = self.cookies.clone().map(<[u8]>::len).sum();
        bytes < MOST_BYTES && self.pairs().nth(MOST_PAIRS).is_none()
    }

    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.authorization.is_some() || self.pairs().next().is_some()
    }

    fn pairs(&self) -> impl Iterator<Item = &'c [u8]> + use<'c, I> {
        let mut left = MOST_BYTES;
        let lines = self.cookies.clone().take_while(move |line| {
            left = left.saturating_sub(line.len());
            left > 0
        });
        lines
            .flat_map(|line| Pairs(Some(line)))
            .map(<[u8]>::trim_ascii)
            .filter(|pair| is_long(pair))
    }
}

/// The parts of a line between its semicolons.
struct Pairs<'c>(Option<&'c [u8]>);

impl<'c> Iterator for Pairs<'c> {
    type Item = &'c [u8];

    fn next(&mut self) -> Option<&'c [u8]> {
        let line = self.0?;
        let at = find(b';', line);
        self.0 = at.and_then(|at| line.get(at + 1..));
        line.get(..at.unwrap_or(line.len()))
    }
}

/// Whether a pair's value is long enough.
fn is_long(pair: &[u8]) -> bool {
    // most pairs are told by their length alone
    pair.len() > SHORTEST_VALUE
        && find(b'=', pair).is_some_and(|at| pair.len() - at > SHORTEST_VALUE)
}

/// Where a byte stands first, eight bytes at a time: cookies are long, and every request of a
/// browser brings them.
fn find(byte: u8, text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let zero_where_found = u64::from_le_bytes(*word) ^ (ONES * u64::from(byte));
        // the lowest bit that is set is exact; those above it may not be
        let found = zero_where_found.wrapping_sub(ONES) & !zero_where_found & (ONES << 7);
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|other| *other == byte)?;
    Some(words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_as_bytes_are_compared() {
        for line in [
            "",
            ";",
            "a=b",
            "a=1; b=2;c=3",
            ";;a=0123456789abcdef;",
            "a=01234567;b=01234567;\u{ff}\u{100}=;:<=>;",
            "12345678;2345678;;345678;45678",
        ] {
            let want: Vec<&[u8]> = line.as_bytes().split(|byte| *byte == b';').collect();
            let got: Vec<&[u8]> = Pairs(Some(line.as_bytes())).collect();
            assert_eq!(got, want, "{line}");
        }
        for byte in 0..=255_u8 {
            let text: Vec<u8> = (0..=255_u8).rev().chain(0..=255).collect();
            for from in 0..20 {
                let text = &text[from..];
                let want = text.iter().position(|other| *other == byte);
                assert_eq!(find(byte, text), want, "{byte} from {from}");
            }
        }
    }
}
