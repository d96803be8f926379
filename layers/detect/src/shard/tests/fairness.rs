//! No source takes the table away from the others.

use super::*;

const LIMITS: Limits = Limits {
    shards: 4,
    buckets: 8_192,
    bytes: 4 << 20,
};

/// A flood of ever new groups by one owner, while somebody else makes one request
/// after every `every` of them; how often that somebody was noticed.
fn flooded(owner: Owner, requests: u32, every: u32) -> (usize, Counts) {
    let bench = Bench::with(vec![leaky(5, 60)], LIMITS, Mode::Live);
    let mut noticed = 0;
    for number in 0..requests {
        let path = format!("192.0.2.66/{number}");
        let flood = Pour {
            owner,
            ..pour(0, &path)
        };
        let seconds = f64::from(number) / 20_000.0;
        bench.pours(&[flood], "192.0.2.66", "/", seconds);
        if number % every == 0 {
            let slow = Pour {
                owner: Owner(7),
                ..pour(0, "203.0.113.1")
            };
            noticed += bench.pours(&[slow], "203.0.113.1", "/", seconds).len();
        }
    }
    (noticed, bench.counts())
}

#[test]
fn one_source_with_a_million_paths_does_not_delay_the_detection_of_another() {
    // 20 requests, one after each 50,000 of the flood: alerts on the 6th, 12th and 18th.
    let (noticed, counts) = flooded(Owner(666), 1_000_000, 50_000);
    assert_eq!(noticed, 3, "{counts:?}");
    assert_eq!(counts.evicted, 0, "{counts:?}");
    assert!(counts.crowded > 990_000, "{counts:?}");
    assert!(counts.buckets <= 8_192 / 64 + 1, "{counts:?}");
    // DENY: without shares the table forgets the quiet one each time.
    let (noticed, counts) = flooded(Owner::NOBODY, 1_000_000, 50_000);
    assert_eq!(noticed, 0, "{counts:?}");
    assert!(counts.evicted > 900_000, "{counts:?}");
}

#[test]
fn a_source_that_sends_much_to_keep_pushes_out_its_own_evidence_only() {
    let limits = Limits {
        shards: 1,
        buckets: 8_192,
        bytes: 64 << 10,
    };
    let bench = Bench::with(vec![leaky(5, 600)], limits, Mode::Live);
    let long = "x".repeat(1_000);
    let owned = |owner, group: &str| Pour {
        owner: Owner(owner),
        ..pour(0, group)
    };
    bench.pours(&[owned(1, "203.0.113.1")], "203.0.113.1", "/", 0.0);
    for number in 0..1_000_u32 {
        let group = format!("192.0.2.66/{number}");
        bench.pours(&[owned(2, &group)], "192.0.2.66", &long, 0.1);
    }
    let counts = bench.counts();
    assert_eq!(counts.evicted, 0, "{counts:?}");
    assert!(counts.bytes <= (64 << 10) / 16 + 4_096, "{counts:?}");
    for _ in 0..4 {
        assert_eq!(
            bench.pours(&[owned(1, "203.0.113.1")], "203.0.113.1", "/", 0.2),
            []
        );
    }
    assert_eq!(
        bench
            .pours(&[owned(1, "203.0.113.1")], "203.0.113.1", "/", 0.3)
            .len(),
        1,
        "its first request is still counted"
    );
}

#[test]
fn a_source_keeps_what_it_used_last() {
    let limits = Limits {
        shards: 1,
        buckets: 640,
        bytes: 1 << 20,
    };
    let bench = Bench::with(vec![leaky(3, 600)], limits, Mode::Live);
    let owned = |group: &str| Pour {
        owner: Owner(2),
        ..pour(0, group)
    };
    let mut raised = 0;
    for number in 0..400_u32 {
        bench.pours(&[owned(&number.to_string())], "192.0.2.6", "/", 0.1);
        if number % 5 == 0 {
            raised += bench.pours(&[owned("login")], "192.0.2.6", "/", 0.1).len();
        }
    }
    // 80 requests to one path, every fourth of which is one too many.
    assert_eq!(raised, 20);
    assert_eq!(bench.counts().buckets, 10);
}
