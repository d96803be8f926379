//! `[book]`: who is never barred, and how long others are.

use vocab::{Cidr, Timestamp};

use super::{Check, detection::is_name, host_name};
use crate::fault::Cause;
use crate::raw;
use crate::snapshot::{Allow, Book, NeverBan, Prefix, Profile};
use crate::surroundings::FileKind;
use crate::tree::element;

pub(super) fn book(check: &mut Check<'_>, raw: &raw::Book) -> Book {
    let mut never_ban = Vec::new();
    for (index, text) in raw.never_ban.iter().enumerate() {
        never_ban.extend(who(check, &element("book.never_ban", index), text));
    }
    let mut allowed = Vec::new();
    for (index, raw) in raw.allow.iter().enumerate() {
        allowed.extend(allow(check, &element("book.allow", index), raw));
    }
    let mut profiles = Vec::new();
    for (index, raw) in raw.profile.iter().enumerate() {
        profiles.push(profile(check, &element("book.profile", index), raw));
    }
    let crowdsec_profiles = raw
        .crowdsec_profiles
        .as_ref()
        .map(|text| check.existing("book.crowdsec_profiles", text, &FileKind::File));
    Book {
        never_ban,
        allow: allowed,
        // The schema bounds it far below what fits.
        bans_per_minute: u32::try_from(raw.bans_per_minute).unwrap_or(u32::MAX),
        profiles,
        crowdsec_profiles,
        prefix: Prefix {
            offenders: (!raw.prefix.off)
                .then(|| usize::try_from(raw.prefix.offenders).unwrap_or(usize::MAX)),
            within: check.span("book.prefix.within", &raw.prefix.within),
            kind: match raw.prefix.kind {
                raw::PrefixRemedy::Throttle => vocab::Kind::Throttle,
                raw::PrefixRemedy::Observe => vocab::Kind::Observe,
            },
        },
    }
}

fn who(check: &mut Check<'_>, path: &str, text: &str) -> Option<NeverBan> {
    match text {
        "lan" => return Some(NeverBan::Lan),
        "vpn" => return Some(NeverBan::Vpn),
        "wan" => return Some(NeverBan::Wan),
        _ => {}
    }
    if let Ok(range) = text.parse::<Cidr>() {
        if range.prefix() == 0 {
            let help = "Nobody would ever be barred. To watch without barring, set the mode of your sites to observe, or use 'ringwall pause'.";
            check.bad(path, text, "stands for everybody", help);
            return None;
        }
        return Some(NeverBan::Range(range));
    }
    match host_name::host(text) {
        Ok(name) => Some(NeverBan::Name(name)),
        Err(problem) => {
            let help =
                "Expected an address, a range such as 192.0.2.0/24, a host name, lan, vpn or wan.";
            check.bad(path, text, problem, help);
            None
        }
    }
}

fn allow(check: &mut Check<'_>, at: &str, raw: &raw::Allow) -> Option<Allow> {
    let who_path = format!("{at}.who");
    let who = if raw.who.is_empty() && !check.tree.has(&who_path) {
        let help = "Add who = \"192.0.2.7\".";
        check.fault(
            Cause::Missing,
            &who_path,
            "",
            "an allowlist entry needs somebody",
            help,
        );
        None
    } else {
        who(check, &who_path, &raw.who)
    };
    if raw.reason.trim().is_empty() {
        let help = "Add reason = \"…\", for whoever reads it in a year.";
        check.fault(
            Cause::Missing,
            &format!("{at}.reason"),
            "",
            "an allowlist entry needs a reason",
            help,
        );
    }
    let until = raw.until.as_ref().and_then(|text| {
        let read = text.parse::<Timestamp>();
        if let Err(error) = read {
            let help = "Leave it out for always.";
            check.bad(&format!("{at}.until"), text, &error.to_string(), help);
        }
        read.ok()
    });
    Some(Allow {
        who: who?,
        reason: raw.reason.clone(),
        until,
    })
}

fn profile(check: &mut Check<'_>, at: &str, raw: &raw::Profile) -> Profile {
    let key = format!("{at}.scenarios");
    if raw.scenarios.is_empty() {
        let help = "Write [\"*\"] for all of them.";
        check.fault(Cause::Missing, &key, "", "a profile needs scenarios", help);
    }
    for (index, name) in raw.scenarios.iter().enumerate() {
        let start = name.strip_suffix('*').unwrap_or(name);
        if !(is_name(start) || name == "*") {
            let help = "Expected a name such as crowdsecurity/http-probing, or its beginning with '*' at the end.";
            check.bad(
                &element(&key, index),
                name,
                "not the name of a scenario",
                help,
            );
        }
    }
    let duration = check.span(&format!("{at}.duration"), &raw.duration);
    let cap_path = format!("{at}.cap");
    let cap = check.span(&cap_path, &raw.cap);
    if cap < duration {
        let problem = format!("is shorter than the duration ({})", raw.duration.0);
        let place = if check.tree.has(&cap_path) {
            cap_path
        } else {
            format!("{at}.duration")
        };
        let help = "The cap is the longest that the duration grows to.";
        check.fault(Cause::Conflict, &place, &raw.cap.0, &problem, help);
    }
    Profile {
        scenarios: raw.scenarios.clone(),
        kind: match raw.kind {
            raw::Remedy::Ban => vocab::Kind::Ban,
            raw::Remedy::Throttle => vocab::Kind::Throttle,
            raw::Remedy::Observe => vocab::Kind::Observe,
        },
        duration,
        escalation: raw.escalation,
        cap,
        forget_after: check.span(&format!("{at}.forget_after"), &raw.forget_after),
    }
}
