//! Figures as Markdown, with what is behind said plainly.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Measured;
use super::crowdsec::Watched;
use super::idle::Memory;
use super::reaction::Reactions;
use super::rounds::Row;
use super::steady::Steady;
use crate::run::root;

/// What is between one of these and [`END`] is written by that benchmark.
pub(super) const EDGE: &str = "<!-- figures of 'cargo xtask bench edge' -->\n";
pub(super) const DETECT: &str = "<!-- figures of 'cargo xtask bench detect' -->\n";
pub(super) const FIELD: &str = "<!-- figures of 'cargo xtask bench field' -->\n";
const END: &str = "<!-- end of figures -->\n";

/// How busy the machine was, as the kernel puts it.
pub(super) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The whole report.
pub(super) fn text(
    measured: &Measured,
    commit: &str,
    load_before: &str,
    took: Duration,
) -> Result<String> {
    let mut out = String::new();
    surroundings(&mut out, measured, (commit, load_before), took)?;
    method(&mut out)?;
    writeln!(out, "### Everything off: forwarding alone\n")?;
    table(&mut out, &measured.off)?;
    writeln!(out, "### Everything on: access log, limits, detection\n")?;
    table(&mut out, &measured.on)?;
    let bans = measured.bans;
    writeln!(
        out,
        "Full book: {} bans, ordered one by one over the control socket and each on disk before it \
         was acknowledged, in {:.1} s.\n",
        bans.bans,
        bans.took.as_secs_f64()
    )?;
    steady(&mut out, measured)?;
    writeln!(out, "### Everything on, in TLS 1.3\n")?;
    table(&mut out, &measured.tls)?;
    crowdsec(&mut out, measured)?;
    memory(&mut out, measured)?;
    reactions(&mut out, measured)?;
    super::verdict::write(&mut out, measured)?;
    Ok(out)
}

fn surroundings(
    out: &mut String,
    measured: &Measured,
    (commit, load_before): (&str, &str),
    took: Duration,
) -> Result<()> {
    let processor = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let debian = fs::read_to_string("/etc/debian_version").unwrap_or_default();
    writeln!(
        out,
        "Measured {} in {:.0} s.\n",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        took.as_secs_f64()
    )?;
    writeln!(out, "| | |\n|---|---|")?;
    writeln!(out, "| machine | {processor}, {cores} cores, {memory} |")?;
    writeln!(
        out,
        "| kernel | {}, Debian {} |",
        kernel.trim(),
        debian.trim()
    )?;
    writeln!(
        out,
        "| Ringwall | {}, {} |",
        commit,
        said("rustc", &["--version"])
    )?;
    writeln!(out, "| nginx | {} |", version("nginx", "-v", "nginx/"))?;
    writeln!(
        out,
        "| HAProxy | {} |",
        version("haproxy", "-v", "version ")
    )?;
    writeln!(out, "| wrk | {} |", version("wrk", "-v", "wrk "))?;
    writeln!(
        out,
        "| load average | {load_before} before, {} after |",
        load_average()
    )?;
    writeln!(
        out,
        "| rounds | {} of {} s each |\n",
        measured.scale.rounds, measured.scale.seconds
    )?;
    Ok(())
}

fn method(out: &mut String) -> Result<()> {
    writeln!(
        out,
        "Method: everything on loopback, HTTP/1.1, kept-alive connections, plain unless TLS is said; then TLS 1.3 with one \
         ECDSA certificate for all. The proxy has one worker, \
         pinned to core 0; `wrk -t1 -c32` and the upstream (nginx, 1 KiB from `return 200`) are pinned to core 1. \
         Requests carry a browser's headers and all ask for the same page. Processor time is what \
         `/proc/PID/stat` counts for all processes of a proxy (Ringwall's helper included) while wrk runs, divided \
         by the requests that wrk counted. Contenders take turns in every round, in changing order; figures are \
         medians over the rounds, ratios medians of the rounds' ratios. A run in which any answer is not 2xx fails. \
         The time in user space is what a proxy's own code costs; the \
         rest is the kernel's work on sockets, which is dearer the busier the machine is, for everybody, and so draws \
         ratios together. Latencies are those of a saturated proxy and hide coordinated omission: compare them, do not quote them.\n"
    )?;
    writeln!(
        out,
        "\"Off\": no log, no limits, no detection; Ringwall is paused. \"On\": an access log in the combined format \
         to a file (nginx and Ringwall write every 64 KiB or second; HAProxy has no buffered file log and writes \
         line by line to its standard output, which is a file; its format is its own), request and connection \
         limits by address that are never reached (`limit_req` and `limit_conn`; a stick table; \
         Ringwall's own), and with Ringwall its own rules: neither of the others detects anything. \
         \"Log only\" is Ringwall with the log, paused and without detection. One page for all requests is \
         the kindest case for detection's distinct counts.\n"
    )?;
    Ok(())
}

