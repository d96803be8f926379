//! `cargo xtask bench edge`: Ringwall beside nginx and HAProxy on one machine.
//!
//! | module | does |
//! |---|---|
//! | [`contender`] | starts the proxies and the upstream, with equal work to do |
//! | [`process`] | processes and what they cost, as the kernel counts it |
//! | [`load`] | requests by wrk, which nobody here wrote |
//! | [`rounds`] | who takes turns, and medians of what came out |
//! | [`idle`] | ten thousand connections that say nothing |
//! | [`reaction`] | from the deciding request to the first refused one |
//! | [`control`] | orders to a running instance, and a full book |
//! | [`report`] | figures as text, and what is behind said plainly |
//!
//! The proxies run on core 0, wrk and the upstream on core 1, all on loopback. What
//! counts is processor time a request, which other programs on the machine disturb
//! less than requests a second; contenders take turns of a second, and ratios are
//! taken within a round. **Refuses** to write figures of any binary but its own release build.
//! Everything is bounded: the whole run takes under six minutes.

mod contender;
mod control;
mod idle;
mod load;
mod process;
mod reaction;
mod report;
mod rounds;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::run::{cargo, find, root, succeeds};
use contender::{Contender, Place, Upstream, Work};
use rounds::Turn;

/// How many bans the full book holds.
const BANS: usize = 100_000;
/// How long it may take to write them.
const BANS_WITHIN: Duration = Duration::from_secs(60);

#[derive(Parser)]
#[command(
    name = "cargo xtask bench edge",
    no_binary_name = true,
    about = "Ringwall beside nginx and HAProxy: processor time a request, memory, reaction"
)]
struct Arguments {
    /// Two short rounds, to see that everything runs; writes nothing.
    #[arg(long)]
    quick: bool,
    /// Measure this ringwall instead of a release build of this checkout; writes nothing.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Rounds of a second each in which the contenders take turns, 5 to 30.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Print the figures, and leave bench/RESULTS.md as it is.
    #[arg(long)]
    dry: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    rounds: usize,
    seconds: u64,
    bans: usize,
    idle: usize,
    active: usize,
    sources: u16,
}

/// Everything that was measured.
#[derive(Debug)]
struct Measured {
    scale: Scale,
    off: Vec<rounds::Row>,
    on: Vec<rounds::Row>,
    bans: control::Filled,
    memory: Vec<idle::Memory>,
    calm: reaction::Reactions,
    loaded: reaction::Reactions,
}

/// Measures; whether the measurement ran to its end.
pub(crate) fn run(suite: &str, rest: &[String]) -> Result<bool> {
    match suite {
        "edge" => edge(rest),
        other => bail!("There is no benchmark '{other}'. There is: edge."),
    }
}

fn edge(rest: &[String]) -> Result<bool> {
    let arguments = match Arguments::try_parse_from(rest) {
        Ok(arguments) => arguments,
        Err(message) => {
            message.print().context("Cannot print the help.")?;
            return Ok(!message.use_stderr());
        }
    };
    check_machine()?;
    // Before the build: others may go on while it runs.
    let commit = report::commit();
    let binary = match &arguments.binary {
        Some(binary) => binary
            .canonicalize()
            .with_context(|| format!("There is no {}.", binary.display()))?,
        None => release()?,
    };
    let scale = if arguments.quick {
        Scale {
            rounds: 2,
            seconds: 1,
            bans: 2_000,
            idle: 1_000,
            active: 100,
            sources: 50,
        }
    } else {
        Scale {
            rounds: arguments.rounds.clamp(5, 30),
            seconds: 1,
            bans: BANS,
            idle: 10_000,
            active: 1_000,
            sources: 250,
        }
    };
    process::allow_descriptors()?;
    let before = report::load_average();
    let began = Instant::now();
    let measured = measure(&binary, scale)?;
    let text = report::text(&measured, &commit, &before, began.elapsed())?;
    println!("\n{text}");
    if arguments.quick || arguments.dry || arguments.binary.is_some() {
        println!("Nothing was written to bench/RESULTS.md.");
    } else {
        report::write(&root().join("bench/RESULTS.md"), &text)?;
    }
    Ok(true)
}

fn check_machine() -> Result<()> {
    let missing: Vec<&str> = ["nginx", "haproxy", "wrk", "taskset", "prlimit"]
        .into_iter()
        .filter(|program| find(program).is_none())
        .collect();
    if !missing.is_empty() {
        bail!(
            "The benchmark needs {}. Install them with: sudo apt-get install nginx-light haproxy wrk util-linux",
            missing.join(", ")
        );
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!("The benchmark needs two cores: one for the proxy, one for the load.");
    }
    Ok(())
}

