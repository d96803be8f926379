//! TLS: names, certificates and deadlines.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::{Certificate, HostPattern, self_signed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::harness::*;

/// Takes any certificate and remembers it.
#[derive(Debug, Default)]
pub(crate) struct Curious(Mutex<Vec<Vec<u8>>>);

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0.lock().unwrap().push(leaf.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
        ]
    }
}

pub(crate) struct Browser {
    pub(crate) config: Arc<ClientConfig>,
    seen: Arc<Curious>,
}

impl Browser {
    pub(crate) fn new(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let seen = Arc::new(Curious::default());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self {
            config: Arc::new(config),
            seen,
        }
    }

    pub(crate) fn open(
        &self,
        to: SocketAddr,
        name: &str,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let stream = TcpStream::connect(to).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        StreamOwned::new(session, stream)
    }

    pub(crate) fn get(&self, to: SocketAddr, name: &str, host: &str) -> String {
        let mut stream = self.open(to, name);
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        drop(stream.read_to_string(&mut answer));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        answer
    }
}

fn certificate(host: &str) -> Certificate {
    self_signed(&[HostPattern::parse(host).unwrap()]).unwrap()
}

pub(crate) fn setup(up: &Upstream) -> Setup {
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.certificates = vec![certificate("app.localhost"), certificate("*.sub.localhost")];
    setup.snapshot.timeouts.handshake = Duration::from_millis(600);
    setup
}

#[test]
fn tls_12_and_13_serve_and_a_name_mismatch_is_misdirected() {
    let up = echo_line();
    let edge = setup(&up).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let browser = Browser::new(&[version]);
        let answer = browser.get(edge.tls, "app.localhost", "App.localhost:443");
        assert_eq!(status(&answer), 200, "{answer}");
        let answer = browser.get(edge.tls, "app.localhost", "other.localhost");
        assert_eq!(status(&answer), 421, "DENY {answer}");
        // an address carries no name, so there is nothing to disagree with
        let answer = browser.get(edge.tls, "127.0.0.1", "127.0.0.1");
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert_eq!(edge.seen.rules(), ["route.misdirected"; 2]);
    let heads = up.heads.lock().unwrap();
    assert!(
        heads
            .iter()
            .all(|head| header(head, "x-forwarded-proto") == Some("https"))
    );
    assert!(edge.seen.http.lock().unwrap().iter().all(|event| event.tls));
    assert_eq!(edge.handle.stats().handshakes, 6);
}

#[test]
fn certificates_are_chosen_by_name_and_replaced_without_a_restart() {
    let up = echo_line();
    let edge = setup(&up).start();
    let browser = || Browser::new(&[&rustls::version::TLS13]);
    let leaf = |name: &str| {
        let browser = browser();
        assert_eq!(status(&browser.get(edge.tls, name, name)), 200);
        let seen = browser.seen.0.lock().unwrap();
        seen[0].clone()
    };
    let (app, sub) = (leaf("app.localhost"), leaf("x.sub.localhost"));
    assert_ne!(app, sub);
    assert_eq!(leaf("app.localhost"), app);
    let mut bad = certificate("app.localhost");
    bad.key_pem.clear();
    assert!(edge.handle.reload_certificates(&[bad]).is_err());
    assert_eq!(leaf("app.localhost"), app, "a bad set changes nothing");
    edge.handle
        .reload_certificates(&[certificate("app.localhost")])
        .unwrap();
    assert_ne!(leaf("app.localhost"), app);
}

#[test]
fn sessions_resume_by_ticket() {
    let up = echo_line();
    let edge = setup(&up).start();
    let browser = Browser::new(&[&rustls::version::TLS13]);
    for _ in 0..2 {
        assert_eq!(
            status(&browser.get(edge.tls, "app.localhost", "app.localhost")),
            200
        );
    }
    let mut stream = browser.open(edge.tls, "app.localhost");
    write!(stream, "GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    assert_eq!(
        stream.conn.handshake_kind(),
        Some(rustls::HandshakeKind::Resumed)
    );
}

#[test]
fn many_requests_and_a_large_body_pass_over_one_tls_connection() {
    let up = upstream(|served| {
        while let Some(head) = served.head() {
            let length: usize = header(&head, "content-length").map_or(0, |l| l.parse().unwrap());
            let body = served.exactly(length).unwrap();
            served.ok(&String::from_utf8(body).unwrap());
        }
    });
    let edge = setup(&up).start();
    let browser = Browser::new(&[&rustls::version::TLS13]);
    let mut stream = browser.open(edge.tls, "app.localhost");
    for length in [0, 1, 20_000, 3_000_000, 5] {
        let body = "x".repeat(length);
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let mut echoed = vec![0; length];
        stream.read_exact(&mut echoed).unwrap();
        assert!(echoed.iter().all(|byte| *byte == b'x'));
    }
}

