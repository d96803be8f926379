//! The shared words of the house.
//!
//! Every ring speaks in these types and in no others when it speaks to another
//! room. There is no async, no I/O and no clock here: time comes in as a
//! [`Timestamp`]. What is here is owned or borrowed data, comparable and
//! serialisable, so that replay, explain and tests use the very values that run live.
//!
//! | module | words |
//! |---|---|
//! | [`time`] | [`Timestamp`]; durations as operators write them (`4h`, `7d`) |
//! | [`net`] | [`Cidr`], [`ClientAddr`], [`PeerAddr`], [`UpstreamAddr`] |
//! | [`signal`] | what an observer saw: [`Signal`], [`HttpEvent`], [`Refusal`] |
//! | [`alert`] | what detection made of it: [`Alert`], [`Source`], [`Evidence`] |
//! | [`decision`] | what was decided: [`Decision`], [`Kind`], [`Scope`], [`Origin`] |
//! | [`posture`] | what holds: [`Ring`], [`Control`], [`Finding`], [`State`], [`Basis`] |

pub mod alert;
pub mod decision;
pub mod net;
pub mod posture;
pub mod signal;
pub mod time;

pub use alert::{Alert, Evidence, Source, Whereabouts};
pub use decision::{Decision, DecisionId, Kind, Origin, Scope};
pub use net::{Cidr, ClientAddr, PeerAddr, UpstreamAddr};
pub use posture::{Basis, Control, Finding, Ring, State};
pub use signal::{HttpEvent, Login, LoginBy, Refusal, RefusedBy, Signal};
pub use time::Timestamp;
