//! One thread or many, the alerts are the same.

use detect::alert::JsonLine;
use detect::replay::{self, Origin};
use vocab::Timestamp;

use crate::own_rules::log_program;

/// A log of many sources that overlap, some of them attackers, with lines out of
/// order and lines that are none.
fn log(count: u32) -> Vec<Vec<u8>> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) % below
    };
    (0..count)
        .map(|number| {
            let source = next(300);
            let second = u64::from(number) / 40 + next(4);
            let (method, target, status) = match (source % 10, next(12)) {
                (0, _) => ("GET", format!("/word{}", next(5_000)), 404),
                (1, _) => ("POST", "/login".to_owned(), 200),
                (2, _) => ("GET", format!("/?id=1%27%20OR%20{0}={0}", next(900)), 200),
                (3, 0..6) => ("GET", "/private".to_owned(), 401),
                (_, 0) => ("GET", "/site.css".to_owned(), 200),
                (_, kind) => ("GET", format!("/page/{kind}"), 200),
            };
            if next(200) == 0 {
                return b"\xff\xfe not a line of any log \0".to_vec();
            }
            format!(
                "203.0.113.{} - - [22/Nov/2026:{:02}:{:02}:{:02} +0000] \"{method} {target} HTTP/1.1\" {status} 5 \"-\" \"Mozilla/5.0\"",
                source % 254,
                second / 3600 % 24,
                second / 60 % 60,
                second % 60,
            )
            .into_bytes()
        })
        .collect()
}

fn alerts(lines: &[Vec<u8>], threads: usize) -> (String, replay::Summary) {
    let mut out = String::new();
    let options = replay::Options {
        threads,
        ..replay::Options::new(Timestamp::from_unix_seconds(1_763_800_000))
    };
    let summary = replay::replay(
        log_program(),
        &[Origin::of_type("access.log", "nginx")],
        lines.iter().map(|line| (0, line)),
        &options,
        |alert| {
            out.push_str(&JsonLine(&alert).to_string());
            out.push('\n');
        },
    );
    (out, summary)
}

#[test]
fn any_number_of_threads_raises_the_same_alerts() {
    let lines = log(24_000);
    let (one, summary) = alerts(&lines, 1);
    assert_eq!(summary.lines, 24_000);
    assert!(summary.dropped > 50, "{summary:?}");
    assert!(one.lines().count() > 20, "{summary:?}\n{one}");
    for threads in [2, 3, 8] {
        assert_eq!(
            alerts(&lines, threads),
            (one.clone(), summary),
            "{threads} threads"
        );
    }
}

#[test]
fn lines_out_of_order_are_put_right() {
    let lines = log(12_000);
    let (sorted, _) = alerts(&lines, 1);
    let mut shuffled = lines;
    // Swap the halves of every stretch of 500 lines: seconds out of order, and
    // within a second the order stays.
    for stretch in shuffled.chunks_mut(480) {
        let half = stretch.len() / 2 / 40 * 40;
        stretch.rotate_left(half);
    }
    let (again, _) = alerts(&shuffled, 2);
    let count = |text: &str| text.lines().count();
    let difference = count(&sorted).abs_diff(count(&again));
    assert!(
        difference * 20 <= count(&sorted),
        "{} and {}",
        count(&sorted),
        count(&again)
    );
}
