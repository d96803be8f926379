//! The book against one that is kept as plainly as can be: whole decisions in a tree, everything
//! else found by looking at all of them.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use book::{
    AllowId, AllowItem, AllowSubject, Applied, Book, Bounds, Change, Cursor, Filter, Force, Held,
    Hit, NodeId, Op, Past, Standing, View,
};
use core::time::Duration;
use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use crate::{Dice, at, entry};

const BOUNDS: Bounds = Bounds {
    decisions: 30,
    allow_items: 20,
    tombstones: 12,
    sources: 14,
    nodes: 8,
    memory: Duration::from_secs(400),
};

/// The old book.
#[derive(Default)]
struct Plain {
    decisions: BTreeMap<DecisionId, (Decision, (NodeId, Cursor))>,
    /// Until when, and whether what it removed was met.
    tombs: BTreeMap<DecisionId, (Timestamp, bool)>,
    pasts: BTreeMap<Cidr, Vec<Past>>,
    committed: BTreeMap<NodeId, Cursor>,
    evicted: u64,
}

impl Plain {
    fn add(&mut self, decision: &Decision, written: (NodeId, Cursor)) -> Vec<Decision> {
        if let Some((_, known)) = self.decisions.get_mut(&decision.id) {
            *known = written.min(*known);
            return Vec::new();
        }
        if let Some((until, met)) = self.tombs.get_mut(&decision.id) {
            if !*met {
                (*until, *met) = (decision.until, true);
            }
            return Vec::new();
        }
        self.note(decision);
        self.decisions
            .insert(decision.id, (decision.clone(), written));
        let mut ended = Vec::new();
        while self.decisions.len() > BOUNDS.decisions {
            ended.extend(self.soonest().and_then(|id| self.decisions.remove(&id)));
            self.evicted += 1;
        }
        ended.into_iter().map(|(decision, _)| decision).collect()
    }

    fn soonest(&self) -> Option<DecisionId> {
        let all = self.decisions.values().map(|(one, _)| (one.until, one.id));
        all.min().map(|(_, id)| id)
    }

    fn note(&mut self, decision: &Decision) {
        let force = Force::from(&decision.kind);
        let feed = matches!(decision.origin, Origin::Feed(_));
        let Some(source) = decision
            .cidr()
            .filter(|_| force >= Force::Throttle && !feed)
        else {
            return;
        };
        let pasts = self.pasts.entry(source).or_default();
        pasts.push(Past {
            created: decision.created,
            id: decision.id,
            until: decision.until,
            force,
        });
        pasts.sort_unstable();
        pasts.dedup();
        if pasts.len() > 16 {
            pasts.remove(0);
        }
        if self.pasts.len() > BOUNDS.sources {
            let quietest = self.quietest();
            quietest.and_then(|(_, source)| self.pasts.remove(&source));
        }
    }

    fn quietest(&self) -> Option<(Timestamp, Cidr)> {
        let latest = |(source, pasts): (&Cidr, &Vec<Past>)| Some((pasts.last()?.created, *source));
        self.pasts.iter().filter_map(latest).min()
    }

    fn remove(&mut self, id: DecisionId, when: Timestamp) -> Option<Decision> {
        let known = self.decisions.remove(&id).map(|(decision, _)| decision);
        if let Entry::Vacant(place) = self.tombs.entry(id) {
            let unmet = || when.after(Duration::from_secs(30 * 86_400));
            let until = known.as_ref().map_or_else(unmet, |one| one.until);
            place.insert((until, known.is_some()));
            if self.tombs.len() > BOUNDS.tombstones {
                let first = self
                    .tombs
                    .iter()
                    .map(|(id, (until, _))| (*until, *id))
                    .min();
                first.and_then(|(_, id)| self.tombs.remove(&id));
            }
        }
        for pasts in known.iter().filter_map(|one| one.cidr()) {
            let pasts = self.pasts.entry(pasts).or_default();
            pasts.retain(|past| past.id != id);
        }
        self.pasts.retain(|_, pasts| !pasts.is_empty());
        known
    }

    fn sweep(&mut self, now: Timestamp) -> Vec<Decision> {
        let mut ended: Vec<Decision> = self
            .decisions
            .extract_if(.., |_, (one, _)| one.until <= now)
            .map(|(_, (one, _))| one)
            .collect();
        ended.sort_by_key(|one| (one.until, one.id));
        self.tombs.retain(|_, (until, _)| *until > now);
        let before = now.before(BOUNDS.memory);
        self.pasts
            .retain(|_, pasts| pasts.last().is_some_and(|last| last.created >= before));
        ended
    }

    fn is_volatile(&self, id: DecisionId) -> bool {
        self.decisions.get(&id).is_some_and(|(_, (node, cursor))| {
            let committed = self.committed.get(node);
            committed.is_none_or(|upto| upto < cursor)
        })
    }

