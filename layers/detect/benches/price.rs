//! What a request costs detection: `cargo bench -p detect --bench price`.
//!
//! Our own rules from `rules/`; with `RINGWALL_HUB=DIR` the hub's
//! `crowdsecurity/base-http-scenarios` beside them. Figures are the thread's own
//! CPU time, the best of several rounds, since machines are shared: first for one
//! visitor who asks for the same again, then for many who ask for different pages.
//! `RINGWALL_PRICE=WORD` measures only what has the word in its name, and
//! `RINGWALL_ROUNDS=N` sets the number of rounds, for looking on with a profiler.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops when it cannot run"
)]

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use detect::bucket::Seed;
use detect::program::{Options, Program, Scratch};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Items};
use detect::shard::{Limits, Mode, Shards};
use vocab::{ClientAddr, HttpEvent, Timestamp};

const ROUNDS: u32 = 7;
const EACH: u32 = 50_000;
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";

fn main() {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules"));
    measure("own rules", &Place::new(own), &[]);
    if let Some(hub) = std::env::var_os("RINGWALL_HUB") {
        measure(
            "hub base-http-scenarios",
            &Place::new(hub),
            &["crowdsecurity/base-http-scenarios"],
        );
    }
}

fn measure(name: &str, place: &Place, items: &[&str]) {
    let sources = place.sources().expect("rules can be read");
    let items = Items {
        names: items.iter().map(|item| (*item).to_owned()).collect(),
        exact: false,
    };
    let set = rules::load(&sources, &items, &Bounds::default());
    let data = place.data(&set.data).expect("data files can be read");
    let (program, _) = Program::build(&set, &data, &Options { live: true });
    let only = std::env::var("RINGWALL_PRICE").unwrap_or_default();
    for (what, method, target, status) in [
        ("static file", "GET", "/assets/app.3f2a1b.js", 200),
        ("page", "GET", "/products/blue-widget", 200),
        (
            "page with a query",
            "GET",
            "/products/blue-widget?page=2&sort=price",
            200,
        ),
        ("page that is not there", "GET", "/old/page.php", 404),
        ("login", "POST", "/account/login", 302),
    ] {
        for (crowd, visitors) in [("one visitor", 1), ("many visitors", 4_096)] {
            let line = format!("{name}: {what}, {crowd}");
            // One visitor who logs in again and again is an attack.
            if !line.contains(&only) || (visitors == 1 && method == "POST") {
                continue;
            }
            let traffic: Vec<Asked> = (0..visitors)
                .map(|number| Asked::new(method, target, status, number))
                .collect();
            println!("{line}: {:?}", price(&program, &traffic));
        }
    }
}

/// The best of several rounds.
fn price(program: &Program, traffic: &[Asked]) -> Duration {
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Live);
    let mut scratch = Scratch::new(program, Seed::new(7));
    let rounds = std::env::var("RINGWALL_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS);
    let mut time = Timestamp::from_unix_seconds(1_790_000_000);
    let mut alerts: Vec<vocab::Alert> = Vec::new();
    let best = (0..rounds)
        .map(|_| {
            let start = cpu();
            for asked in traffic.iter().cycle().take(EACH as usize) {
                // Each of many visitors comes every 20 seconds.
                if traffic.len() > 1 {
                    time = time.after(Duration::from_millis(5));
                }
                let mut seen = program.observe(&asked.event(time), &mut scratch);
                shards.apply(
                    program.specs(),
                    seen.pours,
                    &mut seen.occurrence,
                    time,
                    &mut alerts,
                );
            }
            (cpu() - start) / EACH
        })
        .min();
    assert!(alerts.is_empty(), "ordinary traffic raises no alert");
    best.unwrap_or_default()
}

/// What this thread has used of the processor.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says it");
    Duration::from_nanos(
        text.split(' ')
            .next()
            .and_then(|nanos| nanos.parse().ok())
            .unwrap_or(0),
    )
}

/// A visitor and what it asks for.
struct Asked {
    method: &'static str,
    target: String,
    status: u16,
    client: ClientAddr,
    agent: String,
}

impl Asked {
    fn new(method: &'static str, target: &str, status: u16, visitor: u32) -> Self {
        // Others ask for other pages, and have another browser.
        let target = match visitor {
            0 => target.to_owned(),
            _ => format!("/{}{target}", visitor % 1_000),
        };
        let [_, _, third, fourth] = visitor.wrapping_add(7).to_be_bytes();
        Self {
            method,
            target,
            status,
            client: ClientAddr::new([192, 0, third, fourth].into()),
            agent: AGENT.replace("142", &(142 - visitor % 50).to_string()),
        }
    }

    fn event(&self, time: Timestamp) -> HttpEvent<'_> {
        HttpEvent {
            time,
            site: Cow::Borrowed("shop"),
            client: self.client,
            method: Cow::Borrowed(self.method),
            target: Cow::Borrowed(&self.target),
            version: 11,
            host: Cow::Borrowed("shop.example"),
            status: self.status,
            user_agent: Cow::Borrowed(&self.agent),
            referer: Cow::Borrowed("https://shop.example/"),
            body_bytes: Some(5_120),
            tls: true,
            request_id: 1,
            session: false,
            credentials: None,
            foreign: false,
            login: None,
        }
    }
}
