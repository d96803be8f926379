//! What is chosen, beside what every filter alone would say.

use expr::{DataSearch, Inner, Need, SearchTest};

use super::*;
use crate::event::{EventSchema, Slots, Space};
use crate::rules::DataKind;

#[test]
fn scenarios_that_cannot_hold_are_not_asked() {
    let mut slots = Slots::default();
    let (kind, path) = (
        slots.intern(Space::Meta, "kind"),
        slots.intern(Space::Meta, "path"),
    );
    let text = |text: &str| Box::<[u8]>::from(text.as_bytes());
    let mut data = DataSet::default();
    data.add("f", DataKind::Lines, "/.env\n/.git\n");
    let search = DataSearch {
        file: text("f"),
        test: SearchTest::EndsWith,
        text_case: expr::Case::Exact,
        line_case: expr::Case::Exact,
        id: None,
    };
    let http = || Need::OneOf(kind, vec![text("http")]);
    let wants = vec![
        Need::Always,
        Need::Never,
        http(),
        Need::All(vec![http(), Need::Contains(path, text("WP-"))]),
        Need::Any(vec![http(), Need::Contains(path, text("x"))]),
        Need::All(vec![http(), Need::Search(path, search)]),
        Need::Any(vec![Need::Always, http()]),
        Need::Any(vec![
            Need::All(vec![http(), Need::Contains(path, text("/a/"))]),
            Need::All(vec![http(), Need::Contains(path, text("/b/"))]),
        ]),
    ];
    let mut schema_slots = slots.clone();
    let nothing = expr::compile(
        "true",
        &mut EventSchema::new(&mut schema_slots),
        expr::Type::Bool,
    );
    let parts = wants.into_iter().map(|need| {
        vec![Part {
            expr: nothing.clone().unwrap(),
            exact: matches!(need, Need::OneOf(..)),
            need,
            denies: None,
            harmless: true,
            searches: None,
            reads: None,
            inner: Inner::One,
        }]
    });
    let sieve = Sieve::new(parts, &data);
    assert!(sieve.rest(2).is_empty(), "what is a fact is not asked");
    assert_eq!(sieve.rest(3).len(), 1);
    let mut event = Event::new(&slots);
    let mut chosen = Chosen::default();
    let mut ask = |kind_text: &str, path_text: &str| {
        event.clear(&slots);
        event.set(kind, kind_text.as_bytes());
        event.set(path, path_text.as_bytes());
        sieve.choose(&event, false, &mut chosen);
        chosen.scenarios.clone()
    };
    assert_eq!(ask("http", "/"), [0, 2, 4, 6]);
    assert_eq!(ask("ssh", "/"), [0, 6]);
    assert_eq!(ask("ssh", "/x/wp-"), [0, 4, 6]);
    assert_eq!(ask("http", "/Wp-login"), [0, 2, 3, 4, 6]);
    assert_eq!(ask("http", "/.env"), [0, 2, 4, 5, 6]);
    assert_eq!(ask("http", "/B/c"), [0, 2, 4, 6, 7]);
    assert_eq!(
        ask("http", "/ı"),
        [0, 2, 3, 4, 5, 6, 7],
        "letters beyond ASCII count as every word"
    );
}

#[test]
fn what_is_remembered_says_the_same_as_a_first_look() {
    let mut slots = Slots::default();
    let (kind, path) = (
        slots.intern(Space::Meta, "kind"),
        slots.intern(Space::Meta, "path"),
    );
    let sources: Vec<String> = (0..90)
        .map(|number| match number % 3 {
            0 => format!("evt.Meta.kind == 'k{}'", number % 40),
            1 => format!(
                "evt.Meta.kind in ['k{number}', 'k2'] && evt.Meta.path contains 'w{number}'"
            ),
            _ => format!(
                "evt.Meta.kind != 'k{}' || evt.Meta.path contains '/x'",
                number % 7
            ),
        })
        .collect();
    let filters: Vec<Expr> = sources
        .iter()
        .map(|source| {
            let mut schema = EventSchema::new(&mut slots);
            expr::compile(source, &mut schema, expr::Type::Bool).unwrap()
        })
        .collect();
    let sieve = Sieve::new(filters.iter().map(Expr::parts), &DataSet::default());
    let gates = Sieve::wordless(filters.iter().map(|filter| filter.leading().0));
    let mut event = Event::new(&slots);
    let (mut known, mut passed) = (Chosen::default(), Chosen::default());
    let mut chosen = 0;
    let mut state = 5_u64;
    for _ in 0..4_000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Most kinds are named by no filter; those that are come again.
        let number = (state >> 33) % 3_000;
        event.clear(&slots);
        event.set(kind, format!("k{number}").as_bytes());
        gates.choose_anew(&event, &mut passed);
        event.set(
            path,
            format!("/w{}/x{number}", (state >> 50) % 90).as_bytes(),
        );
        sieve.choose(&event, false, &mut known);
        let mut fresh = Chosen::default();
        sieve.choose(&event, false, &mut fresh);
        assert_eq!(known.scenarios, fresh.scenarios, "k{number}");
        chosen += fresh.scenarios.len();
        // A field that does not matter moves nothing; one that does, does.
        gates.choose_anew(&event, &mut passed);
        event.set(kind, b"k2");
        gates.choose_anew(&event, &mut passed);
        let mut fresh = Chosen::default();
        gates.choose(&event, false, &mut fresh);
        assert_eq!(passed.scenarios, fresh.scenarios, "k{number}, then k2");
    }
    assert!(chosen > 4_000, "{chosen}");
}

#[test]
fn what_could_not_be_told_of_a_long_text_is_in_doubt() {
    let mut slots = Slots::default();
    let calls = 30;
    let source = format!(
        "{}evt.Parsed.program{} == 'X'",
        "Upper(Lower(".repeat(calls),
        "))".repeat(calls)
    );
    let mut schema = EventSchema::new(&mut slots);
    let filter = expr::compile(&source, &mut schema, expr::Type::Bool).unwrap();
    let gates = Sieve::wordless(core::iter::once(filter.leading().0));
    assert!(gates.rest(0).is_empty(), "the filter is a fact");
    let mut event = Event::new(&slots);
    let mut chosen = Chosen::default();
    let long = "x".repeat(700_000);
    for (program, want) in [
        ("x", (vec![0], false)),
        ("y", (vec![], false)),
        // More letters than an expression may write.
        (&*long, (vec![0], true)),
        ("x", (vec![0], false)),
    ] {
        event.clear(&slots);
        event.set(slot::PARSED_PROGRAM, program.as_bytes());
        gates.choose_anew(&event, &mut chosen);
        let got = (chosen.scenarios.clone(), gates.doubts(&chosen));
        assert_eq!(got, want, "{} bytes", program.len());
    }
}
