//! Byte classes, and loops over them that the compiler turns into vector code.

/// What a byte may be part of; RFC 9110 §5.6.2 for `tchar`.
const TOKEN: u8 = 1;
/// A token character that some gateways read as `-` (CGI and its kin write
/// everything but letters and digits as `_`).
const ODD: u8 = 2;
const HOST: u8 = 4;

const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "byte is below 256")]
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= TOKEN | HOST;
        }
        if b == b'-' {
            class |= TOKEN | HOST;
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

/// The length of the token that `bytes` begins with, and whether it holds odd characters.
pub(crate) fn token_prefix(bytes: &[u8]) -> (usize, bool) {
    let mut seen = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let class = class(*byte);
        if class & TOKEN == 0 {
            return (at, seen & ODD != 0);
        }
        seen |= class;
    }
    (bytes.len(), seen & ODD != 0)
}

/// Whether no byte is a control character; a tab counts as one unless `tab`.
pub(crate) fn is_clean(bytes: &[u8], tab: bool) -> bool {
    let allowed = if tab { b'\t' } else { b' ' };
    let dirty = |b: u8| u8::from(b < b' ') & u8::from(b != allowed) | u8::from(b == 0x7f);
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        if chunk.iter().fold(0, |bad, b| bad | dirty(*b)) != 0 {
            return false;
        }
    }
    chunks.remainder().iter().fold(0, |bad, b| bad | dirty(*b)) == 0
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
    let dirty = |b: u8| u8::from(b <= b' ') | u8::from(b == 0x7f) | u8::from(b == b'#');
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        if chunk.iter().fold(0, |bad, b| bad | dirty(*b)) != 0 {
            return false;
        }
    }
    chunks.remainder().iter().fold(0, |bad, b| bad | dirty(*b)) == 0
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
