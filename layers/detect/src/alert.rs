//! From a full bucket to its overflow, and alerts as people and machines read them.
//!
//! For: finding whom the kept events are about, and putting the scenario's name,
//! labels and the evidence around it. Refuses: to decide anything about the
//! source. Assumes: the bucket keeps at least its last event. On failure: events
//! that name no valid source are left out; without any, there is no overflow.

use core::fmt;
use core::net::IpAddr;
use std::collections::HashSet;

use vocab::time::Span;
use vocab::{Alert, Cidr, ClientAddr, Scope, Source, Timestamp, Whereabouts};

use crate::bucket::{
    Bucket, BucketSpec, Held, MAX_KEPT, Pairs, ScenarioId, ScopeRule, is_foreign, text,
};
use crate::overflow::Overflow;
use crate::shard::{Mode, Realm};

/// The overflow of a bucket at `stop`; `None` when its events name no source.
pub(crate) fn assemble(
    spec: &BucketSpec,
    (scenario, group): (ScenarioId, u128),
    bucket: &Bucket,
    mode: Mode,
    stop: Timestamp,
) -> Option<Overflow> {
    let sources = sources(spec, bucket, mode);
    if sources.is_empty() {
        return None;
    }
    let mut spec = spec.clone();
    if is_foreign(group) {
        slow_at_most(&mut spec);
    }
    Some(Overflow {
        scenario,
        spec,
        realm: Realm::of(group),
        sources,
        events: bucket.queue.iter().map(|held| held.kept.clone()).collect(),
        events_count: bucket.total,
        start_at: bucket.first,
        stop_at: stop,
        whitelisted: None,
        context: Vec::new(),
        depth: bucket
            .queue
            .iter()
            .filter_map(|held| held.kept.about())
            .map(|about| about.depth + 1)
            .max()
            .unwrap_or(0),
        foreign: is_foreign(group),
    })
}

/// Lets its alerts ask for a throttle at most, as the label `strongest` does.
fn slow_at_most(spec: &mut BucketSpec) {
    spec.labels.retain(|(name, _)| name != "strongest");
    spec.labels
        .push(("strongest".to_owned(), "throttle".to_owned()));
    spec.labels.sort();
}

fn sources(spec: &BucketSpec, bucket: &Bucket, mode: Mode) -> Vec<Source> {
    let mut found: Vec<Source> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    let mut add = |source: Source| {
        if found.len() < MAX_KEPT && known.insert(source.value.clone()) {
            found.push(source);
        }
    };
    for held in bucket.queue.iter() {
        match held.kept.about() {
            Some(about) => about
                .sources
                .iter()
                .filter_map(|source| inherited(&spec.scope, source, held))
                .for_each(&mut add),
            None => {
                let Some(mut source) = source(&spec.scope, held) else {
                    continue;
                };
                if mode == Mode::Replay && spec.scope == ScopeRule::Ip {
                    // Nobody is barred for it, so it stands as the log has it, as in
                    // CrowdSec. On live traffic `::ffff:192.0.2.1` is 192.0.2.1.
                    source.value = text(held.kept.meta().value(b"source_ip"));
                }
                add(source);
            }
        }
    }
    if mode == Mode::Live
        && let Some(subscriber) = one_subscriber(&found)
    {
        return vec![subscriber];
    }
    found
}

/// A source of an overflow that was poured, as a scenario's scope wants it: as it is, or
/// an address as the range it is known to lie in.
fn inherited(rule: &ScopeRule, source: &Source, held: &Held) -> Option<Source> {
    let wanted = match rule {
        ScopeRule::Ip => &Scope::Ip,
        ScopeRule::Range => &Scope::Range,
        ScopeRule::Expression(scope) => scope,
    };
    if *wanted == source.scope {
        return Some(source.clone());
    }
    if *wanted != Scope::Range || source.scope != Scope::Ip {
        return None;
    }
    let known = source.whereabouts.as_ref();
    let value = match rule {
        ScopeRule::Expression(_) => held.scope_value()?,
        _ => known?.range.as_str(),
    };
    Some(Source {
        whereabouts: source.whereabouts.clone(),
        ..range(value, source.ip)?
    })
}

/// Several IPv6 addresses of one /64 are one subscriber, counted in one bucket
/// on live traffic; barring one of them would bar nobody.
fn one_subscriber(sources: &[Source]) -> Option<Source> {
    let [first, _, ..] = sources else {
        return None;
    };
    let key = |source: &Source| {
        (source.scope == Scope::Ip)
            .then(|| source.ip.map(|ip| ClientAddr::new(ip).counting_key()))
            .flatten()
            .filter(IpAddr::is_ipv6)
    };
    let range = key(first)?;
    if !sources.iter().all(|source| key(source) == Some(range)) {
        return None;
    }
    Some(Source {
        scope: Scope::Range,
        value: Cidr::new(range, 64)?.to_string(),
        ip: first.ip,
        whereabouts: None,
    })
}

fn source(rule: &ScopeRule, held: &Held) -> Option<Source> {
    let ip: Option<IpAddr> = address(held.kept.meta().value(b"source_ip"));
    let found = bare(rule, held, ip)?;
    let whereabouts = ip.and_then(|_| whereabouts(held.kept.meta())).map(Box::new);
    Some(Source {
        whereabouts,
        ..found
    })
}

