//! From the end of the answer that decided to the end of the first refusal, as the
//! attacker sees it on one kept-alive connection.
//!
//! A source asks for files that hold secrets, each another one, without a pause. The
//! last request that was let through is the one that decided: what lies between is one
//! turn of the connection, in which a refusal must be ready.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

use super::contender::Contender;
use super::load::HEADERS;
use super::rounds::percentile;

/// Requests after which a source that nobody refused gives up.
const MOST: usize = 40;

/// What came of many sources; times in microseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reactions {
    pub(super) sources: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) most: f64,
    /// Median of an ordinary request of the same connections.
    pub(super) ordinary: f64,
    /// Requests let through: the least and the most of any source.
    pub(super) through: (usize, usize),
    /// Refusals that were a closed connection without an answer.
    pub(super) closed: usize,
    /// Sources that were refused on a new connection at once.
    pub(super) anew: usize,
}

impl fmt::Display for Reactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sources, p50 {:.0} µs, p99 {:.0} µs, most {:.0} µs, let through {} to {}, {} closed unanswered",
            self.sources,
            self.p50,
            self.p99,
            self.most,
            self.through.0,
            self.through.1,
            self.closed
        )
    }
}

/// Lets `sources` addresses attack, one after the other.
pub(super) fn provoke(contender: &Contender, round: u8, sources: u16) -> Result<Reactions> {
    let (mut times, mut ordinary, mut through) = (Vec::new(), Vec::new(), Vec::new());
    let (mut closed, mut anew) = (0, 0);
    for number in 0..sources {
        let [high, low] = number.to_be_bytes();
        let source = Ipv4Addr::new(127, 40 + round, high, low);
        let one = attack(source, contender.address())?;
        times.push(one.reaction.as_secs_f64() * 1e6);
        ordinary.push(one.ordinary.as_secs_f64() * 1e6);
        through.push(one.through);
        closed += usize::from(one.closed);
        anew += usize::from(is_refused_anew(source, contender.address())?);
    }
    times.sort_by(f64::total_cmp);
    ordinary.sort_by(f64::total_cmp);
    Ok(Reactions {
        sources: times.len(),
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
        most: times.last().copied().unwrap_or(0.0),
        ordinary: percentile(&ordinary, 50),
        through: (
            through.iter().copied().min().unwrap_or(0),
            through.iter().copied().max().unwrap_or(0),
        ),
        closed,
        anew,
    })
}

/// Whether a new connection is refused, before or after it asks for something harmless.
fn is_refused_anew(source: Ipv4Addr, edge: SocketAddr) -> Result<bool> {
    let Ok(mut stream) = connect(source, edge) else {
        return Ok(true);
    };
    Ok(matches!(
        ask(&mut stream, "/")?,
        Answer::Closed | Answer::Status(403)
    ))
}

struct One {
    reaction: Duration,
    ordinary: Duration,
    through: usize,
    closed: bool,
}

fn attack(source: Ipv4Addr, edge: SocketAddr) -> Result<One> {
    const FILES: [&str; 8] = [
        "/.env",
        "/.git/config",
        "/.aws/credentials",
        "/.svn/entries",
        "/id_rsa",
        "/backup.sql",
        "/wp-config.php.bak",
        "/.htpasswd",
    ];
    let mut stream = connect(source, edge).context("Cannot connect to attack.")?;
    let mut ordinary = Duration::ZERO;
    for turn in 0..MOST {
        let file = FILES.get(turn % FILES.len()).copied().unwrap_or("/.env");
        let folder = turn / FILES.len();
        let target = if folder == 0 {
            file.to_owned()
        } else {
            format!("/{folder}{file}")
        };
        let began = Instant::now();
        let answer = ask(&mut stream, &target)?;
        let took = began.elapsed();
        match answer {
            Answer::Status(200) => ordinary = took,
            Answer::Status(403) | Answer::Closed => {
                return Ok(One {
                    reaction: took,
                    ordinary,
                    through: turn,
                    closed: answer == Answer::Closed,
                });
            }
            Answer::Status(other) => bail!("{source} was answered with {other}."),
        }
    }
    bail!("{source} made {MOST} requests for secrets and was not refused.")
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Status(u16),
    /// Nothing but the end of the connection.
    Closed,
}

/// A connection from an address of our choice on loopback.
pub(super) fn connect(source: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(5))?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

/// Asks for `target` and reads the whole answer.
pub(super) fn ask<S: Read + Write>(stream: &mut S, target: &str) -> Result<Answer> {
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: bench.example\r\n");
    for header in HEADERS {
        request += header;
        request += "\r\n";
    }
    request += "\r\n";
    if stream.write_all(request.as_bytes()).is_err() {
        return Ok(Answer::Closed);
    }
    let mut answer = Vec::with_capacity(4096);
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = whole(&answer) {
            return Ok(Answer::Status(end));
        }
        match stream.read(&mut piece) {
            Ok(0) => return Ok(Answer::Closed),
            Ok(count) => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return Ok(Answer::Closed);
            }
            Err(error) => return Err(error).context("Nothing came back."),
        }
    }
}

/// The status, once head and body are there.
fn whole(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse::<usize>().ok())?
    });
    (answer.len() >= end + 4 + length.unwrap_or(0)).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let text = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno.";
        assert_eq!(whole(text), Some(403));
        for cut in 0..text.len() {
            assert_eq!(whole(&text[..cut]), None, "cut at {cut}");
        }
        assert_eq!(whole(b"HTTP/1.1 204 No Content\r\n\r\n"), Some(204));
    }
}
