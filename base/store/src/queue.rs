//! What waits for the disk: bounded by number and bytes, shared between everybody
//! who queues and the one thread that writes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use book::Entry;
use vocab::{Alert, Timestamp};

use crate::history::{AlertId, AuditLine, StoredAlert};
use crate::open::{Opened, Options, Recovered, timestamp};
use crate::row::{AlertRow, EntryRow};
use crate::ticket::{NotDurable, Promise, Ticket};
use crate::{Condition, Dropped, Health};

/// The most audit lines and remembered values that wait.
const MOST_OTHER: usize = 10_000;

/// The most remembered values.
const MOST_META: usize = 20_000;

/// The most jobs, and bytes, of one transaction.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 8 << 20;

/// One thing to write.
#[derive(Debug)]
pub(crate) enum Job {
    /// Entries that become durable together.
    Entries {
        rows: Vec<EntryRow>,
        promise: Arc<Promise>,
    },
    Alert(AlertRow),
    Audit(AuditLine),
    Meta {
        key: String,
        value: String,
        /// The first value ever remembered stays.
        once: bool,
    },
}

/// How much of something waits.
#[derive(Debug, Default)]
struct Load {
    jobs: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Queue {
    jobs: VecDeque<Job>,
    entries: Load,
    alerts: Load,
    other: usize,
    /// Jobs in the transaction that is under way.
    writing: usize,
    /// Somebody waits for an answer: do not wait for the next retry, nor for more.
    urgent: bool,
    /// Somebody may look for it: do not wait for more.
    prompt: bool,
    /// When the first of what waits now was queued.
    since: Option<Instant>,
    stopping: bool,
    dropped: Dropped,
    condition: Condition,
    commits: u64,
    written: u64,
    meta: BTreeMap<String, String>,
    /// Keys whose first value ever is to stay, remembered in this run.
    once: BTreeSet<String>,
    last_alert: AlertId,
    late: Option<Recovered>,
}

/// The queue and its bounds.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    news: Condvar,
    bounds: Options,
    pub(crate) blind: bool,
}

impl Job {
    const fn is_alert(&self) -> bool {
        matches!(self, Self::Alert(_))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Entries { rows, .. } => rows.iter().map(EntryRow::bytes).sum(),
            Self::Alert(row) => row.bytes(),
            Self::Audit(line) => line.detail.len() + 128,
            Self::Meta { key, value, .. } => key.len() + value.len(),
        }
    }
}

impl Queue {
    fn weigh(&mut self, job: &Job, sign: impl Fn(usize, usize) -> usize) {
        let bytes = job.bytes();
        let (load, jobs) = match job {
            Job::Entries { rows, .. } => (&mut self.entries, rows.len()),
            Job::Alert(_) => (&mut self.alerts, 1),
            Job::Audit(_) | Job::Meta { .. } => {
                self.other = sign(self.other, 1);
                return;
            }
        };
        load.jobs = sign(load.jobs, jobs);
        load.bytes = sign(load.bytes, bytes);
    }

