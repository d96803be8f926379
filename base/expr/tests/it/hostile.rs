//! Hostile rules and events: nothing panics, nothing runs away.

use std::time::{Duration, Instant};

use expr::{EvalError, Type, limits};

use crate::support::{Names, event};

const SAMPLES: [&str; 14] = [
    "evt.Meta.service == 'http' && evt.Meta.http_status in ['404','403','400'] && evt.Parsed.static_ressource == 'false'",
    "let xff = evt.Parsed.x ?? ''; let f = xff != '' ? Split(xff, ',')[0] : ''; TrimPrefix(TrimSuffix(f, \"]\"), \"[\")",
    "any(File('paths.txt'), { Lower(evt.Meta.http_path) contains # })",
    "if (evt.Meta.a matches '^[a-z]{2,}$') { let t = LookupFile(evt.Meta.p, \"m\"); t != '' ? evt.SetMeta('a', t) : false } else { false }",
    "filter(evt.Unmarshaled.js.params, {.key == 'user' && .value.login != ''})[0]['value']['login']",
    "{a: [1, 2.5, 'x'], (evt.Meta.k): nil}['a'][-1:] ?? evt.Unmarshaled.js?.deep?.a",
    "reduce(1..20, {#acc + # * #index}, 0) > 10 or not (5 % 3 == 2) and -2 ** 2 < 1e3",
    "Sprintf('%5.2f|%-8s|%v|%q', 1.5, 'a', evt.Unmarshaled.js, evt.Parsed.message)",
    "UnmarshalJSON(evt.Parsed.message, evt.Unmarshaled, 'x') in ['', nil] && evt.Unmarshaled.x.a.b[0] == 10",
    "XMLGetNodeValue(evt.Parsed.message, \"/Event/EventData[1]/Data[@Name='LogonId']\")",
    "MedianInterval(map(queue.Queue[-3:], {#.Time})) > duration('10m') /* x */ // y",
    "'a' not in ['b'] ? `raw` + b'\\xff' : \"q\\u00e9\" | Upper() | TrimSpace()",
    "JsonExtract(evt.Parsed.message, 'a.b[1].c') != '' && IpInRange(evt.Meta.source_ip, '10.0.0.0/8')",
    "Upper(evt.Meta.http_path) contains 'A' or Upper(evt.Meta.http_path) contains 'B' or Upper(evt.Meta.http_path) contains 'C' or Upper(evt.Meta.http_path) contains 'D'",
];

/// Compiles and, if it compiles, evaluates.
fn exercise(source: &str) -> bool {
    let mut names = Names::default();
    let Ok(compiled) = expr::compile(source, &mut names, Type::Any) else {
        return false;
    };
    let mut event = event();
    event.bind(&names);
    drop(compiled.eval(&event));
    drop(compiled.truth(&event));
    drop(compiled.run(&mut event));
    true
}

#[test]
fn every_prefix_is_refused_or_evaluated_without_a_panic() {
    for sample in SAMPLES {
        assert!(exercise(sample), "{sample}");
        for (at, _) in sample.char_indices() {
            exercise(&sample[..at]);
        }
    }
}

#[test]
fn mutations_never_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below.max(1)).unwrap()).unwrap()
    };
    let pieces = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "\\",
        ".",
        "?.",
        "??",
        "?",
        ":",
        ";",
        ",",
        "#",
        "not ",
        "in ",
        "let x = ",
        "9",
        "-",
        "**",
        "|",
        "nil",
        "evt.Meta.x",
        "..",
        "\u{fc}",
    ];
    let mut compiled = 0;
    for round in 0..8_000 {
        let mut source = SAMPLES[round % SAMPLES.len()].to_owned();
        for _ in 0..=next(3) {
            let letters: Vec<(usize, char)> = source.char_indices().collect();
            let (at, letter) = letters[next(letters.len())];
            match next(3) {
                0 => source.insert_str(at, pieces[next(pieces.len())]),
                1 => source.replace_range(at..at + letter.len_utf8(), pieces[next(pieces.len())]),
                _ => source.replace_range(at..at + letter.len_utf8(), ""),
            }
        }
        compiled += usize::from(exercise(&source));
    }
    assert!(
        compiled > 500,
        "the mutations are too coarse: {compiled} compiled"
    );
}

