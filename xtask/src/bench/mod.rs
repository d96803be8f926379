//! `cargo xtask bench edge`: Ringwall beside nginx, HAProxy and crowdsec on one machine.
//!
//! | module | does |
//! |---|---|
//! | [`contender`] | starts the proxies and the upstream, with equal work to do |
//! | [`process`] | processes and what they cost, as the kernel counts it |
//! | [`load`] | requests by wrk, which nobody here wrote |
//! | [`rounds`] | who takes turns, and medians of what came out |
//! | [`steady`] | latencies at half load, at a fixed rate |
//! | [`idle`] | ten thousand connections that say nothing |
//! | [`crowdsec`] | nginx with crowdsec reading its log |
//! | [`reaction`] | from the deciding request to the first refused one |
//! | [`control`] | orders to a running instance, and a full book |
//! | [`report`] | figures as text |
//! | [`detect`] | another suite: logs through the engine, and through crowdsec |
//! | [`field`] | another suite: what attackers get through, past us and past the peer |
//! | [`verdict`] | figures held against the aims, and where a peer is better |
//!
//! The proxies run on core 0, wrk and the upstream on core 1, all on loopback. What
//! counts is processor time a request, which other programs on the machine disturb
//! less than requests a second; contenders take turns of a second, and ratios are
//! taken within a round. **Refuses** to write figures of any binary but its own release build.
//! Everything is bounded: the whole run takes under ten minutes.

mod contender;
mod control;
mod crowdsec;
mod detect;
mod field;
mod idle;
mod load;
mod process;
mod reaction;
mod report;
mod rounds;
mod steady;
mod verdict;

pub(crate) use report::commit;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};

use crate::run::{cargo, find, root, succeeds};
use contender::{Contender, Place, Speech, Upstream, Work};
use rounds::Turn;

/// How many bans the full book holds.
const BANS: usize = 100_000;
/// Requests a second that are taken for half load where nginx was not asked what it can do.
const HALF: f64 = 16_000.0;
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
    /// Measure these parts and print what came of them; writes nothing.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Part {
    /// Forwarding alone.
    Off,
    /// Access log, limits, detection; then latencies and refusals with a full book.
    On,
    /// Everything on, in TLS.
    Tls,
    /// Memory with idle and busy connections.
    Memory,
    /// The same in TLS.
    MemoryTls,
    /// The first refusal, without a full book.
    Reaction,
    /// The same with a full book.
    ReactionFull,
    /// nginx with crowdsec.
    Crowdsec,
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
    /// The rate, half of what nginx does at most, and the latencies at it.
    half: f64,
    steady: Vec<steady::Steady>,
    tls: Vec<rounds::Row>,
    memory: Vec<idle::Memory>,
    memory_tls: Vec<idle::Memory>,
    calm: reaction::Reactions,
    half_loaded: reaction::Reactions,
    loaded: reaction::Reactions,
    /// With a full book, alone and at half load.
    full: reaction::Reactions,
    full_half_loaded: reaction::Reactions,
    crowdsec: Option<crowdsec::Watched>,
}

