//! The helper's loop: one thread, blocking, until the peer is gone.
//!
//! The process reduces itself before the first word: two capabilities, no core
//! dumps, read-only file system by landlock, seccomp. What of that the kernel lacks
//! is logged and does not stop it.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use host_sys::account::CapabilitySet;
use host_sys::{Channel, Error, account, fence, file, filter, process};

use crate::desk::{Desk, Order};
use crate::docker::{self, Watch};
use crate::policy::Policy;
use crate::verb::{LARGEST, Refusal, Reply, Why, Word};

/// How long a watch may take to end before there is no other.
const LAST_WORD: Duration = Duration::from_millis(250);

/// Runs the helper on the channel that is standard input until the peer is gone.
///
/// `load` reads the configuration: at the start and at every `Reload`. Where it
/// fails, its sentence goes to the peer and what was allowed before stays allowed;
/// at the start that is nothing.
///
/// # Errors
/// [`Error::NoChannel`] when a person started it by hand; [`Error::Call`] when the
/// channel breaks.
pub fn serve(load: impl FnMut() -> Result<Policy, String>) -> Result<(), Error> {
    let channel = Channel::from_stdin()?;
    reduce()?;
    answer(&channel, load)
}

/// Serves `channel` without touching the process: for tests, and the rest of
/// [`serve`].
///
/// # Errors
/// [`Error::Call`] when the channel breaks.
pub fn answer(
    channel: &Channel,
    mut load: impl FnMut() -> Result<Policy, String>,
) -> Result<(), Error> {
    let first = load().unwrap_or_else(|why| {
        tracing::warn!(%why, "helper cannot read the configuration");
        Policy::default()
    });
    let mut desk = Desk::new(first.bounded(), Instant::now());
    let mut watch = None;
    let mut buffer = vec![0_u8; LARGEST];
    loop {
        let received = match channel.receive(&mut buffer, false) {
            Ok(received) => received,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let datagram = buffer.get(..received.length).unwrap_or_default();
        let (number, order) = desk.judge(datagram, received.cut, Instant::now());
        let (word, descriptor) = carry_out(&order, &mut desk, &mut watch, &mut load);
        desk.note(&order, !matches!(word, Word::Refused(_)));
        if let Word::Refused(refusal) = &word {
            tracing::debug!(why = ?refusal.why, "helper refused a request");
        }
        match send(channel, number, word, descriptor.as_ref()) {
            Ok(()) => {}
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
        if matches!(order, Order::Part(_)) {
            return Ok(());
        }
    }
}

fn carry_out(
    order: &Order,
    desk: &mut Desk,
    watch: &mut Option<Watch>,
    load: &mut impl FnMut() -> Result<Policy, String>,
) -> (Word, Option<OwnedFd>) {
    match order {
        Order::Say(word) | Order::Part(word) => (word.clone(), None),
        Order::Bind(rule) => {
            match host_sys::bind_listener(rule.address, rule.shares > 1, rule.backlog) {
                Ok(listener) => (Word::Bound, Some(listener.into())),
                Err(error) => (system(&error), None),
            }
        }
        Order::Open(rule) => match file::open_regular(&rule.path) {
            Ok(opened) => (Word::Opened, Some(opened.into())),
            Err(error) => (system(&error), None),
        },
        Order::Watch(rule) => {
            // One at a time: the pipe before this one ends. Where its thread cannot, a
            // peer that holds pipes and reads none would have one more with each.
            if watch.as_ref().is_some_and(|before| !before.end(LAST_WORD)) {
                let detail = "the watch before is not read to its end";
                return (Word::Refused(Refusal::new(Why::Budget, detail)), None);
            }
            match docker::watch(rule) {
                Ok((pipe, started)) => {
                    *watch = Some(started);
                    (Word::Watching, Some(pipe.into()))
                }
                Err(error) => (system_call("watch containers", &error), None),
            }
        }
        Order::Reload => match load() {
            Ok(policy) => {
                let watched = desk.policy().docker.clone();
                desk.adopt(policy.bounded());
                let policy = desk.policy();
                if policy.docker != watched
                    && let Some(watch) = watch
                {
                    // What is no longer configured is no longer told. Kept where it is:
                    // its thread may still be there.
                    let _ended = watch.end(Duration::ZERO);
                }
                let word = Word::Reloaded {
                    listeners: policy.listeners.len(),
                    files: policy.files.len(),
                };
                (word, None)
            }
            Err(why) => (Word::Refused(Refusal::new(Why::Config, why)), None),
        },
    }
}

fn system(error: &Error) -> Word {
    Word::Refused(Refusal {
        why: Why::System,
        detail: error.to_string(),
        errno: error.errno(),
    })
}

fn system_call(what: &str, error: &std::io::Error) -> Word {
    Word::Refused(Refusal {
        why: Why::System,
        detail: format!("{what}: {error}"),
        errno: error.raw_os_error(),
    })
}

fn send(
    channel: &Channel,
    number: u64,
    mut word: Word,
    descriptor: Option<&OwnedFd>,
) -> Result<(), Error> {
    if let Word::Refused(refusal) = &mut word {
        let detail: String = refusal.detail.chars().take(1_000).collect();
        refusal.detail = detail;
    }
    // Counters, names and a bounded detail: nothing here fails to become JSON.
    let bytes = serde_json::to_vec(&Reply { number, word }).unwrap_or_default();
    channel.send(&bytes, descriptor.map(OwnedFd::as_fd))
}

/// Gives up what root has and the verbs do not need.
fn reduce() -> Result<(), Error> {
    let kept = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::DAC_READ_SEARCH;
    process::die_with_parent()?;
    process::not_dumpable()?;
    process::no_new_privileges()?;
    account::empty_bounding_set(kept);
    if let Err(error) = account::keep_capabilities(kept) {
        // A container may have left us less than that; what is missing shows
        // when a verb needs it.
        tracing::debug!(%error, "helper keeps the capabilities it was given");
    }
    let reach = host_sys::Reach {
        read: vec!["/".into()],
        ..host_sys::Reach::default()
    };
    let (stands, _) = fence::put_up(&reach);
    let in_force = filter::install(host_sys::Exec::Deny);
    tracing::debug!(landlock = %stands, seccomp = %in_force, "helper confined");
    Ok(())
}
