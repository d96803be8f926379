//! What the sieve proves is not asked again, and what an event was hashed to once is
//! used again. Asked in full, by `explain`, the scenarios must say exactly the same.

use core::num::NonZeroU64;
use detect::bucket::Seed;
use detect::explain::Trace;
use detect::program::Scratch;
use vocab::{ClientAddr, HttpEvent};

use super::{BROWSER, attacks, live_program, ordinary, start};

/// Numbers that look like chance, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len())]
    }
}

/// Pieces of which targets are made up: words of the rules, their neighbours, escapes.
const PIECES: [&str; 40] = [
    "/",
    "/",
    "/",
    "?",
    "&",
    "=",
    "%2e",
    "%2F",
    "..",
    "+",
    "%20",
    "%27",
    "'",
    "or",
    "1=1",
    "union",
    "SELECT",
    "<script>",
    "alert(",
    "api",
    "thumbs",
    "static",
    "login",
    "wp-login.php",
    "LogOn",
    "session",
    ".env",
    ".git/",
    "phpmyadmin",
    "c99.php",
    "app.js",
    "x.css",
    "a.zip",
    "search",
    "query",
    "/.well-known/",
    "favicon.ico",
    "\u{e4}",
    "\u{212a}",
    "blue-widget",
];
const METHODS: [&str; 5] = ["GET", "GET", "HEAD", "POST", "PROPFIND"];
const AGENTS: [&str; 9] = [
    BROWSER,
    BROWSER,
    "",
    "-",
    "curl/8",
    "Googlebot/2.1",
    "sqlmap/1.8",
    "\u{17f}qlmap \u{e4}",
    "python-requests/2",
];
const REFERERS: [&str; 3] = ["", "-", "https://www.example.org/"];
const STATUSES: [u16; 9] = [200, 200, 204, 302, 304, 401, 403, 404, 422];
const ADDRESSES: [&str; 2] = ["203.0.113.9", "2001:db8::9"];

#[test]
fn what_is_not_asked_would_have_been_answered_the_same() {
    let program = live_program();
    let mut scratch = Scratch::new(program, Seed::new(3));
    let mut dice = Dice(1);
    let mut targets: Vec<String> = ordinary::cases()
        .into_iter()
        .map(|(_, case)| case)
        .chain(attacks::cases().into_iter().map(|(_, _, case)| case))
        .flat_map(|case| case.visits)
        .map(|visit| visit.target)
        .collect();
    targets.sort_unstable();
    targets.dedup();
    for _ in 0..6_000 {
        let pieces = 1 + dice.below(7);
        let made: String = (0..pieces).map(|_| dice.of(&PIECES)).collect();
        targets.push(format!("/{made}"));
    }
    let mut pours = 0;
    for target in &targets {
        let event = HttpEvent {
            time: start(),
            site: "site".into(),
            client: ClientAddr::new(dice.of(&ADDRESSES).parse().unwrap()),
            method: dice.of(&METHODS).into(),
            target: target.into(),
            version: 11,
            host: "www.example.org".into(),
            status: STATUSES[dice.below(STATUSES.len())],
            user_agent: dice.of(&AGENTS).into(),
            referer: dice.of(&REFERERS).into(),
            body_bytes: Some(100),
            tls: true,
            request_id: 1,
            session: dice.below(8) == 0,
            credentials: NonZeroU64::new(dice.below(3) as u64),
            foreign: dice.below(16) == 0,
            login: (dice.below(4) == 0).then(|| vocab::Login {
                account: dice.below(9) as u64,
                guess: (dice.below(4) != 0).then(|| dice.below(9) as u32),
                by: [
                    vocab::LoginBy::Form,
                    vocab::LoginBy::Json,
                    vocab::LoginBy::Basic,
                ][dice.below(3)],
            }),
        };
        let short = program.observe(&event, &mut scratch).pours.to_vec();
        let mut trace = Trace::default();
        let full = program.explain_request(&event, &mut scratch, &mut trace);
        assert_eq!(short, full.pours, "{event:?}");
        pours += short.len();
    }
    assert!(pours > targets.len(), "most events pour: {pours}");
    assert_eq!(scratch.counted().errors, 0, "no expression fails");
}
