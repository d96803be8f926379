//! Threads that parse batches, beside the one that reads them and applies what comes of
//! them. Whoever has nothing else to do takes the next batch, so that none waits for
//! another's. The number of batches is fixed: memory does not depend on the log.
//!
//! On failure: when one thread panics all end, and the panic is the caller's.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::batch::{Batch, Reader};

/// What the threads share.
pub(super) struct Crew {
    desk: Mutex<Desk>,
    /// Something is to do, or all is over.
    work: Condvar,
    /// Something was done, or all is over.
    done: Condvar,
}

struct Desk {
    spare: Vec<Batch>,
    todo: VecDeque<Batch>,
    /// Of the batches that were taken, in their order: those that were done.
    done: VecDeque<Option<Batch>>,
    /// The number of the first of `done`.
    first: u64,
    ended: bool,
}

/// Ends the crew when it is dropped.
pub(super) struct End<'c>(&'c Crew);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.desk().ended = true;
        self.0.work.notify_all();
        self.0.done.notify_all();
    }
}

impl Crew {
    /// A desk for so many threads.
    pub(super) fn new(threads: usize) -> Self {
        let batches = if threads == 1 { 1 } else { 3 * threads };
        let mut spare = Vec::new();
        spare.resize_with(batches, Batch::default);
        Self {
            desk: Mutex::new(Desk {
                spare,
                todo: VecDeque::new(),
                done: VecDeque::new(),
                first: 0,
                ended: false,
            }),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// A value that ends all threads when it is dropped.
    pub(super) fn end(&self) -> End<'_> {
        End(self)
    }

    /// What the desk says is whole whenever it is let go, so a panic elsewhere spoils nothing.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch to fill; none while enough are under way.
    pub(super) fn spare(&self) -> Option<Batch> {
        self.desk().spare.pop()
    }

    /// Gives a batch back whose events were taken.
    pub(super) fn put_spare(&self, mut batch: Batch) {
        batch.clear();
        self.desk().spare.push(batch);
    }

    /// Has the next batch of the log parsed.
    pub(super) fn put(&self, mut batch: Batch) {
        let mut desk = self.desk();
        batch.number = desk.first + desk.done.len() as u64;
        desk.done.push_back(None);
        desk.todo.push_back(batch);
        drop(desk);
        self.work.notify_one();
    }

    /// The next batch in the log's order, once it was parsed.
    pub(super) fn next_done(&self) -> Option<Batch> {
        let mut desk = self.desk();
        let batch = desk.done.front_mut()?.take()?;
        desk.done.pop_front();
        desk.first += 1;
        Some(batch)
    }

    /// Parses one batch, if one is to do; whether it did.
    pub(super) fn work_once(&self, reader: &mut Reader<'_>) -> bool {
        let Some(mut batch) = self.desk().todo.pop_front() else {
            return false;
        };
        reader.read_all(&mut batch);
        let mut desk = self.desk();
        let place = usize::try_from(batch.number - desk.first).unwrap_or(usize::MAX);
        if let Some(place) = desk.done.get_mut(place) {
            *place = Some(batch);
        }
        drop(desk);
        self.done.notify_one();
        true
    }

    /// Parses batches until all is over.
    pub(super) fn work(&self, mut reader: Reader<'_>) {
        // Should this thread panic, the caller does not wait for what it had taken.
        let _end = self.end();
        loop {
            while self.work_once(&mut reader) {}
            let desk = self.desk();
            let nothing = |desk: &mut Desk| desk.todo.is_empty() && !desk.ended;
            let desk = self.work.wait_while(desk, nothing);
            if desk.unwrap_or_else(PoisonError::into_inner).ended {
                return;
            }
        }
    }

    /// Waits for the next batch in the log's order; `false` when there is none.
    pub(super) fn wait(&self) -> bool {
        let desk = self.desk();
        if desk.done.is_empty() {
            return false;
        }
        let not_yet = |desk: &mut Desk| matches!(desk.done.front(), Some(None)) && !desk.ended;
        let desk = self.done.wait_while(desk, not_yet);
        !desk.unwrap_or_else(PoisonError::into_inner).ended
    }
}
