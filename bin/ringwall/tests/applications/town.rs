//! The protected host: applications from Debian on loopback, Ringwall before them at
//! its default settings (volume rules enforced), in a namespace of their own.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::network::{EDGE, Network, inside};
use crate::support::{Folder, RINGWALL, Running, json_lines, ringwall, wait_for};

/// Names of the sites, and where each is served.
const SITES: [(&str, &str); 7] = [
    ("wiki.example.org", "http://127.0.0.1:3000"),
    ("encyclopedia.example.org", "http://127.0.0.1:3000"),
    ("files.example.org", "http://127.0.0.1:3000"),
    ("code.example.org", "http://127.0.0.1:3000"),
    ("packages.example.org", "http://127.0.0.1:3000"),
    ("www.example.org", "http://127.0.0.1:3000"),
    ("calendar.example.org", "http://127.0.0.1:5232"),
];

/// The folder of this test's scripts.
pub const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/applications");

/// The protected host, its applications and its visitors.
pub struct Town {
    // Dropped first to last: processes before the namespaces they live in.
    _ringwall: Running,
    _applications: Vec<Running>,
    _names: Names,
    network: Network,
    folder: Folder,
    socket: PathBuf,
}

/// `/etc/hosts` of each namespace, which `ip netns exec` puts in its place.
struct Names(Vec<PathBuf>);

impl Names {
    fn give(&mut self, namespace: &str, address: &str) {
        let folder = PathBuf::from("/etc/netns").join(namespace);
        std::fs::create_dir_all(&folder).expect("a namespace's folder can be made");
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for (name, _) in SITES {
            text.push_str(&format!("{address} {name}\n"));
        }
        std::fs::write(folder.join("hosts"), text).expect("a hosts file can be written");
        self.0.push(folder);
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for folder in &self.0 {
            let _gone = std::fs::remove_dir_all(folder);
        }
    }
}

