//! Commands that ask the running instance over the control socket.

use std::path::Path;

use detect::alert::Sentence;
use vocab::time::Span;
use vocab::{Alert, Kind, State, Timestamp};

use crate::Error;
use crate::control::client::ask;
use crate::control::protocol::{
    AllowView, Ask, DecisionView, ExplainView, RuleView, StatusView, WhyView,
};
use crate::term::{Cell, Out, Tone, printable};

/// Gives an order that is answered with a sentence: pause, resume, reload, down.
///
/// # Errors
/// When the instance cannot be reached or refuses.
pub fn order(socket: &Path, order: Ask, out: &mut Out) -> Result<(), Error> {
    let sentence: String = ask(socket, order)?;
    say(out, &sentence)
}

fn say(out: &mut Out, sentence: &str) -> Result<(), Error> {
    if out.json() {
        out.value(&serde_json::json!({ "message": sentence }))?;
    } else {
        out.paragraph(sentence, 0)?;
    }
    Ok(())
}

/// `ringwall status`.
///
/// # Errors
/// When the instance cannot be reached.
pub fn status(socket: &Path, out: &mut Out) -> Result<(), Error> {
    let view: StatusView = ask(socket, Ask::Status)?;
    if out.json() {
        return Ok(out.value(&view)?);
    }
    let up = Span(view.now.since(view.started));
    out.line(&format!(
        "{}  up {up}, process {}",
        out.paint(Tone::Strong, &format!("Ringwall {}", view.version)),
        view.pid
    ))?;
    if let Some(pause) = &view.paused {
        let until = pause.until.map_or_else(
            || "until 'ringwall resume'".to_owned(),
            |time| format!("until {}", time.to_the_second()),
        );
        out.line(&out.paint(
            Tone::Warn,
            &format!("PAUSED {until}: everything is proxied, nothing enforced."),
        ))?;
    }
    out.line("")?;
    for ring in &view.rings {
        let (tone, word) = standing(&ring.state);
        out.line(&format!(
            "{}  {}",
            out.paint(Tone::Strong, &format!("{:<10}", ring.ring)),
            out.paint(tone, word)
        ))?;
        for control in &ring.controls {
            let (tone, word) = standing(&control.state);
            let basis = format!("{:?}", control.basis).to_lowercase();
            out.line(&format!(
                "  {}  {} ({basis})",
                out.paint(tone, &format!("{word:<14}")),
                control.title
            ))?;
            for text in because(&control.state)
                .into_iter()
                .chain([control.evidence.as_str()])
            {
                if !text.is_empty() {
                    out.paragraph(&printable(text), 18)?;
                }
            }
        }
    }
    out.line("")?;
    let sites: Vec<_> = view
        .sites
        .iter()
        .map(|site| site_row(site, view.now))
        .collect();
    out.table(&["SITE", "MODE", "VOLUME RULES", "UPSTREAMS"], &sites)?;
    out.line("")?;
    let (traffic, book) = (&view.traffic, &view.book);
    out.line(&format!(
        "{} connections open, {} accepted; {} requests, {} refused, {} upstream failures",
        traffic.open,
        traffic.connections,
        traffic.requests,
        traffic.refused,
        traffic.upstream_failures
    ))?;
    out.line(&format!(
        "{} decisions in force ({} volatile), {} allowed, {} proposals refused",
        book.active, book.volatile, book.allowed, book.refused
    ))?;
    for note in &view.notes {
        out.paragraph(&out.paint(Tone::Warn, &printable(note)), 0)?;
    }
    Ok(())
}

fn site_row(site: &crate::control::protocol::SiteView, now: Timestamp) -> Vec<Cell> {
    let volume = match site.volume_from {
        Some(from) if from > now => format!("watch for {}", Span(from.since(now))),
        _ if site.mode == "observe" => "watch".to_owned(),
        _ => "enforced".to_owned(),
    };
    vec![
        Cell::new(&site.name),
        Cell::new(&site.mode),
        Cell::new(volume),
        Cell::new(upstreams(site)),
    ]
}

