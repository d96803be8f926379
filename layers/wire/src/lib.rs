//! A strict HTTP/1.x codec for both sides of a proxy: bytes in, ranges and bytes out.
//!
//! **For.** Parsing request heads from strangers and response heads from upstreams,
//! deciding how a body is framed, decoding bodies, and writing messages anew from the
//! parsed pieces. **Refuses** whatever two readers could read in two ways; it never
//! repairs. **Assumes** that the caller keeps a head's bytes in place while it uses the
//! [`Request`] or [`Response`] made from them, and hands the same bytes, grown at their
//! end, to every further `parse` of one message. **On failure** the answer is a
//! [`Fault`]: a closed list with a constant name, a status and a sentence each. After a
//! fault the connection is of no more use. No sockets, no clock, no panic, and no
//! allocation per message once a [`RequestHead`] has grown to its traffic.
//!
//! | module | what |
//! |---|---|
//! | [`request`] | [`RequestHead`], [`Request`]: the head a client sent |
//! | [`response`] | [`ResponseHead`], [`Response`]: the head an upstream sent |
//! | [`headers`] | [`Headers`]: order and case as sent, known names found at once |
//! | [`name`] | [`HeaderId`], [`HeaderSet`]: the names known while parsing |
//! | [`framing`] | [`BodyFraming`], and who decides it |
//! | [`body`] | [`BodyDecoder`]: bodies without copying, trailers |
//! | [`write`](mod@write) | heads, chunks, trailers and short answers into a `Vec<u8>` |
//! | [`target`] | path, query, the path for routing and its [`PathFlags`] |
//! | [`host`] | [`Host`]: checked, split, lower case |
//! | [`text`] | bytes of strangers as text for logs |
//! | [`limits`] | [`Limits`] |
//! | [`fault`] | [`Fault`] and the table of all of them |
//! | [`proxy`] | the PROXY protocol: [`ProxyParse`], [`ProxyFault`] |
//! | [`corpus`] | the framing tables that tests of this room and of the edge share |
//!
//! # One exchange
//! ```
//! use wire::{BodyDecoder, BodyEvent, Limits, Parse, RequestHead, RequestWrite};
//!
//! let limits = Limits::default();
//! let mut head = RequestHead::new();
//! let buf = b"GET /a?b HTTP/1.1\r\nHost: Example.org:8080\r\nConnection: close\r\n\r\n";
//! let Parse::Done { consumed } = head.parse(buf, &limits) else { return };
//! let request = head.request(buf);
//! assert_eq!(request.path(), b"/a");
//! assert!(!request.persistent());
//! let mut body = BodyDecoder::new(request.framing(), &limits);
//! assert_eq!(body.step(&buf[consumed..]).event, BodyEvent::End);
//! let mut out = Vec::new();
//! wire::write_request(&mut out, &request, &RequestWrite::default());
//! assert_eq!(out, b"GET /a?b HTTP/1.1\r\nHost: Example.org:8080\r\n\r\n");
//! head.clear(); // ready for the next request, its capacity kept
//! ```

#![warn(clippy::indexing_slicing)]

pub mod body;
pub mod corpus;
pub mod fault;
pub mod framing;
mod head;
pub mod headers;
pub mod host;
pub mod limits;
pub mod name;
pub mod proxy;
pub mod request;
pub mod response;
mod scan;
pub mod target;
pub mod text;
pub mod write;

pub use body::{BodyDecoder, BodyEvent, Step};
pub use fault::Fault;
pub use framing::BodyFraming;
pub use headers::{Header, Headers};
pub use host::{Host, HostKind};
pub use limits::Limits;
pub use name::{HeaderId, HeaderSet, Method, Version};
pub use proxy::{ProxyFault, ProxyParse};
pub use request::{Request, RequestHead, TargetForm};
pub use response::{Response, ResponseHead};
pub use target::{PathFlags, normal_path, split_target};
pub use write::{
    CONTINUE, Field, RequestWrite, ResponseWrite, ShortAnswer, write_chunk_end, write_chunk_head,
    write_informational, write_last_chunk, write_request, write_response, write_short_answer,
};

/// How far parsing a head came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parse {
    /// The head is not complete. Call again with the same bytes and more behind them.
    Partial,
    /// The head is complete.
    Done {
        /// Bytes of the buffer that the head took; the body, if any, begins there.
        consumed: usize,
    },
    /// The head must not be served. Answer [`Fault::status`] (a client's request) or
    /// 502 (an upstream's response) and close the connection.
    Refuse(Fault),
}
