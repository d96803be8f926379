use std::sync::Condvar;

use detect::bucket::{BucketSpec, Keeper as EventKeeper, Kept, Occurrence, Owner, Pour};
use detect::bucket::{ScenarioId, Seed};
use detect::data::DataSet;
use detect::program::Options;
use detect::rules::RuleSet;
use detect::shard::{Limits, Mode, Shards};
use vocab::Timestamp;

use super::*;

struct Event;

impl Occurrence for Event {
    fn keep(&mut self) -> Kept {
        EventKeeper::new()
            .meta("source_ip", b"192.0.2.1")
            .finish(Timestamp::EPOCH)
    }

    fn scope_value(&mut self, _: ScenarioId) -> Option<Box<str>> {
        None
    }
}

fn overflow() -> Box<Overflow> {
    let specs: Arc<[BucketSpec]> = vec![BucketSpec::trigger("test/one", "h")].into();
    let shards = Shards::new(&specs, Limits::default(), Mode::Live);
    let pour = Pour {
        scenario: ScenarioId(0),
        key: Seed::new(1).key(b""),
        distinct: None,
        cancel: false,
        owner: Owner::NOBODY,
    };
    let mut raised: Vec<Overflow> = Vec::new();
    shards.apply(&specs, &[pour], &mut Event, Timestamp::EPOCH, &mut raised);
    Box::new(raised.remove(0))
}

fn program() -> Arc<Program> {
    let options = Options { live: true };
    let (program, _) = Program::build(&RuleSet::default(), &DataSet::default(), &options);
    Arc::new(program)
}

/// A resolver that answers only once it is let go.
#[derive(Default)]
struct Hangs {
    free: Mutex<bool>,
    freed: Condvar,
}

impl Names for Hangs {
    fn answer(&self, query: &Query) -> Answer {
        let mut free = self.free.lock().unwrap();
        while !*free {
            free = self.freed.wait(free).unwrap();
        }
        vec![format!("{query:?}").into()]
    }
}

/// The desk and what comes back from it.
fn desk(names: Arc<dyn Names>, patience: Duration) -> (Inquiries, Receiver<Parked>) {
    let (send, receive) = channel();
    let back = Box::new(move |parked| drop(send.send(parked)));
    (Inquiries::patient(names, back, patience), receive)
}

fn query(number: u32) -> Query {
    Query::Host(format!("host-{number}.example").into())
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn an_answer_goes_to_all_who_wait_for_it_and_is_asked_once() {
    let names = Arc::new(Hangs::default());
    let (desk, back) = desk(Arc::clone(&names) as Arc<dyn Names>, SOON);
    let program = program();
    for _ in 0..10 {
        desk.park(&program, overflow(), query(1));
    }
    assert!(back.try_recv().is_err(), "nobody knows yet");
    *names.free.lock().unwrap() = true;
    names.freed.notify_all();
    for _ in 0..10 {
        let parked = back.recv_timeout(SOON).unwrap();
        let [(asked, answer)] = parked.known.as_slice() else {
            panic!("one answer");
        };
        assert_eq!((asked, answer.len()), (&query(1), 1));
    }
    assert_eq!((desk.tally().parked, desk.tally().late), (10, 0));
}

#[test]
fn a_resolver_that_hangs_keeps_nobody_for_longer_than_their_patience() {
    let names = Arc::new(Hangs::default());
    let (desk, back) = desk(
        Arc::clone(&names) as Arc<dyn Names>,
        Duration::from_millis(50),
    );
    let program = program();
    let many = 2_000_u32;
    for number in 0..many {
        desk.park(&program, overflow(), query(number));
    }
    for _ in 0..many {
        let parked = back.recv_timeout(SOON).unwrap();
        assert!(parked.known.iter().all(|(_, answer)| answer.is_empty()));
    }
    let tally = desk.tally();
    assert_eq!(tally.late + tally.crowded, u64::from(many), "{tally:?}");
    assert!(tally.late > 0);
    // Dropping the desk does not wait for the threads that hang.
    drop(desk);
}

#[test]
fn a_rule_that_asks_one_thing_after_another_comes_to_an_end() {
    struct Knows;
    impl Names for Knows {
        fn answer(&self, _: &Query) -> Answer {
            vec!["192.0.2.9".into()]
        }
    }
    let (desk, back) = desk(Arc::new(Knows), SOON);
    desk.park(&program(), overflow(), query(0));
    for number in 1..100 {
        let parked = back.recv_timeout(SOON).unwrap();
        if parked.enough {
            assert_eq!((parked.known.len(), desk.tally().late), (ANSWERS, 1));
            return;
        }
        desk.park_again(parked, query(number));
    }
    panic!("it goes on for ever");
}

#[test]
fn second_questions_are_held_to_the_same_bound_and_ask_no_more_beyond_it() {
    let (desk, back) = desk(Arc::new(Hangs::default()), SOON);
    let program = program();
    for _ in 0..MOST {
        desk.park(&program, overflow(), query(1));
    }
    assert!(back.try_recv().is_err(), "all of them wait");
    let parked = Parked {
        program: Arc::clone(&program),
        overflow: overflow(),
        known: vec![(query(2), Answer::new())],
        enough: false,
        since: Instant::now(),
    };
    desk.park_again(parked, query(3));
    let parked = back.recv_timeout(SOON).unwrap();
    assert!(parked.enough, "it comes back, and asks no more");
    assert_eq!(desk.tally().crowded, 1);
}
