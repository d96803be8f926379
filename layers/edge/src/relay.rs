//! One request and its response between a client and an upstream.
//!
//! Purpose: both directions at once, in one task and without `select`: the
//! request's body goes up while the response may already come down (early
//! answers, bidirectional streams). Refuses to reuse an upstream connection unless
//! both messages ended cleanly on it. On failure says whose fault it was, so that
//! the caller can answer, retry or just close.

use core::future::poll_fn;
use core::task::{Context, Poll};

use tokio::net::TcpStream;
use wire::{BodyFraming, Fault, Method, Parse, Response, ResponseHead, Version};

use crate::io::Stream;
use crate::local::Core;
use crate::pump::{Halt, Pipe as _, Pump, WaitsFor};
use crate::registry::{Cut, Line};
use crate::route::Plan;

/// Why there is no (complete) response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The upstream closed or broke before the first byte of a response.
    Silent,
    /// The upstream closed or broke inside its response, or answered nonsense.
    Upstream(Option<Fault>),
    /// The upstream took too long.
    UpstreamTime,
    /// The client went away.
    ClientGone,
    /// The client's body breaks the framing's rules.
    ClientFault(Fault),
    /// The client's body is longer than allowed.
    ClientTooLong,
    /// The client stopped sending or taking.
    ClientTime,
    /// The connection was stopped by us.
    Stopped(Cut),
}

/// Both directions of an exchange.
pub(crate) struct Relay<'a> {
    pub(crate) core: &'a Core,
    pub(crate) line: &'a Line,
    pub(crate) plan: &'a Plan,
    pub(crate) client: &'a mut Stream,
    pub(crate) upstream: TcpStream,
    pub(crate) up: Pump,
    pub(crate) down: Pump,
    /// The upstream no longer takes the request's body.
    up_broken: bool,
    /// The client closed its sending side.
    pub(crate) half_closed: bool,
    /// Bytes that wait in `down` for the head parser begin here.
    head_at: usize,
    ticked: u32,
}

