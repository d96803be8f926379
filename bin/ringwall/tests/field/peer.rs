//! The peer: nginx in front of the same site, Debian's crowdsec reading its log, and
//! its bouncer in the kernel of a namespace from which nothing else can be reached.
//!
//! All three as Debian configures them: the hub that the package brings, of it the
//! collections that the package enables for nginx, and the bouncer's pace of ten
//! seconds. Differences: no central API, and files in a folder of the test.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::house::{Guarded, PORT, Site, count, curl};
use crate::network::{EDGE, Network, inside};
use crate::support::{Folder, Running, wait_for};

/// Where `cargo xtask test` unpacks Debian's crowdsec.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/debian/crowdsec");
const BOUNCER: &str = "/etc/crowdsec/bouncers/crowdsec-firewall-bouncer.yaml";
/// The collections that Debian's package enables by itself, but apache2.
const COLLECTIONS: [&str; 2] = ["crowdsecurity/nginx", "crowdsecurity/linux"];

/// nginx with crowdsec and its bouncer.
pub struct Peer {
    // Dropped first to last: processes before the namespaces they live in.
    _bouncer: Running,
    _crowdsec: Running,
    _nginx: Running,
    _site: Running,
    network: Network,
    pub folder: Folder,
}

/// What is missing for a peer, if anything.
pub fn lacks() -> Option<String> {
    let wanted = [format!("{UNPACKED}/usr/bin/crowdsec"), BOUNCER.to_owned()];
    let missing = wanted.into_iter().find(|file| !Path::new(file).exists());
    missing.map(|file| format!("{file} is missing; 'cargo xtask test' brings it"))
}

impl Peer {
    pub fn make(site: Site) -> Self {
        let (folder, network) = (Folder::make("peer"), Network::make());
        let edge = network.edge();
        let site = site.start(&edge, &folder.file("site.log", ""));
        let nginx = nginx(&edge, &folder);
        let config = configure(&folder);
        let credentials = cscli(
            &edge,
            &config,
            &["machines", "add", "field", "--auto", "--force"],
        );
        assert!(credentials.is_some(), "cscli adds a machine");
        let key = cscli(&edge, &config, &["bouncers", "add", "wall", "-o", "raw"]);
        let key = key.expect("cscli adds a bouncer");
        let crowdsec = start(
            inside(&edge, &program("crowdsec")).arg("-c").arg(&config),
            &folder.0.join("crowdsec.log"),
        );
        let log = folder.0.join("crowdsec.log");
        wait_for("crowdsec to read the log", Duration::from_secs(60), || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            said.contains("Starting processing data").then_some(())
        });
        let bouncer = start(
            inside(&edge, "crowdsec-firewall-bouncer")
                .arg("-c")
                .arg(bouncer(&folder, key.trim())),
            &folder.0.join("bouncer.log"),
        );
        let peer = Self {
            _bouncer: bouncer,
            _crowdsec: crowdsec,
            _nginx: nginx,
            _site: site,
            network,
            folder,
        };
        wait_for("the bouncer's first list", Duration::from_secs(30), || {
            peer.in_kernel().map(|_| ())
        });
        peer
    }

    /// The kernel's list of barred addresses, once there is one.
    fn in_kernel(&self) -> Option<String> {
        let output = inside(&self.network.edge(), "nft")
            .args(["list", "set", "ip", "crowdsec", "crowdsec-blacklists"])
            .output()
            .expect("nft runs");
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(listed)
    }

    fn config(&self) -> PathBuf {
        self.folder.0.join("etc/config.yaml")
    }
}

impl Guarded for Peer {
    fn stranger(&mut self, last: u8) -> String {
        self.network.stranger(last)
    }

    fn barred(&self, address: &str) -> Option<String> {
        let listed = self.in_kernel()?;
        if !listed.contains(&format!("{address} ")) {
            return None;
        }
        let edge = self.network.edge();
        let words = ["decisions", "list", "--ip", address, "-o", "json"];
        let decisions = cscli(&edge, &self.config(), &words).unwrap_or_default();
        let decisions: serde_json::Value = serde_json::from_str(&decisions).unwrap_or_default();
        // Newest alert first; the one that came first is what barred it.
        let alerts = decisions.as_array().cloned().unwrap_or_default();
        let first = alerts.last().map(|alert| alert["scenario"].clone());
        let first = first.unwrap_or_default();
        Some(first.as_str().unwrap_or("not said").to_owned())
    }

    fn reached(&self, address: &str) -> usize {
        count(&self.folder.0.join("site.log"), address)
    }
}

fn program(name: &str) -> String {
    format!("{UNPACKED}/usr/bin/{name}")
}

/// Starts a server with its words in a file.
fn start(command: &mut Command, said: &Path) -> Running {
    let file = std::fs::File::create(said).expect("a log can be made");
    let also = file.try_clone().expect("a file can be shared");
    Running::start(command.stdin(Stdio::null()).stdout(file).stderr(also))
}

