//! What judging costs: `cargo bench -p gate`. Prints nanoseconds a call, best of many short rounds,
//! so that a busy machine disturbs little.
#![expect(clippy::print_stdout, reason = "prints its figures")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up fails")]

use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use book::{Change, Force, Published, View};
use gate::{
    Answered, Credentials, Facts, Gate, Mode, Question, RateTable, Sessions, Settings, SitePolicy,
    Tools, Whereabouts,
};
use vocab::{Cidr, ClientAddr, Timestamp};

const CALLS: usize = 2_048;
const AGENT: &[u8] = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

fn measure(what: &str, mut call: impl FnMut(usize)) {
    let best = (0..2_000)
        .map(|round| {
            let start = Instant::now();
            (round * CALLS..(round + 1) * CALLS).for_each(&mut call);
            start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{best:8.1} ns  {what}");
}

fn scattered(number: usize) -> u32 {
    (number as u32).wrapping_mul(0x9e37_79b9) | 1
}

fn bans() -> Vec<Change> {
    let ban = |number: usize| {
        let bits = scattered(number);
        let four = IpAddr::V4(Ipv4Addr::from_bits(bits));
        let six = IpAddr::V6(Ipv6Addr::from_bits(
            (0x2001_0db8_u128 << 96) | u128::from(bits) << 64,
        ));
        let range = match number % 10 {
            0..7 => Cidr::host(four),
            7 => Cidr::new(four, 24).unwrap(),
            _ => Cidr::new(six, 64).unwrap(),
        };
        Change::Bar {
            range,
            id: number as u128 + 1,
            force: Force::Ban,
            until: Timestamp::MAX,
        }
    };
    (0..100_000).map(ban).collect()
}

fn main() {
    let start = Instant::now();
    let view = View::of(&bans());
    println!(
        "{:8.1} ms  build a view of 100,000",
        start.elapsed().as_secs_f64() * 1e3
    );
    let start = Instant::now();
    let merged = view.merged(Some(Timestamp::EPOCH));
    println!("{:8.1} ms  merge it", start.elapsed().as_secs_f64() * 1e3);
    drop(merged);
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let four = |number: usize| IpAddr::V4(Ipv4Addr::from_bits(scattered(number + 7_000_000) & !1));
    let six = |number: usize| {
        let bits = u128::from(scattered(number) & !1) << 64 | 9;
        IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | bits))
    };
    let four: Vec<IpAddr> = (0..65_536).map(four).collect();
    let six: Vec<IpAddr> = (0..65_536).map(six).collect();
    for (what, clients) in [("IPv4", &four), ("IPv6", &six)] {
        measure(&format!("lookup, strangers, {what}"), |call| {
            black_box(view.standing(clients[call & 0xffff], now));
        });
    }
    let published = Arc::new(Published::new(view));
    let start = Instant::now();
    for number in 0..1_000 {
        let range = Cidr::host(IpAddr::V4(Ipv4Addr::from_bits(scattered(
            number + 5_000_000,
        ))));
        let (id, until) = (number as u128 + 1_000_000, Timestamp::MAX);
        published.publish(&[Change::Bar {
            range,
            id,
            force: Force::Ban,
            until,
        }]);
    }
    println!(
        "{:8.1} µs  publish one (mean of 1,000)",
        start.elapsed().as_secs_f64() * 1e3
    );
    judge(&published, &four, &six, now);
    sessions(now);
}