    fn active(&self, now: Timestamp) -> Vec<Decision> {
        let all = self.decisions.values().map(|(one, _)| one);
        all.filter(|one| one.is_active(now)).cloned().collect()
    }

    fn covering(&self, range: Cidr, now: Timestamp) -> Vec<Decision> {
        let covers = |held: Cidr| held.prefix() <= range.prefix() && held.contains(range.address());
        let mut found = self.active(now);
        found.retain(|one| one.cidr().is_some_and(covers));
        found.sort_by_key(|one| core::cmp::Reverse((Force::from(&one.kind), one.until, one.id)));
        found
    }

    fn standing(&self, address: IpAddr, allowed: bool, now: Timestamp) -> Standing {
        match self.covering(Cidr::host(address), now).first() {
            _ if allowed => Standing::Allowed,
            None => Standing::Stranger,
            Some(first) => Standing::Held(Hit {
                force: Force::from(&first.kind),
                id: first.id,
                until: first.until,
            }),
        }
    }
}

fn pick<T: Clone>(dice: &mut Dice, from: &[T]) -> T {
    from[usize::try_from(dice.below(from.len() as u64)).unwrap()].clone()
}

const ADDRESSES: [&str; 6] = [
    "203.0.113.1",
    "203.0.113.2",
    "203.0.113.255",
    "2001:db8::1",
    "2001:db8:0:1::7",
    "198.51.100.0",
];

/// A decision of any kind about few sources, spelt in every manner.
fn some_decision(dice: &mut Dice, clock: i64) -> Decision {
    let (scope, value) = match dice.below(12) {
        0 => (Scope::Range, "203.0.113.0/24".to_owned()),
        1 => (Scope::Range, "0.0.0.0/0".to_owned()),
        2 => (Scope::Range, "2001:db8::/64".to_owned()),
        3 => (Scope::Range, "203.0.113.9/24".to_owned()),
        4 => (Scope::Range, "203.0.113.2/32".to_owned()),
        5 => (Scope::Ip, "::ffff:203.0.113.1".to_owned()),
        6 => (Scope::Ip, "nobody".to_owned()),
        7 => (Scope::Country, "XX".to_owned()),
        8 => (
            Scope::Other("username".to_owned()),
            "203.0.113.1".to_owned(),
        ),
        9 => (Scope::Ip, format!("198.51.100.{}", dice.below(30))),
        _ => (Scope::Ip, pick(dice, &ADDRESSES).to_owned()),
    };
    let kinds = [
        Kind::Ban,
        Kind::Ban,
        Kind::Throttle,
        Kind::Challenge,
        Kind::Observe,
        Kind::Other("captcha".to_owned()),
    ];
    let origins = [
        Origin::Detection,
        Origin::Detection,
        Origin::Operator,
        Origin::Feed("list".to_owned()),
        Origin::Agent("other".to_owned()),
    ];
    // few names and few times, so that the same decision comes back after it ended
    Decision {
        id: DecisionId(u128::from(dice.below(90)) << (dice.below(2) * 100)),
        scope,
        value,
        kind: pick(dice, &kinds),
        origin: pick(dice, &origins),
        reason: pick(dice, &["http-probing", "http-bf", "", "by hand"]).to_owned(),
        created: at(clock - dice.below(60) as i64 / 20 * 20),
        until: at(clock / 20 * 20 + 20 * dice.below(20) as i64),
    }
}

struct Both {
    plain: Plain,
    book: Book,
    view: View,
    known: Vec<Decision>,
    clock: i64,
}

impl Both {
    fn step(&mut self, dice: &mut Dice, seq: u64) {
        let node = 1 + dice.below(3);
        let cursor = Cursor { epoch: 1, seq };
        match dice.below(20) {
            0..12 => {
                let again = !self.known.is_empty() && dice.below(3) == 0;
                let decision = if again {
                    pick(dice, &self.known)
                } else {
                    some_decision(dice, self.clock)
                };
                self.known.push(decision.clone());
                let ended = self.plain.add(&decision, (NodeId(node), cursor));
                let applied = self.apply(&entry(node, seq, self.clock, Op::Add { decision }));
                assert_eq!(applied.ended, ended);
            }
            12..15 => {
                let id = pick(dice, &self.known).id;
                let ids = vec![id, DecisionId(u128::from(dice.below(90)))];
                let when = at(self.clock);
                let plainly = ids.iter().filter_map(|id| self.plain.remove(*id, when));
                let ended: Vec<_> = plainly.collect();
                let (by, why) = (Origin::Operator, String::new());
                let op = Op::Remove { ids, by, why };
                assert_eq!(self.apply(&entry(node, seq, self.clock, op)).ended, ended);
            }
            15 => {
                let item = AllowItem {
                    id: AllowId(u128::from(seq) << 64),
                    list: String::new(),
                    subject: AllowSubject::parse(pick(dice, &ADDRESSES)).unwrap(),
                    why: String::new(),
                    by: Origin::Operator,
                    created: at(self.clock),
                    until: at(self.clock + dice.below(40) as i64),
                };
                self.apply(&entry(node, seq, self.clock, Op::AllowlistAdd { item }));
            }
            16 => {
                self.book.committed(NodeId(node), cursor);
                if self.book.read_upto(NodeId(node)) > Cursor::START {
                    self.plain.committed.insert(NodeId(node), cursor);
                }
            }
            17 => self.view = self.view.merged(Some(at(self.clock))),
            _ => {
                self.clock += dice.below(30) as i64;
                let swept = self.book.sweep(at(self.clock), 1_000);
                assert_eq!(swept.ended, self.plain.sweep(at(self.clock)));
            }
        }
    }

