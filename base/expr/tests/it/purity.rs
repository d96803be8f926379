//! Changes of the event, questions, guards, slots, searches.

use expr::{DataSearch, EvalError, Question, SearchTest, Type, Value};

use crate::support::{Names, event};

#[test]
fn changes_are_seen_by_what_follows_in_the_same_expression() {
    let rows = [
        (
            "(evt.SetMeta('a', 'b') ? 'x' : 'y') + evt.Meta.a + 'z' == 'xbz'",
            "true",
        ),
        (
            "UnmarshalJSON('{\"a\":{\"b\":1}}', evt.Unmarshaled, 'new') in ['', nil] && evt.Unmarshaled.new.a.b == 1",
            "true",
        ),
        (
            "UnmarshalJSON('no json', evt.Unmarshaled, 'new') in ['', nil]",
            "error",
        ),
        (
            "evt.Unmarshaled.new == nil && UnmarshalJSON('[1]', evt.Unmarshaled, \"new\") in [\"\", nil] && evt.Unmarshaled.new != nil",
            "true",
        ),
        (
            "ParseKV(evt.Parsed.kv, evt.Unmarshaled, 'audit') == nil && evt.Unmarshaled.audit.exe == '/bin/sh -c'",
            "true",
        ),
        (
            "ParseKV(evt.Parsed.kv, evt.Unmarshaled, 'audit') == nil && evt.Unmarshaled.audit.empty == '' && evt.Unmarshaled.audit.pid == '42' && evt.Unmarshaled.audit.missing == ''",
            "true",
        ),
        (
            "ParseKV('nothing here', evt.Unmarshaled, 'audit') in [nil, '']",
            "error",
        ),
        (
            "ParseKVLax('user=John Doe msg=\"a key=b \\\\\"c\\\\\"\" end=1', evt.Unmarshaled, 'k') == nil && evt.Unmarshaled.k.user == 'John Doe' && evt.Unmarshaled.k.msg == 'a key=b \"c\"' && evt.Unmarshaled.k.end == '1'",
            "true",
        ),
        (
            "evt.SetMeta('cve', 'CVE-X') && evt.Meta.cve == 'CVE-X'",
            "true",
        ),
        (
            "evt.SetParsed('p', Upper(evt.Meta.service)); evt.Parsed.p == 'HTTP'",
            "true",
        ),
        (
            "any(File('cves.json'), { evt.Meta.http_path contains JsonExtract(#, 'uri') ? evt.SetMeta('cve', JsonExtract(#, 'cve')) : false }) && evt.Meta.cve == 'CVE-2'",
            "true",
        ),
        (
            "all([1, 2], { # > 1 ? evt.SetMeta('n', string(#)) : true }) && evt.Meta.n == '2'",
            "true",
        ),
        (
            "count([1, 2, 3], { evt.SetMeta('n', evt.Meta.n + string(#)) }) == 3 && evt.Meta.n == '123'",
            "true",
        ),
        (
            "none([1, 2], { # == 2 ? not evt.SetMeta('n', 'x') : false }) && evt.Meta.n == 'x'",
            "true",
        ),
        (
            "if (evt.Meta.service == 'http') { let t = LookupFile('/wp/x', 'map.json'); t != '' ? evt.SetMeta('tech', t) : false } else { false }",
            "true",
        ),
        (
            "if (evt.Meta.service == 'nope') { evt.SetMeta('tech', 'x') } else { false }",
            "false",
        ),
        (
            "(evt.SetMeta('a', 'b') or evt.SetMeta('a', 'c')) and evt.Meta.a == 'b'",
            "true",
        ),
        ("not evt.SetMeta('a', 'b')", "false"),
        (
            "SetInStash('c', 'k', 'v', duration('1m')) == nil && GetFromStash('c', 'k') == 'v'",
            "true",
        ),
    ];
    for (source, expected) in rows {
        let mut names = Names::default();
        let compiled = expr::compile(source, &mut names, Type::Any)
            .unwrap_or_else(|e| panic!("{source}: {e}"));
        assert!(!compiled.is_pure(), "{source}");
        let mut event = event();
        event.bind(&names);
        let got = match compiled.run(&mut event) {
            Ok(Value::Bool(value)) => value.to_string(),
            Ok(other) => format!("{other:?}"),
            Err(EvalError::Call { .. }) => "error".to_owned(),
            Err(other) => other.to_string(),
        };
        assert_eq!(got, expected, "{source}");
        assert_eq!(
            compiled.eval(&event).err(),
            Some(EvalError::Effect),
            "DENY {source} without a right to change"
        );
    }
}

