//! What one container's labels ask for. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use config::snapshot::{HostPattern, Mode, path_prefix};
use host::docker::{Container, Endpoint, PREFIX};
use serde::{Deserialize, Serialize};

use super::claims::Ground;

/// The most hosts that one container may name.
pub const MOST_HOSTS: usize = 8;
/// The labels there are, without [`PREFIX`].
const KNOWN: [&str; 6] = ["host", "port", "path", "mode", "network", "enable"];
/// How much of a label's value is told again, in characters.
const TOLD: usize = 128;

/// To whom a host belongs: containers of one project may share it, others not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// A Compose project or Swarm stack.
    Project(String),
    /// A container outside of any, by its name.
    Container(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(name) => write!(f, "the project {name:?}"),
            Self::Container(name) => write!(f, "the container {name:?}"),
        }
    }
}

/// One thing that is wrong with one container's labels.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// The container's name.
    pub container: String,
    /// The label, such as `ringwall.port`.
    pub label: String,
    /// What it says, cut to a readable length.
    pub value: String,
    /// What is wrong, as a clause.
    pub problem: String,
    /// What is allowed or helps, as a sentence.
    pub fix: String,
}

impl Fault {
    pub(super) fn new(container: &Container, label: &str, problem: &str, fix: &str) -> Self {
        let value = container.labels.get(label).cloned().unwrap_or_default();
        Self {
            container: container.name.clone(),
            label: format!("{PREFIX}{label}"),
            value: value.chars().take(TOLD).collect(),
            problem: problem.to_owned(),
            fix: fix.to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            container,
            label,
            value,
            problem,
            fix,
        } = self;
        write!(f, "container {container:?}: {label}")?;
        if !value.is_empty() {
            write!(f, " = {value:?}")?;
        }
        write!(f, ": {problem}. {fix}")
    }
}

/// What a container asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish<'c> {
    /// Who asks.
    pub container: &'c Container,
    /// On whose behalf.
    pub owner: Owner,
    /// The hosts; at least one.
    pub hosts: Vec<HostPattern>,
    /// The path prefix.
    pub path: String,
    /// What is to be enforced, where it says so.
    pub mode: Option<Mode>,
    /// Where it listens; `None` while it does not run, or where that is unclear.
    pub upstream: Option<SocketAddr>,
}

/// Reads one container's labels; what is wrong goes to `faults`. `None` where no site comes of it: it is switched off, or what it claims
/// is not clear. A claim that is clear stands even where the rest is wrong: its site
/// then answers 503, rather than leaving the host to another site.
pub fn read<'c>(
    container: &'c Container,
    ground: &Ground<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Wish<'c>> {
    let mut reader = Reader { container, faults };
    match reader.label("enable") {
        Some("false") => return None,
        None | Some("true") => {}
        Some(_) => reader.fault(
            "enable",
            "is neither true nor false",
            "Write true or false.",
        ),
    }
    reader.unknown();
    let (hosts, path) = (reader.hosts(), reader.path());
    let (mode, upstream) = (reader.mode(ground), reader.upstream(ground));
    let (hosts, path) = (hosts?, path?);
    let owner = match &container.project {
        Some(project) => Owner::Project(project.clone()),
        None => Owner::Container(container.name.clone()),
    };
    Some(Wish {
        container,
        owner,
        hosts,
        path,
        mode,
        upstream,
    })
}

struct Reader<'c, 'f> {
    container: &'c Container,
    faults: &'f mut Vec<Fault>,
}

