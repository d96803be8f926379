//! nginx and HAProxy as Debian ships them, on loopback, in front of what a test says.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

/// A running one.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    child: Child,
    told: Told,
    folder: tempfile::TempDir,
}

/// Where it writes what it forwarded.
enum Told {
    File(u64),
    Datagrams(UdpSocket),
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Whether both are installed; where CI demands all tests, their lack is a failure.
pub(crate) fn installed() -> bool {
    let missing: Vec<&str> = ["nginx", "haproxy"]
        .into_iter()
        .filter(|name| !Path::new("/usr/sbin").join(name).exists())
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(
        std::env::var_os("RINGWALL_TEST_ALL").is_none_or(|value| value != "1"),
        "this test must run here and cannot: {missing:?} are missing"
    );
    println!("NOT RUN: {missing:?} are missing; 'cargo xtask test' installs them");
    false
}

impl Peer {
    /// Starts one in front of `upstream` and waits until it accepts.
    pub(crate) fn start(kind: Kind, upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = free();
        let (mut command, told) = match kind {
            Kind::Nginx => nginx(folder.path(), own, upstream),
            Kind::Haproxy => haproxy(folder.path(), own, upstream),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let peer = Self {
            address: own,
            child,
            told,
            folder,
        };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(own).is_err() {
            assert!(Instant::now() < until, "{kind:?} does not accept");
            std::thread::sleep(Duration::from_millis(20));
        }
        peer
    }

    /// How many requests it says it has forwarded since it was asked last; waits a
    /// moment for `expected`, since it writes after it answers.
    pub(crate) fn forwarded(&mut self, expected: usize) -> usize {
        let until = Instant::now() + Duration::from_millis(400);
        let mut lines = 0;
        loop {
            lines += self.told.lines(self.folder.path());
            if lines >= expected || Instant::now() > until {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Told {
    /// Lines about forwarded requests that came since the last call.
    fn lines(&mut self, folder: &Path) -> usize {
        match self {
            Self::File(read) => {
                let all = std::fs::read(folder.join("access.log")).unwrap_or_default();
                let from = usize::try_from(*read).unwrap();
                let end = all.iter().rposition(|byte| *byte == b'\n');
                let to = end.map_or(0, |at| at + 1).max(from);
                *read = to as u64;
                let text = String::from_utf8_lossy(&all[from..to]).into_owned();
                text.lines().filter(|line| !line.starts_with('-')).count()
            }
            Self::Datagrams(socket) => {
                let mut count = 0;
                let mut buffer = [0; 2048];
                while let Ok(read) = socket.recv(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                    count += usize::from(text.contains("]: behind "));
                }
                count
            }
        }
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Streams bodies and keeps upstream connections, as it would in front of an application.
fn nginx(folder: &Path, own: SocketAddr, upstream: SocketAddr) -> (Command, Told) {
    let place = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("{what}_temp_path {place}/{what}; "))
        .collect();
    let text = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format told '$upstream_status $request_method $request_uri';
  access_log {place}/access.log told;
  {temporary}
  client_max_body_size 0; lingering_close off;
  upstream behind {{ server {upstream}; keepalive 8; }}
  server {{
    listen {own};
    location / {{
      proxy_pass http://behind; proxy_http_version 1.1;
      proxy_set_header Connection \"\"; proxy_set_header Host $http_host;
      proxy_request_buffering off; proxy_buffering off;
    }}
  }}
}}
"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-c")
        .arg(file)
        .arg("-e")
        .arg(folder.join("error.log"));
    (command, Told::File(0))
}

fn haproxy(folder: &Path, own: SocketAddr, upstream: SocketAddr) -> (Command, Told) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let log = socket.local_addr().unwrap();
    let text = format!(
        "global
  log {log} local0
defaults
  mode http
  log global
  log-format \"%s %ST %HM %HU\"
  timeout client 20s
  timeout server 20s
  timeout connect 5s
frontend front
  bind {own}
  default_backend back
backend back
  http-reuse always
  server behind {upstream}
"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-db").arg("-f").arg(file);
    (command, Told::Datagrams(socket))
}
