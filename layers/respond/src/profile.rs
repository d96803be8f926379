//! Profiles: which alert asks for which remedy.
//!
//! Profiles stand in order. Every one that matches adds its remedies; one with `last` ends the
//! search, as CrowdSec's `on_success: break` does. Matching is typed, so that a profile that
//! could not match anything cannot be written. Where there are [`Expressed`] ones, in the form
//! of CrowdSec's `profiles.yaml`, they are asked instead.

use core::net::IpAddr;
use core::time::Duration;

use book::{Past, Proposed, source_range};
use vocab::{Alert, Cidr, Kind, Origin, Scope, Timestamp, net::is_local};

use crate::expressed::{Answer, Asked};
use crate::{Because, Escalation, Expressed, NoProposal, Outcome, Proposal};

/// What a remedy's time is divided by when the scenario asks for a milder one: 1 hour, by
/// default.
const MILDER: u32 = 4;

/// What must hold of an alert. Every field that is set must fit; none set means every alert.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Matcher {
    /// One of these scopes; empty for any.
    pub scopes: Vec<Scope>,
    /// The scenario's name is one of these, or begins with one that ends in `*`; empty for any.
    pub scenarios: Vec<String>,
    /// All of these labels; see [`Label`].
    pub labels: Vec<Label>,
    /// At least so many events.
    pub events: u64,
}

/// A label that an alert must carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Its key, such as `behavior`.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What is asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Remedy {
    /// What is to be done.
    pub kind: Kind,
    /// For how long the first time.
    pub lasts: Duration,
    /// How it grows on repetition; `None` for never.
    pub escalation: Option<Escalation>,
}

/// One profile.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// Its name, for people.
    pub name: String,
    /// Which alerts it is for.
    pub matcher: Matcher,
    /// What it asks for; none makes an exception of what matches when `last` is set.
    pub remedies: Vec<Remedy>,
    /// Whether profiles after it are not asked when it matches.
    pub last: bool,
}

/// Whether the site that the alert is about enforces its volume rules by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volume {
    /// It does: volume scenarios bar.
    Enforce,
    /// It still learns what is ordinary: volume scenarios are shown.
    Observe,
    /// The site only observes: whatever is seen there is shown. Otherwise trying Ringwall
    /// out would fill the book, and the first start in earnest would bar them all.
    ObserveAll,
}

/// The profiles in their order.
#[derive(Clone, PartialEq, Debug)]
pub struct Profiles {
    /// In order.
    pub profiles: Vec<Profile>,
    /// Those of a `profiles.yaml`, asked instead of `profiles` where there are any.
    pub expressed: Vec<Expressed>,
    /// Whether local sources (private ranges, VPN, CGNAT) only alert. Off for the loopback demo.
    pub local_alert_only: bool,
    /// Which scenarios are about volume: any of these matchers makes it so.
    pub volume: Vec<Matcher>,
}

impl Default for Profiles {
    /// One profile: every address that a scenario wants remedied is barred for four hours,
    /// doubled on repetition. Four hours outlast a scan and spare whoever gets the address next.
    ///
    /// About volume are: what labels itself `volume: true` (our own rules do), crawling and
    /// denial of service by the hub's `behavior` label, and the hub's plain counts of 401 and 403.
    fn default() -> Self {
        let labelled = |key: &str, value: &str| Matcher {
            labels: vec![Label {
                key: key.to_owned(),
                value: value.to_owned(),
            }],
            ..Matcher::default()
        };
        Self {
            profiles: vec![Profile {
                name: "default".to_owned(),
                matcher: Matcher {
                    scopes: vec![Scope::Ip, Scope::Range],
                    ..Matcher::default()
                },
                remedies: vec![Remedy {
                    kind: Kind::Ban,
                    lasts: Duration::from_secs(4 * 3_600),
                    escalation: Some(Escalation::default()),
                }],
                last: true,
            }],
            expressed: Vec::new(),
            local_alert_only: true,
            volume: vec![
                labelled("volume", "true"),
                labelled("behavior", "http:crawl"),
                labelled("behavior", "http:dos"),
                Matcher {
                    scenarios: vec![
                        "LePresidente/http-generic-401-bf".to_owned(),
                        "LePresidente/http-generic-403-bf".to_owned(),
                    ],
                    ..Matcher::default()
                },
            ],
        }
    }
}

