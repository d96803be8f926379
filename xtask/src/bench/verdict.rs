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
    reached: Reached,
    most: f64,
    unit: &'static str,
}

/// What came out, and how it was measured.
#[derive(Clone, Copy)]
enum Reached {
    /// In many rounds, whose middle half says how sure the figure is.
    Rounds(Spread),
    /// As one figure.
    Once(f64),
}

impl Reached {
    /// Held and missed only where the middle half lies on one side of the aim.
    fn word(self, most: f64) -> &'static str {
        let (lower, upper) = match self {
            Self::Rounds(spread) => (spread.lower, spread.upper),
            Self::Once(figure) => (figure, figure),
        };
        if upper <= most {
            "held"
        } else if lower > most {
            "**missed**"
        } else {
            "**open**"
        }
    }

    fn shown(self, unit: &str) -> String {
        match self {
            Self::Rounds(Spread {
                lower,
                median,
                upper,
            }) => format!("{median:.2} {unit} ({lower:.2} to {upper:.2})"),
            Self::Once(figure) => format!("{figure:.2} {unit}"),
        }
    }
}

fn aims(measured: &Measured) -> Vec<Aim> {
    let find = |rows: &[Row], name: &str| rows.iter().find(|row| row.name == name).cloned();
    let mut aims = Vec::new();
    let mut aim = |what: String, reached: Reached, most: f64, unit: &'static str| {
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
        aim(what, Reached::Rounds(off.ratio), TARGET_OFF, "×");
    }
    if let Some(on) = &on {
        let what = "CPU a request, everything on, beside nginx".to_owned();
        aim(what, Reached::Rounds(on.ratio), TARGET_ON, "×");
    }
    let logged = find(&measured.on, "ringwall, log only");
    let full = find(&measured.on, "ringwall, full book");
    if let (Some(logged), Some(on), Some(full)) = (&logged, &on, &full) {
        let bans = measured.bans.bans;
        for (own, book) in [(on, String::new()), (full, format!(", {bans} bans"))] {
            let what = format!("CPU a request for limits and detection{book}");
            aim(
                what,
                Reached::Rounds(dearer(&own.each, &logged.each)),
                TARGET_PROTECTION,
                "µs",
            );
            let what = format!("of it in user space{book}");
            aim(
                what,
                Reached::Rounds(dearer(&own.each_user, &logged.each_user)),
                TARGET_PROTECTION,
                "µs",
            );
        }
    }
    if let Some(tls) = find(&measured.tls, "ringwall") {
        let what = "CPU a request, everything on, in TLS, beside nginx".to_owned();
        aim(what, Reached::Rounds(tls.ratio), TARGET_TLS, "×");
    }
    for one in &measured.steady {
        if one.name.starts_with("ringwall") {
            let what = format!("{}: p99 at half load beside nginx", one.name);
            aim(what, Reached::Rounds(one.ratio), TARGET_P99, "×");
        }
    }
    for (rows, how, most) in [
        (&measured.memory, "", TARGET_MEMORY),
        (&measured.memory_tls, ", TLS", TARGET_MEMORY_TLS),
    ] {
        for own in rows.iter().filter(|one| one.name.starts_with("ringwall")) {
            let (idle, active) = (measured.scale.idle, measured.scale.active);
            let name = own.name;
            let what =
                format!("{name}: memory with {idle} idle and {active} busy connections{how}");
            aim(what, Reached::Once(own.active), most, "MiB");
        }
    }
    for (one, how) in [
        (measured.calm, "alone"),
        (measured.full, "alone, full book"),
        (measured.half_loaded, "at half load"),
        (measured.full_half_loaded, "at half load, full book"),
        (measured.loaded, "on a core kept full"),
    ] {
        let what = format!("p99 from the deciding request to the first refusal, {how}");
        aim(what, Reached::Once(one.p99), TARGET_REACTION, "µs");
    }
    aims
}

