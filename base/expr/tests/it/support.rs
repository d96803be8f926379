//! A small event with every kind of root, as the detection engine would offer it.

use std::collections::HashMap;

use expr::{
    Data, Effect, Env, EvalError, Fields, Found, Method, Missing, Object, Question, Schema, SlotId,
    Type, Unanswered, Value,
};
use vocab::Timestamp;

/// Slots handed out by name.
#[derive(Default, Debug)]
pub(crate) struct Names {
    pub(crate) slots: Vec<(String, Type)>,
    pub(crate) searches: u32,
    pub(crate) number_searches: bool,
}

impl Names {
    fn slot(&mut self, path: &[&str], ty: Type) -> Found {
        let name = path.join(".");
        let at = self.slots.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| {
            self.slots.push((name, ty));
            self.slots.len() - 1
        });
        Found {
            slot: SlotId(u32::try_from(at).unwrap()),
            ty,
            used: path.len(),
        }
    }

    pub(crate) fn name(&self, slot: SlotId) -> &str {
        &self.slots[slot.0 as usize].0
    }
}

impl Schema for Names {
    fn path(&mut self, path: &[&str]) -> Option<Found> {
        let found = match path {
            ["evt", "Meta" | "Parsed" | "Enriched", _, ..] => self.slot(&path[..3], Type::Text),
            ["evt", "Meta" | "Parsed" | "Enriched"] => self.slot(path, Type::TextMap),
            ["evt", "Unmarshaled", ..] => self.slot(&path[..2], Type::Map),
            ["evt", "Line", "Labels", _, ..] => self.slot(&path[..4], Type::Text),
            ["evt", "Line", "Raw" | "Src" | "Module", ..] => self.slot(&path[..3], Type::Text),
            ["evt", "StrTime" | "StrTimeFormat", ..] => self.slot(&path[..2], Type::Text),
            ["evt", "Time", ..] => self.slot(&path[..2], Type::Time),
            ["evt", "Overflow", "Alert", "Remediation"] => self.slot(path, Type::Bool),
            ["evt", "Overflow", "Alert", "Source", _, ..] => self.slot(&path[..5], Type::Text),
            ["evt", "Overflow", "Alert", "Events", ..] => self.slot(&path[..4], Type::Object),
            ["evt", "Appsec", ..] => self.slot(&path[..2], Type::Any),
            [
                "queue" | "leaky" | "req" | "match" | "Alert" | "results",
                ..,
            ] => self.slot(&path[..1], Type::Object),
            ["IsOutBand" | "IsInBand"] => self.slot(path, Type::Bool),
            ["flag"] => self.slot(path, Type::Bool),
            ["count"] => self.slot(path, Type::Int),
            ["nothing" | "any"] => self.slot(path, Type::Any),
            _ => return None,
        };
        Some(found)
    }

    fn method(&mut self, path: &[&str]) -> Option<Method> {
        match path {
            ["evt", "SetMeta"] => Some(Method::SetMeta),
            ["evt", "SetParsed"] => Some(Method::SetParsed),
            ["evt", "GetMeta"] => Some(Method::Lookup(
                self.slot(&["evt", "Meta"], Type::TextMap).slot,
            )),
            ["evt", "GetType"] | ["evt", "Overflow", "Alert", "GetScope" | "GetScenario"] => {
                let found = self.slot(path, Type::Text);
                Some(Method::Slot(found.slot, found.ty))
            }
            _ => None,
        }
    }

    fn search(&mut self, _: &expr::DataSearch) -> Option<expr::SearchId> {
        self.searches += 1;
        self.number_searches
            .then_some(expr::SearchId(self.searches))
    }

