//! A server on loopback that answers with whatever bytes a test wants, plainly or over TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Answers a request's head with pieces, each sent after a rest.
pub type Answer = Box<dyn Fn(&str) -> Vec<(Duration, Vec<u8>)> + Send + Sync>;

/// A server, and the heads of the requests that came.
pub struct Server {
    pub address: SocketAddr,
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::slowly(None, move |head| vec![(Duration::ZERO, answer(head))])
    }

    pub fn with_tls(
        tls: Arc<ServerConfig>,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::slowly(Some(tls), move |head| vec![(Duration::ZERO, answer(head))])
    }

    pub fn slowly(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&str) -> Vec<(Duration, Vec<u8>)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(Box::new(answer)), Arc::clone(&heads));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen, tls) = (Arc::clone(&answer), Arc::clone(&seen), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &answer, &seen),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).expect("a session begins");
                        serve(StreamOwned::new(session, stream), &answer, &seen);
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub fn url(&self, scheme: &str, path: &str) -> fetch::Url {
        fetch::Url::parse(&format!("{scheme}://{}{path}", self.address)).expect("a fine address")
    }

    /// As the operator would name it.
    pub fn named(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    pub fn asked(&self) -> Vec<String> {
        self.heads.lock().expect("nobody panicked").clone()
    }
}

fn serve(mut stream: impl Read + Write, answer: &Answer, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) if head.len() < 65_536 => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    seen.lock().expect("nobody panicked").push(head.clone());
    for (rest, piece) in answer(&head) {
        thread::sleep(rest);
        if stream
            .write_all(&piece)
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
    }
}

/// A whole answer with more headers.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// An authority of this test's own: its certificate in DER, and a server's side of TLS for
/// these names.
pub fn authority(names: &[&str]) -> (Vec<u8>, Arc<ServerConfig>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
        .expect("a certificate");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names)
        .expect("proper names")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("they belong together");
    (issuer.der().to_vec(), Arc::new(config))
}
