//! The access log: one line a request, written by a thread of its own.
//!
//! Purpose: cores format lines into their own buffer and hand it over when 64 KiB
//! are full or a second has passed. Refuses to block a core: when the writer
//! cannot keep up, whole buffers are dropped and counted.
//! Assumes: the opener gives a file in append mode. On failure to write, lines are
//! lost and a warning says so once a minute at most.

mod line;

use core::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use line::Entry;

use crate::EdgeError;
use crate::counters::Counters;

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// The combined format of Apache and nginx, followed by
    /// `id=… verdict=… upstream=…s`.
    Combined,
}

/// Where the access log goes.
pub struct AccessLog {
    /// How lines look.
    pub format: LogFormat,
    /// Opens the file for appending; called at start and after each
    /// [`crate::EdgeHandle::reopen_log`], on the writer's thread.
    pub open: Box<dyn FnMut() -> io::Result<File> + Send>,
}

impl core::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// A core hands its buffer over when it holds this much.
const FULL: usize = 64 * 1024;
/// Buffers that may wait for the writer, all cores together: 4 MiB.
const QUEUE: usize = 64;

/// How long the last lines may take when the edge stops.
const LAST_LINES: Duration = Duration::from_secs(2);

enum Message {
    Lines(Vec<u8>),
    Reopen,
    Stop,
}

/// The writer's thread, seen from the handle.
#[derive(Debug)]
pub(crate) struct LogWriter {
    format: LogFormat,
    queue: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    pub(crate) fn start(mut log: AccessLog) -> Result<Self, EdgeError> {
        let file = (log.open)().map_err(EdgeError::Log)?;
        let format = log.format;
        let (queue, messages) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(file, log, &messages))
            .map_err(EdgeError::Core)?;
        Ok(Self {
            format,
            queue,
            thread: Some(thread),
        })
    }

    pub(crate) fn for_core(&self) -> CoreLog {
        CoreLog {
            format: self.format,
            queue: self.queue.clone(),
            buffer: RefCell::default(),
            lines: Cell::new(0),
        }
    }

    pub(crate) fn reopen(&self) {
        // A full queue means that the disk is stuck; the caller may ask again.
        if self.queue.try_send(Message::Reopen).is_err() {
            tracing::warn!("access log writer is behind, reopen it again later");
        }
    }

    /// Writes what is queued, then ends. A target that is stuck (a full pipe whose
    /// reader hangs) is left to itself after [`LAST_LINES`]: nothing waits for it.
    pub(crate) fn stop(&mut self) {
        const STEP: Duration = Duration::from_millis(10);
        let Some(thread) = self.thread.take() else {
            return;
        };
        let until = Instant::now() + LAST_LINES;
        let mut told = false;
        while !thread.is_finished() && Instant::now() < until {
            told = told || self.queue.try_send(Message::Stop).is_ok();
            std::thread::sleep(STEP);
        }
        if !thread.is_finished() {
            tracing::warn!("the access log takes no more lines, the last ones are lost");
        } else if thread.join().is_err() {
            tracing::error!("access log writer panicked");
        }
    }
}

fn write_all(mut file: File, mut log: AccessLog, messages: &Receiver<Message>) {
    let mut warned: Option<Instant> = None;
    let mut warn = |error: &io::Error| {
        if warned.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
            warned = Some(Instant::now());
            tracing::warn!(%error, "cannot write the access log, lines are lost");
        }
    };
    while let Ok(message) = messages.recv() {
        let result = match message {
            Message::Lines(lines) => file.write_all(&lines),
            Message::Reopen => (log.open)().map(|fresh| file = fresh),
            Message::Stop => return,
        };
        if let Err(error) = result {
            warn(&error);
        }
    }
}

/// A core's end of the log.
#[derive(Debug)]
pub(crate) struct CoreLog {
    format: LogFormat,
    queue: SyncSender<Message>,
    buffer: RefCell<Vec<u8>>,
    lines: Cell<u64>,
}

impl CoreLog {
    pub(crate) fn write(&self, entry: &Entry<'_>, counters: &Counters) {
        let full = {
            let mut buffer = self.buffer.borrow_mut();
            if buffer.capacity() == 0 {
                buffer.reserve(FULL + 4096);
            }
            match self.format {
                LogFormat::Json => entry.json(&mut buffer),
                LogFormat::Combined => entry.combined(&mut buffer),
            }
            buffer.len() >= FULL
        };
        self.lines.set(self.lines.get() + 1);
        if full {
            self.flush(counters);
        }
    }

    /// Hands over what is there. Called once a second and when full.
    pub(crate) fn flush(&self, counters: &Counters) {
        if self.buffer.borrow().is_empty() {
            return;
        }
        let lines = self.lines.replace(0);
        match self.queue.try_send(Message::Lines(self.buffer.take())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                counters.log_dropped.add(lines);
            }
        }
    }
}
