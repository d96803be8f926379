//! Lines that were read together, and what came of them. The room of a batch is used again
//! and again: no line has an allocation of its own.

use vocab::Timestamp;

use super::window::{ScopeValue, Window};
use super::{Lines, Origin, Summary};
use crate::bucket::{Kept, Occurrence as _, Pour, ScopeRule, Seed};
use crate::parse::Parsed;
use crate::program::{Line, Occurring, Program, Scratch};

/// How many lines make a batch, and how many bytes, of which the last line may be more.
const LINES: usize = 512;
const BYTES: usize = 256 << 10;

/// Lines, and what came of them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The lines' place in the order of batches.
    pub(super) number: u64,
    text: Vec<u8>,
    /// Each line's origin, and where it ends.
    lines: Vec<(usize, usize)>,
    pub(super) found: Vec<Found>,
    pours: Vec<Pour>,
    scopes: Vec<ScopeValue>,
    pub(super) summary: Summary,
}

/// What came of a line; nothing for most.
#[derive(Debug)]
pub(super) enum Found {
    Event(Made),
    /// The line must be read in its order.
    Deferred(usize),
}

/// An event, and where what belongs to it ends.
#[derive(Debug)]
pub(super) struct Made {
    time: Timestamp,
    kept: Option<Kept>,
    pours: (usize, usize),
    scopes: (usize, usize),
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.found.clear();
        self.pours.clear();
        self.scopes.clear();
        self.summary = Summary::default();
    }

    /// Reads lines; whether more may follow.
    pub(super) fn fill(&mut self, lines: &mut dyn Lines) -> bool {
        self.clear();
        while self.lines.len() < LINES && self.text.len() < BYTES {
            let Some(origin) = lines.next_line(&mut self.text) else {
                return false;
            };
            self.lines.push((origin, self.text.len()));
        }
        true
    }

    /// A line's origin and text.
    pub(super) fn line(&self, at: usize) -> Option<(usize, &[u8])> {
        let start = match at.checked_sub(1) {
            Some(before) => self.lines.get(before)?.1,
            None => 0,
        };
        let (origin, end) = *self.lines.get(at)?;
        Some((origin, self.text.get(start..end)?))
    }

    /// Gives the event at a place to the window.
    pub(super) fn give(&mut self, place: usize, window: &mut Window) {
        let Some(Found::Event(made)) = self.found.get_mut(place) else {
            return;
        };
        let pours = self.pours.get(made.pours.0..made.pours.1);
        let scopes = self.scopes.get_mut(made.scopes.0..made.scopes.1);
        window.put(made.time, |event| {
            event.pours.extend_from_slice(pours.unwrap_or_default());
            let scopes = scopes.unwrap_or_default().iter_mut();
            event
                .scopes
                .extend(scopes.map(|(id, value)| (*id, value.take())));
            event.kept = made.kept.take();
        });
    }
}

/// Parses lines into events that stand on their own.
pub(super) struct Reader<'p> {
    program: &'p Program,
    origins: &'p [Origin],
    labels: Vec<Vec<(&'p str, &'p str)>>,
    now: Timestamp,
    scratch: Scratch,
}

impl<'p> Reader<'p> {
    /// A reader, `alone` when no other reads the same log.
    pub(super) fn new(
        program: &'p Program,
        origins: &'p [Origin],
        now: Timestamp,
        alone: bool,
    ) -> Self {
        let labels = |origin: &'p Origin| {
            let pairs = origin.labels.iter();
            pairs
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect()
        };
        // Nobody plays against a replay: a fixed seed makes it repeatable.
        let mut scratch = Scratch::new(program, Seed::new(0));
        scratch.defer(!alone);
        Self {
            program,
            origins,
            labels: origins.iter().map(labels).collect(),
            now,
            scratch,
        }
    }

    /// From now on every line comes in its order, so that none is deferred.
    pub(super) fn in_order(&mut self) {
        self.scratch.defer(false);
    }

    /// Reads a batch's lines.
    pub(super) fn read_all(&mut self, batch: &mut Batch) {
        let lines = core::mem::take(&mut batch.lines);
        let text = core::mem::take(&mut batch.text);
        let before = self.scratch.counted().unanswered;
        let mut start = 0;
        for (at, (origin, end)) in lines.iter().enumerate() {
            let line = text.get(start..*end).unwrap_or_default();
            start = *end;
            if !self.read(*origin, line, batch) {
                batch.found.push(Found::Deferred(at));
            }
        }
        batch.summary.unanswered += self.scratch.counted().unanswered - before;
        (batch.lines, batch.text) = (lines, text);
    }

    /// Reads a line; whether it could be, and needs not be read in its order.
    pub(super) fn read(&mut self, origin: usize, text: &[u8], batch: &mut Batch) -> bool {
        let line = Line {
            text,
            labels: self.labels.get(origin).map_or(&[], Vec::as_slice),
            source: self.origins.get(origin).map_or("", |origin| &origin.name),
            module: "file",
            received: self.now,
            replay: true,
        };
        let mut seen = self.program.line(&line, &mut self.scratch);
        if seen.occurrence.is_deferred() {
            return false;
        }
        batch.summary.lines += 1;
        match seen.parsed {
            Parsed::Event => batch.summary.parsed += 1,
            Parsed::Whitelisted => batch.summary.whitelisted += 1,
            Parsed::Dropped => batch.summary.dropped += 1,
        }
        batch.summary.undated += u64::from(seen.undated);
        if seen.pours.is_empty() {
            return true;
        }
        let (pours, scopes) = (batch.pours.len(), batch.scopes.len());
        batch.pours.extend_from_slice(seen.pours);
        add_scopes(
            self.program,
            seen.pours,
            &mut seen.occurrence,
            &mut batch.scopes,
        );
        batch.found.push(Found::Event(Made {
            time: seen.time,
            kept: Some(seen.occurrence.keep()),
            pours: (pours, batch.pours.len()),
            scopes: (scopes, batch.scopes.len()),
        }));
        true
    }
}

/// Adds the scope values that the shards might ask for.
fn add_scopes(
    program: &Program,
    pours: &[Pour],
    occurrence: &mut Occurring<'_>,
    scopes: &mut Vec<ScopeValue>,
) {
    let asked = pours.iter().map(|pour| pour.scenario).filter(|id| {
        let spec = program.specs().get(id.0 as usize);
        spec.is_some_and(|spec| matches!(spec.scope, ScopeRule::Expression(_)))
    });
    scopes.extend(asked.map(|id| (id, occurrence.scope_value(id))));
}
