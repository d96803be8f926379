//! From the file's shape to the snapshot: what the values mean, and whether they
//! agree with each other.
//!
//! Every reader returns something usable even where it names a fault, so that one
//! pass finds all of them; the snapshot is thrown away when there is any.

mod book;
mod detection;
mod docker;
mod edge;
pub(crate) mod host_name;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vocab::time::parse_duration;

use crate::fault::{Cause, Fault, Source};
use crate::raw::{self, Raw};
use crate::snapshot::{self, Config, absolute};
use crate::surroundings::{FileKind, Surroundings};
use crate::tree::Tree;

/// The longest path of a Unix socket: `sun_path` holds 108 bytes with its end.
const SOCKET_PATH_BYTES: usize = 107;

/// Makes the snapshot; see the module.
pub(crate) fn snapshot(
    raw: &Raw,
    tree: &Tree,
    source: &Source,
    around: &Surroundings<'_>,
    faults: &mut Vec<Fault>,
) -> Config {
    let folder = source.name.parent().unwrap_or_else(|| Path::new(""));
    let mut check = Check {
        tree,
        source,
        around,
        base: around.directory.join(folder),
        faults,
    };
    let edge = edge::edge(&mut check, &raw.edge);
    let metrics = check.metrics(&raw.metrics, &edge.listeners);
    let state = check.state(&raw.state);
    let control = check.control(&raw.control, &state.directory);
    Config {
        detection: detection::detection(&mut check, &raw.detection),
        docker: docker::docker(&mut check, &raw.docker),
        book: book::book(&mut check, &raw.book),
        process: check.process(&raw.process),
        log: log(&raw.log),
        edge,
        metrics,
        state,
        control,
    }
}

