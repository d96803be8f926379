use book::entry::{LONGEST_ENTRY, MOST_REMOVED, Step};
use book::{
    AllowId, AllowItem, AllowSubject, Author, Cursor, Entry, EntryFault, EntryId, NodeId, Op,
};
use vocab::{DecisionId, Kind, Origin, Timestamp};

use crate::{Dice, at, decision, entry};

fn samples() -> Vec<Entry> {
    let by = Origin::Agent("web \"1\" \u{1f600}".to_owned());
    let item = AllowItem {
        id: AllowId(u128::MAX),
        list: "office".to_owned(),
        subject: AllowSubject::parse("home.example.org").unwrap(),
        why: "ours".to_owned(),
        by: by.clone(),
        created: at(0),
        until: Timestamp::MAX,
    };
    let mut samples = vec![
        Op::Add {
            decision: decision(5, "2001:db8::/64", Kind::Ban, 0, 9),
        },
        Op::Add {
            decision: decision(6, "192.0.2.1", Kind::Other("captcha".to_owned()), 0, 9),
        },
        Op::Remove {
            ids: vec![DecisionId(1), DecisionId(2)],
            by: by.clone(),
            why: "é".to_owned(),
        },
        Op::AllowlistAdd { item: item.clone() },
        Op::AllowlistRemove {
            ids: vec![AllowId(3)],
            by,
            why: String::new(),
        },
    ];
    for subject in ["192.0.2.0/24", "lan", "vpn", "wan"] {
        let subject = AllowSubject::parse(subject).unwrap();
        samples.push(Op::AllowlistAdd {
            item: AllowItem {
                subject,
                ..item.clone()
            },
        });
    }
    let author = |seq: usize, op| entry(u64::MAX, seq as u64 + 1, 3, op);
    samples
        .into_iter()
        .enumerate()
        .map(|(seq, op)| author(seq, op))
        .collect()
}

#[test]
fn entries_read_back_as_they_were_written() {
    for entry in samples() {
        let text = entry.to_json().unwrap();
        assert!(!text.contains('\n'));
        assert_eq!(Entry::from_json(text.as_bytes()).unwrap(), entry, "{text}");
    }
}

#[test]
fn a_cut_entry_is_no_entry() {
    for entry in samples() {
        let text = entry.to_json().unwrap();
        for end in 0..text.len() {
            assert!(
                Entry::from_json(&text.as_bytes()[..end]).is_err(),
                "DENY: cut at {end}: {text}"
            );
        }
    }
}

#[test]
fn mutated_entries_are_read_or_refused_and_what_is_read_writes_the_same() {
    let mut dice = Dice(0xbad_c0de);
    for entry in samples() {
        let text = entry.to_json().unwrap().into_bytes();
        for _ in 0..3_000 {
            let mut mutant = text.clone();
            for _ in 0..=dice.below(3) {
                let place = usize::try_from(dice.below(mutant.len() as u64)).unwrap();
                match dice.below(3) {
                    0 => mutant[place] = (dice.below(256)) as u8,
                    1 => mutant.insert(place, b"\"{}[],:0-\\"[(dice.below(10)) as usize]),
                    _ => {
                        mutant.remove(place);
                    }
                }
            }
            if let Ok(read) = Entry::from_json(&mutant) {
                let again = Entry::from_json(read.to_json().unwrap().as_bytes()).unwrap();
                assert_eq!(again, read);
                book::Book::default().apply(&read);
            }
        }
    }
}

#[test]
fn oversized_entries_are_refused_and_large_removals_are_split() {
    let long = vec![b' '; LONGEST_ENTRY + 1];
    assert!(
        matches!(Entry::from_json(&long), Err(EntryFault::TooLong(_))),
        "DENY"
    );
    let ids: Vec<_> = (0..=MOST_REMOVED as u128).map(DecisionId).collect();
    let why = String::new();
    let op = Op::Remove {
        ids: ids.clone(),
        by: Origin::Operator,
        why,
    };
    let text = entry(1, 1, 0, op).to_json().unwrap();
    assert!(
        matches!(
            Entry::from_json(text.as_bytes()),
            Err(EntryFault::TooMany(_))
        ),
        "DENY"
    );
    let parts = Op::removals(&ids, &Origin::Operator, "");
    assert_eq!(parts.len(), 2);
    for op in parts {
        let text = entry(1, 1, 0, op).to_json().unwrap();
        assert!(Entry::from_json(text.as_bytes()).is_ok());
    }
}

#[test]
fn a_cursor_tells_the_next_entry_from_a_known_one_and_from_a_gap() {
    let op = || Op::removals(&[DecisionId(1)], &Origin::Operator, "").remove(0);
    let mut author = Author::new(NodeId(1), 4);
    let mut write = || author.entry(EntryId(1), at(0), op());
    let (first, second, third) = (write(), write(), write());
    let next_run = Author::new(NodeId(1), 5).entry(EntryId(2), at(9), op());
    let mut cursor = Cursor::START;
    assert_eq!(cursor.advance(&first), Step::Next);
    assert_eq!(cursor.advance(&first), Step::Again);
    assert_eq!(cursor.advance(&third), Step::Gap { missing: 1 }, "DENY");
    assert_eq!(cursor, first.cursor(), "a gap does not move the cursor");
    assert_eq!(cursor.advance(&second), Step::Next);
    assert_eq!(cursor.advance(&third), Step::Next);
    assert!(cursor.precedes(&next_run));
    assert_eq!(cursor.advance(&next_run), Step::Next);
    assert_eq!(cursor.advance(&third), Step::Again);
    assert_eq!(
        (author.node(), cursor),
        (NodeId(1), Cursor { epoch: 5, seq: 1 })
    );
}
