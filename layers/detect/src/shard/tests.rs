use std::sync::Arc;
use std::time::Duration;

use vocab::{Alert, Scope, Timestamp};

use super::{Counts, Limits, Mode, Shards};
use crate::bucket::{
    Bayes, BayesCondition, BucketKind, BucketSpec, BucketView, Keeper, Kept, MAX_KEPT, Occurrence,
    Owner, Pour, QueueTest, ScenarioId, ScopeRule, Seed,
};
use crate::overflow::Overflow;

const SEED: Seed = Seed::new(7);

/// An event as tests write it; counts how often it was asked to be kept.
struct Event<'a> {
    address: &'a str,
    path: &'a str,
    at: Timestamp,
    kept: Option<Kept>,
    built: usize,
}

impl<'a> Event<'a> {
    fn new(address: &'a str, path: &'a str, at: Timestamp) -> Self {
        Self {
            address,
            path,
            at,
            kept: None,
            built: 0,
        }
    }
}

impl Occurrence for Event<'_> {
    fn keep(&mut self) -> Kept {
        let (path, address, at) = (self.path, self.address, self.at);
        let built = &mut self.built;
        self.kept
            .get_or_insert_with(|| {
                *built += 1;
                let mut keeper = Keeper::new();
                keeper.meta("http_path", path.as_bytes());
                keeper.meta("source_ip", address.as_bytes());
                keeper.finish(at)
            })
            .clone()
    }

    fn scope_value(&mut self, _: ScenarioId) -> Option<Box<str>> {
        Some(Box::from(self.path))
    }
}

fn at(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "test times are small")]
    Timestamp::from_unix_nanos(1_700_000_000_000_000_000 + (seconds * 1e9) as i64)
}

fn pour(scenario: u32, group: &str) -> Pour {
    Pour {
        scenario: ScenarioId(scenario),
        key: SEED.key(group.as_bytes()),
        distinct: None,
        cancel: false,
        owner: Owner::NOBODY,
    }
}

/// Shards with one scenario, and what is poured into it.
struct Bench {
    specs: Arc<[BucketSpec]>,
    shards: Shards,
}

impl Bench {
    fn new(spec: BucketSpec, mode: Mode) -> Self {
        Self::with(vec![spec], Limits::default(), mode)
    }

    fn with(specs: Vec<BucketSpec>, limits: Limits, mode: Mode) -> Self {
        let specs: Arc<[BucketSpec]> = specs.into();
        let shards = Shards::new(&specs, limits, mode);
        Self { specs, shards }
    }

    fn pour(&self, address: &str, path: &str, seconds: f64) -> Vec<Alert> {
        self.pours(&[pour(0, address)], address, path, seconds)
    }

    fn pours(&self, pours: &[Pour], address: &str, path: &str, seconds: f64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut event = Event::new(address, path, at(seconds));
        self.shards
            .apply(&self.specs, pours, &mut event, at(seconds), &mut alerts);
        assert!(event.built <= 1, "evidence is built at most once");
        alerts
    }

    fn distinct(&self, address: &str, value: &str, seconds: f64) -> Vec<Alert> {
        let pour = Pour {
            distinct: Some(SEED.distinct(value.as_bytes())),
            ..pour(0, address)
        };
        self.pours(&[pour], address, value, seconds)
    }

    fn advance(&self, seconds: f64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.shards.advance(at(seconds), &mut alerts);
        alerts
    }

    fn counts(&self) -> Counts {
        self.shards.counts()
    }
}

fn leaky(capacity: u32, seconds: u64) -> BucketSpec {
    BucketSpec::leaky("test/leaky", "h", capacity, Duration::from_secs(seconds))
}