/// What every reader needs.
struct Check<'a> {
    tree: &'a Tree,
    source: &'a Source,
    around: &'a Surroundings<'a>,
    base: PathBuf,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    /// Names a fault of the value at `path`, unless one was named there before.
    fn fault(&mut self, cause: Cause, path: &str, value: &str, problem: &str, help: &str) {
        if self.tree.is_broken(path) {
            return;
        }
        let mut fault = Fault::new(cause, self.tree.place(path), self.source);
        fault.value = match fault.written() {
            written if self.tree.has(path) && !written.is_empty() => written,
            _ if value.is_empty() => String::new(),
            _ => format!("{value:?}"),
        };
        path.clone_into(&mut fault.key);
        problem.clone_into(&mut fault.problem);
        help.clone_into(&mut fault.help);
        self.faults.push(fault);
    }

    fn bad(&mut self, path: &str, value: &str, problem: &str, help: &str) {
        self.fault(Cause::BadValue, path, value, problem, help);
    }

    /// A span of time above zero.
    fn span(&mut self, path: &str, span: &raw::Span) -> Duration {
        let help =
            "Write a sum of numbers with the units ms, s, m, h, d or w, such as 10s or 1h30m.";
        match parse_duration(&span.0) {
            Some(time) if time.is_zero() => {
                self.bad(path, &span.0, "must be longer than zero", help);
            }
            Some(time) => return time,
            None => self.bad(path, &span.0, "not a span of time", help),
        }
        Duration::from_secs(1)
    }

    /// `address:port`; port 0 (any free port) is allowed.
    fn address(&mut self, path: &str, text: &str) -> Option<SocketAddr> {
        let problem = match text.parse::<SocketAddr>() {
            Ok(address) => return Some(address),
            Err(_) if text.is_empty() => "is empty",
            Err(_) if text.parse::<std::net::IpAddr>().is_ok() => "the port is missing",
            Err(_) if text.starts_with(':') || text.parse::<u16>().is_ok() => {
                "the address is missing"
            }
            Err(_) => "not an address with a port",
        };
        let help = "Expected address:port, such as 0.0.0.0:80 or [::]:80; host names are not looked up here.";
        self.bad(path, text, problem, help);
        None
    }

    /// An absolute path to something that exists and is of the wanted kind.
    fn existing(&mut self, path: &str, text: &str, wanted: &FileKind) -> PathBuf {
        let full = absolute(&self.base, text);
        let noun = if *wanted == FileKind::Directory {
            "directory"
        } else {
            "file"
        };
        if text.is_empty() {
            self.bad(
                path,
                text,
                "is empty",
                &format!("Name a {noun}, or leave the key out."),
            );
            return full;
        }
        let found = self.around.probe.kind(&full);
        let help = format!(
            "{} must be a {noun} that Ringwall can read.",
            full.display()
        );
        let problem = match found {
            _ if found == *wanted || found == FileKind::Unchecked => return full,
            FileKind::Missing => format!("there is no such {noun}"),
            FileKind::Unreadable(why) => format!("cannot look at it: {why}"),
            FileKind::Directory => "is a directory, not a file".to_owned(),
            FileKind::File | FileKind::Other | FileKind::Unchecked => {
                format!("is not a {noun}")
            }
        };
        self.fault(Cause::File, path, text, &problem, &help);
        full
    }

    fn metrics(
        &mut self,
        raw: &raw::Metrics,
        listeners: &[snapshot::Listener],
    ) -> snapshot::Metrics {
        let path = "metrics.listen";
        let address = self.address(path, &raw.listen);
        let listen = address.filter(|_| !raw.off);
        if let Some(address) = listen {
            if !address.ip().to_canonical().is_loopback() && !raw.danger_expose {
                let help = "Anyone who reaches it could read it. Listen on 127.0.0.1 or ::1, or set metrics.danger_expose = true.";
                self.bad(path, &raw.listen, "is not a loopback address", help);
            }
            if let Some(edge) = listeners.iter().find(|one| overlap(one.address, address)) {
                let problem = format!("overlaps with the listener {}", edge.address);
                self.fault(
                    Cause::Conflict,
                    path,
                    &raw.listen,
                    &problem,
                    "Choose another port.",
                );
            }
        }
        snapshot::Metrics { listen }
    }

    fn state(&mut self, raw: &raw::State) -> snapshot::State {
        let directory = match (&raw.directory, self.around.env.get("STATE_DIRECTORY")) {
            (Some(directory), _) => absolute(&self.base, directory),
            // systemd joins several with colons; the first is ours.
            (None, Some(list)) => {
                let first = list.split(':').next().unwrap_or(list);
                absolute(&self.around.directory, first)
            }
            (None, None) if self.around.root => PathBuf::from("/var/lib/ringwall"),
            (None, None) => self.around.directory.join("ringwall-data"),
        };
        let path = "state.directory";
        let text = raw.directory.clone().unwrap_or_default();
        match self.around.probe.kind(&directory) {
            FileKind::Directory | FileKind::Missing | FileKind::Unchecked => {}
            FileKind::File | FileKind::Other => {
                let help = format!(
                    "{} must be a directory; it is made when missing.",
                    directory.display()
                );
                self.fault(Cause::File, path, &text, "is not a directory", &help);
            }
            FileKind::Unreadable(why) => {
                let problem = format!("cannot look at {}: {why}", directory.display());
                self.fault(
                    Cause::File,
                    path,
                    &text,
                    &problem,
                    "Name a directory that Ringwall may use.",
                );
            }
        }
        if raw.directory.as_deref() == Some("") {
            self.bad(
                path,
                "",
                "is empty",
                "Name a directory, or leave the key out.",
            );
        }
        snapshot::State { directory }
    }

    fn control(&mut self, raw: &raw::Control, state: &Path) -> snapshot::Control {
        let socket = match &raw.socket {
            Some(socket) => absolute(&self.base, socket),
            None if self.around.root => PathBuf::from("/run/ringwall/control.sock"),
            None => state.join("control.sock"),
        };
        let path = "control.socket";
        let text = raw.socket.clone().unwrap_or_default();
        if raw.socket.as_deref() == Some("") {
            self.bad(path, "", "is empty", "Name a path, or leave the key out.");
        }
        if socket.as_os_str().len() > SOCKET_PATH_BYTES {
            let problem = format!(
                "{} is longer than a Unix socket's path may be",
                socket.display()
            );
            let help = format!(
                "At most {SOCKET_PATH_BYTES} bytes are possible; set control.socket to a shorter path."
            );
            self.bad(path, &text, &problem, &help);
        }
        snapshot::Control { socket }
    }

    fn process(&mut self, raw: &raw::Process) -> snapshot::Process {
        let path = "process.user";
        if let Some(user) = &raw.user {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            if user.is_empty() || user.starts_with('-') || !user.bytes().all(plain) {
                self.bad(
                    path,
                    user,
                    "not a user name",
                    "Name a user of this machine.",
                );
            }
            if user == "root" || user == "0" {
                let help = "The process that faces the internet must hold nothing; name an ordinary user, or leave the key out.";
                self.bad(path, user, "must not be root", help);
            }
        }
        snapshot::Process {
            user: raw.user.clone(),
        }
    }
}

fn log(raw: &raw::Log) -> snapshot::Log {
    snapshot::Log {
        level: match raw.level {
            raw::Level::Error => snapshot::Level::Error,
            raw::Level::Warn => snapshot::Level::Warn,
            raw::Level::Info => snapshot::Level::Info,
            raw::Level::Debug => snapshot::Level::Debug,
            raw::Level::Trace => snapshot::Level::Trace,
        },
        json: raw.format == raw::LogFormat::Json,
    }
}

/// Whether two sockets cannot both listen. `[::]` stands for IPv6 alone here, as the
/// edge binds it.
fn overlap(one: SocketAddr, two: SocketAddr) -> bool {
    let (a, b) = (one.ip(), two.ip());
    let same_family = a.is_ipv4() == b.is_ipv4();
    one.port() == two.port()
        && one.port() != 0
        && same_family
        && (a == b || a.is_unspecified() || b.is_unspecified())
}
