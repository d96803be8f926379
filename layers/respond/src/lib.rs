//! What is proposed when detection raises an alert.
//!
//! Pure: an [`Alert`](vocab::Alert), what the book remembers of its source, and what the site it
//! is about enforces come in; proposals for [`book::admit()`] go out, each with the sentence that
//! says why it is this and not something stronger. Nothing here bars anybody.
//!
//! ```text
//! let subject = respond::subject(&alert);                       // the range to ask the book about
//! let past = subject.map_or_else(Vec::new, |range| book.past(range));
//! let outcome = profiles.propose(&alert, past, volume, now);    // volume: Volume::{Observe, Enforce}
//! for proposed in outcome.proposals { book::admit(&proposed.decision, …) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`profile`] | [`Profile`], [`Profiles`], [`Matcher`], [`Remedy`]: which alert asks for what |
//! | [`escalation`] | [`Escalation`]: longer on repetition, forgotten after quiet |
//! | [`expressed`] | [`Expressed`]: profiles as CrowdSec's `profiles.yaml` writes them |
//! | [`prefix`] | [`Prefixes`], [`PrefixPolicy`]: several offenders of one range slow it down |
//! | [`proposal`] | [`Outcome`], [`Proposal`], [`Because`]: what comes of it |
//!
//! On failure: an alert without a usable source, or that no profile matches, yields no proposal
//! and says so; it stays an alert.

pub mod escalation;
pub mod expressed;
pub mod prefix;
pub mod profile;
pub mod proposal;

pub use escalation::Escalation;
pub use expressed::{Draft, DraftDecision, Expressed};
pub use prefix::{PrefixPolicy, Prefixes};
pub use profile::{Label, Matcher, Profile, Profiles, Remedy, Volume, subject};
pub use proposal::{Because, NoProposal, Outcome, Proposal};
