//! What rules ask the network, asked beside everything else.
//!
//! **For:** overflows whose postoverflows want the name of an address or the addresses
//! of a name. They wait here, at most [`PATIENCE`] and at most [`MOST`] of them, and go
//! on with the answer, or as "not known". The host's own resolver is asked, since the
//! operator configured it, by a few threads that are started when the first question
//! comes. **Refuses:** names that an address only claims: who owns an address writes its
//! name, so it counts only when the name leads back to the address. **Assumes:** whoever
//! takes the answers runs the program that asked. **On failure:** a resolver that hangs
//! holds its few threads and nothing else; what was not answered in time is counted.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use detect::outside::{Answer, Query};
use detect::overflow::Overflow;
use detect::program::Program;

/// How long an overflow waits for all its answers together.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How many overflows wait at most; more go on as "not known".
pub const MOST: usize = 512;
/// How many questions are put at a time, each by a thread of its own.
const ASKERS: usize = 4;
/// How many questions wait for those threads.
const QUEUE: usize = 256;
/// How long an answer is remembered, and how many.
const REMEMBER: Duration = Duration::from_secs(300);
const REMEMBERED: usize = 1_024;
/// How many addresses or names one answer has at most.
const ANSWERS: usize = 16;

/// Who knows names.
pub trait Names: Send + Sync {
    /// The answer to a question; nothing when there is none. May block for long.
    fn answer(&self, query: &Query) -> Answer;
}

/// The host's own resolver.
#[derive(Clone, Copy, Debug)]
pub struct HostNames;

impl Names for HostNames {
    fn answer(&self, query: &Query) -> Answer {
        match query {
            Query::Reverse(address) => {
                let Some(name) = host::name_of(*address) else {
                    return Answer::new();
                };
                if !addresses(&name).contains(&address.to_canonical()) {
                    tracing::debug!(%address, "the name of an address does not lead back to it");
                    return Answer::new();
                }
                vec![format!("{name}.").into()]
            }
            Query::Host(name) => {
                let found = addresses(name).into_iter();
                found.map(|address| address.to_string().into()).collect()
            }
        }
    }
}

fn addresses(name: &str) -> Vec<IpAddr> {
    let found = (name, 0).to_socket_addrs().into_iter().flatten();
    found
        .map(|address| address.ip().to_canonical())
        .take(ANSWERS)
        .collect()
}

/// An overflow that waits, and all that it needs to go on.
#[derive(Debug)]
pub struct Parked {
    /// The program whose rule asked.
    pub program: Arc<Program>,
    /// What waits.
    pub overflow: Box<Overflow>,
    /// The answers that it has.
    pub known: Vec<(Query, Answer)>,
    /// Whether it asks no more: whatever else it wants to know is "not known".
    pub enough: bool,
    since: Instant,
}

/// Takes an overflow back with its answers.
pub type Resume = Box<dyn Fn(Parked) + Send + Sync>;

enum Message {
    Park(Parked, Query),
    Answer(Query, Answer),
    End,
}

/// How questions fared since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Overflows that waited.
    pub parked: u64,
    /// Of those, overflows that went on without an answer: it took too long.
    pub late: u64,
    /// Overflows that did not wait, because too many did.
    pub crowded: u64,
}

#[derive(Default)]
struct Counters {
    waiting: AtomicU64,
    parked: AtomicU64,
    late: AtomicU64,
    crowded: AtomicU64,
}

/// The desk for questions.
pub struct Inquiries {
    names: Arc<dyn Names>,
    patience: Duration,
    resume: Arc<Resume>,
    counters: Arc<Counters>,
    keeper: Mutex<Option<(Sender<Message>, JoinHandle<()>)>>,
}

impl fmt::Debug for Inquiries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inquiries").finish_non_exhaustive()
    }
}

impl Inquiries {
    /// A desk that asks `names` and hands overflows back to `resume`.
    #[must_use]
    pub fn new(names: Arc<dyn Names>, resume: Resume) -> Self {
        Self::patient(names, resume, PATIENCE)
    }

    /// The same with another patience, for tests.
    #[must_use]
    pub fn patient(names: Arc<dyn Names>, resume: Resume, patience: Duration) -> Self {
        Self {
            names,
            patience,
            resume: Arc::new(resume),
            counters: Arc::default(),
            keeper: Mutex::new(None),
        }
    }

    /// Lets an overflow wait for an answer. It comes back through `resume`, at once where
    /// there is no room.
    pub fn park(&self, program: &Arc<Program>, overflow: Box<Overflow>, query: Query) {
        let parked = Parked {
            program: Arc::clone(program),
            overflow,
            known: Vec::new(),
            enough: false,
            since: Instant::now(),
        };
        if self.wait(parked, query) {
            self.counters.parked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets an overflow wait, or takes it back at once where there is no room; whether it
    /// waits.
    fn wait(&self, mut parked: Parked, query: Query) -> bool {
        let waiting = self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        let room = waiting < MOST as u64;
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if room && keeper.is_none() {
            *keeper = self.start();
        }
        if let (true, Some((send, _))) = (room, &*keeper) {
            // The keeper ends with this desk, not before.
            let _sent = send.send(Message::Park(parked, query));
            return true;
        }
        drop(keeper);
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        self.counters.crowded.fetch_add(1, Ordering::Relaxed);
        parked.enough = true;
        (self.resume)(parked);
        false
    }

    /// An overflow comes back once more with another question; it has what is left of its time.
    pub fn park_again(&self, mut parked: Parked, query: Query) {
        if parked.since.elapsed() >= self.patience || parked.known.len() >= ANSWERS {
            self.counters.late.fetch_add(1, Ordering::Relaxed);
            // A rule may have more questions than there is stack to come back for each.
            parked.enough = true;
            (self.resume)(parked);
            return;
        }
        self.wait(parked, query);
    }

    /// How questions fared.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            parked: self.counters.parked.load(Ordering::Relaxed),
            late: self.counters.late.load(Ordering::Relaxed),
            crowded: self.counters.crowded.load(Ordering::Relaxed),
        }
    }

