//! An edge between real sockets on loopback, with scripted upstreams behind it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use edge::{
    AccessLog, Certificate, Deps, Edge, EdgeHandle, HostPattern, Listener, Observer, Site, Snapshot,
};
use vocab::{HttpEvent, Refusal, Timestamp, UpstreamAddr};

/// A target of which the [`Recorder`] cannot bear to hear.
pub(crate) const BREAKS_THE_OBSERVER: &str = "/breaks-the-observer";

/// Keeps what it hears.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) http: Mutex<Vec<HttpEvent<'static>>>,
    pub(crate) refused: Mutex<Vec<Refusal<'static>>>,
}

impl Observer for Recorder {
    fn http(&self, _core: usize, event: &HttpEvent<'_>) {
        self.http.lock().unwrap().push(event.clone().into_owned());
        assert!(event.target != BREAKS_THE_OBSERVER, "as the test wants it");
    }

    fn refused(&self, _core: usize, refusal: &Refusal<'_>) {
        self.refused
            .lock()
            .unwrap()
            .push(refusal.clone().into_owned());
    }

    fn is_exploit(&self, _core: usize, event: &HttpEvent<'_>) -> bool {
        event.target.contains("exploit")
    }
}

impl Recorder {
    pub(crate) fn rules(&self) -> Vec<String> {
        let refused = self.refused.lock().unwrap();
        refused
            .iter()
            .map(|refusal| refusal.rule.to_string())
            .collect()
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.http
            .lock()
            .unwrap()
            .iter()
            .map(|event| event.status)
            .collect()
    }
}

/// A running edge.
pub(crate) struct TestEdge {
    pub(crate) handle: EdgeHandle,
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) seen: Arc<Recorder>,
    pub(crate) book: Arc<book::Published>,
    pub(crate) gate: Arc<gate::Gate>,
}

/// What a test changes about the usual edge.
pub(crate) struct Setup {
    pub(crate) snapshot: Snapshot,
    pub(crate) settings: gate::Settings,
    pub(crate) log: Option<AccessLog>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) cores: usize,
    /// On both listeners.
    pub(crate) proxy_protocol: bool,
}

impl Setup {
    pub(crate) fn new(sites: Vec<Site>) -> Self {
        let mut settings = gate::Settings {
            requests: None,
            ..gate::Settings::default()
        };
        settings.connections.new = None;
        Self {
            snapshot: Snapshot {
                sites,
                ..Snapshot::default()
            },
            settings,
            log: None,
            certificates: Vec::new(),
            cores: 1,
            proxy_protocol: false,
        }
    }

    pub(crate) fn start(self) -> TestEdge {
        let book = Arc::new(book::Published::new(book::View::default()));
        let gate = Arc::new(gate::Gate::new(Arc::clone(&book), self.settings));
        let seen = Arc::new(Recorder::default());
        let any = "127.0.0.1:0".parse().unwrap();
        let plain = edge::bind(any, self.cores).unwrap();
        let tls = edge::bind(any, self.cores).unwrap();
        let (plain_at, tls_at) = (plain[0].local_addr().unwrap(), tls[0].local_addr().unwrap());
        let handle = Edge::start(
            self.snapshot,
            vec![
                Listener {
                    sockets: plain,
                    tls: false,
                    proxy_protocol: self.proxy_protocol,
                },
                Listener {
                    sockets: tls,
                    tls: true,
                    proxy_protocol: self.proxy_protocol,
                },
            ],
            Deps {
                gate: Arc::clone(&gate),
                observer: Arc::clone(&seen) as Arc<dyn Observer>,
                access_log: self.log,
                certificates: self.certificates,
                cores: self.cores,
            },
        )
        .unwrap();
        TestEdge {
            handle,
            plain: plain_at,
            tls: tls_at,
            seen,
            book,
            gate,
        }
    }
}

/// A site for any host in front of these upstreams, enforcing.
pub(crate) fn site(name: &str, host: &str, upstreams: &[SocketAddr]) -> Site {
    let mut policy = gate::SitePolicy::new(0, Timestamp::MAX);
    policy.mode = gate::Mode::Enforce;
    Site {
        name: name.to_owned(),
        hosts: vec![HostPattern::parse(host).unwrap()],
        path_prefix: "/".to_owned(),
        upstreams: upstreams.iter().copied().map(UpstreamAddr).collect(),
        policy,
    }
}

