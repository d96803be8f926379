//! A network of the test's own: one namespace for the protected host, one for
//! each stranger, joined by a bridge. Addresses are documentation ranges
//! (RFC 5737), so that nobody is taken for local and nothing real is reached.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{cannot_run, missing, quiet};

/// The protected host's address.
pub const EDGE: &str = "198.51.100.1";

/// Whether these tools are here and namespaces can be made; says so where not.
pub fn ready(tools: &[&str]) -> bool {
    let mut missing = missing(&["ip", "nsenter", "python3", "curl"]);
    missing.extend(crate::support::missing(tools));
    if !missing.is_empty() {
        cannot_run(&format!(
            "these tools are missing: {}; 'cargo xtask test' installs them",
            missing.join(", ")
        ));
        return false;
    }
    let probe = format!("rwprobe{}", std::process::id());
    let made = quiet("ip")
        .args(["netns", "add", &probe])
        .status()
        .is_ok_and(|status| status.success());
    let _gone = quiet("ip").args(["netns", "del", &probe]).status();
    if !made {
        cannot_run("network namespaces cannot be made; run as root");
    }
    made
}

/// The namespaces, removed when dropped.
pub struct Network {
    name: String,
    hosts: Vec<String>,
}

impl Network {
    /// The protected host alone.
    pub fn make() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rw{}x{number}", std::process::id());
        let network = Self {
            hosts: vec![format!("{name}e")],
            name,
        };
        let edge = network.edge();
        run("ip", &["netns", "add", &edge]);
        for words in [
            "link set lo up",
            "link add br0 type bridge",
            "addr add 198.51.100.1/24 dev br0",
            "link set br0 up",
        ] {
            network.ip(&edge, words);
        }
        network
    }

    /// The protected host's namespace.
    pub fn edge(&self) -> String {
        format!("{}e", self.name)
    }

    /// A stranger at 198.51.100.`last`; its namespace.
    pub fn stranger(&mut self, last: u8) -> String {
        let host = format!("{}s{last}", self.name);
        run("ip", &["netns", "add", &host]);
        self.hosts.push(host.clone());
        let edge = self.edge();
        self.ip(
            &edge,
            &format!("link add v{last} type veth peer name eth0 netns {host}"),
        );
        self.ip(&edge, &format!("link set v{last} master br0 up"));
        self.ip(&host, "link set lo up");
        self.ip(&host, &format!("addr add 198.51.100.{last}/24 dev eth0"));
        self.ip(&host, "link set eth0 up");
        host
    }

    /// A stranger at an address that is not the protected host's neighbour: reached
    /// directly, in a range in which the host has no address. Its namespace.
    pub fn stranger_at(&mut self, address: &str) -> String {
        let number = self.hosts.len();
        let host = format!("{}d{number}", self.name);
        run("ip", &["netns", "add", &host]);
        self.hosts.push(host.clone());
        let edge = self.edge();
        self.ip(
            &edge,
            &format!("link add d{number} type veth peer name eth0 netns {host}"),
        );
        self.ip(&edge, &format!("link set d{number} master br0 up"));
        self.ip(&edge, &format!("route add {address}/32 dev br0"));
        self.ip(&host, "link set lo up");
        self.ip(&host, &format!("addr add {address}/32 dev eth0"));
        self.ip(&host, "link set eth0 up");
        self.ip(&host, &format!("route add {EDGE}/32 dev eth0"));
        host
    }

    fn ip(&self, namespace: &str, words: &str) {
        let mut arguments = vec!["-n", namespace];
        arguments.extend(words.split(' '));
        run("ip", &arguments);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _gone = Command::new("ip").args(["netns", "del", host]).status();
        }
    }
}

/// A command inside a namespace.
pub fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("ip runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}
