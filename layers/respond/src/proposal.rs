//! What comes of an alert.

use core::fmt;
use core::time::Duration;

use book::Proposed;
use vocab::time::Span;

/// One decision to put before [`book::admit()`], and why it is this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// What to put before the door.
    pub decision: Proposed,
    /// Why.
    pub because: Because,
}

/// Why a proposal has the kind and the length it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Because {
    /// The profile's remedy, as it stands.
    Remedy {
        /// The profile's name.
        profile: String,
    },
    /// The profile's remedy, longer, because the source did it before.
    Repeated {
        /// The profile's name.
        profile: String,
        /// The source's level; see [`crate::Escalation`].
        level: u32,
        /// How long it would have been the first time.
        base: Duration,
    },
    /// Shown only: the scenario runs in simulation.
    Simulated,
    /// Shown only: the scenario is about volume, and the site still learns what is ordinary.
    VolumeObserved,
    /// Shown only: the site only observes.
    SiteObserved,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remedy { profile } => write!(f, "profile '{profile}' asks for it"),
            Self::Repeated { profile, level, base } => write!(
                f,
                "profile '{profile}' asks for {}, longer by {level} levels because the source did it before",
                Span(*base)
            ),
            Self::Simulated => f.write_str("shown only, because the scenario runs in simulation"),
            Self::SiteObserved => f.write_str("shown only, because the site only observes"),
            Self::VolumeObserved => f.write_str(
                "shown only, because the scenario is about volume and the site observes volume so far",
            ),
        }
    }
}

/// Why an alert stays an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoProposal {
    /// The scenario asks for no remedy.
    NoRemediation,
    /// The source is local, and local sources only alert.
    Local,
    /// The alert names no source that a decision could name.
    NoSource,
    /// No profile matches it.
    NoProfile,
}

impl fmt::Display for NoProposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRemediation => "alert only, because the scenario asks for no remedy",
            Self::Local => {
                "alert only, because the source is local (private, VPN or carrier-grade NAT)"
            }
            Self::NoSource => "alert only, because it names no source",
            Self::NoProfile => "alert only, because no profile matches it",
        })
    }
}

/// What comes of an alert.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// What to put before the door, in the profiles' order.
    pub proposals: Vec<Proposal>,
    /// Why there is none; `None` when there is one.
    pub none: Option<NoProposal>,
}

impl From<Vec<Proposal>> for Outcome {
    /// What profiles proposed; none of them fits where that is nothing.
    fn from(proposals: Vec<Proposal>) -> Self {
        let none = proposals.is_empty().then_some(NoProposal::NoProfile);
        Self { proposals, none }
    }
}

impl From<NoProposal> for Outcome {
    fn from(why: NoProposal) -> Self {
        Self {
            proposals: Vec::new(),
            none: Some(why),
        }
    }
}
