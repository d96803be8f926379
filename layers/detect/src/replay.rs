//! Logs through the engine: lines in, alerts out.
//!
//! For: `ringwall replay` and tests. Lines are parsed in batches, by several threads
//! if wanted; what they pour is applied in the order of (time, place in the input)
//! by one, so that any number of threads gives the same alerts.
//!
//! Refuses: to hold a whole log. Lines may be out of order by as much as
//! [`WINDOW`] lines; one that comes later still is applied when it comes.
//!
//! Assumes: the lines come in an order that is the same each time. On failure: a
//! line that no parser takes is counted and left out.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use std::thread;

use vocab::{Alert, Timestamp};

use crate::bucket::{Kept, Occurrence, Pour, ScenarioId, ScopeRule, Seed};
use crate::overflow::Overflow;
use crate::parse::Parsed;
use crate::program::{Line, Program, Scratch};
use crate::shard::{Counts, Limits, Mode, Shards};

/// Over how many lines out of order is put right.
pub const WINDOW: usize = 16_384;
/// How many lines are parsed at a time.
const BATCH: usize = 8_192;

/// Where lines come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The file's name.
    pub name: String,
    /// Its labels; `type` says which parsers look at its lines.
    pub labels: Vec<(String, String)>,
}

impl Origin {
    /// A file whose lines are of this type.
    #[must_use]
    pub fn of_type(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: vec![("type".to_owned(), kind.into())],
        }
    }
}

/// How a replay runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How many threads parse; 1 to 64.
    pub threads: usize,
    /// The time of lines that give none.
    pub now: Timestamp,
    /// How much the buckets may hold; one shard is used.
    pub limits: Limits,
}

impl Options {
    /// One thread, the default bounds.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            threads: 1,
            now,
            limits: Limits::default(),
        }
    }
}

/// What a replay did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Lines in all.
    pub lines: u64,
    /// Lines that parsers made an event of.
    pub parsed: u64,
    /// Events that a whitelist exempts.
    pub whitelisted: u64,
    /// Lines that no parser took.
    pub dropped: u64,
    /// What the buckets did.
    pub buckets: Counts,
}

/// Sends lines through a program. Each line is the index of its origin and its
/// bytes without the line end. `sink` gets the alerts as they are raised.
pub fn replay<T: AsRef<[u8]> + Sync>(
    program: &Program,
    origins: &[Origin],
    lines: impl IntoIterator<Item = (usize, T)>,
    options: &Options,
    mut sink: impl FnMut(Alert),
) -> Summary {
    overflows(program, origins, lines, options, |overflow| {
        if overflow.whitelisted.is_none() {
            overflow.alerts().for_each(&mut sink);
        }
    })
}

/// The same; `sink` gets whole overflows, those that a postoverflow exempts too.
pub fn overflows<T: AsRef<[u8]> + Sync>(
    program: &Program,
    origins: &[Origin],
    lines: impl IntoIterator<Item = (usize, T)>,
    options: &Options,
    mut sink: impl FnMut(Overflow),
) -> Summary {
    let threads = options.threads.clamp(1, 64);
    let mut readers: Vec<Reader<'_>> = (0..threads)
        .map(|_| Reader::new(program, origins, options.now))
        .collect();
    let mut engine = Engine::new(program, options.limits);
    let mut lines = lines.into_iter();
    let mut batch: Vec<(usize, T)> = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        batch.extend(lines.by_ref().take(BATCH));
        if batch.is_empty() {
            break;
        }
        read(&mut readers, &batch);
        for reader in &mut readers {
            engine.take(reader, &mut sink);
        }
    }
    engine.finish(&mut sink)
}

/// Parses a batch, each reader its own run of lines.
fn read<T: AsRef<[u8]> + Sync>(readers: &mut [Reader<'_>], batch: &[(usize, T)]) {
    let share = batch.len().div_ceil(readers.len());
    let mut pairs = readers.iter_mut().zip(batch.chunks(share.max(1)));
    let Some((first, own)) = pairs.next() else {
        return;
    };
    thread::scope(|scope| {
        for (reader, lines) in pairs {
            scope.spawn(|| reader.read(lines));
        }
        first.read(own);
    });
}

/// Parses lines into events that stand on their own.
struct Reader<'p> {
    program: &'p Program,
    origins: &'p [Origin],
    labels: Vec<Vec<(&'p str, &'p str)>>,
    now: Timestamp,
    scratch: Scratch,
    events: Vec<Event>,
    summary: Summary,
}

/// An event with what it pours, free of the scratch it was made in.
#[derive(Debug)]
struct Event {
    time: Timestamp,
    pours: Box<[Pour]>,
    kept: Kept,
    scopes: Box<[(ScenarioId, Option<Box<str>>)]>,
}

impl Occurrence for Event {
    fn keep(&mut self) -> Kept {
        self.kept.clone()
    }

