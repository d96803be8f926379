use super::*;

fn library(patterns: &[(&str, &str)]) -> Library {
    let mut library = Library::default();
    for (name, pattern) in patterns {
        library.add(name, pattern);
    }
    library
}

fn run(grok: &Grok, text: &str) -> Option<Vec<(String, String)>> {
    let names: Vec<String> = grok.fields().map(str::to_owned).collect();
    let mut found = Vec::new();
    let matched = grok.run(text.as_bytes(), &mut grok.room(), |place, value| {
        found.push((
            names[place].clone(),
            String::from_utf8_lossy(value).into_owned(),
        ));
    });
    matched.then_some(found)
}

fn pairs(found: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(
        found
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect(),
    )
}

#[test]
fn two_passes_find_what_backtracking_finds() {
    let library = library(&[
        ("DATA", ".*?"),
        ("GREEDY", ".*"),
        ("WORD", r"\b\w+\b"),
        ("INT", "[+-]?[0-9]+"),
        ("IP", r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"),
        (
            "NAME",
            r"\b(?:[0-9A-Za-z]{1,3})(?:\.(?:[0-9A-Za-z]{1,3}))*(\.?|\b)",
        ),
        ("HOST", "(?:%{IP}|%{NAME})"),
    ]);
    let patterns = [
        "(%{HOST:site}(:%{INT:port})? )?%{HOST:from} - %{DATA:what} %{INT:number}",
        "^%{GREEDY:before}\\?%{GREEDY:after}$",
        "%{DATA:a}%{DATA:b} %{GREEDY:c}",
        "(a|ab)(c|bcd)%{DATA:x}%{INT:y}",
        "(?:a*)*%{WORD:x}",
        "(|a)+%{INT:x}?",
        "%{WORD:x}|%{INT:y}",
        "(?m)^%{INT:x}$",
        "(?i)%{WORD:x} Ab",
        "%{INT:a}(%{WORD:b}|%{GREEDY:c}) ?(%{INT:d})*",
        r"\B%{INT:x}\b",
        "[^a]*%{DATA:x}$",
        "%{DATA:x}",
    ];
    let groks: Vec<Grok> = patterns
        .iter()
        .map(|pattern| library.compile(pattern).unwrap())
        .collect();
    let mut rooms: Vec<(Room, Room)> = groks
        .iter()
        .map(|grok| (grok.room(), grok.room()))
        .collect();
    let pieces = [
        "a", "b", "ab", "bcd", "1", "22", "10.0.0.1", ".", " ", " - ", "?", "\n", "A", ":", "+",
        "\u{e4}", "_", "x.y",
    ];
    let mut state = 11_u64;
    let mut hits = 0;
    for _ in 0..3_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mut text = String::new();
        let mut rest = state;
        for _ in 0..(state >> 60) {
            text += pieces[(rest >> 20) as usize % pieces.len()];
            rest = rest.rotate_left(9).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        for (grok, (fast, plain)) in groks.iter().zip(&mut rooms) {
            plain.search_plainly();
            let of = |room: &mut Room| {
                let mut found = Vec::new();
                let matched = grok.run(text.as_bytes(), room, |place, value| {
                    found.push((place, value.to_vec()));
                });
                matched.then_some(found)
            };
            assert!(fast.captures.is_none(), "the search never gave up");
            let want = of(plain);
            assert_eq!(of(fast), want, "{} in {text:?}", grok.regex.as_str());
            hits += u32::from(want.is_some());
        }
    }
    assert!(hits > 5_000, "the texts are not without matches: {hits}");
}

#[test]
fn what_a_stranger_writes_cannot_make_a_search_grow_without_end() {
    // Every suffix of such a text is another set of states.
    let library = library(&[("X", "(?:a|b)*a(?:a|b){14}c"), ("TAIL", ".*")]);
    let grok = library
        .compile("%{X:x}%{TAIL:y}|(?:c|d)(?:[cd]){14}%{X:z}")
        .unwrap();
    let mut room = grok.room();
    let mut state = 3_u64;
    for _ in 0..60 {
        let mut text = Vec::new();
        for _ in 0..2_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push(b"abcd"[(state >> 62) as usize]);
        }
        let mut plain = grok.room();
        plain.search_plainly();
        let (mut found, mut want) = (Vec::new(), Vec::new());
        grok.run(&text, &mut room, |at, value| {
            found.push((at, value.to_vec()));
        });
        grok.run(&text, &mut plain, |at, value| {
            want.push((at, value.to_vec()));
        });
        assert_eq!(found, want);
        assert!(room.ways.weight() < 4 << 20, "{}", room.ways.weight());
    }
}