    fn push_back(&mut self, job: Job) {
        self.weigh(&job, usize::saturating_add);
        self.jobs.push_back(job);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether the writer must hear of what was just queued: the first of a batch, the last
    /// that fits, or something that is waited for. It would take processor time from whoever
    /// decides to hear of everything.
    fn is_news(&self) -> bool {
        self.urgent || self.prompt || self.jobs.len() == 1 || self.is_a_batch()
    }

    fn is_a_batch(&self) -> bool {
        self.jobs.len() >= BATCH || self.entries.bytes + self.alerts.bytes >= BATCH_BYTES
    }

    /// When the writer is to begin; `None` while there is nothing to do.
    fn due(&self, retry: Option<Instant>, gather: Duration) -> Option<Instant> {
        if self.jobs.is_empty() && retry.is_none() {
            return None;
        }
        let now = Instant::now();
        match (retry, self.since) {
            _ if self.urgent => Some(now),
            (Some(at), _) => Some(at),
            (None, Some(since)) if !self.prompt && !self.is_a_batch() => Some(since + gather),
            (None, _) => Some(now),
        }
    }

    fn pop_front(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.weigh(&job, usize::saturating_sub);
        Some(job)
    }

    fn drop_oldest_alert(&mut self) {
        if let Some(at) = self.jobs.iter().position(Job::is_alert)
            && let Some(job) = self.jobs.remove(at)
        {
            self.weigh(&job, usize::saturating_sub);
            self.dropped.alerts += 1;
        }
    }
}

impl Shared {
    pub(crate) fn new(opened: &Opened, bounds: &Options) -> Self {
        let condition =
            opened
                .trouble
                .as_ref()
                .map_or(Condition::Healthy, |why| Condition::Degraded {
                    since: timestamp(),
                    why: why.clone(),
                });
        Self {
            queue: Mutex::new(Queue {
                jobs: VecDeque::new(),
                entries: Load::default(),
                alerts: Load::default(),
                other: 0,
                writing: 0,
                urgent: false,
                prompt: false,
                since: None,
                stopping: false,
                dropped: Dropped::default(),
                condition,
                commits: 0,
                written: 0,
                meta: opened.recovered.meta.clone(),
                once: BTreeSet::new(),
                last_alert: opened.last_alert,
                late: None,
            }),
            news: Condvar::new(),
            bounds: bounds.clone(),
            blind: opened.blind,
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn entries(&self, entries: &[Entry], keep: bool) -> Ticket {
        let (ticket, promise) = Ticket::new(keep);
        let rows: Vec<EntryRow> = entries.iter().filter_map(EntryRow::of).collect();
        let bytes: usize = rows.iter().map(EntryRow::bytes).sum();
        let mut queue = self.queue();
        let refusal = if queue.stopping {
            Some(NotDurable::Closed)
        } else if queue.entries.jobs + rows.len() > self.bounds.waiting_entries
            || queue.entries.bytes + bytes > self.bounds.waiting_entry_bytes
        {
            // Only what would have been kept is lost; the rest is told to its asker.
            if keep {
                queue.dropped.entries += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            }
            Some(NotDurable::Crowded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            drop(queue);
            promise.settle(Err(refusal));
            return ticket;
        }
        queue.urgent |= !keep;
        queue.push_back(Job::Entries { rows, promise });
        self.tell(queue);
        ticket
    }

    /// Lets the queue go, and wakes the writer when it must know.
    fn tell(&self, queue: MutexGuard<'_, Queue>) {
        let news = queue.is_news();
        drop(queue);
        if news {
            self.news.notify_one();
        }
    }

    /// Has what waits written at once.
    pub(crate) fn hurry(&self) {
        self.queue().urgent = true;
        self.news.notify_one();
    }

    pub(crate) fn alert(&self, alert: &Alert, now: Timestamp) -> AlertId {
        let mut row = AlertRow::of(0, alert, now);
        let mut queue = self.queue();
        queue.last_alert += 1;
        row.id = queue.last_alert;
        let id = row.id;
        queue.push_back(Job::Alert(row));
        while queue.alerts.jobs > self.bounds.waiting_alerts
            || queue.alerts.bytes > self.bounds.waiting_alert_bytes
        {
            queue.drop_oldest_alert();
        }
        self.tell(queue);
        id
    }

    /// Queues an audit line or a remembered value.
    pub(crate) fn push(&self, job: Job) {
        let mut queue = self.queue();
        if queue.other >= MOST_OTHER {
            queue.dropped.other += 1;
            return;
        }
        // Whoever reads the audit trail next must find it.
        queue.prompt |= matches!(job, Job::Audit(_));
        queue.push_back(job);
        self.tell(queue);
    }

    pub(crate) fn meta(&self, key: &str) -> Option<String> {
        self.queue().meta.get(key).cloned()
    }

    pub(crate) fn set_meta(&self, key: &str, value: &str, once: bool) {
        let mut queue = self.queue();
        if queue.meta.len() >= MOST_META && !queue.meta.contains_key(key) {
            queue.dropped.other += 1;
            return;
        }
        if once {
            queue.once.insert(key.to_owned());
        }
        let known = queue.meta.insert(key.to_owned(), value.to_owned());
        drop(queue);
        if known.as_deref() != Some(value) {
            self.push(Job::Meta {
                key: key.to_owned(),
                value: value.to_owned(),
                once,
            });
        }
    }

    pub(crate) fn waiting_alerts(&self) -> Vec<StoredAlert> {
        let queue = self.queue();
        let alerts = queue.jobs.iter().filter_map(|job| match job {
            Job::Alert(row) => row.read(),
            Job::Entries { .. } | Job::Audit(_) | Job::Meta { .. } => None,
        });
        alerts.collect()
    }

    pub(crate) fn health(&self) -> Health {
        let queue = self.queue();
        Health {
            condition: queue.condition.clone(),
            queued: queue.jobs.len() + queue.writing,
            dropped: queue.dropped,
            commits: queue.commits,
            written: queue.written,
        }
    }

    pub(crate) fn take_late(&self) -> Option<Recovered> {
        self.queue().late.take()
    }

    /// What the database held after all. Values remembered since then win, but for
    /// those of which the first is to stay.
    pub(crate) fn came_late(&self, recovered: Recovered) {
        let mut queue = self.queue();
        for (key, value) in &recovered.meta {
            if queue.once.contains(key) || !queue.meta.contains_key(key) {
                queue.meta.insert(key.clone(), value.clone());
            }
        }
        queue.late = Some(recovered);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.queue().stopping
    }

    /// The writer is gone: whoever still waits hears so.
    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        queue.stopping = true;
        let left = core::mem::take(&mut queue.jobs);
        let entries = queue.entries.jobs;
        drop(queue);
        if entries > 0 {
            tracing::warn!(entries, "stopping with entries that could not be saved");
        }
        for job in left {
            if let Job::Entries { promise, .. } = job {
                promise.settle(Err(NotDurable::Closed));
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.queue().stopping = true;
        self.news.notify_all();
    }

    /// Blocks until there is something to do. `retry` is when a failed attempt is
    /// due again. Returns the batch, oldest first, and whether this is the end.
    pub(crate) fn next(&self, retry: Option<Instant>) -> (Vec<Job>, bool) {
        let mut queue = self.queue();
        queue.writing = 0;
        loop {
            if queue.stopping {
                break;
            }
            let pause = queue
                .due(retry, self.bounds.gather)
                .map(|at| at.saturating_duration_since(Instant::now()));
            queue = match pause {
                Some(Duration::ZERO) => break,
                Some(pause) => {
                    let pause = pause.max(Duration::from_millis(1));
                    let woken = self.news.wait_timeout(queue, pause);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .news
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        queue.urgent = false;
        queue.prompt = false;
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Some(job) = queue.pop_front() else { break };
            bytes += job.bytes();
            batch.push(job);
        }
        // What is more than one batch has waited long enough.
        if queue.jobs.is_empty() {
            queue.since = None;
        }
        queue.writing = batch.len();
        let end = queue.stopping && queue.jobs.is_empty();
        (batch, end)
    }

    /// Puts a batch that failed back in front, within the bounds.
    pub(crate) fn put_back(&self, batch: Vec<Job>) {
        let mut queue = self.queue();
        queue.writing = 0;
        for job in batch.into_iter().rev() {
            queue.weigh(&job, usize::saturating_add);
            queue.jobs.push_front(job);
            queue.since.get_or_insert_with(Instant::now);
        }
        while queue.alerts.jobs > self.bounds.waiting_alerts
            || queue.alerts.bytes > self.bounds.waiting_alert_bytes
        {
            queue.drop_oldest_alert();
        }
    }

    pub(crate) fn committed(&self, entries: u64) {
        let mut queue = self.queue();
        queue.commits += 1;
        queue.written += entries;
        if queue.condition != Condition::Healthy {
            tracing::info!("state is written again");
            queue.condition = Condition::Healthy;
        }
    }

    pub(crate) fn degraded(&self, why: &str) {
        let mut queue = self.queue();
        let since = match &queue.condition {
            Condition::Degraded { since, .. } => *since,
            Condition::Healthy => {
                tracing::warn!(%why, "state cannot be written; deciding goes on from memory");
                timestamp()
            }
        };
        queue.condition = Condition::Degraded {
            since,
            why: why.to_owned(),
        };
    }
}
