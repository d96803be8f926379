//! Logs through the engine: lines in, alerts out.
//!
//! For: `ringwall replay` and tests. Lines are read in batches, parsed by as many
//! threads as wanted, and what they pour is applied in the order of (time, place in the
//! input) by one, the caller's, which parses too while there is nothing to apply. Any
//! number of threads gives the same alerts.
//!
//! | module | does |
//! |---|---|
//! | [`batch`] | lines read together, and what came of them |
//! | [`crew`] | threads that parse batches |
//! | [`window`] | events until none that is older can come |
//!
//! Refuses: to hold a whole log. Lines may be out of order by as much as
//! [`WINDOW`] lines; one that comes later still is applied when it comes.
//!
//! Assumes: the lines come in an order that is the same each time. On failure: a
//! line that no parser takes is counted and left out.

mod batch;
mod crew;
mod window;

use std::thread;

use vocab::{Alert, Timestamp};

use crate::bucket::Seed;
use crate::overflow::Overflow;
use crate::program::after::Settled;
use crate::program::{Program, Scratch};
use crate::shard::{Counts, Limits, Mode, Shards};
use batch::{Batch, Found, Reader};
use crew::Crew;
use window::{Event, Window};

/// Over how many events out of order is put right.
pub const WINDOW: usize = 16_384;

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

/// Lines, one after the other, in an order that is the same each time.
pub trait Lines {
    /// Adds the next line, without its end, to `into`, and answers the index of its
    /// origin; `None` when there are no more.
    fn next_line(&mut self, into: &mut Vec<u8>) -> Option<usize>;
}

/// Lines that are already there, each with the index of its origin.
struct Listed<I>(I);

impl<T: AsRef<[u8]>, I: Iterator<Item = (usize, T)>> Lines for Listed<I> {
    fn next_line(&mut self, into: &mut Vec<u8>) -> Option<usize> {
        let (origin, text) = self.0.next()?;
        into.extend_from_slice(text.as_ref());
        Some(origin)
    }
}

/// How a replay runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How many threads parse, the caller's among them; 1 to 64.
    pub threads: usize,
    /// The time of lines that give none.
    pub now: Timestamp,
    /// How much the buckets may hold; one shard is used.
    pub limits: Limits,
    /// Over how many lines out of order is put right; 0 takes them as they come.
    pub window: usize,
}

impl Options {
    /// One thread, the default bounds.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            threads: 1,
            now,
            limits: Limits::default(),
            window: WINDOW,
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
    /// Events that scenarios would have counted, had a parser read their date.
    pub undated: u64,
    /// Overflows that a postoverflow exempts.
    pub exempt: u64,
    /// Overflows that were cut off because too many led to them.
    pub cut: u64,
    /// Questions to the network or the book, which nobody answers in a replay.
    pub unanswered: u64,
    /// What the buckets did.
    pub buckets: Counts,
}

impl Summary {
    fn add(&mut self, read: Self) {
        self.lines += read.lines;
        self.parsed += read.parsed;
        self.whitelisted += read.whitelisted;
        self.dropped += read.dropped;
        self.undated += read.undated;
        self.unanswered += read.unanswered;
    }
}

/// Sends lines through a program. Each line is the index of its origin and its
/// bytes without the line end. `sink` gets the alerts as they are raised.
pub fn replay<T: AsRef<[u8]>>(
    program: &Program,
    origins: &[Origin],
    lines: impl IntoIterator<Item = (usize, T)>,
    options: &Options,
    sink: impl FnMut(Alert),
) -> Summary {
    let mut lines = Listed(lines.into_iter());
    replay_lines(program, origins, &mut lines, options, sink)
}

/// The same from where lines are read, without a copy of each that is its own.
pub fn replay_lines(
    program: &Program,
    origins: &[Origin],
    lines: &mut dyn Lines,
    options: &Options,
    mut sink: impl FnMut(Alert),
) -> Summary {
    run(program, origins, lines, options, |overflow| {
        if overflow.whitelisted.is_none() {
            overflow.alerts().for_each(&mut sink);
        }
    })
}

/// As [`replay`]; `sink` gets whole overflows, those that a postoverflow exempts too.
pub fn overflows<T: AsRef<[u8]>>(
    program: &Program,
    origins: &[Origin],
    lines: impl IntoIterator<Item = (usize, T)>,
    options: &Options,
    sink: impl FnMut(Overflow),
) -> Summary {
    let mut lines = Listed(lines.into_iter());
    run(program, origins, &mut lines, options, sink)
}

