//! The PROXY protocol: what is taken, what is refused, and how early.

use std::net::IpAddr;

use wire::proxy::{looks_like_one, parse};
use wire::{ProxyFault, ProxyParse};

use crate::mutation::Xorshift;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest that version 2 may be, beyond its first sixteen bytes.
const MOST: usize = 4096 - 16;

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

fn v4(rest: &[u8]) -> Vec<u8> {
    let body = [&[192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 80], rest].concat();
    v2(0x21, 0x11, &body)
}

fn v6(source: &str) -> Vec<u8> {
    let source: std::net::Ipv6Addr = source.parse().unwrap();
    let body = [&source.octets()[..], &[0; 16], &[0x12, 0x67, 0, 80]].concat();
    v2(0x21, 0x21, &body)
}

/// Headers that are taken, and whom they name.
fn allowed() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            line("PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n"),
            Some("192.0.2.7"),
        ),
        (
            line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
            Some("255.255.255.255"),
        ),
        (
            line("PROXY TCP4 192.0.2.7 198.51.100.1 0 0\r\n"),
            Some("192.0.2.7"),
        ),
        (
            line("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n"),
            Some("2001:db8::7"),
        ),
        (
            line("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n"),
            Some("192.0.2.7"),
        ),
        (line("PROXY UNKNOWN\r\n"), None),
        // the longest line that the specification shows
        (
            line(
                "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            ),
            None,
        ),
        (v4(b""), Some("192.0.2.7")),
        // fields behind the addresses are passed over, well-formed or not
        (v4(&[0x04, 0, 3, b'a', b'b', b'c']), Some("192.0.2.7")),
        (v4(&[0x04, 0xff, 0xff]), Some("192.0.2.7")),
        (v4(&vec![0; MOST - 12]), Some("192.0.2.7")),
        (v6("2001:db8::7"), Some("2001:db8::7")),
        (v6("::ffff:192.0.2.7"), Some("192.0.2.7")),
        (v2(0x20, 0x00, b""), None),
        // DENY: what a LOCAL header says of addresses is not read
        (
            v2(0x20, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 80]),
            None,
        ),
        (v2(0x20, 0x11, b""), None),
        (v2(0x20, 0xff, b"x"), None),
        (v2(0x21, 0x00, b"anything"), None),
        (v2(0x21, 0x31, &[0; 216]), None),
    ]
}

#[test]
fn a_header_names_the_client_and_ends_where_the_clients_bytes_begin() {
    for (bytes, want) in allowed() {
        let want = want.map(|text| text.parse::<IpAddr>().unwrap());
        for behind in [
            &b""[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
            b"\r\n",
            b"PROXY ",
        ] {
            let sent = [&bytes[..], behind].concat();
            let told = parse(&sent);
            let consumed = bytes.len();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(
                told,
                ProxyParse::Done {
                    consumed,
                    client: want
                },
                "{text:?}"
            );
            assert!(looks_like_one(&sent));
        }
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), ProxyParse::Partial, "cut at {cut}");
        }
    }
}