impl Matcher {
    /// Whether the alert fits.
    #[must_use]
    pub fn fits(&self, alert: &Alert) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => alert.scenario.starts_with(beginning),
            None => alert.scenario == *pattern,
        };
        (self.scopes.is_empty() || self.scopes.contains(&alert.source.scope))
            && (self.scenarios.is_empty() || self.scenarios.iter().any(named))
            && self.labels.iter().all(|label| label.is_on(alert))
            && alert.events_count >= self.events
    }
}

impl Label {
    fn is_on(&self, alert: &Alert) -> bool {
        alert.label(&self.key) == self.value
    }
}

/// The remedy, or less when the scenario says what the most is (label `strongest`): rules
/// by which somebody who did nothing wrong can stand among the sources ask for a throttle,
/// which is also over sooner.
fn at_most(alert: &Alert, remedy: &Remedy) -> (Kind, Duration) {
    let most = match alert.label("strongest") {
        "throttle" => Kind::Throttle,
        "observe" => Kind::Observe,
        _ => return (remedy.kind.clone(), remedy.lasts),
    };
    if remedy.kind <= most {
        return (remedy.kind.clone(), remedy.lasts);
    }
    (most, remedy.lasts / MILDER)
}

/// The range that a decision about the alert's source covers, when its scope is an address or a
/// range: an IPv4 address whole, an IPv6 address by its /64. Ask the book for this range's past.
#[must_use]
pub fn subject(alert: &Alert) -> Option<Cidr> {
    let value = alert.source.value.as_str();
    match alert.source.scope {
        Scope::Ip => value.parse::<IpAddr>().ok().map(source_range),
        Scope::Range => value.parse().ok(),
        _ => None,
    }
}

/// What is proposed about `aim` for an alert.
fn proposal(
    alert: &Alert,
    (scope, value): (Scope, String),
    (kind, lasts, because): (Kind, Duration, Because),
) -> Proposal {
    let decision = Proposed {
        scope,
        value,
        kind,
        origin: Origin::Detection,
        reason: alert.scenario.clone(),
        lasts,
    };
    Proposal { decision, because }
}

/// Whom a decision is about: the alert's source, or, where a profile names another scope, what
/// is known of the source in it; `None` where nothing is.
fn aimed(
    asked: &Asked,
    alert: &Alert,
    (own_scope, own_value): (&Scope, &String),
) -> Option<(Scope, String)> {
    let source = &alert.source;
    let wanted = match &asked.scope {
        Some(wanted) if *wanted != source.scope => wanted,
        _ => return Some((own_scope.clone(), own_value.clone())),
    };
    let about = source.whereabouts.as_deref();
    let value = match wanted {
        Scope::Ip => Cidr::host(source.ip?).to_string(),
        Scope::Range => {
            let range: Cidr = about?.range.parse().ok()?;
            // Nobody was given more than that; a database that says so is wrong.
            let widest = if range.address().is_ipv4() { 8 } else { 19 };
            (range.prefix() >= widest).then(|| range.to_string())?
        }
        Scope::Country => about?.country.clone(),
        Scope::As => about?.as_number.clone(),
        _ => source.value.clone(),
    };
    (!value.is_empty()).then(|| (wanted.clone(), value))
}

