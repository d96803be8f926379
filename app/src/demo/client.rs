//! A browser-like blocking client that calls from a loopback address of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const PATIENCE: Duration = Duration::from_secs(10);

/// One client with one kept-alive connection.
#[derive(Debug)]
pub(super) struct Client {
    source: IpAddr,
    edge: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client at `source` that talks to the edge.
    pub(super) fn new(source: IpAddr, edge: SocketAddr) -> Self {
        Self {
            source,
            edge,
            connection: None,
        }
    }

    /// The address it calls from.
    pub(super) fn source(&self) -> IpAddr {
        self.source
    }

    /// Asks for a page; the answer's status.
    pub(super) fn get(&mut self, target: &str) -> io::Result<u16> {
        self.request("GET", target, "")
    }

    /// Sends a form; the answer's status.
    pub(super) fn post(&mut self, target: &str, form: &str) -> io::Result<u16> {
        self.request("POST", target, form)
    }

    fn request(&mut self, method: &str, target: &str, body: &str) -> io::Result<u16> {
        let mut text = format!(
            "{method} {target} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: {BROWSER}\r\n\
             Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en\r\n"
        );
        if !body.is_empty() {
            let length = body.len();
            text += &format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
            );
        }
        text += "\r\n";
        text += body;
        let answered = self.exchange(text.as_bytes());
        if answered.is_err() {
            self.connection = None;
        }
        answered
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        let connection = match &mut self.connection {
            Some(open) => open,
            none => none.insert(BufReader::new(connect(self.source, self.edge)?)),
        };
        connection.get_mut().write_all(request)?;
        let (status, length, close) = read_head(connection)?;
        io::copy(&mut connection.by_ref().take(length), &mut io::sink())?;
        if close {
            self.connection = None;
        }
        Ok(status)
    }
}

fn connect(source: IpAddr, edge: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(edge), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&edge.into(), PATIENCE)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Status, body length and whether the edge closes afterwards. The edge sends the
/// demo's small pages with `Content-Length`, so that is all this client reads.
fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, u64, bool)> {
    let (mut status, mut length, mut close) = (0, 0, false);
    for number in 0..100 {
        let mut line = String::new();
        if reader.take(16 * 1024).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if number == 0 {
            status = line
                .split(' ')
                .nth(1)
                .and_then(|code| code.parse().ok())
                .unwrap_or(0);
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "connection" => close = value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    Ok((status, length, close))
}
