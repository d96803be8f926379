//! `ringwall replay` and `ringwall explain`: logs through the very engine that runs live.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use detect::alert::JsonLine;
use detect::bucket::Seed;
use detect::explain::Trace;
use detect::program::{Line, Scratch};
use detect::replay::{Options, Origin, replay as run};

use crate::rulebook::{self, Chosen, Rulebook};
use crate::term::{Out, Tone, printable};
use crate::{Error, now};

/// The longest line that is read; the rest of a longer one is skipped.
const LONGEST: usize = 1 << 20;

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
    let mut readers = Vec::new();
    for (at, file) in files.iter().enumerate() {
        readers.push(Lines::open(file)?.map(move |line| (at, line)));
    }
    let options = Options {
        threads,
        ..Options::new(now())
    };
    let mut failed = None;
    let lines = readers.into_iter().flatten();
    let summary = run(&rulebook.program, &origins, lines, &options, |alert| {
        if failed.is_none() {
            failed = out.line(&JsonLine(&alert).to_string()).err();
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    tracing_line(&format!(
        "{} lines, {} understood, {} exempt, {} not understood; {} alerts.",
        summary.lines, summary.parsed, summary.whitelisted, summary.dropped, summary.buckets.alerts
    ));
    Ok(())
}

/// How lines travel through parsers and scenarios.
///
/// # Errors
/// When rules or the file cannot be read.
pub fn explain(
    chosen: &Chosen,
    line: Option<&str>,
    file: Option<&Path>,
    out: &mut Out,
) -> Result<(), Error> {
    let rulebook = load(chosen)?;
    let seed = Seed::new(0);
    let mut scratch = Scratch::new(&rulebook.program, seed);
    let mut one = |text: &[u8], source: &str, out: &mut Out| -> Result<(), Error> {
        let labels = [("type", chosen.kind.as_str())];
        let line = Line {
            text,
            labels: &labels,
            source,
            module: "file",
            received: now(),
            replay: true,
        };
        let mut trace = Trace::default();
        // What it pours is in the trace; nothing is counted here.
        let _seen = rulebook.program.explain(&line, &mut scratch, &mut trace);
        out.line(&out.paint(Tone::Strong, &printable(&String::from_utf8_lossy(text))))?;
        for shown in trace.to_string().lines() {
            out.line(&printable(shown))?;
        }
        Ok(())
    };
    if let Some(text) = line {
        return one(text.as_bytes(), "--log", out);
    }
    if let Some(file) = file {
        let name = file.display().to_string();
        for text in Lines::open(file)? {
            one(&text, &name, out)?;
        }
    }
    Ok(())
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
fn tracing_line(text: &str) {
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

impl Iterator for Lines {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let piece = match self.reader.fill_buf() {
                Ok(piece) => piece,
                Err(error) => {
                    tracing_line(&format!("reading {} ended early: {error}", self.name));
                    return None;
                }
            };
            if piece.is_empty() {
                return (!line.is_empty()).then_some(line);
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(piece.len());
            let room = LONGEST.saturating_sub(line.len());
            line.extend_from_slice(piece.get(..taken.min(room)).unwrap_or_default());
            self.reader.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Some(line);
            }
        }
    }
}