    fn names(&self, parent: &[&str]) -> Vec<String> {
        let names: &[&str] = match parent {
            [] => &["evt", "queue", "leaky"],
            ["evt"] => &["Meta", "Parsed", "Enriched", "Unmarshaled", "Line", "Time"],
            _ => &[],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}

/// An event and its surroundings.
#[derive(Debug, Default)]
pub(crate) struct Event {
    names: Vec<String>,
    pub(crate) meta: Map,
    pub(crate) parsed: Map,
    pub(crate) enriched: Map,
    pub(crate) unmarshaled: Fields,
    pub(crate) files: HashMap<Vec<u8>, Vec<Box<[u8]>>>,
    pub(crate) queue: Queue,
    pub(crate) wait: bool,
    pub(crate) stash: Vec<(Vec<u8>, Vec<u8>, Vec<u8>, Option<i64>)>,
}

/// A map of strings whose missing keys are empty.
#[derive(Debug, Default)]
pub(crate) struct Map(pub(crate) HashMap<Vec<u8>, Vec<u8>>);

impl Map {
    pub(crate) fn with(pairs: &[(&str, &str)]) -> Self {
        let own = |text: &str| text.as_bytes().to_vec();
        Self(pairs.iter().map(|(k, v)| (own(k), own(v))).collect())
    }

    fn get(&self, key: &[u8]) -> &[u8] {
        self.0.get(key).map_or(b"", |value| value)
    }
}

impl Object for Map {
    fn type_name(&self) -> &'static str {
        "map"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        Some(Value::from(self.get(name)))
    }

    fn has(&self, key: &[u8]) -> Option<bool> {
        Some(self.0.contains_key(key))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue(pub(crate) Events);

#[derive(Debug, Default)]
pub(crate) struct Events(pub(crate) Vec<Old>);

/// An event in a queue.
#[derive(Debug)]
pub(crate) struct Old {
    pub(crate) meta: Map,
    pub(crate) time: Timestamp,
}

impl Object for Queue {
    fn type_name(&self) -> &'static str {
        "queue"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        (name == b"Queue").then_some(Value::Object(&self.0))
    }
}

impl Object for Events {
    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn element(&self, index: usize) -> Option<Value<'_>> {
        self.0.get(index).map(|old| Value::Object(old))
    }
}

impl Object for Old {
    fn type_name(&self) -> &'static str {
        "event"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Meta" | b"Enriched" => Some(Value::Object(&self.meta)),
            b"Time" => Some(Value::Time(self.time)),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Option<Result<Value<'_>, EvalError>> {
        match (method, args) {
            ("GetMeta", [Value::Str(key)]) => Some(Ok(Value::from(self.meta.get(key)))),
            _ => None,
        }
    }
}

impl Event {
    /// Knows the slots of `names`; call after compiling.
    pub(crate) fn bind(&mut self, names: &Names) {
        self.names = names.slots.iter().map(|(name, _)| name.clone()).collect();
    }

    fn name(&self, slot: SlotId) -> &str {
        &self.names[slot.0 as usize]
    }
}

impl Env for Event {
    fn text(&self, slot: SlotId) -> &[u8] {
        let name = self.name(slot);
        match name.splitn(3, '.').collect::<Vec<_>>()[..] {
            ["evt", "Meta", key] => self.meta.get(key.as_bytes()),
            ["evt", "Parsed", key] => self.parsed.get(key.as_bytes()),
            ["evt", "Enriched", key] => self.enriched.get(key.as_bytes()),
            ["evt", "GetType"] => b"log",
            _ => b"",
        }
    }

