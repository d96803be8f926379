//! Small cases of our own: what must fail fails, and says why.

use std::sync::Arc;

use detect::data::DataSet;
use detect::rules::{Found, Sources};
use hubtest::{Bench, Case, Material, Verdict};
use vocab::Timestamp;

const PARSER: &str = "\
name: me/web
filter: \"evt.Line.Labels.type == 'web'\"
onsuccess: next_stage
grok:
  pattern: '^%{ADDR:ip} %{WORD:word}$'
  apply_on: Line.Raw
statics:
- meta: source_ip
  expression: evt.Parsed.ip
- meta: datasource_path
  expression: evt.Line.Src
- meta: module
  expression: evt.Line.Module
- meta: site
  expression: evt.Line.Labels.site
";

const SCENARIO: &str = "\
type: trigger
name: me/bad
description: bad words
filter: evt.Parsed.word == 'bad'
groupby: evt.Meta.source_ip
labels:
  remediation: true
";

const LOG: &str = "192.0.2.1 good\n\nnonsense\r\n192.0.2.2 bad\n192.0.2.1 bad\n192.0.2.2 bad";

const PARSED: &str = "\
len(results) == 2
len(results[\"s01-parse\"][\"me/web\"]) == 5
results[\"s01-parse\"][\"me/web\"][0].Success == true
results[\"s01-parse\"][\"me/web\"][0].Evt.Parsed[\"word\"] == \"good\"
results[\"s01-parse\"][\"me/web\"][0].Evt.Meta[\"datasource_path\"] == \"x.log\"
results[\"s01-parse\"][\"me/web\"][0].Evt.Whitelisted == false
results[\"s01-parse\"][\"me/web\"][1].Success == false
results[\"s01-parse\"][\"me/web\"][4].Evt.Meta[\"absent\"] == \"\"
len(results[\"success\"][\"\"]) == 0
";

const RAISED: &str = "\
len(results) == 3
\"192.0.2.2\" in results[0].Overflow.GetSources()
results[0].Overflow.Sources[\"192.0.2.2\"].IP == \"192.0.2.2\"
results[0].Overflow.Sources[\"192.0.2.2\"].Range == \"\"
results[0].Overflow.Sources[\"192.0.2.2\"].GetScope() == \"Ip\"
results[2].Overflow.Sources[\"192.0.2.1\"].GetValue() == \"192.0.2.1\"
results[2].Overflow.Alert.Events[0].GetMeta(\"source_ip\") == \"192.0.2.1\"
results[2].Overflow.Alert.GetScenario() == \"me/bad\"
results[2].Overflow.Alert.Remediation == true
results[2].Overflow.Alert.GetEventsCount() == 1
";

fn found(path: &str, text: &str) -> Found {
    Found {
        file: path.to_owned(),
        path: path.to_owned(),
        bytes: Arc::from(text.as_bytes()),
    }
}

fn bench() -> Bench {
    let sources = Sources {
        rules: vec![
            found("parsers/s01-parse/me/web.yaml", PARSER),
            found("scenarios/me/bad.yaml", SCENARIO),
            found("scenarios/me/broken.yaml", "type: [\n"),
            found(
                "scenarios/me/wrong.yaml",
                &SCENARIO.replace("evt.Parsed.word ==", "evt.Nothing =="),
            ),
            found(
                "scenarios/me/wanting.yaml",
                &format!(
                    "{SCENARIO}data:\n- source_url: https://example.org/l\n  dest_file: l.txt\n  type: string\n"
                ),
            ),
        ],
        patterns: vec![found("patterns/base", "WORD \\w+\nADDR [0-9.]+\n")],
    };
    Bench::new(&sources, Timestamp::from_unix_seconds(1_800_000_000))
}

fn case() -> Case {
    Case {
        parsers: vec!["me/web".to_owned()],
        scenarios: vec!["./scenarios/me/bad.yaml".to_owned()],
        log_file: "x.log".to_owned(),
        log_type: "web".to_owned(),
        ..Case::default()
    }
}

fn material(parsed: Option<&str>, raised: Option<&str>) -> Material {
    Material {
        log: LOG.into(),
        parser_assert: parsed.map(Into::into),
        scenario_assert: raised.map(Into::into),
        files: Vec::new(),
    }
}

fn run(case: &Case, material: &Material) -> Verdict {
    bench().run(case, material, &|_| Ok(DataSet::default()))
}

#[test]
fn a_case_whose_asserts_hold_passes() {
    let verdict = run(&case(), &material(Some(PARSED), Some(RAISED)));
    assert!(verdict.passed(), "{verdict:?}");
    assert_eq!(verdict.asserts, 19);
}

#[test]
fn a_case_passes_only_if_everything_it_must_assert_is_asserted_and_holds() {
    let wrong = "len(results) == 7\n";
    for (parsed, raised, why) in [
        (Some(wrong), Some(RAISED), "it is 2"),
        (Some(PARSED), Some(wrong), "it is 3"),
        (Some(""), Some(RAISED), "parser.assert asserts nothing"),
        (Some("\n \n"), Some(RAISED), "parser.assert asserts nothing"),
        (Some(PARSED), Some(""), "scenario.assert asserts nothing"),
        (None, Some(RAISED), "parser.assert is missing"),
        (Some(PARSED), None, "scenario.assert is missing"),
        (
            Some("results[\"s01-parse\"][\"me/web\"][9].Success == true"),
            Some(RAISED),
            "cannot be evaluated",
        ),
        (Some("results[0"), Some(RAISED), "does not compile"),
        (
            Some(PARSED),
            Some("results[0].Overflow.Alert.Delete() == 1"),
            "cannot be evaluated",
        ),
        (
            Some(PARSED),
            Some("results[0].Overflow.Nothing == 1"),
            "cannot be evaluated",
        ),
    ] {
        let verdict = run(&case(), &material(parsed, raised));
        let told = format!("{:?} {:?}", verdict.reasons, verdict.failures);
        assert!(!verdict.passed() && told.contains(why), "{why}: {told}");
    }
    // What is not asserted need not be there.
    let parsers_alone = Case {
        scenarios: Vec::new(),
        ..case()
    };
    assert!(run(&parsers_alone, &material(Some(PARSED), None)).passed());
    let scenarios_alone = Case {
        ignore_parsers: true,
        ..case()
    };
    assert!(run(&scenarios_alone, &material(None, Some(RAISED))).passed());
    let nothing = Case {
        ignore_parsers: true,
        scenarios: Vec::new(),
        ..case()
    };
    assert!(!run(&nothing, &material(None, None)).passed());
}

#[test]
fn a_case_that_cannot_be_run_says_why() {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = case();
        change(&mut case);
        run(&case, &material(Some(PARSED), Some(RAISED)))
    };
    let named = |name: &str| {
        let name = name.to_owned();
        with(&move |case: &mut Case| case.scenarios = vec![name.clone()])
    };
    for (verdict, why) in [
        (named("me/bda"), "Did you mean \"me/bad\"?"),
        (named("me/broken"), "scenarios/me/broken.yaml"),
        (named("me/wrong"), "the expression is wrong"),
        (named("me/wanting"), "this data file is not here"),
        (named("../../etc/passwd.yaml"), "the hub has no scenarios"),
        (
            named("./.tests/other/scenarios/me/x.yaml"),
            "the hub has no scenarios",
        ),
        (
            with(&|case| case.nuclei_template = "x".to_owned()),
            "nuclei",
        ),
        (
            with(&|case| case.overrides = vec![vec![("nonsense".to_owned(), "x".to_owned())]]),
            "override_statics",
        ),
    ] {
        assert!(!verdict.passed());
        let told = verdict.reasons.join(" ");
        assert!(told.contains(why), "{why}: {told}");
    }
    let unreadable = bench().run(&case(), &material(Some(PARSED), Some(RAISED)), &|_| {
        Err("no disk".to_owned())
    });
    assert_eq!(unreadable.reasons, ["no disk"]);
}

#[test]
fn labels_overrides_and_rules_of_its_own_are_the_cases() {
    let case = Case {
        parsers: vec!["./.tests/mine/parsers/s01-parse/me/web.yaml".to_owned()],
        scenarios: Vec::new(),
        labels: vec![
            ("site".to_owned(), "shop".to_owned()),
            // The log's type is given elsewhere.
            ("type".to_owned(), "other".to_owned()),
        ],
        overrides: vec![vec![
            ("target".to_owned(), "evt.Line.Module".to_owned()),
            (
                "value".to_owned(),
                "a \"quoted\" one: # not a comment".to_owned(),
            ),
        ]],
        ..case()
    };
    let own = PARSER.replace("name: me/web", "name: mine");
    let path = hubtest::run::own_files(&case).next().unwrap();
    assert_eq!(path, "mine/parsers/s01-parse/me/web.yaml");
    let asserts = "\
results[\"s01-parse\"][\"mine\"][0].Evt.Meta[\"site\"] == \"shop\"
results[\"s01-parse\"][\"mine\"][0].Evt.Meta[\"module\"] == \"a \\\"quoted\\\" one: # not a comment\"
results[\"s00-raw\"][\"overrides\"][0].Success == true
";
    let material = Material {
        files: vec![(path.to_owned(), Arc::from(own.as_bytes()))],
        ..material(Some(asserts), None)
    };
    let verdict = run(&case, &material);
    // The override alone moves no line out of the first stage.
    let told = format!("{verdict:?}");
    assert_eq!(verdict.failed, 2, "{told}");
    let moving = Found {
        bytes: Arc::from(&b"name: raw\nfilter: 'true'\nonsuccess: next_stage\n"[..]),
        ..found("parsers/s00-raw/me/raw.yaml", "")
    };
    let case = Case {
        parsers: vec!["me/raw".to_owned(), case.parsers[0].clone()],
        ..case
    };
    let sources = Sources {
        rules: vec![moving],
        patterns: vec![found("patterns/base", "WORD \\w+\nADDR [0-9.]+\n")],
    };
    let bench = Bench::new(&sources, Timestamp::EPOCH);
    let verdict = bench.run(&case, &material, &|_| Ok(DataSet::default()));
    assert!(verdict.passed(), "{verdict:?}");
}

#[test]
fn overflows_that_sort_alike_may_be_asserted_in_any_order() {
    let log = "192.0.2.2 bad one\n192.0.2.2 bad two\n192.0.2.2 bad three\n";
    let parser = PARSER.replace("%{WORD:word}$", "%{WORD:word} %{WORD:which}$")
        + "- meta: which\n  expression: evt.Parsed.which\n";
    let sources = Sources {
        rules: vec![
            found("parsers/s01-parse/me/web.yaml", &parser),
            found("scenarios/me/bad.yaml", SCENARIO),
        ],
        patterns: vec![found("patterns/base", "WORD \\w+\nADDR [0-9.]+\n")],
    };
    let bench = Bench::new(&sources, Timestamp::EPOCH);
    let with = |order: [&str; 3]| {
        let lines = order.iter().enumerate().map(|(at, which)| {
            format!("results[{at}].Overflow.Alert.Events[0].GetMeta(\"which\") == \"{which}\"\n")
        });
        let material = Material {
            log: log.into(),
            scenario_assert: Some(lines.collect::<String>().into()),
            ..Material::default()
        };
        let case = Case {
            ignore_parsers: true,
            ..case()
        };
        bench
            .run(&case, &material, &|_| Ok(DataSet::default()))
            .passed()
    };
    for order in [
        ["one", "two", "three"],
        ["one", "three", "two"],
        ["two", "one", "three"],
        ["three", "two", "one"],
    ] {
        assert!(with(order), "{order:?}");
    }
    assert!(!with(["one", "one", "two"]), "DENY one that is not there");
}
