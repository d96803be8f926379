//! The daemon's end of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use supervise::Stop;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::protocol::{Answer, Ask, MAX_LINE, Question, VERSION};

/// Callers served at once.
const CALLERS: usize = 32;
/// How long a caller may take to say its line: programs say it at once, and whoever
/// keeps silent takes a place from others.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a caller may take to read its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers questions. Called on a thread of its own, since it may wait for the disk.
pub trait Oracle: Send + Sync + 'static {
    /// The answer; an `Err` is a whole sentence for the operator.
    ///
    /// # Errors
    /// When the question cannot be answered or the order not carried out.
    fn answer(&self, ask: Ask, caller: Caller) -> Result<serde_json::Value, String>;
}

/// Who asks, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The user id.
    pub uid: u32,
}

/// A bound control socket; its file is removed when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    serves: Served,
}

impl Socket {
    /// Binds the socket with mode 0660. A socket file that nobody listens on is replaced.
    ///
    /// # Errors
    /// When another instance listens there, or the path cannot be used.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(io::Error::other(
                    "something that is not a socket is in its place",
                ));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another instance listens on it",
                ));
            }
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        // The file's owner is whom we run as; /proc/self would say root, since a
        // confined process is not dumpable.
        let file = fs::metadata(path)?;
        let serves = Served {
            owner: file.uid(),
            group: file.gid(),
        };
        Ok(Self {
            listener,
            path: path.to_owned(),
            serves,
        })
    }

    /// Serves callers until asked to stop; those that asked before get their answers.
    pub async fn serve(self, oracle: Arc<dyn Oracle>, mut stop: Stop) {
        let permits = Arc::new(Semaphore::new(CALLERS));
        let mut callers = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = callers.join_next(), if !callers.is_empty() => continue,
                () = stop.asked() => break,
            };
            match stream {
                Ok((stream, _)) => {
                    let oracle = Arc::clone(&oracle);
                    let serves = self.serves;
                    callers.spawn(async move {
                        // A caller that goes away early harms only itself.
                        if let Err(error) = converse(stream, oracle, serves).await {
                            tracing::debug!(%error, "control caller went away");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept on control socket failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        while callers.join_next().await.is_some() {}
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "control socket file was gone already");
        }
    }
}

async fn converse(stream: UnixStream, oracle: Arc<dyn Oracle>, serves: Served) -> io::Result<()> {
    let credentials = stream.peer_cred()?;
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut reader = BufReader::new(read.take(limit));
    let said = tokio::time::timeout(SILENCE, reader.read_until(b'\n', &mut line)).await?;
    let answer = match said {
        _ if !serves.welcomes(credentials.uid(), credentials.gid()) => Answer::Error(
            "This control socket does not serve you. Use sudo, or, as a member of its group, \
                 sg GROUP -c 'ringwall …'."
                .to_owned(),
        ),
        Ok(_) => {
            reply(
                &line,
                oracle,
                Caller {
                    uid: credentials.uid(),
                },
            )
            .await
        }
        Err(error) => return Err(error),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    tokio::time::timeout(PATIENCE, write.write_all(&text)).await??;
    write.shutdown().await
}

/// Who is served, besides root.
#[derive(Clone, Copy, Debug)]
struct Served {
    /// The user that Ringwall runs as.
    owner: u32,
    /// The socket file's group, unless it is one of [`Self::TELL_NOTHING`].
    group: u32,
}

impl Served {
    /// Root's group, and Debian's `nogroup`, which unrelated services share.
    const TELL_NOTHING: [u32; 2] = [0, 65534];

    /// Whether a caller with these credentials is served. The group counts as the
    /// caller's own one (`sg GROUP`), since the kernel names no other.
    fn welcomes(self, uid: u32, gid: u32) -> bool {
        uid == 0
            || uid == self.owner
            || gid == self.group && !Self::TELL_NOTHING.contains(&self.group)
    }
}

async fn reply(line: &[u8], oracle: Arc<dyn Oracle>, caller: Caller) -> Answer {
    let question = match parse(line) {
        Ok(question) => question,
        Err(sentence) => return Answer::Error(sentence),
    };
    let answered = tokio::task::spawn_blocking(move || oracle.answer(question.ask, caller)).await;
    match answered {
        Ok(Ok(value)) => Answer::Ok(value),
        Ok(Err(sentence)) => Answer::Error(sentence),
        Err(error) => {
            tracing::error!(%error, "control question failed");
            Answer::Error("The question hit a defect in Ringwall; its log says more.".to_owned())
        }
    }
}

/// Reads one question.
///
/// # Errors
/// A sentence for the caller.
pub fn parse(line: &[u8]) -> Result<Question, String> {
    if line.len() >= MAX_LINE {
        return Err(format!("The question is longer than {MAX_LINE} bytes."));
    }
    let value: serde_json::Value = serde_json::from_slice(line)
        .map_err(|error| format!("The question is not JSON: {error}."))?;
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        return Err(format!(
            "The instance speaks version {VERSION} of the control protocol, the caller another. \
             Restart the instance after an upgrade."
        ));
    }
    serde_json::from_value(value)
        .map_err(|error| format!("The question is not understood: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_are_not_ours_are_refused_with_a_sentence() {
        for (line, part) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("[]", "version"),
            (r#"{"version":2,"ask":"status"}"#, "version 1"),
            (r#"{"version":1,"ask":"own_the_host"}"#, "not understood"),
            (r#"{"version":1,"ask":"why"}"#, "not understood"),
        ] {
            let refusal = parse(line.as_bytes()).unwrap_err();
            assert!(refusal.contains(part), "{line}: {refusal}");
        }
        assert!(parse(&vec![b' '; MAX_LINE]).unwrap_err().contains("longer"));
        let asked = parse(br#"{"version":1,"ask":"pause","seconds":5}"#).unwrap();
        assert_eq!(asked.ask, Ask::Pause { seconds: Some(5) });
    }

    #[test]
    fn only_root_the_owner_and_the_group_are_served() {
        let serves = Served {
            owner: 990,
            group: 991,
        };
        for (uid, gid) in [(0, 0), (0, 7), (990, 7), (5, 991)] {
            assert!(serves.welcomes(uid, gid), "{uid}:{gid}");
        }
        for (uid, gid) in [(5, 5), (991, 990), (65_534, 65_534), (5, 0)] {
            assert!(!serves.welcomes(uid, gid), "DENY {uid}:{gid}");
        }
        let root = Served { owner: 0, group: 0 };
        assert!(!root.welcomes(5, 0), "DENY root's group is nobody's way in");
        let nobody = Served {
            owner: 65_534,
            group: 65_534,
        };
        assert!(
            !nobody.welcomes(42, 65_534),
            "DENY nogroup is many services'"
        );
    }
}
