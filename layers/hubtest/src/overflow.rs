//! Overflows as asserts see them: `results[0].Overflow.Alert.GetScenario()`.
//!
//! One entry for each bucket that overflowed with a source to name, the exempt ones too,
//! sorted backwards by scenario and sources, as the hub's own runner sorts them. Those of
//! one scenario about the same sources have no order among them: the hub's runner sorts
//! them in a way that is not stable, and so asserts have it that way.

use std::collections::BTreeMap;
use std::rc::Rc;

use detect::bucket::Kept;
use detect::overflow::Overflow as Overflown;
use expr::{EvalError, Object, Value};
use vocab::Scope;

/// How many exchanges are tried at most.
const TRIES: usize = 64;

/// Every overflow of a case.
#[derive(Debug, Default)]
pub struct Overflows(Vec<Entry>);

/// `results[n]`
#[derive(Debug)]
struct Entry {
    overflow: Overflow,
}

/// `results[n].Overflow`
#[derive(Debug)]
struct Overflow {
    sources: Sources,
    alert: Head,
    whitelisted: bool,
}

/// `….Sources`
#[derive(Debug, Default)]
struct Sources(BTreeMap<String, Source>);

/// `….Sources["192.0.2.1"]`
#[derive(Debug)]
struct Source {
    scope: String,
    value: String,
    ip: String,
    range: String,
}

/// `….Alert`
#[derive(Debug)]
struct Head {
    scenario: String,
    remediation: bool,
    count: u64,
    events: Events,
}

/// `….Alert.Events`
#[derive(Debug)]
struct Events(Vec<Event>);

#[derive(Debug)]
struct Event(Kept);

impl Overflows {
    /// From the overflows of a case, in the order in which they happened.
    #[must_use]
    pub fn new(overflows: Vec<Overflown>) -> Self {
        let mut entries: Vec<Entry> = overflows.into_iter().map(Entry::new).collect();
        entries.sort_by_cached_key(|entry| core::cmp::Reverse(entry.key()));
        Self(entries)
    }

    /// Puts overflows that sort alike into the order in which the fewest asserts fail, as
    /// far as [`TRIES`] exchanges of two of them lead there.
    pub fn settle(&mut self, failing: impl Fn(&Self) -> usize) {
        let keys: Vec<String> = self.0.iter().map(Entry::key).collect();
        let alike: Vec<(usize, usize)> = (0..keys.len())
            .flat_map(|one| (one + 1..keys.len()).map(move |other| (one, other)))
            .filter(|(one, other)| keys.get(*one) == keys.get(*other))
            .take(TRIES)
            .collect();
        if alike.is_empty() {
            return;
        }
        let mut fewest = failing(self);
        for (one, other) in alike {
            if fewest == 0 {
                return;
            }
            self.0.swap(one, other);
            let now = failing(self);
            if now < fewest {
                fewest = now;
            } else {
                self.0.swap(one, other);
            }
        }
    }
}

impl Entry {
    fn new(full: Overflown) -> Self {
        Self {
            overflow: Overflow {
                sources: Sources::new(&full),
                whitelisted: full.whitelisted.is_some(),
                alert: Head {
                    scenario: full.spec.name,
                    remediation: full.spec.remediation,
                    count: full.events_count,
                    events: Events(full.events.into_iter().map(Event).collect()),
                },
            },
        }
    }

    fn key(&self) -> String {
        let sources: Vec<&str> = self.overflow.sources.0.keys().map(String::as_str).collect();
        format!("{}{}", self.overflow.alert.scenario, sources.join("@"))
    }
}

impl Sources {
    fn new(full: &Overflown) -> Self {
        let mut sources = BTreeMap::new();
        for source in &full.sources {
            let meta = |event: &Kept, key: &str| lossy(event.meta().value(key.as_bytes()));
            let own = |event: &&Kept| meta(event, "source_ip") == source.value;
            let range = match source.scope {
                Scope::Range => source.value.clone(),
                Scope::Ip => {
                    let event = full.events.iter().rfind(own);
                    event.map_or_else(String::new, |event| meta(event, "SourceRange"))
                }
                _ => String::new(),
            };
            let shown = Source {
                scope: source.scope.to_string(),
                value: source.value.clone(),
                // Other scopes are about accounts, files, processes.
                ip: match source.scope {
                    Scope::Ip => source.value.clone(),
                    _ => String::new(),
                },
                range,
            };
            sources.insert(source.value.clone(), shown);
        }
        Self(sources)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text(text: &str) -> Value<'_> {
    Value::from(text)
}

type Called<'v> = Option<Result<Value<'v>, EvalError>>;

impl Object for Overflows {
    fn type_name(&self) -> &'static str {
        "list of overflows"
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn element(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|entry| Value::Object(entry))
    }
}

impl Object for Entry {
    fn type_name(&self) -> &'static str {
        "event"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        (name == b"Overflow").then_some(Value::Object(&self.overflow))
    }
}

impl Object for Overflow {
    fn type_name(&self) -> &'static str {
        "overflow"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Sources" => Some(Value::Object(&self.sources)),
            b"Alert" => Some(Value::Object(&self.alert)),
            b"Whitelisted" => Some(Value::Bool(self.whitelisted)),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetSources", []) => {
                let names = self.sources.0.keys().map(|name| text(name)).collect();
                Some(Ok(Value::List(Rc::new(names))))
            }
            _ => None,
        }
    }
}

impl Object for Sources {
    fn type_name(&self) -> &'static str {
        "map of sources"
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        let name = core::str::from_utf8(name).ok()?;
        self.0.get(name).map(|source| Value::Object(source))
    }

    fn has(&self, key: &[u8]) -> Option<bool> {
        Some(core::str::from_utf8(key).is_ok_and(|name| self.0.contains_key(name)))
    }
}

impl Object for Source {
    fn type_name(&self) -> &'static str {
        "source"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"IP" => Some(text(&self.ip)),
            b"Range" => Some(text(&self.range)),
            b"Scope" => Some(text(&self.scope)),
            b"Value" => Some(text(&self.value)),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetScope", []) => Some(Ok(text(&self.scope))),
            ("GetValue", []) => Some(Ok(text(&self.value))),
            _ => None,
        }
    }
}

impl Object for Head {
    fn type_name(&self) -> &'static str {
        "alert"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Remediation" => Some(Value::Bool(self.remediation)),
            b"Events" => Some(Value::Object(&self.events)),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        let count = || Value::Int(i64::try_from(self.count).unwrap_or(i64::MAX));
        match (method, args) {
            ("GetScenario", []) => Some(Ok(text(&self.scenario))),
            ("GetEventsCount", []) => Some(Ok(count())),
            _ => None,
        }
    }
}

impl Object for Events {
    fn type_name(&self) -> &'static str {
        "list of events"
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn element(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|event| Value::Object(event))
    }
}

impl Object for Event {
    fn type_name(&self) -> &'static str {
        "event"
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetMeta", [Value::Str(key)]) => Some(Ok(Value::from(self.0.meta().value(key)))),
            _ => None,
        }
    }
}
