//! The gate: connections and requests in, verdicts out.
//!
//! Pure: facts and the time come in, a verdict goes out; the only state is in fixed-size tables
//! of atomics that all cores share. One [`Gate`] serves the whole process.
//!
//! ```text
//! gate.admit_connection(peer, trusted, now) -> Admission::{Accept(ConnectionGuard) | Refuse(Refusal)}
//! gate.judge(&Facts { … }, now)             -> Verdict::{Pass { observed } | Refuse(Refusal)}
//! sessions.carried(&Whereabouts, &Credentials, now) -> bool     sessions.learn(.., &Answered, ..)
//! gate.replace(settings)   gate.pause(until)   gate.resume()   gate.counters()
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`chain`] | [`Gate`] and the ordered chain, written once |
//! | [`facts`] | [`Facts`], [`Naming`], [`Question`], [`SitePolicy`], [`Mode`]: what is judged |
//! | [`verdict`] | [`Verdict`], [`Refusal`], [`Rule`], [`Observed`]: what comes of it |
//! | [`settings`] | [`Settings`]: limits and lists, replaced whole on reload |
//! | [`rate`] | [`Rate`], [`RateTable`]: GCRA in a fixed table |
//! | [`sessions`] | [`Sessions`]: what upstreams taught about who is logged in |
//! | [`connections`] | [`ConnectionTable`], [`ConnectionGuard`]: concurrent connections |
//! | [`tools`] | [`Tools`]: attack tools by their user agent |
//! | [`sanity`] | requests that no ordinary client sends |
//!
//! What it refuses to do: it never decides about a source beyond this request or its rate; that
//! is the book's. On failure it errs to letting through: a full table forgets the oldest.

pub mod chain;
pub mod connections;
pub mod facts;
pub mod rate;
pub mod sanity;
pub mod sessions;
pub mod settings;
pub mod tools;
pub mod verdict;

mod hash;

pub use chain::{Counters, Gate};
pub use connections::{ConnectionGuard, ConnectionTable};
pub use facts::{Facts, Mode, Naming, Question, SitePolicy};
pub use rate::{Pace, Rate, RateTable};
pub use sessions::{Answered, Credentials, SessionCounters, Sessions, Whereabouts};
pub use settings::{ConnectionLimits, Settings};
pub use tools::{Tools, ToolsFault};
pub use verdict::{Admission, Observed, Refusal, Rule, Verdict};