    fn apply(&mut self, entry: &book::Entry) -> Applied {
        let applied = self.book.apply(entry);
        self.view = self.view.with(&applied.changes);
        applied
    }

    fn compare(&self) {
        let now = at(self.clock);
        let (plain, book) = (&self.plain, &self.book);
        let whole = |found: Vec<Held<'_>>| -> Vec<Decision> {
            found.into_iter().map(Held::decision).collect()
        };
        let active = plain.active(now);
        assert_eq!(whole(book.active(now).collect()), active);
        assert_eq!(book.len(), plain.decisions.len());
        assert_eq!(book.counters().decisions_evicted, plain.evicted);
        for (id, (one, _)) in &plain.decisions {
            assert_eq!(book.decision(*id).unwrap().decision(), *one);
            assert_eq!(book.is_volatile(*id), plain.is_volatile(*id));
        }
        let some = self.known[self.known.len() / 2].id.to_string();
        let prefix = some.split_at(7).0;
        let begins = |one: &&Decision| one.id.to_string().starts_with(prefix);
        let want: Vec<_> = active.iter().filter(begins).cloned().collect();
        assert_eq!(whole(book.by_prefix(prefix, now, 1_000)), want);
        let volatile = active.iter().filter(|one| plain.is_volatile(one.id));
        assert_eq!(book.numbers(now), (active.len(), volatile.count()));
        for (source, pasts) in &plain.pasts {
            assert_eq!(book.past(*source), *pasts, "{source}");
        }
        let origin = Origin::Feed("list".to_owned());
        let held = plain
            .decisions
            .values()
            .filter(|(one, _)| one.origin == origin);
        assert_eq!(book.held_by(&origin) as usize, held.count());
        let by_reason = Filter {
            reason: Some("http".to_owned()),
            value: Some("203.0.113.9/24".to_owned()),
            ..Filter::default()
        };
        let mut fitting = active.clone();
        fitting.retain(|one| one.reason.contains("http") && one.value == "203.0.113.9/24");
        assert_eq!(whole(book.matching(&by_reason, now, 1_000)), fitting);
    }

    fn compare_ranges(&self) {
        let now = at(self.clock);
        let (plain, book) = (&self.plain, &self.book);
        let bars = book.changes(now);
        let bars = bars.iter().filter(|one| matches!(one, Change::Bar { .. }));
        let with_range = plain.active(now).into_iter().filter_map(|one| one.cidr());
        assert_eq!(bars.count(), with_range.count());
        let (fresh, listed) = (book.view(now), View::of(&book.changes(now)));
        let more = (0..30).map(|last| format!("198.51.100.{last}"));
        for text in ADDRESSES.map(str::to_owned).into_iter().chain(more) {
            let range: Cidr = text.parse().unwrap();
            let found = book.covering(range, now).into_iter().map(Held::decision);
            assert_eq!(found.collect::<Vec<_>>(), plain.covering(range, now));
            if !plain.pasts.contains_key(&range) {
                assert_eq!(book.past(range), []);
            }
            let allowed = book.allowing(range, now).is_some();
            let want = plain.standing(range.address(), allowed, now);
            for view in [&self.view, &fresh, &listed] {
                assert_eq!(view.standing(range.address(), now), want, "{text}");
            }
        }
    }
}

#[test]
fn the_book_says_what_one_kept_plainly_says() {
    let (mut most, mut evicted, mut past) = (0, 0, 0);
    for seed in 1..=10_u64 {
        let mut dice = Dice(seed << 32 | 0x9e37_79b9);
        let mut both = Both {
            plain: Plain::default(),
            book: Book::new(BOUNDS),
            view: View::default(),
            known: vec![some_decision(&mut dice, 0)],
            clock: 0,
        };
        for seq in 1..=500 {
            both.step(&mut dice, seq);
            both.compare();
            if seq % 4 == 0 {
                both.compare_ranges();
            }
            most = most.max(both.book.len());
            past = past.max(both.plain.pasts.values().map(Vec::len).max().unwrap_or(0));
        }
        evicted += both.plain.evicted;
    }
    assert_eq!((most, past), (30, 16), "every bound is met");
    assert!(evicted > 100, "{evicted}");
}
