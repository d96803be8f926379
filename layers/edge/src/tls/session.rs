//! One TLS session: ciphertext to bytes and back.
//!
//! **For.** [`Session`], which opens what came and seals what goes, in two windows that
//! are lent only while something is in them. No socket here. **Refuses** to seal before
//! the last sealed bytes are gone, to hold a handshake message longer than [`WIDE`], and
//! to go on after a broken record. **Assumes** that its caller sends what [`Session::unsent`]
//! shows, above all after a failure: that is the alert which tells the peer why.
//!
//! rustls reassembles handshake messages in the caller's buffer and remembers how far it
//! came in it. Therefore it is always shown the whole window, never a part of it, also
//! when only something is to be written: what came complete is opened first.

use std::rc::Rc;
use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

use super::window::Window;
use crate::buffer::{Buffers, RECORD, WIDE};

/// Plaintext bytes in a full record (RFC 8446 §5.1).
const FRAGMENT: usize = 16 * 1024;
/// More than sealing adds to a record: header, nonce, tag, type.
const OVERHEAD: usize = 64;
/// Room for what TLS itself has to say in between, such as a key update.
const ASIDE: usize = 512;
/// Plaintext bytes that are sealed in one go: a large buffer and a head.
pub(super) const MOST: usize = 66 * 1024;

const _: () = assert!(sealed_at_most(MOST) <= WIDE, "what is sealed at once fits");

const fn sealed_at_most(plain: usize) -> usize {
    plain + (plain / FRAGMENT + 1) * OVERHEAD + ASIDE
}

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the peer breaks the rules of TLS: {0}")]
    Peer(#[from] rustls::Error),
    #[error("the peer's handshake message is too long")]
    TooLong,
    #[error("the session cannot seal any more")]
    Sealing,
    #[error("the session is over")]
    Over,
}

/// What the peer still has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hearing {
    Open,
    /// It said that nothing more comes, or closed its side without a word.
    Ended,
    /// It broke the rules; nothing it sent is looked at any more.
    Failed,
}

/// What one step came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// A record was opened.
    Opened,
    /// TLS talked to itself.
    Aside,
    /// The peer said that nothing more comes.
    Closed,
    /// Nothing more can be had from what came; a handshake is under way.
    Shaking,
    /// Nothing more can be had from what came.
    Dry,
}

/// The server's side of a session.
pub(super) struct Session {
    rustls: UnbufferedServerConnection,
    /// What came and was not used up.
    incoming: Window,
    /// What is to be sent.
    outgoing: Window,
    /// Opened bytes that nobody had room for, from `taken` on.
    plain: Vec<u8>,
    taken: usize,
    buffers: Rc<Buffers>,
    hearing: Hearing,
    /// Whether more may be had from what came.
    backlog: bool,
    /// Whether we said that nothing more comes.
    closed: bool,
}

