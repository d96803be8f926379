//! What the tests share.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use book::{Entry, EntryId, NodeId, Op};
use store::{Health, Store};
use vocab::{Alert, Decision, DecisionId, Evidence, Kind, Origin, Scope, Source, Timestamp};

pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + seconds)
}

pub(crate) fn decision(number: u128, until: Timestamp) -> Decision {
    Decision {
        id: DecisionId(number),
        scope: Scope::Ip,
        value: format!("198.51.100.{}", number % 256),
        kind: Kind::Ban,
        origin: Origin::Detection,
        reason: "test/scenario".to_owned(),
        created: time(0),
        until,
    }
}

pub(crate) fn entry_of(seq: u64, at: Timestamp, op: Op) -> Entry {
    Entry {
        node: NodeId(7),
        epoch: 1,
        seq,
        uuid: EntryId(seq.into()),
        at,
        op,
    }
}

pub(crate) fn entry(seq: u64) -> Entry {
    let decision = decision(seq.into(), Timestamp::MAX);
    entry_of(seq, time(0), Op::Add { decision })
}

pub(crate) fn alert(number: u64) -> Alert {
    Alert {
        scenario: format!("test/scenario-{}", number % 3),
        scenario_hash: String::new(),
        source: Source {
            scope: Scope::Ip,
            value: format!("203.0.113.{}", number % 200),
            ip: format!("203.0.113.{}", number % 200).parse().ok(),
            whereabouts: None,
        },
        events_count: number,
        start_at: time(0),
        stop_at: time(1),
        events: vec![Evidence {
            time: time(0),
            meta: vec![
                ("cookie".to_owned(), "sid=secret-cookie".to_owned()),
                ("http_path".to_owned(), "/a?password=hunter2&b=1".to_owned()),
            ],
        }],
        remediation: true,
        simulated: false,
        labels: Vec::new(),
        context: Vec::new(),
        exempt: None,
    }
}

/// A seeded generator, good enough to choose moments and bytes.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Waits, bounded, until the store's health is as wanted.
pub(crate) fn until(store: &Store, wanted: impl Fn(&Health) -> bool) -> Health {
    let deadline = Instant::now() + SOON;
    loop {
        let health = store.health();
        if wanted(&health) {
            return health;
        }
        assert!(Instant::now() < deadline, "still {health:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A command that runs one test of this binary as a process of its own.
pub(crate) fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .stdout(Stdio::piped());
    command
}

pub(crate) const CHILD: &str = "RINGWALL_STORE_TEST_CHILD";

/// The directory to work in when this process is such a child.
pub(crate) fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD).map(Into::into)
}

/// Runs one test of this binary behind a mount made for it alone; `script` gets
/// the directory as `$1`. Says so where that is impossible here.
pub(crate) fn behind_mount(script: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let inner = child(test, dir.path());
    let outcome = Command::new("unshare")
        .args(["--mount", "sh", "-ec"])
        .arg(format!("{script}\nshift\nexec \"$@\""))
        .arg("sh")
        .arg(dir.path())
        .arg(inner.get_program())
        .args(inner.get_args())
        .env(CHILD, dir.path())
        .output();
    let able = Command::new("unshare").args(["--mount", "true"]).status();
    if !able.is_ok_and(|status| status.success()) {
        return unavailable("mount namespaces need root and the unshare command");
    }
    let output = outcome.unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(ran, "the child ran no test");
}

pub(crate) fn unavailable(why: &str) {
    let all = std::env::var_os("RINGWALL_TEST_ALL").is_some_and(|value| value == "1");
    assert!(!all, "cannot run here: {why}");
    println!("NOT RUN: {why}");
}
