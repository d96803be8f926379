//! A third reader, lenient and of its own: it knows nothing of `wire`, so that what it
//! reads of a proxy's output is an opinion and no echo of ours.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as somebody behind a proxy read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// What came of it, without chunks' lines; nothing while chunks are incomplete.
    pub(crate) body: Vec<u8>,
    /// Whether the body has come to its end. A reader that waits for more has taken
    /// what follows for a part of the body.
    pub(crate) complete: bool,
}

impl Seen {
    /// With its target as a server reads it: an absolute form names the host, which
    /// must equal the Host header, and stands for the path in it (RFC 9112 §3.2.2).
    pub(crate) fn origin_form(&self) -> Self {
        let mut own = self.clone();
        let lower = self.target.to_ascii_lowercase();
        let scheme = ["http://", "https://"]
            .into_iter()
            .find(|scheme| lower.starts_with(scheme));
        if let Some(rest) = scheme.and_then(|scheme| self.target.get(scheme.len()..)) {
            let at = rest.find(['/', '?']).unwrap_or(rest.len());
            let path = rest.get(at..).unwrap_or_default();
            own.target = match (self.method.as_str(), path) {
                ("OPTIONS", "") => "*".to_owned(),
                (_, path) if path.starts_with('/') => path.to_owned(),
                (_, path) => format!("/{path}"),
            };
        }
        own
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.escape_ascii();
        let waits = if self.complete {
            ""
        } else {
            "… and waits for more"
        };
        write!(
            out,
            "{} {} {:?}{waits}",
            self.method,
            self.target,
            body.to_string()
        )
    }
}

/// What was read, in the order in which heads came.
#[derive(Clone, Default)]
pub(crate) struct Ear(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    /// Each with its number, by which its connection finds it again.
    seen: Vec<(u64, Seen)>,
    next: u64,
}

impl Ear {
    pub(crate) fn take(&self) -> Vec<Seen> {
        let seen = std::mem::take(&mut self.0.lock().unwrap().seen);
        seen.into_iter().map(|(_, seen)| seen).collect()
    }

    /// Takes in a head, or the rest of the one with this number; its number.
    fn note(&self, open: Option<u64>, seen: &Seen) -> u64 {
        let mut heard = self.0.lock().unwrap();
        if let Some(open) = open {
            // Once it was taken it is nobody's any more.
            if let Some((_, old)) = heard.seen.iter_mut().find(|(number, _)| *number == open) {
                *old = seen.clone();
            }
            return open;
        }
        heard.next += 1;
        let number = heard.next;
        heard.seen.push((number, seen.clone()));
        number
    }
}

/// One connection, as an ear hears it.
#[derive(Default)]
struct Line {
    buffer: Vec<u8>,
    /// The request that is incomplete.
    open: Option<u64>,
}

impl Line {
    /// Notes what came; the requests that are complete with it.
    fn hear(&mut self, ear: &Ear, bytes: &[u8]) -> Vec<Seen> {
        self.buffer.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while let Some((seen, used)) = next(&self.buffer) {
            let number = ear.note(self.open.take(), &seen);
            if !seen.complete {
                self.open = Some(number);
                break;
            }
            self.buffer.drain(..used);
            whole.push(seen);
        }
        whole
    }
}

/// Reads one request, whole or as far as it came; none while its head is incomplete.
fn next(bytes: &[u8]) -> Option<(Seen, usize)> {
    let end = crate::harness::find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
    let (mut length, mut chunked) = (0_usize, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked |= value.to_ascii_lowercase().contains("chunked");
        }
    }
    let rest = &bytes[end..];
    let whole = if chunked {
        chunks(rest)
    } else {
        rest.get(..length).map(|body| (body.to_vec(), length))
    };
    let complete = whole.is_some();
    let (body, used) = whole.unwrap_or_else(|| match chunked {
        true => (Vec::new(), 0),
        false => (rest.to_vec(), rest.len()),
    });
    let seen = Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        body,
        complete,
    };
    Some((seen, end + used))
}

/// Reads chunks with any extension and trailer.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = crate::harness::find(bytes.get(at..)?, b"\r\n")?;
        let digits: String = bytes[at..at + line]
            .iter()
            .map(|byte| char::from(*byte))
            .take_while(char::is_ascii_hexdigit)
            .collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        at += line + 2;
        if size == 0 {
            loop {
                let line = crate::harness::find(bytes.get(at..)?, b"\r\n")?;
                at += line + 2;
                if line == 0 {
                    return Some((body, at));
                }
            }
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
}

/// A server that reads as above, answers every request and keeps what it read.
pub(crate) fn recorder() -> (SocketAddr, Ear) {
    serve(|mut stream, ear| {
        let (mut line, mut chunk) = (Line::default(), vec![0; 64 * 1024]);
        let mut continued = false;
        loop {
            let read = stream.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            for seen in line.hear(ear, &chunk[..read]) {
                continued = false;
                // A 2xx would turn CONNECT into a tunnel.
                let status = if seen.method == "CONNECT" { 405 } else { 200 };
                let answer = format!("HTTP/1.1 {status} Seen\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes())?;
            }
            let waits = String::from_utf8_lossy(&line.buffer).to_ascii_lowercase();
            if !continued && waits.contains("\r\nexpect: 100-continue") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continued = true;
            }
        }
    })
}

/// A wire that passes everything on to `to` and reads along.
pub(crate) fn tap(to: SocketAddr) -> (SocketAddr, Ear) {
    serve(move |mut near, ear| {
        let mut far = TcpStream::connect(to)?;
        let (mut back_from, mut back_to) = (far.try_clone()?, near.try_clone()?);
        std::thread::spawn(move || {
            let _ended = io::copy(&mut back_from, &mut back_to);
            let _closed = back_to.shutdown(std::net::Shutdown::Both);
        });
        let (mut line, mut chunk) = (Line::default(), vec![0; 64 * 1024]);
        loop {
            let read = near.read(&mut chunk)?;
            if read == 0 {
                return far.shutdown(std::net::Shutdown::Write);
            }
            line.hear(ear, &chunk[..read]);
            far.write_all(&chunk[..read])?;
        }
    })
}

fn serve(
    each: impl Fn(TcpStream, &Ear) -> io::Result<()> + Send + Sync + 'static,
) -> (SocketAddr, Ear) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, ear) = (listener.local_addr().unwrap(), Ear::default());
    let (each, all) = (Arc::new(each), ear.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (each, ear) = (Arc::clone(&each), all.clone());
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            std::thread::spawn(move || drop(each(stream, &ear)));
        }
    });
    (address, ear)
}