/// Holds when at least this many events are kept, the last of which is of this path.
#[derive(Debug)]
struct Kept2(usize, &'static [u8]);

impl QueueTest for Kept2 {
    fn holds(&self, bucket: &BucketView<'_>) -> bool {
        let last = bucket.len().checked_sub(1).and_then(|at| bucket.event(at));
        bucket.len() >= self.0
            && last.is_some_and(|event| {
                self.1.is_empty() || event.meta().value(b"http_path") == self.1
            })
    }
}

#[test]
fn a_leaky_bucket_overflows_on_the_event_after_its_capacity() {
    let bench = Bench::new(leaky(5, 10), Mode::Live);
    for second in 0..5 {
        assert_eq!(bench.pour("192.0.2.1", "/", f64::from(second)), []);
    }
    let alerts = bench.pour("192.0.2.1", "/last", 5.0);
    let [alert] = alerts.as_slice() else {
        panic!("one alert, not {alerts:?}");
    };
    assert_eq!(alert.source.value, "192.0.2.1");
    assert_eq!(alert.source.scope, Scope::Ip);
    assert_eq!((alert.events_count, alert.events.len()), (6, 6));
    assert_eq!((alert.start_at, alert.stop_at), (at(0.0), at(5.0)));
    assert_eq!(alert.events[5].meta("http_path"), "/last");
    assert_eq!(bench.counts().buckets, 0, "an overflow destroys the bucket");
    assert_eq!(bench.counts().bytes, 0);
}

#[test]
fn a_bucket_leaks_as_fast_as_it_says() {
    for (gap, overflows) in [(9.9, true), (10.0, false), (11.0, false)] {
        let bench = Bench::new(leaky(3, 10), Mode::Replay);
        let mut alerts = 0;
        for event in 0..400 {
            alerts += bench.pour("192.0.2.1", "/", f64::from(event) * gap).len();
        }
        assert_eq!(alerts > 0, overflows, "one event every {gap} s");
    }
}

#[test]
fn only_the_last_events_are_kept_and_all_are_counted() {
    let spec = BucketSpec {
        cache_size: Some(3),
        ..leaky(8, 10)
    };
    let bench = Bench::new(spec, Mode::Live);
    let mut alerts = Vec::new();
    for path in ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"] {
        alerts.extend(bench.pour("192.0.2.1", path, 0.0));
    }
    assert_eq!(alerts[0].events_count, 9);
    let paths: Vec<_> = alerts[0]
        .events
        .iter()
        .map(|e| e.meta("http_path"))
        .collect();
    assert_eq!(paths, ["/6", "/7", "/8", "/9"]);
}

#[test]
fn a_repeated_value_does_not_count() {
    let bench = Bench::new(leaky(3, 60), Mode::Live);
    for round in 0..50 {
        for value in ["/a", "/b", "/c"] {
            assert_eq!(bench.distinct("192.0.2.1", value, f64::from(round)), []);
        }
    }
    assert_eq!(bench.distinct("192.0.2.1", "/d", 50.0).len(), 1);
}

#[test]
fn a_cancelled_bucket_starts_afresh_and_says_nothing() {
    let bench = Bench::new(leaky(2, 60), Mode::Live);
    let cancel = Pour {
        cancel: true,
        ..pour(0, "192.0.2.1")
    };
    for round in 0..5_u8 {
        let now = f64::from(round);
        assert_eq!(bench.pour("192.0.2.1", "/", now), []);
        assert_eq!(bench.pour("192.0.2.1", "/", now), []);
        assert_eq!(bench.pours(&[cancel], "192.0.2.1", "/", now), []);
        assert_eq!(bench.counts().buckets, 0);
    }
}

#[test]
fn a_trigger_alerts_at_once_and_a_blackhole_keeps_it_quiet() {
    let spec = BucketSpec {
        blackhole: Some(Duration::from_secs(60)),
        ..BucketSpec::trigger("test/trigger", "h")
    };
    let bench = Bench::new(spec, Mode::Live);
    assert_eq!(bench.pour("192.0.2.1", "/", 0.0).len(), 1);
    assert_eq!(bench.pour("192.0.2.1", "/", 59.0).len(), 0);
    assert_eq!(
        bench.pour("192.0.2.2", "/", 59.0).len(),
        1,
        "another source"
    );
    assert_eq!(bench.pour("192.0.2.1", "/", 61.0).len(), 1);
    assert_eq!(bench.counts().suppressed, 1);
    bench.advance(600.0);
    assert_eq!(bench.counts().buckets, 0, "blackholes end");
}

