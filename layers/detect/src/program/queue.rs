//! A bucket's queue as expressions see it: `condition`, `overflow_filter` and the
//! conditions of bayesian buckets.

use core::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use expr::{Env, Expr, Object, SlotId, Value};

use super::env::Ground;
use crate::bucket::{BucketView, Kept, Pairs, QueueTest};
use crate::event::{Space, slot};

/// An expression over a bucket.
#[derive(Debug)]
pub(crate) struct Test {
    expression: Expr,
    ground: Arc<Ground>,
    /// With fewer events it is false.
    least: usize,
    /// How often it failed.
    errors: AtomicU64,
}

impl Test {
    pub(crate) fn new(expression: Expr, ground: Arc<Ground>) -> Self {
        let least = if expression.is_pure() {
            expression.least(slot::QUEUE, b"Queue")
        } else {
            0
        };
        Self {
            expression,
            ground,
            least,
            errors: AtomicU64::new(0),
        }
    }
}

impl QueueTest for Test {
    fn holds(&self, bucket: &BucketView<'_>) -> bool {
        if bucket.events().len() < self.least {
            return false;
        }
        let env = QueueEnv {
            ground: &self.ground,
            last: bucket.latest(),
            queue: Queue {
                events: Events::new(*bucket),
            },
            leaky: Leaky(*bucket),
        };
        match self.expression.truth(&env) {
            Ok(answer) => answer,
            Err(_) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

#[derive(Debug)]
struct QueueEnv<'b> {
    ground: &'b Ground,
    last: Option<&'b Kept>,
    queue: Queue<'b>,
    leaky: Leaky<'b>,
}

impl Env for QueueEnv<'_> {
    fn text(&self, slot: SlotId) -> &[u8] {
        let (Some((space, name)), Some(last)) = (self.ground.slots.name(slot), self.last) else {
            return b"";
        };
        match space {
            Space::Meta => last.meta().value(name.as_bytes()),
            Space::Parsed => last.parsed().value(name.as_bytes()),
            Space::Enriched => last.enriched().value(name.as_bytes()),
            Space::Label | Space::Field | Space::Special => b"",
        }
    }

    fn value(&self, slot: SlotId) -> Value<'_> {
        match slot {
            slot::QUEUE => Value::Object(&self.queue),
            slot::LEAKY | slot::SIGNAL => Value::Object(&self.leaky),
            slot::TIME => self
                .last
                .map_or(Value::Nil, |last| Value::Time(last.time())),
            slot::MAP_META => match self.queue.events.last() {
                Some(entry) => Value::Object(&entry.meta),
                None => Value::Nil,
            },
            slot => Value::from(self.text(slot)),
        }
    }

    fn file(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        let name = core::str::from_utf8(name).ok()?;
        self.ground.data.get(name).map(|file| &*file.lines)
    }

    fn search(&self, search: &expr::DataSearch, text: &[u8]) -> Option<bool> {
        self.ground.searches.test(search, text)
    }
}

#[derive(Debug)]
struct Queue<'b> {
    events: Events<'b>,
}

/// How many of the last events are made ready one by one.
const LAST: usize = 4;

/// Made ready when they are asked for. Many conditions look at the last few alone, and a
/// queue may hold hundreds.
#[derive(Debug)]
struct Events<'b> {
    bucket: BucketView<'b>,
    /// The last first.
    last: [OnceCell<Entry<'b>>; LAST],
    all: OnceCell<Box<[Entry<'b>]>>,
}

#[derive(Debug)]
struct Entry<'b> {
    kept: &'b Kept,
    meta: Map<'b>,
    parsed: Map<'b>,
    enriched: Map<'b>,
}

#[derive(Debug)]
struct Map<'b>(Pairs<'b>);

#[derive(Debug)]
struct Leaky<'b>(BucketView<'b>);

impl<'b> Events<'b> {
    fn new(bucket: BucketView<'b>) -> Self {
        Self {
            bucket,
            last: Default::default(),
            all: OnceCell::new(),
        }
    }

    fn get(&self, index: usize) -> Option<&Entry<'b>> {
        let kept = self.bucket.event(index)?;
        match self.last.get(self.bucket.len() - 1 - index) {
            Some(room) => Some(room.get_or_init(|| Entry::new(kept))),
            None => {
                let all = || self.bucket.events().map(Entry::new).collect();
                self.all.get_or_init(all).get(index)
            }
        }
    }

    fn last(&self) -> Option<&Entry<'b>> {
        self.get(self.bucket.len().checked_sub(1)?)
    }
}

