//! An overflow as expressions see it: `evt.Overflow` and everything below it.
//!
//! For: postoverflows, scenarios over reprocessed overflows, contexts. Refuses: fields
//! that CrowdSec's own rules never name; they are errors for the rule that names them.
//! Assumes: an overflow's sources and events are bounded. On failure: an event that is
//! no overflow has one without an alert, so that `evt.Overflow.Alert` is nil.

use std::rc::Rc;
use std::sync::Arc;

use expr::{Data, EvalError, Object, Value};
use vocab::time::Span;
use vocab::{Cidr, Scope, Source, Whereabouts};

use super::{About, Overflow};
use crate::bucket::{Kept, text};

/// What `evt.Overflow` is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    alert: Option<AlertShown>,
    sources: Sources,
    reprocess: bool,
    pub(crate) whitelisted: bool,
    /// Sources that a whitelist exempts, while others are not.
    pub(crate) spared: Vec<String>,
    /// What buckets keep of it.
    pub(crate) about: Option<Arc<About>>,
}

/// What an event that is no overflow has in its place.
pub(crate) static NONE: Shown = Shown {
    alert: None,
    sources: Sources(Vec::new()),
    reprocess: false,
    whitelisted: false,
    spared: Vec::new(),
    about: None,
};

/// A part of `evt.Overflow.Alert.Source` that a static may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Value,
    Scope,
    Ip,
    Range,
    Country,
    AsNumber,
    AsName,
}

impl Part {
    /// The part that a path names, `evt.` left out.
    pub(crate) fn named(path: &str) -> Option<Self> {
        Some(match path.strip_prefix("Overflow.Alert.Source.")? {
            "Value" => Self::Value,
            "Scope" => Self::Scope,
            "IP" => Self::Ip,
            "Range" => Self::Range,
            "Cn" => Self::Country,
            "AsNumber" => Self::AsNumber,
            "AsName" => Self::AsName,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug)]
struct AlertShown {
    scenario: String,
    hash: String,
    message: String,
    remediation: bool,
    simulated: bool,
    events_count: i64,
    capacity: i64,
    leakspeed: String,
    start: String,
    stop: String,
    source: SourceShown,
    events: Events,
}

#[derive(Clone, Debug, Default)]
struct SourceShown {
    scope: String,
    value: String,
    ip: String,
    about: Whereabouts,
}

#[derive(Clone, Debug, Default)]
struct Sources(Vec<(String, SourceShown)>);

#[derive(Clone, Debug)]
struct Events(Vec<EventShown>);

#[derive(Clone, Debug)]
struct EventShown(Kept);

impl Shown {
    pub(crate) fn of(overflow: &Overflow) -> Self {
        let sources: Vec<(String, SourceShown)> = overflow
            .sources
            .iter()
            .map(|source| (source.value.clone(), SourceShown::of(source)))
            .collect();
        let first = sources.first().map(|(_, source)| source.clone());
        let spec = &overflow.spec;
        let span = overflow.stop_at.since(overflow.start_at);
        let who = match sources.as_slice() {
            [(value, _)] => value.clone(),
            several => format!("{} sources", several.len()),
        };
        let source = first.unwrap_or_default();
        let message = format!(
            "{} {who} performed '{}' ({} events over {}) at {}",
            source.scope,
            spec.name,
            overflow.events_count,
            Span(span),
            overflow.stop_at
        );
        let alert = AlertShown {
            scenario: spec.name.clone(),
            hash: spec.hash.clone(),
            message,
            remediation: spec.remediation,
            simulated: spec.simulated,
            events_count: i64::try_from(overflow.events_count).unwrap_or(i64::MAX),
            capacity: spec.capacity.map_or(-1, i64::from),
            leakspeed: Span(spec.leakspeed).to_string(),
            start: overflow.start_at.to_string(),
            stop: overflow.stop_at.to_string(),
            source,
            events: Events(overflow.events.iter().cloned().map(EventShown).collect()),
        };
        Self {
            alert: Some(alert),
            sources: Sources(sources),
            reprocess: spec.reprocess,
            whitelisted: false,
            spared: Vec::new(),
            about: None,
        }
    }

    /// The values of all its sources.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &str> {
        self.sources.0.iter().map(|(value, _)| value.as_str())
    }

    /// Writes a part of the alert's source.
    pub(crate) fn write(&mut self, part: Part, value: &[u8]) {
        let Some(alert) = &mut self.alert else { return };
        let source = &mut alert.source;
        let place = match part {
            Part::Value => &mut source.value,
            Part::Scope => &mut source.scope,
            Part::Ip => &mut source.ip,
            Part::Range => &mut source.about.range,
            Part::Country => &mut source.about.country,
            Part::AsNumber => &mut source.about.as_number,
            Part::AsName => &mut source.about.as_name,
        };
        *place = text(value);
    }

    /// The alert's source as rules left it; `None` when its scope and value do not fit.
    pub(crate) fn source(&self) -> Option<Source> {
        let shown = &self.alert.as_ref()?.source;
        let Ok(scope) = shown.scope.parse::<Scope>();
        let value = match scope {
            Scope::Ip => shown.value.parse::<core::net::IpAddr>().ok()?.to_string(),
            Scope::Range => {
                let range: Cidr = shown.value.parse().ok()?;
                format!("{}/{}", range.address(), range.prefix())
            }
            _ if shown.value.is_empty() => return None,
            _ => shown.value.clone(),
        };
        Some(Source {
            scope,
            value,
            ip: shown.ip.parse().ok(),
            whereabouts: (shown.about != Whereabouts::default())
                .then(|| Box::new(shown.about.clone())),
        })
    }
}

impl SourceShown {
    fn of(source: &Source) -> Self {
        Self {
            scope: source.scope.to_string(),
            value: source.value.clone(),
            ip: source.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            about: source.whereabouts.as_deref().cloned().unwrap_or_default(),
        }
    }
}

type Called<'v> = Option<Result<Value<'v>, EvalError>>;

impl Object for Shown {
    fn type_name(&self) -> &'static str {
        "overflow"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        match name {
            b"Alert" => Some(match &self.alert {
                Some(alert) => Value::Object(alert),
                None => Value::Nil,
            }),
            b"Sources" => Some(Value::Object(&self.sources)),
            b"Whitelisted" => Some(Value::Bool(self.whitelisted)),
            b"Reprocess" => Some(Value::Bool(self.reprocess)),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetSources", []) => {
                let values = self.values().map(Data::text);
                let list = Data::List(values.collect());
                Some(Ok(Value::Tree(Rc::new(list))))
            }
            _ => None,
        }
    }
}

