//! A thread for what takes milliseconds and must not be done on a request's way:
//! expired decisions, the view's merge, counters that are due, host names.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Error;
use crate::bookkeeper::Bookkeeper;
use crate::watch::Watch;

/// How often time passes for buckets and decisions.
const TICK: Duration = Duration::from_secs(1);
/// How often host names are resolved again.
const RESOLVE: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Worker {
    call: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(bookkeeper: Arc<Bookkeeper>, watch: Arc<Watch>) -> Result<Self, Error> {
        let (call, calls) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || work(&bookkeeper, &watch, &calls))
            .map_err(|error| {
                Error::Operator(format!("Cannot start the worker thread: {error}."))
            })?;
        Ok(Self {
            call: Some(call),
            thread: Some(thread),
        })
    }

    /// Whether it still works: without it nothing ends on time and no name is resolved.
    pub(super) fn is_alive(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Has host names resolved before their time.
    pub(super) fn resolve_soon(&self) {
        if let Some(call) = &self.call {
            // A full channel holds a call already.
            let _called = call.try_send(());
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.call = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("worker thread panicked");
        }
    }
}

fn work(bookkeeper: &Bookkeeper, watch: &Watch, calls: &Receiver<()>) {
    let mut resolve_at = Instant::now();
    loop {
        if Instant::now() >= resolve_at {
            bookkeeper.resolve_names();
            resolve_at = Instant::now() + RESOLVE;
        }
        match calls.recv_timeout(TICK) {
            Ok(()) => resolve_at = Instant::now(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        bookkeeper.tidy();
        watch.advance();
    }
}