/// Where requests go, and for labels whose they are.
fn upstreams(site: &crate::control::protocol::SiteView) -> String {
    let there = if site.upstreams.is_empty() {
        "nobody is there: 503".to_owned()
    } else {
        site.upstreams.join(", ")
    };
    match site.containers.as_deref() {
        None => there,
        Some([]) => format!("{there} (its containers were removed)"),
        Some(names) => printable(&format!("{there} (labels of {})", names.join(", "))),
    }
}

fn standing(state: &State) -> (Tone, &'static str) {
    match state {
        State::Holds => (Tone::Good, "holds"),
        State::Observing(_) => (Tone::Warn, "observing"),
        State::Broken(_) => (Tone::Bad, "broken"),
        State::Unknown(_) => (Tone::Warn, "unknown"),
        State::NotProtected(_) => (Tone::Bad, "not protected"),
    }
}

fn because(state: &State) -> Option<&str> {
    match state {
        State::Holds => None,
        State::Observing(why)
        | State::Broken(why)
        | State::Unknown(why)
        | State::NotProtected(why) => (!why.is_empty()).then_some(why),
    }
}

/// `ringwall why SUBJECT`.
///
/// # Errors
/// When the instance cannot be reached or the subject is not understood.
pub fn why(socket: &Path, subject: &str, out: &mut Out) -> Result<(), Error> {
    let view: WhyView = ask(
        socket,
        Ask::Why {
            subject: subject.to_owned(),
        },
    )?;
    if out.json() {
        return Ok(out.value(&view)?);
    }
    verdict(&view, out)?;
    if let Some(alert) = view.alerts.first() {
        events(alert, out)?;
    }
    for remedy in &view.remedies {
        out.line("")?;
        out.line(&format!("{}:", remedy.does))?;
        for line in remedy.command.lines() {
            out.line(&format!("  {}", out.paint(Tone::Strong, line)))?;
        }
    }
    Ok(())
}

/// `ringwall explain --decision`: how a decision came about, rule by rule.
///
/// # Errors
/// When the instance cannot be reached, or does not know the subject.
pub fn explain_decision(socket: &Path, subject: &str, out: &mut Out) -> Result<(), Error> {
    let subject = subject.to_owned();
    let view: ExplainView = ask(socket, Ask::Explain { subject })?;
    if out.json() {
        return Ok(out.value(&view)?);
    }
    verdict(&view.why, out)?;
    for rule in &view.rules {
        let alerts = || {
            view.why
                .alerts
                .iter()
                .filter(|one| one.scenario == rule.name)
        };
        out.line("")?;
        out.line(&out.paint(Tone::Strong, &printable(&rule.name)))?;
        explain_rule(rule, out)?;
        for alert in alerts().take(3) {
            out.line("")?;
            out.paragraph(&printable(&Sentence(alert).to_string()), 2)?;
            events(alert, out)?;
        }
        let more = alerts().count().saturating_sub(3);
        if more > 0 {
            out.line(&format!(
                "  and {more} earlier alerts of this rule: ringwall alert list"
            ))?;
        }
    }
    Ok(())
}

fn explain_rule(rule: &RuleView, out: &mut Out) -> Result<(), Error> {
    if !rule.runs {
        return Ok(out.paragraph("This rule does not run any more.", 2)?);
    }
    if !rule.unchanged {
        out.paragraph(
            "This rule was changed or tuned since; below it stands as it runs now.",
            2,
        )?;
    }
    for (word, text) in [
        ("counts", &rule.filter),
        ("by", &rule.groupby),
        ("each once by", &rule.distinct),
        ("overflows", &rule.overflows),
    ] {
        if !text.is_empty() {
            out.line(&format!("  {word}"))?;
            out.paragraph(&printable(text), 4)?;
        }
    }
    Ok(())
}

