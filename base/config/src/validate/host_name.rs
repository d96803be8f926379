//! Host names and addresses as sites and upstreams name them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Reads a host without a port: a DNS name, an IPv4 address, or an IPv6 address with
/// or without brackets. The result is lower case, without brackets and without the
/// root's dot.
///
/// # Errors
/// What is wrong with it, for an operator, without a full stop.
pub(crate) fn host(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.contains("://") {
        return Err("a host has no scheme");
    }
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = inner.parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    if text.contains('/') {
        return Err("a host has no path");
    }
    if text.contains(':') {
        return Err("a host has no port here");
    }
    if !text.is_ascii() {
        return Err("a host is written in ASCII, international names in punycode (xn--…)");
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if looks_numeric(&name) && name.parse::<Ipv4Addr>().is_err() {
        return Err("looks like an address and is none");
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("not a host name");
    }
    Ok(name)
}

/// A last label of digits makes it an address to every client (WHATWG URL, "ends in a
/// number"), so it must be a real one.
fn looks_numeric(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    // Underscores are no part of a host name, and many a container has one.
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_what_is_none_is_refused() {
        for (text, read) in [
            ("App.Example.ORG", "app.example.org"),
            ("app.example.org.", "app.example.org"),
            ("nas", "nas"),
            ("my_container", "my_container"),
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("::1", "::1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(read), "{text}");
        }
        let long = "a".repeat(64);
        let longer = format!("{}com", "abcdefg.".repeat(32));
        // DENY
        for text in [
            "",
            ".",
            "a..b",
            "-a.example",
            "a-.example",
            "bücher.example",
            "app.example.org:80",
            "http://app.example.org",
            "app.example.org/x",
            "256.1.1.1",
            "1.2.3",
            "0x7f.1",
            "a b",
            "a\0b",
            "[::1",
            "*.example.org",
            &long,
            &longer,
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
