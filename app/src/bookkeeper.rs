//! The one place that changes the book.
//!
//! Alerts become decisions here, people's orders too, and allowances; all through
//! [`book::admit`]. Automatic decisions are enforced first and saved after; what a
//! person asks for is answered when it is on disk, or refused when it cannot be.
//!
//! **Refuses:** what `admit` refuses, counted. **Assumes:** the store never blocks.
//! **On failure:** a store that cannot write leaves everything as it is in memory,
//! and `status` says so; a person's order then fails with the store's sentence.

mod asked;
mod clock;
mod configured;
mod listings;
mod neighbours;
mod orders;
mod recent;
mod who;
mod why;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use book::{
    AdmitPolicy, Applied, Author, Book, Bounds, Cursor, Entry, EntryId, NodeId, Op, Published,
};
use respond::Volume;
use store::{Recovered, Store, Ticket};
use vocab::{Alert, Cidr, Decision, DecisionId, Refusal, RefusedBy, Timestamp};

use crate::{now, random_id};
use clock::{Clock, Step};
use neighbours::Neighbours;
use recent::Recent;
pub use who::Spared;

/// How many decisions one sweep ends at most.
const SWEEP: usize = 10_000;
/// How many of them at once.
const STROKE: usize = 500;

/// Closes the open connections of a source.
pub type Closer = Box<dyn Fn(Cidr) + Send + Sync>;

/// Keeps the book.
pub struct Bookkeeper {
    published: Arc<Published>,
    desk: Mutex<Desk>,
    /// Up to where each node's entries rest on disk: told by the store's thread, which has
    /// little processor time and so holds no lock that cores wait for.
    durable: Sender<(NodeId, Cursor)>,
    store: Store,
    recent: Recent,
    closer: OnceLock<Closer>,
    refused: AtomicU64,
    /// Alerts that a rule exempts.
    exempt: AtomicU64,
}

impl std::fmt::Debug for Bookkeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bookkeeper")
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// What is changed under one lock: admit, then apply, then the next.
struct Desk {
    book: Book,
    author: Author,
    policy: AdmitPolicy,
    profiles: respond::Profiles,
    spared: Spared,
    neighbours: Neighbours,
    /// Numbers entries that stand for the configuration and never reach the log.
    configured: Author,
    configured_items: Vec<book::AllowId>,
    clock: Clock,
    /// What was told of the disk and is not in the book yet.
    durable: Receiver<(NodeId, Cursor)>,
}

/// The node that stands for the configuration file in the book's fold.
const CONFIGURATION: NodeId = NodeId(0);

impl Bookkeeper {
    /// Folds what the store gave back and publishes it.
    #[must_use]
    pub fn new(
        store: Store,
        recovered: &Recovered,
        profiles: respond::Profiles,
        policy: AdmitPolicy,
    ) -> Self {
        let node = node_id(&store);
        let mut book = Book::new(Bounds::default());
        for entry in &recovered.entries {
            book.apply(entry);
            book.committed(entry.node, entry.cursor());
        }
        let now = now();
        let published = Arc::new(Published::new(book.view(now)));
        published.publish(&policy.protected.changes_from(&book::Protected::default()));
        let (durable, told) = channel();
        let desk = Desk {
            book,
            author: Author::new(node, recovered.epoch),
            policy,
            profiles,
            spared: Spared::default(),
            neighbours: Neighbours::default(),
            configured: Author::new(CONFIGURATION, 1),
            configured_items: Vec::new(),
            clock: Clock::default(),
            durable: told,
        };
        Self {
            published,
            desk: Mutex::new(desk),
            durable,
            store,
            recent: Recent::default(),
            closer: OnceLock::new(),
            refused: AtomicU64::new(0),
            exempt: AtomicU64::new(0),
        }
    }

    /// What the gate reads.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// The store, for its health and history.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Tells how open connections are closed; the first call counts.
    pub fn close_with(&self, closer: Closer) {
        // A second closer would be a second edge; there is one.
        let _first_counts = self.closer.set(closer);
    }

