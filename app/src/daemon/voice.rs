//! What the daemon says on standard error, written by a thread of its own.
//!
//! **For:** edge cores speak while they hold a connection and the book's keeper, so a
//! reader that is slow, stuck or gone (a full pipe, a log driver that hangs, a closed
//! pager) may cost lines, never a request or a decision. **Refuses:** to wait, and to
//! fail: beyond the bound lines are dropped and counted, and the count is written as
//! soon as there is room again. **On failure:** lines are lost.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that may wait for the reader.
const WAITING: usize = 1024;
/// What of a line is kept.
const LONGEST: usize = 8 * 1024;
/// How long the last lines may take when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

enum Said {
    Line(Vec<u8>),
    /// Answered once all that was said before is written.
    Done(SyncSender<()>),
}

/// The mouth: writing to it never waits and never fails.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    queue: SyncSender<Said>,
    lost: Arc<AtomicU64>,
}

impl Voice {
    /// Starts the thread that writes to `ear`; `json` is how the count of lost lines is
    /// worded.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(ear: impl Write + Send + 'static, json: bool) -> io::Result<Self> {
        let (queue, said) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let voice = Self {
            queue,
            lost: Arc::clone(&lost),
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                host::step_back();
                speak(ear, &said, &lost, json);
            })?;
        Ok(voice)
    }
}

impl Write for Voice {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = bytes.get(..LONGEST).unwrap_or(bytes).to_vec();
        if line.len() < bytes.len() {
            line.push(b'\n');
        }
        if self.queue.try_send(Said::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has the last lines written before it goes, as far as somebody reads them.
#[derive(Debug)]
pub(super) struct LastWords(pub(super) Voice);

impl Drop for LastWords {
    fn drop(&mut self) {
        let (done, heard) = sync_channel(1);
        // A queue that is full has no reader: there is nothing to wait for.
        if self.0.queue.try_send(Said::Done(done)).is_ok() {
            let _in_time = heard.recv_timeout(LAST_WORDS);
        }
    }
}

fn speak(mut ear: impl Write, said: &Receiver<Said>, lost: &AtomicU64, json: bool) {
    while let Ok(said) = said.recv() {
        // Whoever does not listen misses it: there is nowhere else to complain.
        let _heard = match said {
            Said::Line(line) => ear.write_all(&line),
            Said::Done(done) => done.send(()).map_err(io::Error::other),
        };
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let words = format!("{missing} lines of this log are lost: its reader was too slow");
            let _heard = if json {
                writeln!(
                    ear,
                    "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{words}\"}}}}"
                )
            } else {
                writeln!(ear, "WARN {words}")
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::Sender;

    use super::*;

    /// An ear that hears a write whenever it is let.
    struct Stuck {
        let_go: Mutex<Receiver<()>>,
        heard: Sender<Vec<u8>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.let_go.lock().unwrap().recv().is_err() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let _gone = self.heard.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_stuck_costs_lines_and_hears_how_many() {
        let (let_go, gate) = std::sync::mpsc::channel();
        let (heard, lines) = std::sync::mpsc::channel();
        let ear = Stuck {
            let_go: Mutex::new(gate),
            heard,
        };
        let mut voice = Voice::start(ear, false).unwrap();
        // DENY: none of these may wait, or this test never ends.
        for _ in 0..WAITING + 100 {
            voice.write_all(b"a line\n").unwrap();
        }
        let lost = voice.lost.load(Ordering::Relaxed);
        assert!((99..=100).contains(&lost), "{lost}");
        let_go.send(()).unwrap();
        let_go.send(()).unwrap();
        assert_eq!(lines.recv().unwrap(), b"a line\n");
        let told = String::from_utf8(lines.recv().unwrap()).unwrap();
        assert!(
            told.starts_with("WARN ") || told.starts_with(&lost.to_string()),
            "{told}"
        );
        drop(let_go);
    }

    #[test]
    fn a_reader_that_is_gone_makes_nothing_fail_and_long_lines_are_cut() {
        let (let_go, gate) = std::sync::mpsc::channel();
        let (heard, lines) = std::sync::mpsc::channel();
        let ear = Stuck {
            let_go: Mutex::new(gate),
            heard,
        };
        let mut voice = Voice::start(ear, true).unwrap();
        voice.write_all(&vec![b'x'; LONGEST + 5]).unwrap();
        let_go.send(()).unwrap();
        assert_eq!(lines.recv().unwrap().len(), LONGEST + 1, "DENY longer");
        drop(let_go);
        for _ in 0..10 {
            voice.write_all(b"nobody hears this\n").unwrap();
        }
        drop(LastWords(voice));
    }
}
