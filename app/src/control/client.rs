//! The command line's end of the control socket; blocking, with time-outs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{Answer, Ask, MAX_ANSWER, Question, VERSION};
use crate::Error;

/// How long an answer may take; commands that wait for the disk take longest.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the instance behind `socket` and reads an answer of type `T`.
///
/// # Errors
/// When nobody listens, the peer refuses, or the answer is not what was asked for;
/// each a whole sentence for the operator.
pub fn ask<T: DeserializeOwned>(socket: &Path, ask: Ask) -> Result<T, Error> {
    let stream = UnixStream::connect(socket).map_err(|error| unreachable_socket(socket, &error))?;
    let question = Question {
        version: VERSION,
        ask,
    };
    let answer = exchange(stream, &question).map_err(|error| {
        Error::Operator(format!(
            "The running instance did not answer on {}: {error}.",
            socket.display()
        ))
    })?;
    match answer {
        Answer::Ok(value) => serde_json::from_value(value).map_err(|error| {
            Error::Operator(format!(
                "The running instance gave an answer that this version does not understand ({error}). \
                 Is it an older or newer ringwall? Restart it."
            ))
        }),
        Answer::Error(sentence) => Err(Error::Operator(sentence)),
    }
}

/// Whether somebody may be behind `socket`. Only a socket that is not there, or that nobody
/// listens on, says no.
#[must_use]
pub fn is_there(socket: &Path) -> bool {
    use std::io::ErrorKind as Kind;
    let absent = [Kind::NotFound, Kind::ConnectionRefused];
    !matches!(UnixStream::connect(socket), Err(error) if absent.contains(&error.kind()))
}

fn exchange(mut stream: UnixStream, question: &Question) -> std::io::Result<Answer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut text = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_until(b'\n', &mut text)?;
    if text.is_empty() {
        return Err(std::io::Error::other(
            "it closed the connection without an answer",
        ));
    }
    Ok(serde_json::from_slice(&text)?)
}

fn unreachable_socket(socket: &Path, error: &std::io::Error) -> Error {
    let socket = socket.display();
    Error::Operator(match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "No running instance: there is no control socket at {socket}. Start one with 'ringwall up', \
             or name its configuration with --config."
        ),
        std::io::ErrorKind::PermissionDenied => format!(
            "The control socket {socket} is not open to you. Use sudo, or, as a member of its group, \
             sg GROUP -c 'ringwall …'."
        ),
        std::io::ErrorKind::ConnectionRefused => format!(
            "Nobody listens on {socket}: the instance that made it is gone. Start it again with 'ringwall up'."
        ),
        _ => format!("Cannot reach the running instance at {socket}: {error}."),
    })
}