#[test]
fn fields_are_kept_and_groups_without_a_part_are_empty() {
    let library = library(&[
        ("WORD", r"\b\w+\b"),
        ("INT", "[0-9]+"),
        ("PAIR", "%{WORD:key}=%{INT:value}"),
    ]);
    let grok = library.compile("^(%{WORD:who} )?says %{PAIR}$").unwrap();
    assert_eq!(
        run(&grok, "bob says a=1"),
        pairs(&[("who", "bob"), ("key", "a"), ("value", "1")])
    );
    assert_eq!(
        run(&grok, "says a=1"),
        pairs(&[("who", ""), ("key", "a"), ("value", "1")])
    );
    assert_eq!(run(&grok, "says a=x"), None);
}

#[test]
fn an_outer_field_hides_an_inner_one_and_else_the_last_counts() {
    let library = library(&[("INT", "[0-9]+"), ("TWO", "%{INT:n}-%{INT:n}")]);
    let last = library.compile("%{TWO}").unwrap();
    assert_eq!(run(&last, "1-2"), pairs(&[("n", "2")]));
    let outer = library.compile("%{TWO:n}").unwrap();
    assert_eq!(run(&outer, "1-2"), pairs(&[("n", "1-2")]));
}

#[test]
fn a_pattern_that_keeps_nothing_fails() {
    let library = library(&[("INT", "[0-9]+")]);
    assert_eq!(run(&library.compile("%{INT}").unwrap(), "1"), None);
}

#[test]
fn the_first_definition_of_a_name_counts() {
    let mut library = library(&[("A", "a")]);
    assert!(!library.add("A", "b"));
    assert_eq!(
        run(&library.compile("%{A:x}").unwrap(), "ba"),
        pairs(&[("x", "a")])
    );
}

#[test]
fn names_that_are_no_words_stay_literal() {
    let library = library(&[("IP", "[0-9.]+")]);
    let grok = library.compile("%{IP:src-ip} %{IP:a}").unwrap();
    assert_eq!(run(&grok, "%{IP:src-ip} 1.2"), pairs(&[("a", "1.2")]));
}

#[test]
fn circles_unknown_names_and_bombs_are_refused() {
    let mut circle = library(&[("A", "%{B}"), ("B", "%{A}")]);
    assert_eq!(
        circle.compile("%{A:x}").unwrap_err(),
        GrokError::Deep("A".to_owned())
    );
    assert_eq!(
        circle.compile("%{C}").unwrap_err(),
        GrokError::Unknown("C".to_owned())
    );
    circle.add("L0", "aaaaaaaaaa");
    for level in 1..20 {
        circle.add(
            &format!("L{level}"),
            &format!("%{{L{0}}}%{{L{0}}}", level - 1),
        );
    }
    assert_eq!(circle.compile("%{L19:x}").unwrap_err(), GrokError::Long);
    assert!(matches!(
        circle.compile("%{L0:x}("),
        Err(GrokError::Regex(_))
    ));
}

#[test]
fn classes_are_ascii_as_in_go() {
    let library = library(&[("W", r"\w+"), ("D", r"\d+")]);
    assert_eq!(run(&library.compile("^%{W:w}$").unwrap(), "ä"), None);
    assert_eq!(run(&library.compile("^%{D:d}$").unwrap(), "٣"), None);
}

#[test]
fn truncated_and_mutated_patterns_never_panic() {
    let library = library(&[("WORD", r"\b\w+\b"), ("INT", "[0-9]+")]);
    let pattern = r#"^(%{WORD:who} )?\[%{INT:n}\] (?:%{WORD:x}|-){1,3}[^"]*$"#;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for end in 0..pattern.len() {
        drop(library.compile(pattern.get(..end).unwrap()));
    }
    for _ in 0..300 {
        let mut bytes = pattern.as_bytes().to_vec();
        let at = usize::try_from(next() % bytes.len() as u64).unwrap();
        bytes[at] = b"%{}:()[]|*+?\\^$-a0"[usize::try_from(next() % 18).unwrap()];
        if let Ok(text) = core::str::from_utf8(&bytes)
            && let Ok(grok) = library.compile(text)
        {
            drop(run(&grok, "bob [12] x-"));
        }
    }
}

#[test]
fn groups_in_their_thousands_cost_no_more_than_they_are_long() {
    // Two states each that only lead on, all in one row: gone through once, not once each.
    let pattern = format!("{}%{{INT:x}}", "()".repeat(30_000));
    let library = library(&[("INT", "[0-9]+")]);
    let grok = library.compile(&pattern).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(run(&grok, "a 7"), pairs(&[("x", "7")]));
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}
