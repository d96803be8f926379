//! Whoever has a turn on the wheel has it when it is due, however far off that was.

use super::*;

fn counter(seconds: u32) -> BucketSpec {
    BucketSpec {
        kind: BucketKind::Counter,
        duration: Duration::from_secs(seconds.into()),
        capacity: None,
        ..leaky(1, 0)
    }
}

#[test]
fn a_counter_is_heard_in_the_second_after_it_is_due() {
    for seconds in [
        1, 2, 255, 256, 257, 511, 512, 513, 767, 768, 1_000, 65_535, 65_536, 66_047, 66_048,
        200_000,
    ] {
        for start in [0, 1, 100, 254, 255, 256, 511] {
            let bench = Bench::new(counter(seconds), Mode::Live);
            assert_eq!(bench.pour("192.0.2.1", "/", f64::from(start)), []);
            // Often enough that nothing is skipped, and to the second in the end.
            for now in (start..start + seconds).step_by(60) {
                assert_eq!(bench.advance(f64::from(now)), [], "{seconds} from {start}");
            }
            let due = f64::from(start + seconds);
            assert_eq!(bench.advance(due), [], "{seconds} from {start}");
            let heard = bench.advance(due + 1.0).len();
            assert_eq!(heard, 1, "{seconds} from {start}");
            assert_eq!(bench.counts().buckets, 0);
        }
    }
}

#[test]
fn after_a_long_idleness_everybody_whose_turn_has_come_is_heard() {
    for idle in [300, 600, 5_000, 65_536, 70_000, 1_000_000] {
        let spans = [1, 255, 256, 512, 700, 4_999, 40_000, 69_999, 999_999];
        let specs = spans.map(counter).to_vec();
        let bench = Bench::with(specs, Limits::default(), Mode::Live);
        let pours: Vec<Pour> = (0..9).map(|scenario| pour(scenario, "192.0.2.1")).collect();
        assert_eq!(bench.pours(&pours, "192.0.2.1", "/", 77.0), []);
        let due = spans.iter().filter(|span| **span < idle).count();
        assert_eq!(bench.advance(f64::from(77 + idle)).len(), due, "{idle}");
        assert_eq!(bench.counts().buckets, 9 - due as u64, "{idle}");
        // Those that were left have theirs.
        assert_eq!(bench.advance(2_000_000.0).len(), 9 - due, "{idle}");
    }
}

#[test]
fn what_a_blackhole_alone_holds_goes_when_it_ends_and_not_when_its_bucket_would_have() {
    let spec = BucketSpec {
        blackhole: Some(Duration::from_secs(60)),
        ..leaky(1, 36_000)
    };
    let bench = Bench::new(spec, Mode::Live);
    assert_eq!(bench.pour("192.0.2.1", "/", 0.0), []);
    assert_eq!(bench.pour("192.0.2.1", "/", 1.0).len(), 1);
    // A bucket again beside the blackhole, emptied at once.
    assert_eq!(bench.pour("192.0.2.1", "/", 2.0), []);
    let cancel = Pour {
        cancel: true,
        ..pour(0, "192.0.2.1")
    };
    assert_eq!(bench.pours(&[cancel], "192.0.2.1", "/", 3.0), []);
    assert_eq!(bench.counts().buckets, 1);
    assert_eq!(bench.advance(63.0), []);
    assert_eq!(bench.counts().buckets, 0);
}
