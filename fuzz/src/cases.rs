//! The hub's test cases: their asserts, and whole cases against our own rules.

use std::sync::OnceLock;

use detect::bucket::Seed;
use detect::data::DataSet;
use detect::program::{Line, Scratch};
use detect::replay::{self, Origin};
use detect::rules::DataFile;
use detect::rules::disk::Place;
use expr::{Data, Value};
use hubtest::assertion::{Asserts, MAX_TOLD};
use hubtest::dump::Parsers;
use hubtest::overflow::Overflows;
use hubtest::{Bench, Case, Material};

use crate::rules::{NOW, own};

const LOG: [&str; 3] = [
    "192.0.2.1 - - [22/Nov/2026:12:00:00 +0000] \"GET /.env HTTP/1.1\" 404 5 \"-\" \"sqlmap\"",
    "192.0.2.2 - - [22/Nov/2026:12:00:01 +0000] \"GET /?q=1%20union%20select%201 HTTP/1.1\" 200 5 \"-\" \"x\"",
    "nonsense",
];

/// What asserts look at: what parsers did with a log, and what was raised of it.
struct Dumps {
    parsed: Data,
    raised: Overflows,
}

impl Dumps {
    fn of_our_rules() -> Self {
        let (program, _) = own();
        let mut scratch = Scratch::new(program, Seed::new(0));
        let mut parsers = Parsers::new(1 << 20);
        for text in LOG {
            let line = Line {
                text: text.as_bytes(),
                labels: &[("type", "nginx")],
                source: "a.log",
                module: "file",
                received: NOW,
                replay: true,
            };
            let _seen = program.witnessed(&line, &mut scratch, &mut parsers);
        }
        let origins = [Origin::of_type("a.log", "nginx")];
        let lines = LOG.iter().map(|line| (0, line));
        let mut raised = Vec::new();
        let options = replay::Options::new(NOW);
        replay::overflows(program, &origins, lines, &options, |one| raised.push(one));
        assert!(!raised.is_empty(), "an attack raises something");
        Self {
            parsed: parsers.finish(),
            raised: Overflows::new(raised),
        }
    }
}

pub(crate) fn assert_seeds() -> Vec<Vec<u8>> {
    [
        "plen(results) == 4\nlen(results[\"s01-parse\"][\"ringwall/nginx-access\"]) == 3",
        "presults[\"s01-parse\"][\"ringwall/nginx-access\"][0].Success == true",
        "presults[\"s02-enrich\"][\"ringwall/http-fields\"][1].Evt.Meta[\"http_verb\"] == \"GET\"\n\nfalse",
        "presults[\"s01-parse\"][\"ringwall/nginx-access\"][0].Evt.Meta[\"datasource_path\"] == \"a.log\"",
        "pbasename(results[\"s00-raw\"][\"x\"][0].Evt.Parsed[\"datasource_path\"]) == 'a\\'.log'",
        "p\"GET\" in [results[\"s01-parse\"][\"ringwall/nginx-access\"][0].Evt.Parsed[\"verb\"]]",
        "olen(results) >= 2\n\"192.0.2.2\" in results[0].Overflow.GetSources()",
        "oresults[0].Overflow.Sources[\"192.0.2.1\"].GetScope() == \"Ip\"",
        "oresults[1].Overflow.Alert.Events[0].GetMeta(\"source_ip\") == \"192.0.2.1\"",
        "oresults[1].Overflow.Alert.GetScenario() == \"a\"\nresults[0].Overflow.Alert.Remediation == true",
        "oany(results, {.Overflow.Alert.GetEventsCount() == 1})",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Every line is an assert of its own: it holds or fails whatever stands beside it, the
/// same each time, and who fails is counted.
pub(crate) fn assert(data: &[u8]) {
    thread_local! {
        static DUMPS: Dumps = Dumps::of_our_rules();
    }
    let Some((kind, text)) = data.split_first() else {
        return;
    };
    DUMPS.with(|dumps| {
        let results = match kind {
            b'o' => Value::Object(&dumps.raised),
            _ => dumps.parsed.value(),
        };
        let asserts = Asserts::new("parser.assert", text);
        let outcome = asserts.check(&results);
        assert_eq!(outcome, asserts.check(&results));
        assert_eq!(outcome.failed, asserts.failing(&results));
        assert_eq!(outcome.failures.len(), outcome.failed.min(MAX_TOLD));
        let alone = text.split(|byte| *byte == b'\n').map(|line| {
            let one = Asserts::new("parser.assert", line).check(&results);
            (one.asserts, one.failed)
        });
        let sum = alone.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!(sum, (outcome.asserts, outcome.failed));
    });
}

pub(crate) fn case_seeds() -> Vec<Vec<u8>> {
    let parsers = "parsers:\n- ringwall/plain-lines\n- ringwall/nginx-access\n- ringwall/http-fields\n- ringwall/log-time\n";
    let log = LOG.join("\n");
    [
        format!(
            "{parsers}log_file: a.log\nlog_type: nginx\nscenarios:\n- ringwall/http-attack-tool\n- ringwall/http-sql-injection\n\0{log}\0len(results) == 4\0len(results) == 2\nresults[0].Overflow.Alert.Remediation == true"
        ),
        format!(
            "{parsers}log_file: a.log\nlog_type: nginx\nlabels:\n  a: b\noverride_statics:\n- meta: source_ip\n  value: 192.0.2.9\n\0{log}\0results[\"s01-parse\"][\"ringwall/nginx-access\"][0].Success == true"
        ),
        "scenarios: [ringwall/http-crawl]\nlog_file: a\nlog_type: b\nignore_parsers: true\nnuclei_template: \"\"\n\0\0\0false".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn place() -> Place {
    Place::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules"))
}

/// A case runs to the same verdict twice, and passes only where nothing fails.
pub(crate) fn case(data: &[u8]) {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    let mut parts = data.split(|byte| *byte == 0);
    let Some(Ok(case)) = parts.next().map(Case::read) else {
        return;
    };
    let material = Material {
        log: parts.next().unwrap_or_default().to_vec(),
        parser_assert: parts.next().map(<[u8]>::to_vec),
        scenario_assert: parts.next().map(<[u8]>::to_vec),
        files: Vec::new(),
    };
    let bench =
        BENCH.get_or_init(|| Bench::new(&place().sources().expect("our rules can be read"), NOW));
    let lists = |files: &[DataFile]| -> Result<DataSet, String> {
        place().data(files).map_err(|error| error.to_string())
    };
    let verdict = bench.run(&case, &material, &lists);
    assert_eq!(verdict, bench.run(&case, &material, &lists));
    assert!(verdict.failed <= verdict.asserts && verdict.failures.len() <= verdict.failed);
    assert!(!verdict.passed() || verdict.failures.is_empty());
}