    /// Starts the threads; nothing where the system gives none.
    fn start(&self) -> Option<(Sender<Message>, JoinHandle<()>)> {
        // Bounded by MOST, which is counted before anything is sent.
        let (send, receive) = channel();
        let keeper = Keeper {
            patience: self.patience,
            resume: Arc::clone(&self.resume),
            counters: Arc::clone(&self.counters),
            asked: askers(&self.names, &send)?,
            waiting: HashMap::new(),
            remembered: HashMap::new(),
        };
        let thread = thread("questions", move || keeper.run(&receive))?;
        Some((send, thread))
    }
}

impl Drop for Inquiries {
    fn drop(&mut self) {
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let Some((send, thread)) = keeper.take() else {
            return;
        };
        let _told = send.send(Message::End);
        // The keeper may itself be who drops the last handle; it then ends by itself.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the thread that keeps questions panicked");
        }
    }
}

/// Threads that ask. One that hangs is left behind: nothing can end its call.
fn askers(names: &Arc<dyn Names>, answers: &Sender<Message>) -> Option<SyncSender<Query>> {
    let (send, receive) = sync_channel::<Query>(QUEUE);
    let receive = Arc::new(Mutex::new(receive));
    for _ in 0..ASKERS {
        let (names, answers) = (Arc::clone(names), answers.clone());
        let receive = Arc::clone(&receive);
        thread("names", move || {
            loop {
                let next = receive
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .recv();
                let Ok(query) = next else { return };
                let answer = names.answer(&query);
                if answers.send(Message::Answer(query, answer)).is_err() {
                    return;
                }
            }
        })?;
    }
    Some(send)
}

/// A thread, unless the system has none to give.
pub(crate) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started
        .inspect_err(|error| tracing::warn!(%error, "no thread for questions to the network"))
        .ok()
}

/// Who waits for what. One thread's own.
struct Keeper {
    patience: Duration,
    resume: Arc<Resume>,
    counters: Arc<Counters>,
    asked: SyncSender<Query>,
    waiting: HashMap<Query, Vec<Parked>>,
    remembered: HashMap<Query, (Instant, Answer)>,
}

impl Keeper {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(self.next_end()) {
                Ok(Message::Park(parked, query)) => self.park(parked, query),
                Ok(Message::Answer(query, answer)) => self.answered(query, &answer),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.give_up_late();
        }
    }

    /// How long until somebody has waited long enough.
    fn next_end(&self) -> Duration {
        let all = self.waiting.values().flatten();
        all.map(|parked| self.patience.saturating_sub(parked.since.elapsed()))
            .min()
            .unwrap_or(REMEMBER)
    }

    fn park(&mut self, parked: Parked, query: Query) {
        if let Some((at, answer)) = self.remembered.get(&query)
            && at.elapsed() < REMEMBER
        {
            let answer = answer.clone();
            self.go_on(parked, query, answer);
            return;
        }
        let fresh = !self.waiting.contains_key(&query);
        if fresh && self.asked.try_send(query.clone()).is_err() {
            self.counters.crowded.fetch_add(1, Ordering::Relaxed);
            self.go_on(parked, query, Answer::new());
            return;
        }
        self.waiting.entry(query).or_default().push(parked);
    }

    fn answered(&mut self, query: Query, answer: &Answer) {
        for parked in self.waiting.remove(&query).unwrap_or_default() {
            self.go_on(parked, query.clone(), answer.clone());
        }
        if self.remembered.len() >= REMEMBERED {
            self.remembered.retain(|_, (at, _)| at.elapsed() < REMEMBER);
        }
        if self.remembered.len() < REMEMBERED {
            self.remembered
                .insert(query, (Instant::now(), answer.clone()));
        }
    }

    fn give_up_late(&mut self) {
        let mut late = Vec::new();
        let patience = self.patience;
        self.waiting.retain(|query, all| {
            let (over, left) = std::mem::take(all)
                .into_iter()
                .partition(|parked| parked.since.elapsed() >= patience);
            *all = left;
            let over: Vec<Parked> = over;
            late.extend(over.into_iter().map(|parked| (query.clone(), parked)));
            !all.is_empty()
        });
        for (query, parked) in late {
            self.counters.late.fetch_add(1, Ordering::Relaxed);
            self.go_on(parked, query, Answer::new());
        }
    }

    fn go_on(&self, mut parked: Parked, query: Query, answer: Answer) {
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        parked.known.push((query, answer));
        (self.resume)(parked);
    }
}

#[cfg(test)]
mod tests;