    fn value(&self, slot: SlotId) -> Value<'_> {
        match self.name(slot) {
            "evt.Meta" => Value::Object(&self.meta),
            "evt.Parsed" => Value::Object(&self.parsed),
            "evt.Unmarshaled" => Value::Fields(&self.unmarshaled),
            "evt.Time" => Value::Time("2026-11-21T19:30:00Z".parse().unwrap()),
            "queue" => Value::Object(&self.queue),
            "flag" => Value::Bool(true),
            "count" => Value::Int(7),
            "nothing" => Value::Nil,
            "any" => Value::from("anything"),
            _ => Value::from(self.text(slot)),
        }
    }

    fn file(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        self.files.get(name).map(Vec::as_slice)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Value<'_>, Unanswered> {
        if self.wait {
            return Err(Unanswered::Wait);
        }
        match question {
            Question::Now => Ok(Value::Time("2026-11-22T12:00:00.25Z".parse().unwrap())),
            Question::Decisions { value } => Ok(Value::Int(i64::try_from(value.len()).unwrap())),
            Question::DecisionsSince { since, .. } => Ok(Value::Int(*since)),
            Question::Stash { cache, key } => {
                let hit = self.stash.iter().rev();
                let mut hit = hit.filter(|(c, k, ..)| **c == **cache && **k == **key);
                Ok(hit
                    .next()
                    .map_or_else(|| Value::from(""), |(_, _, v, _)| Value::from(&**v)))
            }
            Question::LookupFile { text, .. } if text.starts_with(b"/wp") => {
                Ok(Value::from("wordpress"))
            }
            Question::LookupFile { .. } => Ok(Value::from("")),
            Question::RegexpInFile { text, .. } => Ok(Value::Bool(text.ends_with(b"bot"))),
            _ => Err(Unanswered::Unavailable),
        }
    }

    fn apply(&mut self, effect: Effect<'_>) -> Result<(), EvalError> {
        match effect {
            Effect::SetMeta { key, value } => {
                self.meta.0.insert(key.to_vec(), value.to_vec());
            }
            Effect::SetParsed { key, value } => {
                self.parsed.0.insert(key.to_vec(), value.to_vec());
            }
            Effect::Unmarshal {
                key, data, merge, ..
            } => match (self.unmarshaled.get_mut(key), data) {
                (Some(Data::Map(old)), Data::Map(new)) if merge => {
                    for (key, value) in new.iter() {
                        old.insert(key, value.clone());
                    }
                }
                (_, data) => self.unmarshaled.insert(key, data),
            },
            Effect::Stash {
                cache,
                key,
                value,
                ttl,
            } => self
                .stash
                .push((cache.to_vec(), key.to_vec(), value.to_vec(), ttl)),
        }
        Ok(())
    }
}

/// The event that the tables evaluate against.
pub(crate) fn event() -> Event {
    let json = br#"{"name":"caddy","status":404,"big":1700000000,"ok":true,"none":null,
        "list":[1,2.5,"x"],"deep":{"a":{"b":"c"}},"params":[{"key":"user","value":{"login":"eve"}},{"key":"n","value":""}]}"#;
    let mut unmarshaled = Fields::new(Missing::Nil);
    unmarshaled.insert(b"js", expr::json::parse(json).unwrap());
    let kv = Fields::from_entries(
        vec![(b"pid"[..].into(), Data::text(&b"12"[..]))],
        Missing::Empty,
    );
    unmarshaled.insert(b"kv", Data::Map(kv));
    let lines = |lines: &[&str]| lines.iter().map(|l| l.as_bytes().into()).collect();
    let old = |seconds: i64, kind: &str, exe: &str| Old {
        meta: Map::with(&[
            ("log_type", kind),
            ("exe", exe),
            ("Latitude", "48.85"),
            ("Longitude", "2.35"),
        ]),
        time: Timestamp::from_unix_seconds(seconds),
    };
    Event {
        names: Vec::new(),
        meta: Map::with(&[
            ("service", "http"),
            ("log_type", "http_access-log"),
            ("http_status", "404"),
            ("http_path", "/Admin/../wp-login.php"),
            ("source_ip", "192.0.2.7"),
            ("http_args_len", "12"),
        ]),
        parsed: Map::with(&[
            ("program", "nginx"),
            (
                "message",
                r#"{"a":{"b":[10,{"c":"x\ty"}]},"s":"q\"uote","n":1.50,"z":null}"#,
            ),
            (
                "kv",
                r#"type=SYSCALL pid=42 exe="/bin/sh -c" empty= msg=a=b"#,
            ),
            ("enc", "%2e%2E%2Fetc+passwd%zz"),
            ("static_ressource", "false"),
            ("umlaut", "Grün"),
        ]),
        enriched: Map::default(),
        unmarshaled,
        files: [
            (
                b"paths.txt".to_vec(),
                lines(&["/etc/passwd", "wp-login", "/.env"]),
            ),
            (
                b"nets.txt".to_vec(),
                lines(&["198.51.100.0/24", "192.0.2.0/28"]),
            ),
            (
                b"cves.json".to_vec(),
                lines(&[
                    r#"{"uri":"/nope","cve":"CVE-1"}"#,
                    r#"{"uri":"wp-login","cve":"CVE-2"}"#,
                ]),
            ),
        ]
        .into(),
        queue: Queue(Events(vec![
            old(0, "auth", "/bin/sh"),
            old(60, "auth", "/usr/bin/python3"),
            old(200, "other", "/usr/bin/wget"),
        ])),
        wait: false,
        stash: Vec::new(),
    }
}