impl Town {
    /// Makes the applications and waits until every site answers through the edge.
    pub fn make() -> Self {
        let (folder, network) = (Folder::make("applications"), Network::make());
        let mut names = Names(Vec::new());
        names.give(&network.edge(), EDGE);
        std::fs::create_dir(folder.0.join("log")).expect("a log folder can be made");
        let apps = folder.0.join("apps");
        std::fs::create_dir(&apps).expect("a folder can be made");
        let made = Command::new("bash")
            .arg(format!("{SCRIPTS}/make.sh"))
            .arg(&apps)
            .arg(SCRIPTS)
            .output()
            .expect("bash runs");
        assert!(
            made.status.success(),
            "the applications are made: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let edge = network.edge();
        // It signals its whole process group when it ends, which must not be ours.
        let mut apache = inside(&edge, "apache2");
        apache.process_group(0);
        apache
            .args(["-DFOREGROUND", "-f"])
            .arg(apps.join("apache.conf"));
        let mut radicale = inside(&edge, "setpriv");
        radicale
            .args(["--reuid=www-data", "--regid=www-data", "--clear-groups"])
            .args(["radicale", "--config"])
            .arg(apps.join("radicale.conf"));
        let applications = [apache, radicale]
            .iter_mut()
            .map(|command| Running::start(command.stdout(Stdio::null()).stderr(Stdio::null())))
            .collect();
        let socket = folder.0.join("run/control.sock");
        let config = folder.file("ringwall.toml", &configuration(&folder, &socket));
        let errors =
            std::fs::File::create(folder.0.join("ringwall.log")).expect("a log can be made");
        let mut up = inside(&edge, RINGWALL);
        up.arg("--config")
            .arg(config)
            .arg("up")
            .stdout(Stdio::null())
            .stderr(errors);
        let town = Self {
            _ringwall: Running::start(&mut up),
            _applications: applications,
            _names: names,
            network,
            folder,
            socket,
        };
        town.wait_until_serving();
        town
    }

    fn wait_until_serving(&self) {
        for (name, _) in SITES {
            wait_for(name, Duration::from_secs(30), || {
                let answer = inside(&self.network.edge(), "curl")
                    .args(["-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}"])
                    .arg(format!("http://{name}/"))
                    .output()
                    .expect("curl runs");
                let code = String::from_utf8_lossy(&answer.stdout).into_owned();
                (!matches!(code.as_str(), "000" | "502" | "503" | "504")).then_some(())
            });
        }
    }

    /// A visitor at 198.51.100.`last`; the namespace.
    pub fn visitor(&mut self, last: u8) -> String {
        let namespace = self.network.stranger(last);
        self._names.give(&namespace, EDGE);
        namespace
    }

    /// Where a visitor may put things.
    pub fn home(&self, name: &str) -> PathBuf {
        let home = self.folder.0.join(format!("home-{name}"));
        std::fs::create_dir_all(&home).expect("a home can be made");
        home
    }

    /// The access log, once nothing more is added to it.
    fn access_log(&self) -> String {
        let path = self.folder.0.join("log/access.log");
        let mut before = String::new();
        loop {
            let log = std::fs::read_to_string(&path).expect("there is an access log");
            if log.len() == before.len() {
                return log;
            }
            before = log;
            // Each core writes out what it has once a second.
            std::thread::sleep(Duration::from_millis(1_500));
        }
    }

    /// What Ringwall holds against anybody: decisions, alerts, refused requests and
    /// refused connections, one line each. Empty when all is well.
    pub fn grudges(&self) -> Vec<String> {
        let mut grudges = Vec::new();
        for listing in ["decision", "alert"] {
            let listed = json_lines(&ringwall(&self.socket, &["--json", listing, "list"]));
            grudges.extend(listed.iter().map(|one| format!("{listing}: {one}")));
        }
        let log = self.access_log();
        // Before the visitors came, applications that were not up yet were waited for.
        let ourselves = format!(r#""client":"{EDGE}""#);
        let refused = log
            .lines()
            .filter(|line| !ends_well(line) && !line.contains(&ourselves));
        grudges.extend(refused.map(|line| format!("refused: {line}")));
        grudges.extend(self.refused_connections());
        grudges
    }

    /// Requests in the access log, of one address.
    pub fn requests_of(&self, address: &str) -> usize {
        let log = self.access_log();
        let client = format!(r#""client":"{address}""#);
        log.lines().filter(|line| line.contains(&client)).count()
    }

    fn refused_connections(&self) -> Vec<String> {
        let metrics = inside(&self.network.edge(), "curl")
            .args(["-s", "-m", "5", "http://127.0.0.1:9477/metrics"])
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&metrics.stdout).into_owned();
        assert!(
            text.contains("ringwall_"),
            "the figures can be read: {text}"
        );
        text.lines()
            .filter(|line| line.starts_with("ringwall_edge_refusals_total"))
            .filter(|line| !line.ends_with(" 0") && !line.contains("upstream."))
            .map(|line| format!("figure: {line}"))
            .collect()
    }

    /// What Ringwall wrote to its log.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("ringwall.log")).unwrap_or_default()
    }
}

/// Whether a line of the access log tells of a request that passed; or of a visitor who
/// hung up, which is nobody's refusal.
fn ends_well(line: &str) -> bool {
    [r#""verdict":"pass""#, r#""verdict":"client.gone""#]
        .iter()
        .any(|verdict| line.contains(verdict))
}

/// Default settings, but for the places a test needs and volume rules enforced.
fn configuration(folder: &Folder, socket: &std::path::Path) -> String {
    let mut text = format!(
        "[edge]\nlisten = [\"{EDGE}:80\"]\n[edge.access_log]\npath = \"{0}/log/access.log\"\n\
         [state]\ndirectory = \"{0}/state\"\n[control]\nsocket = \"{1}\"\n",
        folder.0.display(),
        socket.display()
    );
    for (name, to) in SITES {
        text.push_str(&format!(
            "[[edge.site]]\nhost = [\"{name}\"]\nto = [\"{to}\"]\nmode = \"enforce\"\n"
        ));
    }
    text
}