#[test]
fn a_bucket_dies_after_its_life_and_not_before() {
    // Life is (capacity + 1) · leakspeed: 4 s.
    let spec = BucketSpec {
        condition: Some(Arc::new(Kept2(2, b""))),
        capacity: Some(3),
        leakspeed: Duration::from_secs(1),
        kind: BucketKind::Conditional,
        ..leaky(3, 1)
    };
    let bench = Bench::new(spec, Mode::Live);
    bench.pour("192.0.2.1", "/", 0.0);
    assert_eq!(
        bench.pour("192.0.2.1", "/", 4.1),
        [],
        "dead: the second starts anew"
    );
    assert_eq!(bench.pour("192.0.2.1", "/", 8.0).len(), 1, "alive");
    bench.pour("192.0.2.1", "/", 20.0);
    bench.advance(23.0);
    assert_eq!(bench.counts().buckets, 1);
    bench.advance(26.0);
    assert_eq!(
        bench.counts(),
        Counts {
            poured: 4,
            alerts: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn long_lives_outlast_the_wheel() {
    for life in [1, 255, 256, 257, 511, 512, 513, 3_600, 100_000] {
        for step in [1.0, 200.0, 255.0, 256.0, 257.0, 10_000.0] {
            let spec = BucketSpec {
                kind: BucketKind::Conditional,
                capacity: None,
                ..leaky(0, life)
            };
            let bench = Bench::new(spec, Mode::Replay);
            let life = f64::from(u32::try_from(life).unwrap());
            bench.pour("192.0.2.1", "/", 0.0);
            let mut now = 0.0;
            while now + step <= life {
                now += step;
                bench.advance(now);
                assert_eq!(bench.counts().buckets, 1, "life {life} at {now} by {step}");
            }
            bench.advance(life + 2.0);
            bench.advance(life + 300.0);
            assert_eq!(bench.counts().buckets, 0, "life {life} by {step}");
        }
    }
}

#[test]
fn a_counter_overflows_when_its_time_is_up() {
    let spec = BucketSpec {
        kind: BucketKind::Counter,
        capacity: None,
        duration: Duration::from_secs(10),
        ..leaky(0, 0)
    };
    let bench = Bench::new(spec, Mode::Live);
    for second in 0..5 {
        assert_eq!(bench.pour("192.0.2.1", "/", f64::from(second)), []);
    }
    assert_eq!(bench.advance(9.0), []);
    let alerts = bench.advance(12.0);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].events_count, 5);
    assert_eq!(bench.advance(100.0), [], "once");
    // An event after the end closes the old count and opens another.
    bench.pour("192.0.2.1", "/", 200.0);
    assert_eq!(bench.pour("192.0.2.1", "/", 210.5)[0].events_count, 1);
}

#[test]
fn an_overflow_filter_drops_and_does_not_blacken() {
    let spec = BucketSpec {
        overflow_filter: Some(Arc::new(Kept2(0, b"/bad"))),
        blackhole: Some(Duration::from_secs(60)),
        ..leaky(1, 10)
    };
    let bench = Bench::new(spec, Mode::Live);
    bench.pour("192.0.2.1", "/good", 0.0);
    assert_eq!(bench.pour("192.0.2.1", "/good", 0.0), []);
    assert_eq!(bench.counts().filtered, 1);
    bench.pour("192.0.2.1", "/good", 1.0);
    assert_eq!(bench.pour("192.0.2.1", "/bad", 1.0).len(), 1);
}

#[test]
fn bayes_weighs_what_holds_and_what_does_not() {
    let condition = |path: &'static [u8], guillotine| BayesCondition {
        test: Arc::new(Kept2(1, path)),
        given_evil: 0.8,
        given_benign: 0.2,
        guillotine,
    };
    for (guillotine, overflows) in [(true, true), (false, false)] {
        let spec = BucketSpec {
            kind: BucketKind::Bayesian(Bayes {
                prior: 0.5,
                threshold: 0.9,
                conditions: vec![condition(b"/a", guillotine), condition(b"/b", guillotine)],
            }),
            capacity: None,
            ..leaky(0, 30)
        };
        let bench = Bench::new(spec, Mode::Live);
        assert_eq!(bench.pour("192.0.2.1", "/a", 0.0), []);
        let alerts = bench.pour("192.0.2.1", "/b", 1.0);
        assert_eq!(
            alerts.len(),
            usize::from(overflows),
            "guillotine {guillotine}"
        );
    }
}

