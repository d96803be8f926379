//! Whom a refusal counts against, and what was not the client's own idea. Pure.
//!
//! **For.** Keeping strangers from having our visitors barred: a page elsewhere can make
//! any browser send us some requests that are refused, before a header is read that would
//! say so. **Refuses** to count what a browser can be made to send: lines and heads that
//! are too long, names that browsers take for hosts and we do not, other protocols at this
//! port. All of it is refused all the same. **Assumes** that browsers write their framing
//! by themselves: whatever is wrong with that counts.

use vocab::RefusedBy;
use wire::{Fault, HeaderId, Request};

/// By what a message with this fault is refused.
pub(crate) fn of(fault: Fault) -> RefusedBy {
    match fault {
        // A long address in somebody's picture, a cookie that grew in somebody's application.
        Fault::LineTooLong
        | Fault::HeaderTooLong
        | Fault::HeadTooLong
        | Fault::HeadTooMany
        | Fault::TrailerTooLong => RefusedBy::Limit,
        // `http://a!b.example/` is an address to a browser, and whose name leads here is
        // for its owner to say.
        Fault::HostInvalid => RefusedBy::Route,
        _ => RefusedBy::Codec,
    }
}

/// Whether a connection's first bytes are another protocol's: those of TLS (a page that
/// names `https://host:80/`) or of STUN (a script that names us as its relay). No method
/// and no empty line begins like this.
pub(crate) fn is_another_protocol(first: &[u8]) -> bool {
    first
        .first()
        .is_some_and(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace())
}

/// Whether a browser was made to send the request by another site's page, as it says.
///
/// Not every browser says so of a WebSocket, but all of them name its origin. Behind a
/// proxy that wrote a `Host` of its own the one that was asked for may stand elsewhere.
pub(crate) fn is_foreign(request: &Request<'_>, host: &str, proxied: bool) -> bool {
    let headers = request.headers();
    let says = headers
        .named(b"sec-fetch-site")
        .any(|site| site.eq_ignore_ascii_case(b"cross-site"));
    if says || !is_websocket(request) {
        return says;
    }
    let Some(origin) = headers.named(b"origin").next() else {
        return false; // no browser
    };
    let Some(origin) = host_of(origin) else {
        return true; // `null`: a page without an address
    };
    let is_origin = |name: &[u8]| wire::host::normal_host(name).is_some_and(|name| name == origin);
    let asked = || headers.named(b"x-forwarded-host").any(is_origin);
    origin != host && !(proxied && asked())
}

fn is_websocket(request: &Request<'_>) -> bool {
    request.upgrade().is_some()
        && request
            .headers()
            .tokens(HeaderId::Upgrade)
            .any(|offer| offer.eq_ignore_ascii_case(b"websocket"))
}

/// The host of an origin (RFC 6454 §6.2), whatever its scheme and port.
fn host_of(origin: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let at = origin.windows(3).position(|part| part == b"://")?;
    wire::host::normal_host(origin.get(at + 3..)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Parse, RequestHead};

    #[test]
    fn only_what_no_browser_writes_counts() {
        let spared: Vec<_> = Fault::ALL
            .iter()
            .filter(|fault| of(**fault) != RefusedBy::Codec)
            .map(|fault| fault.name())
            .collect();
        let want = [
            "line.too-long",
            "host.invalid",
            "header.too-long",
            "head.too-long",
            "head.too-many",
            "trailer.too-long",
        ];
        assert_eq!(spared, want);
    }

    #[test]
    fn other_protocols_are_told_by_their_first_byte() {
        for (first, is) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], true),
            (b"\x00\x03\x00\x08\x21\x12\xa4\x42", true),
            (b"\x80\x2e\x01\x03\x01", true),
            (b"", false),
            (b"GET / HTTP/1.1", false),
            (b"\r\nGET", false),
            (b" GET", false),
            (b"(GET", false),
        ] {
            assert_eq!(is_another_protocol(first), is, "{first:?}");
        }
    }

    #[test]
    fn a_websocket_of_another_sites_page_is_foreign() {
        const WS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        for (fields, proxied, is) in [
            ("Origin: https://evil.example", false, true), // DENY
            ("Origin: https://evil.example", true, true),  // DENY
            ("Origin: null", false, true),                 // DENY
            ("Origin: https://a.example.evil.example", false, true), // DENY
            ("Origin: https://a.example@evil.example", false, true), // DENY
            // DENY: a stranger's word on what was asked for
            (
                "Origin: https://evil.example\r\nX-Forwarded-Host: evil.example",
                false,
                true,
            ),
            ("Origin: https://a.example", false, false),
            ("Origin: http://A.example:8080", false, false),
            (
                "Origin: https://a.example\r\nSec-Fetch-Site: cross-site",
                false,
                true,
            ),
            (
                "Origin: https://b.example\r\nX-Forwarded-Host: b.example:443",
                true,
                false,
            ),
            ("X: no browser", false, false),
        ] {
            for (upgrade, is) in [(WS, is), ("", fields.contains("cross-site"))] {
                let text =
                    format!("GET / HTTP/1.1\r\nHost: a.example\r\n{upgrade}{fields}\r\n\r\n");
                let mut head = RequestHead::new();
                let done = head.parse(text.as_bytes(), &wire::Limits::default());
                assert!(matches!(done, Parse::Done { .. }), "{text}");
                let request = head.request(text.as_bytes());
                assert_eq!(is_foreign(&request, "a.example", proxied), is, "{text}");
            }
        }
    }
}
