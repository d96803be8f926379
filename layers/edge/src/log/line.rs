//! One line of the access log. Nothing a client sent can end a line or a field.

use core::net::IpAddr;
use std::io::Write as _;

use vocab::Timestamp;

/// What the log says about a request. What a client wrote comes as [`wire::text::logged`]
/// spells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) time: Timestamp,
    pub(crate) client: IpAddr,
    pub(crate) peer: IpAddr,
    pub(crate) site: &'a str,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) version: u8,
    pub(crate) host: &'a str,
    pub(crate) status: u16,
    /// Bytes sent to the client, head included.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) referer: &'a str,
    pub(crate) user_agent: &'a str,
    pub(crate) request_id: u64,
    /// `pass`, or the rule that refused or would have.
    pub(crate) verdict: &'a str,
    /// Microseconds until the upstream's head was there; none when it was not asked.
    pub(crate) upstream_micros: Option<u64>,
    pub(crate) total_micros: u64,
    pub(crate) tls: bool,
}

impl Entry<'_> {
    pub(crate) fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        put(out, format_args!("{}", self.time));
        out.extend_from_slice(b"\",\"client\":\"");
        address(out, self.client);
        out.push(b'"');
        if self.peer != self.client {
            out.extend_from_slice(b",\"peer\":\"");
            address(out, self.peer);
            out.push(b'"');
        }
        for (name, text) in [
            (&b",\"site\":\""[..], self.site),
            (b",\"method\":\"", self.method),
            (b",\"host\":\"", self.host),
            (b",\"target\":\"", self.target),
            (b",\"referer\":\"", self.referer),
            (b",\"user_agent\":\"", self.user_agent),
            (b",\"verdict\":\"", self.verdict),
        ] {
            out.extend_from_slice(name);
            json_text(out, text);
            out.push(b'"');
        }
        out.extend_from_slice(b",\"version\":\"");
        version(out, self.version);
        for (name, number) in [
            (&b"\",\"status\":"[..], u64::from(self.status)),
            (b",\"sent\":", self.sent),
            (b",\"received\":", self.received),
        ] {
            out.extend_from_slice(name);
            decimal(out, number, 1);
        }
        out.extend_from_slice(if self.tls {
            b",\"tls\":true,\"id\":\""
        } else {
            b",\"tls\":false,\"id\":\""
        });
        reference(out, self.request_id);
        out.extend_from_slice(b"\",\"total_us\":");
        decimal(out, self.total_micros, 1);
        if let Some(micros) = self.upstream_micros {
            out.extend_from_slice(b",\"upstream_us\":");
            decimal(out, micros, 1);
        }
        out.extend_from_slice(b"}\n");
    }

    pub(crate) fn combined(&self, out: &mut Vec<u8>) {
        address(out, self.client);
        out.extend_from_slice(b" - - [");
        date(out, self.time);
        out.extend_from_slice(b" +0000] \"");
        if self.method.is_empty() {
            out.push(b'-');
        } else {
            quoted_text(out, self.method);
            out.push(b' ');
            quoted_text(out, self.target);
            out.extend_from_slice(b" HTTP/");
            version(out, self.version);
        }
        out.extend_from_slice(b"\" ");
        decimal(out, u64::from(self.status), 1);
        out.push(b' ');
        decimal(out, self.sent, 1);
        for text in [self.referer, self.user_agent] {
            out.extend_from_slice(b" \"");
            quoted_text(out, if text.is_empty() { "-" } else { text });
            out.push(b'"');
        }
        out.extend_from_slice(b" id=");
        reference(out, self.request_id);
        out.extend_from_slice(b" verdict=");
        quoted_text(out, self.verdict);
        match self.upstream_micros {
            Some(micros) => {
                out.extend_from_slice(b" upstream=");
                decimal(out, micros / 1_000_000, 1);
                out.push(b'.');
                decimal(out, micros % 1_000_000, 6);
                out.extend_from_slice(b"s\n");
            }
            None => out.extend_from_slice(b" upstream=-\n"),
        }
    }
}

/// Formatting into a `Vec` cannot fail.
fn put(out: &mut Vec<u8>, text: core::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to memory");
}

/// A number in decimal with at least so many digits, up to twenty. By hand, as all of
/// a line: `core::fmt` took 7 % of the edge's time in user space.
fn decimal(out: &mut Vec<u8>, mut number: u64, least: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 || digits.len() - start < least {
        let Some(digit) = start
            .checked_sub(1)
            .and_then(|before| digits.get_mut(before))
        else {
            break;
        };
        start -= 1;
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                decimal(out, u64::from(octet), 1);
            }
        }
        IpAddr::V6(v6) => put(out, format_args!("{v6}")),
    }
}

