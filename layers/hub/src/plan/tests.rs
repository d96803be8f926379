use super::*;

const DIGESTS: [&str; 3] = ["a", "b", "c"];

/// An index from `kind:name@version` and what each names.
fn index(items: &[(&str, usize, &[&str])]) -> Index {
    let mut folders = serde_json::Map::new();
    for (typed, version, members) in items {
        let (kind, name) = split(typed);
        let kind = kind.unwrap();
        let versions: serde_json::Map<_, _> = DIGESTS
            .iter()
            .enumerate()
            .map(|(at, digit)| {
                (
                    format!("0.{at}"),
                    serde_json::json!({ "digest": digit.repeat(64) }),
                )
            })
            .collect();
        let mut item = serde_json::json!({
            "path": format!("{}/{name}.yaml", kind.folder()),
            "version": format!("0.{version}"),
            "versions": versions,
        });
        for member in *members {
            let (kind, name) = split(member);
            let list = &mut item[kind.unwrap().folder()];
            if list.is_null() {
                *list = serde_json::json!([]);
            }
            list.as_array_mut().unwrap().push(name.into());
        }
        let folder = folders
            .entry(kind.folder())
            .or_insert_with(|| serde_json::json!({}));
        folder[name] = item;
    }
    Index::read(&serde_json::to_vec(&folders).unwrap()).unwrap()
}

fn manifest(plan: &Plan) -> Manifest {
    Manifest {
        format: 1,
        made: String::new(),
        previous: None,
        hub: String::new(),
        items: plan.steps.iter().map(|step| step.item.clone()).collect(),
        data: Vec::new(),
    }
}

fn plan(wish: Wish<'_>, index: &Index, now: Option<&Manifest>) -> Result<Plan, PlanError> {
    Plan::new(wish, index, now, &BTreeSet::new())
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn told(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| {
        let mark = match step.source {
            Source::Kept => "=",
            Source::New => "+",
            Source::Newer => "^",
        };
        let asked = if step.item.asked { "!" } else { "" };
        format!("{mark}{}@{}{asked}", step.item.id.name, step.item.version)
    });
    let removed = plan.removed.iter().map(|id| format!("-{}", id.name));
    steps.chain(removed).collect()
}

const HUB: &[(&str, usize, &[&str])] = &[
    (
        "collections:a/web",
        0,
        &[
            "parsers:a/log",
            "scenarios:a/scan",
            "collections:a/base",
            "appsec-rules:a/patch",
        ],
    ),
    (
        "collections:a/ssh",
        0,
        &["scenarios:a/bf", "collections:a/base"],
    ),
    (
        "collections:a/base",
        0,
        &["parsers:a/dates", "collections:a/web"],
    ),
    ("parsers:a/log", 0, &[]),
    ("parsers:a/dates", 0, &[]),
    ("scenarios:a/scan", 0, &[]),
    ("scenarios:a/bf", 0, &[]),
    ("parsers:a/both", 0, &[]),
    ("scenarios:a/both", 0, &[]),
    ("appsec-rules:a/patch", 0, &[]),
    ("collections:a/broken", 0, &["parsers:a/nowhere"]),
];

#[test]
fn a_collection_brings_all_it_needs_once_and_circles_end() {
    let hub = index(HUB);
    let plan = plan(Wish::Install(&words(&["a/web"])), &hub, None).unwrap();
    assert_eq!(
        told(&plan),
        [
            "+a/base@0.0",
            "+a/web@0.0!",
            "+a/dates@0.0",
            "+a/log@0.0",
            "+a/scan@0.0"
        ]
    );
    let left_out: Vec<_> = plan.not_run.iter().map(|id| id.name.as_str()).collect();
    assert_eq!(left_out, ["a/patch"]);
}

