//! One line of the access log. Nothing a client sent can end a line or a field.

use core::net::IpAddr;
use std::io::Write as _;

use vocab::Timestamp;

/// What the log says about a request.
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
        put(
            out,
            format_args!(
                "{{\"time\":\"{}\",\"client\":\"{}\"",
                self.time, self.client
            ),
        );
        if self.peer != self.client {
            put(out, format_args!(",\"peer\":\"{}\"", self.peer));
        }
        for (name, text) in [
            ("site", self.site),
            ("method", self.method),
            ("host", self.host),
            ("target", self.target),
            ("referer", self.referer),
            ("user_agent", self.user_agent),
            ("verdict", self.verdict),
        ] {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":\"");
            json_text(out, text);
            out.push(b'"');
        }
        put(
            out,
            format_args!(
                ",\"version\":\"{}.{}\",\"status\":{},\"sent\":{},\"received\":{},\"tls\":{},\"id\":\"{:016x}\",\"total_us\":{}",
                self.version / 10,
                self.version % 10,
                self.status,
                self.sent,
                self.received,
                self.tls,
                self.request_id,
                self.total_micros
            ),
        );
        if let Some(micros) = self.upstream_micros {
            put(out, format_args!(",\"upstream_us\":{micros}"));
        }
        out.extend_from_slice(b"}\n");
    }

    pub(crate) fn combined(&self, out: &mut Vec<u8>) {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let at = self.time.civil();
        let month = MONTHS
            .get(usize::from(at.month).wrapping_sub(1))
            .copied()
            .unwrap_or("Jan");
        put(
            out,
            format_args!(
                "{} - - [{:02}/{month}/{}:{:02}:{:02}:{:02} +0000] \"",
                self.client, at.day, at.year, at.hour, at.minute, at.second
            ),
        );
        if self.method.is_empty() {
            out.push(b'-');
        } else {
            quoted_text(out, self.method);
            out.push(b' ');
            quoted_text(out, self.target);
            put(
                out,
                format_args!(" HTTP/{}.{}", self.version / 10, self.version % 10),
            );
        }
        put(out, format_args!("\" {} {} \"", self.status, self.sent));
        quoted_text(
            out,
            if self.referer.is_empty() {
                "-"
            } else {
                self.referer
            },
        );
        out.extend_from_slice(b"\" \"");
        quoted_text(
            out,
            if self.user_agent.is_empty() {
                "-"
            } else {
                self.user_agent
            },
        );
        put(out, format_args!("\" id={:016x} verdict=", self.request_id));
        quoted_text(out, self.verdict);
        match self.upstream_micros {
            Some(micros) => put(
                out,
                format_args!(
                    " upstream={}.{:06}s\n",
                    micros / 1_000_000,
                    micros % 1_000_000
                ),
            ),
            None => out.extend_from_slice(b" upstream=-\n"),
        }
    }
}

/// Formatting into a `Vec` cannot fail.
fn put(out: &mut Vec<u8>, text: core::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to memory");
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

/// As nginx's default escaping: controls, quotes, backslashes and all beyond
/// ASCII stand as `\xHH`. A `\xHH` that is already text is escaped once more.
fn quoted_text(out: &mut Vec<u8>, text: &str) {
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        if (0x20..0x7f).contains(&byte) && !matches!(byte, b'"' | b'\\') {
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
