//! Every case of the hub's snapshot.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use detect::rules::disk::Place;
use hubtest::run::own_files;
use hubtest::{Bench, Case, Material, Verdict};
use tempfile::TempDir;

use crate::databases;
use crate::shared::shared;

/// Ten cases have logs that tell no year, and assert this one.
const NOW: &str = "2026-10-30T00:00:00Z";

/// The hub, its groks and lists, and databases of addresses that are written here.
pub(crate) struct Stage {
    pub(crate) place: Place,
    _databases: TempDir,
}

pub(crate) fn stage() -> Option<Stage> {
    let databases = tempfile::tempdir().unwrap();
    databases::write(databases.path());
    Some(Stage {
        place: Place {
            patterns: vec![shared("crowdsec/patterns")?],
            data: vec![shared("crowdsec/sec-lists")?, databases.path().to_owned()],
            ..Place::new(shared("hub")?)
        },
        _databases: databases,
    })
}

/// The folders of cases, sorted.
pub(crate) fn names(tests: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(tests)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("config.yaml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

fn run(bench: &Bench, place: &Place, tests: &Path, name: &str) -> Verdict {
    let folder = tests.join(name);
    let read = |file: &str| std::fs::read(folder.join(file)).ok();
    let case = match Case::read(&read("config.yaml").unwrap_or_default()) {
        Ok(case) => case,
        Err(why) => return Verdict::unable(why),
    };
    let files = own_files(&case).map(|path| {
        let bytes = std::fs::read(tests.join(path)).expect("a case's own rule file");
        (path.to_owned(), Arc::from(bytes))
    });
    let material = Material {
        log: read(&case.log_file).expect("a case's log"),
        parser_assert: read("parser.assert"),
        scenario_assert: read("scenario.assert"),
        files: files.collect(),
    };
    bench.run(&case, &material, &|wanted| {
        place.data(wanted).map_err(|error| error.to_string())
    })
}

/// Runs cases on two threads; names and verdicts, sorted.
pub(crate) fn run_all(place: &Place, names: &[String]) -> Vec<(String, Verdict)> {
    let tests = place.root.join(".tests");
    let sources = place.sources().expect("the hub can be read");
    let bench = Bench::new(&sources, NOW.parse().unwrap());
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = run(&bench, place, &tests, name);
                    verdicts.lock().unwrap().push((name.clone(), verdict));
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap();
    verdicts.sort_by(|a, b| a.0.cmp(&b.0));
    verdicts
}

pub(crate) fn told(name: &str, verdict: &Verdict) -> String {
    let Verdict {
        asserts, failed, ..
    } = verdict;
    let mut text = format!("{name}: {failed} of {asserts} asserts\n");
    for reason in &verdict.reasons {
        text += &format!("  {reason}\n");
    }
    for failure in verdict.failures.iter().take(6) {
        text += &format!(
            "  {}:{}: {}\n    {}\n",
            failure.file, failure.line, failure.text, failure.why
        );
    }
    text
}

#[test]
fn every_case_of_the_hub_passes() {
    let Some(stage) = stage() else { return };
    let names = names(&stage.place.root.join(".tests"));
    assert_eq!(names.len(), 286);
    let mut wrong = String::new();
    let mut asserts = 0;
    for (name, verdict) in run_all(&stage.place, &names) {
        asserts += verdict.asserts;
        if !verdict.passed() {
            wrong += &told(&name, &verdict);
        }
    }
    println!("{asserts} asserts");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(asserts > 66_000, "{asserts}");
}
