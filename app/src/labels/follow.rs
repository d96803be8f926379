//! Hears what containers' labels say and has the sites follow.

use std::sync::Arc;
use std::time::Duration;

use host::docker::{DockerRule, FRAME_BYTES, Frame, Stream, Watch};
use host::{Access, HostError};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;

use super::Labels;
use crate::daemon::Daemon;
use crate::now;

/// How long a start waits for the first list, so that a host that a label claims is
/// not answered by the site for `*` meanwhile.
const FIRST: Duration = Duration::from_secs(2);
/// The rest before the stream is asked for again after it ended.
const REST: Duration = Duration::from_secs(2);
/// How often hosts that are held for removed containers are looked at.
const LOOK: Duration = Duration::from_secs(15);

/// An open stream.
#[derive(Debug)]
pub struct Ear {
    lines: BufReader<pipe::Receiver>,
    /// What of the next line was read.
    line: Vec<u8>,
    rule: DockerRule,
    _watch: Option<Watch>,
}

/// Where labels are told, if the configuration asks for them.
#[must_use]
pub fn rule(config: &config::Config) -> Option<DockerRule> {
    config.docker.labels.then(|| DockerRule {
        socket: config.docker.socket.clone(),
    })
}

impl Ear {
    /// Opens the stream and waits a short while for the first frame. Call it inside of
    /// a runtime.
    pub async fn first(access: &Access, rule: DockerRule, labels: &Labels) -> Option<Self> {
        let opened = access
            .docker_events(&rule)
            .map_err(|error: HostError| error.to_string())
            .and_then(|stream| Self::on(stream, rule));
        let mut ear = match opened {
            Ok(ear) => ear,
            Err(why) => {
                labels.hear(Frame::Lost { why }, now());
                return None;
            }
        };
        if let Ok(Ok(frame)) = tokio::time::timeout(FIRST, ear.next()).await {
            labels.hear(frame, now());
        }
        Some(ear)
    }

    fn on(stream: Stream, rule: DockerRule) -> Result<Self, String> {
        let receiver = pipe::Receiver::from_owned_fd(stream.pipe.into())
            .map_err(|error| format!("the stream cannot be read: {error}"))?;
        Ok(Self {
            lines: BufReader::new(receiver),
            line: Vec::new(),
            rule,
            _watch: stream.watch,
        })
    }

    /// The next frame. May be dropped and called again: no byte is lost.
    async fn next(&mut self) -> Result<Frame, String> {
        loop {
            let piece = self
                .lines
                .fill_buf()
                .await
                .map_err(|error| format!("the stream broke: {error}"))?;
            if piece.is_empty() {
                return Err("whoever watches Docker for us ended".to_owned());
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(piece.len(), |at| at + 1);
            self.line
                .extend_from_slice(piece.get(..length).unwrap_or_default());
            self.lines.consume(length);
            if end.is_some() {
                let frame = serde_json::from_slice(&self.line);
                self.line = Vec::new();
                return frame.map_err(|error| format!("the stream is odd: {error}"));
            }
            if self.line.len() > FRAME_BYTES {
                return Err("the stream is odd: a line without an end".to_owned());
            }
        }
    }
}

/// Follows the stream until stopped from outside; never ends by itself.
pub async fn follow(daemon: Arc<Daemon>, mut ear: Option<Ear>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let wanted = rule(&daemon.config());
        if ear.as_ref().map(|ear| &ear.rule) != wanted.as_ref() {
            ear = None;
        }
        if wanted.is_none() {
            daemon.labels().forget();
        }
        if ear.is_none()
            && let Some(rule) = wanted.clone()
        {
            ear = open(&daemon, rule).await;
        }
        let waits = wanted.is_some() && ear.is_none();
        tokio::select! {
            heard = next(&mut ear) => match heard {
                Ok(frame) => take(&daemon, Some(frame)).await,
                Err(why) => {
                    ear = None;
                    // A reload that changes the rule ends the stream too; that is no loss.
                    if rule(&daemon.config()) == wanted {
                        take(&daemon, Some(Frame::Lost { why })).await;
                        tokio::time::sleep(REST).await;
                    }
                }
            },
            () = daemon.reloaded() => {}
            () = tokio::time::sleep(REST), if waits => {}
            _ = look.tick() => if daemon.labels().waits() {
                take(&daemon, None).await;
            },
        }
    }
}

/// The next frame of the stream; never, where there is none.
async fn next(ear: &mut Option<Ear>) -> Result<Frame, String> {
    match ear {
        Some(ear) => ear.next().await,
        None => std::future::pending().await,
    }
}

/// Asks for the stream, off the runtime: the helper may take its time.
async fn open(daemon: &Arc<Daemon>, rule: DockerRule) -> Option<Ear> {
    let (asking, wanted) = (Arc::clone(daemon), rule.clone());
    let asked =
        tokio::task::spawn_blocking(move || asking.hands().access.docker_events(&wanted)).await;
    let opened = match asked {
        Ok(Ok(stream)) => Ear::on(stream, rule),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match opened {
        Ok(ear) => Some(ear),
        Err(why) => {
            take(daemon, Some(Frame::Lost { why })).await;
            None
        }
    }
}

/// Has the sites follow, off the runtime.
async fn take(daemon: &Arc<Daemon>, frame: Option<Frame>) {
    let daemon = Arc::clone(daemon);
    let done = tokio::task::spawn_blocking(move || daemon.relabel(frame)).await;
    if let Err(error) = done {
        tracing::error!(%error, "a task ended badly");
    }
}
