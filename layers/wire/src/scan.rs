//! Byte classes, and loops over them that the compiler turns into vector code.

/// What a byte may be part of; RFC 9110 §5.6.2 for `tchar`.
const TOKEN: u8 = 1;
/// A token character that some gateways read as `-` (CGI and its kin write
/// everything but letters and digits as `_`).
const ODD: u8 = 2;
const HOST: u8 = 4;
/// A token character that is not odd.
const PLAIN: u8 = 8;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "byte is below 256")]
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= TOKEN | HOST | PLAIN;
        }
        if b == b'-' {
            class |= TOKEN | HOST | PLAIN;
        }
        if matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        ) {
            class |= TOKEN | ODD;
        }
        if matches!(b, b'.' | b'_') {
            class |= HOST;
        }
        #[expect(clippy::indexing_slicing, reason = "byte is below 256")]
        {
            table[byte] = class;
        }
        byte += 1;
    }
    table
};

#[expect(clippy::indexing_slicing, reason = "a u8 indexes a table of 256")]
const fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

pub(crate) const fn is_token(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

/// Letters, digits, `-`, `.` and `_`: what a host name is made of here.
pub(crate) const fn is_host(byte: u8) -> bool {
    class(byte) & HOST != 0
}

/// Whether a gateway behind us may read the byte, inside a header name, as `-`.
pub(crate) const fn is_odd(byte: u8) -> bool {
    class(byte) & ODD != 0
}

/// Whether `bytes` is a non-empty token.
pub(crate) fn all_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_token(*b))
}

/// The length of the token that `bytes` begins with.
pub(crate) fn token_prefix(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|b| !is_token(*b))
        .unwrap_or(bytes.len())
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Where the first byte stands for which the word's flag is set, or the length.
///
/// `flags` marks, with the high bit, each matching byte of eight; marks above the
/// lowest one may be wrong (a borrow runs upwards), the lowest never is.
#[inline]
fn first(bytes: &[u8], flags: impl Fn(u64) -> u64, matches: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let flags = flags(u64::from_le_bytes(*word)) & HIGHS;
        if flags != 0 {
            return at + flags.trailing_zeros() as usize / 8;
        }
        at += word.len();
    }
    at + rest.iter().position(|b| matches(*b)).unwrap_or(rest.len())
}

/// Where the first control character stands (a tab is one), or the length.
pub(crate) fn first_control(bytes: &[u8]) -> usize {
    let flags = |word: u64| {
        let not_delete = word ^ (ONES * 0x7f);
        (word.wrapping_sub(ONES * 0x20) & !word) | (not_delete.wrapping_sub(ONES) & !not_delete)
    };
    first(bytes, flags, |b| b < b' ' || b == 0x7f)
}

/// Where the first colon stands, or the length. For short names: no call, no set-up.
pub(crate) fn first_colon(bytes: &[u8]) -> usize {
    let flags = |word: u64| {
        let other = word ^ (ONES * b':' as u64);
        other.wrapping_sub(ONES) & !other
    };
    first(bytes, flags, |b| b == b':')
}

/// What a header name is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NameKind {
    /// Letters, digits and dashes only, as nearly all are.
    Plain,
    /// A token with other characters in it.
    Odd,
    /// Empty, or no token.
    Bad,
}

/// What `name` is made of.
#[inline]
pub(crate) fn name_kind(name: &[u8]) -> NameKind {
    let common = name
        .iter()
        .fold(TOKEN | PLAIN, |common, b| common & class(*b));
    if name.is_empty() || common & TOKEN == 0 {
        NameKind::Bad
    } else if common & PLAIN == 0 {
        NameKind::Odd
    } else {
        NameKind::Plain
    }
}

/// Whether no byte is a control character; a tab counts as one unless `tab`.
pub(crate) fn is_clean(bytes: &[u8], tab: bool) -> bool {
    let allowed = if tab { b'\t' } else { b' ' };
    none(bytes, |b| {
        u8::from(b < b' ') & u8::from(b != allowed) | u8::from(b == 0x7f)
    })
}

/// Whether `dirty` is 0 for every byte. Blocks of a fixed size, the last ones
/// overlapping, so that there is no loop over single bytes whose length varies.
#[inline]
fn none(bytes: &[u8], dirty: impl Fn(u8) -> u8) -> bool {
    let Some(last) = bytes.last_chunk::<16>() else {
        return none_short(bytes, dirty);
    };
    let mut seen = [0_u8; 16];
    let mut look = |block: &[u8; 16]| {
        for (seen, byte) in seen.iter_mut().zip(block) {
            *seen |= dirty(*byte);
        }
    };
    bytes.as_chunks::<16>().0.iter().for_each(&mut look);
    look(last);
    seen == [0; 16]
}

/// [`none`] for less than sixteen bytes.
#[inline]
fn none_short(bytes: &[u8], dirty: impl Fn(u8) -> u8) -> bool {
    fn any<const N: usize>(a: &[u8; N], b: &[u8; N], dirty: impl Fn(u8) -> u8) -> u8 {
        a.iter()
            .zip(b)
            .fold(0, |any, (a, b)| any | dirty(*a) | dirty(*b))
    }
    let seen = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => any(first, last, dirty),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => any(first, last, dirty),
            _ => bytes.iter().fold(0, |any, b| any | dirty(*b)),
        },
    };
    seen == 0
}

/// `bytes` without spaces and tabs at its start (RFC 9110 §5.6.3, OWS).
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// `bytes` without spaces and tabs at its end.
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// `bytes` without spaces and tabs at both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// Whether every byte may stand in a request target here: no space, no control
/// character, no `#`. Bytes above 0x7f pass, as they do in nginx; the path for routing
/// flags them.
pub(crate) fn is_target(bytes: &[u8]) -> bool {
    none(bytes, |b| {
        u8::from(b <= b' ') | u8::from(b == 0x7f) | u8::from(b == b'#')
    })
}

/// A plain decimal number: digits only, at least one, fits.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|d| *d <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
