//! The demo's protected service: a small shop, deliberately ordinary.
//!
//! It stands behind the edge on loopback, answers a few pages, has a login form
//! that says "wrong password" with status 200 as most applications do, and 404s
//! for the rest. One thread a connection, 64 at most; it ends when dropped.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 64;
/// What the shop accepts as credentials.
pub(super) const CREDENTIALS: &str = "user=ada&password=correct-horse";

/// The running shop.
#[derive(Debug)]
pub(super) struct Shop {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Shop {
    /// Opens the shop on a free loopback port.
    pub(super) fn open() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        thread::Builder::new()
            .name("demo-shop".to_owned())
            .spawn(move || accept(&listener, &flag))?;
        Ok(Self { address, stopped })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // One last connection wakes the accept loop, which then sees the flag.
        let _woken = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, stopped: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let counted = Arc::clone(&open);
        let served = thread::Builder::new()
            .name("demo-customer".to_owned())
            .spawn(move || {
                // A connection that ends early is the edge's business to notice.
                let _ended = serve(&stream);
                counted.fetch_sub(1, Ordering::AcqRel);
            });
        if served.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some((line, length)) = read_head(&mut reader)? {
        let mut body = Vec::new();
        reader.by_ref().take(length).read_to_end(&mut body)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
        let path = target.split('?').next().unwrap_or("/");
        let (status, kind, text) = page(method, path, &body);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        let sent = if method == "HEAD" { head } else { head + &text };
        (&*stream).write_all(sent.as_bytes())?;
    }
    Ok(())
}

/// The request line and the body's length; `None` at the end of the connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<(String, u64)>> {
    let mut first = String::new();
    if reader.take(16 * 1024).read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.take(16 * 1024).read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(Some((first.trim_end().to_owned(), length)));
        }
        let field = line
            .split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if let Some((_, value)) = field {
            length = value.trim().parse().unwrap_or(0);
        }
    }
}

fn page(method: &str, path: &str, body: &[u8]) -> (&'static str, &'static str, String) {
    const HTML: &str = "text/html; charset=utf-8";
    let html = |title: &str| {
        format!(
            "<!doctype html><title>{title}</title><link rel=stylesheet href=/shop.css><h1>{title}</h1>"
        )
    };
    match (method, path) {
        ("POST", "/login") if body == CREDENTIALS.as_bytes() => {
            ("303 See Other", HTML, html("Welcome back"))
        }
        ("POST", "/login") => ("200 OK", HTML, html("Wrong user name or password")),
        ("POST", "/basket") => ("200 OK", HTML, html("In your basket")),
        ("GET" | "HEAD", "/") => ("200 OK", HTML, html("Tea and maps")),
        ("GET" | "HEAD", "/login") => ("200 OK", HTML, html("Log in")),
        ("GET" | "HEAD", "/search") => ("200 OK", HTML, html("Found three things")),
        ("GET" | "HEAD", "/shop.css") => {
            ("200 OK", "text/css", "h1 { font-weight: 500 }".to_owned())
        }
        ("GET" | "HEAD", item) if item.starts_with("/item/") => {
            ("200 OK", HTML, html("A fine thing"))
        }
        _ => ("404 Not Found", HTML, html("There is nothing here")),
    }
}