#[test]
fn whatever_is_no_exact_header_is_refused() {
    use ProxyFault::{Absent, Family, Length, Line, TooLong, Version};
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), 108);
    let rows: Vec<(Vec<u8>, ProxyFault)> = vec![
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), Absent),
        (b"POST / HTTP/1.1\r\n".to_vec(), Absent),
        (b"PROPFIND / HTTP/1.1\r\n".to_vec(), Absent),
        (
            b"proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
            Absent,
        ),
        (
            b"PROXY\tTCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
            Absent,
        ),
        (
            b" PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(),
            Absent,
        ),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), Absent),
        (b"\r\nGET".to_vec(), Absent),
        (b"\r\n\r\n\0\r\nQUIX\n".to_vec(), Absent),
        (long.into_bytes(), TooLong),
        (vec![b'P'; 200], Absent),
        ([&b"PROXY "[..], &[b'a'; 300]].concat(), TooLong),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n".to_vec(), Line),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n".to_vec(), Line),
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n".to_vec(),
            Line,
        ),
        (b"PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n".to_vec(), Line),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n".to_vec(), Line),
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n".to_vec(),
            Line,
        ),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n".to_vec(), Line),
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n".to_vec(), Line),
        (b"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n".to_vec(), Line),
        (b"PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n".to_vec(), Line),
        (b"PROXY TCP4 192.0.2.7 nobody 1 2\r\n".to_vec(), Line),
        (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n".to_vec(), Line),
        (b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), Line),
        (
            b"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n".to_vec(),
            Line,
        ),
        (
            b"PROXY TCP6 [2001:db8::7] [2001:db8::1] 1 2\r\n".to_vec(),
            Line,
        ),
        (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec(), Line),
        (b"PROXY UNKNOWNX\r\n".to_vec(), Line),
        (b"PROXY \r\n".to_vec(), Line),
        (b"PROXY UNKNOWN a\rb\r\n".to_vec(), Line),
        (
            b"PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n".to_vec(),
            Line,
        ),
        (v2(0x11, 0x11, &[0; 12]), Version),
        (v2(0x22, 0x11, &[0; 12]), Version),
        (v2(0x31, 0x11, &[0; 12]), Version),
        (v2(0x21, 0x12, &[0; 12]), Family),
        (v2(0x21, 0x22, &[0; 36]), Family),
        (v2(0x21, 0x32, &[0; 216]), Family),
        (v2(0x21, 0x41, &[0; 216]), Family),
        (v2(0x21, 0x11, &[0; 11]), Length),
        (v2(0x21, 0x21, &[0; 35]), Length),
        (v2(0x21, 0x11, b""), Length),
        (v2(0x21, 0x11, &vec![0; MOST + 1]), TooLong),
        (v2(0x20, 0x00, &vec![0; 0xffff]), TooLong),
    ];
    for (bytes, fault) in rows {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(parse(&bytes), ProxyParse::Refuse(fault), "DENY {text:?}");
        // No front of it is taken, and once refused it stays so.
        let mut refused = false;
        for cut in 0..=bytes.len() {
            let told = parse(&bytes[..cut]);
            assert!(
                !matches!(told, ProxyParse::Done { .. }),
                "DENY {text:?} at {cut}"
            );
            let stays = matches!(told, ProxyParse::Refuse(_));
            assert!(stays || !refused, "DENY {text:?} at {cut}");
            refused |= stays;
        }
    }
}

#[test]
fn nothing_is_waited_for_beyond_the_bounds() {
    let lines = [
        [&b"PROXY "[..], &[b'1'; 101]].concat(),
        v2(0x21, 0x11, &[0; MOST + 1]),
    ];
    for bytes in lines {
        assert!(
            matches!(
                parse(&bytes[..bytes.len().min(4096)]),
                ProxyParse::Refuse(_)
            ),
            "DENY"
        );
    }
    let mut names: Vec<_> = ProxyFault::ALL.iter().map(|fault| fault.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ProxyFault::ALL.len());
}

#[test]
fn damaged_headers_keep_the_promises() {
    let rows = allowed();
    let mut random = Xorshift(0x5eed);
    for round in 0..20_000 {
        let mut bytes = rows[round % rows.len()].0.clone();
        let other = &rows[random.below(rows.len())].0;
        random.mutate(&mut bytes, other);
        match parse(&bytes) {
            ProxyParse::Done { consumed, .. } => {
                assert!(consumed <= bytes.len() && consumed <= 4096);
                // The same header alone says the same, whatever stands behind it.
                assert_eq!(parse(&bytes[..consumed]), parse(&bytes));
                for cut in [0, 1, consumed / 2, consumed - 1] {
                    assert_eq!(parse(&bytes[..cut]), ProxyParse::Partial, "{bytes:?}");
                }
            }
            ProxyParse::Partial => assert!(bytes.len() < 4096),
            ProxyParse::Refuse(_) => {}
        }
    }
}
