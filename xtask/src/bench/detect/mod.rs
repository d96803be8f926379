//! `cargo xtask bench detect`: logs through the engine, beside Debian's crowdsec on the
//! same lines with the same items.
//!
//! | module | does |
//! |---|---|
//! | [`lines`] | the logs, the same each time |
//! | [`runs`] | one run of a program, and what the kernel says it cost |
//! | [`told`] | figures as text, held against the aims |
//!
//! What counts is processor time, as the kernel adds it up until the process has ended;
//! a run over a single line tells what starting costs, which is shown and subtracted, for
//! both. crowdsec is slow, so it gets the first lines of the same log, once. It runs in a
//! network namespace of its own with nothing but loopback: it can call nobody. **Refuses**
//! to write figures of any binary but its own release build. Bounded: under ten minutes.

mod lines;
mod runs;
mod told;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;

use super::contender::Place;
use super::{crowdsec, release, report};
use crate::packages::unpacked;
use crate::run::root;
use runs::{Items, Spent};

#[derive(Parser)]
#[command(
    name = "cargo xtask bench detect",
    no_binary_name = true,
    about = "Logs through Ringwall's engine and through crowdsec: lines a processor second, memory"
)]
struct Arguments {
    /// Short logs and one round, to see that everything runs; writes nothing.
    #[arg(long)]
    quick: bool,
    /// Measure this ringwall instead of a release build of this checkout; writes nothing.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// How often each of Ringwall's runs is made, 3 to 15.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print the figures, and leave bench/RESULTS.md as it is.
    #[arg(long)]
    dry: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    rounds: usize,
    /// Lines of Ringwall's logs, of crowdsec's, and addresses.
    lines: u32,
    few: u32,
    addresses: u32,
}

/// Everything that was measured: medians of Ringwall's rounds, one run of crowdsec.
#[derive(Debug)]
struct Measured {
    scale: Scale,
    scenarios: usize,
    crowdsec: Option<Beside>,
    /// The web server's log with the items that Debian enables.
    web: Threads,
    /// Both logs with the whole hub, when it is here.
    hub: Option<Hub>,
    /// A request of each of very many addresses, one thread.
    addresses: Spent,
}

/// crowdsec and Ringwall on the first lines of the same log.
#[derive(Debug)]
struct Beside {
    version: String,
    start: Spent,
    crowdsec: Spent,
    ringwall: Spent,
}

#[derive(Debug)]
struct Threads {
    start: Spent,
    one: Spent,
    two: Spent,
}

#[derive(Debug)]
struct Hub {
    web: Threads,
    ssh: Threads,
}

/// Measures and writes; whether the measurement ran to its end.
pub(super) fn run(rest: &[String]) -> Result<bool> {
    let arguments = match Arguments::try_parse_from(rest) {
        Ok(arguments) => arguments,
        Err(message) => {
            message.print().context("Cannot print the help.")?;
            return Ok(!message.use_stderr());
        }
    };
    let commit = report::commit();
    let binary = match &arguments.binary {
        Some(binary) => binary
            .canonicalize()
            .with_context(|| format!("There is no {}.", binary.display()))?,
        None => release()?,
    };
    let scale = if arguments.quick {
        Scale {
            rounds: 1,
            lines: 20_000,
            few: 1_000,
            addresses: 50_000,
        }
    } else {
        Scale {
            rounds: arguments.rounds.clamp(3, 15),
            lines: 200_000,
            few: 10_000,
            addresses: 1_000_000,
        }
    };
    let before = report::load_average();
    let began = Instant::now();
    let measured = measure(&binary, scale)?;
    let text = told::text(&measured, (&commit, &before), began.elapsed())?;
    println!("\n{text}");
    if arguments.quick || arguments.dry || arguments.binary.is_some() {
        println!("Nothing was written to bench/RESULTS.md.");
    } else {
        report::write(&root().join("bench/RESULTS.md"), report::DETECT, &text)?;
    }
    Ok(true)
}