#[test]
fn sources_are_found_by_the_scenarios_scope() {
    for (scope, address, path, expected) in [
        (ScopeRule::Ip, "192.0.2.1", "/", Some("Ip 192.0.2.1")),
        (ScopeRule::Ip, "::ffff:192.0.2.1", "/", Some("Ip 192.0.2.1")),
        (ScopeRule::Ip, "nobody", "/", None),
        (ScopeRule::Ip, "", "/", None),
        (ScopeRule::Range, "192.0.2.1", "/", None),
        (
            ScopeRule::Expression(Scope::Range),
            "192.0.2.1",
            "192.0.0.0/16",
            Some("Range 192.0.0.0/16"),
        ),
        (
            ScopeRule::Expression(Scope::Range),
            "192.0.2.1",
            "192.0.0.0/99",
            None,
        ),
        (
            ScopeRule::Expression(Scope::Ip),
            "192.0.2.1",
            "2001:db8::1",
            Some("Ip 2001:db8::1"),
        ),
        (
            ScopeRule::Expression(Scope::Ip),
            "192.0.2.1",
            "../../etc",
            None,
        ),
        (
            ScopeRule::Expression("username".parse().unwrap()),
            "192.0.2.1",
            "root",
            Some("username root"),
        ),
        (
            ScopeRule::Expression("username".parse().unwrap()),
            "192.0.2.1",
            "",
            None,
        ),
    ] {
        let spec = BucketSpec {
            scope: scope.clone(),
            ..BucketSpec::trigger("test/scope", "h")
        };
        let bench = Bench::new(spec, Mode::Live);
        let alerts = bench.pour(address, path, 0.0);
        let found = alerts
            .first()
            .map(|a| format!("{} {}", a.source.scope, a.source.value));
        assert_eq!(found.as_deref(), expected, "{scope:?} {address} {path}");
        assert_eq!(bench.counts().sourceless, u64::from(expected.is_none()));
    }
}

#[test]
fn addresses_of_one_subscriber_raise_one_alert_on_live_traffic() {
    for (mode, expected) in [
        (Mode::Live, vec!["Range 2001:db8:0:1::/64"]),
        (
            Mode::Replay,
            vec!["Ip 2001:db8:0:1::a", "Ip 2001:db8:0:1::b"],
        ),
    ] {
        let bench = Bench::new(leaky(1, 10), mode);
        let key = pour(0, "2001:db8:0:1::");
        bench.pours(&[key], "2001:db8:0:1::a", "/", 0.0);
        let alerts = bench.pours(&[key], "2001:db8:0:1::b", "/", 0.0);
        let found: Vec<_> = alerts
            .iter()
            .map(|a| format!("{} {}", a.source.scope, a.source.value))
            .collect();
        assert_eq!(found, expected, "{mode:?}");
    }
}

