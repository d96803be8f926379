//! The thread that lists containers, waits for events, and lists again.
//!
//! Events are not read, only noticed: each is a reason to ask for the list anew.
//! What nobody parses cannot be forged, and after a lost connection the same list
//! is the way back.

use std::convert::Infallible;
use std::io::{self, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::call::{self, Question, odd};
use super::{DockerRule, Frame, Sight, list};

/// How long is waited after an event for those that follow it: at most so many lists
/// are asked for, however many containers start and die.
const SETTLE: Duration = Duration::from_millis(300);
/// How often the list is asked for although nothing was heard.
const ANYWAY: Duration = Duration::from_secs(60);
/// The first rest after Docker was lost.
const FIRST_REST: Duration = Duration::from_millis(500);
/// The longest rest before Docker is asked again.
pub const LONGEST_REST: Duration = Duration::from_secs(15);
/// How often a thread that is to end is looked at.
const GLANCE: Duration = Duration::from_millis(2);
/// The longest list that is read, in bytes. It is not held: this bounds the work, and
/// is more than Docker itself could hold of labels for long.
const LIST_BYTES: usize = 1 << 30;
/// How long the whole list may take.
const LIST_TIME: Duration = Duration::from_secs(30);

/// Where frames are read: one JSON line each, at most
/// [`FRAME_BYTES`](super::FRAME_BYTES) long.
#[derive(Debug)]
pub struct Stream {
    /// The reading end.
    pub pipe: PipeReader,
    /// The thread that writes, where it is our own; dropped, it ends.
    pub watch: Option<Watch>,
}

/// The thread; dropped, it is told to end and does so at its next step.
#[derive(Debug)]
pub struct Watch {
    bell: Arc<Bell>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Tells the thread to end; whether it did so within `patience`. It cannot while it
    /// writes into a pipe that is full and that nobody reads or closes.
    #[must_use]
    pub fn end(&self, patience: Duration) -> bool {
        self.bell.ring();
        let late = Instant::now() + patience;
        while !self.thread.is_finished() {
            if Instant::now() >= late {
                return false;
            }
            thread::sleep(GLANCE);
        }
        true
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Not joined: it may be writing to a reader that takes its time. It holds
        // nothing but its own sockets.
        self.bell.ring();
    }
}

/// Tells the thread to end, whatever it waits for.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<Rung>,
    heard: Condvar,
}

#[derive(Debug, Default)]
struct Rung {
    over: bool,
    /// The connection that may be waited on.
    waits: Option<UnixStream>,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let mut rung = self.lock();
        rung.over = true;
        if let Some(stream) = rung.waits.take() {
            // Closed already is as good.
            let _closed = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(rung);
        self.heard.notify_all();
    }

    /// Rests for that long; whether the end was not rung.
    fn rest(&self, span: Duration) -> bool {
        let rung = self.lock();
        let (rung, _) = self
            .heard
            .wait_timeout_while(rung, span, |rung| !rung.over)
            .unwrap_or_else(PoisonError::into_inner);
        !rung.over
    }

    /// Has the bell close this connection too.
    fn watch(&self, stream: &UnixStream) -> io::Result<()> {
        let mut rung = self.lock();
        if rung.over {
            return Err(odd("the watch is over"));
        }
        rung.waits = Some(stream.try_clone()?);
        drop(rung);
        Ok(())
    }
}

/// Why the watch broke off.
enum Broken {
    /// Nobody reads any more.
    Unread,
    /// Docker.
    Docker(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Docker(error)
    }
}

/// Starts watching; frames come out of the pipe.
///
/// # Errors
/// When there is no pipe or thread to be had.
pub fn watch(rule: &DockerRule) -> io::Result<(PipeReader, Watch)> {
    let (reader, mut writer) = io::pipe()?;
    let bell = Arc::new(Bell::default());
    let (heard, socket) = (Arc::clone(&bell), rule.socket.clone());
    let thread = thread::Builder::new()
        .name("docker".to_owned())
        .spawn(move || follow(&socket, &heard, &mut writer))?;
    Ok((reader, Watch { bell, thread }))
}

