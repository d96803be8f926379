//! The gate from outside: the chain's order, what is enforced where, and connections.
#![expect(missing_docs, reason = "tests say what they show by their names")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod chain;
mod connecting;

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use book::{Change, Force, Published};
use gate::{Facts, Gate, Question, Rate, Settings, SitePolicy, Tools};
use vocab::{ClientAddr, Timestamp};

pub const STRANGER: &str = "203.0.113.1";
pub const BANNED: &str = "203.0.113.2";
pub const THROTTLED: &str = "203.0.113.3";
pub const CHALLENGED: &str = "203.0.113.4";
pub const OBSERVED: &str = "203.0.113.5";
pub const CAPTCHA: &str = "203.0.113.6";
pub const ALLOWED: &str = "203.0.113.7";

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + seconds)
}

pub fn rate(count: u32, seconds: u64, burst: u32) -> Rate {
    let number = |number| NonZeroU32::new(number).unwrap();
    Rate::new(number(count), Duration::from_secs(seconds), number(burst)).unwrap()
}

pub fn settings() -> Settings {
    Settings {
        requests: Some(rate(10, 1, 10)),
        throttled: rate(1, 1, 2),
        tools: Arc::new(Tools::parse("sqlmap\nnikto").unwrap()),
        ..Settings::default()
    }
}

/// A gate whose book holds one source of each standing until second 1,000.
pub fn gate(settings: Settings) -> (Arc<Published>, Gate) {
    let book = Arc::new(Published::default());
    let until = at(1_000);
    let bar = |value: &str, id, force| Change::Bar {
        range: value.parse().unwrap(),
        id,
        force,
        until,
    };
    book.publish(&[
        bar(BANNED, 2, Force::Ban),
        bar(THROTTLED, 3, Force::Throttle),
        bar(CHALLENGED, 4, Force::Challenge),
        bar(OBSERVED, 5, Force::Observe),
        bar(CAPTCHA, 6, Force::Other),
        bar(ALLOWED, 8, Force::Ban),
        Change::Allow {
            range: ALLOWED.parse().unwrap(),
            id: 7,
            until,
        },
    ]);
    (Arc::clone(&book), Gate::new(book, settings))
}

pub fn facts<'a>(site: &'a SitePolicy, client: &str) -> Facts<'a> {
    Facts {
        site,
        client: ClientAddr::new(client.parse().unwrap()),
        naming: gate::Naming::Known,
        peer_is_proxy: false,
        method: b"GET",
        target: b"/",
        host: b"app.example.org",
        user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        header_count: 12,
        ambiguous_path: false,
        version: 11,
        is_tls: true,
        session: false,
        foreign_exploit: Question::NO,
    }
}