#[test]
fn a_million_sources_stay_within_the_bounds() {
    let limits = Limits {
        shards: 8,
        buckets: 50_000,
        bytes: 4 << 20,
    };
    let bench = Bench::with(vec![leaky(5, 10)], limits, Mode::Live);
    let mut attacker = 0;
    for number in 0..1_000_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(number).to_string();
        let seconds = f64::from(number) / 1e6;
        bench.pour(&address, "/", seconds);
        if number % 1000 == 0 {
            attacker += bench.pour("203.0.113.1", "/", seconds).len();
        }
    }
    let counts = bench.counts();
    assert!(counts.buckets <= 50_000, "{counts:?}");
    assert!(counts.bytes <= 4 << 20, "{counts:?}");
    assert!(counts.evicted >= 950_000, "{counts:?}");
    assert!(counts.evicted + counts.buckets <= 1_001_000, "{counts:?}");
    assert!(attacker > 0, "who keeps coming is not forgotten");
    bench.advance(10_000.0);
    assert_eq!(bench.counts().buckets, 0, "everything ends");
    assert_eq!(bench.counts().bytes, 0);
}

#[test]
fn a_clock_that_jumps_neither_freezes_nor_floods() {
    let bench = Bench::new(leaky(3, 10), Mode::Live);
    // One event every 10 s leaks at once and never overflows, whatever the clock says.
    for (event, jump) in (0_u32..200).zip([0.0, 86_400.0, 0.0, -86_400.0, 3.0].iter().cycle()) {
        let alerts = bench.pour("192.0.2.1", "/", f64::from(event) * 10.0 + jump);
        assert!(
            event < 8 || alerts.is_empty() || *jump != 0.0,
            "event {event} jump {jump}"
        );
    }
    // An hour back, then a burst: the burst is seen, and what leaks goes on leaking.
    let bench = Bench::new(leaky(3, 10), Mode::Live);
    bench.pour("192.0.2.1", "/", 0.0);
    for event in 0..100 {
        let now = -3600.0 + f64::from(event) * 10.0;
        assert_eq!(bench.pour("192.0.2.1", "/", now), [], "event {event}");
    }
    let burst: usize = (0..4)
        .map(|_| bench.pour("192.0.2.1", "/", -2600.0).len())
        .sum();
    assert_eq!(burst, 1);
    bench.advance(-2600.0 + 100.0);
    assert_eq!(bench.counts().buckets, 0, "time goes on after a jump back");
}

#[test]
fn buckets_survive_a_reload_if_their_scenario_is_unchanged() {
    let old: Arc<[BucketSpec]> = vec![
        BucketSpec::leaky("test/gone", "h", 3, Duration::from_secs(60)),
        BucketSpec::leaky("test/stays", "h", 3, Duration::from_secs(60)),
        BucketSpec::leaky("test/changes", "h1", 3, Duration::from_secs(60)),
    ]
    .into();
    let new: Arc<[BucketSpec]> = vec![
        BucketSpec::leaky("test/changes", "h2", 3, Duration::from_secs(60)),
        BucketSpec::leaky("test/stays", "h", 3, Duration::from_secs(60)),
        BucketSpec::leaky("test/new", "h", 3, Duration::from_secs(60)),
    ]
    .into();
    let shards = Shards::new(&old, Limits::default(), Mode::Live);
    let mut alerts = Vec::new();
    let all = |specs: &Arc<[BucketSpec]>, alerts: &mut Vec<Alert>| {
        let pours = [
            pour(0, "192.0.2.1"),
            pour(1, "192.0.2.1"),
            pour(2, "192.0.2.1"),
        ];
        let mut event = Event::new("192.0.2.1", "/", at(0.0));
        shards.apply(specs, &pours, &mut event, at(0.0), alerts);
    };
    for _ in 0..3 {
        all(&old, &mut alerts);
    }
    shards.reload(&new);
    assert_eq!(shards.counts().buckets, 1);
    all(&old, &mut alerts);
    assert_eq!(
        shards.counts().stale,
        3,
        "pours of the old program are dropped"
    );
    assert_eq!(alerts, []);
    all(&new, &mut alerts);
    let raised: Vec<_> = alerts
        .iter()
        .map(|a| (a.scenario.as_str(), a.events_count))
        .collect();
    assert_eq!(raised, [("test/stays", 4)]);
}

