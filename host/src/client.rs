//! The main process's end of the channel: one request at a time, each with a
//! deadline, from any thread.
//!
//! On failure: a helper that does not answer in time costs that request; a helper
//! that is gone costs every further one, at once. Nothing that was handed over
//! before is touched.

use std::fs::File;
use std::io::{self, PipeReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use host_sys::{Channel, Error};

use crate::policy::{FileRule, ListenerRule};
use crate::verb::{Counters, LARGEST, Refusal, Reply, Request, VERSION, Verb, Why, Word};

/// How long a request may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The helper process has ended.
    #[error(
        "The privileged helper process is gone ({why}). What is open stays open; restart Ringwall to open more."
    )]
    Gone {
        /// How it ended.
        why: String,
    },
    /// It did not answer in time.
    #[error("The privileged helper process did not answer within {} s.", PATIENCE.as_secs())]
    Silent,
    /// It said no.
    #[error("{}", sentence(.what, .refusal))]
    Refused {
        /// What was asked for.
        what: String,
        /// Its answer.
        refusal: Refusal,
    },
    /// It answered something else than what was asked.
    #[error("The privileged helper process answered out of turn.")]
    OutOfTurn,
    /// Without a helper: the kernel said no to the process itself.
    #[error("{}", own_sentence(.what, .source))]
    Own {
        /// What was asked for.
        what: String,
        /// The kernel's answer.
        source: Error,
    },
}

/// How the helper does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HelperState {
    /// It runs.
    Serving {
        /// Its process id.
        pid: u32,
    },
    /// It has ended.
    Gone {
        /// How, as a clause.
        why: String,
    },
}

/// The way to the helper.
#[derive(Debug)]
pub struct Client {
    wire: Mutex<Wire>,
}

#[derive(Debug)]
struct Wire {
    channel: Channel,
    child: Option<Child>,
    pid: u32,
    number: u64,
    gone: Option<String>,
}

impl Client {
    /// Greets the helper at the other end; `child` is its process, where it is ours.
    ///
    /// # Errors
    /// [`HostError::Gone`], [`HostError::Silent`], or a refusal for a helper of
    /// another version.
    pub fn greet(channel: Channel, child: Option<Child>) -> Result<Self, HostError> {
        let client = Self {
            wire: Mutex::new(Wire {
                channel,
                child,
                pid: 0,
                number: 0,
                gone: None,
            }),
        };
        match client.ask("greet the helper", Verb::Hello { version: VERSION })? {
            (Word::Welcome { pid, .. }, _) => client.wire().pid = pid,
            _ => return Err(HostError::OutOfTurn),
        }
        Ok(client)
    }

    /// A listener on a configured address; `share` counts from 0 to the rule's
    /// `shares`. It does not block and is closed on exec.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn bind(&self, rule: &ListenerRule, share: u16) -> Result<TcpListener, HostError> {
        let id = rule.id();
        let what = format!("bind {id}");
        match self.ask(&what, Verb::BindListener { id, share })? {
            (Word::Bound, Some(listener)) => Ok(listener.into()),
            _ => Err(HostError::OutOfTurn),
        }
    }

    /// A configured file, opened for reading.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn open(&self, rule: &FileRule) -> Result<File, HostError> {
        let id = rule.id();
        let what = format!("open {id}");
        match self.ask(&what, Verb::OpenConfigured { id })? {
            (Word::Opened, Some(file)) => Ok(file.into()),
            _ => Err(HostError::OutOfTurn),
        }
    }

    /// A pipe that tells what containers' labels say; the one before ends.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn docker_events(&self) -> Result<PipeReader, HostError> {
        match self.ask("watch Docker's containers", Verb::DockerEvents)? {
            (Word::Watching, Some(pipe)) => Ok(pipe.into()),
            _ => Err(HostError::OutOfTurn),
        }
    }

    /// Has the helper read the configuration again; until then it allows what the
    /// old one named. Returns the number of listeners and of files it found.
    ///
    /// # Errors
    /// See [`HostError`]; on a refusal the old configuration stays in force there.
    pub fn reload(&self) -> Result<(usize, usize), HostError> {
        match self.ask("read the configuration", Verb::Reload)? {
            (Word::Reloaded { listeners, files }, _) => Ok((listeners, files)),
            _ => Err(HostError::OutOfTurn),
        }
    }

    /// What the helper counted.
    ///
    /// # Errors
    /// See [`HostError`].
    pub fn ping(&self) -> Result<Counters, HostError> {
        match self.ask("ping", Verb::Ping)? {
            (Word::Pong { counted }, _) => Ok(counted),
            _ => Err(HostError::OutOfTurn),
        }
    }

    /// How the helper does, without asking it anything.
    #[must_use]
    pub fn state(&self) -> HelperState {
        let mut wire = self.wire();
        wire.look();
        match &wire.gone {
            Some(why) => HelperState::Gone { why: why.clone() },
            None => HelperState::Serving { pid: wire.pid },
        }
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, what: &str, verb: Verb) -> Result<(Word, Option<OwnedFd>), HostError> {
        let (word, descriptor) = self.wire().exchange(verb, Instant::now() + PATIENCE)?;
        match word {
            Word::Refused(refusal) => Err(HostError::Refused {
                what: what.to_owned(),
                refusal,
            }),
            word => Ok((word, descriptor)),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut wire = self.wire();
        let deadline = Instant::now() + Duration::from_millis(500);
        if wire.gone.is_none()
            && wire.exchange(Verb::Goodbye, deadline).is_ok()
            && let Some(child) = &mut wire.child
        {
            drop(child.wait()); // it has said farewell; this reaps it
        }
    }
}

