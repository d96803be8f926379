//! One GET over Docker's socket.
//!
//! HTTP/1.0 on purpose: the answer ends with the connection and has no chunks, so
//! nothing is left to parse but a status and lines up to an empty one. The paths are
//! constants without a version: 20.10 speaks up to 1.41 and 29 wants 1.44 at least,
//! and without one each daemon answers in its own. What is read of the answer has
//! had the same names since 1.21.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long Docker may be silent within an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of an answer, in bytes.
const HEAD_BYTES: u64 = 16 << 10;

/// What can be asked for: this, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// All containers, those that don't run too.
    Containers,
    /// A stream that says something whenever a container or its networks change.
    Events,
}

impl Question {
    const fn target(self) -> &'static str {
        match self {
            Self::Containers => "/containers/json?all=true",
            // {"type":["container","network"],"event":["start",…]}, escaped. Without it
            // every health check of every container would wake us.
            Self::Events => concat!(
                "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%2C",
                "%22event%22%3A%5B%22create%22%2C%22start%22%2C%22die%22%2C%22destroy%22%2C%22rename%22%2C",
                "%22pause%22%2C%22unpause%22%2C%22connect%22%2C%22disconnect%22%5D%7D"
            ),
        }
    }
}

/// Asks, and reads the answer's head. The body follows on what is returned.
pub(super) fn ask(socket: &Path, question: Question) -> io::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: docker\r\nAccept: application/json\r\n\r\n",
        question.target()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = BufReader::new(stream);
    head(&mut answer)?;
    Ok(answer)
}

/// Reads up to the empty line; an error unless the status is 200 and the body plain.
fn head(answer: &mut impl BufRead) -> io::Result<()> {
    let mut answer = answer.take(HEAD_BYTES);
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        answer.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(odd("it broke off"));
        }
        let text = line.trim_ascii().to_ascii_lowercase();
        if first
            && !(text.starts_with(b"http/1.")
                && matches!(
                    text.get(8..),
                    Some(b" 200") | Some([b' ', b'2', b'0', b'0', b' ', ..])
                ))
        {
            let status = String::from_utf8_lossy(text.get(9..12).unwrap_or_default()).into_owned();
            return Err(odd(&format!("it answered with status {status:?}")));
        }
        if text.starts_with(b"transfer-encoding:") {
            return Err(odd("it answered in chunks, which HTTP/1.0 does not have"));
        }
        if text.is_empty() {
            return Ok(());
        }
        first = false;
    }
}

pub(super) fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_answer_that_went_well_is_read_on() {
        let mut good: &[u8] = b"HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\n\r\n[]";
        head(&mut good).unwrap();
        assert_eq!(good, b"[]");
        let long = [
            b"HTTP/1.0 200 OK\r\n".as_slice(),
            &b"x: y\r\n".repeat(10_000),
            b"\r\n",
        ];
        // DENY
        for bad in [
            b"".as_slice(),
            b"HTTP/1.0 200 OK\r\n",
            b"HTTP/1.0 403 Forbidden\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 2000\r\n\r\n",
            b"SSH-2.0-x\r\n\r\n",
            &long.concat(),
        ] {
            let mut bytes = bad;
            assert!(head(&mut bytes).is_err(), "{}", bad.escape_ascii());
        }
    }
}
