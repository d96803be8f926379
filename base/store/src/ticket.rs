//! A promise about durability, to be waited for or not.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why something is not durable. Each is a sentence for the operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotDurable {
    /// The database refused.
    #[error("It could not be saved: {0}")]
    Refused(String),
    /// It is in force and waits to be saved, in memory.
    #[error("It holds, but is not saved yet: {0}")]
    Waiting(String),
    /// Nothing was heard in time. What was to be written once is withdrawn.
    #[error("It could not be saved in time: the disk is too slow.")]
    Late,
    /// The queue is full.
    #[error("It could not be saved: too much is waiting for the disk already.")]
    Crowded,
    /// The store is closing.
    #[error("It could not be saved: Ringwall is stopping.")]
    Closed,
}

/// How far a ticket is.
enum Stage {
    Queued,
    /// In a transaction right now: it can no longer be withdrawn.
    Writing,
    Done(Result<(), NotDurable>),
}

type Callback = Box<dyn FnOnce(Result<(), NotDurable>) + Send>;

struct Inner {
    stage: Stage,
    callback: Option<Callback>,
    /// Why the last attempt failed, where it will be tried again.
    trouble: Option<String>,
}

/// The writer's end and the waiter's end of one promise.
pub(crate) struct Promise {
    inner: Mutex<Inner>,
    news: Condvar,
    /// Kept and tried again, or tried once.
    keep: bool,
}

/// A promise about durability. It may be dropped: what was queued is written all
/// the same.
#[derive(Clone)]
pub struct Ticket(Arc<Promise>);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.outcome()).finish()
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

impl Ticket {
    pub(crate) fn new(keep: bool) -> (Self, Arc<Promise>) {
        let promise = Arc::new(Promise {
            inner: Mutex::new(Inner {
                stage: Stage::Queued,
                callback: None,
                trouble: None,
            }),
            news: Condvar::new(),
            keep,
        });
        (Self(Arc::clone(&promise)), promise)
    }

    /// What became of it so far; `None` while it is not decided.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), NotDurable>> {
        match &self.0.lock().stage {
            Stage::Done(outcome) => Some(outcome.clone()),
            Stage::Queued | Stage::Writing => None,
        }
    }

    /// Blocks until it is durable, or it is clear that it is not. What was to be
    /// written once is withdrawn when `timeout` passes, so that the answer stands;
    /// an attempt that is under way is waited for, `timeout` once more at most.
    ///
    /// # Errors
    /// See [`NotDurable`].
    pub fn wait(&self, timeout: Duration) -> Result<(), NotDurable> {
        let deadline = Instant::now() + timeout;
        let mut inner = self.0.lock();
        loop {
            let now = Instant::now();
            match &inner.stage {
                Stage::Done(outcome) => return outcome.clone(),
                Stage::Queued if now >= deadline && !self.0.keep => {
                    inner.stage = Stage::Done(Err(NotDurable::Late));
                    return Err(NotDurable::Late);
                }
                Stage::Queued if now >= deadline => {
                    let why = inner.trouble.clone();
                    return Err(why.map_or(NotDurable::Late, NotDurable::Waiting));
                }
                Stage::Writing if now >= deadline + timeout => return Err(NotDurable::Late),
                Stage::Queued | Stage::Writing => {}
            }
            let until = match inner.stage {
                Stage::Writing => deadline + timeout,
                Stage::Queued | Stage::Done(_) => deadline,
            };
            let patience = until.saturating_duration_since(now);
            inner = self
                .0
                .news
                .wait_timeout(inner, patience)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Has `callback` called with the outcome, on the writer's thread, or at once
    /// when it is already known. It must be quick: send on a channel, no more. The
    /// last callback given counts.
    pub fn then(&self, callback: impl FnOnce(Result<(), NotDurable>) + Send + 'static) {
        let mut inner = self.0.lock();
        if let Stage::Done(outcome) = &inner.stage {
            let outcome = outcome.clone();
            drop(inner);
            callback(outcome);
        } else {
            inner.callback = Some(Box::new(callback));
        }
    }
}

impl Promise {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is kept and tried again.
    pub(crate) const fn is_kept(&self) -> bool {
        self.keep
    }

    /// Takes it into a transaction; `false` when it was withdrawn.
    pub(crate) fn begin(&self) -> bool {
        let mut inner = self.lock();
        let open = !matches!(inner.stage, Stage::Done(_));
        if open {
            inner.stage = Stage::Writing;
        }
        open
    }

    /// The attempt failed and there will be another.
    pub(crate) fn again(&self, why: &str) {
        let mut inner = self.lock();
        if matches!(inner.stage, Stage::Writing) {
            inner.stage = Stage::Queued;
        }
        inner.trouble = Some(why.to_owned());
        drop(inner);
        self.news.notify_all();
    }

    /// The end of it.
    pub(crate) fn settle(&self, outcome: Result<(), NotDurable>) {
        let mut inner = self.lock();
        if matches!(inner.stage, Stage::Done(_)) {
            return;
        }
        inner.stage = Stage::Done(outcome.clone());
        let callback = inner.callback.take();
        drop(inner);
        self.news.notify_all();
        if let Some(callback) = callback {
            callback(outcome);
        }
    }
}
