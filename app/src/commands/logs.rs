//! `ringwall replay` and `ringwall explain`: logs through the very engine that runs live.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use detect::alert::{JsonLine, Sentence};
use detect::bucket::Seed;
use detect::explain::{Change, ScenarioTrace, StageTrace, Trace, pour};
use detect::program::{Line, Program, Scratch};
use detect::replay::{self, Options, Origin, Summary, replay_lines};
use detect::shard::{Limits, Mode, Shards};
use serde_json::json;
use vocab::Alert;

use crate::rulebook::{self, Chosen, Rulebook};
use crate::term::{Out, Tone, counted, printable};
use crate::{Error, now};

/// The longest line that is read; the rest of a longer one is skipped.
const LONGEST: u64 = 1 << 20;

/// Alerts of log files, one JSON object a line; a summary on standard error.
///
/// # Errors
/// When rules or files cannot be read.
pub fn replay(
    chosen: &Chosen,
    threads: usize,
    files: &[PathBuf],
    out: &mut Out,
) -> Result<(), Error> {
    let rulebook = load(chosen)?;
    let origins: Vec<Origin> = files
        .iter()
        .map(|file| Origin::of_type(file.display().to_string(), chosen.kind.as_str()))
        .collect();
    let mut lines = Files {
        files: files
            .iter()
            .map(|file| Lines::open(file))
            .collect::<Result<_, _>>()?,
        at: 0,
    };
    let options = Options {
        threads,
        ..Options::new(now())
    };
    let mut failed = None;
    let mut alerts = 0;
    let program = &rulebook.program;
    let summary = replay_lines(program, &origins, &mut lines, &options, |alert| {
        alerts += 1;
        if failed.is_none() {
            failed = out.line(&JsonLine(&alert).to_string()).err();
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    let evicted = summary.buckets.evicted + summary.buckets.crowded;
    let room = match evicted {
        0 => String::new(),
        some => format!(" {some} living buckets made room for others."),
    };
    let undated = match summary.undated {
        0 => String::new(),
        some => format!(
            " {some} had no date that a parser read, and filled no bucket: a parser that sets \
             evt.StrTime and crowdsecurity/dateparse-enrich mend that."
        ),
    };
    tracing_line(&format!(
        "{}, {} understood, {} exempt, {} not understood; {}.{room}{undated}",
        counted(usize::try_from(summary.lines).unwrap_or(usize::MAX), "line"),
        summary.parsed,
        summary.whitelisted,
        summary.dropped,
        counted(alerts, "alert"),
    ));
    after_buckets(&summary);
    Ok(())
}

/// What is to be said of what came after the buckets, if anything is.
fn after_buckets(summary: &Summary) {
    if summary.exempt > 0 {
        tracing_line(&format!(
            "{} more overflowed and are exempt by a postoverflow.",
            summary.exempt
        ));
    }
    if summary.cut > 0 {
        tracing_line(&format!(
            "{} were not followed further: too many scenarios feed one another.",
            summary.cut
        ));
    }
    if summary.unanswered > 0 {
        tracing_line(&format!(
            "Rules asked the network or the book {} times. A replay asks nobody: each answer was empty.",
            summary.unanswered
        ));
    }
}

/// What `explain` shows beside the scenarios that took an event.
#[derive(Clone, Debug, Default)]
pub struct Showing {
    /// Also the scenarios that did not, with the side of their filter that was not true.
    pub all: bool,
    /// Only scenarios whose name contains this.
    pub scenario: Option<String>,
}

/// How lines travel through parsers, scenarios and their buckets. Lines of a file follow
/// upon each other: their buckets fill.
///
/// # Errors
/// When rules or the file cannot be read.
pub fn explain(
    chosen: &Chosen,
    line: Option<&str>,
    file: Option<&Path>,
    showing: &Showing,
    out: &mut Out,
) -> Result<(), Error> {
    let rulebook = load(chosen)?;
    let mut travel = Travel {
        scratch: Scratch::new(&rulebook.program, Seed::new(0)),
        shards: Shards::new(rulebook.program.specs(), Limits::default(), Mode::Replay),
        program: &rulebook.program,
        kind: &chosen.kind,
        showing,
    };
    if let Some(text) = line {
        return travel.line(text.as_bytes(), "--log", out);
    }
    if let Some(file) = file {
        let name = file.display().to_string();
        let mut lines = Lines::open(file)?;
        let mut text = Vec::new();
        while lines.read(&mut text) {
            travel.line(&text, &name, out)?;
            text.clear();
        }
    }
    Ok(())
}

/// Lines on their way, one after the other.
struct Travel<'t> {
    program: &'t Program,
    scratch: Scratch,
    shards: Shards,
    kind: &'t str,
    showing: &'t Showing,
}

impl Travel<'_> {
    fn line(&mut self, text: &[u8], source: &str, out: &mut Out) -> Result<(), Error> {
        let labels = [("type", self.kind)];
        let line = Line {
            text,
            labels: &labels,
            source,
            module: "file",
            received: now(),
            replay: true,
        };
        let all = self.showing.all || self.showing.scenario.is_some();
        let mut trace = if all {
            Trace::with_reasons()
        } else {
            Trace::default()
        };
        let mut alerts = Vec::new();
        let mut seen = self.program.explain(&line, &mut self.scratch, &mut trace);
        pour(
            self.program,
            &self.shards,
            &mut seen,
            &mut trace,
            &mut alerts,
        );
        if let Some(wanted) = &self.showing.scenario {
            trace
                .scenarios
                .retain(|one| one.name.contains(wanted.as_str()));
        }
        if out.json() {
            return Ok(out.value(&as_json(text, &trace, &alerts))?);
        }
        out.line(&out.paint(Tone::Strong, &printable(&String::from_utf8_lossy(text))))?;
        let shown = if all {
            format!("{trace:#}")
        } else {
            trace.to_string()
        };
        for shown in shown.lines() {
            out.line(&printable(shown))?;
        }
        for alert in &alerts {
            let sentence = format!("  alert: {}", Sentence(alert));
            out.line(&out.paint(Tone::Bad, &printable(&sentence)))?;
        }
        Ok(())
    }
}

/// A trace for machines.
fn as_json(line: &[u8], trace: &Trace, alerts: &[Alert]) -> serde_json::Value {
    let fields = |changes: &[Change]| -> serde_json::Value {
        let pairs = changes.iter();
        pairs
            .map(|change| (change.field.clone(), change.value.clone().into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let stage = |stage: &StageTrace| {
        let nodes = stage.nodes.iter().map(
            |node| json!({ "parser": node.name, "took": node.ok, "set": fields(&node.changes) }),
        );
        json!({ "stage": stage.name, "parsers": nodes.collect::<Vec<_>>() })
    };
    let scenario = |one: &ScenarioTrace| {
        json!({
            "scenario": one.name,
            "held": one.held.as_ref().ok(),
            "error": one.held.as_ref().err(),
            "group": one.group,
            "distinct": one.distinct,
            "missed": one.missed.as_ref().map(|missed| json!({
                "side": missed.side,
                "fields": fields(&missed.fields),
            })),
            "bucket": one.bucket.as_ref().map(|bucket| json!({
                "became": bucket.became.word(),
                "events": bucket.events,
                "level": bucket.level,
                "capacity": bucket.capacity,
                "leaks": bucket.leak,
            })),
        })
    };
    json!({
        "line": String::from_utf8_lossy(line),
        "stages": trace.stages.iter().map(stage).collect::<Vec<_>>(),
        "errors": trace.errors,
        "stopped": (!trace.stopped.is_empty()).then_some(&trace.stopped),
        "scenarios": trace.scenarios.iter().map(scenario).collect::<Vec<_>>(),
        "alerts": alerts,
    })
}

fn load(chosen: &Chosen) -> Result<Rulebook, Error> {
    let rulebook = rulebook::choose(chosen)?;
    for fault in rulebook.faults.iter().take(20) {
        tracing_line(&format!("rule left out: {fault}"));
    }
    Ok(rulebook)
}

#[expect(
    clippy::print_stderr,
    reason = "remarks beside the output that machines read"
)]
pub(super) fn tracing_line(text: &str) {
    eprintln!("ringwall: {}", printable(text));
}

/// The lines of a file, bounded.
struct Lines {
    reader: BufReader<File>,
    name: String,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| {
            Error::Operator(format!(
                "Cannot read the log file {}: {error}.",
                path.display()
            ))
        })?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, file),
            name: path.display().to_string(),
        })
    }
}

impl Lines {
    /// Adds the next line to `into`, without its end; whether there was one.
    fn read(&mut self, into: &mut Vec<u8>) -> bool {
        let begin = into.len();
        self.try_read(into).unwrap_or_else(|error| {
            tracing_line(&format!("reading {} ended early: {error}", self.name));
            into.truncate(begin);
            false
        })
    }

    fn try_read(&mut self, into: &mut Vec<u8>) -> std::io::Result<bool> {
        let begin = into.len();
        let taken = (&mut self.reader).take(LONGEST).read_until(b'\n', into)?;
        if into.len() > begin && into.last() == Some(&b'\n') {
            into.pop();
            if into.len() > begin && into.last() == Some(&b'\r') {
                into.pop();
            }
        } else if taken as u64 == LONGEST {
            self.reader.skip_until(b'\n')?;
        }
        Ok(taken > 0)
    }
}

/// Files, one after the other.
struct Files {
    files: Vec<Lines>,
    at: usize,
}

impl replay::Lines for Files {
    fn next_line(&mut self, into: &mut Vec<u8>) -> Option<usize> {
        loop {
            if self.files.get_mut(self.at)?.read(into) {
                return Some(self.at);
            }
            self.at += 1;
        }
    }
}
