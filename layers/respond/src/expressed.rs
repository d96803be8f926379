//! Profiles as CrowdSec's `profiles.yaml` writes them: filters and durations that are
//! expressions over `Alert`.
//!
//! For: bringing one's profiles along unchanged. Refuses: more than the typed profiles
//! may do: never-ban, local sources, observed volume and what a scenario asks at most
//! still apply, and nothing here bars anybody. Assumes: the file was read by somebody
//! else; [`Draft`] is what it says. On failure: a profile that does not compile is a
//! sentence; a filter that fails at run time does what `on_error` says, and a duration
//! that fails is the one that stands beside it.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use book::{Force, Past};
use expr::{
    Env, EvalError, Expr, Found, Object, Question, Schema, SlotId, Type, Unanswered, Value,
};
use vocab::{Alert, Evidence, Kind, Scope, Source, Timestamp};

use crate::profile::subject;

/// The longest that a computed duration may be: ten years.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// A profile as the file says it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// Expressions, any of which makes it match; at least one.
    pub filters: Vec<String>,
    /// What is asked for.
    pub decisions: Vec<DraftDecision>,
    /// The expression for how long, such as `Sprintf('%dh', 4)`; empty for none.
    pub duration_expr: String,
    /// `break` ends the search when it matches.
    pub on_success: String,
    /// `break` ends the search when it does not.
    pub on_failure: String,
    /// What a filter that fails means: `break`, `apply`, or on to the next profile.
    pub on_error: String,
}

/// One decision of a profile as the file says it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DraftDecision {
    /// `ban`, `captcha`, or whatever a bouncer understands.
    pub kind: String,
    /// For how long; empty for four hours, as CrowdSec has it.
    pub duration: String,
    /// The scope, where it is not the alert's own; empty for that.
    pub scope: String,
    /// Whether it is only shown.
    pub simulated: bool,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) lasts: Duration,
    pub(crate) scope: Option<Scope>,
    pub(crate) simulated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnError {
    GoOn,
    Break,
    Apply,
}

/// A profile that runs.
#[derive(Clone, Debug)]
pub struct Expressed {
    pub(crate) name: String,
    filters: Arc<[Expr]>,
    pub(crate) asked: Vec<Asked>,
    duration: Option<Arc<Expr>>,
    pub(crate) last: bool,
    last_unless: bool,
    on_error: OnError,
}

/// Two that were compiled from the same texts are the same.
impl PartialEq for Expressed {
    fn eq(&self, other: &Self) -> bool {
        let sources = |one: &Self| -> Vec<String> {
            let all = one.filters.iter().chain(one.duration.as_deref());
            all.map(|expression| expression.source().to_owned())
                .collect()
        };
        self.name == other.name
            && self.asked == other.asked
            && (self.last, self.last_unless, self.on_error)
                == (other.last, other.last_unless, other.on_error)
            && sources(self) == sources(other)
    }
}

/// What a profile says to an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// It matches.
    Match,
    /// It does not; the next one is asked.
    Pass,
    /// It does not, and no other is asked.
    End,
}

impl Expressed {
    /// Compiles a profile.
    ///
    /// # Errors
    /// A sentence that says which part is wrong and how.
    pub fn compile(draft: &Draft) -> Result<Self, String> {
        let name = &draft.name;
        let wrong =
            |what: &str, error: &dyn fmt::Display| format!("the profile '{name}': {what}: {error}");
        let mut filters = Vec::new();
        for text in &draft.filters {
            let compiled = expr::compile(text, &mut AlertSchema, Type::Bool);
            filters.push(compiled.map_err(|error| wrong("a filter is wrong", &error))?);
        }
        if filters.is_empty() {
            return Err(wrong(
                "it has no filters",
                &"write `- 'true'` for every alert",
            ));
        }
        let duration = match draft.duration_expr.trim() {
            "" => None,
            text => {
                let compiled = expr::compile(text, &mut AlertSchema, Type::Any);
                Some(compiled.map_err(|error| wrong("duration_expr is wrong", &error))?)
            }
        };
        let mut asked = Vec::new();
        for decision in &draft.decisions {
            asked.push(read(decision).map_err(|error| wrong("a decision is wrong", &error))?);
        }
        let is_break = |key: &str, text: &str| match text {
            "break" => Ok(true),
            "" | "continue" => Ok(false),
            other => Err(wrong(
                key,
                &format!("{other:?} is neither break nor continue"),
            )),
        };
        Ok(Self {
            name: name.clone(),
            filters: filters.into(),
            asked,
            duration: duration.map(Arc::new),
            last: is_break("on_success", &draft.on_success)?,
            last_unless: is_break("on_failure", &draft.on_failure)?,
            on_error: match draft.on_error.as_str() {
                "" | "continue" | "ignore" => OnError::GoOn,
                "break" => OnError::Break,
                "apply" => OnError::Apply,
                other => {
                    let what = format!("{other:?} is none of break, continue, apply, ignore");
                    return Err(wrong("on_error", &what));
                }
            },
        })
    }

