//! How a line travels: what each parser set, what each scenario said.
//!
//! For: `ringwall explain`, and for whoever keeps what parsers made of a line
//! (`ringwall hubtest`). What is told is told by the very code that runs live, which
//! looks for a [`Witness`] on its way. Assumes: one line at a time, so cost is no matter.

use core::fmt;

mod buckets;
mod definition;
mod fields;

use crate::bucket::text;
use crate::event::{Event, Slots, Space};

pub use buckets::{Became, BucketTrace, pour};
pub use definition::Definition;
pub(crate) use fields::named_in;

/// Looks on while a line travels through the parsers.
pub trait Witness: fmt::Debug {
    /// The line enters a stage.
    fn stage(&mut self, name: &str);

    /// A leading node is about to run.
    fn before(&mut self, event: &Event, slots: &Slots);

    /// It ran; `ok` says whether it took the event.
    fn after(&mut self, node: &str, ok: bool, event: &Event, slots: &Slots);

    /// An expression failed.
    fn error(&mut self, error: &expr::EvalError);
}

/// A field that a parser set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its name, such as `evt.Meta.source_ip`.
    pub field: String,
    /// Its value now; bytes that are not UTF-8 stand as `\xHH`.
    pub value: String,
}

impl Change {
    /// Every field of an event, to be compared with later.
    pub(crate) fn snapshot(event: &Event, slots: &Slots) -> Vec<Self> {
        let mut all = Vec::new();
        for space in [
            Space::Parsed,
            Space::Meta,
            Space::Enriched,
            Space::Label,
            Space::Field,
        ] {
            for (name, value) in event.entries(slots, space) {
                let name = text(name);
                let field = match space {
                    Space::Parsed => format!("evt.Parsed.{name}"),
                    Space::Meta => format!("evt.Meta.{name}"),
                    Space::Enriched => format!("evt.Enriched.{name}"),
                    Space::Label => format!("evt.Line.Labels.{name}"),
                    Space::Field | Space::Special => format!("evt.{name}"),
                };
                all.push(Self {
                    field,
                    value: text(value),
                });
            }
        }
        if event.whitelisted {
            all.push(Self {
                field: "evt.Whitelisted".to_owned(),
                value: "true".to_owned(),
            });
        }
        all
    }

    /// What was set since a snapshot, in the order of fields.
    pub(crate) fn since(before: &[Self], event: &Event, slots: &Slots) -> Vec<Self> {
        let mut now = Self::snapshot(event, slots);
        now.retain(|change| !before.contains(change));
        now
    }
}

/// What one leading parser node did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeTrace {
    /// Its name.
    pub name: String,
    /// Whether it took the event.
    pub ok: bool,
    /// What it set.
    pub changes: Vec<Change>,
}

/// What one stage did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageTrace {
    /// Its name, such as `s01-parse`.
    pub name: String,
    /// The nodes that the event reached, in order.
    pub nodes: Vec<NodeTrace>,
}

/// What one scenario said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScenarioTrace {
    /// Its name.
    pub name: String,
    /// Whether its filter held; `Err` with the reason when it failed.
    pub held: Result<bool, String>,
    /// The value that tells its buckets apart, when the filter held.
    pub group: Option<String>,
    /// The value of `distinct`, when the filter held and the scenario has one.
    pub distinct: Option<String>,
    /// Why the filter did not hold, when it did not and [`Trace::with_reasons`] asks.
    pub missed: Option<Missed>,
    /// What became of the bucket, once [`pour`] was called.
    pub bucket: Option<BucketTrace>,
}

/// Why a filter did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missed {
    /// The side of it that was not true, as it is written.
    pub side: String,
    /// The fields that the side names, with their values.
    pub fields: Vec<Change>,
}

/// How one line or request travelled.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The parsers, stage by stage.
    pub stages: Vec<StageTrace>,
    /// Why the scenarios did not see the event; empty when they did.
    pub stopped: String,
    /// The scenarios, in order.
    pub scenarios: Vec<ScenarioTrace>,
    /// Expressions of parsers that failed.
    pub errors: Vec<String>,
    /// Whether scenarios tell why their filters do not hold; it takes parsing them anew.
    reasons: bool,
    /// The event before the node that runs.
    before: Vec<Change>,
}

impl Trace {
    /// A trace in which scenarios tell why their filters do not hold.
    #[must_use]
    pub fn with_reasons() -> Self {
        Self {
            reasons: true,
            ..Self::default()
        }
    }

    /// Whether a filter that did not hold is to be asked why.
    pub(crate) fn wants_reason(&self, held: &Result<bool, expr::EvalError>) -> bool {
        self.reasons && *held == Ok(false)
    }
}

impl Witness for Trace {
    fn stage(&mut self, name: &str) {
        self.stages.push(StageTrace {
            name: name.to_owned(),
            nodes: Vec::new(),
        });
    }

    fn before(&mut self, event: &Event, slots: &Slots) {
        self.before = Change::snapshot(event, slots);
    }

    fn after(&mut self, node: &str, ok: bool, event: &Event, slots: &Slots) {
        let changes = Change::since(&self.before, event, slots);
        if let Some(stage) = self.stages.last_mut() {
            stage.nodes.push(NodeTrace {
                name: node.to_owned(),
                ok,
                changes,
            });
        }
    }

    fn error(&mut self, error: &expr::EvalError) {
        self.errors.push(error.to_string());
    }
}

impl fmt::Display for ScenarioTrace {
    /// What it said, in one line, or two where there is a bucket or a reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.held {
            Err(error) => return writeln!(f, "  ! {}: {error}", self.name),
            Ok(false) => writeln!(f, "  - {}", self.name)?,
            Ok(true) => {
                write!(f, "  + {}", self.name)?;
                if let Some(group) = &self.group {
                    write!(f, " bucket {group:?}")?;
                }
                if let Some(distinct) = &self.distinct {
                    write!(f, " distinct {distinct:?}")?;
                }
                writeln!(f)?;
            }
        }
        if let Some(missed) = &self.missed {
            let side: Vec<&str> = missed.side.split_whitespace().collect();
            writeln!(f, "      not true: {}", side.join(" "))?;
            for field in &missed.fields {
                writeln!(f, "        {} is {:?}", field.field, field.value)?;
            }
        }
        if let Some(bucket) = &self.bucket {
            writeln!(f, "      {bucket}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Trace {
    /// Stages, parsers and fields, indented; scenarios whose filter held, and in the
    /// alternate form the others, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for stage in &self.stages {
            writeln!(f, "{}", stage.name)?;
            for node in &stage.nodes {
                writeln!(f, "  {} {}", if node.ok { "+" } else { "-" }, node.name)?;
                for change in &node.changes {
                    writeln!(f, "      {} = {}", change.field, change.value)?;
                }
            }
        }
        for error in &self.errors {
            writeln!(f, "  ! {error}")?;
        }
        if !self.stopped.is_empty() {
            writeln!(f, "stopped: {}", self.stopped)?;
        }
        writeln!(f, "scenarios")?;
        let all = f.alternate();
        for scenario in &self.scenarios {
            if all || scenario.held != Ok(false) {
                write!(f, "{scenario}")?;
            }
        }
        if all {
            return Ok(());
        }
        let silent = self
            .scenarios
            .iter()
            .filter(|one| one.held == Ok(false))
            .count();
        writeln!(f, "  - {silent} others did not match")
    }
}
