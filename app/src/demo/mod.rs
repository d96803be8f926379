//! `ringwall demo`: a small shop, its visitors, its attackers and the defence.
//!
//! Nothing here is staged: the demo starts the same daemon that `ringwall up`
//! starts, on loopback and with a state directory that is thrown away. Visitors
//! and attackers are threads with sockets of their own loopback addresses, and
//! what is told is read back from the book. Its never-ban list is 127.0.0.1 alone.

mod attackers;
mod client;
mod site;
mod visitors;

use std::io;
use std::net::SocketAddr;

use std::thread;
use std::time::Duration;

use config::Config;
use vocab::time::Span;

use crate::Error;
use crate::daemon::Daemon;
use crate::term::{Out, Tone};
use attackers::{ATTACKS, Outcome};
use site::Shop;
use visitors::{VISITORS, Visitors};

/// How long visitors browse before the first attack, and after the last.
const CALM: Duration = Duration::from_millis(1_500);
/// The pause between attackers, so that a person can follow.
const BREATH: Duration = Duration::from_millis(400);

/// Runs the demo: once, or until interrupted.
///
/// # Errors
/// [`Error::Findings`] when an attacker was not stopped or a visitor was hurt.
pub fn run(once: bool, out: &mut Out) -> Result<(), Error> {
    let home =
        Home::make().map_err(|error| said("make a directory for the demo's state", &error))?;
    let shop = Shop::open().map_err(|error| said("open the demo's shop on loopback", &error))?;
    let configuration = configuration(&home, shop.address())?;
    let daemon = Daemon::start(configuration, crate::daemon::Start::embedded())?;
    let edge = daemon.listening().first().copied().ok_or_else(|| {
        Error::Operator(
            "The demo's edge has no listener; this is a defect, please report it.".to_owned(),
        )
    })?;
    introduce(out, edge, shop.address())?;
    let visitors = Visitors::arrive(edge).map_err(|error| said("let visitors in", &error))?;
    let scene = Scene {
        daemon: &daemon,
        edge,
        visitors: &visitors,
    };
    let told = (if once {
        scene.round(out, 0)
    } else {
        scene.rounds(out)
    })?;
    let tally = visitors.leave();
    let hurt = tally.errors();
    let summary = format!(
        "{VISITORS} visitors made {} requests meanwhile; {} went wrong for them.",
        tally.requests(),
        if hurt == 0 {
            "none".to_owned()
        } else {
            hurt.to_string()
        }
    );
    out.line(&out.paint(if hurt == 0 { Tone::Good } else { Tone::Bad }, &summary))?;
    drop(daemon);
    let stopped = told.iter().filter(|outcome| outcome.stopped).count();
    if stopped == told.len() && hurt == 0 && tally.requests() > 0 {
        let all = format!("All {stopped} attackers were stopped.");
        out.line(&out.paint(Tone::Good, &all))?;
        out.line("")?;
        out.paragraph(
            "Protect a service of yours the same way: ringwall up --protect http://127.0.0.1:3000",
            0,
        )?;
        Ok(())
    } else {
        let some = format!("{} of {} attackers were stopped.", stopped, told.len());
        out.line(&out.paint(Tone::Bad, &some))?;
        Err(Error::Findings)
    }
}

struct Scene<'a> {
    daemon: &'a Daemon,
    edge: SocketAddr,
    visitors: &'a Visitors,
}

impl Scene<'_> {
    /// Every attack once, from fresh addresses in each round.
    fn round(&self, out: &mut Out, round: u8) -> Result<Vec<Outcome>, Error> {
        thread::sleep(CALM);
        let mut told = Vec::new();
        for (number, attack) in (1_u8..).zip(ATTACKS) {
            let width = u8::try_from(ATTACKS.len()).unwrap_or(u8::MAX);
            let outcome = attack.run(
                round.wrapping_mul(width).wrapping_add(number).max(1),
                self.edge,
            );
            self.tell(out, attack.what, outcome)?;
            told.push(outcome);
            thread::sleep(BREATH);
        }
        thread::sleep(CALM);
        Ok(told)
    }

    fn rounds(&self, out: &mut Out) -> Result<Vec<Outcome>, Error> {
        let mut told = Vec::new();
        for round in 0..40 {
            told.extend(self.round(out, round)?);
            let tally = self.visitors.tally();
            let so_far = format!(
                "round {}: visitors made {} requests, {} went wrong. Ctrl-C ends the demo.",
                round + 1,
                tally.requests(),
                tally.errors()
            );
            out.line(&out.paint(Tone::Faint, &so_far))?;
            out.line("")?;
        }
        Ok(told)
    }

    fn tell(&self, out: &mut Out, what: &str, outcome: Outcome) -> Result<(), Error> {
        let source = outcome.source;
        out.line(&format!(
            "{}  {what}",
            out.paint(Tone::Strong, &format!("{source:<11}"))
        ))?;
        let book = self.daemon.bookkeeper();
        if let Some(alert) = book.latest_alert(source) {
            let seen = format!(
                "seen by {} after {} events",
                alert.scenario, alert.events_count
            );
            out.paragraph(&seen, 13)?;
        }
        let (tone, line) = match (outcome.stopped, book.reaction(source)) {
            (true, _) if outcome.let_through == 0 => (
                Tone::Good,
                "stopped: refused from the first request on, barred as it went on".to_owned(),
            ),
            (true, Some(reaction)) => (
                Tone::Good,
                format!(
                    "stopped: request {} decided, the first refusal came {} later",
                    outcome.let_through,
                    Span(reaction)
                ),
            ),
            (true, None) => (
                Tone::Good,
                format!(
                    "stopped after {} requests, {}",
                    outcome.let_through,
                    Span(outcome.took)
                ),
            ),
            (false, _) => (
                Tone::Bad,
                format!("NOT stopped: {} requests went through", outcome.let_through),
            ),
        };
        out.line(&format!("{:13}{}", "", out.paint(tone, &line)))?;
        Ok(())
    }
}

fn introduce(out: &mut Out, edge: SocketAddr, shop: SocketAddr) -> Result<(), Error> {
    out.line(&out.paint(Tone::Strong, "Ringwall demo"))?;
    out.paragraph(
        &format!(
            "A small shop on {shop} stands behind Ringwall's edge on {edge}. {VISITORS} visitors \
             (127.0.1.1 to 127.0.1.{VISITORS}) browse it, and {} attackers (127.0.2.1 and up) try \
             their luck, each with a browser's headers.",
            ATTACKS.len()
        ),
        0,
    )?;
    out.line("")?;
    Ok(())
}

fn configuration(home: &Home, shop: SocketAddr) -> Result<Config, Error> {
    let text = format!(
        "[edge]\nlisten = [\"127.0.0.1:0\"]\n[edge.access_log]\noff = true\n\
         [[edge.site]]\nhost = [\"*\"]\nto = [\"http://{shop}\"]\nmode = \"enforce\"\n\
         [book]\nnever_ban = [\"127.0.0.1\"]\n[state]\ndirectory = \"{0}\"\n\
         [control]\nsocket = \"{0}/control.sock\"\n[metrics]\noff = true\n",
        home.0.display()
    );
    crate::configuration::from_text("the demo's own configuration", &text)
}

/// A directory that is removed when the demo ends.
struct Home(std::path::PathBuf);

impl Home {
    fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("ringwall-demo-{}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed is a few kilobytes in the temporary directory.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

fn said(deed: &str, error: &io::Error) -> Error {
    Error::Operator(format!("Cannot {deed}: {error}."))
}
