//! The view that all cores share, changed while they read it.
//!
//! Readers load a pointer and never wait. Writers and the merging worker exclude each other for
//! as long as a small publication takes; the long part of a merge runs without the lock, and
//! what was published meanwhile is made again on its result.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use vocab::Timestamp;

use crate::{Change, View};

/// A [`View`] that all cores share.
#[derive(Debug, Default)]
pub struct Published {
    view: ArcSwap<View>,
    writing: Mutex<Writing>,
}

#[derive(Debug, Default)]
struct Writing {
    /// Grows when the view is replaced whole, so that a merge of the one before ends in nothing.
    generation: u64,
    /// What was published since a running merge took its copy; `None` when none runs.
    since: Option<Vec<Change>>,
    /// The piece of the view that is looked through next for what has ended.
    piece: usize,
}

impl Published {
    /// Shares `view`.
    #[must_use]
    pub fn new(view: View) -> Self {
        Self {
            view: ArcSwap::from_pointee(view),
            writing: Mutex::default(),
        }
    }

    /// The view as it is now. Hold the guard for one request, not longer.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// Makes changes visible to every reader that loads from now on.
    pub fn publish(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let mut writing = self.lock();
        self.view.store(Arc::new(self.view.load().with(changes)));
        if let Some(since) = writing.since.as_mut() {
            since.extend_from_slice(changes);
        }
    }

    /// Merges what stands on ranges into one map. Takes milliseconds for many of them: run it
    /// on a worker when [`View::wants_merge`] says so, one at a time (a second call while one
    /// runs returns at once).
    pub fn merge(&self, now: Timestamp) {
        let (generation, before) = {
            let mut writing = self.lock();
            if writing.since.is_some() {
                return;
            }
            writing.since = Some(Vec::new());
            (writing.generation, self.view.load_full())
        };
        let merged = before.wide().merged(Some(now));
        let mut writing = self.lock();
        if writing.generation != generation {
            return;
        }
        let meanwhile = writing.since.take().unwrap_or_default();
        let view = self.view.load().with_wide(&merged, &meanwhile);
        self.view.store(Arc::new(view));
    }

    /// Forgets what has ended in one piece of the view, of some thousand sources; the next call
    /// looks at the next piece. For a worker, now and then: it costs a hundred microseconds.
    pub fn forget(&self, now: Timestamp) {
        let mut writing = self.lock();
        let mut view = View::clone(&self.view.load());
        let piece = writing.piece % view.pieces().max(1);
        writing.piece = piece + 1;
        if view.forget(piece, now) {
            self.view.store(Arc::new(view));
        }
    }

    /// Replaces the view whole: after a start from the log, or a reload.
    pub fn replace(&self, view: View) {
        let mut writing = self.lock();
        writing.generation += 1;
        writing.since = None;
        self.view.store(Arc::new(view));
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        // a poisoned lock holds a list that is at worst incomplete by one publication
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