impl Object for AlertShown {
    fn type_name(&self) -> &'static str {
        "alert"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        Some(match name {
            b"Scenario" => Value::from(self.scenario.as_str()),
            b"ScenarioHash" => Value::from(self.hash.as_str()),
            b"Message" => Value::from(self.message.as_str()),
            b"Remediation" => Value::Bool(self.remediation),
            b"Simulated" => Value::Bool(self.simulated),
            b"EventsCount" => Value::Int(self.events_count),
            b"Capacity" => Value::Int(self.capacity),
            b"Leakspeed" => Value::from(self.leakspeed.as_str()),
            b"StartAt" => Value::from(self.start.as_str()),
            b"StopAt" => Value::from(self.stop.as_str()),
            b"Source" => Value::Object(&self.source),
            b"Events" => Value::Object(&self.events),
            _ => return None,
        })
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        if !args.is_empty() {
            return None;
        }
        Some(Ok(match method {
            "GetScenario" => Value::from(self.scenario.as_str()),
            "GetScope" => Value::from(self.source.scope.as_str()),
            "GetValue" => Value::from(self.source.value.as_str()),
            "GetEventsCount" => Value::Int(self.events_count),
            "HasRemediation" => Value::Bool(self.remediation),
            "GetSource" => Value::Object(&self.source),
            _ => return None,
        }))
    }
}

impl Object for SourceShown {
    fn type_name(&self) -> &'static str {
        "source"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        let degrees = |text: &str| Value::Float(text.parse().unwrap_or(0.0));
        Some(match name {
            b"Scope" => Value::from(self.scope.as_str()),
            b"Value" => Value::from(self.value.as_str()),
            b"IP" => Value::from(self.ip.as_str()),
            b"Range" => Value::from(self.about.range.as_str()),
            b"Cn" => Value::from(self.about.country.as_str()),
            b"AsNumber" => Value::from(self.about.as_number.as_str()),
            b"AsName" => Value::from(self.about.as_name.as_str()),
            b"Latitude" => degrees(&self.about.latitude),
            b"Longitude" => degrees(&self.about.longitude),
            _ => return None,
        })
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        if !args.is_empty() {
            return None;
        }
        Some(Ok(match method {
            "GetScope" => Value::from(self.scope.as_str()),
            "GetValue" => Value::from(self.value.as_str()),
            "GetAsNumberName" => {
                let (number, name) = (&self.about.as_number, &self.about.as_name);
                Value::owned(match number.as_str() {
                    "" | "0" => String::new(),
                    number => format!("{number} {name}"),
                })
            }
            _ => return None,
        }))
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
        let found = self.0.iter().find(|(value, _)| value.as_bytes() == name);
        Some(match found {
            Some((_, source)) => Value::Object(source),
            None => Value::Nil,
        })
    }

    fn has(&self, key: &[u8]) -> Option<bool> {
        Some(self.0.iter().any(|(value, _)| value.as_bytes() == key))
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

impl Object for EventShown {
    fn type_name(&self) -> &'static str {
        "event"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        (name == b"Timestamp").then(|| Value::owned(self.0.time().to_string()))
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetMeta", [Value::Str(key)]) => Some(Ok(Value::from(self.0.meta().value(key)))),
            _ => None,
        }
    }
}