#[test]
fn threads_that_pour_at_once_lose_nothing() {
    let bench = Bench::new(leaky(99, 1_000_000), Mode::Live);
    let alerts: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut alerts = 0;
                    for event in 0..10_000_u32 {
                        let address = std::net::Ipv4Addr::from_bits(event % 100).to_string();
                        alerts += bench.pour(&address, "/", 0.0).len();
                    }
                    alerts
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(alerts, 400, "40,000 events, 100 for an alert");
    assert_eq!(bench.counts().poured, 40_000);
}

/// Random pours against the invariants of the table.
#[test]
fn the_table_keeps_its_books_under_random_pours() {
    let limits = Limits {
        shards: 2,
        buckets: 64,
        bytes: 12_000,
    };
    let specs = vec![
        leaky(3, 5),
        BucketSpec {
            kind: BucketKind::Counter,
            capacity: None,
            duration: Duration::from_secs(7),
            blackhole: Some(Duration::from_secs(3)),
            ..leaky(0, 0)
        },
        BucketSpec {
            blackhole: Some(Duration::from_secs(20)),
            ..BucketSpec::trigger("test/trigger", "h")
        },
    ];
    let bench = Bench::with(specs, limits, Mode::Live);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut seconds = 0.0;
    for _ in 0..50_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let group = format!("192.0.2.{}", random >> 32 & 0x7f);
        let pour = Pour {
            distinct: (random & 0x100 != 0).then_some(random >> 40 & 7),
            cancel: random & 0xf000 == 0,
            owner: Owner(random >> 36 & 3),
            ..pour(u32::try_from(random % 3).unwrap(), &group)
        };
        seconds += f64::from(u8::try_from(random >> 56 & 15).unwrap()) / 40.0;
        bench.pours(&[pour], &group, "/", seconds);
        let counts = bench.counts();
        assert!(counts.buckets <= 64, "{counts:?}");
        assert!(counts.bytes <= 12_000 + 2_000, "{counts:?}");
    }
    bench.advance(seconds + 1_000.0);
    bench.advance(seconds + 2_000.0);
    let counts = bench.counts();
    assert_eq!((counts.buckets, counts.bytes), (0, 0), "{counts:?}");
    assert!(counts.evicted > 0 && counts.crowded > 0 && counts.suppressed > 0 && counts.alerts > 0);
}

mod fairness;
mod turns;

#[test]
fn an_overflow_is_one_value_and_its_evidence_does_not_grow_with_the_square_of_its_sources() {
    let spec = BucketSpec {
        cache_size: Some(10_000),
        ..leaky(9_999, 3600)
    };
    let bench = Bench::new(spec, Mode::Replay);
    let mut overflows: Vec<Overflow> = Vec::new();
    for source in 0..10_000_u32 {
        let address = format!("2001:db8::{source:x}");
        let mut event = Event::new(&address, "/", at(0.0));
        let pours = [pour(0, "one bucket")];
        let now = at(0.0);
        bench
            .shards
            .apply(&bench.specs, &pours, &mut event, now, &mut overflows);
    }
    let [overflow] = overflows.as_slice() else {
        panic!("one overflow, not {}", overflows.len());
    };
    assert_eq!(overflow.events_count, 10_000);
    assert_eq!(overflow.sources.len(), MAX_KEPT, "the last are kept");
    let alerts: Vec<Alert> = overflow.alerts().collect();
    assert_eq!(alerts.len(), MAX_KEPT);
    for alert in &alerts {
        let [own] = alert.events.as_slice() else {
            panic!("its own event, not {}", alert.events.len());
        };
        assert_eq!(own.meta("source_ip"), alert.source.value);
    }
}
