//! `[detection]`: rules and their tuning.

use std::collections::BTreeMap;

use super::Check;
use crate::fault::Cause;
use crate::raw;
use crate::snapshot::{Detection, HostPattern, OnBrokenRule, Tune};
use crate::surroundings::FileKind;
use crate::tree::{below, element};

pub(super) fn detection(check: &mut Check<'_>, raw: &raw::Detection) -> Detection {
    let mut folder = |key: &str, text: &Option<String>| {
        let path = format!("detection.{key}");
        text.as_ref()
            .map(|text| check.existing(&path, text, &FileKind::Directory))
    };
    let hub = folder("hub", &raw.hub);
    let rules = folder("rules", &raw.rules);
    let patterns = folder("patterns", &raw.patterns);
    let data = folder("data", &raw.data);
    if raw.hub.is_none() && !raw.items.is_empty() && !check.tree.is_broken("detection.hub") {
        let help =
            "Set detection.hub to a checkout of the hub, or leave the items out for our own rules.";
        check.fault(
            Cause::Conflict,
            "detection.items",
            "",
            "items are of a hub, and no hub is named",
            help,
        );
    }
    names(check, "detection.items", &raw.items);
    names(check, "detection.simulation", &raw.simulation);
    let crowdsec_simulation = raw
        .crowdsec_simulation
        .as_ref()
        .map(|text| check.existing("detection.crowdsec_simulation", text, &FileKind::File));
    if let Some(problem) = not_fetchable(&raw.hub_url) {
        let help = "Expected https://host/folder without a user name, a query or a fragment.";
        check.bad("detection.hub_url", &raw.hub_url, problem, help);
    }
    Detection {
        enabled: raw.enabled,
        hub,
        hub_url: raw.hub_url.clone(),
        items: raw.items.clone(),
        rules,
        patterns,
        data,
        on_broken_rule: match raw.on_broken_rule {
            raw::BrokenRule::Skip => OnBrokenRule::Skip,
            raw::BrokenRule::Refuse => OnBrokenRule::Refuse,
        },
        simulation: raw.simulation.clone(),
        crowdsec_simulation,
        tune: tuned(check, &raw.tune),
        learn: check.span("detection.learn", &raw.learn),
    }
}

fn names(check: &mut Check<'_>, path: &str, names: &[String]) {
    for (index, name) in names.iter().enumerate() {
        if !is_name(name) {
            let help = "Expected a name such as crowdsecurity/http-probing.";
            check.bad(&element(path, index), name, "not a name of the hub", help);
        }
    }
}

/// What is wrong with a text that should be the address of a folder on the web. Whoever
/// fetches from it reads it more closely.
fn not_fetchable(text: &str) -> Option<&'static str> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Some("starts with neither https:// nor http://");
    };
    let odd = |byte: u8| byte.is_ascii_control() || byte == b' ' || !byte.is_ascii();
    if rest.is_empty() || rest.starts_with('/') {
        return Some("names no host");
    }
    if rest.contains(['@', '?', '#', '\\']) || rest.bytes().any(odd) || text.len() > 1_024 {
        return Some("is not the address of a folder on the web");
    }
    None
}

/// Names are shown in terminals and looked up as paths: nothing odd in them.
pub(super) fn is_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 256 && name.bytes().all(plain) && !name.contains("..")
}

fn tuned(check: &mut Check<'_>, raw: &BTreeMap<String, raw::Tune>) -> BTreeMap<String, Tune> {
    let mut tuned = BTreeMap::new();
    for (name, raw) in raw {
        let path = below("detection.tune", name);
        if !is_name(name) {
            let help = "Expected [detection.tune.\"crowdsecurity/http-probing\"].";
            check.bad(&path, name, "not the name of a scenario", help);
        }
        let leakspeed = raw
            .leakspeed
            .as_ref()
            .map(|span| check.span(&format!("{path}.leakspeed"), span));
        let blackhole = raw
            .blackhole
            .as_ref()
            .map(|span| check.span(&format!("{path}.blackhole"), span));
        let mut off_at = Vec::new();
        for (index, host) in raw.off_at.iter().enumerate() {
            let at = element(&format!("{path}.off_at"), index);
            match HostPattern::read(host) {
                Ok(host) => off_at.push(host),
                Err(problem) => {
                    let help = "Name a site by one of its hosts, as it stands in edge.site.";
                    check.bad(&at, host, problem, help);
                }
            }
        }
        let tune = Tune {
            capacity: raw
                .capacity
                .map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
            leakspeed,
            blackhole,
            off: raw.off,
            off_at,
        };
        tuned.insert(name.clone(), tune);
    }
    tuned
}