/// Measures; whether the measurement ran to its end.
pub(crate) fn run(suite: &str, rest: &[String]) -> Result<bool> {
    match suite {
        "edge" => edge(rest),
        "field" => field::run(rest),
        "detect" => detect::run(rest),
        other => bail!("There is no benchmark '{other}'. There are: edge, field, detect."),
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
    let commit = commit();
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
    let place = Place::make()?;
    let upstream = Upstream::start(&place)?;
    let stage = Stage {
        binary: &binary,
        place: &place,
        upstream: &upstream,
        scale,
    };
    if !arguments.only.is_empty() {
        return parts(&stage, &arguments.only);
    }
    let before = report::load_average();
    let began = Instant::now();
    let measured = measure(&stage)?;
    let text = report::text(&measured, &commit, &before, began.elapsed())?;
    println!("\n{text}");
    if arguments.quick || arguments.dry || arguments.binary.is_some() {
        println!("Nothing was written to bench/RESULTS.md.");
    } else {
        report::write(&root().join("bench/RESULTS.md"), report::EDGE, &text)?;
    }
    Ok(true)
}

fn check_machine() -> Result<()> {
    let missing: Vec<&str> = [
        "nginx", "haproxy", "wrk", "h2load", "openssl", "taskset", "prlimit",
    ]
    .into_iter()
    .filter(|program| find(program).is_none())
    .collect();
    if !missing.is_empty() {
        bail!(
            "The benchmark needs {}. Install them with: sudo apt-get install nginx-light haproxy wrk nghttp2-client \
             openssl util-linux",
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

/// Measures some parts alone, each of which says what came of it.
fn parts(stage: &Stage<'_>, wanted: &[Part]) -> Result<bool> {
    let show = |rows: Vec<rounds::Row>| rows.iter().for_each(|row| println!("  {row}"));
    for part in wanted {
        match part {
            Part::Off => show(stage.all_off()?),
            Part::On => show(stage.all_on()?.rows),
            Part::Tls => show(stage.tls()?),
            Part::Memory => drop(stage.memory(Speech::Plain)?),
            Part::MemoryTls => drop(stage.memory(Speech::Tls)?),
            Part::Reaction => drop(stage.reactions(HALF)?),
            Part::ReactionFull => drop(stage.reaction_full()?),
            Part::Crowdsec => drop(stage.crowdsec()?),
        }
    }
    println!("Nothing was written to bench/RESULTS.md.");
    Ok(true)
}

fn measure(stage: &Stage<'_>) -> Result<Measured> {
    let off = stage.all_off()?;
    let plain = stage.all_on()?;
    let tls = stage.tls()?;
    let memory = stage.memory(Speech::Plain)?;
    let memory_tls = stage.memory(Speech::Tls)?;
    let [calm, half_loaded, loaded] = stage.reactions(plain.half)?;
    let crowdsec = stage.crowdsec()?;
    Ok(Measured {
        scale: stage.scale,
        off,
        on: plain.rows,
        bans: plain.bans,
        half: plain.half,
        steady: plain.steady,
        full: plain.full,
        full_half_loaded: plain.full_half_loaded,
        tls,
        memory,
        memory_tls,
        calm,
        half_loaded,
        loaded,
        crowdsec,
    })
}

/// What comes of everything on, in plain HTTP.
struct Plain {
    rows: Vec<rounds::Row>,
    bans: control::Filled,
    half: f64,
    steady: Vec<steady::Steady>,
    full: reaction::Reactions,
    full_half_loaded: reaction::Reactions,
}

/// What every part of the run needs.
struct Stage<'a> {
    binary: &'a Path,
    place: &'a Place,
    upstream: &'a Upstream,
    scale: Scale,
}

impl Stage<'_> {
    fn ringwall(&self, name: &'static str, work: Work, speech: Speech) -> Result<Contender> {
        Contender::ringwall(name, self.binary, self.place, self.upstream, (work, speech))
    }

    fn nginx(&self, work: Work, speech: Speech) -> Result<Contender> {
        Contender::nginx(self.place, self.upstream, work, speech)
    }

    fn haproxy(&self, work: Work, speech: Speech) -> Result<Contender> {
        Contender::haproxy(self.place, self.upstream, work, speech)
    }

    /// Forwarding and nothing else.
    fn all_off(&self) -> Result<Vec<rounds::Row>> {
        println!("Everything off: forwarding alone.");
        let contenders = [
            self.nginx(Work::Bare, Speech::Plain)?,
            self.haproxy(Work::Bare, Speech::Plain)?,
            self.ringwall("ringwall", Work::Bare, Speech::Plain)?,
        ];
        rounds::run(&contenders, self.turn())
    }

    /// Access log, limits and detection; all that with a full book; and at half load.
    fn all_on(&self) -> Result<Plain> {
        println!("Everything on: access log, limits, detection.");
        let contenders = [
            self.nginx(Work::Full, Speech::Plain)?,
            self.haproxy(Work::Full, Speech::Plain)?,
            self.ringwall("ringwall, log only", Work::Logged, Speech::Plain)?,
            self.ringwall("ringwall", Work::Full, Speech::Plain)?,
            self.ringwall("ringwall, full book", Work::Full, Speech::Plain)?,
        ];
        let [nginx, haproxy, _, ringwall, full] = &contenders;
        let bans = control::fill(&full.socket(), self.scale.bans, BANS_WITHIN)?;
        println!("  {} bans in {:.1?}", bans.bans, bans.took);
        let rows = rounds::run(&contenders, self.turn())?;
        let half = rows.first().map_or(0.0, |nginx| nginx.per_second) / 2.0;
        println!("At half load: {half:.0} requests a second, whatever comes back.");
        let calm = [nginx, haproxy, ringwall, full];
        let turn = (self.scale.rounds.min(9), 2);
        let steady = steady::run(&calm, &self.place.folder("steady")?, half, turn)?;
        let alone = reaction::provoke(full, 3, self.scale.sources)?;
        println!("From the deciding request to the first refusal, full book: {alone}");
        let full_half_loaded = self.half_loaded(full, half, 5)?;
        println!("  at half load: {full_half_loaded}");
        Ok(Plain {
            rows,
            bans,
            half,
            steady,
            full: alone,
            full_half_loaded,
        })
    }

    /// Reaction times with a full book, alone and at half load.
    fn reaction_full(&self) -> Result<[reaction::Reactions; 2]> {
        println!("From the deciding request to the first refusal, full book.");
        let full = self.ringwall("ringwall, full book", Work::Full, Speech::Plain)?;
        control::fill(&full.socket(), self.scale.bans, BANS_WITHIN)?;
        let alone = reaction::provoke(&full, 3, self.scale.sources)?;
        println!("  alone: {alone}");
        let half_loaded = self.half_loaded(&full, HALF, 5)?;
        println!("  at half load: {half_loaded}");
        Ok([alone, half_loaded])
    }

    /// Everything on, in TLS.
    fn tls(&self) -> Result<Vec<rounds::Row>> {
        println!("Everything on, in TLS.");
        let contenders = [
            self.nginx(Work::Full, Speech::Tls)?,
            self.haproxy(Work::Full, Speech::Tls)?,
            self.ringwall("ringwall", Work::Full, Speech::Tls)?,
        ];
        rounds::run(&contenders, self.turn())
    }

    fn turn(&self) -> Turn {
        Turn {
            rounds: self.scale.rounds,
            seconds: self.scale.seconds,
            connections: 32,
        }
    }

    /// Resident memory under many connections.
    fn memory(&self, speech: Speech) -> Result<Vec<idle::Memory>> {
        let (idle, active) = (self.scale.idle, self.scale.active);
        println!(
            "{idle} idle connections, then {active} busy ones beside them, {}.",
            speech.scheme()
        );
        let mut found = Vec::new();
        for which in 0..4 {
            let contender = match (which, speech) {
                (0, _) => self.nginx(Work::Full, speech)?,
                (1, _) => self.haproxy(Work::Full, speech)?,
                (2, _) => self.ringwall("ringwall", Work::Spared, speech)?,
                (_, Speech::Plain) => {
                    let full = self.ringwall("ringwall, full book", Work::Spared, speech)?;
                    control::fill(&full.socket(), self.scale.bans, BANS_WITHIN)?;
                    full
                }
                // What bans hold does not depend on how clients speak.
                (_, Speech::Tls) => continue,
            };
            let memory = idle::hold(&contender, &self.place.chain(), (idle, active))?;
            println!("  {memory}");
            found.push(memory);
        }
        Ok(found)
    }

    /// Reaction times: alone, at half load, and while others keep the core busy.
    fn reactions(&self, half: f64) -> Result<[reaction::Reactions; 3]> {
        println!("From the deciding request to the first refusal.");
        let ringwall = self.ringwall("ringwall", Work::Spared, Speech::Plain)?;
        let calm = reaction::provoke(&ringwall, 1, self.scale.sources)?;
        println!("  alone: {calm}");
        let half_loaded = self.half_loaded(&ringwall, half, 2)?;
        println!("  at half load: {half_loaded}");
        let load = load::Load {
            connections: 32,
            seconds: 5,
        };
        let busy = load.start(&ringwall)?;
        std::thread::sleep(Duration::from_millis(500));
        let loaded = reaction::provoke(&ringwall, 4, self.scale.sources)?;
        busy.finish()?;
        println!("  under load: {loaded}");
        Ok([calm, half_loaded, loaded])
    }

    /// Reaction times while others ask at half the rate that is possible.
    fn half_loaded(
        &self,
        contender: &Contender,
        half: f64,
        round: u8,
    ) -> Result<reaction::Reactions> {
        let mut steady = steady::load(contender, half, 12)?.spawn()?;
        std::thread::sleep(Duration::from_millis(500));
        let found = reaction::provoke(contender, round, self.scale.sources)?;
        // Bounded by its duration; nothing it says is used.
        let _done = steady.wait()?;
        Ok(found)
    }

    /// nginx with crowdsec beside it.
    fn crowdsec(&self) -> Result<Option<crowdsec::Watched>> {
        println!("nginx with crowdsec reading its log.");
        let nginx = self.nginx(Work::Full, Speech::Plain)?;
        let found = crowdsec::run(self.place, &nginx)?;
        match &found {
            Some(one) => println!(
                "  {:.0} µs a request, {:.0} of them nginx's",
                one.nginx + one.crowdsec,
                one.nginx
            ),
            None => println!("  crowdsec is not there; 'cargo xtask test' unpacks it."),
        }
        Ok(found)
    }
}
