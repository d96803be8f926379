//! The framing tables: what a strict reader takes and what it refuses.
//!
//! Data for tests, of this room and of others. A test of a whole server does this:
//!
//! 1. For every row of [`requests`], open a connection, write [`Row::bytes`], read.
//! 2. [`Expect::Pass`]: the upstream saw the requests' bodies as [`Expect::Pass`] says,
//!    re-serialised; the client got the upstream's answer. Rows whose method is CONNECT,
//!    TRACE or OPTIONS may be answered by rule instead.
//! 3. [`Expect::Deny`]: the client got [`Fault::status`] and the end of the connection; the
//!    upstream saw not one byte; a refusal named [`Fault::name`] was signalled.
//! 4. [`Expect::DenyBody`]: the head was fine, the body is not. The upstream may have
//!    seen the head and a part of the body, but never its end; both connections end.
//!
//! nginx and HAProxy are asked for a second opinion on the same rows in the edge's tests.
//!
//! [`responses`] does the same for what an upstream answers: on `Deny` the client gets
//! 502. All rows hold for [`Limits::default`](crate::Limits::default) and come out the
//! same however the bytes are cut.

mod chunks;
mod requests;
mod responses;

use std::borrow::Cow;

use crate::{BodyFraming, Fault, Method};

/// What must come of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The message passes, with this framing, and its body decodes to these bytes. The
    /// row ends with the message.
    Pass(BodyFraming, &'static [u8]),
    /// The head is refused.
    Deny(Fault),
    /// The head passes, the body is refused.
    DenyBody(Fault),
}

/// One message and what must come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// What the row is about; unique in its table.
    pub name: &'static str,
    /// The method that a response answers; `Get` for requests, where it means nothing.
    pub asked: Method,
    /// The bytes on the wire.
    pub bytes: Cow<'static, [u8]>,
    /// What must come of it.
    pub expect: Expect,
}

/// All request rows.
#[must_use]
pub fn requests() -> Vec<Row> {
    let mut rows = requests::fixed();
    rows.extend(requests::oversize());
    rows
}

/// All response rows.
#[must_use]
pub fn responses() -> Vec<Row> {
    responses::fixed()
}

/// Rows whose bytes are a chunked body alone, without a head: `Pass` tells the data,
/// `DenyBody` the fault.
#[must_use]
pub fn chunked_bodies() -> Vec<Row> {
    chunks::fixed()
}

const fn row(name: &'static str, bytes: &'static [u8], expect: Expect) -> Row {
    Row {
        name,
        asked: Method::Get,
        bytes: Cow::Borrowed(bytes),
        expect,
    }
}

const fn pass(name: &'static str, bytes: &'static [u8]) -> Row {
    row(name, bytes, Expect::Pass(BodyFraming::None, b""))
}

const fn deny(name: &'static str, bytes: &'static [u8], fault: Fault) -> Row {
    row(name, bytes, Expect::Deny(fault))
}
