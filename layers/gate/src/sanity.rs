//! Requests that no ordinary client sends, whoever it is.

use crate::Facts;

/// Longer than any registered method (`UPDATEREDIRECTREF`, 17).
const LONGEST_METHOD: usize = 24;

/// A broken protocol rule and the status that answers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Insanity {
    /// The rule's name.
    pub rule: &'static str,
    /// The status to answer.
    pub status: u16,
}

/// The first protocol rule that the request breaks.
///
/// * `protocol.trace`: TRACE and TRACK echo a request with its credentials; no browser sends them.
/// * `protocol.connect`: this is no forward proxy.
/// * `protocol.method`: registered methods are upper-case letters and hyphens (RFC 9110 §16.1.1,
///   IANA registry; the longest has 17); methods are case-sensitive, so `get` is none.
/// * `protocol.path`: two readers may read the path differently.
/// * `protocol.headers`: more header lines than any browser or proxy chain sends.
#[must_use]
pub fn check(facts: &Facts<'_>, most_headers: usize) -> Option<Insanity> {
    let broken = |rule, status| Some(Insanity { rule, status });
    match facts.method {
        b"GET" | b"HEAD" | b"POST" => {}
        b"TRACE" | b"TRACK" => return broken("protocol.trace", 405),
        b"CONNECT" => return broken("protocol.connect", 405),
        method => {
            let known = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
            if method.is_empty() || method.len() > LONGEST_METHOD || !method.iter().all(known) {
                return broken("protocol.method", 501);
            }
        }
    }
    if facts.ambiguous_path {
        return broken("protocol.path", 400);
    }
    if facts.header_count > most_headers {
        return broken("protocol.headers", 431);
    }
    None
}
