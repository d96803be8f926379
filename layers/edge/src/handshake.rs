//! A TLS handshake: its deadline, and how many may be under way.

mod places;

use core::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use vocab::{ClientAddr, RefusedBy};

use crate::certificate::Witness;
use crate::io::{Broken, Stream};
use crate::local::{Core, Refused, now};
use crate::registry::{Cut, Line, Phase};
use crate::route::Plan;
use crate::tls::Tls;

use self::places::Full;
pub(crate) use self::places::Places;

/// A TLS handshake under its deadline and the core's cap.
pub(crate) async fn shake_hands(
    core: &Core,
    plan: &Plan,
    line: &Rc<Line>,
    socket: TcpStream,
    config: Arc<rustls::ServerConfig>,
) -> Result<(Stream, Option<Box<str>>), ()> {
    let deadline = core.deadline(plan.ticks.handshake);
    // Who says nothing takes no place among the handshakes, and makes room for others.
    line.enter(Phase::Fresh, deadline);
    if let Err(broken) = first_byte(line, &socket).await {
        core.counters.cut(&broken);
        return Err(());
    }
    line.enter(Phase::Handshake, deadline);
    let Ok(_place) = Place::take(core, line, plan.limits.handshakes_per_core) else {
        refuse(core, line, "limit.handshakes");
        return Err(());
    };
    let (config, witness) = Witness::beside(&config);
    let Ok(tls) = Tls::new(socket, config, Rc::clone(&core.buffers)) else {
        core.counters.handshake_errors.one();
        return Err(());
    };
    // It is dropped, and the socket closed, after what came of it was told.
    let mut tls = Box::new(tls);
    let shaken = poll_fn(|cx| {
        line.check(cx)?;
        tls.poll_handshake(cx).map_err(Broken::from)
    })
    .await;
    match shaken {
        Ok(()) => {
            core.counters.handshakes.one();
            Ok((Stream::Tls(tls), witness.name()))
        }
        Err(Broken::Cut(Cut::Expired)) => {
            refuse(core, line, "limit.handshake-time");
            Err(())
        }
        Err(Broken::Cut(Cut::Evicted)) => {
            refuse(core, line, "limit.handshakes");
            Err(())
        }
        Err(error) => {
            core.counters.handshake_errors.one();
            tracing::debug!(client = %line.owner(), ?error, "TLS handshake failed");
            Err(())
        }
    }
}

/// Waits until the client has said something, which stays where it is. A socket may be
/// called readable before there is anything to read, so it is looked at.
async fn first_byte(line: &Line, socket: &TcpStream) -> Result<(), Broken> {
    let mut byte = [0];
    let seen = poll_fn(|cx| {
        line.check(cx)?;
        let mut space = ReadBuf::new(&mut byte);
        socket.poll_peek(cx, &mut space).map_err(Broken::from)
    });
    match seen.await? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        _ => Ok(()),
    }
}

/// Tells of a handshake that came to nothing for a limit.
fn refuse(core: &Core, line: &Line, rule: &'static str) {
    core.counters.handshake_errors.one();
    core.refused(&Refused {
        time: now(),
        client: ClientAddr::new(line.owner()),
        site: "",
        by: RefusedBy::Limit,
        rule,
        status: 0,
        request_id: core.request_id(),
        observed: false,
        foreign: false,
    });
}

/// One of the core's handshakes, given back on every path.
struct Place<'a> {
    core: &'a Core,
    number: u64,
}

impl<'a> Place<'a> {
    fn take(core: &'a Core, line: &Rc<Line>, most: usize) -> Result<Self, Full> {
        let client = ClientAddr::new(line.owner()).counting_key();
        let client = (!line.proxied()).then_some(client);
        let mut places = core.handshakes.borrow_mut();
        let taken = places.take(client, core.tick(), most, Rc::clone(line))?;
        drop(places);
        if let Some(line) = taken.displaced {
            core.counters.handshakes_displaced.one();
            line.stop(Cut::Evicted);
        }
        let number = taken.number;
        Ok(Self { core, number })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.handshakes.borrow_mut().release(self.number);
    }
}
