//! The logs that are measured, made by rule: the same each time, and the shorter one is
//! the beginning of the longer. Addresses are those set aside for documentation and for
//! measurements; they are text here, nothing calls them.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

const PAGES: [&str; 9] = [
    "/",
    "/products/blue-widget-#",
    "/blog/2026/11/post-#",
    "/cart?item=#&qty=2",
    "/search?q=word#&page=2",
    "/api/v1/items/#",
    "/assets/app.#.js",
    "/assets/site.#.css",
    "/img/photo-#.jpg",
];
const REFERERS: [&str; 3] = [
    "-",
    "https://shop.example/",
    "https://www.example.org/search?q=x",
];

/// Numbers by rule (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        let count = u32::try_from(texts.len()).unwrap_or(1);
        texts.get(self.below(count) as usize).copied().unwrap_or("")
    }
}

/// A second of the day, in thousandths of lines.
fn clock(second: u32) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        second / 3600 % 24,
        second / 60 % 60,
        second % 60
    )
}

/// A web server's log in the combined format: fifty lines a second of some hundred
/// thousand visitors, and of each hundred lines one of a scanner.
pub(super) fn web(count: u32) -> String {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut out = String::with_capacity(count as usize * 200);
    for number in 0..count {
        let time = clock(number / 50);
        let (client, page, status, agent) = if numbers.below(100) == 0 {
            let client = format!("203.0.113.{}", numbers.below(3));
            let page = numbers.of(&[
                "/.env",
                "/wp-login.php?x=#",
                "/old-#.php",
                "/admin/#",
                "/?id=1%27%20OR%20#",
            ]);
            (client, page, 404, "curl/8.5.0".to_owned())
        } else {
            // 198.18.0.0/15 is for measurements.
            let (high, mid, low) = (numbers.below(2), numbers.below(256), numbers.below(256));
            let client = format!("198.{}.{mid}.{low}", 18 + high);
            let version = 100 + numbers.below(43);
            let agent = match numbers.below(2) {
                0 => format!(
                    "Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
                ),
                _ => format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/{version}.0.0.0 Safari/537.36"
                ),
            };
            let status = match numbers.below(100) {
                0..88 => 200,
                88..93 => 304,
                93..97 => 404,
                97..99 => 301,
                _ => 500,
            };
            (client, numbers.of(&PAGES), status, agent)
        };
        let page = page.replace('#', &numbers.below(2_000).to_string());
        let method = numbers.of(&[
            "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST",
        ]);
        let bytes = 200 + numbers.below(90_000);
        let referer = numbers.of(&REFERERS);
        // Writing into a String does not fail.
        let _infallible = writeln!(
            out,
            "{client} - - [22/Nov/2026:{time} +0000] \"{method} {page} HTTP/1.1\" {status} {bytes} \"{referer}\" \"{agent}\""
        );
    }
    out
}

/// A syslog of sshd: logins, and guesses by many.
pub(super) fn ssh(count: u32) -> String {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut out = String::with_capacity(count as usize * 110);
    for number in 0..count {
        let time = clock(number / 50);
        let (id, port) = (1_000 + numbers.below(9_000), 1_024 + numbers.below(60_000));
        let client = format!("198.18.{}.{}", numbers.below(256), numbers.below(256));
        let user = numbers.of(&["root", "admin", "deploy", "git", "backup"]);
        let said = match numbers.below(6) {
            0 => format!("Failed password for invalid user {user} from {client} port {port} ssh2"),
            1 => format!("Failed password for {user} from {client} port {port} ssh2"),
            2 => format!("Invalid user {user} from {client} port {port}"),
            3 => format!(
                "Accepted publickey for {user} from {client} port {port} ssh2: ED25519 SHA256:abc"
            ),
            4 => format!(
                "Connection closed by authenticating user {user} {client} port {port} [preauth]"
            ),
            _ => format!(
                "pam_unix(sshd:session): session opened for user {user}(uid=1000) by (uid=0)"
            ),
        };
        let _infallible = writeln!(out, "Nov 22 {time} web sshd[{id}]: {said}");
    }
    out
}

/// One request for a page that is not there from each of so many addresses.
pub(super) fn crowd(count: u32) -> String {
    let mut out = String::with_capacity(count as usize * 120);
    for number in 0..count {
        let time = clock(number / 20_000);
        let [a, b, c, d] = number.to_be_bytes().map(u16::from);
        let client = Ipv6Addr::from([0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, 0, 1]);
        let _infallible = writeln!(
            out,
            "{client} - - [22/Nov/2026:{time} +0000] \"GET /old-{number}.php HTTP/1.1\" 404 162 \"-\" \"Mozilla/5.0\""
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_log_is_the_beginning_of_the_longer() {
        assert!(web(300).starts_with(&web(100)));
        assert!(ssh(300).starts_with(&ssh(100)));
        assert_eq!(web(300).lines().count(), 300);
    }

    #[test]
    fn a_crowd_has_as_many_addresses_as_lines() {
        let log = crowd(70_000);
        let clients: std::collections::HashSet<&str> = log
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(clients.len(), 70_000);
    }
}