fn table(out: &mut String, rows: &[Row]) -> Result<()> {
    writeln!(
        out,
        "| proxy | CPU µs/request | × nginx (middle half) | of it user | user × nginx | requests/s | p50 µs | p99 µs | MiB |\n\
         |---|---|---|---|---|---|---|---|---|"
    )?;
    for row in rows {
        writeln!(
            out,
            "| {} | {:.2} | {:.2} ({:.2} to {:.2}) | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {:.1} |",
            row.name,
            row.cpu.median,
            row.ratio.median,
            row.ratio.lower,
            row.ratio.upper,
            row.user,
            row.user_ratio.median,
            row.per_second,
            row.p50,
            row.p99,
            row.resident
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn steady(out: &mut String, measured: &Measured) -> Result<()> {
    writeln!(
        out,
        "### At half load: {:.0} requests a second\n\n\
         Half of what nginx did at most above, everything on, asked for by `h2load --rps` on 32 connections \
         whether or not answers keep up, in rounds of 2 s. \"Kept\" is the share of that rate that was answered.\n\n\
         | proxy | p50 µs | p99 µs (middle half) | × nginx's p99 (middle half) | kept |\n|---|---|---|---|---|",
        measured.half
    )?;
    for one in &measured.steady {
        let Steady {
            name,
            p50,
            p99,
            ratio,
            kept,
        } = one;
        writeln!(
            out,
            "| {name} | {:.0} | {:.0} ({:.0} to {:.0}) | {:.2} ({:.2} to {:.2}) | {:.0} % |",
            p50.median,
            p99.median,
            p99.lower,
            p99.upper,
            ratio.median,
            ratio.lower,
            ratio.upper,
            kept * 100.0
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn crowdsec(out: &mut String, measured: &Measured) -> Result<()> {
    writeln!(out, "### nginx with Debian's crowdsec reading its log\n")?;
    let Some(Watched {
        requests,
        nginx,
        crowdsec,
        resident,
        scenarios,
    }) = measured.crowdsec
    else {
        writeln!(out, "Not measured: crowdsec was not there.\n")?;
        return Ok(());
    };
    let own = measured.on.iter().find(|row| row.name == "ringwall");
    let own = own.map_or(0.0, |row| row.cpu.median);
    writeln!(
        out,
        "{requests} requests, with {scenarios} scenarios of Debian's hub (nginx, base-http-scenarios, http-cve) and one \
         parser routine; crowdsec's processor time is taken until it has read them all. The requests come more \
         slowly than in the tables above, so nginx's own time a request is higher.\n\n\
         | | CPU µs/request | MiB |\n|---|---|---|\n\
         | nginx | {nginx:.0} | |\n| crowdsec | {crowdsec:.0} | {resident:.0} |\n\
         | both | {:.0} | |\n| ringwall, everything on, saturated | {own:.0} | |\n",
        nginx + crowdsec
    )?;
    Ok(())
}

fn memory(out: &mut String, measured: &Measured) -> Result<()> {
    let (idle, active) = (measured.scale.idle, measured.scale.active);
    writeln!(
        out,
        "### Memory: {idle} idle connections, then {active} busy ones beside them\n\n\
         Resident MiB of all processes of a proxy, what they share counted once, everything on. Each idle connection has made one request. What \
         the kernel holds for sockets is not counted for anybody. With Ringwall, wrk's address is on the never-ban list \
         here, since a thousand busy connections of one address are over its limits: limits and bans do not reach them. \
         The full book has {} bans.\n\n\
         | proxy | before | idle | KiB a connection | busy |\n|---|---|---|---|---|",
        measured.scale.bans
    )?;
    let plain = measured.memory.iter().map(|one| (one, ""));
    let tls = measured.memory_tls.iter().map(|one| (one, ", TLS"));
    for (one, how) in plain.chain(tls) {
        let each = (one.idle - one.before) * 1024.0 / idle as f64;
        let Memory {
            name,
            before,
            idle,
            active,
        } = one;
        writeln!(
            out,
            "| {name}{how} | {before:.1} | {idle:.1} | {each:.2} | {active:.1} |"
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn reactions(out: &mut String, measured: &Measured) -> Result<()> {
    writeln!(
        out,
        "### From the deciding request to the first refusal\n\n\
         Sources of their own on loopback ask for one secret file after the other on one kept-alive connection, \
         without a pause. Measured by the client, from the end of the deciding answer to the end of the refusal; \
         beside it an ordinary request on the same connections. A refusal may be the end of the connection instead of an \
         answer, since a ban closes what is open; then the source comes back at once on a new connection, \
         which must be refused too. \"At half load\": while h2load asks at that rate; \"under load\": while wrk keeps the core \
         busy, so that every request of anybody waits for its turn.\n\n\
         | | sources | p50 µs | p99 µs | most µs | an ordinary request µs | let through | connection closed | refused anew |\n\
         |---|---|---|---|---|---|---|---|---|"
    )?;
    for (name, one) in [
        ("alone", measured.calm),
        ("alone, full book", measured.full),
        ("at half load", measured.half_loaded),
        ("at half load, full book", measured.full_half_loaded),
        ("under load", measured.loaded),
    ] {
        let Reactions {
            sources,
            p50,
            p99,
            most,
            ordinary,
            through,
            closed,
            anew,
        } = one;
        let through = if through.0 == through.1 {
            format!("{} each", through.0)
        } else {
            format!("{} to {}", through.0, through.1)
        };
        writeln!(
            out,
            "| {name} | {sources} | {p50:.0} | {p99:.0} | {most:.0} | {ordinary:.0} | {through} | {closed} | {anew} |"
        )?;
    }
    writeln!(out)?;
    Ok(())
}

/// Puts the figures into the file, leaving what people wrote around them.
pub(super) fn write(file: &Path, begin: &str, figures: &str) -> Result<()> {
    let old = fs::read_to_string(file).unwrap_or_default();
    let new = replaced(&old, begin, figures);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("Cannot make {}.", folder.display()))?;
    }
    fs::write(file, new).with_context(|| format!("Cannot write {}.", file.display()))?;
    println!("Written to {}.", file.display());
    Ok(())
}

fn replaced(old: &str, begin: &str, figures: &str) -> String {
    let parts = old.split_once(begin);
    // Another benchmark's figures may stand before these, with an end of their own.
    let parts = parts.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = match parts {
        Some((before, after)) => (before.to_owned(), after),
        _ if old.is_empty() => (String::new(), ""),
        _ => (format!("{}\n\n", old.trim_end()), ""),
    };
    format!("{before}{begin}\n{figures}{END}{after}")
}

pub(super) fn field(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.map_or_else(String::new, |rest| {
        rest.trim_start_matches([' ', '\t', ':']).to_owned()
    })
}

/// What a program prints, on either stream.
pub(super) fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program)
        .args(words)
        .current_dir(root())
        .output();
    let Ok(output) = output else {
        return String::new();
    };
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}

/// The word behind `marker` in what a program says about itself.
fn version(program: &str, flag: &str, marker: &str) -> String {
    let program = crate::run::find(program).unwrap_or_default();
    let text = said(&program.to_string_lossy(), &[flag]);
    let rest = text.split_once(marker).map_or("", |(_, rest)| rest);
    rest.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

/// What is measured, as git names it.
pub(crate) fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changed = said(
        "git",
        &[
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            "*.rs",
            "Cargo.toml",
        ],
    );
    if changed.is_empty() {
        format!("commit {commit}")
    } else {
        format!("commit {commit} with changes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_replace_figures_and_nothing_else() {
        for begin in [EDGE, FIELD] {
            let first = replaced("", begin, "one\n");
            assert!(first.contains("one\n") && first.starts_with(begin));
            let edited = format!("# Ours\n{first}by hand\n");
            let second = replaced(&edited, begin, "two\n");
            assert!(second.contains("two\n") && !second.contains("one\n"));
            assert!(second.starts_with("# Ours\n") && second.ends_with("by hand\n"));
            assert!(replaced("# Other\n", begin, "one\n").starts_with("# Other\n\n"));
        }
    }
}
