//! A protected site in a network of its own: what stands in it, and what is asked of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::BROWSER;
use crate::network::{EDGE, Network, inside};
use crate::support::{Folder, RINGWALL, Running, json_lines, ringwall, wait_for};

/// The port on which the protected site is reached.
pub const PORT: &str = "8080";

/// Something that guards a site, and what an attack can be measured by.
pub trait Guarded {
    /// A stranger at 198.51.100.`last`; its namespace.
    fn stranger(&mut self, last: u8) -> String;

    /// Why an address is barred, once it is.
    fn barred(&self, address: &str) -> Option<String>;

    /// Requests of an address that reached the site.
    fn reached(&self, address: &str) -> usize;
}

/// What is protected.
#[derive(Clone, Copy, Debug)]
pub enum Site {
    /// A few pages, and one that is slow.
    Pages,
    /// Pages to attack, see `shop.py`.
    Shop,
}

impl Site {
    /// Starts it at 127.0.0.1:3000 of a namespace; it notes every request in `log`.
    pub fn start(self, namespace: &str, log: &Path) -> Running {
        let script = match self {
            Self::Pages => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/site.py"),
            Self::Shop => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/field/shop.py"),
        };
        let mut site = inside(namespace, "python3");
        site.args([script, "127.0.0.1", "3000"])
            .arg(log)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Running::start(&mut site)
    }
}

/// How far the site enforces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All rules.
    Enforce,
    /// As a new site does by default: volume rules only watch.
    FirstWeek,
}

/// A site behind Ringwall.
pub struct Field {
    // Dropped first to last: processes before the namespaces they live in.
    pub ringwall: Running,
    _site: Running,
    pub network: Network,
    pub folder: Folder,
    pub socket: PathBuf,
}

impl Field {
    pub fn make(site: Site, mode: Mode) -> Self {
        let (folder, network) = (Folder::make("field"), Network::make());
        let log = folder.file("site.log", "");
        std::fs::create_dir(folder.0.join("log")).expect("a log folder can be made");
        let site = site.start(&network.edge(), &log);
        let socket = folder.0.join("run/control.sock");
        let mode = match mode {
            Mode::Enforce => "mode = \"enforce\"\n",
            Mode::FirstWeek => "",
        };
        let text = format!(
            "[edge]\nlisten = [\"{EDGE}:{PORT}\"]\n\
             [edge.access_log]\npath = \"{0}/log/access.log\"\n\
             [[edge.site]]\nhost = [\"*\"]\nto = [\"http://127.0.0.1:3000\"]\n{mode}\
             [state]\ndirectory = \"{0}/state\"\n[control]\nsocket = \"{1}\"\n",
            folder.0.display(),
            socket.display()
        );
        let config = folder.file("ringwall.toml", &text);
        let errors =
            std::fs::File::create(folder.0.join("ringwall.log")).expect("a log can be made");
        let mut up = inside(&network.edge(), RINGWALL);
        up.arg("--config")
            .arg(config)
            .arg("up")
            .stdout(Stdio::null())
            .stderr(errors);
        let ringwall_process = Running::start(&mut up);
        let field = Self {
            ringwall: ringwall_process,
            _site: site,
            network,
            folder,
            socket,
        };
        field.wait_until_serving();
        field
    }

    fn wait_until_serving(&self) {
        let edge = self.network.edge();
        wait_for("the site through the edge", Duration::from_secs(20), || {
            let code = curl(&edge, &format!("http://{EDGE}:{PORT}/"));
            if code != "200" {
                println!("{code}: {}", self.said());
            }
            (code == "200").then_some(())
        });
    }

    pub fn decision_about(&self, address: &str) -> Option<serde_json::Value> {
        let listed = json_lines(&ringwall(&self.socket, &["--json", "decision", "list"]));
        listed
            .into_iter()
            .find(|one| one["value"] == address && one["kind"] == "ban")
    }

    /// What was decided about an address, whether it bars or only says so: kinds and why.
    pub fn decided(&self, address: &str) -> Vec<(String, String)> {
        let listed = json_lines(&ringwall(&self.socket, &["--json", "decision", "list"]));
        let about = listed.iter().filter(|one| one["value"] == address);
        let text = |one: &serde_json::Value, key| one[key].as_str().unwrap_or_default().to_owned();
        about
            .map(|one| (text(one, "kind"), text(one, "reason")))
            .collect()
    }

    /// What the edge counted as refused, by rule.
    pub fn refusals(&self) -> Vec<String> {
        let output = inside(&self.network.edge(), "curl")
            .args(["-s", "-m", "5", "http://127.0.0.1:9477/metrics"])
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("ringwall_edge_refusals_total"));
        lines.map(str::to_owned).collect()
    }

    /// What the program said of itself.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("ringwall.log")).unwrap_or_default()
    }
}

impl Guarded for Field {
    fn stranger(&mut self, last: u8) -> String {
        self.network.stranger(last)
    }

    fn barred(&self, address: &str) -> Option<String> {
        let decision = self.decision_about(address)?;
        Some(decision["reason"].as_str().unwrap_or_default().to_owned())
    }

    fn reached(&self, address: &str) -> usize {
        count(&self.folder.0.join("site.log"), address)
    }
}

/// Lines about an address in a site's log.
pub fn count(log: &Path, address: &str) -> usize {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.lines()
        .filter(|line| line.split(' ').next() == Some(address))
        .count()
}

/// One visit; the status, or 000 when there was no answer.
pub fn curl(namespace: &str, url: &str) -> String {
    let output = inside(namespace, "curl")
        .args(["-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}"])
        .args(["-A", BROWSER, url])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
