//! nginx and the edge on loopback, with one application behind both.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vocab::{HttpEvent, Refusal, Timestamp, UpstreamAddr};

use super::ask::Ask;

/// Answers as the request says in `X-Answer` (status), `X-Length` and `X-Chunked`.
pub(crate) fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break buffer.drain(..at + 4).collect::<Vec<u8>>();
            }
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                read => buffer.extend_from_slice(&chunk[..read]),
            }
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        let said = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let number = |name: &str| said(name).and_then(|text| text.parse::<usize>().ok());
        let body = number("content-length").unwrap_or(0);
        while buffer.len() < body {
            match stream.read(&mut chunk)? {
                0 => return Ok(()),
                read => buffer.extend_from_slice(&chunk[..read]),
            }
        }
        buffer.drain(..body);
        let status = number("x-answer").unwrap_or(200);
        let length = number("x-length").unwrap_or(5);
        let bare = head.starts_with("HEAD ") || matches!(status, 204 | 304);
        let body = "x".repeat(if bare { 0 } else { length });
        let reply = match (said("x-chunked"), status) {
            (_, 204 | 304) => format!("HTTP/1.1 {status} As asked\r\n\r\n"),
            (Some(_), _) => format!(
                "HTTP/1.1 {status} As asked\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            ),
            (None, _) => {
                format!("HTTP/1.1 {status} As asked\r\nContent-Length: {length}\r\n\r\n{body}")
            }
        };
        stream.write_all(reply.as_bytes())?;
    }
}

/// Sends the bytes and reads until the connection ends.
fn send(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    // who refuses may close while we write
    let _sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer);
}

/// nginx as Debian ships it.
pub(crate) struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
    four: SocketAddr,
    six: SocketAddr,
    read: usize,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn free(ip: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    listener.local_addr().unwrap()
}

impl Nginx {
    /// Starts it; none when it is not installed.
    pub(crate) fn before(upstream: SocketAddr) -> Option<Self> {
        let program = "/usr/sbin/nginx";
        if !std::path::Path::new(program).exists() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (four, six) = (
            free(Ipv4Addr::LOCALHOST.into()),
            free(Ipv6Addr::LOCALHOST.into()),
        );
        let place = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {place}/{what}; "))
            .collect();
        let text = format!(
            "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {place}/access.log combined;
  {temporary}
  server {{
    listen {four}; listen {six};
    location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host; }}
  }}
}}
"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(program)
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self {
            child,
            folder,
            four,
            six,
            read: 0,
        };
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(six).is_err() {
            assert!(Instant::now() < until, "nginx does not accept");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(nginx)
    }

    /// Sends a request; the lines that its log got of it.
    pub(crate) fn told(&mut self, ask: &Ask) -> Vec<String> {
        send(if ask.six { self.six } else { self.four }, &ask.bytes);
        let until = Instant::now() + Duration::from_secs(2);
        loop {
            let all = std::fs::read(self.folder.path().join("access.log")).unwrap_or_default();
            if all.len() > self.read && all.ends_with(b"\n") {
                let new = String::from_utf8_lossy(&all[self.read..]).into_owned();
                self.read = all.len();
                return new.lines().map(str::to_owned).collect();
            }
            if Instant::now() > until {
                return Vec::new();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Keeps what the edge observes.
#[derive(Default)]
struct Heard(Mutex<Vec<HttpEvent<'static>>>);

impl edge::Observer for Heard {
    fn http(&self, _core: usize, event: &HttpEvent<'_>) {
        self.0.lock().unwrap().push(event.clone().into_owned());
    }

    fn refused(&self, _core: usize, _refusal: &Refusal<'_>) {}
}

/// An edge that observes.
pub(crate) struct Edge {
    _handle: edge::EdgeHandle,
    four: SocketAddr,
    six: SocketAddr,
    heard: Arc<Heard>,
}

impl Edge {
    pub(crate) fn before(upstream: SocketAddr) -> Self {
        let mut policy = gate::SitePolicy::new(0, Timestamp::MAX);
        policy.mode = gate::Mode::Observe;
        let site = edge::Site {
            name: "app".to_owned(),
            hosts: vec![edge::HostPattern::Any],
            path_prefix: "/".to_owned(),
            upstreams: vec![UpstreamAddr(upstream)],
            policy,
        };
        let mut settings = gate::Settings {
            requests: None,
            ..gate::Settings::default()
        };
        settings.connections.new = None;
        let book = Arc::new(book::Published::new(book::View::default()));
        let heard = Arc::new(Heard::default());
        let bind = |ip: IpAddr| edge::bind((ip, 0).into(), 1).unwrap();
        let (four, six) = (
            bind(Ipv4Addr::LOCALHOST.into()),
            bind(Ipv6Addr::LOCALHOST.into()),
        );
        let at = |sockets: &[TcpListener]| sockets[0].local_addr().unwrap();
        let (four_at, six_at) = (at(&four), at(&six));
        let plain = |sockets| edge::Listener {
            sockets,
            tls: false,
            proxy_protocol: false,
        };
        let handle = edge::Edge::start(
            edge::Snapshot {
                sites: vec![site],
                ..edge::Snapshot::default()
            },
            vec![plain(four), plain(six)],
            edge::Deps {
                gate: Arc::new(gate::Gate::new(book, settings)),
                observer: Arc::clone(&heard) as Arc<dyn edge::Observer>,
                access_log: None,
                certificates: Vec::new(),
                cores: 1,
            },
        )
        .unwrap();
        Self {
            _handle: handle,
            four: four_at,
            six: six_at,
            heard,
        }
    }

    /// Sends a request; what was observed of it.
    pub(crate) fn told(&self, ask: &Ask) -> Vec<HttpEvent<'static>> {
        send(if ask.six { self.six } else { self.four }, &ask.bytes);
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }
}