/// Builds what is measured.
fn release() -> Result<PathBuf> {
    if !succeeds(cargo().args(["build", "--release", "--package", "ringwall"]))? {
        bail!("The release build failed; see above.");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(root().join(target).join("release/ringwall"))
}

fn measure(binary: &Path, scale: Scale) -> Result<Measured> {
    let place = Place::make()?;
    let upstream = Upstream::start(&place)?;
    let stage = Stage {
        binary,
        place: &place,
        upstream: &upstream,
        scale,
    };
    let off = stage.all_off()?;
    let (on, bans) = stage.all_on()?;
    let memory = stage.memory()?;
    let (calm, loaded) = stage.reactions()?;
    Ok(Measured {
        scale,
        off,
        on,
        bans,
        memory,
        calm,
        loaded,
    })
}

/// What every part of the run needs.
struct Stage<'a> {
    binary: &'a Path,
    place: &'a Place,
    upstream: &'a Upstream,
    scale: Scale,
}

impl Stage<'_> {
    fn ringwall(&self, name: &'static str, work: Work) -> Result<Contender> {
        Contender::ringwall(name, self.binary, self.place, self.upstream, work)
    }

    fn nginx(&self, work: Work) -> Result<Contender> {
        Contender::nginx(self.place, self.upstream, work)
    }

    fn haproxy(&self, work: Work) -> Result<Contender> {
        Contender::haproxy(self.place, self.upstream, work)
    }

    /// Forwarding and nothing else.
    fn all_off(&self) -> Result<Vec<rounds::Row>> {
        println!("Everything off: forwarding alone.");
        let contenders = [
            self.nginx(Work::Bare)?,
            self.haproxy(Work::Bare)?,
            self.ringwall("ringwall", Work::Bare)?,
        ];
        rounds::run(&contenders, self.turn())
    }

    /// Access log, limits and detection; and all that with a full book.
    fn all_on(&self) -> Result<(Vec<rounds::Row>, control::Filled)> {
        println!("Everything on: access log, limits, detection.");
        let contenders = [
            self.nginx(Work::Full)?,
            self.haproxy(Work::Full)?,
            self.ringwall("ringwall, log only", Work::Logged)?,
            self.ringwall("ringwall", Work::Full)?,
            self.ringwall("ringwall, full book", Work::Full)?,
        ];
        let [.., full] = &contenders;
        let bans = control::fill(full.socket(), self.scale.bans, BANS_WITHIN)?;
        println!("  {} bans in {:.1?}", bans.bans, bans.took);
        let rows = rounds::run(&contenders, self.turn())?;
        Ok((rows, bans))
    }

    fn turn(&self) -> Turn {
        Turn {
            rounds: self.scale.rounds,
            seconds: self.scale.seconds,
            connections: 32,
        }
    }

    /// Resident memory under many connections.
    fn memory(&self) -> Result<Vec<idle::Memory>> {
        println!(
            "{} idle connections, then {} busy ones beside them.",
            self.scale.idle, self.scale.active
        );
        let mut found = Vec::new();
        for which in 0..3 {
            let contender = match which {
                0 => self.nginx(Work::Full)?,
                1 => self.haproxy(Work::Full)?,
                _ => self.ringwall("ringwall", Work::Spared)?,
            };
            let memory = idle::hold(&contender, self.scale.idle, self.scale.active)?;
            println!("  {memory}");
            found.push(memory);
        }
        Ok(found)
    }

    /// Reaction times: alone, and while others keep the core busy.
    fn reactions(&self) -> Result<(reaction::Reactions, reaction::Reactions)> {
        println!("From the deciding request to the first refusal.");
        let ringwall = self.ringwall("ringwall", Work::Spared)?;
        let calm = reaction::provoke(&ringwall, 1, self.scale.sources)?;
        println!("  alone: {calm}");
        let load = load::Load {
            connections: 32,
            seconds: 5,
        };
        let busy = load.start(&ringwall)?;
        std::thread::sleep(Duration::from_millis(500));
        let loaded = reaction::provoke(&ringwall, 2, self.scale.sources)?;
        busy.finish()?;
        println!("  under load: {loaded}");
        Ok((calm, loaded))
    }
}