/// What it costs to know who is logged in, as browsers send their cookies.
fn sessions(now: Timestamp) {
    const COOKIES: &[u8] = b"_ga=GA1.1.1234567890.1763800000; theme=dark; lang=en; \
        wordpress_logged_in_0123456789abcdef=ann%7C1764000000%7C0123456789abcdef0123456789abcdef; \
        wp-settings-1=libraryContent%3Dbrowse; sid=0123456789abcdef0123456789abcdef";
    let sessions = Sessions::default();
    let place = |client: u32| Whereabouts {
        site: "app",
        host: "app.example.org",
        client: ClientAddr::new(IpAddr::V4(Ipv4Addr::from_bits(client))),
    };
    let answered = Answered {
        method: b"GET",
        target: b"/admin",
        is_tls: true,
        accept: b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        referer: b"",
        status: 200,
        location: b"",
    };
    let with = |lines: &'static [&'static [u8]]| Credentials {
        authorization: None,
        cookies: lines.iter().copied(),
    };
    let denied = Answered {
        status: 401,
        ..answered
    };
    let learn = |client, credentials, answered: &Answered<'_>, was| {
        sessions.learn(&place(client), credentials, answered, was, || true, now)
    };
    let (none, cookies) = (with(&[]), with(&[COOKIES]));
    let carried = |client| sessions.carried(&place(client), &cookies, now);
    measure("cookies, before any session is known", |_| {
        black_box(carried(1));
    });
    learn(1, &none, &denied, false);
    learn(2, &none, &denied, false);
    assert!(learn(7, &cookies, &answered, false), "accepted");
    measure("cookies of a stranger, 6 pairs, 231 bytes", |_| {
        black_box(carried(1));
    });
    measure("cookies of a session", |_| {
        black_box(carried(7));
    });
    let page = Answered {
        target: b"/blog/2026/11/a-page-that-everybody-may-see",
        ..answered
    };
    measure("learning, an open page without cookies", |_| {
        black_box(learn(1, &none, &page, false));
    });
    measure("learning, an open page with cookies", |_| {
        black_box(learn(7, &cookies, &page, true));
    });
    measure("learning, a proof", |_| {
        black_box(learn(7, &cookies, &answered, true));
    });
}

fn judge(published: &Arc<Published>, four: &[IpAddr], six: &[IpAddr], now: Timestamp) {
    let tools = Tools::parse(include_str!("../../../rules/attack-tools.txt")).unwrap();
    measure("user agent alone", |_| {
        black_box(tools.named_by(black_box(AGENT)));
    });
    let rates = RateTable::new(1 << 16);
    let rate = Settings::default().requests.unwrap();
    for (what, clients) in [("65,536", four), ("1,000", &four[..1_000])] {
        measure(&format!("rate alone, {what} clients"), |call| {
            let now = Timestamp::from_unix_nanos(now.unix_nanos() + call as i64 * 1_000_000);
            black_box(rates.count(1, clients[call % clients.len()], rate, now));
        });
    }
    measure("load the view", |_| {
        black_box(published.load());
    });
    let settings = Settings {
        tools: Arc::new(tools),
        ..Settings::default()
    };
    let gate = Gate::new(Arc::clone(published), settings);
    let site = SitePolicy {
        mode: Mode::Default,
        ..SitePolicy::new(1, now)
    };
    let facts = |client| Facts {
        site: &site,
        client: ClientAddr::new(client),
        naming: gate::Naming::Known,
        peer_is_proxy: false,
        method: b"GET",
        target: b"/",
        host: b"app.example.org",
        user_agent: AGENT,
        header_count: 14,
        ambiguous_path: false,
        version: 11,
        is_tls: true,
        session: false,
        foreign_exploit: Question::NO,
    };
    for merged in [false, true] {
        if merged {
            published.merge(now);
        }
        let overlay = published.load().overlay();
        for (what, clients) in [
            ("many, IPv4", four),
            ("many, IPv6", six),
            ("1,000, IPv4", &four[..1_000]),
        ] {
            measure(
                &format!("judge, {what}, {overlay} marks in the overlay"),
                |call| {
                    let now =
                        Timestamp::from_unix_nanos(now.unix_nanos() + call as i64 * 1_000_000);
                    black_box(gate.judge(&facts(clients[call % clients.len()]), now));
                },
            );
        }
    }
}