/// The sentence that answers `why`.
fn verdict(view: &WhyView, out: &mut Out) -> Result<(), Error> {
    let tone = if view.barred { Tone::Bad } else { Tone::Good };
    for (number, line) in crate::term::fold(&printable(&view.sentence), out.width())
        .iter()
        .enumerate()
    {
        let tone = if number == 0 { tone } else { Tone::Plain };
        out.line(&out.paint(tone, line))?;
    }
    Ok(())
}

/// The events that an alert kept.
fn events(alert: &Alert, out: &mut Out) -> Result<(), Error> {
    out.line("")?;
    out.line(&format!(
        "The last {} of {} events:",
        alert.events.len(),
        alert.events_count
    ))?;
    let rows: Vec<_> = alert.events.iter().map(event_row).collect();
    Ok(out.table(&["TIME", "STATUS", "SITE", "REQUEST"], &rows)?)
}

fn event_row(event: &vocab::Evidence) -> Vec<Cell> {
    let time = event.time.to_string();
    let clock = time.get(11..19).unwrap_or(&time).to_owned();
    let path = [event.meta("http_path"), event.meta("message")]
        .into_iter()
        .find(|text| !text.is_empty());
    vec![
        Cell::new(clock),
        Cell::new(event.meta("http_status")),
        Cell::new(event.meta("target_fqdn")),
        Cell::new(format!(
            "{} {}",
            event.meta("http_verb"),
            path.unwrap_or("")
        )),
    ]
}

/// `ringwall decision list`.
///
/// # Errors
/// When the instance cannot be reached.
pub fn decisions(socket: &Path, value: Option<String>, out: &mut Out) -> Result<(), Error> {
    let views: Vec<DecisionView> = ask(socket, Ask::Decisions { value })?;
    if out.json() {
        return Ok(views.iter().try_for_each(|view| out.value(view))?);
    }
    if views.is_empty() {
        return Ok(out.line("No decision is in force.")?);
    }
    let now = crate::now();
    let rows: Vec<_> = views.iter().map(|view| decision_row(view, now)).collect();
    Ok(out.table(&["ID", "WHO", "WHAT", "LEFT", "BY", "WHY"], &rows)?)
}

fn decision_row(view: &DecisionView, now: Timestamp) -> Vec<Cell> {
    let decision = &view.decision;
    let tone = if decision.kind == Kind::Ban && view.active {
        Tone::Bad
    } else {
        Tone::Plain
    };
    let left = if view.active {
        Span(decision.until.since(now)).to_string()
    } else {
        "ended".to_owned()
    };
    let why = if view.volatile {
        format!("{} (volatile)", decision.reason)
    } else {
        decision.reason.clone()
    };
    vec![
        Cell::new(short(&decision.id.to_string())),
        Cell::new(&decision.value),
        Cell::toned(tone, decision.kind.to_string()),
        Cell::new(left),
        Cell::new(decision.origin.to_string()),
        Cell::new(why),
    ]
}

fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// `ringwall decision add`.
///
/// # Errors
/// When the span is not one, or the instance refuses.
pub fn decide(
    socket: &Path,
    value: &str,
    kind: &str,
    span: &str,
    reason: &str,
    out: &mut Out,
) -> Result<(), Error> {
    let order = Ask::Decide {
        value: value.to_owned(),
        kind: kind.to_owned(),
        seconds: seconds(span)?,
        reason: reason.to_owned(),
    };
    let view: DecisionView = ask(socket, order)?;
    if out.json() {
        return Ok(out.value(&view)?);
    }
    let (decision, id) = (&view.decision, short(&view.decision.id.to_string()));
    let sentence = format!(
        "Decided {id}: {} {} until {}. Undo it with: ringwall decision delete {id}",
        decision.kind,
        decision.value,
        decision.until.to_the_second()
    );
    say(out, &sentence)
}