impl<'b> Entry<'b> {
    fn new(kept: &'b Kept) -> Self {
        let [meta, parsed, enriched] = kept.spaces();
        Self {
            kept,
            meta: Map(meta),
            parsed: Map(parsed),
            enriched: Map(enriched),
        }
    }
}

impl Object for Queue<'_> {
    fn type_name(&self) -> &'static str {
        "queue"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Queue" => Some(Value::Object(&self.events)),
            b"L" => Some(Value::Int(
                i64::try_from(self.events.bucket.len()).unwrap_or(i64::MAX),
            )),
            _ => None,
        }
    }
}

impl Object for Events<'_> {
    fn type_name(&self) -> &'static str {
        "list of events"
    }

    fn len(&self) -> Option<usize> {
        Some(self.bucket.len())
    }

    fn element(&self, index: usize) -> Option<Value<'_>> {
        self.get(index).map(|entry| Value::Object(entry))
    }
}

impl Object for Entry<'_> {
    fn type_name(&self) -> &'static str {
        "event"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Meta" => Some(Value::Object(&self.meta)),
            b"Parsed" => Some(Value::Object(&self.parsed)),
            b"Enriched" => Some(Value::Object(&self.enriched)),
            b"Time" => Some(Value::Time(self.kept.time())),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Option<Result<Value<'_>, expr::EvalError>> {
        match (method, args) {
            ("GetMeta", [Value::Str(key)]) => Some(Ok(Value::from(self.kept.meta().value(key)))),
            _ => None,
        }
    }
}

impl Object for Map<'_> {
    fn type_name(&self) -> &'static str {
        "map of strings"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        Some(Value::from(self.0.value(name)))
    }

    fn has(&self, key: &[u8]) -> Option<bool> {
        Some(self.0.iter().any(|(name, _)| name == key))
    }
}

impl Object for Leaky<'_> {
    fn type_name(&self) -> &'static str {
        "bucket"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Total_count" => Some(Value::Int(i64::try_from(self.0.total).unwrap_or(i64::MAX))),
            b"First_ts" => Some(Value::Time(self.0.first)),
            b"Last_ts" | b"Ovflw_ts" => Some(Value::Time(self.0.last)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use vocab::Timestamp;

    use super::*;
    use crate::bucket::{Bucket, BucketSpec, Held, Keeper, Now};
    use crate::event::{EventSchema, Slots};

    #[test]
    fn each_event_is_at_its_place_whatever_was_asked_before() {
        let at = Timestamp::from_unix_seconds;
        let now = |second: i64| Now {
            clock: at(second),
            shown: at(second),
        };
        let spec = BucketSpec {
            capacity: None,
            ..BucketSpec::leaky("test/leaky", "h", 1, core::time::Duration::ZERO)
        };
        let mut bucket = Bucket::new(now(0));
        for count in 1..20_usize {
            let second = i64::try_from(count).unwrap() - 1;
            let kept = Keeper::new()
                .meta("at", second.to_string().as_bytes())
                .finish(at(second));
            bucket.pour(&spec, Held::new(kept, None), now(second));
            let events = Events::new(bucket.view());
            for place in (0..count).rev().chain(0..count) {
                let entry = events.get(place).unwrap();
                assert_eq!(entry.meta.0.value(b"at"), place.to_string().as_bytes());
                assert_eq!(entry.kept.time(), at(i64::try_from(place).unwrap()));
            }
            assert!(events.get(count).is_none());
            assert_eq!(events.last().unwrap().kept.time(), at(second));
        }
    }

    #[test]
    fn a_condition_says_how_many_events_it_needs() {
        for (source, want) in [
            (
                "let failed = filter(queue.Queue, {#.Meta.log_type == 'x'});\n\
                 len(failed) >= 4 && len(failed) < 9",
                4,
            ),
            ("len(queue.Queue) > 2", 3),
            ("len(queue.Queue) == 2", 2),
            (
                "any(queue.Queue, {#.Meta.a == 'x'}) && len(queue.Queue) >= 5",
                5,
            ),
            ("len(queue.Queue) >= 5 || evt.Meta.a == 'x'", 0),
            ("len(queue.Queue) < 5", 0),
            ("len(evt.Meta.a) >= 5", 0),
            ("let a = map(queue.Queue, {#.Meta.a}); len(a) >= 5", 0),
            ("let a = queue.Queue; let b = evt.Meta.x; len(b) >= 5", 0),
        ] {
            let mut slots = Slots::default();
            let mut schema = EventSchema::new(&mut slots);
            let compiled = expr::compile(source, &mut schema, expr::Type::Bool).unwrap();
            assert_eq!(compiled.least(slot::QUEUE, b"Queue"), want, "{source}");
        }
    }
}