    /// Whether it matches an alert, and whether others are asked.
    pub(crate) fn answer(&self, alert: &Alert, past: &[Past], now: Timestamp) -> Answer {
        let env = AlertEnv::new(alert, past, now);
        let mut failed = false;
        for filter in self.filters.iter() {
            match filter.truth(&env) {
                Ok(true) => return Answer::Match,
                Ok(false) => {}
                Err(_) => failed = true,
            }
        }
        match (failed, self.on_error) {
            (true, OnError::Apply) => Answer::Match,
            (true, OnError::Break) => Answer::End,
            _ if self.last_unless => Answer::End,
            _ => Answer::Pass,
        }
    }

    /// How long a decision lasts: as `duration_expr` says where there is one and it
    /// makes sense.
    pub(crate) fn lasts(
        &self,
        asked: &Asked,
        alert: &Alert,
        past: &[Past],
        now: Timestamp,
    ) -> Duration {
        let computed = self.duration.as_ref().and_then(|expression| {
            let env = AlertEnv::new(alert, past, now);
            let span = match expression.eval(&env).ok()? {
                Value::Str(text) => {
                    let text = core::str::from_utf8(&text).ok()?.to_owned();
                    vocab::time::parse_duration(text.trim())?
                }
                Value::Duration(nanos) => Duration::from_nanos(u64::try_from(nanos).ok()?),
                _ => return None,
            };
            (!span.is_zero()).then_some(span.min(LONGEST))
        });
        computed.unwrap_or(asked.lasts)
    }
}

fn read(decision: &DraftDecision) -> Result<Asked, String> {
    let lasts = match decision.duration.trim() {
        "" => Duration::from_secs(4 * 3_600),
        text => vocab::time::parse_duration(text)
            .filter(|span| !span.is_zero())
            .ok_or_else(|| format!("{text:?} is no duration, such as 4h"))?,
    };
    if decision.kind.is_empty() {
        return Err("its type is missing, such as ban".to_owned());
    }
    let Ok(kind) = decision.kind.parse::<Kind>();
    let Ok(scope) = decision.scope.parse::<Scope>();
    Ok(Asked {
        kind,
        lasts: lasts.min(LONGEST),
        scope: (!decision.scope.is_empty()).then_some(scope),
        simulated: decision.simulated,
    })
}

const ALERT: SlotId = SlotId(0);

struct AlertSchema;

impl Schema for AlertSchema {
    fn path(&mut self, path: &[&str]) -> Option<Found> {
        (path.first() == Some(&"Alert")).then_some(Found {
            slot: ALERT,
            ty: Type::Object,
            used: 1,
        })
    }

    fn names(&self, parent: &[&str]) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match parent {
            [] => own(&["Alert"]),
            ["Alert"] => own(&["Scenario", "Remediation", "EventsCount", "Source", "Events"]),
            _ => Vec::new(),
        }
    }
}

/// An alert as expressions see it, and what the book knows of its source.
#[derive(Debug)]
struct AlertEnv<'a> {
    alert: Shown<'a>,
    past: &'a [Past],
    now: Timestamp,
}

#[derive(Debug)]
struct Shown<'a> {
    alert: &'a Alert,
    source: ShownSource<'a>,
    events: ShownEvents<'a>,
    scope: String,
}

#[derive(Debug)]
struct ShownSource<'a> {
    source: &'a Source,
    scope: String,
    ip: String,
}

#[derive(Debug)]
struct ShownEvents<'a>(Vec<ShownEvent<'a>>);

#[derive(Debug)]
struct ShownEvent<'a>(&'a Evidence);

impl<'a> AlertEnv<'a> {
    fn new(alert: &'a Alert, past: &'a [Past], now: Timestamp) -> Self {
        let source = &alert.source;
        let scope = source.scope.to_string();
        Self {
            alert: Shown {
                alert,
                source: ShownSource {
                    source,
                    scope: scope.clone(),
                    ip: source.ip.map(|ip| ip.to_string()).unwrap_or_default(),
                },
                events: ShownEvents(alert.events.iter().map(ShownEvent).collect()),
                scope,
            },
            past,
            now,
        }
    }

