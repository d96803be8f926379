//! Answers that are ready together are heard together, and none is sent before it was.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::*;

const CLIENTS: usize = 24;
const EACH: usize = 40;

#[test]
fn no_answer_is_sent_before_it_was_heard_however_many_are_ready() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let early = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (edge, early) = (&edge, &early);
            scope.spawn(move || {
                let mut wire = Client::to(edge.plain);
                for number in 0..EACH {
                    let path = format!("/{client}/{number}");
                    assert_eq!(status(&wire.get(&path).0), 200);
                    let heard = edge.seen.http.lock().unwrap();
                    let known = heard.iter().rev().any(|event| event.target == *path);
                    early.fetch_add(usize::from(!known), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(
        early.into_inner(),
        0,
        "DENY: answers before they were heard"
    );
    let heard = edge.seen.http.lock().unwrap();
    let targets: HashSet<&str> = heard.iter().map(|event| &*event.target).collect();
    assert_eq!(targets.len(), CLIENTS * EACH, "each was heard");
    assert_eq!(heard.len(), CLIENTS * EACH, "and once");
}

#[test]
fn each_client_is_heard_in_the_order_of_its_requests() {
    let up = echo_line();
    let edge = in_front_of(&up);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let edge = &edge;
            scope.spawn(move || {
                // All sent ahead: the next head is there before the answer is sent.
                let mut wire = Client::to(edge.plain);
                let ahead: String = (0..EACH)
                    .map(|number| format!("GET /{client}/{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
                    .collect();
                wire.say(ahead);
                for _ in 0..EACH {
                    assert_eq!(status(&wire.answer().0), 200);
                }
            });
        }
    });
    let heard = edge.seen.http.lock().unwrap();
    for client in 0..CLIENTS {
        let own = format!("/{client}/");
        let order: Vec<usize> = heard
            .iter()
            .filter_map(|event| event.target.strip_prefix(&own)?.parse().ok())
            .collect();
        assert_eq!(order, (0..EACH).collect::<Vec<_>>(), "client {client}");
    }
}

#[test]
fn an_observer_that_panics_costs_nobody_an_answer() {
    let up = echo_line();
    let edge = in_front_of(&up);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let edge = &edge;
            scope.spawn(move || {
                let mut wire = Client::to(edge.plain);
                for number in 0..EACH {
                    let bad = (client + number) % 8 == 0;
                    let path = if bad { BREAKS_THE_OBSERVER } else { "/fine" };
                    assert_eq!(status(&wire.get(path).0), 200);
                }
            });
        }
    });
    assert_eq!(edge.seen.http.lock().unwrap().len(), CLIENTS * EACH);
    let panics = edge.handle.stats().panics;
    assert_eq!(panics, (CLIENTS * EACH / 8) as u64, "each is counted");
}
