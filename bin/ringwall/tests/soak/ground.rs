//! The ground that the soak runs on: a site, the program in front of it, and strangers.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::network::{EDGE, Network, inside};
use crate::support::{Folder, RINGWALL, Running, json_lines, ringwall, signal, wait_for};

pub const METRICS: &str = "127.0.0.1:9477";
/// wrk's connections; each asks ten times a second at most.
pub const WRK_CONNECTIONS: u64 = 6;
const PORT: &str = "8080";

pub struct Ground {
    // Dropped first to last: processes before the namespaces they live in.
    ringwall: Running,
    site: Option<Running>,
    network: Network,
    folder: Folder,
    socket: PathBuf,
    process: u32,
    helper: u32,
    outages: Outages,
}

/// How often the site was away, and for how long.
#[derive(Clone, Debug, Default)]
pub struct Outages {
    pub number: u64,
    /// All of them together, from before its end until it answered again.
    pub took: Duration,
    /// A second that began after the last one was over, as the log writes times.
    pub over: String,
    /// How far into the run that was.
    pub over_at: Duration,
}

impl Outages {
    /// How many requests may have met them, of somebody who asks so often a second: what
    /// falls into them, a second's worth for each that was held up, and what was under way.
    pub fn reach(&self, rate: u64) -> u64 {
        let millis = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        (millis + self.number * 1000) * rate / 1000 + self.number * WRK_CONNECTIONS
    }
}

/// The lines of some clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    pub all: u64,
    /// Answers with status 200.
    pub good: u64,
    /// Of these, the ones after the last outage.
    pub good_at_last: u64,
    /// Answers with status 500 and above.
    pub failed: u64,
}

/// The access log, counted.
#[derive(Debug, Default)]
pub struct Log {
    pub lines: u64,
    /// Lines whose request an upstream answered.
    pub passed: u64,
    /// Lines of requests that the book, a limit or the lack of a site refused.
    pub spared: u64,
    pub visitors: Lines,
    pub attackers: Lines,
    pub wrk: Lines,
}

fn configuration(folder: &Folder, burst: u64) -> String {
    format!(
        "[edge]\nlisten = [\"{EDGE}:{PORT}\"]\n\
         [edge.timeouts]\nidle = \"5s\"\n\
         [edge.limits]\nrequests_per_second = 100\nrequest_burst = {burst}\n\
         [edge.access_log]\npath = \"{0}/log/access.log\"\n\
         [[edge.site]]\nhost = [\"*\"]\nto = [\"http://127.0.0.1:3000\"]\nmode = \"enforce\"\n\
         [metrics]\nlisten = \"{METRICS}\"\n\
         [state]\ndirectory = \"{0}/state\"\n[control]\nsocket = \"{0}/run/control.sock\"\n",
        folder.0.display(),
    )
}

impl Ground {
    pub fn make() -> Self {
        let (folder, network) = (Folder::make("soak"), Network::make());
        std::fs::create_dir(folder.0.join("log")).expect("a log folder can be made");
        let site = site(&network, &folder);
        let config = folder.file("ringwall.toml", &configuration(&folder, 500));
        let errors =
            std::fs::File::create(folder.0.join("ringwall.log")).expect("a log can be made");
        let mut up = inside(&network.edge(), RINGWALL);
        up.arg("--config")
            .arg(config)
            .arg("up")
            .stdout(Stdio::null())
            .stderr(errors);
        let ringwall_process = Running::start(&mut up);
        let socket = folder.0.join("run/control.sock");
        let (process, helper) = wait_for(
            "the control socket to answer",
            Duration::from_secs(30),
            || processes(&socket),
        );
        wait_for_site(&network);
        Self {
            ringwall: ringwall_process,
            site: Some(site),
            network,
            folder,
            socket,
            process,
            helper,
            outages: Outages::default(),
        }
    }

    pub fn edge(&self) -> String {
        self.network.edge()
    }

    /// The process that faces the network.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// The one that kept root.
    pub fn helper(&self) -> u32 {
        self.helper
    }

    pub fn outages(&self) -> &Outages {
        &self.outages
    }