impl Wire {
    fn exchange(
        &mut self,
        verb: Verb,
        deadline: Instant,
    ) -> Result<(Word, Option<OwnedFd>), HostError> {
        if let Some(why) = &self.gone {
            return Err(HostError::Gone { why: why.clone() });
        }
        self.number += 1;
        let number = self.number;
        let bytes =
            serde_json::to_vec(&Request { number, verb }).map_err(|_| HostError::OutOfTurn)?;
        self.patience_until(deadline)?;
        if let Err(error) = self.channel.send(&bytes, None) {
            return Err(self.failed(&error));
        }
        let mut buffer = [0_u8; LARGEST];
        loop {
            self.patience_until(deadline)?;
            let received = match self.channel.receive(&mut buffer, true) {
                Ok(received) => received,
                Err(error) => return Err(self.failed(&error)),
            };
            let bytes = buffer.get(..received.length).unwrap_or_default();
            let Ok(reply) = serde_json::from_slice::<Reply>(bytes) else {
                return Err(HostError::OutOfTurn);
            };
            // An older number answers a request that we gave up on; what came with
            // it is closed here.
            if reply.number == number {
                return Ok((reply.word, received.descriptor));
            }
        }
    }

    fn patience_until(&mut self, deadline: Instant) -> Result<(), HostError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HostError::Silent);
        }
        self.channel
            .set_patience(Some(left.max(Duration::from_millis(1))))
            .map_err(|error| self.failed(&error))
    }

    fn failed(&mut self, error: &Error) -> HostError {
        let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
        if let Some(errno) = error.errno()
            && late.contains(&io::Error::from_raw_os_error(errno).kind())
        {
            return HostError::Silent;
        }
        self.look();
        let why = self
            .gone
            .get_or_insert_with(|| "it closed the channel".to_owned())
            .clone();
        HostError::Gone { why }
    }

    /// Looks whether the process has ended, which also reaps it.
    fn look(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            self.gone = Some(status.to_string());
            self.child = None;
        }
    }
}

fn sentence(what: &str, refusal: &Refusal) -> String {
    let cause = match refusal.why {
        Why::NotConfigured => "the helper does not find it in the configuration".to_owned(),
        Why::Share => "more sockets than configured were asked for".to_owned(),
        Why::Budget => "too much was asked for in too short a time; try again".to_owned(),
        Why::Config => refusal.detail.clone(),
        Why::System => return system_sentence(what, &refusal.detail, refusal.errno),
        Why::Version => "the helper is of another version; restart Ringwall".to_owned(),
        Why::Malformed | Why::UnknownVerb | Why::NoHello => "the helper did not take it".to_owned(),
    };
    format!("Cannot {what}: {cause}.")
}

fn own_sentence(what: &str, source: &Error) -> String {
    system_sentence(what, &source.to_string(), source.errno())
}

/// What the operator reads when the kernel said no.
fn system_sentence(what: &str, detail: &str, errno: Option<i32>) -> String {
    let Some(errno) = errno else {
        return format!("Cannot {detail}."); // it says itself what was being done
    };
    let kernel = io::Error::from_raw_os_error(errno);
    match kernel.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Cannot {what}: another program holds it. Run 'ss -ltnp' to find it, or change edge.listen."
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "Cannot {what}: this host does not have that address. Run 'ip address' to see which it has."
        ),
        io::ErrorKind::PermissionDenied if what.starts_with("bind") => format!(
            "Cannot {what}: ports below 1024 need privileges. Start Ringwall as root, or choose a port from 1024 on."
        ),
        _ => format!("Cannot {what}: {kernel}."),
    }
}