#[test]
fn an_unanswered_question_comes_back_as_a_need() {
    let mut names = Names::default();
    let compiled = expr::compile(
        "GetDecisionsCount(evt.Meta.source_ip) > 2",
        &mut names,
        Type::Bool,
    )
    .unwrap();
    let mut event = event();
    event.bind(&names);
    event.wait = true;
    let need = EvalError::Need(Box::new(Question::Decisions {
        value: b"192.0.2.7".into(),
    }));
    assert_eq!(compiled.truth(&event), Err(need));
    event.wait = false;
    assert_eq!(compiled.truth(&event), Ok(true));
}

#[test]
fn guards_are_what_must_hold() {
    let rows: [(&str, &[(&str, &[&str])]); 9] = [
        (
            "evt.Meta.service == 'http'",
            &[("evt.Meta.service", &["http"])],
        ),
        (
            "'http' == evt.Meta.service and evt.Meta.x contains 'y'",
            &[("evt.Meta.service", &["http"])],
        ),
        (
            "evt.Meta.a in ['2', '1'] && (evt.Meta.b == 'x' && evt.Meta.c == 'y')",
            &[
                ("evt.Meta.a", &["1", "2"]),
                ("evt.Meta.b", &["x"]),
                ("evt.Meta.c", &["y"]),
            ],
        ),
        (
            "evt.Meta.a == '1' or evt.Meta.a == '2'",
            &[("evt.Meta.a", &["1", "2"])],
        ),
        ("evt.Meta.a == '1' or evt.Meta.b == '2'", &[]),
        ("not (evt.Meta.a == '1')", &[]),
        ("evt.Meta.a != '1'", &[]),
        (
            "let r = Lower(evt.Parsed.r); evt.Meta.a == '1' && r == 'x'",
            &[("evt.Meta.a", &["1"])],
        ),
        (
            "if (evt.Meta.a == '1') { evt.Meta.b == '2' } else { false }",
            &[("evt.Meta.a", &["1"]), ("evt.Meta.b", &["2"])],
        ),
    ];
    for (source, expected) in rows {
        let mut names = Names::default();
        let compiled = expr::compile(source, &mut names, Type::Bool).unwrap();
        let guards: Vec<(String, Vec<String>)> = compiled
            .guards()
            .iter()
            .map(|guard| {
                let texts = guard
                    .any_of
                    .iter()
                    .map(|text| String::from_utf8_lossy(text).into_owned());
                (names.name(guard.slot).to_owned(), texts.collect())
            })
            .collect();
        let expected: Vec<(String, Vec<String>)> = expected
            .iter()
            .map(|(slot, texts)| {
                (
                    (*slot).to_owned(),
                    texts.iter().map(|text| (*text).to_owned()).collect(),
                )
            })
            .collect();
        assert_eq!(guards, expected, "{source}");
    }
}

#[test]
fn slots_and_searches_are_listed_and_searches_reach_the_environment() {
    let mut names = Names {
        number_searches: true,
        ..Names::default()
    };
    let source = "evt.Meta.a == 'x' and evt.Meta.b == evt.Meta.a and any(File('f'), { Lower(evt.Parsed.r) startsWith # })";
    let compiled = expr::compile(source, &mut names, Type::Bool).unwrap();
    let slots: Vec<&str> = compiled
        .slots()
        .iter()
        .map(|slot| names.name(*slot))
        .collect();
    assert_eq!(slots, ["evt.Meta.a", "evt.Meta.b", "evt.Parsed.r"]);
    let [search] = compiled.searches() else {
        panic!("{:?}", compiled.searches())
    };
    assert_eq!(
        (&*search.file, search.test),
        (&b"f"[..], SearchTest::StartsWith)
    );
    assert!(search.id.is_some());
    struct Answers;
    impl expr::Env for Answers {
        fn text(&self, _: expr::SlotId) -> &[u8] {
            b"x"
        }
        fn value(&self, _: expr::SlotId) -> Value<'_> {
            Value::from("x")
        }
        fn search(&self, search: &DataSearch, text: &[u8]) -> Option<bool> {
            (search.id.is_some() && text == b"x").then_some(true)
        }
    }
    assert_eq!(compiled.truth(&Answers), Ok(true));
}

#[test]
fn plain_fields_and_constants_are_recognised() {
    let mut names = Names::default();
    let field = expr::compile("evt.Meta.target_user", &mut names, Type::Text).unwrap();
    assert_eq!(
        field.as_slot().map(|slot| names.name(slot)),
        Some("evt.Meta.target_user")
    );
    let constant = expr::compile("Upper('a') + 'b'", &mut names, Type::Text).unwrap();
    assert_eq!(constant.as_constant(), Some(&expr::Data::text(&b"Ab"[..])));
}