/// Watches until the bell rings or nobody reads, with longer and longer rests while
/// Docker does not answer.
fn follow(socket: &Path, bell: &Bell, out: &mut PipeWriter) {
    let mut rest = FIRST_REST;
    let mut told = None;
    loop {
        let mut well = false;
        match attend(socket, bell, out, &mut well) {
            Err(Broken::Unread) => return,
            Err(Broken::Docker(_)) if bell.lock().over => return,
            Err(Broken::Docker(error)) => {
                if well {
                    (rest, told) = (FIRST_REST, None);
                }
                let why = sentence(socket, &error);
                // Once for each cause, not once for each attempt.
                if told.as_ref() != Some(&why) {
                    if tell(out, &Frame::Lost { why: why.clone() }).is_err() {
                        return;
                    }
                    told = Some(why);
                }
            }
        }
        if !bell.rest(rest) {
            return;
        }
        rest = (rest * 2).min(LONGEST_REST);
    }
}

/// One connection's life; `well` becomes true with the first list.
fn attend(
    socket: &Path,
    bell: &Bell,
    out: &mut PipeWriter,
    well: &mut bool,
) -> Result<Infallible, Broken> {
    // Events first: what happens while the list is read is then not missed.
    let mut events = call::ask(socket, Question::Events)?;
    let mut last = Sight::default();
    loop {
        let sight = look(socket, bell)?;
        bell.watch(events.get_ref())?;
        if !*well || sight != last {
            last.clone_from(&sight);
            tell(out, &Frame::Sight(sight)).map_err(|_| Broken::Unread)?;
        }
        *well = true;
        wait(&mut events)?;
    }
}

/// The list as it is now.
fn look(socket: &Path, bell: &Bell) -> io::Result<Sight> {
    let begun = Instant::now();
    let mut answer = call::ask(socket, Question::Containers)?;
    bell.watch(answer.get_ref())?;
    let mut reading = list::Reading::default();
    let mut piece = vec![0; 64 << 10];
    let mut left = LIST_BYTES;
    let odd_list = |error: list::Odd| odd(&format!("the list of containers is odd: {error}"));
    loop {
        let length = answer.read(&mut piece)?;
        if length == 0 {
            return reading.end().map_err(odd_list);
        }
        reading
            .take(piece.get(..length).unwrap_or_default())
            .map_err(odd_list)?;
        left = left
            .checked_sub(length)
            .ok_or_else(|| odd("the list of containers is longer than 1 GiB"))?;
        if begun.elapsed() > LIST_TIME {
            return Err(odd("the list of containers took longer than 30 s"));
        }
    }
}

/// Waits for an event and those that follow it at once, or for [`ANYWAY`].
fn wait(events: &mut BufReader<UnixStream>) -> io::Result<()> {
    let mut waste = [0; 4 << 10];
    let mut until = Instant::now() + ANYWAY;
    let mut heard = false;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        events.get_ref().set_read_timeout(Some(left))?;
        match events.read(&mut waste) {
            Ok(0) => return Err(odd("it closed the connection")),
            Ok(_) if heard => {}
            Ok(_) => (heard, until) = (true, Instant::now() + SETTLE),
            Err(error) if is_late(&error) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn tell(out: &mut PipeWriter, frame: &Frame) -> io::Result<()> {
    let mut line = serde_json::to_vec(frame)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// What the operator reads, with the likely fix; a clause without a full stop.
fn sentence(socket: &Path, error: &io::Error) -> String {
    let place = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no socket {place}; start Docker, or set docker.socket")
        }
        io::ErrorKind::PermissionDenied => format!(
            "{place} may not be opened; start Ringwall as root, whose helper may, or let its user into \
             the group of the socket, which is as good as root"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("nobody answers at {place}; start Docker")
        }
        _ if is_late(error) => format!("Docker was silent at {place} for too long"),
        _ => format!("Docker at {place}: {error}"),
    }
}
