//! What a request costs detection: `cargo bench -p detect --bench price`.
//!
//! Our own rules from `rules/`; with `RINGWALL_HUB=DIR` the hub's
//! `crowdsecurity/base-http-scenarios` beside them. Figures are the thread's own
//! CPU time, the best of several rounds, since machines are shared.

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
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Live);
    let mut scratch = Scratch::new(&program, Seed::new(7));
    for (what, target, status) in [
        ("static file", "/assets/app.3f2a1b.js", 200),
        (
            "page with a query",
            "/products/blue-widget?page=2&sort=price",
            200,
        ),
        ("page that is not there", "/old/page.php", 404),
    ] {
        let event = request(target, status);
        let best = (0..ROUNDS)
            .map(|_| round(&program, &shards, &mut scratch, &event))
            .min();
        println!("{name}: {what}: {:?}", best.unwrap_or_default());
    }
}

fn round(
    program: &Program,
    shards: &Shards,
    scratch: &mut Scratch,
    event: &HttpEvent<'_>,
) -> Duration {
    let mut alerts = Vec::new();
    let start = cpu();
    for _ in 0..EACH {
        let mut seen = program.observe(event, scratch);
        shards.apply(
            program.specs(),
            seen.pours,
            &mut seen.occurrence,
            event.time,
            &mut alerts,
        );
    }
    (cpu() - start) / EACH
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

fn request(target: &str, status: u16) -> HttpEvent<'_> {
    HttpEvent {
        time: Timestamp::from_unix_seconds(1_790_000_000),
        site: Cow::Borrowed("shop"),
        client: ClientAddr::new([192, 0, 2, 7].into()),
        method: Cow::Borrowed("GET"),
        target: Cow::Borrowed(target),
        version: 11,
        host: Cow::Borrowed("shop.example"),
        status,
        user_agent: Cow::Borrowed(AGENT),
        referer: Cow::Borrowed("https://shop.example/"),
        body_bytes: Some(5_120),
        tls: true,
        request_id: 1,
        session: false,
    }
}