fn version(out: &mut Vec<u8>, version: u8) {
    decimal(out, u64::from(version / 10), 1);
    out.push(b'.');
    decimal(out, u64::from(version % 10), 1);
}

/// A request's number as sixteen hexadecimal digits.
fn reference(out: &mut Vec<u8>, number: u64) {
    for byte in number.to_be_bytes() {
        out.extend_from_slice(&hex(byte));
    }
}

/// `22/Nov/2026:15:04:05`, in UTC.
fn date(out: &mut Vec<u8>, time: Timestamp) {
    const MONTHS: [&[u8; 3]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let at = time.civil();
    let month = MONTHS.get(usize::from(at.month).wrapping_sub(1));
    decimal(out, u64::from(at.day), 2);
    out.push(b'/');
    out.extend_from_slice(month.copied().unwrap_or(b"Jan"));
    out.push(b'/');
    decimal(out, u64::try_from(at.year).unwrap_or(0), 1);
    for part in [at.hour, at.minute, at.second] {
        out.push(b':');
        decimal(out, u64::from(part), 2);
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

/// RFC 8259 §7, and everything that a terminal could obey.
fn json_text(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        if byte >= 0x20 && !matches!(byte, b'"' | b'\\' | 0x7f) {
            continue;
        }
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        plain = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(byte));
            }
        }
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
}

/// As nginx's default escaping: controls, quotes and all beyond ASCII stand as `\xHH`.
/// A backslash passes: texts come in that spelling already, where it begins a `\xHH`.
fn quoted_text(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        if (0x20..0x7f).contains(&byte) && byte != b'"' {
            continue;
        }
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        plain = at + 1;
        out.extend_from_slice(b"\\x");
        out.extend_from_slice(&hex(byte).map(|digit| digit.to_ascii_uppercase()));
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: &'static str, user_agent: &'static str) -> Entry<'static> {
        Entry {
            time: Timestamp::from_unix_seconds(1_795_359_845),
            client: "192.0.2.1".parse().unwrap(),
            peer: "192.0.2.1".parse().unwrap(),
            site: "app",
            method: "GET",
            target,
            version: 11,
            host: "app.example.org",
            status: 200,
            sent: 512,
            received: 90,
            referer: "",
            user_agent,
            request_id: 0xabc,
            verdict: "pass",
            upstream_micros: Some(1_500),
            total_micros: 1_600,
            tls: false,
        }
    }

    #[test]
    fn combined_lines_are_what_log_readers_expect() {
        let mut out = Vec::new();
        entry("/a?b=c", "curl/8").combined(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.1 - - [22/Nov/2026:15:04:05 +0000] \"GET /a?b=c HTTP/1.1\" 200 512 \"-\" \"curl/8\" id=0000000000000abc verdict=pass upstream=0.001500s\n"
        );
    }

    #[test]
    fn json_lines_name_their_fields() {
        let mut out = Vec::new();
        entry("/a", "x").json(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("{\"time\":\"2026-11-22T15:04:05Z\",\"client\":\"192.0.2.1\","));
        assert!(text.contains("\"verdict\":\"pass\"") && text.contains("\"upstream_us\":1500}"));
    }

    #[test]
    fn numbers_and_addresses_are_written_as_the_standard_library_writes_them() {
        for number in [0, 7, 10, 99, 100, 65_535, 1_000_000, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, number, 1);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            let mut out = Vec::new();
            decimal(&mut out, number, 6);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:06}"));
            let mut out = Vec::new();
            reference(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:016x}"));
        }
        for text in [
            "192.0.2.1",
            "198.51.100.255",
            "2001:db8::1",
            "::ffff:192.0.2.1",
        ] {
            let known: IpAddr = text.parse().unwrap();
            let mut out = Vec::new();
            address(&mut out, known);
            assert_eq!(String::from_utf8(out).unwrap(), known.to_string());
        }
    }

    #[test]
    fn nothing_a_client_sends_ends_a_line_or_a_field() {
        for hostile in ["a\"b", "a\nb", "a\\b", "a\r\nGET", "\u{1b}[31m", "é\u{7f}"] {
            let (mut json, mut combined) = (Vec::new(), Vec::new());
            entry(hostile, hostile).json(&mut json);
            entry(hostile, hostile).combined(&mut combined);
            for line in [&json, &combined] {
                let body = &line[..line.len() - 1];
                assert!(!body.iter().any(u8::is_ascii_control), "DENY {hostile:?}");
            }
            assert_eq!(
                combined.iter().filter(|b| **b == b'"').count(),
                6,
                "{hostile:?}"
            );
        }
    }
}
