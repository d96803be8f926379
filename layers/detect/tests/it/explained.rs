//! What `explain` says of scenarios and their buckets.

use detect::bucket::Seed;
use detect::explain::{Became, Trace, pour};
use detect::program::{Line, Scratch};
use detect::shard::{Limits, Mode, Shards};
use vocab::{Alert, Timestamp};

use crate::own_rules::log_program;

/// Sends lines of an access log on their way: what `scenario`'s bucket became of each.
fn became(scenario: &str, lines: &[String]) -> (Vec<Option<Became>>, Vec<String>, Vec<Alert>) {
    let program = log_program();
    let shards = Shards::new(program.specs(), Limits::default(), Mode::Replay);
    let mut scratch = Scratch::new(program, Seed::new(1));
    let (mut became, mut shown, mut alerts) = (Vec::new(), Vec::new(), Vec::new());
    for text in lines {
        let line = Line {
            text: text.as_bytes(),
            labels: &[("type", "nginx")],
            source: "access.log",
            module: "file",
            received: Timestamp::EPOCH,
            replay: true,
        };
        let mut trace = Trace::with_reasons();
        let mut seen = program.explain(&line, &mut scratch, &mut trace);
        pour(program, &shards, &mut seen, &mut trace, &mut alerts);
        let one = trace.scenarios.iter().find(|one| one.name == scenario);
        let one = one.expect("the scenario is among ours");
        became.push(one.bucket.as_ref().map(|bucket| bucket.became));
        shown.push(one.to_string());
    }
    (became, shown, alerts)
}

fn request(second: u32, path: &str, status: u16) -> String {
    format!(
        "203.0.113.9 - - [22/Nov/2026:15:{:02}:{:02} +0000] \"GET {path} HTTP/1.1\" {status} 5 \"-\" \"Mozilla/5.0\"",
        second / 60,
        second % 60
    )
}

#[test]
fn a_bucket_fills_repeats_overflows_and_is_silent() {
    let mut lines = vec![request(0, "/a", 404), request(0, "/a", 404)];
    lines.extend((0..40).map(|at| request(1, &format!("/word{at}"), 404)));
    let (became, shown, alerts) = became("ringwall/http-probing", &lines);
    assert_eq!(became[0], Some(Became::Counted));
    assert!(shown[0].contains("holds 1 of "), "{}", shown[0]);
    assert_eq!(became[1], Some(Became::Repeated));
    assert!(
        shown[1].contains("its distinct value is known"),
        "{}",
        shown[1]
    );
    let first = became
        .iter()
        .position(|one| *one == Some(Became::Overflowed))
        .expect("it overflows");
    assert!(
        alerts
            .iter()
            .any(|one| one.scenario == "ringwall/http-probing")
    );
    assert!(
        became[..first]
            .iter()
            .all(|one| matches!(one, Some(Became::Counted | Became::Repeated))),
        "{became:?}"
    );
    assert!(
        became[first + 1..]
            .iter()
            .any(|one| matches!(one, Some(Became::Silent { .. }))),
        "{became:?}"
    );
}

#[test]
fn a_bucket_that_leaks_holds_less() {
    let lines = [
        request(0, "/a", 404),
        request(0, "/b", 404),
        request(0, "/c", 404),
        request(40, "/d", 404),
    ];
    let (_, shown, _) = became("ringwall/http-probing", &lines);
    assert!(shown[2].contains("holds 3 of "), "{}", shown[2]);
    assert!(shown[3].contains("holds 1 of "), "{}", shown[3]);
}

#[test]
fn a_filter_that_does_not_hold_names_the_side_and_its_fields() {
    let (became, shown, _) = became("ringwall/http-probing", &[request(0, "/a", 200)]);
    assert_eq!(became, [None]);
    assert!(shown[0].contains("not true: "), "{}", shown[0]);
    assert!(
        shown[0].contains("evt.Meta.http_status is \"200\""),
        "{}",
        shown[0]
    );
}
