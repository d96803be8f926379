//! Resident memory with many kept-alive connections that say nothing, and with busy ones.

use std::fmt;
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context as _, Result};

use super::contender::Contender;
use super::load::Load;
use super::process::resident;
use super::reaction::{Answer, ask, connect};

/// Idle connections of one address.
const EACH: usize = 100;

/// What a proxy held, in MiB.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Memory {
    pub(super) name: &'static str,
    /// Before the first connection.
    pub(super) before: f64,
    /// With idle connections.
    pub(super) idle: f64,
    /// The most seen while others were busy beside them.
    pub(super) active: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:.1} MiB before, {:.1} idle, {:.1} busy",
            self.name, self.before, self.idle, self.active
        )
    }
}

/// Holds `idle` connections, each after one request, then adds `active` busy ones.
pub(super) fn hold(contender: &Contender, idle: usize, active: usize) -> Result<Memory> {
    let before = resident(contender.family());
    let held = (0..idle)
        .map(|number| open(contender, number))
        .collect::<Result<Vec<TcpStream>>>()?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    let while_idle = resident(contender.family());
    let load = Load {
        connections: active,
        seconds: 3,
    };
    let mut busy = load.start(contender)?;
    let mut most = while_idle;
    while busy.is_running() {
        most = most.max(resident(contender.family()));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    busy.finish()?;
    drop(held);
    Ok(Memory {
        name: contender.name(),
        before,
        idle: while_idle,
        active: most,
    })
}

fn open(contender: &Contender, number: usize) -> Result<TcpStream> {
    let (high, low) = (number / EACH / 250, number / EACH % 250);
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    let source = Ipv4Addr::new(127, 3, byte(high), byte(low + 1));
    let mut stream = connect(source, contender.address()).with_context(|| {
        format!(
            "Cannot open idle connection {number} to {}.",
            contender.name()
        )
    })?;
    match ask(&mut stream, "/")? {
        Answer::Status(200) => Ok(stream),
        other => anyhow::bail!(
            "{} answered idle connection {number} with {other:?}.",
            contender.name()
        ),
    }
}
