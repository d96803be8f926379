//! Tunnels: what a connection becomes after an upgrade.
//!
//! Bytes go both ways unseen; each direction ends by itself (half-close), and the
//! tunnel when both have, when a side breaks, or when nothing moved for long.
//! Waiting directions hold no buffer, so idle WebSockets are cheap.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use std::io;
use std::pin::Pin;

use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use crate::buffer::{Buffers, SMALL};
use crate::io::Stream;
use crate::local::Core;
use crate::pump::Pipe;
use crate::registry::{Line, Phase};

/// Bytes that a tunnel carried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// Carries bytes until the tunnel ends. What was read behind the two heads already
/// goes first.
pub(crate) async fn carry(
    core: &Core,
    line: &Line,
    idle: u32,
    (client, upstream): (&mut Stream, &mut TcpStream),
    [early_up, early_down]: [Vec<u8>; 2],
) -> Carried {
    line.enter(Phase::Tunnel, core.deadline(idle));
    let (mut up, mut down) = (Lane::new(early_up), Lane::new(early_down));
    let mut ticked = core.tick();
    poll_fn(|cx| {
        if line.check(cx).is_err() {
            return Poll::Ready(());
        }
        let before = up.carried + down.carried;
        let upward = up.poll(cx, client, upstream, &core.buffers);
        let downward = down.poll(cx, upstream, client, &core.buffers);
        if up.carried + down.carried > before && ticked != core.tick() {
            ticked = core.tick();
            line.set_deadline(core.deadline(idle));
        }
        match (upward, downward) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
    let carried = Carried {
        up: up.carried,
        down: down.carried,
    };
    core.buffers.put(up.data);
    core.buffers.put(down.data);
    carried
}

/// A side of a tunnel.
trait End: Pipe {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl End for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_readable(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shutdown(cx)
    }
}

impl End for TcpStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_shutdown(cx)
    }
}

/// One direction.
struct Lane {
    data: Vec<u8>,
    sent: usize,
    carried: u64,
    /// TLS may hold back what was written.
    unflushed: bool,
    ended: bool,
    closed: bool,
}

impl Lane {
    fn new(data: Vec<u8>) -> Self {
        Self {
            data,
            sent: 0,
            carried: 0,
            unflushed: false,
            ended: false,
            closed: false,
        }
    }

    /// Moves bytes until it must wait; ready once the end was passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl End,
        to: &mut impl End,
        buffers: &Buffers,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.closed {
                return Poll::Ready(Ok(()));
            }
            while let Some(rest) = self.data.get(self.sent..).filter(|rest| !rest.is_empty()) {
                let sent = ready!(to.poll_write(cx, [rest, &[], &[]]))?;
                self.sent += sent;
                self.carried += sent as u64;
                self.unflushed = true;
            }
            if self.unflushed {
                ready!(to.poll_flush(cx))?;
                self.unflushed = false;
            }
            if self.ended {
                ready!(to.poll_close(cx))?;
                self.closed = true;
                continue;
            }
            ready!(self.poll_refill(cx, from, buffers))?;
        }
    }

    fn poll_refill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl End,
        buffers: &Buffers,
    ) -> Poll<io::Result<()>> {
        let was_full = self.data.len() >= SMALL;
        self.sent = 0;
        self.data.clear();
        let ready = from.poll_ready(cx);
        if ready.is_pending() {
            buffers.put(core::mem::take(&mut self.data));
            return Poll::Pending;
        }
        if was_full && self.data.capacity() <= SMALL {
            buffers.put(core::mem::replace(&mut self.data, buffers.large()));
        } else if self.data.capacity() == 0 {
            self.data = buffers.small();
        }
        match from.poll_fill(cx, &mut self.data) {
            Poll::Pending => {
                buffers.put(core::mem::take(&mut self.data));
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(other) => Poll::Ready(other.map(drop)),
        }
    }
}
