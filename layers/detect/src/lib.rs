//! Detection: from log lines and live requests to alerts.
//!
//! ```text
//! rules ──▶ Program ── line / observe ──▶ Pours ──▶ Shards ──▶ Overflows ──▶ Alerts
//! ```
//!
//! Pure: bytes, values and the time come in, values go out. The one exception is
//! [`rules::disk`], which reads rule files when a program is built.
//!
//! | module | what |
//! |---|---|
//! | [`rules`] | rule files in the hub's layout, read strictly; faults with file and line |
//! | [`data`] | word lists, patterns and maps that rules name |
//! | [`geo`] | where addresses lie, from MaxMind databases |
//! | [`grok`], [`gotime`] | named patterns; dates as Go reads them |
//! | [`event`] | an event: named byte strings in numbered slots |
//! | [`parse`] | stages of parser nodes |
//! | [`program`] | rules compiled; from an event to [`bucket::Pour`]s |
//! | [`explain`] | how one line travelled |
//! | [`bucket`] | what a scenario counts |
//! | [`shard`] | where buckets live, bounded |
//! | [`outside`] | what only the network or the book knows |
//! | [`overflow`] | a full bucket as one value, until it becomes alerts |
//! | [`alert`] | who an overflow is about; alerts as text |
//! | [`replay`] | logs through all of it |

pub mod alert;
pub mod bucket;
pub mod data;
pub mod event;
pub mod explain;
pub mod geo;
pub mod gotime;
pub mod grok;
pub mod outside;
pub mod overflow;
pub mod parse;
pub mod program;
pub mod replay;
pub mod rules;
pub mod shard;