#[test]
fn names_mean_the_collection_or_all_that_runs_or_what_is_spelt_out() {
    let hub = index(HUB);
    for (name, found) in [
        ("a/both", vec!["+a/both@0.0!", "+a/both@0.0!"]),
        ("parsers:a/both", vec!["+a/both@0.0!"]),
    ] {
        let plan = plan(Wish::Install(&words(&[name])), &hub, None).unwrap();
        assert_eq!(told(&plan), found, "{name}");
    }
    let refused = |name: &str| plan(Wish::Install(&words(&[name])), &hub, None).unwrap_err();
    assert!(matches!(refused("a/patch"), PlanError::NotRun { .. }));
    assert!(matches!(refused("a/broken"), PlanError::Lacking { .. }));
    let PlanError::Unknown { nearest, .. } = refused("a/lgo") else {
        panic!("there is no such item")
    };
    assert!(nearest.contains(&"a/log".to_owned()), "{nearest:?}");
    for odd in ["", "../../etc/passwd", "tomorrows:a/log", "parsers:a/scan"] {
        assert!(matches!(refused(odd), PlanError::Unknown { .. }), "{odd:?}");
    }
}

#[test]
fn what_nobody_needs_any_more_leaves_and_what_somebody_needs_stays() {
    let hub = index(HUB);
    let two = plan(Wish::Install(&words(&["a/ssh", "a/both"])), &hub, None).unwrap();
    let now = manifest(&two);
    let refused = plan(Wish::Remove(&words(&["a/bf"])), &hub, Some(&now));
    assert!(
        matches!(refused, Err(PlanError::Needed { .. })),
        "{refused:?}"
    );
    let without = plan(Wish::Remove(&words(&["parsers:a/both"])), &hub, Some(&now)).unwrap();
    assert!(told(&without).contains(&"-a/both".to_owned()));
    assert!(told(&without).contains(&"=a/both@0.0!".to_owned()));
    let without = plan(Wish::Remove(&words(&["a/ssh"])), &hub, Some(&now)).unwrap();
    assert_eq!(
        told(&without),
        [
            "=a/both@0.0!",
            "=a/both@0.0!",
            "-a/base",
            "-a/ssh",
            "-a/web",
            "-a/dates",
            "-a/log",
            "-a/bf",
            "-a/scan"
        ]
    );
    let unknown = plan(Wish::Remove(&words(&["a/none"])), &hub, Some(&now));
    assert!(matches!(unknown, Err(PlanError::NotInstalled { .. })));
}

#[test]
fn an_update_takes_what_changed_and_leaves_what_was_touched_here() {
    let old = index(HUB);
    let now = manifest(&plan(Wish::Install(&words(&["a/ssh", "a/both"])), &old, None).unwrap());
    assert!(
        plan(Wish::Update(&[]), &old, Some(&now))
            .unwrap()
            .changes_nothing(Some(&now))
    );
    let newer: Vec<_> = HUB
        .iter()
        .filter(|(name, ..)| *name != "parsers:a/both")
        .map(|(name, _, members)| match *name {
            "collections:a/ssh" => (*name, 1, ["scenarios:a/bf", "scenarios:a/scan"].as_slice()),
            "scenarios:a/bf" => (*name, 2, *members),
            _ => (*name, 0, *members),
        })
        .collect();
    let hub = index(&newer);
    let all = plan(Wish::Update(&[]), &hub, Some(&now)).unwrap();
    assert_eq!(
        told(&all),
        [
            "^a/ssh@0.1!",
            "=a/both@0.0!",
            "^a/bf@0.2",
            "=a/both@0.0!",
            "=a/scan@0.0",
            "-a/base",
            "-a/web",
            "-a/dates",
            "-a/log"
        ]
    );
    assert_eq!(all.gone, [Id::new(Kind::Parsers, "a/both")]);
    // Installing something else updates nothing.
    let more = plan(Wish::Install(&words(&["parsers:a/log"])), &hub, Some(&now)).unwrap();
    assert!(more.brought().next().is_none(), "{:?}", told(&more));
    // What was changed here stays.
    let touched = BTreeSet::from([Id::new(Kind::Scenarios, "a/bf")]);
    let kept = Plan::new(Wish::Update(&[]), &hub, Some(&now), &touched).unwrap();
    assert!(
        told(&kept).contains(&"=a/bf@0.0".to_owned()),
        "{:?}",
        told(&kept)
    );
    let one = plan(Wish::Update(&words(&["a/bf"])), &hub, Some(&now)).unwrap();
    let changed: Vec<_> = one
        .brought()
        .map(|step| step.item.id.name.clone())
        .collect();
    assert_eq!(changed, ["a/bf"]);
}
