//! What the control socket's questions are answered with.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use vocab::{Alert, Cidr};

use crate::configuration::Beginning;
use crate::control::protocol::{Ask, ExplainView, RuleView};
use crate::control::server::{Caller, Oracle};
use crate::daemon::Daemon;
use crate::{Error, now, posture};

/// The longest a listing gets.
const MOST_ALERTS: usize = 10_000;

/// Answers questions about one running instance.
pub struct Desk {
    daemon: Arc<Daemon>,
    beginning: Beginning,
    stop: Arc<Notify>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk; `stop` is told when somebody asks for the end.
    #[must_use]
    pub fn new(daemon: Arc<Daemon>, beginning: Beginning, stop: Arc<Notify>) -> Self {
        Self {
            daemon,
            beginning,
            stop,
        }
    }

    /// Reads the configuration again, all or nothing.
    ///
    /// # Errors
    /// What is wrong with it; the old one stays.
    pub fn reload(&self) -> Result<String, String> {
        // The helper first, so that it allows what the new configuration asks for.
        if let Err(why) = self.daemon.hands().access.reload() {
            tracing::warn!(%why, "helper did not read the configuration again");
        }
        let loaded = self.beginning.load(&self.daemon.hands().access);
        let reloaded = loaded.and_then(|config| self.daemon.reload(config));
        reloaded.map_err(|error| match error {
            Error::Config(faults) => faults.told(),
            Error::Operator(sentence) | Error::Usage(sentence) => {
                let gap = if sentence.contains('\n') { '\n' } else { ' ' };
                format!("{sentence}{gap}The old configuration stays in force.")
            }
            Error::Findings => String::new(),
        })
    }

    fn explain(&self, subject: &str) -> Result<ExplainView, String> {
        let why = self.daemon.bookkeeper().why(subject)?;
        let mut rules: Vec<RuleView> = Vec::new();
        for alert in &why.alerts {
            if rules.iter().all(|rule| rule.name != alert.scenario) {
                rules.push(self.rule(alert));
            }
        }
        Ok(ExplainView { why, rules })
    }

    /// The rule behind an alert, as it runs now.
    fn rule(&self, alert: &Alert) -> RuleView {
        let name = alert.scenario.clone();
        match self.daemon.watch().definition(&name) {
            Some(now) => RuleView {
                name,
                runs: true,
                unchanged: now.hash == alert.scenario_hash,
                kind: now.kind.to_owned(),
                filter: now.filter,
                groupby: now.groupby,
                distinct: now.distinct,
                overflows: now.overflows,
            },
            None => RuleView {
                name,
                runs: false,
                unchanged: false,
                kind: String::new(),
                filter: String::new(),
                groupby: String::new(),
                distinct: String::new(),
                overflows: String::new(),
            },
        }
    }

    fn pause(&self, seconds: Option<u64>) -> String {
        let pause = self.daemon.pause(seconds.map(Duration::from_secs));
        match pause.until {
            Some(until) => {
                format!(
                    "Paused until {}: no ban, limit or rule holds.",
                    until.to_the_second()
                )
            }
            None => "Paused until 'ringwall resume': no ban, limit or rule holds.".to_owned(),
        }
    }
}

impl Oracle for Desk {
    fn answer(&self, ask: Ask, caller: Caller) -> Result<serde_json::Value, String> {
        let book = self.daemon.bookkeeper();
        if let Some(action) = deed(&ask) {
            let detail = serde_json::to_string(&ask).unwrap_or_default();
            book.store()
                .audit(now(), &format!("uid {}", caller.uid), action, &detail);
        }
        match ask {
            Ask::Status => json(&posture::status(&self.daemon)),
            Ask::Pause { seconds } => json(&self.pause(seconds)),
            Ask::Resume => {
                self.daemon.resume();
                json(&"Enforcing again.")
            }
            Ask::Reload => json(&self.reload()?),
            Ask::Down => {
                self.stop.notify_one();
                json(
                    &"Draining and stopping. Ringwall changed nothing in the kernel that must be undone.",
                )
            }
            Ask::Why { subject } => json(&book.why(&subject)?),
            Ask::Explain { subject } => json(&self.explain(&subject)?),
            Ask::Decisions { value } => json(&book.decisions(range(value.as_deref())?)),
            Ask::Decide {
                value,
                kind,
                seconds,
                reason,
            } => json(&book.decide(&value, &kind, Duration::from_secs(seconds), &reason)?),
            Ask::Undecide { subject } => json(&book.undecide(&subject)?),
            Ask::Alerts { limit, value } => {
                json(&book.alerts(limit.min(MOST_ALERTS), value.as_deref()))
            }
            Ask::Allowlist => json(&book.allowlist()),
            Ask::Allow {
                value,
                reason,
                seconds,
            } => json(&book.allow(&value, &reason, seconds.map(Duration::from_secs))?),
            Ask::Disallow { value } => json(&book.disallow(&value)?),
        }
    }
}

/// The name in the audit trail of what changes something.
fn deed(ask: &Ask) -> Option<&'static str> {
    match ask {
        Ask::Pause { .. } => Some("pause"),
        Ask::Resume => Some("resume"),
        Ask::Reload => Some("reload"),
        Ask::Down => Some("down"),
        Ask::Decide { .. } => Some("decision.add"),
        Ask::Undecide { .. } => Some("decision.delete"),
        Ask::Allow { .. } => Some("allowlist.add"),
        Ask::Disallow { .. } => Some("allowlist.delete"),
        Ask::Status
        | Ask::Why { .. }
        | Ask::Explain { .. }
        | Ask::Decisions { .. }
        | Ask::Alerts { .. }
        | Ask::Allowlist => None,
    }
}

fn range(value: Option<&str>) -> Result<Option<Cidr>, String> {
    value
        .map(|text| {
            text.parse()
                .map_err(|error| format!("'{text}' is {error}."))
        })
        .transpose()
}

fn json<T: Serialize>(value: &T) -> Result<serde_json::Value, String> {
    serde_json::to_value(value).map_err(|error| format!("The answer cannot be written: {error}."))
}