fn measure(binary: &Path, scale: Scale) -> Result<Measured> {
    let place = Place::bare()?;
    let folder = place.folder("logs")?;
    let web = written(&folder, "web.log", &lines::web(scale.lines))?;
    let few = written(&folder, "few.log", &lines::web(scale.few))?;
    let one = written(&folder, "one.log", &lines::web(1))?;
    let debian = unpacked("crowdsec");
    let (scenarios, own) = if debian.join("usr/bin/crowdsec").exists() {
        let own = place.folder("crowdsec")?;
        (crowdsec::furnish(&debian, &own, &few)?, Some(own))
    } else {
        println!("crowdsec is not there; 'cargo xtask test' unpacks it.");
        (0, None)
    };
    let items = own.as_deref().map_or_else(Items::own, Items::like_crowdsec);
    let bench = Bench {
        binary,
        rounds: scale.rounds,
    };
    println!("The web server's log, {} lines.", scale.lines);
    let threads = bench.threads(&items, "nginx", (&one, &web))?;
    let beside = match &own {
        Some(own) => Some(beside(&bench, &items, &debian, own, (&one, &few))?),
        None => None,
    };
    let hub = match Items::hub() {
        Some(hub) => {
            println!("The whole hub.");
            let web = bench.threads(&hub, "nginx", (&one, &web))?;
            let ssh = written(&folder, "ssh.log", &lines::ssh(scale.lines))?;
            let one = written(&folder, "one-ssh.log", &lines::ssh(1))?;
            let ssh = bench.threads(&hub, "syslog", (&one, &ssh))?;
            Some(Hub { web, ssh })
        }
        None => None,
    };
    println!("{} addresses.", scale.addresses);
    let crowd = written(&folder, "crowd.log", &lines::crowd(scale.addresses))?;
    let addresses = runs::ringwall(binary, &items, ("nginx", 1), &crowd)?;
    println!("  {addresses}");
    Ok(Measured {
        scale,
        scenarios,
        crowdsec: beside,
        web: threads,
        hub,
        addresses,
    })
}

fn beside(
    bench: &Bench<'_>,
    items: &Items,
    debian: &Path,
    own: &Path,
    (one, few): (&Path, &Path),
) -> Result<Beside> {
    println!("crowdsec, the first lines of it.");
    let start = runs::crowdsec(debian, own, one)?;
    let crowdsec = runs::crowdsec(debian, own, few)?;
    println!("  {crowdsec}");
    let ringwall = bench.median(items, ("nginx", 1), few)?;
    println!("  {ringwall}");
    Ok(Beside {
        version: runs::version(debian),
        start,
        crowdsec,
        ringwall,
    })
}

/// What is measured, and how often.
struct Bench<'b> {
    binary: &'b Path,
    rounds: usize,
}

impl Bench<'_> {
    fn median(&self, items: &Items, how: (&str, usize), log: &Path) -> Result<Spent> {
        let runs = (0..self.rounds).map(|_| runs::ringwall(self.binary, items, how, log));
        Ok(Spent::median(&runs.collect::<Result<Vec<_>>>()?))
    }

    /// One thread and two, which take turns, since others use the machine, too.
    fn threads(&self, items: &Items, kind: &str, (one, log): (&Path, &Path)) -> Result<Threads> {
        let start = self.median(items, (kind, 1), one)?;
        let (mut single, mut double) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            single.push(runs::ringwall(self.binary, items, (kind, 1), log)?);
            double.push(runs::ringwall(self.binary, items, (kind, 2), log)?);
        }
        let threads = Threads {
            start,
            one: Spent::median(&single),
            two: Spent::median(&double),
        };
        println!("  one thread: {}", threads.one);
        println!("  two threads: {}", threads.two);
        Ok(threads)
    }
}

fn written(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("Cannot write {}.", path.display()))?;
    Ok(path)
}