    /// Earlier decisions about `value`: only of the alert's own source something is known.
    fn known(&self, value: &[u8]) -> impl Iterator<Item = &'a Past> {
        let source = &self.alert.alert.source;
        let own = source.value.as_bytes() == value
            || self.alert.source.ip.as_bytes() == value
            || subject(self.alert.alert).is_some_and(|it| it.to_string().as_bytes() == value);
        let past = if own { self.past } else { &[] };
        past.iter().filter(|past| past.force >= Force::Throttle)
    }
}

fn count(all: impl Iterator<Item = impl Sized>) -> Value<'static> {
    Value::Int(i64::try_from(all.count()).unwrap_or(i64::MAX))
}

impl Env for AlertEnv<'_> {
    fn text(&self, _: SlotId) -> &[u8] {
        b""
    }

    fn value(&self, _: SlotId) -> Value<'_> {
        Value::Object(&self.alert)
    }

    fn ask(&self, question: &Question<'_>) -> Result<Value<'_>, Unanswered> {
        let now = self.now;
        Ok(match question {
            Question::Now => Value::Time(now),
            Question::Decisions { value } => count(self.known(value)),
            Question::DecisionsSince { value, since } => {
                let window = Duration::from_nanos(u64::try_from(*since).unwrap_or(0));
                count(
                    self.known(value)
                        .filter(|past| now.since(past.created) <= window),
                )
            }
            Question::ActiveDecisions { value } => {
                count(self.known(value).filter(|past| past.until > now))
            }
            Question::ActiveTimeLeft { value } => {
                let left = self
                    .known(value)
                    .map(|past| past.until.since(now).as_nanos());
                Value::Duration(i64::try_from(left.max().unwrap_or(0)).unwrap_or(i64::MAX))
            }
            _ => return Err(Unanswered::Unavailable),
        })
    }
}

type Called<'v> = Option<Result<Value<'v>, EvalError>>;

impl Object for Shown<'_> {
    fn type_name(&self) -> &'static str {
        "alert"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        let alert = self.alert;
        Some(match name {
            b"Scenario" => Value::from(alert.scenario.as_str()),
            b"ScenarioHash" => Value::from(alert.scenario_hash.as_str()),
            b"Remediation" => Value::Bool(alert.remediation),
            b"Simulated" => Value::Bool(alert.simulated),
            b"EventsCount" => events_count(alert),
            b"Source" => Value::Object(&self.source),
            b"Events" => Value::Object(&self.events),
            b"StartAt" => Value::owned(alert.start_at.to_string()),
            b"StopAt" => Value::owned(alert.stop_at.to_string()),
            _ => return None,
        })
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        if !args.is_empty() {
            return None;
        }
        Some(Ok(match method {
            "GetScenario" => Value::from(self.alert.scenario.as_str()),
            "GetScope" => Value::from(self.scope.as_str()),
            "GetValue" => Value::from(self.alert.source.value.as_str()),
            "GetEventsCount" => events_count(self.alert),
            "HasRemediation" => Value::Bool(self.alert.remediation),
            "GetSource" => Value::Object(&self.source),
            _ => return None,
        }))
    }
}

fn events_count(alert: &Alert) -> Value<'static> {
    Value::Int(i64::try_from(alert.events_count).unwrap_or(i64::MAX))
}

impl Object for ShownSource<'_> {
    fn type_name(&self) -> &'static str {
        "source"
    }

    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        let about = self.source.whereabouts.as_deref();
        let known = |of: fn(&vocab::Whereabouts) -> &String| {
            Value::from(about.map_or("", |about| of(about).as_str()))
        };
        Some(match name {
            b"Scope" => Value::from(self.scope.as_str()),
            b"Value" => Value::from(self.source.value.as_str()),
            b"IP" => Value::from(self.ip.as_str()),
            b"Range" => known(|about| &about.range),
            b"Cn" => known(|about| &about.country),
            b"AsNumber" => known(|about| &about.as_number),
            b"AsName" => known(|about| &about.as_name),
            _ => return None,
        })
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetScope", []) => Some(Ok(Value::from(self.scope.as_str()))),
            ("GetValue", []) => Some(Ok(Value::from(self.source.value.as_str()))),
            _ => None,
        }
    }
}

impl Object for ShownEvents<'_> {
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

impl Object for ShownEvent<'_> {
    fn type_name(&self) -> &'static str {
        "event"
    }

    fn call(&self, method: &str, args: &[Value<'_>]) -> Called<'_> {
        match (method, args) {
            ("GetMeta", [Value::Str(key)]) => {
                let key = core::str::from_utf8(key).unwrap_or_default();
                Some(Ok(Value::from(self.0.meta(key))))
            }
            _ => None,
        }
    }
}