fn run(
    program: &Program,
    origins: &[Origin],
    lines: &mut dyn Lines,
    options: &Options,
    mut sink: impl FnMut(Overflow),
) -> Summary {
    let threads = options.threads.clamp(1, 64);
    let alone = threads == 1;
    let reader = || Reader::new(program, origins, options.now, alone);
    let crew = Crew::new(threads);
    let mut engine = Engine::new(program, options, reader());
    thread::scope(|scope| {
        // Whatever ends this block, the others end, too.
        let _end = crew.end();
        for _ in 1..threads {
            scope.spawn(|| crew.work(reader()));
        }
        let mut own = reader();
        let mut ended = false;
        loop {
            while let Some(mut batch) = crew.next_done() {
                engine.take(&mut batch, &mut sink);
                crew.put_spare(batch);
            }
            if !ended && let Some(mut batch) = crew.spare() {
                ended = !batch.fill(lines);
                crew.put(batch);
            } else if !crew.work_once(&mut own) && !crew.wait() {
                break;
            }
        }
    });
    engine.finish(&mut sink)
}

/// Events in order, and the buckets they are poured into.
struct Engine<'p> {
    program: &'p Program,
    shards: Shards,
    window: Window,
    /// How many events wait at most.
    most: usize,
    last: Timestamp,
    overflows: Vec<Overflow>,
    /// For what comes after the buckets.
    scratch: Scratch,
    summary: Summary,
    /// Reads lines that must be read in their order.
    reader: Reader<'p>,
    alone: Batch,
}

impl<'p> Engine<'p> {
    fn new(program: &'p Program, options: &Options, mut reader: Reader<'p>) -> Self {
        let limits = Limits {
            shards: 1,
            ..options.limits
        };
        reader.in_order();
        Self {
            program,
            shards: Shards::new(program.specs(), limits, Mode::Replay),
            window: Window::default(),
            most: options.window,
            last: Timestamp::from_unix_nanos(i64::MIN),
            overflows: Vec::new(),
            scratch: Scratch::new(program, Seed::new(0)),
            summary: Summary::default(),
            reader,
            alone: Batch::default(),
        }
    }

    /// Takes what came of a batch, in its order, and applies what cannot be overtaken
    /// any more.
    fn take(&mut self, batch: &mut Batch, sink: &mut impl FnMut(Overflow)) {
        self.summary.add(core::mem::take(&mut batch.summary));
        for place in 0..batch.found.len() {
            match batch.found.get(place) {
                Some(Found::Event(_)) => self.enqueue(batch, place, sink),
                Some(Found::Deferred(line)) => {
                    let mut alone = core::mem::take(&mut self.alone);
                    alone.clear();
                    if let Some((origin, text)) = batch.line(*line) {
                        self.reader.read(origin, text, &mut alone);
                    }
                    self.summary.add(core::mem::take(&mut alone.summary));
                    for place in 0..alone.found.len() {
                        self.enqueue(&mut alone, place, sink);
                    }
                    self.alone = alone;
                }
                None => {}
            }
        }
    }

    fn enqueue(&mut self, batch: &mut Batch, place: usize, sink: &mut impl FnMut(Overflow)) {
        batch.give(place, &mut self.window);
        if self.window.len() > self.most {
            self.apply_next(sink);
        }
    }

    fn apply_next(&mut self, sink: &mut impl FnMut(Overflow)) {
        let (program, shards) = (self.program, &self.shards);
        let overflows = &mut self.overflows;
        let applied = self.window.next(|event: &mut Event| {
            let pours = core::mem::take(&mut event.pours);
            let now = event.time;
            shards.apply(program.specs(), &pours, event, now, overflows);
            // Its room is used again.
            event.pours = pours;
            now
        });
        if let Some(time) = applied {
            self.last = self.last.max(time);
        }
        self.sound(sink);
    }

    fn finish(mut self, sink: &mut impl FnMut(Overflow)) -> Summary {
        while self.window.len() > 0 {
            self.apply_next(sink);
        }
        self.shards.advance(self.last, &mut self.overflows);
        self.sound(sink);
        let after = self.scratch.counted();
        self.summary.exempt += after.exempt;
        self.summary.cut += after.cut;
        self.summary.unanswered += after.unanswered;
        self.summary.buckets = self.shards.counts();
        self.summary
    }

    /// Hands on what overflowed.
    fn sound(&mut self, sink: &mut impl FnMut(Overflow)) {
        for overflow in self.overflows.drain(..) {
            let scratch = &mut self.scratch;
            self.program
                .settle(&self.shards, scratch, overflow, &[], &mut |settled| {
                    // Nobody is asked in a replay, so that nothing waits.
                    if let Settled::Done(overflow) = settled {
                        sink(*overflow);
                    }
                });
        }
    }
}
