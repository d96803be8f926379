//! The machines of a guide: network namespaces on one bridge. The server has a mount
//! namespace too, so that a guide may write below `/etc` and install into
//! `/usr/local/bin` while the machine that runs the test keeps its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::support::{Folder, RINGWALL, Running, wait_for};

/// Who visits from where.
const OTHERS: [(&str, &str); 3] = [
    ("attacker", "198.51.100.7"),
    ("attacker2", "198.51.100.9"),
    ("visitor", "192.0.2.50"),
];
/// Folders of the server that a guide may change, besides a copy of `/etc`; each is empty
/// and goes with the server. The last is where the reader stands: one that only root may
/// look into.
const OWN: [&str; 5] = [
    "/run",
    "/srv/app",
    "/usr/local/bin",
    "/var/lib",
    "/srv/guide",
];

pub struct Machines {
    // Dropped in this order: what runs, then the machines.
    staying: HashMap<String, Running>,
    server: Running,
    names: HashMap<&'static str, String>,
    made: Vec<PathBuf>,
    folder: Folder,
    /// A copy of the hub, served to the server alone.
    hub: Option<PathBuf>,
}

/// Where the server finds the hub.
const MIRROR: &str = "http://127.0.0.1:8199";

impl Machines {
    pub fn make() -> Self {
        let folder = Folder::make("guide");
        let mut made = Vec::new();
        for path in OWN.map(PathBuf::from) {
            if !path.exists() {
                std::fs::create_dir_all(&path).expect("a mount point can be made");
                made.push(path);
            }
        }
        let mut server = Command::new("unshare");
        server.args([
            "--net",
            "--mount",
            "--propagation",
            "private",
            "sleep",
            "900",
        ]);
        let server = Running::start(server.stdout(Stdio::null()));
        let own = std::fs::read_link("/proc/self/ns/mnt").expect("our namespace has a name");
        let theirs = format!("/proc/{}/ns/mnt", server.id());
        wait_for("the server's namespaces", Duration::from_secs(5), || {
            (std::fs::read_link(&theirs).ok()? != own).then_some(())
        });
        let mut machines = Self {
            staying: HashMap::new(),
            server,
            names: HashMap::new(),
            made,
            folder,
            hub: None,
        };
        machines.furnish();
        machines.connect();
        machines
    }

    /// Empty folders, the binary where a build leaves it, and something to serve.
    fn furnish(&self) {
        for path in OWN {
            self.on_server(&format!("mount -t tmpfs tmpfs {path}"));
        }
        let etc = self.folder.0.join("etc").display().to_string();
        self.on_server(&format!(
            "mkdir {etc} && mount -t tmpfs tmpfs {etc} && cp -a /etc/. {etc}/ && mount --bind {etc} /etc && \
             rm -rf /etc/ringwall && mkdir -p /etc/systemd/system"
        ));
        self.on_server(&format!(
            "chmod 700 /srv/guide && mkdir -p /var/lib/nginx /srv/guide/target/release && cp {RINGWALL} /srv/guide/target/release/ && \
             echo '<h1>The shop</h1>' > /srv/app/index.html"
        ));
    }

    fn connect(&mut self) {
        let id = self.server.id();
        self.on_server(
            "ip link set lo up && ip link add br0 type bridge && ip link set br0 up && \
             ip addr add 203.0.113.10/24 dev br0 && \
             ip route add 198.51.100.0/24 dev br0 && ip route add 192.0.2.0/24 dev br0",
        );
        for (number, (name, address)) in OTHERS.into_iter().enumerate() {
            let space = format!("rwg{}{name}", std::process::id());
            here(&format!(
                "ip netns add {space} && ip -n {space} link set lo up && \
                 ip -n {space} link add eth0 type veth peer name v{number} netns {id} && \
                 ip -n {space} addr add {address}/32 dev eth0 && ip -n {space} link set eth0 up && \
                 ip -n {space} route add 203.0.113.0/24 dev eth0"
            ));
            self.on_server(&format!("ip link set v{number} master br0 up"));
            self.names.insert(name, space);
        }
    }

    /// Serves a copy of the hub to the server, in the place of the one on the internet.
    pub fn mirror(&mut self, hub: PathBuf) {
        let command = format!(
            "python3 -m http.server --bind 127.0.0.1 --directory {} 8199",
            hub.display()
        );
        self.stay("mirror", &command);
        self.hub = Some(hub);
    }

    /// Types a command; what it printed, both streams, and how it ended.
    pub fn run(&self, machine: &str, command: &str) -> (String, ExitStatus) {
        let mut shell = self.shell(machine);
        let output = shell
            .arg(format!("{{ {command}\n}} 2>&1"))
            .stdin(Stdio::null())
            .output()
            .expect("a shell runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, output.status)
    }

    /// Starts a command that keeps running, and waits until it listens.
    pub fn stay(&mut self, name: &str, command: &str) {
        let before = self.listeners();
        let said = std::fs::File::create(self.folder.0.join(name)).expect("a file can be made");
        let also = said.try_clone().expect("a file can be shared");
        let mut shell = self.shell("server");
        shell.arg(format!("exec {command}"));
        let running = Running::start(shell.stdin(Stdio::null()).stdout(said).stderr(also));
        self.staying.insert(name.to_owned(), running);
        wait_for(
            &format!("'{command}' to listen"),
            Duration::from_secs(30),
            || (self.listeners() > before).then_some(()),
        );
        let running = self.staying.get_mut(name).expect("it was just put there");
        assert!(
            matches!(running.0.try_wait(), Ok(None)),
            "'{command}' has ended: {}",
            self.said()
        );
    }

    /// Ends a command, unless it has ended.
    pub fn stop(&mut self, name: &str) {
        let mut running = self.staying.remove(name).expect("the guide started it");
        assert!(
            running.terminate(Duration::from_secs(40)).is_some(),
            "{name} does not end: {}",
            self.said()
        );
    }

    pub fn write(&self, path: &str, text: &str) {
        let source = self.folder.file("text", text);
        self.on_server(&format!("cp {} {path}", source.display()));
    }

    /// What those that keep running said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("ringwall")).unwrap_or_default()
    }

    fn listeners(&self) -> usize {
        let (text, status) = self.run("server", "ss -Hltn");
        assert!(status.success(), "ss: {text}");
        text.lines().count()
    }

    fn shell(&self, machine: &str) -> Command {
        let mut command = Command::new("nsenter");
        if let Some(hub) = &self.hub {
            command.env("HUB", hub);
            command.env("RINGWALL_DETECTION__HUB_URL", MIRROR);
        }
        if machine == "server" {
            let id = self.server.id().to_string();
            command.args(["--target", &id, "--net", "--mount", "--wdns=/srv/guide"]);
        } else {
            let space = self.names.get(machine).expect("the guide names a machine");
            command.arg(format!("--net=/run/netns/{space}"));
        }
        command.args(["bash", "-c"]);
        command
    }

    fn on_server(&self, command: &str) {
        let id = self.server.id().to_string();
        let mut shell = Command::new("nsenter");
        shell.args(["--target", &id, "--net", "--mount", "sh", "-ec", command]);
        must(&mut shell);
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.staying.clear();
        for space in self.names.values() {
            let _gone = Command::new("ip").args(["netns", "del", space]).status();
        }
        for path in self.made.iter().rev() {
            let _gone = std::fs::remove_dir(path);
        }
    }
}

fn here(command: &str) {
    must(Command::new("sh").args(["-ec", command]));
}

fn must(command: &mut Command) {
    let output = command.output().expect("a shell runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