/// `ringwall decision delete`.
///
/// # Errors
/// When nothing fits, or the instance cannot be reached.
pub fn undecide(socket: &Path, subject: &str, out: &mut Out) -> Result<(), Error> {
    order(
        socket,
        Ask::Undecide {
            subject: subject.to_owned(),
        },
        out,
    )
}

/// `ringwall alert list`.
///
/// # Errors
/// When the instance cannot be reached.
pub fn alerts(
    socket: &Path,
    limit: usize,
    value: Option<String>,
    out: &mut Out,
) -> Result<(), Error> {
    let alerts: Vec<Alert> = ask(socket, Ask::Alerts { limit, value })?;
    if out.json() {
        return Ok(alerts.iter().try_for_each(|alert| out.value(alert))?);
    }
    if alerts.is_empty() {
        return Ok(out.line("Nothing was detected yet.")?);
    }
    let rows: Vec<_> = alerts
        .iter()
        .map(|alert| {
            let over = Span(alert.stop_at.since(alert.start_at)).to_string();
            vec![
                // Without the year and with a blank: the scenario's name must have room.
                Cell::new(
                    alert
                        .stop_at
                        .to_string()
                        .get(5..19)
                        .unwrap_or_default()
                        .replace('T', " "),
                ),
                Cell::new(&alert.scenario),
                Cell::new(&alert.source.value),
                Cell::new(alert.events_count.to_string()),
                Cell::new(over),
            ]
        })
        .collect();
    Ok(out.table(&["TIME (UTC)", "SCENARIO", "WHO", "EVENTS", "OVER"], &rows)?)
}

/// `ringwall allowlist list`.
///
/// # Errors
/// When the instance cannot be reached.
pub fn allowlist(socket: &Path, out: &mut Out) -> Result<(), Error> {
    let views: Vec<AllowView> = ask(socket, Ask::Allowlist)?;
    if out.json() {
        return Ok(views.iter().try_for_each(|view| out.value(view))?);
    }
    if views.is_empty() {
        return Ok(out.line(
            "Nobody is on the allowlist. Add somebody with: ringwall allowlist add ADDRESS",
        )?);
    }
    let rows: Vec<_> = views
        .iter()
        .map(|view| {
            let who = if view.resolved.is_empty() {
                view.value.clone()
            } else {
                format!("{} ({})", view.value, view.resolved.join(", "))
            };
            let until = view.until.map_or_else(
                || "always".to_owned(),
                |time| time.to_the_second().to_string(),
            );
            vec![
                Cell::new(who),
                Cell::new(&view.from),
                Cell::new(until),
                Cell::new(&view.reason),
            ]
        })
        .collect();
    Ok(out.table(&["WHO", "FROM", "UNTIL", "WHY"], &rows)?)
}

/// `ringwall allowlist add`.
///
/// # Errors
/// When the span is not one, or the instance refuses.
pub fn allow(
    socket: &Path,
    value: &str,
    reason: &str,
    span: Option<&str>,
    out: &mut Out,
) -> Result<(), Error> {
    let seconds = span.map(seconds).transpose()?;
    order(
        socket,
        Ask::Allow {
            value: value.to_owned(),
            reason: reason.to_owned(),
            seconds,
        },
        out,
    )
}

/// `ringwall allowlist delete`.
///
/// # Errors
/// When nothing fits, or the instance cannot be reached.
pub fn disallow(socket: &Path, value: &str, out: &mut Out) -> Result<(), Error> {
    order(
        socket,
        Ask::Disallow {
            value: value.to_owned(),
        },
        out,
    )
}

/// Seconds of a span such as `30m`.
///
/// # Errors
/// A sentence when it is not one.
pub fn seconds(span: &str) -> Result<u64, Error> {
    match vocab::time::parse_duration(span) {
        Some(time) if time.as_secs() > 0 => Ok(time.as_secs()),
        _ => Err(Error::Usage(format!(
            "'{span}' is not a span of at least a second. Write it as 30m, 4h or 7d."
        ))),
    }
}
