//! Who owns a task, how it is told to stop, and what became of it.
//!
//! A [`Crew`] owns every task of one layer on one runtime. **For:** no task without an
//! owner, a name and an end. **Refuses:** nothing; a task that cannot end is aborted
//! after the drain and named. **Assumes:** tasks look at their [`Stop`] wherever they
//! wait. **On failure:** a panic ends its own task alone; it is logged once with the
//! task's name and counted, and [`Crew::next_end`] tells the owner, who decides whether
//! the layer restarts it or the process ends.
//!
//! ```text
//! let mut crew = Crew::new("edge");
//! crew.spawn("accept 0.0.0.0:80", |stop| async move { … });
//! let report = crew.drain(Duration::from_secs(30)).await;
//! ```

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// Tells a task that it should end. Cheap to clone; one for each place that waits.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Whether the task should end.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        // A crew that is gone asks as well.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the task should end. Safe to drop and to call again.
    pub async fn asked(&mut self) {
        // An error means that the crew is gone, which asks as well.
        drop(self.0.wait_for(|asked| *asked).await);
    }

    /// Runs `work` until it is done or the task should end; `None` for the latter.
    /// `work` is dropped where it stands, so it must bear that.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.asked() => None,
            done = work => Some(done),
        }
    }
}

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It returned.
    Finished,
    /// It panicked; the panic was logged and counted.
    Panicked,
    /// It was aborted.
    Aborted,
}

/// What became of the tasks of a crew.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How many tasks ended by themselves during the drain.
    pub finished: usize,
    /// The names of the tasks that panicked during the drain, sorted.
    pub panicked: Vec<String>,
    /// The names of the tasks that were aborted at the deadline, sorted.
    pub aborted: Vec<String>,
}

impl Report {
    /// Whether every task ended by itself and without a panic.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.panicked.is_empty() && self.aborted.is_empty()
    }
}

impl fmt::Display for Report {
    /// `12 finished; aborted at the deadline: tunnel 7, tunnel 9`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} finished", self.finished)?;
        if !self.panicked.is_empty() {
            write!(f, "; panicked: {}", self.panicked.join(", "))?;
        }
        if !self.aborted.is_empty() {
            write!(f, "; aborted at the deadline: {}", self.aborted.join(", "))?;
        }
        Ok(())
    }
}

/// Counts panics across crews; shared with whoever shows figures.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<AtomicU64>);

impl Panics {
    /// How many tasks panicked so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Owns the tasks of one layer. Dropping it aborts them all.
#[derive(Debug)]
pub struct Crew {
    name: &'static str,
    tasks: JoinSet<()>,
    names: HashMap<Id, String>,
    stop: watch::Sender<bool>,
    panics: Panics,
}

impl Crew {
    /// An empty crew; `name` is the layer's in logs.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self::counting(name, Panics::default())
    }

    /// An empty crew that counts its panics together with others.
    #[must_use]
    pub fn counting(name: &'static str, panics: Panics) -> Self {
        Self {
            name,
            tasks: JoinSet::new(),
            names: HashMap::new(),
            stop: watch::Sender::new(false),
            panics,
        }
    }

    /// A [`Stop`] of this crew, for what is no task of it.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Starts a task on the current runtime. Tasks that ended are collected on the
    /// way, so that a crew of short tasks does not grow.
    pub fn spawn<F, T>(&mut self, name: impl Into<String>, task: F)
    where
        F: FnOnce(Stop) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        let handle = self.tasks.spawn(task(self.stop()));
        self.enlist(name.into(), &handle);
    }

    /// Starts a task that is not `Send` on the current `LocalSet`.
    pub fn spawn_local<F, T>(&mut self, name: impl Into<String>, task: F)
    where
        F: FnOnce(Stop) -> T,
        T: Future<Output = ()> + 'static,
    {
        let handle = self.tasks.spawn_local(task(self.stop()));
        self.enlist(name.into(), &handle);
    }

    fn enlist(&mut self, name: String, handle: &AbortHandle) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
        self.names.insert(handle.id(), name);
    }

    /// How many tasks have not been seen to end.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether every task was seen to end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The counter of panics.
    #[must_use]
    pub fn panics(&self) -> Panics {
        self.panics.clone()
    }

    /// Waits for the next task to end: its name and how; `None` when there is none
    /// left. Dropping the future loses nothing.
    pub async fn next_end(&mut self) -> Option<(String, Ending)> {
        let ended = self.tasks.join_next_with_id().await?;
        Some(self.ended(ended))
    }

    /// Asks every task to end, without waiting.
    pub fn ask(&self) {
        self.stop.send_replace(true);
    }

    /// Asks every task to end, waits for at most `deadline`, aborts the rest, and
    /// tells what became of them.
    pub async fn drain(mut self, deadline: Duration) -> Report {
        self.ask();
        let until = Instant::now() + deadline;
        let mut report = Report::default();
        while let Ok(Some(end)) = timeout_at(until, self.next_end()).await {
            report.add(end);
        }
        self.tasks.abort_all();
        while let Some(end) = self.next_end().await {
            report.add(end);
        }
        report.panicked.sort_unstable();
        report.aborted.sort_unstable();
        if report.is_clean() {
            tracing::debug!(crew = self.name, finished = report.finished, "crew drained");
        } else {
            tracing::warn!(crew = self.name, %report, "crew drained with losses");
        }
        report
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) -> (String, Ending) {
        let (id, ending) = match ended {
            Ok((id, ())) => (id, Ending::Finished),
            Err(error) if error.is_panic() => (error.id(), Ending::Panicked),
            Err(error) => (error.id(), Ending::Aborted),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        if ending == Ending::Panicked {
            self.panics.0.fetch_add(1, Ordering::Relaxed);
            tracing::error!(crew = self.name, task = %name, "task panicked");
        }
        (name, ending)
    }
}

impl Report {
    fn add(&mut self, (name, ending): (String, Ending)) {
        match ending {
            Ending::Finished => self.finished += 1,
            Ending::Panicked => self.panicked.push(name),
            Ending::Aborted => self.aborted.push(name),
        }
    }
}
