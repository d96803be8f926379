//! `ringwall hubtest` as it is typed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use app::commands::{HubtestWanted, hubtest};
use app::term::Out;
use serde_json::Value;

use crate::shared::shared;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is printed, and the exit code.
fn run(wanted: &HubtestWanted, json: bool) -> (String, u8) {
    let kept = Kept::default();
    let mut out = Out::plain(Box::new(kept.clone()), json);
    let ended = hubtest(wanted, &mut out);
    let code = ended.as_ref().err().map_or(0, app::Error::exit_code);
    let mut text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    if let Err(error) = ended {
        text += &error.to_string();
    }
    (text, code)
}

const PARSER: &str = "name: me/year\nfilter: 'true'\nonsuccess: next_stage\ngrok:\n  pattern: \
    '^%{YEARLESS:when}$'\n  apply_on: Line.Raw\npattern_syntax:\n  YEARLESS: '.+'\nstatics:\n\
    - target: evt.StrTime\n  expression: evt.Parsed.when\n- method: ParseDate\n  expression: \
    evt.StrTime\n- meta: timestamp\n  expression: evt.Enriched.MarshaledTime\n";

const CONFIG: &str = "parsers:\n- me/year\nscenarios:\n- \"\"\nlog_file: x.log\nlog_type: x\n";

/// A hub of one parser and three cases: one passes in 2025 only, one fails, one is broken.
fn small_hub(folder: &Path) -> HubtestWanted {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let stamp = |year: u16| {
        format!(
            "results[\"s01-parse\"][\"me/year\"][0].Evt.Meta[\"timestamp\"] == \"{year}-03-04T05:06:07Z\"\n"
        )
    };
    write("parsers/s01-parse/me/year.yaml", PARSER);
    for (name, asserts) in [("good", stamp(2025)), ("wrong", stamp(2019))] {
        write(&format!(".tests/{name}/config.yaml"), CONFIG);
        write(&format!(".tests/{name}/x.log"), "Mar  4 05:06:07\n");
        write(&format!(".tests/{name}/parser.assert"), &asserts);
    }
    write(
        ".tests/outside/config.yaml",
        &CONFIG.replace("x.log", "../good/x.log"),
    );
    write(".tests/notes/README.md", "no case");
    HubtestWanted {
        hub: folder.to_owned(),
        ..HubtestWanted::default()
    }
}

#[test]
fn the_last_line_counts_and_failures_have_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = small_hub(folder.path());
    let (text, code) = run(&wanted, false);
    assert_eq!(text.lines().last(), Some("1 passed, 2 failed"), "{text}");
    assert_eq!(code, 1);
    assert!(text.contains("wrong: 1 of 1 asserts failed"), "{text}");
    assert!(text.contains("parser.assert:1: results["), "{text}");
    assert!(text.contains("it is \"2025-03-04T05:06:07Z\""), "{text}");
    assert!(text.contains("lies outside of its folder"), "{text}");
    assert!(!text.contains("good:"), "{text}");
    let one = HubtestWanted {
        cases: vec!["good".to_owned()],
        ..wanted.clone()
    };
    assert_eq!(run(&one, false), ("1 passed, 0 failed\n".to_owned(), 0));
    // The day decides the year of dates without one.
    let later = HubtestWanted {
        now: Some("2019-12-31".to_owned()),
        cases: vec!["good".to_owned(), "wrong".to_owned()],
        ..wanted
    };
    let (text, _) = run(&later, false);
    assert!(text.contains("good: 1 of 1"), "{text}");
    assert!(text.ends_with("1 passed, 1 failed\n"), "{text}");
}

#[test]
fn machines_get_an_object_a_case_and_the_sums() {
    let folder = tempfile::tempdir().unwrap();
    let (text, code) = run(&small_hub(folder.path()), true);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(code, 1);
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["case"].as_str())
        .collect();
    assert_eq!(names, ["good", "outside", "wrong"]);
    assert_eq!(lines[0]["passed"], true);
    assert_eq!(lines[0]["asserts"], 1);
    assert_eq!(lines[1]["reasons"].as_array().unwrap().len(), 1);
    let failure = &lines[2]["failures"][0];
    assert_eq!(failure["file"], "parser.assert");
    assert_eq!(failure["line"], 1);
    assert!(failure["assert"].as_str().unwrap().contains("2019"));
    assert!(failure["why"].as_str().unwrap().contains("2025"));
    assert_eq!(lines[3], serde_json::json!({ "passed": 1, "failed": 2 }));
}

#[test]
fn what_was_mistyped_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = small_hub(folder.path());
    for (typed, why, code) in [
        (
            HubtestWanted {
                cases: vec!["godo".to_owned()],
                ..wanted.clone()
            },
            "No test case is named 'godo'. Did you mean 'good'?",
            64,
        ),
        (
            HubtestWanted {
                now: Some("yesterday".to_owned()),
                ..wanted.clone()
            },
            "'yesterday' is no date.",
            64,
        ),
        (
            HubtestWanted {
                tests: Some(PathBuf::from("/nowhere/at/all")),
                ..wanted.clone()
            },
            "Cannot read the test cases in /nowhere/at/all",
            1,
        ),
        (
            HubtestWanted {
                tests: Some(folder.path().join("parsers")),
                ..wanted.clone()
            },
            "No test case lies in",
            1,
        ),
        (
            HubtestWanted {
                hub: folder.path().join(".tests"),
                ..wanted
            },
            "no parsers, scenarios or collections folder",
            1,
        ),
    ] {
        let (text, ended) = run(&typed, false);
        assert!(text.starts_with(why) || text.contains(why), "{why}: {text}");
        assert_eq!(ended, code, "{text}");
    }
}

#[test]
fn every_case_of_the_hub_passes_on_the_day_that_its_asserts_know() {
    let (Some(hub), Some(patterns), Some(data)) = (
        shared("hub"),
        shared("crowdsec/patterns"),
        shared("crowdsec/sec-lists"),
    ) else {
        return;
    };
    // No databases of addresses are given here: those of seven cases are stood in for.
    // Ten of them have logs that tell no year, and assert 2026.
    let wanted = HubtestWanted {
        hub,
        patterns: vec![patterns],
        data: vec![data],
        threads: 2,
        ..HubtestWanted::default()
    };
    assert_eq!(
        run(&wanted, false),
        ("286 passed, 0 failed\n".to_owned(), 0)
    );
}