/// An edge for one upstream.
pub(crate) fn in_front_of(upstream: &Upstream) -> TestEdge {
    Setup::new(vec![site("app", "*", &[upstream.address])]).start()
}

/// A scripted server.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    pub(crate) accepted: Arc<AtomicUsize>,
}

/// One connection that an upstream's script serves.
pub(crate) struct Served {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Served {
    /// The next request's head; none when the connection ended.
    pub(crate) fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().ok().filter(|n| *n > 0)?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = vec![0; 64 * 1024];
        let read = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read)
    }

    /// Reads until the buffer ends in `mark`.
    pub(crate) fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        while find(&self.buffer, mark).is_none() {
            self.fill().ok().filter(|n| *n > 0)?;
        }
        let end = find(&self.buffer, mark)? + mark.len();
        Some(self.buffer.drain(..end).collect())
    }

    /// Reads a chunked body to its end; its data.
    pub(crate) fn chunks(&mut self) -> Option<Vec<u8>> {
        let limits = wire::Limits::default();
        let mut decoder = wire::BodyDecoder::new(wire::BodyFraming::Chunked, &limits);
        let mut body = Vec::new();
        loop {
            let step = decoder.step(&self.buffer);
            if let wire::BodyEvent::Data(range) = &step.event {
                body.extend_from_slice(&self.buffer[range.clone()]);
            }
            self.buffer.drain(..step.consumed);
            match step.event {
                wire::BodyEvent::Data(_) => {}
                wire::BodyEvent::End => return Some(body),
                wire::BodyEvent::Refuse(_) => return None,
                wire::BodyEvent::More => {
                    self.fill().ok().filter(|n| *n > 0)?;
                }
            }
        }
    }

    /// Reads exactly so many bytes.
    pub(crate) fn exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < bytes {
            self.fill().ok().filter(|n| *n > 0)?;
        }
        Some(self.buffer.drain(..bytes).collect())
    }

    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        // the edge may be gone by now, which the test sees elsewhere
        drop(self.stream.write_all(text.as_ref()));
    }

    pub(crate) fn ok(&mut self, body: &str) {
        self.say(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Starts an upstream that runs `script` for every connection.
pub(crate) fn upstream(script: impl Fn(&mut Served) + Send + Sync + 'static) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let accepted = Arc::new(AtomicUsize::new(0));
    let script = Arc::new(script);
    let (all, count) = (Arc::clone(&heads), Arc::clone(&accepted));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let (script, heads) = (Arc::clone(&script), Arc::clone(&all));
            std::thread::spawn(move || {
                let mut served = Served {
                    stream,
                    buffer: Vec::new(),
                    heads,
                };
                script(&mut served);
            });
        }
    });
    Upstream {
        address,
        heads,
        accepted,
    }
}

/// An upstream that answers every request without body with its request line.
pub(crate) fn echo_line() -> Upstream {
    upstream(|served| {
        while let Some(head) = served.head() {
            let line = head.lines().next().unwrap_or_default().to_owned();
            served.ok(&line);
        }
    })
}

/// A client.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::from(address, "127.0.0.1".parse().unwrap())
    }

    /// Connects from another loopback address.
    pub(crate) fn from(address: SocketAddr, source: IpAddr) -> Self {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(text.as_ref()).unwrap();
        self
    }

    pub(crate) fn get(&mut self, path: &str) -> (String, Vec<u8>) {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                true
            }
        }
    }

    /// The next head, interim ones included; empty when the connection ended.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..at + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            if !self.fill() {
                return String::new();
            }
        }
    }

    /// A whole answer with a declared length.
    pub(crate) fn answer(&mut self) -> (String, Vec<u8>) {
        let head = self.head();
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        let body = self.exactly(length);
        (head, body)
    }

    pub(crate) fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes {
            if !self.fill() {
                return std::mem::take(&mut self.buffer);
            }
        }
        self.buffer.drain(..bytes).collect()
    }

    /// Everything until the connection ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the connection ends within `within`; what still comes is dropped.
    pub(crate) fn ends_within(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut chunk = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return false,
                    _ => return true,
                },
            }
        }
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Sends `bytes`, closes the sending side and reads all that comes.
pub(crate) fn talk(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::to(address);
    client.say(bytes);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    String::from_utf8_lossy(&client.rest()).into_owned()
}

pub(crate) fn status(head: &str) -> u16 {
    head.get(9..12)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Waits until `done`, two seconds at most.
pub(crate) fn eventually(mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
