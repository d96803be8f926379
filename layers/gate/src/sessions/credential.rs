//! What of a request may be a credential.

use crate::hash::Seed;

/// A shorter cookie value can be guessed (`lang=en`), or tells nothing about a person.
const SHORTEST_VALUE: usize = 16;
/// So many pairs are looked at; more than any browser sends to an application.
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
            .flat_map(|line| line.split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii)
            .filter(|pair| is_long(pair))
    }
}

/// Whether a pair's value is long enough.
fn is_long(pair: &[u8]) -> bool {
    // most pairs are told by their length alone
    pair.len() > SHORTEST_VALUE
        && pair
            .iter()
            .position(|byte| *byte == b'=')
            .is_some_and(|at| pair.len() - at > SHORTEST_VALUE)
}