    /// Visitors or attackers from these addresses, out of one namespace.
    pub fn strangers(
        &mut self,
        what: &str,
        first: u8,
        length: Duration,
        rate: u64,
        addresses: Range<u8>,
    ) -> Child {
        let namespace = self.network.stranger(first);
        let addresses: Vec<String> = addresses.map(|last| format!("198.51.100.{last}")).collect();
        for address in &addresses {
            let added = Command::new("ip")
                .args([
                    "-n",
                    &namespace,
                    "addr",
                    "add",
                    &format!("{address}/24"),
                    "dev",
                    "eth0",
                ])
                .status();
            assert!(
                added.is_ok_and(|status| status.success()),
                "{address} can be added"
            );
        }
        inside(&namespace, "python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/support/strangers.py"
            ))
            .args([
                what,
                EDGE,
                PORT,
                &length.as_secs().to_string(),
                &rate.to_string(),
            ])
            .args(addresses)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the strangers come")
    }

    pub fn wrk(&mut self, address: u8, length: Duration) -> Child {
        let namespace = self.network.stranger(address);
        let pace = self
            .folder
            .file("pace.lua", "function delay() return 100 end\n");
        inside(&namespace, "wrk")
            .args([
                "-t1",
                "-H",
                "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0",
                "-s",
            ])
            .arg(pace)
            .args([
                &format!("-c{WRK_CONNECTIONS}"),
                &format!("-d{}s", length.as_secs()),
            ])
            .arg(format!("http://{EDGE}:{PORT}/about"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("wrk starts")
    }

    /// Has the running program do something, which it must.
    fn order(&self, words: &[&str]) {
        let output = ringwall(&self.socket, words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
    }

    /// Another configuration, by command and by signal in turn.
    pub fn reload(&self, round: u64) {
        self.folder.file(
            "ringwall.toml",
            &configuration(&self.folder, 500 + round % 7),
        );
        if round.is_multiple_of(20) {
            signal(self.process, "HUP");
        } else {
            self.order(&["reload"]);
        }
    }

    /// A ban by hand; the one before the last is undone.
    pub fn decide(&self, round: u64) {
        let address = |round: u64| format!("203.0.113.{}", round % 250);
        let words = ["decision", "add", &address(round), "--for", "10m"];
        self.order(&words);
        if round > 6 {
            ringwall(&self.socket, &["decision", "delete", &address(round - 6)]);
        }
    }

    /// Ends the bans of all attackers, so that there is somebody to ban again.
    pub fn forgive(&self) {
        for one in json_lines(&ringwall(&self.socket, &["--json", "decision", "list"])) {
            let value = one["value"].as_str().unwrap_or_default();
            if value.starts_with("198.51.100.") {
                // it may have ended by itself meanwhile
                ringwall(&self.socket, &["decision", "delete", value]);
            }
        }
    }

    pub fn pause(&self) {
        for words in [&["pause", "1m"][..], &["resume"]] {
            self.order(words);
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Ends the site and starts it again; `start` is when the run began.
    pub fn restart_site(&mut self, start: Instant) {
        let began = Instant::now();
        drop(self.site.take());
        self.site = Some(site(&self.network, &self.folder));
        wait_for_site(&self.network);
        self.outages.number += 1;
        self.outages.took += began.elapsed();
        self.outages.over = said("date", &["-u", "-d", "+1 second", "+%Y-%m-%dT%H:%M:%SZ"]);
        self.outages.over_at = start.elapsed() + Duration::from_secs(1);
    }

    /// The access log, once its last line is written.
    pub fn access_log(&self) -> Log {
        // lines are handed to the writer within a second
        std::thread::sleep(Duration::from_secs(3));
        let file =
            std::fs::File::open(self.folder.0.join("log/access.log")).expect("there is a log");
        let mut log = Log::default();
        for line in BufReader::new(file).lines() {
            let line = line.expect("a line");
            let value: serde_json::Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            log.add(&value, &self.outages.over);
        }
        log
    }

    /// Rows of the book's log in the store, by another program.
    pub fn rows(&self) -> u64 {
        let state =
            std::fs::read_dir(self.folder.0.join("state")).expect("there is a state directory");
        let file = state
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.extension()
                    .is_some_and(|ending| ending == "db" || ending == "sqlite")
            })
            .expect("there is a database");
        let output = Command::new("sqlite3")
            .arg("-readonly")
            .arg(file)
            .arg("select count(*) from book")
            .output()
            .expect("sqlite3 runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.trim().parse().unwrap_or_else(|_| {
            panic!("sqlite3: {text}{}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Asks it to end; whether it did, and well.
    pub fn stop(mut self) -> bool {
        self.ringwall
            .terminate(Duration::from_secs(40))
            .is_some_and(|status| status.success())
    }
}

impl Log {
    fn add(&mut self, line: &serde_json::Value, over: &str) {
        self.lines += 1;
        let asked = !line["upstream_us"].is_null();
        self.passed += u64::from(asked);
        let verdict = line["verdict"].as_str().unwrap_or_default();
        let of_these = ["book.", "limit.", "route."]
            .iter()
            .any(|part| verdict.starts_with(part));
        self.spared += u64::from(of_these && !asked);
        let client = line["client"].as_str().unwrap_or_default();
        let last = client.rsplit('.').next().and_then(|last| last.parse().ok());
        let lines = match last.unwrap_or(0_u8) {
            30..40 => &mut self.visitors,
            100..180 => &mut self.attackers,
            22 => &mut self.wrk,
            _ => return,
        };
        let status = line["status"].as_u64().unwrap_or(0);
        let late = line["time"].as_str().unwrap_or_default() >= over;
        lines.all += 1;
        lines.good += u64::from(status == 200);
        lines.good_at_last += u64::from(status == 200 && late);
        lines.failed += u64::from(status >= 500);
    }
}

/// The process that faces the network and the one that kept root, once both are there.
fn processes(socket: &std::path::Path) -> Option<(u32, u32)> {
    let output = ringwall(socket, &["--json", "status"]);
    let value: serde_json::Value =
        serde_json::from_str(&String::from_utf8_lossy(&output.stdout)).ok()?;
    let process = u32::try_from(value["pid"].as_u64()?).ok()?;
    let status = ringwall(socket, &["status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let after = words.split("helper runs as process ").nth(1)?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some((process, digits.parse().ok()?))
}

/// Waits until the site answers whoever asks it directly.
fn wait_for_site(network: &Network) {
    wait_for("the site to answer", Duration::from_secs(20), || {
        let status = inside(&network.edge(), "curl")
            .args(["-s", "-o", "/dev/null", "-m", "2", "http://127.0.0.1:3000/"])
            .status();
        status.is_ok_and(|status| status.success()).then_some(())
    });
}

/// What a program prints.
pub fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn site(network: &Network, folder: &Folder) -> Running {
    let mut site = inside(&network.edge(), "python3");
    site.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/support/site.py"
    ));
    site.args(["127.0.0.1", "3000"])
        .arg(folder.0.join("site.log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Running::start(&mut site)
}

/// The answers that wrk counted.
pub fn of_wrk(child: Child) -> u64 {
    let output = child.wait_with_output().expect("wrk ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains(" requests in "));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("wrk said: {text}"))
}