#[test]
fn deep_nesting_is_refused() {
    let deep = 50_000;
    let rows = [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{a:", "1", "}"),
        ("not ", "true", ""),
        ("!", "true", ""),
        ("-", "1", ""),
        ("1 + (", "1", ")"),
        ("true ? 1 : ", "1", ""),
        ("true ? ", "1", " : 1"),
        ("if true { 1 } else ", "{ 1 }", ""),
        ("let x = 1; ", "1", ""),
        ("any([1], {", "true", "})"),
        ("2 ** ", "2", ""),
        ("Upper(", "'a'", ")"),
        ("[1][", "0", "]"),
        ("nil ?? (", "1", ")"),
    ];
    for (open, middle, close) in rows {
        let count = deep / open.len().max(1);
        let source = format!("{}{middle}{}", open.repeat(count), close.repeat(count));
        let error = expr::compile(&source, &mut Names::default(), Type::Any).unwrap_err();
        assert!(
            error.message.contains("nested deeper")
                || error.message.contains("longer than")
                || error.message.contains("parts"),
            "DENY {open}: {error}"
        );
    }
    for (first, rest) in [
        ("1", " + 1"),
        ("evt", ".a"),
        ("any", "[0]"),
        ("any", "?.a"),
        ("any", ".f()"),
        ("1", " | abs()"),
        ("true", " ? 1 : 1"),
        ("nil", " ?? nil"),
    ] {
        let source = format!("{first}{}", rest.repeat(5_000));
        assert!(
            expr::compile(&source, &mut Names::default(), Type::Any).is_err(),
            "DENY {rest}"
        );
    }
}

#[test]
fn long_rows_of_and_and_or_are_fine() {
    for (sign, outcome) in [(" or ", true), (" && ", false)] {
        let parts: Vec<String> = (0..3_500)
            .map(|n| format!("evt.Meta.a{n} != 'x{n}'"))
            .collect();
        let source = parts.join(sign);
        let mut names = Names::default();
        let compiled = expr::compile(&source, &mut names, Type::Bool).unwrap();
        let mut event = event();
        event.bind(&names);
        event.meta.0.insert(b"a9".to_vec(), b"x9".to_vec());
        assert_eq!(compiled.truth(&event), Ok(outcome));
    }
}

#[test]
fn too_long_a_source_is_refused() {
    let source = format!("'{}'", "a".repeat(limits::MAX_SOURCE));
    let error = expr::compile(&source, &mut Names::default(), Type::Any).unwrap_err();
    assert!(error.message.contains("longer than"), "{error}");
    let many = format!("[{}]", "1,".repeat(limits::MAX_NODES + 1));
    let error = expr::compile(&many, &mut Names::default(), Type::Any).unwrap_err();
    assert!(error.message.contains("parts"), "{error}");
}

#[test]
fn work_and_memory_of_an_evaluation_are_bounded() {
    let rows = [
        "any(1..90000, {any(1..90000, {# < 0})})",
        "1..9999999999",
        "count..(count + 99999999)",
        "repeat(evt.Meta.service, 999999999)",
        "reduce(1..60, {#acc + #acc}, evt.Meta.service)",
        "map(1..90000, {repeat(evt.Meta.http_path, 1000)})",
        "len(map(1..90000, {map(1..90000, {#})}))",
        "concat(1..90000, 1..90000)",
        "any(1..90000, {evt.Meta.http_path matches ('(' + string(#) + '){90}') ? true : any(1..90000, {# < 0})})",
    ];
    for source in rows {
        let mut names = Names::default();
        let begin = Instant::now();
        let compiled = expr::compile(source, &mut names, Type::Any).unwrap();
        let mut event = event();
        event.bind(&names);
        let result = compiled.eval(&event);
        assert!(matches!(result, Err(EvalError::Limit(_))), "DENY {source}");
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{source} took {:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn hostile_json_is_refused_within_bounds() {
    let deep = "[".repeat(100_000);
    assert!(expr::json::parse(deep.as_bytes()).is_err(), "DENY nesting");
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\"}",
        "{\"a\":1,}",
        "01",
        "1.",
        "+1",
        "nul",
        "\"a",
        "\"\\",
        "1 2",
        "{1:2}",
        "\"\u{1}\"",
        "NaN",
    ] {
        assert!(expr::json::parse(text.as_bytes()).is_err(), "DENY {text}");
    }
    let good = br#"{"a":[1,-2.5e3,"\u00e9\ud83d\ude00\n",true,null,{}],"b":{"c":[]}}"#;
    let data = expr::json::parse(good).unwrap();
    let mut again = Vec::new();
    expr::json::write(&data, &mut again);
    assert_eq!(expr::json::parse(&again), Ok(data));
    for end in 0..good.len() {
        assert!(
            expr::json::parse(&good[..end]).is_err(),
            "DENY prefix of {end}"
        );
        assert!(expr::json::locate_dotted(&good[..end], b"a[5].x").is_none());
        assert!(expr::json::locate_dotted(&good[..end], b"b.c[0]").is_none());
    }
}
