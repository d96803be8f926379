//! `ringwall hubtest`: a hub's own test cases, run by our engine.
//!
//! Here are the files, the threads and the progress; what a case means is in the room
//! `hubtest`. **On failure:** a case that cannot be run has failed, with a reason; the
//! others go on.

use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use detect::data::DataSet;
use detect::rules::DataFile;
use detect::rules::disk::Place;
use hubtest::run::own_files;
use hubtest::{Bench, Case, Material, Verdict, dates, shelf, standins};
use vocab::Timestamp;

use super::logs::tracing_line;
use crate::term::{Out, Tone, printable};
use crate::{Error, now, rulebook};

/// The largest file of a case that is read.
const BYTES: u64 = 64 << 20;
/// How many failed asserts of a case are shown to people.
const SHOWN: usize = 10;
/// The same where they follow from what is told before them.
const SHOWN_BESIDE: usize = 2;

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The hub's checkout.
    pub hub: PathBuf,
    /// Cases by name; all when empty.
    pub cases: Vec<String>,
    /// Where the cases lie, when not in the hub's `.tests`.
    pub tests: Option<PathBuf>,
    /// Folders of grok patterns.
    pub patterns: Vec<PathBuf>,
    /// Folders of data files.
    pub data: Vec<PathBuf>,
    /// The day on which lines are read, `2026-01-31`, or a time (RFC 3339).
    pub now: Option<String>,
    /// How many threads; as many as there are processors when 0.
    pub threads: usize,
}

/// Runs cases: reasons of those that failed, and how many passed on the last line.
///
/// # Errors
/// When the hub cannot be read, what was typed names nothing, or a case failed.
pub fn hubtest(wanted: &Wanted, out: &mut Out) -> Result<(), Error> {
    let place = Place {
        patterns: wanted.patterns.clone(),
        data: lists(wanted),
        ..Place::new(&wanted.hub)
    };
    let mut sources = place
        .sources()
        .map_err(|error| rulebook::unreadable(&error))?;
    // Our own grok library stands behind whatever the operator brings.
    sources
        .patterns
        .extend(rulebook::built_in_sources().patterns);
    let tests = wanted
        .tests
        .clone()
        .unwrap_or_else(|| wanted.hub.join(".tests"));
    let all = names(&tests)?;
    let chosen = choose(&all, &wanted.cases)?;
    let floor = Floor {
        bench: Bench::new(&sources, read_at(wanted, &tests, &all)?),
        place,
        tests,
        stood_in: Mutex::default(),
    };
    let verdicts = run_all(&floor, &chosen, wanted.threads);
    floor.tell_stood_in();
    let passed = verdicts.iter().filter(|verdict| verdict.passed()).count();
    let failed = verdicts.len() - passed;
    for (name, verdict) in chosen.iter().zip(&verdicts) {
        if out.json() {
            out.value(&as_json(name, verdict))?;
        } else if !verdict.passed() {
            tell(name, verdict, out)?;
        }
    }
    if out.json() {
        out.value(&serde_json::json!({ "passed": passed, "failed": failed }))?;
    } else {
        out.line(&format!("{passed} passed, {failed} failed"))?;
    }
    if failed > 0 {
        return Err(Error::Findings);
    }
    Ok(())
}

/// Folders of data files: those given, else a checkout of the hub's lists that lies beside
/// the hub's.
fn lists(wanted: &Wanted) -> Vec<PathBuf> {
    if !wanted.data.is_empty() {
        return wanted.data.clone();
    }
    let hub = fs::canonicalize(&wanted.hub).unwrap_or_else(|_| wanted.hub.clone());
    let beside = |name: &str| Some(hub.parent()?.join(name)).filter(|folder| folder.is_dir());
    ["sec-lists", "crowdsec/sec-lists"]
        .into_iter()
        .filter_map(beside)
        .collect()
}

/// Where cases are run.
struct Floor {
    bench: Bench,
    place: Place,
    tests: PathBuf,
    /// Databases of addresses that were not given.
    stood_in: Mutex<BTreeSet<String>>,
}

/// The folders of cases, sorted.
fn names(tests: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |error: std::io::Error| {
        Error::Operator(format!(
            "Cannot read the test cases in {}: {error}. Give their folder with --tests.",
            tests.display()
        ))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(tests).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().join("config.yaml").is_file()
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(Error::Operator(format!(
            "No test case lies in {}: a case is a folder with a config.yaml. Give their folder \
             with --tests.",
            tests.display()
        )));
    }
    names.sort_unstable();
    Ok(names)
}

fn choose(all: &[String], typed: &[String]) -> Result<Vec<String>, Error> {
    if typed.is_empty() {
        return Ok(all.to_vec());
    }
    for name in typed {
        if !all.contains(name) {
            let hint = shelf::closest(name, all.iter().map(String::as_str));
            let hint = hint.map_or_else(String::new, |known| format!(" Did you mean '{known}'?"));
            return Err(Error::Usage(format!(
                "No test case is named '{name}'.{hint}"
            )));
        }
    }
    Ok(all
        .iter()
        .filter(|name| typed.contains(name))
        .cloned()
        .collect())
}

/// When lines are read: as typed, else on the newest day that the asserts know.
fn read_at(wanted: &Wanted, tests: &Path, all: &[String]) -> Result<Timestamp, Error> {
    let Some(typed) = &wanted.now else {
        let mut newest = None;
        for name in all {
            for file in ["parser.assert", "scenario.assert"] {
                let bytes = read(&tests.join(name).join(file)).unwrap_or_default();
                newest = newest.max(dates::newest(std::iter::once(&*bytes), now()));
            }
        }
        return Ok(newest.unwrap_or_else(now));
    };
    dates::midnight(typed)
        .or_else(|| typed.parse().ok())
        .ok_or_else(|| {
            Error::Usage(format!(
                "'{typed}' is no date. Write --now 2026-01-31, or a time such as \
                 2026-01-31T12:00:00Z."
            ))
        })
}

