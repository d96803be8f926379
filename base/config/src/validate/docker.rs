//! `[docker]`: where labels come from and what they may claim.

use super::{Check, SOCKET_PATH_BYTES, edge};
use crate::raw;
use crate::snapshot::{Docker, HostPattern, absolute};
use crate::tree::element;

pub(super) fn docker(check: &mut Check<'_>, raw: &raw::Docker) -> Docker {
    let socket = absolute(&check.base, &raw.socket);
    let path = "docker.socket";
    if raw.socket.is_empty() {
        let help = "Name Docker's socket, or leave the key out for /var/run/docker.sock.";
        check.bad(path, "", "is empty", help);
    }
    if raw.socket.contains("://") {
        let help = "Write the path alone, such as /var/run/docker.sock. Docker over TCP is not spoken: whoever answers there would choose your sites.";
        check.bad(path, &raw.socket, "is not a path", help);
    }
    if socket.as_os_str().len() > SOCKET_PATH_BYTES {
        let help = format!("At most {SOCKET_PATH_BYTES} bytes are possible.");
        let problem = "is longer than a Unix socket's path may be";
        check.bad(path, &raw.socket, problem, &help);
    }
    Docker {
        labels: raw.labels,
        socket,
        hosts: hosts(check, &raw.hosts),
        mode: raw.mode.map(edge::mode),
        may_observe: raw.may_observe,
    }
}

fn hosts(check: &mut Check<'_>, raw: &[String]) -> Vec<HostPattern> {
    let mut hosts = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let problem = match HostPattern::read(text) {
            Ok(HostPattern::Any) => {
                "a label may not claim '*'; leave the key out to allow any other host"
            }
            Ok(pattern) => {
                hosts.push(pattern);
                continue;
            }
            Err(problem) => problem,
        };
        let help =
            "Expected a name such as app.example.org, or *.example.org for everything below.";
        check.bad(&element("docker.hosts", index), text, problem, help);
    }
    hosts
}
