//! slowhttptest in its four modes against the default limits: bounded, while every
//! visitor is served. Slowness is bounded and not punished: nobody is banned for it,
//! since a bad line looks the same. A hundred forms sent to a login are guesses all the
//! same, however slowly they come, and that is what slow bodies are barred for.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::attack::Tool;
use crate::house::{self, Field, Guarded as _, PORT, Site};
use crate::network::{EDGE, inside};
use crate::{BROWSER, ready};

/// `edge.limits.connections_per_address`, by default.
const CONNECTIONS: usize = 256;
/// How much the whole program may grow while it is attacked.
const GROWTH: u64 = 64 * 1024 * 1024;
/// How many milliseconds a visit may take in the middle, and at the 99th percentile: many
/// times what is measured where everything runs on two busy cores.
const MEDIAN: f64 = 250.0;
const P99: f64 = 2000.0;
/// How long an attack lasts.
const SECONDS: u64 = 20;

/// One of slowhttptest's modes.
#[derive(Debug)]
pub struct Mode {
    pub name: &'static str,
    path: &'static str,
    more: &'static [&'static str],
    /// Whether it holds connections open until some are refused.
    refused: bool,
    /// How the rule begins that bars it, if one does.
    banned: Option<&'static str>,
}

/// All four. The list of ranges stays below the longest header line, so that the site gets
/// to see it: there are no rules about ranges here, and the site answers each at once.
#[rustfmt::skip]
pub const MODES: [&Mode; 4] = [
    &Mode { name: "slow heads", path: "/item?id=1", more: &["-H", "-i", "3"], refused: true, banned: None },
    &Mode { name: "slow bodies", path: "/login", more: &["-B", "-i", "3", "-s", "8192"],
        refused: true, banned: Some("ringwall/http-form-bruteforce") },
    &Mode { name: "ranges", path: "/large", more: &["-R", "-a", "1", "-b", "2000"], refused: false, banned: None },
    &Mode { name: "slow readers", path: "/large", more: &[
        "-X", "-w", "64", "-y", "512", "-n", "2", "-z", "32", "-k", "3",
    ], refused: true, banned: None },
];

impl Mode {
    fn words(&self) -> Vec<String> {
        let seconds = SECONDS.to_string();
        [
            "-c", "600", "-r", "200", "-p", "5", "-v", "0", "-l", &seconds,
        ]
        .iter()
        .chain(self.more)
        .map(|word| (*word).to_owned())
        .chain([
            "-u".to_owned(),
            format!("http://{EDGE}:{PORT}{}", self.path),
        ])
        .collect()
    }

    /// As one would type it.
    pub fn shown(&self) -> String {
        format!("slowhttptest {}", self.words().join(" "))
    }