impl<'c> Reader<'c, '_> {
    fn label(&self, name: &str) -> Option<&'c str> {
        self.container.labels.get(name).map(|value| value.trim())
    }

    fn fault(&mut self, label: &str, problem: &str, fix: &str) {
        self.faults
            .push(Fault::new(self.container, label, problem, fix));
    }

    fn unknown(&mut self) {
        if self.container.cut {
            let problem = "there are more than 16 labels of ours, or one is longer than 1024 bytes";
            self.fault("*", problem, "What is over was not read; remove some.");
        }
        for name in self.container.labels.keys() {
            if KNOWN.contains(&name.as_str()) {
                continue;
            }
            let fix = if matches!(name.as_str(), "tls" | "certificate" | "key") {
                "TLS belongs to the listener, and certificates to the configuration: give a \
                 [[edge.site]] for \"*.example.org\" a certificate and set docker.hosts = \
                 [\"*.example.org\"]; it serves these hosts too."
            } else {
                "There are ringwall.host, port, path, mode, network and enable. The others are \
                 read without it."
            };
            self.fault(name, "there is no such label", fix);
        }
    }

    /// `None` where not all of them are clear: half a claim would be a guess.
    fn hosts(&mut self) -> Option<Vec<HostPattern>> {
        const EXPECTED: &str =
            "Expected names such as app.example.org or *.example.org, with commas between them.";
        let Some(text) = self.label("host") else {
            self.fault("host", "is missing", "Add it, or remove the other labels.");
            return None;
        };
        let mut hosts = Vec::new();
        for name in text.split(',').map(str::trim) {
            let problem = match HostPattern::read(name) {
                Ok(HostPattern::Any) => {
                    "a label may not claim '*', which is every host that no other site names"
                }
                Ok(_) if hosts.len() == MOST_HOSTS => "names more than 8 hosts",
                Ok(host) => {
                    if !hosts.contains(&host) {
                        hosts.push(host);
                    }
                    continue;
                }
                Err(problem) => problem,
            };
            let problem = format!("{:?} {problem}", name.chars().take(64).collect::<String>());
            self.fault("host", &problem, EXPECTED);
            return None;
        }
        Some(hosts)
    }

    fn path(&mut self) -> Option<String> {
        match path_prefix(self.label("path").unwrap_or("/")) {
            Ok(path) => Some(path),
            Err(problem) => {
                self.fault("path", problem, "Expected a path such as /api.");
                None
            }
        }
    }

    fn mode(&mut self, ground: &Ground<'_>) -> Option<Mode> {
        match self.label("mode")? {
            "enforce" => Some(Mode::Enforce),
            // Where the configuration has the last word, it does not matter.
            "observe" if ground.may_observe || ground.mode.is_some() => Some(Mode::Observe),
            "observe" => {
                let problem = "is not allowed: where one site only observes, every site accepts connections of barred addresses";
                let fix = "Set docker.may_observe = true, or docker.mode, in the configuration. Until then the site is as if it were left out.";
                self.fault("mode", problem, fix);
                None
            }
            _ => {
                let fix =
                    "Expected enforce or observe. Until then the site is as if it were left out.";
                self.fault("mode", "there is no such mode", fix);
                None
            }
        }
    }

    fn upstream(&mut self, ground: &Ground<'_>) -> Option<SocketAddr> {
        let port = match self.label("port").map(str::parse::<u16>) {
            Some(Ok(0) | Err(_)) => {
                let fix = "Expected the port that the service listens on inside of the container.";
                self.fault("port", "is not from 1 to 65535", fix);
                return None;
            }
            Some(Ok(port)) => Some(port),
            None => None,
        };
        if !self.container.running {
            return None;
        }
        let address = self.address(ground)?;
        match (port, self.container.ports.as_slice()) {
            (Some(port), _) | (None, &[port]) => Some(SocketAddr::new(address, port)),
            (None, []) => {
                let problem = "is missing, and the image exposes no port";
                self.fault("port", problem, "Add it, such as ringwall.port=8080.");
                None
            }
            (None, several) => {
                let several: Vec<_> = several.iter().map(ToString::to_string).collect();
                let problem = format!(
                    "is missing, and the image exposes several: {}",
                    several.join(", ")
                );
                self.fault("port", &problem, "Add the one that speaks HTTP.");
                None
            }
        }
    }

    fn address(&mut self, ground: &Ground<'_>) -> Option<IpAddr> {
        let networks = &self.container.networks;
        if self.container.host_network {
            let fix = "Labels lead to containers' own addresses only. Write a [[edge.site]] with to = [\"http://127.0.0.1:PORT\"] into the configuration.";
            self.fault("host", "the container uses the host's network", fix);
            return None;
        }
        let found = match self.label("network") {
            Some(name) => {
                // Compose puts the project's name before a network's own.
                let project = self.container.project.as_deref().unwrap_or_default();
                networks
                    .get(name)
                    .or_else(|| networks.get(&format!("{project}_{name}")))
            }
            None => networks.values().next(),
        };
        let Some(Endpoint { address, bridge }) = found else {
            let names: Vec<_> = networks.keys().map(String::as_str).collect();
            if names.is_empty() {
                let fix = "Connect it to a network: docker network connect NETWORK CONTAINER.";
                self.fault("host", "the container has no address in any network", fix);
            } else {
                let fix = format!("It has an address in: {}.", names.join(", "));
                self.fault("network", "the container has no address there", &fix);
            }
            return None;
        };
        // Whoever makes a network chooses its addresses and its gateway: with a macvlan
        // network they may be anybody's. Docker gives a bridge of its own making a name
        // that nobody chooses, and the kernel knows what is behind it.
        let problem = if is_ours_or_nobodys(*address, ground.own) {
            format!("its address {address} is not a container's own")
        } else if ground.routes.device(*address) != Some(bridge) {
            format!("{address} is not behind {bridge}, which a bridge network of Docker's would be")
        } else {
            return Some(*address);
        };
        let fix = "Labels lead to containers on Docker's own bridge networks only, without a bridge.name. Write a [[edge.site]] into the configuration.";
        self.fault("network", &problem, fix);
        None
    }
}

/// Whether requests sent there would reach this host's own services, a cloud's
/// metadata service, or nobody.
fn is_ours_or_nobodys(address: IpAddr, own: &[IpAddr]) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    link_local
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || own.contains(&address)
}