/// Each aim with what was reached, then where a peer is better.
pub(super) fn write(out: &mut String, measured: &Measured) -> Result<()> {
    writeln!(
        out,
        "### Against the aims\n\n| | at most | reached (middle half of the rounds) | |\n|---|---|---|---|"
    )?;
    for aim in aims(measured) {
        let Aim {
            what,
            reached,
            most,
            unit,
        } = aim;
        writeln!(
            out,
            "| {what} | {most} {unit} | {} | {} |",
            reached.shown(unit),
            reached.word(most)
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
fn times(own: &[f64], peer: &[f64]) -> f64 {
    let ratios: Vec<f64> = own.iter().zip(peer).map(|(own, peer)| own / peer).collect();
    Spread::of(&ratios).median
}

/// Where a peer is better: whole sentences.
fn worse(measured: &Measured) -> Vec<String> {
    let mut found = Vec::new();
    for (when, rows) in [
        ("Everything off", &measured.off),
        ("Everything on", &measured.on),
        ("In TLS", &measured.tls),
    ] {
        let own = rows.iter().find(|row| row.name == "ringwall");
        for peer in rows.iter().filter(|row| !is_ours(row.name)) {
            let Some(own) = own else { continue };
            let figures = [
                ("processor time a request", times(&own.each, &peer.each)),
                ("time in user space", times(&own.each_user, &peer.each_user)),
                ("p50 latency", own.p50 / peer.p50),
                ("p99 latency", own.p99 / peer.p99),
                ("memory", own.resident / peer.resident),
            ];
            found.extend(sentence(when, peer.name, &figures));
        }
    }
    for (when, rows) in [
        ("With idle and busy connections", &measured.memory),
        (
            "With idle and busy connections in TLS",
            &measured.memory_tls,
        ),
    ] {
        let own = rows.iter().find(|one| one.name == "ringwall");
        for peer in rows.iter().filter(|one| !is_ours(one.name)) {
            let Some(own) = own else { continue };
            let figures = [
                ("memory while idle", own.idle / peer.idle),
                ("memory while busy", own.active / peer.active),
            ];
            found.extend(sentence(when, peer.name, &figures));
        }
    }
    let own = measured.steady.iter().find(|one| one.name == "ringwall");
    for peer in measured.steady.iter().filter(|one| !is_ours(one.name)) {
        let Some(own) = own else { continue };
        let figures = [
            ("p50 latency", own.p50.median / peer.p50.median),
            ("p99 latency", own.p99.median / peer.p99.median),
        ];
        found.extend(sentence("At half load", peer.name, &figures));
    }
    found
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ringwall")
}

/// In what somebody is better, if in anything; figures are multiples of his.
fn sentence(when: &str, peer: &str, figures: &[(&str, f64)]) -> Option<String> {
    let points: Vec<String> = figures
        .iter()
        .filter(|(_, times)| *times > 1.0)
        .map(|(what, times)| format!("{times:.2} × its {what}"))
        .collect();
    (!points.is_empty()).then(|| format!("{when}, beside {peer}: {}.", points.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_that_the_middle_half_crosses_is_neither_held_nor_missed() {
        let rounds = |lower, median, upper| {
            Reached::Rounds(Spread {
                lower,
                median,
                upper,
            })
        };
        for (reached, word) in [
            (rounds(1.0, 2.0, 3.0), "held"),
            (rounds(2.0, 2.5, 3.1), "**open**"),
            (rounds(2.0, 3.2, 4.0), "**open**"),
            (rounds(3.1, 3.2, 4.0), "**missed**"),
            (Reached::Once(3.0), "held"),
            (Reached::Once(3.01), "**missed**"),
        ] {
            assert_eq!(reached.word(3.0), word, "{}", reached.shown("µs"));
        }
        assert_eq!(Reached::Once(2.0).shown("MiB"), "2.00 MiB");
    }

    #[test]
    fn only_what_is_worse_is_said_to_be() {
        let figures = [("time", 1.5), ("memory", 0.9)];
        assert_eq!(
            sentence("Always", "nginx", &figures).as_deref(),
            Some("Always, beside nginx: 1.50 × its time.")
        );
        assert_eq!(sentence("Always", "nginx", &[("time", 1.0)]), None);
    }
}
