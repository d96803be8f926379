//! Bytes of strangers as text.

use std::borrow::Cow;

/// Bytes as text for events: valid UTF-8 stays, every byte that is not and every
/// control character becomes `\xHH`. Borrowed when nothing changes.
#[must_use]
pub fn readable(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(char::is_control)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                let mut utf8 = [0; 4];
                character
                    .encode_utf8(&mut utf8)
                    .bytes()
                    .for_each(|b| push_escape(&mut out, b));
            } else {
                out.push(character);
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|b| push_escape(&mut out, *b));
    }
    Cow::Owned(out)
}

/// Bytes as nginx writes them into its `combined` log, see [`escape_log`]. Borrowed
/// when nothing changes.
///
/// Rules for logs are written against this spelling (a backslash in a target is `\x5C`),
/// and no two byte strings share it. All of it is printable ASCII: nothing in it can
/// steer a terminal or turn its text around.
#[must_use]
pub fn logged(bytes: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, 32..=126) && !matches!(byte, b'"' | b'\\');
    if bytes.iter().all(plain)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    escape_log(&mut out, bytes);
    Cow::Owned(out)
}

/// Bytes as nginx writes them into its `combined` log: everything outside 32 to 126,
/// the quote and the backslash become `\xHH`. Appends to `out`.
pub fn escape_log(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..=31 | 127.. => push_escape(out, *byte),
            plain => out.push(char::from(*plain)),
        }
    }
}

fn push_escape(out: &mut String, byte: u8) {
    let digit = |half: u8| {
        char::from_digit(u32::from(half), 16)
            .unwrap_or('0')
            .to_ascii_uppercase()
    };
    out.push_str("\\x");
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{escape_log, logged, readable};

    #[test]
    fn readable_keeps_utf8_and_escapes_the_rest() {
        assert_eq!(readable("/caf\u{e9}\"\\".as_bytes()), "/caf\u{e9}\"\\");
        assert_eq!(readable(b"a\x00\x7f\xffb\n"), "a\\x00\\x7F\\xFFb\\x0A");
        assert_eq!(readable("\u{85}".as_bytes()), "\\xC2\\x85");
    }

    #[test]
    fn escape_log_is_nginx_like() {
        let mut out = String::new();
        escape_log(&mut out, "a\"\\\u{e9}\t~".as_bytes());
        assert_eq!(out, "a\\x22\\x5C\\xC3\\xA9\\x09~");
        assert_eq!(logged("a\"\\\u{e9}\t~".as_bytes()), out);
        assert!(matches!(logged(b"/a b'~"), Cow::Borrowed("/a b'~")));
        assert_eq!(logged(b"\xff"), "\\xFF");
        assert_eq!(
            logged(b"\\xFF"),
            "\\x5CxFF",
            "what was typed is not what was sent as a byte"
        );
    }
}
