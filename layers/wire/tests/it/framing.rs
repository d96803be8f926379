//! The tables, whole, byte by byte, at every split point, and every prefix of them.

use std::collections::HashSet;

use wire::corpus::{Expect, Row, chunked_bodies, requests, responses};
use wire::{BodyFraming, RequestHead, ResponseHead};

use crate::{Outcome, read_body, read_request, read_response};

fn expected(row: &Row) -> Outcome {
    match &row.expect {
        Expect::Pass(framing, body) => Outcome::Pass {
            framing: *framing,
            body: body.to_vec(),
            used: row.bytes.len(),
        },
        Expect::Deny(fault) => Outcome::Deny(*fault),
        Expect::DenyBody(fault) => Outcome::DenyBody(*fault),
    }
}

/// All ways of cutting that are tried: whole, byte by byte, and in two at every point
/// (at points apart from each other when the row is long).
fn cuttings(length: usize) -> Vec<Vec<usize>> {
    let apart = if length > 2000 { 211 } else { 1 };
    let mut all = vec![vec![length], (1..=length).collect()];
    all.extend((1..length).step_by(apart).map(|cut| vec![cut, length]));
    all.extend((length.saturating_sub(8).max(1)..length).map(|cut| vec![cut, length]));
    all
}

fn check(rows: &[Row], mut read: impl FnMut(&Row, &[usize]) -> Outcome) {
    let mut names = HashSet::new();
    for row in rows {
        assert!(names.insert(row.name), "name twice: {}", row.name);
        let denied = !matches!(row.expect, Expect::Pass(..));
        assert_eq!(
            row.name.starts_with("DENY"),
            denied,
            "{} says so in its name",
            row.name
        );
        for cuts in cuttings(row.bytes.len()) {
            let shown = &cuts[..cuts.len().min(3)];
            assert_eq!(
                read(row, &cuts),
                expected(row),
                "{} cut at {shown:?}",
                row.name
            );
        }
    }
}

/// No prefix of a message passes for the message, nor fails otherwise than the whole.
fn check_prefixes(rows: &[Row], mut read: impl FnMut(&Row, &[usize]) -> Outcome) {
    for row in rows {
        let apart = if row.bytes.len() > 2000 { 101 } else { 1 };
        for cut in (0..row.bytes.len()).step_by(apart) {
            let got = read(row, &[cut]);
            let open_end = matches!(row.expect, Expect::Pass(BodyFraming::UntilClose, _));
            let fits = got == Outcome::Unfinished
                || (got == expected(row) && !matches!(got, Outcome::Pass { .. }))
                || (open_end && matches!(got, Outcome::Pass { .. }));
            assert!(fits, "{} ended after {cut} bytes: {got:?}", row.name);
        }
    }
}

#[test]
fn every_request_row_comes_out_alike_however_it_is_cut() {
    let rows = requests();
    assert!(rows.len() >= 120, "{}", rows.len());
    let mut head = RequestHead::new();
    check(&rows, |row, cuts| read_request(&mut head, &row.bytes, cuts));
}

#[test]
fn every_response_row_comes_out_alike_however_it_is_cut() {
    let mut head = ResponseHead::new();
    check(&responses(), |row, cuts| {
        read_response(&mut head, row.asked, &row.bytes, cuts)
    });
}

#[test]
fn every_chunk_row_comes_out_alike_however_it_is_cut() {
    check(&chunked_bodies(), |row, cuts| {
        read_body(BodyFraming::Chunked, &row.bytes, cuts)
    });
}

#[test]
fn no_truncated_message_is_taken_for_a_whole_one() {
    let mut head = RequestHead::new();
    check_prefixes(&requests(), |row, cuts| {
        read_request(&mut head, &row.bytes, cuts)
    });
    let mut head = ResponseHead::new();
    check_prefixes(&responses(), |row, cuts| {
        read_response(&mut head, row.asked, &row.bytes, cuts)
    });
    check_prefixes(&chunked_bodies(), |row, cuts| {
        read_body(BodyFraming::Chunked, &row.bytes, cuts)
    });
}

#[test]
fn pipelined_requests_are_taken_one_after_the_other() {
    let passing: Vec<_> = requests()
        .into_iter()
        .filter(|row| matches!(row.expect, Expect::Pass(..)))
        .collect();
    let stream: Vec<u8> = passing.iter().flat_map(|row| row.bytes.to_vec()).collect();
    let mut head = RequestHead::new();
    let mut at = 0;
    for row in &passing {
        let rest = &stream[at..];
        let Outcome::Pass { body, used, .. } = read_request(&mut head, rest, &[rest.len()]) else {
            panic!("{} did not pass behind others", row.name);
        };
        assert_eq!(used, row.bytes.len(), "{}", row.name);
        assert!(
            matches!(row.expect, Expect::Pass(_, expected) if expected == body),
            "{}",
            row.name
        );
        at += used;
    }
    assert_eq!(at, stream.len());
}