    /// Takes an alert: remembers it, and enforces what the profiles make of it.
    /// `volume` is how far the site that the deciding event was about enforces.
    /// One that a rule exempts is remembered and nothing else.
    pub fn alert(&self, alert: Alert, volume: Volume) {
        let time = now();
        if let Some(why) = &alert.exempt {
            let ticket = self.store.record_alert(&alert, time);
            self.exempt.fetch_add(1, Ordering::Relaxed);
            tracing::info!(scenario = %alert.scenario, source = %alert.source.value, %why, alert = ticket, "alert exempt");
            self.recent.raised(alert);
            return;
        }
        let mut desk = self.lock();
        let made = desk.respond(&alert, volume, time);
        self.refused.fetch_add(made.refused, Ordering::Relaxed);
        let decisions = made.entries.iter().filter_map(decision_of);
        self.recent.expect(alert.stop_at, decisions);
        self.enforce(desk, &made.entries, &made.applied);
        // Written down once it holds: other cores do not wait for that.
        let ticket = self.store.record_alert(&alert, time);
        tracing::info!(
            scenario = %alert.scenario,
            source = %alert.source.value,
            events = alert.events_count,
            decisions = made.entries.len(),
            alert = ticket,
            "alert raised"
        );
        self.recent.raised(alert);
    }

    /// Notes a refusal: for whoever asks about its reference, and, when it was the
    /// book's, for the time from decision to refusal.
    pub fn refused(&self, refusal: &Refusal<'_>) {
        // What was only observed went on: nobody was turned away.
        if refusal.observed {
            return;
        }
        self.recent.turned(refusal);
        if refusal.by == RefusedBy::Book {
            self.recent.refused(refusal.client.0, refusal.time);
        }
    }

    /// The newest alert about a source.
    #[must_use]
    pub fn latest_alert(&self, source: IpAddr) -> Option<Alert> {
        self.recent.latest_alert(source)
    }

    /// From the deciding request to the first refused one of a source.
    #[must_use]
    pub fn reaction(&self, source: IpAddr) -> Option<Duration> {
        self.recent.reaction(source)
    }

    /// Ends what is past its end and folds the published view, when worth while.
    /// Takes milliseconds; for a worker.
    pub fn tidy(&self) {
        self.tidy_at(now(), Instant::now());
    }

    fn tidy_at(&self, time: Timestamp, steady: Instant) {
        if let Some(late) = self.store.recovered_late() {
            self.take_in(&late, time);
        }
        let over = self.over(time, steady);
        // A little at a time, since deciding waits for the desk.
        for _ in 0..SWEEP / STROKE {
            let ended = self.lock().book.sweep(over, STROKE).ended.len();
            if ended < STROKE {
                break;
            }
        }
        self.lock().neighbours.forget(over);
        self.published.forget(over);
        if self.published.load().wants_merge() {
            self.published.merge(over);
        }
    }

    /// The time by which things are cleared away. When the clock was set back, what was
    /// cleared from the view and not from the book holds again.
    fn over(&self, time: Timestamp, steady: Instant) -> Timestamp {
        let mut desk = self.lock();
        match desk.clock.read(time, steady) {
            Step::Even => {}
            Step::Ahead(by) => {
                tracing::warn!(
                    seconds = by.as_secs(),
                    "the clock was set ahead: what ends is kept for ten minutes more"
                );
            }
            Step::Back(by) => {
                tracing::warn!(seconds = by.as_secs(), "the clock was set back");
                self.publish_whole(&desk, time);
            }
        }
        desk.clock.over()
    }

    /// Entries that the store could only read after the start.
    fn take_in(&self, late: &Recovered, time: Timestamp) {
        let mut desk = self.lock();
        for entry in &late.entries {
            desk.book.apply(entry);
            desk.book.committed(entry.node, entry.cursor());
        }
        self.publish_whole(&desk, time);
    }

