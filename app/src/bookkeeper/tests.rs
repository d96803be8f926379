//! List and view say the same whatever the clock does.

use std::net::{IpAddr, Ipv4Addr};

use book::Standing;

use super::*;

const BANS: u32 = 25_000;
const HOUR: Duration = Duration::from_hours(1);

fn source(number: u32) -> IpAddr {
    // 198.18.0.0/15 is for measurements.
    IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 + number))
}

fn keeper() -> (tempfile::TempDir, Bookkeeper) {
    let directory = tempfile::tempdir().unwrap();
    let (store, recovered) = Store::open(directory.path()).unwrap();
    let (profiles, policy) = (respond::Profiles::default(), AdmitPolicy::default());
    let keeper = Bookkeeper::new(store, &recovered, profiles, policy);
    (directory, keeper)
}

/// Bars a source for an hour, in the book alone.
fn ban(desk: &mut Desk, number: u32, time: Timestamp) -> (Entry, Applied) {
    let proposed = book::Proposed {
        scope: vocab::Scope::Ip,
        value: source(number).to_string(),
        kind: vocab::Kind::Ban,
        origin: vocab::Origin::Operator,
        reason: "test".to_owned(),
        lasts: HOUR,
    };
    let id = DecisionId(u128::from(number) + 1);
    let decision = book::admit(&proposed, id, &desk.policy, &desk.book, time).unwrap();
    desk.write(Op::Add { decision }, time)
}

/// A book of bans of an hour, and the time at which they began.
fn barred() -> (tempfile::TempDir, Bookkeeper, Timestamp) {
    let (directory, keeper) = keeper();
    let time = now();
    let mut desk = keeper.lock();
    for number in 0..BANS {
        let (_, applied) = ban(&mut desk, number, time);
        keeper.published.publish(&applied.changes);
    }
    drop(desk);
    (directory, keeper, time)
}

/// How many are listed, and how many are refused; each source is both or neither.
fn held(keeper: &Bookkeeper, time: Timestamp) -> usize {
    let listed: std::collections::HashSet<Cidr> = {
        let desk = keeper.lock();
        desk.book
            .active(time)
            .filter_map(|one| one.cidr())
            .collect()
    };
    let view = keeper.published.load();
    for number in 0..BANS {
        let refused = view.standing(source(number), time) != Standing::Stranger;
        let is_listed = listed.contains(&Cidr::host(source(number)));
        assert_eq!(refused, is_listed, "{}", source(number));
    }
    listed.len()
}

#[test]
fn a_clock_that_jumps_ahead_and_back_ends_no_ban() {
    let (_directory, keeper, time) = barred();
    let steady = Instant::now();
    let all = BANS as usize;
    keeper.tidy_at(time, steady);
    assert_eq!(held(&keeper, time), all);
    let second = |number| Duration::from_secs(number);
    for number in 1..=20 {
        let ahead = time.after(2 * HOUR + second(number));
        keeper.tidy_at(ahead, steady + second(number));
        assert_eq!(held(&keeper, ahead), 0, "over, by the clock as it is");
    }
    keeper.tidy_at(time.after(second(21)), steady + second(21));
    assert_eq!(held(&keeper, time.after(second(21))), all);
}

#[test]
fn a_clock_that_was_wrong_for_long_leaves_list_and_view_alike() {
    let (_directory, keeper, time) = barred();
    let steady = Instant::now();
    keeper.tidy_at(time, steady);
    // Believed after the doubt: a part is cleared away, from both by turns of their own.
    let minute = Duration::from_mins(1);
    for number in 1..=12 {
        keeper.tidy_at(
            time.after(2 * HOUR + number * minute),
            steady + number * minute,
        );
    }
    let back = time.after(13 * minute);
    keeper.tidy_at(back, steady + 13 * minute);
    let left = held(&keeper, back);
    assert!(0 < left && left < BANS as usize, "{left}");
}

#[test]
fn what_is_over_is_cleared_away() {
    let (_directory, keeper, time) = barred();
    let steady = Instant::now();
    keeper.tidy_at(time, steady);
    for number in 0..60 {
        let span = HOUR + Duration::from_secs(number);
        keeper.tidy_at(time.after(span), steady + span);
    }
    assert_eq!(keeper.lock().book.active(time).count(), 0);
    assert!(keeper.published.load().is_empty());
}

#[test]
fn what_gathers_to_be_written_is_written_when_somebody_looks() {
    let (_directory, keeper) = keeper();
    for number in 0..20 {
        let mut desk = keeper.lock();
        let (entry, applied) = ban(&mut desk, number, now());
        let id = applied.began.as_ref().unwrap().id;
        assert!(desk.book.is_volatile(id), "it is not on disk yet");
        keeper.enforce(desk, &[entry], &[applied]);
        let views = keeper.decisions(None);
        assert_eq!(views.len(), number as usize + 1);
        assert!(views.iter().all(|view| !view.volatile), "{views:?}");
    }
}
