//! The proxies, each with one worker on core 0 and equal work to do.
//!
//! | work | nginx | HAProxy | Ringwall |
//! |---|---|---|---|
//! | log | buffered, 64 KiB or 1 s | a write a line (it has no buffered file log) | buffered, 64 KiB or 1 s |
//! | request rate of an address | `limit_req` | stick table | `requests_per_second` |
//! | connections of an address | `limit_conn` | stick table | `connections_per_address` |
//! | detection | none | none | Ringwall's own rules |
//!
//! With TLS, all have the same ECDSA certificate and TLS 1.3.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::control;
use super::process::Running;
use crate::run::find;

/// The upstream's address: not the one that wrk calls from, since Ringwall spares upstreams.
const UPSTREAM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
/// How long a proxy may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a proxy does beside forwarding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Nothing.
    Bare,
    /// It writes an access log. Ringwall only.
    Logged,
    /// Access log, limits, detection.
    Full,
    /// As full; wrk's address is on the never-ban list. Ringwall only.
    Spared,
}

/// What a proxy speaks to its clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Speech {
    Plain,
    Tls,
}

impl Speech {
    /// The scheme of its addresses.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

/// A directory that goes with this value, with a certificate in it.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn make() -> Result<Self> {
        let place = Self::bare()?;
        place.certify()?;
        Ok(place)
    }

    /// A folder without certificates.
    pub(super) fn bare() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("ringwall-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("Cannot make {}.", path.display()))?;
        Ok(Self(path))
    }

    /// Makes an ECDSA certificate, and the one file with key and certificate that HAProxy wants.
    fn certify(&self) -> Result<()> {
        let (chain, key) = (self.chain(), self.key());
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=bench.example"])
            .args(["-addext", "subjectAltName=DNS:bench.example,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&chain)
            .output()
            .context("Cannot run openssl.")?;
        if !output.status.success() {
            bail!(
                "openssl made no certificate: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let both = [fs::read(&chain)?, fs::read(&key)?].concat();
        fs::write(self.both(), both).context("Cannot write the certificate.")
    }

    /// The certificate, which signed itself.
    pub(super) fn chain(&self) -> PathBuf {
        self.0.join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    fn both(&self) -> PathBuf {
        self.0.join("both.pem")
    }

    /// A new directory within.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        for number in 0.. {
            let path = self.0.join(format!("{name}-{number}"));
            if !path.exists() {
                fs::create_dir(&path)
                    .with_context(|| format!("Cannot make {}.", path.display()))?;
                return Ok(path);
            }
        }
        bail!("There is no name left for a directory.")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed lies in the temporary directory.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// The service that everybody forwards to: nginx on core 1 with 1 KiB to say.
#[derive(Debug)]
pub(super) struct Upstream {
    address: SocketAddr,
    _running: Running,
}

impl Upstream {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let folder = place.folder("upstream")?;
        let address = free(UPSTREAM)?;
        let body = "ringwall "
            .repeat(114)
            .chars()
            .take(1024)
            .collect::<String>();
        let server = format!(
            "    access_log off;\n    server {{\n        listen {address} backlog=4096;\n        \
             location / {{ return 200 \"{body}\"; }}\n    }}\n"
        );
        let mut running = nginx(1, &folder, &server)?;
        wait_until_ready((address, Speech::Plain), &mut running, &folder)?;
        Ok(Self {
            address,
            _running: running,
        })
    }
}

/// A proxy that runs.
#[derive(Debug)]
pub(super) struct Contender {
    name: &'static str,
    address: SocketAddr,
    speech: Speech,
    family: Vec<u32>,
    folder: PathBuf,
    _running: Running,
}

impl Contender {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers, for a client: `http://127.0.0.1:4711`.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.speech.scheme(), self.address)
    }

    pub(super) fn speech(&self) -> Speech {
        self.speech
    }

    /// The access log of nginx.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// All processes of the proxy.
    pub(super) fn family(&self) -> &[u32] {
        &self.family
    }

    /// Ringwall's control socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("own/control.sock")
    }

    /// nginx as a proxy.
    pub(super) fn nginx(
        place: &Place,
        upstream: &Upstream,
        work: Work,
        speech: Speech,
    ) -> Result<Self> {
        let folder = place.folder("nginx")?;
        let address = free(Ipv4Addr::LOCALHOST)?;
        let (zones, within) = if work == Work::Bare {
            ("    access_log off;\n".to_owned(), "")
        } else {
            let zones = format!(
                "    access_log {}/access.log combined buffer=64k flush=1s;\n    \
                 limit_req_zone $binary_remote_addr zone=requests:10m rate=1000000r/s;\n    \
                 limit_conn_zone $binary_remote_addr zone=connections:10m;\n",
                folder.display()
            );
            let within =
                "limit_req zone=requests burst=1000000 nodelay; limit_conn connections 16000;";
            (zones, within)
        };
        let (tls, certificate) = match speech {
            Speech::Plain => ("", String::new()),
            Speech::Tls => (
                "ssl",
                format!(
                    "        ssl_certificate {};\n        ssl_certificate_key {};\n        \
                     ssl_protocols TLSv1.3;\n        ssl_session_cache shared:tls:10m;\n",
                    place.chain().display(),
                    place.key().display()
                ),
            ),
        };
        let server = format!(
            "{zones}    upstream service {{ server {}; keepalive 1024; keepalive_requests 100000000; }}\n    \
             server {{\n        listen {address} {tls} backlog=4096;\n{certificate}        location / {{\n            {within}\n            \
             proxy_pass http://service;\n            proxy_http_version 1.1;\n            \
             proxy_set_header Connection \"\";\n            proxy_set_header Host $host;\n            \
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n            \
             proxy_set_header X-Forwarded-Proto $scheme;\n        }}\n    }}\n",
            upstream.address
        );
        let running = nginx(0, &folder, &server)?;
        Self::ready("nginx", (address, speech), running, folder)
    }

    /// HAProxy.
    pub(super) fn haproxy(
        place: &Place,
        upstream: &Upstream,
        work: Work,
        speech: Speech,
    ) -> Result<Self> {
        let folder = place.folder("haproxy")?;
        let address = free(Ipv4Addr::LOCALHOST)?;
        let (log, limits) = if work == Work::Bare {
            ("", "")
        } else {
            (
                "  log stdout format raw local0\n  option httplog\n",
                "  stick-table type ip size 100k expire 60s store http_req_rate(1s),conn_cur\n  \
                 http-request track-sc0 src\n  \
                 http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000 }\n  \
                 http-request deny deny_status 429 if { sc_conn_cur(0) gt 16000 }\n",
            )
        };
        let tls = match speech {
            Speech::Plain => String::new(),
            Speech::Tls => format!(
                " ssl crt {} ssl-min-ver TLSv1.3 alpn http/1.1",
                place.both().display()
            ),
        };
        let text = format!(
            "global\n  nbthread 1\n  maxconn 16000\n  no strict-limits\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 300s\n  timeout server 300s\n  timeout http-keep-alive 300s\n  \
             option http-keep-alive\n  option forwardfor\n{log}frontend front\n  bind {address} backlog 4096{tls}\n\
             {limits}  http-request set-header X-Forwarded-Proto http\n  default_backend back\nbackend back\n  \
             http-reuse always\n  server service {}\n",
            upstream.address
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, text).context("Cannot write HAProxy's configuration.")?;
        let file = file.display().to_string();
        let running = Running::start(
            0,
            &program("haproxy")?,
            &["-db", "-f", &file],
            &said(&folder),
        )?;
        Self::ready("haproxy", (address, speech), running, folder)
    }

    /// Ringwall.
    pub(super) fn ringwall(
        name: &'static str,
        binary: &Path,
        place: &Place,
        upstream: &Upstream,
        (work, speech): (Work, Speech),
    ) -> Result<Self> {
        let folder = place.folder("ringwall")?;
        let address = free(Ipv4Addr::LOCALHOST)?;
        // What it writes is in a folder of its own, which it takes over when it drops root.
        let own = folder.join("own");
        fs::create_dir(&own).context("Cannot make a directory for Ringwall.")?;
        let none = folder.join("no-rules");
        fs::create_dir_all(none.join("scenarios"))
            .context("Cannot make a directory without rules.")?;
        let file = folder.join("ringwall.toml");
        let certificate = match speech {
            Speech::Plain => String::new(),
            Speech::Tls => format!(
                "certificate = \"{}\"\nkey = \"{}\"\n",
                place.chain().display(),
                place.key().display()
            ),
        };
        let mut text = ringwall(address, upstream.address, &own, (work, &certificate));
        if matches!(work, Work::Bare | Work::Logged) {
            // Without rules there is nothing to run, whatever else the switch leaves on.
            text += &format!(
                "[detection]\nenabled = false\nrules = \"{}\"\n",
                none.display()
            );
        }
        fs::write(&file, text).context("Cannot write Ringwall's configuration.")?;
        let file = file.display().to_string();
        let running = Running::start(0, binary, &["--config", &file, "up"], &said(&folder))?;
        let contender = Self::ready(name, (address, speech), running, folder)?;
        if matches!(work, Work::Bare | Work::Logged) {
            control::order(&contender.socket(), r#""ask":"pause","seconds":null"#)?;
        }
        Ok(contender)
    }

    fn ready(
        name: &'static str,
        (address, speech): (SocketAddr, Speech),
        mut running: Running,
        folder: PathBuf,
    ) -> Result<Self> {
        wait_until_ready((address, speech), &mut running, &folder)?;
        Ok(Self {
            name,
            address,
            speech,
            family: running.family()?,
            folder,
            _running: running,
        })
    }
}

/// Ringwall's configuration.
fn ringwall(
    listen: SocketAddr,
    upstream: SocketAddr,
    own: &Path,
    (work, certificate): (Work, &str),
) -> String {
    let own = own.display();
    let tls = !certificate.is_empty();
    let on = matches!(work, Work::Full | Work::Spared);
    let (rate, mode) = if on {
        (1_000_000, "enforce")
    } else {
        (0, "observe")
    };
    // wrk calls from 127.0.0.1; on the never-ban list it would be spared the limits too.
    let never = if work == Work::Spared {
        "127.0.0.1"
    } else {
        "127.0.0.254"
    };
    let off = work == Work::Bare;
    format!(
        "[edge]\nlisten = [{{ address = \"{listen}\", tls = {tls} }}]\n\
         [edge.timeouts]\nidle = \"300s\"\n\
         [edge.limits]\nconnections = 16000\nconnections_per_address = 16000\n\
         requests_per_second = {rate}\nrequest_burst = 1000000\n\
         [edge.access_log]\noff = {off}\npath = \"{own}/access.log\"\nformat = \"combined\"\n\
         [[edge.site]]\nhost = [\"bench.example\", \"*\"]\nto = [\"http://{upstream}\"]\nmode = \"{mode}\"\n{certificate}\
         [book]\nnever_ban = [\"{never}\"]\nbans_per_minute = 100000\n\
         [state]\ndirectory = \"{own}\"\n[control]\nsocket = \"{own}/control.sock\"\n\
         [metrics]\noff = true\n"
    )
}

/// An nginx with one worker, whose files are all in `folder`.
fn nginx(core: u8, folder: &Path, http: &str) -> Result<Running> {
    let place = folder.display();
    let text = format!(
        "daemon off;\nworker_processes 1;\npid {place}/pid;\n\
         error_log stderr error;\nevents {{ worker_connections 16000; }}\nhttp {{\n    \
         client_body_temp_path {place}/body;\n    proxy_temp_path {place}/proxy;\n    \
         fastcgi_temp_path {place}/fastcgi;\n    uwsgi_temp_path {place}/uwsgi;\n    \
         scgi_temp_path {place}/scgi;\n    keepalive_timeout 300s;\n    \
         keepalive_requests 100000000;\n{http}}}\n"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, text).context("Cannot write nginx's configuration.")?;
    let file = file.display().to_string();
    Running::start(core, &program("nginx")?, &["-c", &file], &said(folder))
}

fn program(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("{name} is not installed."))
}

/// Where a process's words go.
fn said(folder: &Path) -> PathBuf {
    folder.join("said")
}

/// An address that nobody listens at now.
fn free(host: Ipv4Addr) -> Result<SocketAddr> {
    let listener = TcpListener::bind((host, 0)).context("Cannot listen on loopback.")?;
    listener.local_addr().context("Cannot see where we listen.")
}

fn wait_until_ready(
    (address, speech): (SocketAddr, Speech),
    running: &mut Running,
    folder: &Path,
) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && running.is_alive() {
        let ready = match speech {
            Speech::Plain => answers(address),
            // Certificates are read before the socket is bound; wrk proves the rest.
            Speech::Tls => TcpStream::connect(address).is_ok(),
        };
        if ready {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let words = fs::read_to_string(said(folder)).unwrap_or_default();
    bail!("What should answer on {address} does not. It said:\n{words}")
}

fn answers(address: SocketAddr) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b"200"))
    };
    asked().unwrap_or(false)
}
