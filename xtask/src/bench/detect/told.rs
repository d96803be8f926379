//! Figures as Markdown, held against the aims.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::runs::Spent;
use super::{Beside, Measured, Threads};
use crate::bench::report::{field, load_average, said};

/// How many times crowdsec's lines a processor second are wanted, the same with the whole
/// hub as a number, two threads beside one, memory beside crowdsec's, and for a million.
const TIMES: f64 = 200.0;
const WHOLE_HUB: f64 = 100_000.0;
const TWO_THREADS: f64 = 1.8;
const MEMORY: f64 = 1.0 / 3.0;
const CROWD_MIB: f64 = 256.0;

/// Lines a processor second, starting left out.
fn rate(lines: u32, run: &Spent, start: &Spent) -> f64 {
    f64::from(lines) / (run.cpu - start.cpu).max(0.01)
}

fn faster(threads: &Threads) -> f64 {
    (threads.one.wall - threads.start.wall) / (threads.two.wall - threads.start.wall).max(0.01)
}

fn verdict(held: bool) -> &'static str {
    if held { "held" } else { "missed" }
}

/// The whole report.
pub(super) fn text(
    measured: &Measured,
    (commit, before): (&str, &str),
    took: Duration,
) -> Result<String> {
    let mut out = String::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(
        out,
        "Measured {} in {:.0} s: {}, {cores} cores, Linux {}; Ringwall {commit}, {}; load average {before} before, {} after. \
         {} lines, medians of {} runs.\n",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        took.as_secs_f64(),
        field("/proc/cpuinfo", "model name"),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
        load_average(),
        measured.scale.lines,
        measured.scale.rounds
    )?;
    if let Some(beside) = &measured.crowdsec {
        side_by_side(&mut out, measured, beside)?;
    }
    threads(&mut out, measured)?;
    writeln!(
        out,
        "{} lines of as many addresses, each asking for a page that is not there: {:.1} s of processor time, at most {:.0} MiB, \
         {} living buckets made room for others.\n",
        measured.scale.addresses,
        measured.addresses.cpu,
        measured.addresses.peak,
        measured.addresses.evicted
    )?;
    aims(&mut out, measured)?;
    Ok(out)
}

fn side_by_side(out: &mut String, measured: &Measured, beside: &Beside) -> Result<()> {
    let few = measured.scale.few;
    writeln!(
        out,
        "The first {few} lines, the items that Debian enables for a web server ({} scenario files):\n",
        measured.scenarios
    )?;
    writeln!(
        out,
        "| | start CPU s | CPU s | lines/CPU s | peak MiB | alerts |\n|---|---|---|---|---|---|"
    )?;
    for (name, start, run) in [
        (
            format!("crowdsec {}, one run", beside.version),
            &beside.start,
            &beside.crowdsec,
        ),
        ("Ringwall".to_owned(), &measured.web.start, &beside.ringwall),
    ] {
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} | {:.0} | {:.0} | {} |",
            start.cpu,
            run.cpu,
            rate(few, run, start),
            run.peak,
            run.alerts
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn threads(out: &mut String, measured: &Measured) -> Result<()> {
    writeln!(
        out,
        "| {} lines | start CPU s | CPU s | lines/CPU s | one thread s | two s | × | MiB |\n|---|---|---|---|---|---|---|---|",
        measured.scale.lines
    )?;
    let mut rows = vec![("web, Debian's items", &measured.web)];
    if let Some(hub) = &measured.hub {
        rows.push(("web, the whole hub", &hub.web));
        rows.push(("sshd, the whole hub", &hub.ssh));
    }
    for (name, threads) in rows {
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} |",
            threads.start.cpu,
            threads.one.cpu,
            rate(measured.scale.lines, &threads.one, &threads.start),
            threads.one.wall,
            threads.two.wall,
            faster(threads),
            threads.one.peak
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn aims(out: &mut String, measured: &Measured) -> Result<()> {
    let own = rate(measured.scale.lines, &measured.web.one, &measured.web.start);
    writeln!(out, "| aim | measured | |\n|---|---|---|")?;
    if let Some(beside) = &measured.crowdsec {
        let times = own / rate(measured.scale.few, &beside.crowdsec, &beside.start);
        writeln!(
            out,
            "| {TIMES:.0} × crowdsec's lines per CPU second | {times:.0} × | {} |",
            verdict(times >= TIMES)
        )?;
        let share = beside.ringwall.peak / beside.crowdsec.peak.max(1.0);
        writeln!(
            out,
            "| a third of crowdsec's memory | {share:.2} of it | {} |",
            verdict(share <= MEMORY)
        )?;
    }
    let times = faster(&measured.web);
    writeln!(
        out,
        "| two threads {TWO_THREADS} × one | {times:.2} × | {} |",
        verdict(times >= TWO_THREADS)
    )?;
    if let Some(hub) = &measured.hub {
        let whole = rate(measured.scale.lines, &hub.web.one, &hub.web.start);
        writeln!(
            out,
            "| {WHOLE_HUB:.0} lines per CPU second, whole hub | {whole:.0} | {} |",
            verdict(whole >= WHOLE_HUB)
        )?;
    }
    writeln!(
        out,
        "| {} addresses within {CROWD_MIB:.0} MiB | {:.0} MiB | {} |\n",
        measured.scale.addresses,
        measured.addresses.peak,
        verdict(measured.addresses.peak <= CROWD_MIB)
    )?;
    Ok(())
}