    fn command(&self, namespace: &str) -> Command {
        let mut command = inside(namespace, "timeout");
        command
            .arg((SECONDS + 10).to_string())
            .arg("slowhttptest")
            .args(self.words())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// What a mode came to.
pub struct Bounded {
    name: &'static str,
    most_open: usize,
    memory: (u64, u64),
    refusals: Vec<String>,
    reached: usize,
    banned: Option<String>,
    visits: Vec<Visits>,
}

impl Bounded {
    /// A row of the table.
    pub fn row(&self) -> String {
        let told: Vec<String> = self.visits.iter().map(Visits::told).collect();
        format!(
            "| {} | {} | {} to {} | {}; {} requests reached the site; {} | {} |",
            self.name,
            self.most_open,
            self.memory.0 >> 20,
            self.memory.1 >> 20,
            self.refusals.join(", "),
            self.reached,
            self.banned.as_deref().unwrap_or("not banned"),
            told.join("; ")
        )
    }
}

/// Runs one mode, and looks at visitors, connections and memory meanwhile.
pub fn bounded(mode: &Mode) -> Bounded {
    let mut field = Field::make(Site::Shop, house::Mode::Enforce);
    let (attacker, visitor) = (field.network.stranger(30), field.network.stranger(20));
    let before = resident(field.ringwall.id());
    let visitors = [
        Visitor::of_new_connections(&visitor),
        Visitor::on_one_connection(&visitor),
    ];
    let attack = Tool::start(mode.command(&attacker));
    let began = Instant::now();
    let (mut most_open, mut most_memory) = (0, before);
    while began.elapsed() < Duration::from_secs(SECONDS + 2) {
        most_open = most_open.max(open(&field, "198.51.100.30"));
        most_memory = most_memory.max(resident(field.ringwall.id()));
        std::thread::sleep(Duration::from_millis(250));
    }
    drop(attack);
    let visits = visitors.map(Visitor::leave).into();
    let found = Bounded {
        name: mode.name,
        most_open,
        memory: (before, most_memory),
        refusals: field.refusals(),
        reached: field.reached("198.51.100.30"),
        banned: field.barred("198.51.100.30"),
        visits,
    };
    let said = field.said();
    field.ringwall.terminate(Duration::from_secs(40));
    found.check(mode, &said);
    found
}

impl Bounded {
    fn check(&self, mode: &Mode, said: &str) {
        println!("{}", self.row());
        let name = self.name;
        for visits in &self.visits {
            let (wrong, count) = (&visits.wrong, visits.took.len() as u64);
            assert!(wrong.is_empty(), "{name}: {wrong:?}\n{said}");
            assert!(count >= 5 * SECONDS, "{name}: only {count} visits");
            let (middle, slow) = (visits.millis(50), visits.millis(99));
            assert!(
                middle < MEDIAN && slow < P99,
                "{name}: visits took {middle:.0} ms, {slow:.0} ms at the 99th percentile"
            );
        }
        match (mode.banned, self.banned.as_deref()) {
            (None, None) => {}
            (Some(rule), Some(by)) if by.starts_with(rule) => {}
            (want, found) => panic!("{name}: barred by {found:?} and not by {want:?}\n{said}"),
        }
        // What waits to be accepted, only to be refused, is open for the kernel, too.
        let open = self.most_open;
        assert!(
            open <= CONNECTIONS + 32,
            "DENY {name}: {open} connections were open"
        );
        let came = if mode.refused {
            !self.refusals.is_empty() && self.reached > 0
        } else {
            self.reached > 500
        };
        assert!(came, "{name}: the attack came to nothing");
        let (before, most) = self.memory;
        assert!(
            most < before + GROWTH,
            "DENY {name}: {before} to {most} bytes"
        );
    }
}

/// Somebody who asks for pages ten times a second, and curl's account of it.
struct Visitor {
    curl: std::process::Child,
    kind: &'static str,
}

/// What a visitor saw.
struct Visits {
    kind: &'static str,
    took: Vec<f64>,
    wrong: Vec<String>,
    opened: usize,
}

impl Visitor {
    fn of_new_connections(namespace: &str) -> Self {
        Self::start(namespace, "new connections", &["-H", "Connection: close"])
    }

    fn on_one_connection(namespace: &str) -> Self {
        Self::start(namespace, "one connection", &[])
    }

    fn start(namespace: &str, kind: &'static str, more: &[&str]) -> Self {
        // The fragment is not sent. More visits than it gets to make; it is told to leave.
        let pages = format!("http://{EDGE}:{PORT}/about#[1-1000]");
        let curl = inside(namespace, "timeout")
            .args([
                "90",
                "curl",
                "-s",
                "-m",
                "5",
                "--rate",
                "10/s",
                "-o",
                "/dev/null",
            ])
            .args([
                "-w",
                "%{stderr}%{http_code} %{time_total} %{num_connects}\n",
                "-A",
                BROWSER,
            ])
            .args(more)
            .arg(pages)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Not buffered, so that nothing is lost when it is told to leave.
            .stderr(Stdio::piped())
            .spawn()
            .expect("curl starts");
        Self { curl, kind }
    }

    fn leave(self) -> Visits {
        crate::support::signal(self.curl.id(), "TERM");
        let output = self.curl.wait_with_output().expect("curl ends");
        let mut visits = Visits {
            kind: self.kind,
            took: Vec::new(),
            wrong: Vec::new(),
            opened: 0,
        };
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [code, took, opened] = fields[..] else {
                continue;
            };
            if code != "200" {
                visits.wrong.push(line.to_owned());
            }
            visits.took.push(took.parse().unwrap_or(f64::MAX));
            visits.opened += opened.parse().unwrap_or(0);
        }
        visits
    }
}

impl Visits {
    fn told(&self) -> String {
        let all = self.took.len();
        let served = match self.wrong.len() {
            0 => "all served".to_owned(),
            wrong => format!("{} served", all - wrong),
        };
        format!(
            "{all} visits over {}, {} opened, {served}; median {:.1} ms, p99 {:.1} ms",
            self.kind,
            self.opened,
            self.millis(50),
            self.millis(99)
        )
    }

    /// How long the visit took that is slower than `part` per cent of them.
    fn millis(&self, part: usize) -> f64 {
        let mut took = self.took.clone();
        took.sort_by(f64::total_cmp);
        let at = took.get(took.len() * part / 100);
        at.copied().unwrap_or(f64::MAX) * 1000.0
    }
}

/// Connections of an address that the protected host's kernel holds open.
fn open(field: &Field, address: &str) -> usize {
    let output = inside(&field.network.edge(), "ss")
        .args(["-Htn", "state", "established", "dst", address])
        .output()
        .expect("ss runs");
    output.stdout.iter().filter(|byte| **byte == b'\n').count()
}

/// Resident bytes of a process and its children.
fn resident(id: u32) -> u64 {
    let children = format!("/proc/{id}/task/{id}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let of = |id: &str| {
        let text = std::fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
        let pages = text
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok());
        pages.unwrap_or(0) * 4096
    };
    of(&id.to_string()) + children.split_whitespace().map(of).sum::<u64>()
}

fn passes(mode: &Mode) {
    if ready(&["slowhttptest", "ss"]) {
        bounded(mode);
    }
}

#[test]
fn slow_heads_are_bounded_and_visitors_notice_nothing() {
    passes(MODES[0]);
}

#[test]
fn slow_bodies_are_bounded_and_visitors_notice_nothing() {
    passes(MODES[1]);
}

#[test]
fn many_ranges_are_bounded_and_visitors_notice_nothing() {
    passes(MODES[2]);
}

#[test]
fn slow_readers_are_bounded_and_visitors_notice_nothing() {
    passes(MODES[3]);
}