/// A response head was found: `down.data[..consumed]`, relative to where the head began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadAt {
    pub(crate) start: usize,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(
        core: &'a Core,
        line: &'a Line,
        plan: &'a Plan,
        client: &'a mut Stream,
        upstream: TcpStream,
        up: Pump,
    ) -> Self {
        let down = Pump::new(
            BodyFraming::None,
            BodyFraming::None,
            &plan.wire,
            u64::MAX,
            Vec::new(),
            // Taken when there is something to say: many wait long for their upstream.
            Vec::new(),
        );
        Self {
            core,
            line,
            plan,
            client,
            upstream,
            up,
            down,
            up_broken: false,
            half_closed: false,
            head_at: 0,
            ticked: u32::MAX,
        }
    }

    /// Sends the request and waits for the next response head, interim or final.
    /// The head's bytes are `down.data[at.start..]`, parsed into `head`.
    pub(crate) async fn next_head(
        &mut self,
        head: &mut ResponseHead,
        asked: Method,
    ) -> Result<HeadAt, Failure> {
        self.head_at = self.down.at;
        self.touch(self.plan.ticks.stalled);
        poll_fn(|cx| self.poll_head(cx, head, asked)).await
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
        asked: Method,
    ) -> Poll<Result<HeadAt, Failure>> {
        if let Err(cut) = self.line.check(cx) {
            return Poll::Ready(Err(self.blame(cut, WaitsFor::Source)));
        }
        let was_done = self.up.done;
        if let Err(failure) = self.poll_up(cx) {
            return Poll::Ready(Err(failure));
        }
        if self.up.done && !was_done && !self.half_closed {
            self.touch(self.plan.ticks.response);
        }
        // Interim heads wait here for a client that is slow to take them.
        match self.down.poll_drain(cx, self.client) {
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        loop {
            let start = self.head_at;
            let bytes = self.down.data.get(start..).unwrap_or_default();
            if !bytes.is_empty() {
                match head.parse(bytes, &self.plan.wire, asked) {
                    Parse::Partial => {}
                    Parse::Done { consumed } => {
                        self.down.at = start + consumed;
                        return Poll::Ready(Ok(HeadAt { start }));
                    }
                    Parse::Refuse(fault) => {
                        return Poll::Ready(Err(Failure::Upstream(Some(fault))));
                    }
                }
            }
            if self.down.data.capacity() == 0
                && matches!(self.upstream.poll_read_ready(cx), Poll::Pending)
            {
                return Poll::Pending;
            }
            self.make_room();
            match self.upstream.poll_fill(cx, &mut self.down.data) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(read)) if read > 0 => self.down.read += read as u64,
                Poll::Ready(_) if self.down.read == 0 => {
                    return Poll::Ready(Err(Failure::Silent));
                }
                Poll::Ready(_) => return Poll::Ready(Err(Failure::Upstream(None))),
            }
        }
    }

    /// A buffer for what the client is told.
    pub(crate) fn take_out(&mut self) {
        if self.down.out.capacity() == 0 {
            self.down.out = self.core.buffers.small();
        }
    }

    /// Room for more of a response head; its length is bounded by the parser.
    fn make_room(&mut self) {
        let data = &mut self.down.data;
        if data.capacity() == 0 {
            *data = self.core.buffers.small();
        } else if data.len() == data.capacity() {
            data.reserve(data.capacity());
        }
    }

    /// Moves the request's body; once it is through, watches the client instead.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        if self.up_broken {
            return Ok(());
        }
        if self.up.done {
            return self.watch(cx);
        }
        let before = self.up.read + self.up.written;
        let moved = self
            .up
            .poll(cx, self.client, &mut self.upstream, &self.core.buffers);
        self.progress(self.up.read + self.up.written - before);
        self.line.set_owes(self.client_owes(WaitsFor::Source));
        match moved {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                // All was sent; who waits for an upstream holds the request's head and no more.
                self.core.buffers.put(core::mem::take(&mut self.up.out));
                self.watch(cx)
            }
            // The upstream may have answered before it stopped listening.
            Poll::Ready(Err(Halt::Sink)) => {
                self.up_broken = true;
                Ok(())
            }
            Poll::Ready(Err(Halt::Source)) => Err(Failure::ClientGone),
            Poll::Ready(Err(Halt::Fault(fault))) => Err(Failure::ClientFault(fault)),
            Poll::Ready(Err(Halt::TooLong)) => Err(Failure::ClientTooLong),
        }
    }

    /// Notices a client that goes away while it should wait, and keeps what it
    /// sends ahead, up to one buffer.
    fn watch(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while !self.half_closed {
            if self.up.data.capacity() == 0 {
                if self.client.poll_readable(cx).is_pending() {
                    return Ok(());
                }
                self.up.data = self.core.buffers.small();
            }
            if self.up.data.len() == self.up.data.capacity() {
                return Ok(());
            }
            match self.client.poll_fill(cx, &mut self.up.data) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => {
                    // It may only have closed its sending side: it gets its answer
                    // if that comes soon.
                    self.half_closed = true;
                    self.touch(self.plan.ticks.half_closed);
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Err(Failure::ClientGone),
            }
        }
        Ok(())
    }

    /// The response parsed last.
    pub(crate) fn response<'b>(&'b self, head: &'b ResponseHead, at: HeadAt) -> Response<'b> {
        head.response(self.down.data.get(at.start..).unwrap_or_default())
    }

    /// Queues an interim response for the client.
    pub(crate) fn inform(&mut self, head: &ResponseHead, at: HeadAt, client: Version) {
        if client == Version::Http11 {
            self.take_out();
            let response = head.response(self.down.data.get(at.start..).unwrap_or_default());
            wire::write_informational(&mut self.down.out, &response, wire::HeaderSet::EMPTY);
        }
    }

    /// Sends the response, whose head is in `down.out`, to its end.
    pub(crate) async fn finish(&mut self) -> Result<(), Failure> {
        self.touch(self.plan.ticks.stalled);
        poll_fn(|cx| {
            if let Err(cut) = self.line.check(cx) {
                return Poll::Ready(Err(self.blame(cut, self.down.waits_for)));
            }
            if let Err(failure) = self.poll_up(cx) {
                return Poll::Ready(Err(failure));
            }
            let before = self.down.read + self.down.written;
            let moved = self
                .down
                .poll(cx, &mut self.upstream, self.client, &self.core.buffers);
            self.progress(self.down.read + self.down.written - before);
            self.line.set_owes(self.client_owes(self.down.waits_for));
            moved.map_err(|halt| match halt {
                Halt::Source | Halt::TooLong => Failure::Upstream(None),
                Halt::Fault(fault) => Failure::Upstream(Some(fault)),
                Halt::Sink => Failure::ClientGone,
            })
        })
        .await
    }

    /// Sends what waits in `down.out` and nothing more.
    pub(crate) async fn drain(&mut self) -> Result<(), Failure> {
        poll_fn(|cx| {
            if let Err(cut) = self.line.check(cx) {
                return Poll::Ready(Err(Failure::Stopped(cut)));
            }
            self.down
                .poll_drain(cx, self.client)
                .map_err(|_| Failure::ClientGone)
        })
        .await
    }

    /// Whether the client must send or take something for things to go on.
    fn client_owes(&self, down: WaitsFor) -> bool {
        let sends = !self.up.done && !self.up_broken && self.up.waits_for == WaitsFor::Source;
        sends || down == WaitsFor::Sink
    }

    /// Bytes moved: the deadline moves with them, once a tick at most.
    fn progress(&mut self, bytes: u64) {
        if bytes > 0 {
            self.line.moved(bytes);
            if self.ticked != self.core.tick() {
                self.touch(self.plan.ticks.stalled);
            }
        }
    }

    fn touch(&mut self, wait: u32) {
        self.ticked = self.core.tick();
        self.line.set_deadline(self.core.deadline(wait));
    }

    /// Whose fault it is that time ran out, while the response waits for `down`.
    fn blame(&self, cut: Cut, down: WaitsFor) -> Failure {
        match cut {
            Cut::Expired if self.half_closed => Failure::ClientGone,
            Cut::Expired | Cut::TooSlow => {
                self.line.forgive();
                if self.client_owes(down) {
                    Failure::ClientTime
                } else {
                    Failure::UpstreamTime
                }
            }
            Cut::Barred | Cut::Evicted | Cut::Draining => Failure::Stopped(cut),
        }
    }
}