#[test]
fn a_handshake_has_a_deadline_and_plain_http_is_no_hello() {
    let up = echo_line();
    let edge = setup(&up).start();
    let mut slow = Client::to(edge.tls);
    slow.say([22, 3, 1]);
    assert!(
        slow.ends_within(Duration::from_secs(2)),
        "DENY a handshake without end"
    );
    assert_eq!(edge.seen.rules(), ["limit.handshake-time"]);
    let mut plain = Client::to(edge.tls);
    plain.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(plain.ends_within(Duration::from_secs(2)));
    assert!(up.heads.lock().unwrap().is_empty());
    assert!(eventually(|| edge.handle.stats().handshake_errors == 2));
}

#[test]
fn a_proxy_header_comes_before_the_handshake_however_it_is_cut() {
    const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    let up = echo_line();
    let mut setup = setup(&up);
    setup.proxy_protocol = true;
    setup.snapshot.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let edge = setup.start();
    let browser = Browser::new(&[&rustls::version::TLS13]);
    for cut in [0, 1, 5, HEADER.len() - 1, HEADER.len()] {
        let mut stream = browser.open(edge.tls, "app.localhost");
        stream.sock.set_nodelay(true).unwrap();
        stream.sock.write_all(&HEADER[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        stream.sock.write_all(&HEADER[cut..]).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        drop(stream.read_to_string(&mut answer));
        assert_eq!(status(&answer), 200, "cut at {cut}");
        let heads = up.heads.lock().unwrap();
        let said = heads.last().unwrap();
        assert_eq!(header(said, "x-forwarded-for"), Some("192.0.2.7"));
        assert_eq!(header(said, "x-forwarded-proto"), Some("https"));
    }
    // DENY: a handshake without a header before it
    let mut bare = Client::to(edge.tls);
    bare.say([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01]);
    assert!(bare.ends_within(Duration::from_secs(2)), "DENY");
    assert_eq!(edge.seen.rules(), ["proxy.absent"]);
}

/// A cap that a test fills.
const PLACES: usize = 32;

fn with_few_places(up: &Upstream) -> TestEdge {
    let mut setup = setup(up);
    setup.snapshot.limits.handshakes_per_core = PLACES;
    setup.snapshot.timeouts.handshake = Duration::from_secs(20);
    setup.start()
}

#[test]
fn eight_clients_that_begin_handshakes_and_stop_lock_nobody_out() {
    let up = echo_line();
    let edge = with_few_places(&up);
    let stall = |at: usize| {
        let source = IpAddr::from([127, 0, 0, 2 + (at % 8) as u8]);
        let mut client = Client::from(edge.tls, source);
        client.say([22]);
        client
    };
    let mut stalled: Vec<Client> = (0..2 * PLACES).map(stall).collect();
    let told = || edge.seen.rules().len();
    assert!(eventually(|| told() == PLACES), "all places are taken");
    for round in 0..4 {
        let browser = Browser::new(&[&rustls::version::TLS13]);
        let answer = browser.get(edge.tls, "app.localhost", "app.localhost");
        assert_eq!(status(&answer), 200, "DENY: locked out in round {round}");
        stalled.extend((0..8).map(stall));
        assert!(eventually(|| told() == (round + 1) * 8 + PLACES));
    }
    // each round a browser took one place, and one that stopped had it again
    assert!(edge.handle.stats().handshakes_displaced >= 4);
    assert!(
        edge.seen
            .rules()
            .iter()
            .all(|rule| rule == "limit.handshakes")
    );
}

#[test]
fn an_office_that_comes_back_at_once_may_take_every_place() {
    let up = echo_line();
    let edge = with_few_places(&up);
    let browser = Browser::new(&[&rustls::version::TLS13]);
    let mut office: Vec<_> = (0..PLACES)
        .map(|_| browser.open(edge.tls, "app.localhost"))
        .collect();
    for one in &mut office {
        one.conn.write_tls(&mut one.sock).unwrap();
    }
    for one in &mut office {
        one.conn.complete_io(&mut one.sock).unwrap();
    }
    let stats = || edge.handle.stats();
    assert!(eventually(|| stats().handshakes == PLACES as u64));
    assert_eq!(stats().handshakes_displaced, 0);
    assert!(edge.seen.rules().is_empty(), "DENY: refused one of them");
}

#[test]
fn silent_connections_make_room_near_the_cap_before_a_handshake_too() {
    let up = echo_line();
    let mut setup = setup(&up);
    setup.snapshot.limits.connections = 4;
    setup.snapshot.timeouts.handshake = Duration::from_secs(20);
    let edge = setup.start();
    let mut silent = Vec::new();
    for count in 1..=8_u64 {
        silent.push(Client::to(edge.tls));
        let open = count.min(3);
        assert!(eventually(|| {
            let stats = edge.handle.stats();
            (stats.open, stats.evicted_idle) == (open, count - open)
        }));
    }
    assert!(silent[0].ends_within(Duration::from_secs(1)));
    let browser = Browser::new(&[&rustls::version::TLS13]);
    let answer = browser.get(edge.tls, "app.localhost", "app.localhost");
    assert_eq!(status(&answer), 200);
    assert!(edge.seen.rules().is_empty(), "nobody was refused");
}