/// What parsers wrote of where the address lies.
fn whereabouts(meta: Pairs<'_>) -> Option<Whereabouts> {
    let value = |key: &[u8]| text(meta.value(key));
    let range = value(b"SourceRange").parse::<Cidr>().ok();
    let found = Whereabouts {
        range: range.map_or_else(String::new, |range| {
            format!("{}/{}", range.address(), range.prefix())
        }),
        as_number: value(b"ASNNumber"),
        as_name: value(b"ASNOrg"),
        country: value(b"IsoCode"),
        ..Whereabouts::default()
    };
    (found != Whereabouts::default()).then_some(found)
}

fn bare(rule: &ScopeRule, held: &Held, ip: Option<IpAddr>) -> Option<Source> {
    match rule {
        ScopeRule::Ip => ip.map(|ip| Source {
            scope: Scope::Ip,
            value: ip.to_string(),
            ip: Some(ip),
            whereabouts: None,
        }),
        ScopeRule::Range => range(&text(held.kept.meta().value(b"SourceRange")), ip),
        ScopeRule::Expression(Scope::Range) => range(held.scope_value()?, ip),
        ScopeRule::Expression(Scope::Ip) => {
            let ip = address(held.scope_value()?.as_bytes())?;
            Some(Source {
                scope: Scope::Ip,
                value: ip.to_string(),
                ip: Some(ip),
                whereabouts: None,
            })
        }
        ScopeRule::Expression(scope) => {
            let value = held.scope_value().filter(|value| !value.is_empty())?;
            Some(Source {
                scope: scope.clone(),
                value: value.to_owned(),
                ip,
                whereabouts: None,
            })
        }
    }
}

fn range(value: &str, ip: Option<IpAddr>) -> Option<Source> {
    let range: Cidr = value.parse().ok()?;
    Some(Source {
        scope: Scope::Range,
        value: format!("{}/{}", range.address(), range.prefix()),
        ip,
        whereabouts: None,
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = core::str::from_utf8(bytes).ok()?.parse().ok()?;
    Some(ip.to_canonical())
}

/// An alert in one sentence: who did what, how often, for how long, until when.
#[derive(Clone, Copy, Debug)]
pub struct Sentence<'a>(pub &'a Alert);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alert = self.0;
        write!(f, "{} {} ", alert.source.scope, alert.source.value)?;
        match alert.label("label") {
            "" => write!(f, "performed '{}'", alert.scenario)?,
            label => f.write_str(label)?,
        }
        let span = alert.stop_at.since(alert.start_at);
        write!(
            f,
            " ({} event{} over {}, until {})",
            alert.events_count,
            if alert.events_count == 1 { "" } else { "s" },
            Span(span),
            alert.stop_at,
        )
    }
}

/// An alert as `ringwall replay` prints it: one JSON object with the keys
/// `scenario`, `scope`, `value`, `events_count`, `start_at`, `stop_at`,
/// `remediation`, in this order.
#[derive(Clone, Copy, Debug)]
pub struct JsonLine<'a>(pub &'a Alert);

impl fmt::Display for JsonLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alert = self.0;
        let text = |text: &str| serde_json::Value::from(text);
        write!(
            f,
            "{{\"scenario\":{},\"scope\":{},\"value\":{},\"events_count\":{},\
             \"start_at\":\"{}\",\"stop_at\":\"{}\",\"remediation\":{}}}",
            text(&alert.scenario),
            text(&alert.source.scope.to_string()),
            text(&alert.source.value),
            alert.events_count,
            alert.start_at,
            alert.stop_at,
            alert.remediation,
        )
    }
}

#[cfg(test)]
mod tests {
    use vocab::Timestamp;

    use super::*;

    fn alert() -> Alert {
        Alert {
            scenario: "test/a\"b".to_owned(),
            scenario_hash: "h".to_owned(),
            source: Source {
                scope: Scope::Ip,
                value: "192.0.2.1".to_owned(),
                ip: None,
                whereabouts: None,
            },
            events_count: 6,
            start_at: Timestamp::from_unix_seconds(0),
            stop_at: Timestamp::from_unix_seconds(90),
            events: Vec::new(),
            remediation: true,
            simulated: false,
            labels: Vec::new(),
            context: Vec::new(),
            exempt: None,
        }
    }

    #[test]
    fn an_alert_is_one_line_of_json_with_the_promised_keys() {
        assert_eq!(
            JsonLine(&alert()).to_string(),
            r#"{"scenario":"test/a\"b","scope":"Ip","value":"192.0.2.1","events_count":6,"start_at":"1970-01-01T00:00:00Z","stop_at":"1970-01-01T00:01:30Z","remediation":true}"#
        );
    }

    #[test]
    fn an_alert_is_a_sentence_that_says_what_was_done() {
        let mut alert = alert();
        alert.labels = vec![("label".to_owned(), "guessed passwords".to_owned())];
        assert_eq!(
            Sentence(&alert).to_string(),
            "Ip 192.0.2.1 guessed passwords (6 events over 1m30s, until 1970-01-01T00:01:30Z)"
        );
        alert.labels.clear();
        alert.events_count = 1;
        assert_eq!(
            Sentence(&alert).to_string(),
            "Ip 192.0.2.1 performed 'test/a\"b' (1 event over 1m30s, until 1970-01-01T00:01:30Z)"
        );
    }
}
