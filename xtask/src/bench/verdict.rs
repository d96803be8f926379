//! Figures held against the aims, and where a peer is better.

use std::fmt::Write as _;

use anyhow::Result;

use super::Measured;
use super::rounds::{Row, Spread};

/// Where we want to be, as multiples of nginx's processor time a request.
const TARGET_OFF: f64 = 1.6;
const TARGET_ON: f64 = 2.0;
const TARGET_TLS: f64 = 1.8;
/// As multiples of nginx's p99 at half load.
const TARGET_P99: f64 = 1.5;
/// Processor microseconds a request for limits and detection.
const TARGET_PROTECTION: f64 = 3.0;
/// MiB with all idle and all busy connections, plain and in TLS.
const TARGET_MEMORY: f64 = 80.0;
const TARGET_MEMORY_TLS: f64 = 150.0;
/// Microseconds from the deciding request to the first refusal, at the 99th percentile.
const TARGET_REACTION: f64 = 1000.0;

/// An aim and what was reached.
struct Aim {
    what: String,
    reached: Spread,
    most: f64,
    unit: &'static str,
}

fn aims(measured: &Measured) -> Vec<Aim> {
    let find = |rows: &[Row], name: &str| rows.iter().find(|row| row.name == name).cloned();
    let mut aims = Vec::new();
    let mut aim = |what: String, reached: Spread, most: f64, unit: &'static str| {
        aims.push(Aim {
            what,
            reached,
            most,
            unit,
        });
    };
    let on = find(&measured.on, "ringwall");
    if let Some(off) = find(&measured.off, "ringwall") {
        let what = "CPU a request, everything off, beside nginx".to_owned();
        aim(what, off.ratio, TARGET_OFF, "×");
    }
    if let Some(on) = &on {
        let what = "CPU a request, everything on, beside nginx".to_owned();
        aim(what, on.ratio, TARGET_ON, "×");
    }
    let logged = find(&measured.on, "ringwall, log only");
    let full = find(&measured.on, "ringwall, full book");
    if let (Some(logged), Some(on), Some(full)) = (&logged, &on, &full) {
        let bans = measured.bans.bans;
        for (own, book) in [(on, String::new()), (full, format!(", {bans} bans"))] {
            let what = format!("CPU a request for limits and detection{book}");
            aim(
                what,
                dearer(&own.each, &logged.each),
                TARGET_PROTECTION,
                "µs",
            );
            let what = format!("of it in user space{book}");
            aim(
                what,
                dearer(&own.each_user, &logged.each_user),
                TARGET_PROTECTION,
                "µs",
            );
        }
    }
    if let Some(tls) = find(&measured.tls, "ringwall") {
        let what = "CPU a request, everything on, in TLS, beside nginx".to_owned();
        aim(what, tls.ratio, TARGET_TLS, "×");
    }
    for one in &measured.steady {
        if one.name.starts_with("ringwall") {
            let what = format!("{}: p99 at half load beside nginx", one.name);
            aim(what, one.ratio, TARGET_P99, "×");
        }
    }
    for (rows, how, most) in [
        (&measured.memory, "", TARGET_MEMORY),
        (&measured.memory_tls, ", TLS", TARGET_MEMORY_TLS),
    ] {
        if let Some(own) = rows.iter().find(|one| one.name == "ringwall") {
            let (idle, active) = (measured.scale.idle, measured.scale.active);
            let what = format!("memory with {idle} idle and {active} busy connections{how}");
            aim(what, Spread::of(&[own.active]), most, "MiB");
        }
    }
    for (one, how) in [
        (measured.calm, "alone"),
        (measured.full, "alone, full book"),
        (measured.half_loaded, "at half load"),
        (measured.loaded, "on a core kept full"),
    ] {
        let what = format!("p99 from the deciding request to the first refusal, {how}");
        aim(what, Spread::of(&[one.p99]), TARGET_REACTION, "µs");
    }
    aims
}

/// Each aim with what was reached, then where a peer is better.
pub(super) fn write(out: &mut String, measured: &Measured) -> Result<()> {
    writeln!(
        out,
        "### Against the aims\n\n| | at most | reached (middle half) | |\n|---|---|---|---|"
    )?;
    for aim in aims(measured) {
        let Aim {
            what,
            reached,
            most,
            unit,
        } = aim;
        let word = if reached.median <= most {
            "held"
        } else {
            "**missed**"
        };
        writeln!(
            out,
            "| {what} | {most} {unit} | {:.2} {unit} ({:.2} to {:.2}) | {word} |",
            reached.median, reached.lower, reached.upper
        )?;
    }
    writeln!(out, "\nWorse than a peer:\n")?;
    let found = worse(measured);
    if found.is_empty() {
        writeln!(out, "- nothing that was measured here.")?;
    }
    for sentence in found {
        writeln!(out, "- {sentence}")?;
    }
    writeln!(out)?;
    Ok(())
}

/// What `dear` costs more than `cheap`, round by round.
fn dearer(dear: &[f64], cheap: &[f64]) -> Spread {
    let more: Vec<f64> = dear
        .iter()
        .zip(cheap)
        .map(|(dear, cheap)| dear - cheap)
        .collect();
    Spread::of(&more)
}

/// `own` beside `peer`, round by round.
fn times(own: &Row, peer: &Row) -> Spread {
    let rounds = own.each.iter().zip(&peer.each);
    let ratios: Vec<f64> = rounds.map(|(own, peer)| own / peer).collect();
    Spread::of(&ratios)
}

fn worse(measured: &Measured) -> Vec<String> {
    let mut found = Vec::new();
    for (when, rows) in [
        ("Everything off", &measured.off),
        ("Everything on", &measured.on),
        ("In TLS", &measured.tls),
    ] {
        let Some(own) = rows.iter().find(|row| row.name == "ringwall") else {
            continue;
        };
        for peer in rows.iter().filter(|row| !row.name.starts_with("ringwall")) {
            let mut points = Vec::new();
            let figures = [
                ("processor time a request", times(own, peer).median, 1.0),
                ("p50 latency", own.p50, peer.p50),
                ("p99 latency", own.p99, peer.p99),
                ("memory", own.resident, peer.resident),
            ];
            for (what, mine, theirs) in figures {
                if mine > theirs {
                    points.push(format!("{:.2} × its {what}", mine / theirs));
                }
            }
            if !points.is_empty() {
                found.push(format!(
                    "{when}, beside {}: {}.",
                    peer.name,
                    points.join(", ")
                ));
            }
        }
    }
    for (when, rows) in [
        ("With idle connections", &measured.memory),
        ("With idle connections in TLS", &measured.memory_tls),
    ] {
        let Some(own) = rows.iter().find(|one| one.name == "ringwall") else {
            continue;
        };
        for peer in rows
            .iter()
            .filter(|one| one.name != own.name && one.idle < own.idle)
        {
            found.push(format!(
                "{when}, beside {}: {:.1} MiB to its {:.1}.",
                peer.name, own.idle, peer.idle
            ));
        }
    }
    let own = measured.steady.iter().find(|one| one.name == "ringwall");
    for peer in measured
        .steady
        .iter()
        .filter(|one| !one.name.starts_with("ringwall"))
    {
        if let Some(own) = own.filter(|own| own.p99.median > peer.p99.median) {
            found.push(format!(
                "At half load, beside {}: {:.2} × its p99 latency.",
                peer.name,
                own.p99.median / peer.p99.median
            ));
        }
    }
    found
}
