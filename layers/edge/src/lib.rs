//! The edge: sockets, TLS and HTTP/1.1 in front of the protected services.
//!
//! **For.** Accepting strangers, serving their requests from upstreams and telling
//! what happened. Parsing is `wire`'s, judging is `gate`'s; here are the waits, the
//! bounds and the order of steps. **Refuses** to enforce anything gate did not
//! decide, to hold a body in memory, and to wait for anybody without a deadline.
//! **Assumes** listeners bound by the caller (one socket per core and address) and
//! resolved upstream addresses. **On failure** of a connection only that connection
//! ends; of an upstream the client hears 502 or 504 with a reference; of the whole
//! core [`EdgeHandle::is_alive`] says so.
//!
//! ```text
//! Edge::start(snapshot, listeners, deps) -> EdgeHandle
//! handle.reload(snapshot)   handle.reload_certificates(..)   handle.bar(cidr)
//! handle.stats()            handle.reopen_log()              handle.drain(deadline)
//! ```
//!
//! One current-thread runtime per core, nothing shared between cores but the
//! snapshot, gate and upstream health. A request costs no timer, no lock that is
//! contended and, in the usual case, two reads and two writes.
//!
//! | module | what |
//! |---|---|
//! | [`handle`] | [`Edge::start`], [`EdgeHandle`]: start, reload, bar, drain |
//! | [`snapshot`] | [`Snapshot`], [`Site`], [`Limits`], [`Timeouts`] |
//! | [`observe`] | [`Observer`]: who hears of answers and refusals |
//! | [`listen`] | [`bind`]: sockets for callers without privilege |
//! | [`certificate`] | [`Certificate`], [`self_signed`]: TLS by SNI |
//! | [`counters`] | [`Stats`] |
//! | [`arrivals`] | [`Arrivals`]: through whom requests come |
//! | [`log`] | [`AccessLog`]: JSON lines or combined |
//! | [`error`] | [`EdgeError`] |
//! | `accept` | a core's loop: accept, orders, sweep |
//! | `connection` | one client connection: idle, head, refusal, linger |
//! | `handshake`, `tls` | TLS before the first request; bytes under TLS |
//! | `exchange` | one request: who, which site, gate, then its turn |
//! | `turn`, `story` | asked, answered, repeated or failed; what is told of it |
//! | `relay`, `pump` | both directions of an exchange; one body |
//! | `tunnel` | after an upgrade |
//! | `upstream` | pool, health, connect |
//! | `forward`, `answer` | the head towards the upstream; our own answers |
//! | `client`, `session` | whom a request comes from, and whether they are logged in |
//! | `blame` | whom a refusal counts against |
//! | `introduction` | whom a connection comes from, by the PROXY protocol |
//! | `route` | which site answers |
//! | `registry`, `barred` | open connections, deadlines, bans; whom they are about |
//! | `io`, `buffer`, `local` | cuttable I/O; buffers; a core's state |

pub mod arrivals;
pub mod certificate;
pub mod counters;
pub mod error;
pub mod handle;
pub mod listen;
pub mod log;
mod login;
pub mod observe;
pub mod snapshot;

mod accept;
mod answer;
mod barred;
mod batch;
mod blame;
mod buffer;
mod client;
mod connection;
mod exchange;
mod forward;
mod handshake;
mod introduction;
mod io;
mod local;
mod pump;
mod registry;
mod relay;
mod route;
mod session;
mod story;
mod tls;
mod tunnel;
mod turn;
mod upstream;

pub use arrivals::{Arrivals, Peer};
pub use certificate::{Certificate, self_signed};
pub use counters::Stats;
pub use error::EdgeError;
pub use handle::{Deps, Drained, Edge, EdgeHandle, Listener};
pub use listen::bind;
pub use log::{AccessLog, LogFormat};
pub use observe::{NoObserver, Observer};
pub use snapshot::{ClientHeader, HostPattern, Limits, Site, Snapshot, Timeouts};