fn nginx(edge: &str, folder: &Folder) -> Running {
    let at = folder.0.display();
    let text = format!(
        "daemon off; worker_processes 1; pid {at}/nginx.pid; error_log {at}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log {at}/access.log combined; client_body_temp_path {at}/body;\n\
         proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
         server {{ listen {EDGE}:{PORT}; location / {{ proxy_pass http://127.0.0.1:3000;\n\
         proxy_http_version 1.1; proxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n"
    );
    let config = folder.file("nginx.conf", &text);
    let nginx = start(
        inside(edge, "nginx").arg("-c").arg(config),
        &folder.0.join("nginx.log"),
    );
    wait_for("the site through nginx", Duration::from_secs(20), || {
        (curl(edge, &format!("http://{EDGE}:{PORT}/")) == "200").then_some(())
    });
    nginx
}

/// Lays out crowdsec's folder as Debian's package does; its configuration.
fn configure(folder: &Folder) -> PathBuf {
    let (at, debian) = (folder.0.display(), format!("{UNPACKED}/etc/crowdsec"));
    let hub = format!("{UNPACKED}/usr/share/crowdsec/hub");
    for name in ["etc", "data", "plugins"] {
        std::fs::create_dir(folder.0.join(name)).expect("a folder can be made");
    }
    symlink(format!("{debian}/patterns"), folder.0.join("etc/patterns")).expect("linked");
    for collection in COLLECTIONS {
        install(
            Path::new(&hub),
            &folder.0.join("etc"),
            "collections",
            collection,
        );
    }
    folder.file(
        "etc/acquis.yaml",
        &format!("filenames: [{at}/access.log]\nlabels: {{type: nginx}}\n"),
    );
    folder.file("etc/credentials.yaml", "");
    let text = format!(
        "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: {at}}}\n\
         config_paths: {{config_dir: {at}/etc/, data_dir: {at}/data/, hub_dir: {hub}/,\n\
         \x20 index_path: {hub}/.index.json, simulation_path: {debian}/simulation.yaml,\n\
         \x20 notification_dir: {at}/etc/notifications/, plugin_dir: {at}/plugins/}}\n\
         crowdsec_service: {{acquisition_path: {at}/etc/acquis.yaml, parser_routines: 1}}\n\
         cscli: {{output: human}}\n\
         db_config: {{log_level: info, type: sqlite, db_path: {at}/data/crowdsec.db}}\n\
         api:\n\
         \x20 client: {{insecure_skip_verify: false, credentials_path: {at}/etc/credentials.yaml}}\n\
         \x20 server: {{log_level: info, listen_uri: '127.0.0.1:8081', \
         profiles_path: {debian}/profiles.yaml, console_path: {at}/etc/console.yaml}}\n\
         prometheus: {{enabled: false}}\n"
    );
    folder.file("etc/config.yaml", &text)
}

/// Links an item of the hub and all it names, as the package's installation does.
fn install(hub: &Path, etc: &Path, kind: &str, name: &str) {
    let staged = ["parsers", "postoverflows"].contains(&kind);
    let stages: BTreeSet<PathBuf> = if staged {
        let entries = std::fs::read_dir(hub.join(kind)).expect("the hub can be listed");
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    } else {
        [hub.join(kind)].into()
    };
    let found = stages
        .iter()
        .map(|stage| stage.join(format!("{name}.yaml")))
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("the hub has no {kind} {name}"));
    let stage = found
        .parent()
        .and_then(Path::parent)
        .expect("author and stage");
    let target = etc.join(stage.strip_prefix(hub).expect("within the hub"));
    std::fs::create_dir_all(&target).expect("a folder can be made");
    let link = target.join(found.file_name().expect("a name"));
    if link.exists() {
        return;
    }
    symlink(&found, &link).expect("an item can be linked");
    let text = std::fs::read_to_string(&found).expect("an item can be read");
    data(&text, &etc.with_file_name("data"));
    if kind == "collections" {
        for (kind, name) in named(&text) {
            install(hub, etc, kind, name);
        }
    }
}

/// Copies the lists that an item needs, under the names by which it asks for them: the
/// package has them under those of their sources.
fn data(item: &str, folder: &Path) {
    let mut source = "";
    for line in item.lines() {
        let line = line.trim_start().trim_start_matches("- ");
        if let Some(url) = line.strip_prefix("source_url:") {
            source = url.rsplit('/').next().unwrap_or_default().trim();
        } else if let Some(name) = line.strip_prefix("dest_file:") {
            let list = Path::new(UNPACKED)
                .join("usr/share/crowdsec/data")
                .join(source);
            std::fs::copy(&list, folder.join(name.trim()))
                .unwrap_or_else(|error| panic!("crowdsec's {}: {error}", list.display()));
        }
    }
}

/// What a collection names: `kind:` at the left, `  - author/item` below.
fn named(collection: &str) -> Vec<(&str, &str)> {
    let (mut kind, mut found) = ("", Vec::new());
    for line in collection.lines() {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            if ["parsers", "scenarios", "collections", "postoverflows"].contains(&kind) {
                found.push((kind, item.trim()));
            }
        } else if let Some(key) = line.strip_suffix(':') {
            kind = key;
        }
    }
    found
}

/// Debian's configuration of the bouncer, with its two blanks filled in.
fn bouncer(folder: &Folder, key: &str) -> PathBuf {
    let text = std::fs::read_to_string(BOUNCER).expect("the bouncer's configuration");
    let at = folder.0.display().to_string();
    let text = text
        .replace("${BACKEND}", "nftables")
        .replace("${API_KEY}", key)
        .replace("127.0.0.1:8080", "127.0.0.1:8081")
        .replace("daemonize: true", "daemonize: false")
        .replace("log_mode: file", "log_mode: stdout")
        .replace("/var/run/", &format!("{at}/"))
        .replace("/var/log/", &format!("{at}/"));
    folder.file("bouncer.yaml", &text)
}

/// What cscli prints, if it succeeds.
fn cscli(edge: &str, config: &Path, words: &[&str]) -> Option<String> {
    let output = inside(edge, &program("cscli"))
        .arg("-c")
        .arg(config)
        .args(words)
        .output()
        .expect("cscli runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(told)
}

/// What crowdsec says of its version.
pub fn version() -> String {
    let output = Command::new(program("crowdsec")).arg("-version").output();
    let output = output.expect("crowdsec runs");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    let version = told.lines().find_map(|line| line.split_once("version: "));
    version.map_or_else(|| told.clone(), |(_, version)| version.to_owned())
}
