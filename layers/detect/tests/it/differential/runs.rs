//! The runs: Debian's crowdsec in namespaces of its own, and ours.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use detect::alert::JsonLine;
use detect::program::{Options, Program};
use detect::replay::{self, Origin, replay};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Items};
use sha2::{Digest as _, Sha256};
use vocab::Timestamp;

use super::compare::{Seen, canonical, said};
use super::peer_home::{Home, Item};
use super::{Raised, debian};
use crate::shared::shared;
use crate::traffic::Server;

/// What both run.
const ITEMS: [Item<'static>; 7] = [
    ("parsers", "crowdsecurity/syslog-logs"),
    ("parsers", "crowdsecurity/dateparse-enrich"),
    ("parsers", "crowdsecurity/whitelists"),
    ("collections", "crowdsecurity/nginx"),
    ("collections", "crowdsecurity/apache2"),
    ("collections", "crowdsecurity/sshd"),
    ("collections", "crowdsecurity/haproxy"),
];

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringwall-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A crowdsec that reads a log, ended with the test.
struct Reading(Child);

impl Drop for Reading {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Debian's crowdsec reading a log, twice at once.
pub(super) struct Twice {
    runs: Vec<(Reading, PathBuf)>,
    /// Where what it says is kept, and looked for first: it takes long.
    kept: Option<PathBuf>,
    folder: Folder,
}

impl Twice {
    pub(super) fn start(server: Server, lines: &[Vec<u8>]) -> Self {
        let mut text = lines.join(&b'\n');
        text.push(b'\n');
        let kept = std::env::var_os("RINGWALL_DIFFERENTIAL_KEPT").map(|folder| {
            let hash: String = hex(&Sha256::digest(&text));
            let kept = Path::new(&folder).join(format!("{}-{hash}", server.name()));
            std::fs::create_dir_all(&kept).expect("the folder can be made");
            kept
        });
        let folder = Folder::make(server.name());
        let log = folder.0.join("log");
        std::fs::write(&log, text).expect("the log can be written");
        let known = kept
            .as_ref()
            .is_some_and(|kept| kept.join("second").exists());
        let runs = ["first", "second"].iter().filter(|_| !known);
        let runs = runs.map(|name| {
            let home = folder.0.join(name);
            (start(server, &home, &log), home)
        });
        Self {
            runs: runs.collect(),
            kept,
            folder,
        }
    }

    /// What each raised, once both have read to the end.
    pub(super) fn end(mut self) -> [Vec<Seen>; 2] {
        for (reading, home) in &mut self.runs {
            let status = reading.0.wait().expect("crowdsec ends");
            let text = words(home);
            assert!(status.success(), "crowdsec failed: {}", tail(&text));
            if let (Some(kept), Some(name)) = (&self.kept, home.file_name()) {
                std::fs::write(kept.join(name), text).expect("its words can be kept");
            }
        }
        let folder = self.kept.as_ref().unwrap_or(&self.folder.0);
        ["first", "second"].map(|name| {
            let path = folder.join(name);
            let text = if path.is_dir() {
                words(&path)
            } else {
                std::fs::read_to_string(&path).expect("its words were kept")
            };
            text.lines().filter_map(said).collect()
        })
    }
}

fn words(home: &Path) -> String {
    std::fs::read_to_string(home.join("said")).expect("crowdsec's words")
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

fn start(server: Server, folder: &Path, log: &Path) -> Reading {
    let debian = debian();
    let home = Home {
        debian: &debian,
        folder,
        items: &ITEMS,
        // With it, crowdsec stops now and then and never goes on: who hands an overflow to
        // the parsers waits for them, they wait for a bucket, and the bucket for the former.
        without: Some("reprocess: true"),
    };
    home.furnish().expect("crowdsec can be laid out");
    // Alerts are compared, not what it would do about them.
    let profile = "name: none\nfilters: ['1 == 2']\ndecisions: [{type: ban, duration: 4h}]\non_success: break\n";
    std::fs::write(folder.join("profiles.yaml"), profile).expect("a file can be written");
    let words = File::create(folder.join("said")).expect("a file can be made");
    let source = format!("file://{}", log.display());
    let mut command = home.run("crowdsec", &["-dsn", &source, "-type", server.label()]);
    command
        // Fewer collections of garbage: it reads a sixth faster.
        .env("GOGC", "800")
        .stdin(Stdio::null())
        .stderr(words.try_clone().expect("a file can be shared"))
        .stdout(words);
    Reading(command.spawn().expect("crowdsec starts"))
}

/// Ours with the same items.
pub(super) fn program() -> Option<Program> {
    let debian = debian();
    let home = Home {
        debian: &debian,
        folder: Path::new(""),
        items: &ITEMS,
        without: None,
    };
    let place = Place {
        patterns: vec![
            debian.join("etc/crowdsec/patterns"),
            shared("crowdsec/patterns")?,
        ],
        data: vec![debian.join("usr/share/crowdsec/data")],
        ..Place::new(home.hub())
    };
    let items = Items {
        names: ITEMS.iter().map(|(_, name)| (*name).to_owned()).collect(),
        exact: false,
    };
    let sources = place.sources().expect("Debian's hub can be read");
    let set = rules::load(&sources, &items, &Bounds::default());
    assert_eq!(set.faults, []);
    let mut data = place.data(&set.data).expect("the lists can be read");
    for file in &set.data {
        // Debian has a list under its source's name.
        if data.get(&file.dest_file).is_none() {
            let name = file.source_url.rsplit('/').next().unwrap_or_default();
            let list = debian.join("usr/share/crowdsec/data").join(name);
            let bytes = std::fs::read(list).expect("the list is there");
            data.add(&file.dest_file, file.kind, bytes);
        }
    }
    let (program, faults) = Program::build(&set, &data, &Options { live: false });
    assert_eq!(faults, []);
    Some(program)
}

/// What ours raises.
pub(super) fn ours(
    program: &Program,
    server: Server,
    lines: &[Vec<u8>],
    now: Timestamp,
    threads: usize,
) -> Raised {
    let options = replay::Options {
        threads,
        ..replay::Options::new(now)
    };
    let mut raised = Raised {
        alerts: Vec::new(),
        text: String::new(),
    };
    let summary = replay(
        program,
        &[Origin::of_type("log", server.label())],
        lines.iter().map(|line| (0, line)),
        &options,
        |alert| {
            raised.text.push_str(&JsonLine(&alert).to_string());
            raised.text.push('\n');
            raised.alerts.push(Seen {
                scenario: alert.scenario.clone(),
                source: canonical(&alert.source.value).unwrap_or_default(),
                start: alert.start_at,
                stop: alert.stop_at,
                count: alert.events_count,
            });
        },
    );
    assert_eq!(
        (summary.buckets.evicted, summary.buckets.crowded),
        (0, 0),
        "{summary:?}"
    );
    raised
}