    /// One view with the never-ban list in it: there is no moment without that list.
    fn publish_whole(&self, desk: &Desk, time: Timestamp) {
        let nobody = book::Protected::default();
        let spared = desk.policy.protected.changes_from(&nobody);
        self.published.replace(desk.book.view(time).with(&spared));
    }

    /// Publishes, queues for the disk, and closes connections, in this order: the
    /// next request is judged by the new book before anything else is done.
    fn enforce(&self, desk: MutexGuard<'_, Desk>, entries: &[Entry], applied: &[Applied]) {
        for one in applied {
            self.published.publish(&one.changes);
        }
        // Queued under the lock, so that the log's order is the book's.
        let ticket = (!entries.is_empty()).then(|| self.store.append(entries));
        drop(desk);
        if let (Some(ticket), Some(last)) = (ticket, entries.last()) {
            self.mark_when_durable(&ticket, last);
        }
        if let Some(close) = self.closer.get() {
            for decision in applied.iter().filter_map(|one| one.began.as_ref()) {
                if decision.kind == vocab::Kind::Ban {
                    decision.cidr().into_iter().for_each(close);
                }
            }
        }
    }

    fn mark_when_durable(&self, ticket: &Ticket, last: &Entry) {
        let (told, node, upto) = (self.durable.clone(), last.node, last.cursor());
        ticket.then(move |outcome| {
            if outcome.is_ok() {
                // Nobody is there to hear it only when all is over.
                let _told = told.send((node, upto));
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        // Every change is applied whole before anything that could panic.
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok((node, upto)) = desk.durable.try_recv() {
            desk.book.committed(node, upto);
        }
        desk
    }
}

/// What came of an alert.
#[derive(Default)]
struct Made {
    entries: Vec<Entry>,
    applied: Vec<Applied>,
    refused: u64,
}

impl Desk {
    fn respond(&mut self, alert: &Alert, volume: Volume, time: Timestamp) -> Made {
        let past = respond::subject(alert).map_or_else(Vec::new, |range| self.book.past(range));
        let outcome = self.profiles.propose(alert, &past, volume, time);
        if let Some(why) = outcome.none {
            tracing::info!(source = %alert.source.value, %why, "nothing proposed");
        }
        let mut made = Made::default();
        for proposal in outcome.proposals {
            let (proposed, because) = (proposal.decision, proposal.because);
            match book::admit(
                &proposed,
                DecisionId(random_id()),
                &self.policy,
                &self.book,
                time,
            ) {
                Ok(decision) => {
                    tracing::info!(source = %decision.value, kind = %decision.kind, %because, "decided");
                    let range = self.neighbours.note(alert, &decision, time);
                    let (entry, applied) = self.write(Op::Add { decision }, time);
                    made.entries.push(entry);
                    made.applied.push(applied);
                    if let Some(range) = range {
                        self.slow_down(range, time, &mut made);
                    }
                }
                Err(refused) => {
                    made.refused += 1;
                    tracing::info!(source = %proposed.value, why = %refused, "decision refused");
                }
            }
        }
        made
    }

    /// Writes an entry of this node and applies it.
    fn write(&mut self, op: Op, time: Timestamp) -> (Entry, Applied) {
        let entry = self.author.entry(EntryId(random_id()), time, op);
        let applied = self.book.apply(&entry);
        (entry, applied)
    }
}

fn decision_of(entry: &Entry) -> Option<&Decision> {
    match &entry.op {
        Op::Add { decision } => Some(decision),
        Op::Remove { .. } | Op::AllowlistAdd { .. } | Op::AllowlistRemove { .. } => None,
    }
}

/// This installation's name, drawn once and remembered.
fn node_id(store: &Store) -> NodeId {
    let known = store.meta("node").and_then(|text| text.parse().ok());
    known.unwrap_or_else(|| {
        let bits = (random_id() >> 64) as u64;
        let node = NodeId(bits.max(1));
        store.set_meta("node", &node.to_string());
        node
    })
}

#[cfg(test)]
mod tests;