impl Session {
    pub(super) fn new(
        config: Arc<rustls::ServerConfig>,
        buffers: Rc<Buffers>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            rustls: UnbufferedServerConnection::new(config)?,
            incoming: Window::default(),
            outgoing: Window::default(),
            plain: Vec::new(),
            taken: 0,
            buffers,
            hearing: Hearing::Open,
            backlog: false,
            closed: false,
        })
    }

    /// Room for ciphertext that comes.
    pub(super) fn room(&mut self) -> Result<&mut [u8], Fault> {
        // Behind a handshake no message is longer than a record.
        let most = if self.rustls.is_handshaking() {
            WIDE
        } else {
            RECORD
        };
        if self.incoming.len() >= most {
            self.fail();
            return Err(Fault::TooLong);
        }
        self.incoming.reserve(1, &self.buffers);
        Ok(self.incoming.spare())
    }

    /// So many bytes came into the room; none is the end of them.
    pub(super) fn came(&mut self, count: usize) {
        self.incoming.add(count);
        self.backlog = count > 0;
        if count == 0 && self.hearing == Hearing::Open {
            // What is left stays: rustls wants to see it whenever something is written.
            self.hearing = Hearing::Ended;
            self.rest();
        }
    }

    /// Whether nothing has come that was not used up.
    pub(super) fn is_drained(&self) -> bool {
        self.incoming.is_empty()
    }

    /// Whether there is something to read without anything coming.
    pub(super) fn is_readable(&self) -> bool {
        self.taken < self.plain.len() || self.backlog || self.hearing != Hearing::Open
    }

    /// Whether nothing more comes from the peer.
    pub(super) fn has_ended(&self) -> bool {
        self.hearing == Hearing::Ended
    }

    /// Goes on with the handshake; true once it is done. Bytes that came right behind
    /// it are kept.
    pub(super) fn shake(&mut self) -> Result<bool, Fault> {
        loop {
            match self.step(&mut Vec::new(), |_, _| Ok(()))? {
                Step::Shaking => return Ok(false),
                Step::Aside => {}
                Step::Opened | Step::Closed | Step::Dry => return Ok(true),
            }
        }
    }

    /// Opens what came into the spare capacity of `into`, as far as it fits and
    /// `may_go_on`, which is asked before every record. A fault is told once all that
    /// came before it was taken.
    pub(super) fn open(
        &mut self,
        into: &mut Vec<u8>,
        mut may_go_on: impl FnMut() -> bool,
    ) -> Result<usize, Fault> {
        let before = into.len();
        self.take_plain(into);
        while self.backlog && into.len() < into.capacity() && may_go_on() {
            if let Err(fault) = self.step(into, |_, _| Ok(()))
                && into.len() == before
            {
                return Err(fault);
            }
        }
        match into.len() - before {
            0 if self.hearing == Hearing::Failed => Err(Fault::Over),
            opened => Ok(opened),
        }
    }

    fn take_plain(&mut self, into: &mut Vec<u8>) {
        let waiting = self.plain.get(self.taken..).unwrap_or_default();
        let fits = waiting.len().min(into.capacity() - into.len());
        into.extend_from_slice(waiting.get(..fits).unwrap_or_default());
        self.taken += fits;
        if self.taken == self.plain.len() {
            self.taken = 0;
            self.buffers.put(core::mem::take(&mut self.plain));
        }
    }

    /// Seals from the front of `pieces`, up to [`MOST`] bytes; how many. All that was
    /// sealed before must have been sent.
    pub(super) fn seal(&mut self, pieces: [&[u8]; 3]) -> Result<usize, Fault> {
        if self.closed || !self.outgoing.is_empty() {
            return Err(Fault::Over);
        }
        let whole: usize = pieces.iter().map(|piece| piece.len()).sum();
        let count = whole.min(MOST);
        if count == 0 {
            return Ok(0);
        }
        self.outgoing.reserve(sealed_at_most(count), &self.buffers);
        let buffers = Rc::clone(&self.buffers);
        self.write(|traffic, out| seal_pieces(traffic, out, pieces, count, &buffers))?;
        Ok(count)
    }

    /// Says that nothing more comes (RFC 8446 §6.1), if that can be said.
    pub(super) fn close(&mut self) {
        if self.closed || self.rustls.is_handshaking() || self.hearing == Hearing::Failed {
            return;
        }
        self.outgoing.reserve(ASIDE, &self.buffers);
        let said = self.write(|traffic, out| {
            let sealed = traffic.queue_close_notify(out.spare());
            out.add(sealed.map_err(|_| Fault::Sealing)?);
            Ok(())
        });
        // It is said once at most; a session that fails at it has said why.
        drop(said);
        self.closed = true;
    }

    /// Writes once rustls is ready for it. Records that came are opened on the way.
    fn write(
        &mut self,
        mut seal: impl FnMut(&mut Traffic<'_>, &mut Window) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut written = false;
        let result = loop {
            let step = self.step(&mut Vec::new(), |traffic, out| {
                written = true;
                seal(traffic, out)
            });
            match step {
                Ok(_) if written => break Ok(()),
                Ok(Step::Opened | Step::Aside | Step::Closed) => {}
                Ok(Step::Dry | Step::Shaking) => break Err(Fault::Over),
                Err(fault) => break Err(fault),
            }
        };
        self.sent(0); // with nothing in it, the window goes back
        result
    }

    /// What is to be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// So many bytes of it were.
    pub(super) fn sent(&mut self, count: usize) {
        self.outgoing.discard(count);
        if self.outgoing.is_empty() {
            self.outgoing.clear(&self.buffers);
        }
    }

    /// Gives back what is not needed for a wait.
    pub(super) fn rest(&mut self) {
        self.incoming.rest(&self.buffers);
    }

    /// One turn of rustls. Opened bytes go to `into`, and beyond its capacity to `plain`.
    fn step(
        &mut self,
        into: &mut Vec<u8>,
        write: impl FnOnce(&mut Traffic<'_>, &mut Window) -> Result<(), Fault>,
    ) -> Result<Step, Fault> {
        if self.hearing == Hearing::Failed {
            return Err(Fault::Over);
        }
        let UnbufferedStatus { mut discard, state } =
            self.rustls.process_tls_records(self.incoming.filled_mut());
        let step = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(Ok(record)) = traffic.next_record() {
                    discard += record.discard;
                    deliver(record.payload, into, &mut self.plain, &self.buffers);
                }
                Ok(Step::Opened)
            }
            Ok(ConnectionState::EncodeTlsData(data)) => {
                put_aside(data, &mut self.outgoing, &self.buffers).map(|()| Step::Aside)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done(); // it is on its way in `outgoing`
                Ok(Step::Aside)
            }
            Ok(ConnectionState::PeerClosed) => Ok(Step::Closed),
            Ok(ConnectionState::BlockedHandshake) => Ok(Step::Shaking),
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                write(&mut traffic, &mut self.outgoing).map(|()| Step::Dry)
            }
            Ok(ConnectionState::Closed) => Ok(Step::Dry),
            // Early data is not offered, so there is none.
            Ok(_) => Err(Fault::Over),
            Err(error) => Err(error.into()),
        };
        self.incoming.discard(discard);
        if self.incoming.is_empty() {
            self.incoming.clear(&self.buffers);
        }
        match step {
            Ok(Step::Closed) => {
                self.hearing = Hearing::Ended;
                // Behind that word rustls looks at nothing any more (RFC 8446 §6.1).
                self.incoming.clear(&self.buffers);
                self.backlog = false;
            }
            Ok(Step::Dry | Step::Shaking) => self.backlog = false,
            Ok(Step::Opened) => self.backlog = !self.incoming.is_empty(),
            Ok(Step::Aside) => {}
            Err(_) => self.fail(),
        }
        step
    }

    /// Nothing that came is looked at any more. What rustls has to say of it goes out.
    fn fail(&mut self) {
        self.hearing = Hearing::Failed;
        self.backlog = false;
        // As long as it has something to say, it does not look at what came.
        while self.rustls.wants_write() {
            let status = self.rustls.process_tls_records(self.incoming.filled_mut());
            let Ok(ConnectionState::EncodeTlsData(data)) = status.state else {
                break;
            };
            if put_aside(data, &mut self.outgoing, &self.buffers).is_err() {
                break;
            }
        }
        self.incoming.clear(&self.buffers);
    }
}

