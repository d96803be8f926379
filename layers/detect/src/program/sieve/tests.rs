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