impl Profiles {
    /// What is proposed for an alert.
    ///
    /// `past` is [`book::Book::past`] of [`subject`]; `volume` is the state of the site that the
    /// alert's events are about (the strictest, when they are about several).
    #[must_use]
    pub fn propose(&self, alert: &Alert, past: &[Past], volume: Volume, now: Timestamp) -> Outcome {
        if !alert.remediation {
            return NoProposal::NoRemediation.into();
        }
        let (scope, value) = match alert.source.scope {
            Scope::Ip | Scope::Range => {
                let Some(range) = subject(alert) else {
                    return NoProposal::NoSource.into();
                };
                if self.local_alert_only && is_local(range.address()) {
                    return NoProposal::Local.into();
                }
                let scope = if range.is_host() {
                    Scope::Ip
                } else {
                    Scope::Range
                };
                (scope, range.to_string())
            }
            _ if alert.source.value.is_empty() => return NoProposal::NoSource.into(),
            _ => (alert.source.scope.clone(), alert.source.value.clone()),
        };
        if !self.expressed.is_empty() {
            return self.propose_expressed(alert, (scope, value), past, volume, now);
        }
        let mut proposals = Vec::new();
        let fitting = self
            .profiles
            .iter()
            .filter(|profile| profile.matcher.fits(alert));
        for profile in fitting {
            for remedy in &profile.remedies {
                let verdict = self.remedy(&profile.name, remedy, alert, past, volume, now);
                proposals.push(proposal(alert, (scope.clone(), value.clone()), verdict));
            }
            if profile.last {
                break;
            }
        }
        proposals.into()
    }

    /// What the profiles of a `profiles.yaml` ask for.
    fn propose_expressed(
        &self,
        alert: &Alert,
        (scope, value): (Scope, String),
        past: &[Past],
        volume: Volume,
        now: Timestamp,
    ) -> Outcome {
        let mut proposals = Vec::new();
        for profile in &self.expressed {
            match profile.answer(alert, past, now) {
                Answer::Match => {}
                Answer::Pass => continue,
                Answer::End => break,
            }
            for asked in &profile.asked {
                let Some(aim) = aimed(asked, alert, (&scope, &value)) else {
                    continue;
                };
                let remedy = Remedy {
                    kind: asked.kind.clone(),
                    lasts: profile.lasts(asked, alert, past, now),
                    escalation: None,
                };
                let (mut kind, lasts, mut because) =
                    self.remedy(&profile.name, &remedy, alert, past, volume, now);
                if asked.simulated {
                    (kind, because) = (Kind::Observe, Because::Simulated);
                }
                proposals.push(proposal(alert, aim, (kind, lasts, because)));
            }
            if profile.last {
                break;
            }
        }
        proposals.into()
    }

    fn remedy(
        &self,
        profile: &str,
        remedy: &Remedy,
        alert: &Alert,
        past: &[Past],
        volume: Volume,
        now: Timestamp,
    ) -> (Kind, Duration, Because) {
        if alert.simulated {
            return (Kind::Observe, remedy.lasts, Because::Simulated);
        }
        if volume == Volume::ObserveAll {
            return (Kind::Observe, remedy.lasts, Because::SiteObserved);
        }
        if volume == Volume::Observe && self.is_volume(alert) {
            return (Kind::Observe, remedy.lasts, Because::VolumeObserved);
        }
        let (kind, base) = at_most(alert, remedy);
        let level = remedy
            .escalation
            .map_or(0, |escalation| escalation.level(past, now));
        let lasts = remedy
            .escalation
            .map_or(base, |escalation| escalation.lasts(base, level));
        let profile = profile.to_owned();
        let because = if level == 0 {
            Because::Remedy { profile }
        } else {
            Because::Repeated {
                profile,
                level,
                base,
            }
        };
        (kind, lasts, because)
    }

    /// Whether the alert's scenario is about volume.
    #[must_use]
    pub fn is_volume(&self, alert: &Alert) -> bool {
        self.volume.iter().any(|matcher| matcher.fits(alert))
    }
}