#[cfg(test)]
impl Session {
    pub(super) fn holds_nothing(&self) -> bool {
        self.held() == 0
    }

    pub(super) fn holds_little(&self) -> bool {
        self.held() <= 1024
    }

    fn held(&self) -> usize {
        self.incoming.capacity() + self.outgoing.capacity() + self.plain.capacity()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.incoming.clear(&self.buffers);
        self.outgoing.clear(&self.buffers);
        self.buffers.put(core::mem::take(&mut self.plain));
    }
}

/// Appends opened bytes to the spare capacity of `into`; to `plain` what does not fit, and
/// all once there is something in it.
fn deliver(payload: &[u8], into: &mut Vec<u8>, plain: &mut Vec<u8>, buffers: &Buffers) {
    let room = if plain.is_empty() {
        into.capacity() - into.len()
    } else {
        0
    };
    let (fits, over) = payload.split_at(room.min(payload.len()));
    into.extend_from_slice(fits);
    if !over.is_empty() {
        if plain.capacity() == 0 {
            *plain = buffers.small();
        }
        plain.extend_from_slice(over);
    }
}

/// Puts what TLS itself has to say to what is sent. Ours alone decides how long that is:
/// the certificates, mostly.
fn put_aside(
    mut data: EncodeTlsData<'_, ServerConnectionData>,
    out: &mut Window,
    buffers: &Buffers,
) -> Result<(), Fault> {
    if let Err(EncodeError::InsufficientSize(short)) = data.encode(&mut []) {
        out.reserve(short.required_size, buffers);
    }
    let count = data.encode(out.spare()).map_err(|_| Fault::Sealing)?;
    out.add(count);
    Ok(())
}

/// Seals the first `count` bytes of `pieces`, in as few records as they fill: what a
/// record needs from several pieces is put side by side first.
fn seal_pieces(
    traffic: &mut Traffic<'_>,
    out: &mut Window,
    mut pieces: [&[u8]; 3],
    count: usize,
    buffers: &Buffers,
) -> Result<(), Fault> {
    let mut seal = |plain: &[u8]| -> Result<(), Fault> {
        let sealed = traffic.encrypt(plain, out.spare());
        out.add(sealed.map_err(|error| match error {
            EncryptError::InsufficientSize(_) | EncryptError::EncryptExhausted => Fault::Sealing,
        })?);
        Ok(())
    };
    let mut left = count;
    while left > 0 {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        let first = first.copied().unwrap_or_default();
        let direct = match first.len().min(left) {
            0 => return Ok(()), // never: `count` bytes are there
            all if all == left => all,
            some => some - some % FRAGMENT,
        };
        if direct > 0 {
            seal(first.get(..direct).unwrap_or_default())?;
            take(&mut pieces, direct);
            left -= direct;
            continue;
        }
        let mut record = buffers.record();
        let mut filled = 0;
        let most = left.min(FRAGMENT);
        for piece in pieces {
            let part = piece.get(..piece.len().min(most - filled));
            let part = part.unwrap_or_default();
            if let Some(place) = record.get_mut(filled..filled + part.len()) {
                place.copy_from_slice(part);
                filled += part.len();
            }
        }
        let sealed = seal(record.get(..filled).unwrap_or_default());
        buffers.put_sealed(record);
        sealed?;
        take(&mut pieces, filled);
        left -= filled;
    }
    Ok(())
}

/// Takes `count` bytes from the front of `pieces`.
fn take(pieces: &mut [&[u8]; 3], mut count: usize) {
    for piece in pieces {
        let part = piece.len().min(count);
        *piece = piece.get(part..).unwrap_or_default();
        count -= part;
    }
}
