//! A TLS handshake: its deadline, and how many may be under way.

use core::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use vocab::{ClientAddr, RefusedBy};

use crate::certificate::Witness;
use crate::io::{Broken, Stream};
use crate::local::{Core, Refused, now};
use crate::registry::{Cut, Line, Phase};
use crate::route::Plan;
use crate::tls::Tls;

/// A TLS handshake under its deadline and the core's cap.
pub(crate) async fn shake_hands(
    core: &Core,
    plan: &Plan,
    line: &Line,
    socket: TcpStream,
    config: Arc<rustls::ServerConfig>,
) -> Result<(Stream, Option<Box<str>>), ()> {
    line.enter(Phase::Handshake, core.deadline(plan.ticks.handshake));
    // Who says nothing takes no place among the handshakes.
    let mut stream = Stream::Plain(socket);
    let spoke = stream.readable(line).await;
    let Stream::Plain(socket) = stream else {
        return Err(());
    };
    let refuse = |rule: &'static str| {
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
    };
    match spoke {
        Ok(()) => {}
        Err(Broken::Cut(Cut::Expired)) => {
            refuse("limit.handshake-time");
            return Err(());
        }
        Err(_) => return Err(()),
    }
    if core.handshakes.get() >= plan.limits.handshakes_per_core {
        refuse("limit.handshakes");
        return Err(());
    }
    let _place = HandshakePlace::take(core);
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
            refuse("limit.handshake-time");
            Err(())
        }
        Err(error) => {
            core.counters.handshake_errors.one();
            tracing::debug!(client = %line.owner(), ?error, "TLS handshake failed");
            Err(())
        }
    }
}

struct HandshakePlace<'a>(&'a Core);

impl<'a> HandshakePlace<'a> {
    fn take(core: &'a Core) -> Self {
        core.handshakes.set(core.handshakes.get() + 1);
        Self(core)
    }
}

impl Drop for HandshakePlace<'_> {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get() - 1);
    }
}
