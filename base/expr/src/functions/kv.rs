//! `key=value` text, as the helpers ParseKV and ParseKVLax read it.

use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::error::EvalError;
use crate::eval::Outcome;
use crate::go_regex;
use crate::value::{Data, Fields, Missing};

/// The most pairs that are kept.
const MAX_PAIRS: usize = 4096;

fn no_pairs() -> EvalError {
    EvalError::Call {
        function: "ParseKV",
        reason: "the text holds no key=value pair",
    }
}

#[expect(
    clippy::expect_used,
    reason = "invariant: the pattern is constant and covered by tests"
)]
fn pattern(text: &str) -> Regex {
    go_regex::compile(text.as_bytes()).expect("a constant pattern compiles")
}

static PAIR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"([^=\s]+)=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^=\s]+)|\s*)"#));
static KEY: LazyLock<Regex> = LazyLock::new(|| pattern("([a-zA-Z_][a-zA-Z0-9_.-]*)="));

/// ParseKV: a value is quoted, or ends at white space or the next `=`.
pub(crate) fn strict(text: &[u8]) -> Outcome<Fields> {
    let text = go_regex::readable(text);
    let mut entries = Vec::new();
    for pair in PAIR.captures_iter(&text).take(MAX_PAIRS) {
        let key = pair.get(1).map_or(&b""[..], |key| key.as_bytes());
        let value = pair
            .get(2)
            .or_else(|| pair.get(3))
            .map_or(&b""[..], |value| value.as_bytes());
        entries.push((key.into(), Data::Text(value.into())));
    }
    if entries.is_empty() {
        return Err(no_pairs());
    }
    Ok(Fields::from_entries(entries, Missing::Empty))
}

/// ParseKVLax: a value reaches to the next key; keys inside of quotes are no keys.
pub(crate) fn lax(text: &[u8]) -> Outcome<Fields> {
    let mut starts = Vec::new();
    let (mut quoted, mut escaped, mut seen) = (false, false, 0);
    for found in KEY.captures_iter(text).take(MAX_PAIRS) {
        let (Some(all), Some(key)) = (found.get(0), found.get(1)) else {
            continue;
        };
        for byte in text.get(seen..=all.start()).unwrap_or_default() {
            quoted ^= *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
        }
        seen = all.start() + 1;
        if !quoted {
            starts.push((all.start(), all.end(), key.as_bytes()));
        }
    }
    if starts.is_empty() {
        return Err(no_pairs());
    }
    let ends = starts.iter().skip(1).map(|next| next.0).chain([text.len()]);
    let entries = starts.iter().zip(ends).map(|((_, value, key), end)| {
        let raw = text.get(*value..end).unwrap_or_default().trim_ascii();
        ((*key).into(), Data::Text(lax_value(raw).into()))
    });
    Ok(Fields::from_entries(entries.collect(), Missing::Empty))
}

fn lax_value(raw: &[u8]) -> Vec<u8> {
    let Some(rest) = raw.strip_prefix(b"\"") else {
        return raw.to_vec();
    };
    let Some(body) = rest.strip_suffix(b"\"") else {
        return rest.to_vec();
    };
    let mut out = Vec::with_capacity(body.len());
    let mut bytes = body.iter().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = *byte == b'\\'
            && bytes
                .peek()
                .is_some_and(|next| matches!(next, b'\\' | b'"'));
        out.push(if escaped {
            bytes.next().copied().unwrap_or(*byte)
        } else {
            *byte
        });
    }
    out
}