    fn scope_value(&mut self, scenario: ScenarioId) -> Option<Box<str>> {
        let mut scopes = self.scopes.iter();
        scopes.find(|(id, _)| *id == scenario)?.1.clone()
    }
}

impl<'p> Reader<'p> {
    fn new(program: &'p Program, origins: &'p [Origin], now: Timestamp) -> Self {
        let labels = |origin: &'p Origin| {
            let pairs = origin.labels.iter();
            pairs
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect()
        };
        Self {
            program,
            origins,
            labels: origins.iter().map(labels).collect(),
            now,
            // Nobody plays against a replay: a fixed seed makes it repeatable.
            scratch: Scratch::new(program, Seed::new(0)),
            events: Vec::new(),
            summary: Summary::default(),
        }
    }

    fn read<T: AsRef<[u8]>>(&mut self, lines: &[(usize, T)]) {
        for (origin, text) in lines {
            self.summary.lines += 1;
            let line = Line {
                text: text.as_ref(),
                labels: self.labels.get(*origin).map_or(&[], Vec::as_slice),
                source: self.origins.get(*origin).map_or("", |origin| &origin.name),
                module: "file",
                received: self.now,
                replay: true,
            };
            let mut seen = self.program.line(&line, &mut self.scratch);
            match seen.parsed {
                Parsed::Event => self.summary.parsed += 1,
                Parsed::Whitelisted => self.summary.whitelisted += 1,
                Parsed::Dropped => self.summary.dropped += 1,
            }
            if !seen.pours.is_empty() {
                self.events.push(Event {
                    time: seen.time,
                    pours: seen.pours.into(),
                    scopes: scopes(self.program, seen.pours, &mut seen.occurrence),
                    kept: seen.occurrence.keep(),
                });
            }
        }
    }
}

/// The scope values that the shards might ask for.
fn scopes(
    program: &Program,
    pours: &[Pour],
    occurrence: &mut dyn Occurrence,
) -> Box<[(ScenarioId, Option<Box<str>>)]> {
    pours
        .iter()
        .map(|pour| pour.scenario)
        .filter(|id| {
            let spec = program.specs().get(id.0 as usize);
            spec.is_some_and(|spec| matches!(spec.scope, ScopeRule::Expression(_)))
        })
        .map(|id| (id, occurrence.scope_value(id)))
        .collect()
}

/// Events in order, and the buckets they are poured into.
struct Engine<'p> {
    program: &'p Program,
    shards: Shards,
    waiting: BinaryHeap<Reverse<Queued>>,
    sequence: u64,
    last: Timestamp,
    overflows: Vec<Overflow>,
    summary: Summary,
}

/// Ordered by time, then by place in the input.
struct Queued {
    at: (Timestamp, u64),
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl<'p> Engine<'p> {
    fn new(program: &'p Program, limits: Limits) -> Self {
        let limits = Limits {
            shards: 1,
            ..limits
        };
        Self {
            program,
            shards: Shards::new(program.specs(), limits, Mode::Replay),
            waiting: BinaryHeap::new(),
            sequence: 0,
            last: Timestamp::from_unix_nanos(i64::MIN),
            overflows: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Takes what a reader read, in its order, and applies what cannot be overtaken
    /// any more.
    fn take(&mut self, reader: &mut Reader<'_>, sink: &mut impl FnMut(Overflow)) {
        let read = core::mem::take(&mut reader.summary);
        self.summary.lines += read.lines;
        self.summary.parsed += read.parsed;
        self.summary.whitelisted += read.whitelisted;
        self.summary.dropped += read.dropped;
        for event in reader.events.drain(..) {
            self.sequence += 1;
            let at = (event.time, self.sequence);
            self.waiting.push(Reverse(Queued { at, event }));
            if self.waiting.len() > WINDOW {
                self.apply_next(sink);
            }
        }
    }

    fn apply_next(&mut self, sink: &mut impl FnMut(Overflow)) {
        let Some(Reverse(Queued { mut event, .. })) = self.waiting.pop() else {
            return;
        };
        self.last = self.last.max(event.time);
        let pours = core::mem::take(&mut event.pours);
        let now = event.time;
        self.shards.apply(
            self.program.specs(),
            &pours,
            &mut event,
            now,
            &mut self.overflows,
        );
        self.sound(sink);
    }

    fn finish(mut self, sink: &mut impl FnMut(Overflow)) -> Summary {
        while !self.waiting.is_empty() {
            self.apply_next(sink);
        }
        self.shards.advance(self.last, &mut self.overflows);
        self.sound(sink);
        self.summary.buckets = self.shards.counts();
        self.summary
    }

    /// Hands on what overflowed.
    fn sound(&mut self, sink: &mut impl FnMut(Overflow)) {
        self.overflows.drain(..).for_each(sink);
    }
}