fn run_all(floor: &Floor, names: &[String], threads: usize) -> Vec<Verdict> {
    let threads = match threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let next = AtomicUsize::new(0);
    let verdicts: Mutex<Vec<(usize, Verdict)>> = Mutex::default();
    let progress = Mutex::new(Progress::new(names.len()));
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, 64) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(at) else { break };
                    let verdict = floor.run(name);
                    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.step(verdict.passed());
                    drop(progress);
                    let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
                    verdicts.push((at, verdict));
                }
            });
        }
    });
    progress
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .end();
    let mut verdicts = verdicts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_unstable_by_key(|(at, _)| *at);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

impl Floor {
    fn run(&self, name: &str) -> Verdict {
        match self.gather(name) {
            Ok((case, material)) => self
                .bench
                .run(&case, &material, &|wanted| self.data(wanted)),
            Err(reason) => Verdict::unable(reason),
        }
    }

    /// The data files that rules name; a database of addresses that was not given is stood
    /// in for.
    fn data(&self, wanted: &[DataFile]) -> Result<DataSet, String> {
        let mut data = self
            .place
            .data(wanted)
            .map_err(|error| rulebook::unreadable(&error).to_string())?;
        for file in wanted.iter().filter(|file| file.is_database()) {
            if data.database(&file.dest_file).is_none()
                && let Some(database) = standins::of(file)
            {
                data.add_database(&file.dest_file, database.into());
                let mut stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
                stood_in.insert(file.dest_file.clone());
            }
        }
        Ok(data)
    }

    /// Tells what was stood in for.
    fn tell_stood_in(&self) {
        let stood_in = self.stood_in.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<&str> = stood_in.iter().map(String::as_str).collect();
        if !names.is_empty() {
            tracing_line(&format!(
                "not given, and stood in for by the few networks that the hub's own cases ask about: {}. \
                 Databases in a folder given with --data are used instead.",
                names.join(", ")
            ));
        }
    }

    /// Reads what a case consists of.
    fn gather(&self, name: &str) -> Result<(Case, Material), String> {
        let folder = self.tests.join(name);
        let case = Case::read(&read(&folder.join("config.yaml"))?)?;
        if !Path::new(&case.log_file)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(format!(
                "its log {:?} lies outside of its folder",
                case.log_file
            ));
        }
        let asserts = |file: &str| {
            let path = folder.join(file);
            path.is_file().then(|| read(&path)).transpose()
        };
        let own = own_files(&case)
            .map(|path| Ok((path.to_owned(), Arc::from(read(&self.tests.join(path))?))));
        let material = Material {
            log: read(&folder.join(&case.log_file))?,
            parser_assert: asserts("parser.assert")?,
            scenario_assert: asserts("scenario.assert")?,
            files: own.collect::<Result<_, String>>()?,
        };
        Ok((case, material))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::read(path, BYTES).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn tell(name: &str, verdict: &Verdict, out: &mut Out) -> Result<(), Error> {
    let head = format!(
        "{name}: {} of {} asserts failed",
        verdict.failed, verdict.asserts
    );
    out.line(&out.paint(Tone::Bad, &printable(&head)))?;
    for reason in &verdict.reasons {
        out.line(&format!("  {}", printable(reason)))?;
    }
    let shown = match verdict.reasons.as_slice() {
        [] => SHOWN,
        _ => SHOWN_BESIDE,
    };
    for failure in verdict.failures.iter().take(shown) {
        let place = format!("{}:{}", failure.file, failure.line);
        out.line(&format!("  {place}: {}", printable(&failure.text)))?;
        out.line(&format!("    {}", printable(&failure.why)))?;
    }
    if verdict.failed > shown {
        out.line(&format!("  … and {} more", verdict.failed - shown))?;
    }
    Ok(())
}

fn as_json(name: &str, verdict: &Verdict) -> serde_json::Value {
    let failures = verdict.failures.iter().map(|failure| {
        serde_json::json!({
            "file": failure.file,
            "line": failure.line,
            "assert": failure.text,
            "why": failure.why,
        })
    });
    serde_json::json!({
        "case": name,
        "passed": verdict.passed(),
        "asserts": verdict.asserts,
        "failed": verdict.failed,
        "reasons": verdict.reasons,
        "failures": failures.collect::<Vec<_>>(),
    })
}

/// A bar on standard error, when somebody sits there.
struct Progress {
    all: usize,
    done: usize,
    failed: usize,
    shown: bool,
}

impl Progress {
    const WIDTH: usize = 30;

    fn new(all: usize) -> Self {
        Self {
            all,
            done: 0,
            failed: 0,
            shown: std::io::stderr().is_terminal(),
        }
    }

    fn step(&mut self, passed: bool) {
        self.done += 1;
        self.failed += usize::from(!passed);
        let full = Self::WIDTH * self.done / self.all.max(1);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(Self::WIDTH - full));
        let (done, all, failed) = (self.done, self.all, self.failed);
        self.write(&format!("\r[{bar}] {done} of {all} cases, {failed} failed"));
    }

    fn end(&self) {
        self.write("\r\x1b[K");
    }

    fn write(&self, text: &str) {
        if self.shown {
            // A bar that cannot be drawn harms nobody.
            drop(std::io::stderr().write_all(text.as_bytes()));
        }
    }
}
