//! The request target's parts, and the path as routing and rules should read it.

use std::borrow::Cow;

/// Path and query: what stands before and behind the first `?`.
#[must_use]
pub fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(at) => (
            target.get(..at).unwrap_or_default(),
            Some(target.get(at + 1..).unwrap_or_default()),
        ),
        None => (target, None),
    }
}

/// What is unusual about a path. Whether two programs can read it in two ways is
/// [`PathFlags::ambiguous_path`]; gate decides what that means.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PathFlags(u16);

impl PathFlags {
    /// Nothing unusual.
    pub const NONE: Self = Self(0);
    /// `.` or `..` segments, plain.
    pub const DOTS: Self = Self(1);
    /// `.` or `..` segments written with `%2e`.
    pub const ENCODED_DOTS: Self = Self(1 << 1);
    /// More `..` than segments before them.
    pub const CLIMBS: Self = Self(1 << 2);
    /// `%2f`: an encoded slash.
    pub const ENCODED_SLASH: Self = Self(1 << 3);
    /// A backslash, plain or `%5c`.
    pub const BACKSLASH: Self = Self(1 << 4);
    /// `%25` before two hexadecimal digits: encoded twice.
    pub const DOUBLE_ENCODED: Self = Self(1 << 5);
    /// A `%` without two hexadecimal digits behind it.
    pub const BAD_PERCENT: Self = Self(1 << 6);
    /// An encoded control character, `%00` among them.
    pub const CONTROL: Self = Self(1 << 7);
    /// Bytes that are not UTF-8 once decoded (overlong forms among them).
    pub const NOT_UTF8: Self = Self(1 << 8);
    /// A dot segment with a parameter, such as `..;x`.
    pub const DOT_PARAMETER: Self = Self(1 << 9);
    /// Two slashes in a row, plain.
    pub const DOUBLE_SLASH: Self = Self(1 << 10);

    /// Dots or slashes in disguise: encoded twice, or as overlong UTF-8.
    pub const DISGUISED_DOTS: Self = Self(1 << 11);

    /// Always read in two ways. Plain dot segments and doubled slashes are resolved
    /// alike by nearly all and are left out.
    const TRICKS: Self = Self(
        Self::ENCODED_DOTS.0
            | Self::CLIMBS.0
            | Self::CONTROL.0
            | Self::DOT_PARAMETER.0
            | Self::DISGUISED_DOTS.0,
    );

    /// Read in two ways, and harmless by themselves: applications name things with an
    /// encoded slash (GitLab's projects, npm's scopes), in Latin-1 or with a stray `%`.
    /// Beside dot segments they are how filters are climbed around.
    const ODD: Self = Self(
        Self::ENCODED_SLASH.0
            | Self::BACKSLASH.0
            | Self::DOUBLE_ENCODED.0
            | Self::BAD_PERCENT.0
            | Self::NOT_UTF8.0,
    );

    /// Whether any of the other's flags is set here.
    #[must_use]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether two programs can read the path so differently that one lets through what
    /// the other would have refused.
    #[must_use]
    pub const fn ambiguous_path(self) -> bool {
        self.any(Self::TRICKS) || self.any(Self::ODD) && self.any(Self::DOTS)
    }

    const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The path for routing decisions, decoded once, doubled slashes merged, dot segments
/// resolved (as nginx matches locations), and what was unusual about it.
///
/// Only for deciding: what the upstream gets is the target as sent. Encoded slashes and
/// backslashes count as slashes here, because some upstreams read them so. Does not fail; a `*` or an
/// authority comes back as it is.
#[must_use]
pub fn normal_path(path: &[u8]) -> (Cow<'_, [u8]>, PathFlags) {
    if !is_unusual(path) {
        return (Cow::Borrowed(path), PathFlags::NONE);
    }
    let mut flags = PathFlags::NONE;
    let (decoded, encoded_dot) = decode(path, &mut flags);
    if std::str::from_utf8(&decoded).is_err() {
        flags.set(PathFlags::NOT_UTF8);
    }
    if flags.any(PathFlags::NOT_UTF8) && has_overlong(&decoded)
        || flags.any(PathFlags::DOUBLE_ENCODED)
            && has_dots(&decode(&decoded, &mut PathFlags::default()).0)
    {
        flags.set(PathFlags::DISGUISED_DOTS);
    }
    let mut out: Vec<u8> = Vec::with_capacity(decoded.len());
    let mut segments = decoded.split(|b| *b == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let (name, parameter) = match memchr::memchr(b';', segment) {
            Some(at) => (segment.get(..at).unwrap_or_default(), true),
            None => (segment, false),
        };
        let dots = matches!(name, b"." | b"..");
        if dots {
            flags.set(if encoded_dot {
                PathFlags::ENCODED_DOTS
            } else {
                PathFlags::DOTS
            });
            if parameter {
                flags.set(PathFlags::DOT_PARAMETER);
            }
        }
        match name {
            b".." => {
                let keep = memchr::memrchr(b'/', &out);
                if keep.is_none() {
                    flags.set(PathFlags::CLIMBS);
                }
                out.truncate(keep.unwrap_or(0));
            }
            b"." => {}
            b"" if !last && !parameter => {
                flags.set(PathFlags::DOUBLE_SLASH);
                continue;
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
                continue;
            }
        }
        if last {
            out.push(b'/');
        }
    }
    (Cow::Owned(out), flags)
}

/// Whether a segment is `.` or `..`, with parameters or without.
fn has_dots(path: &[u8]) -> bool {
    let name = |segment: &[u8]| {
        let end = memchr::memchr(b';', segment).unwrap_or(segment.len());
        matches!(segment.get(..end), Some(b"." | b".."))
    };
    path.split(|b| *b == b'/').any(name)
}

/// Whether an ASCII character stands as two or three bytes, which UTF-8 forbids
/// (RFC 3629 §3) and lenient decoders read all the same.
fn has_overlong(path: &[u8]) -> bool {
    path.windows(2)
        .any(|pair| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f]))
}

/// Whether anything in `path` needs a closer look.
fn is_unusual(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let odd = |b: u8| {
        u8::from(b == b'%') | u8::from(b == b'\\') | u8::from(b == b';') | u8::from(b >= 0x7f)
    };
    path.iter().fold(0, |any, b| any | odd(*b)) != 0
        || path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

/// Decodes percent escapes once. Also says whether a dot was among them.
fn decode(path: &[u8], flags: &mut PathFlags) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(path.len());
    let mut encoded_dot = false;
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        rest = after;
        let byte = match (*byte, after) {
            (b'%', [high, low, behind @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                rest = behind;
                let decoded = hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0);
                match decoded {
                    b'.' => encoded_dot = true,
                    b'/' => flags.set(PathFlags::ENCODED_SLASH),
                    b'%' if matches!(behind, [a, b, ..] if hex(*a).is_some() && hex(*b).is_some()) =>
                    {
                        flags.set(PathFlags::DOUBLE_ENCODED);
                    }
                    0..=31 | 127 => flags.set(PathFlags::CONTROL),
                    _ => {}
                }
                decoded
            }
            (b'%', _) => {
                flags.set(PathFlags::BAD_PERCENT);
                b'%'
            }
            (plain, _) => plain,
        };
        if byte == b'\\' {
            flags.set(PathFlags::BACKSLASH);
            out.push(b'/');
        } else {
            out.push(byte);
        }
    }
    (out, encoded_dot)
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
