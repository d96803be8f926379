//! The only door into the book.
//!
//! Whoever proposes a decision, detection, a person, a feed or an agent, meets the same checks
//! in the same order; a refusal is a value with a sentence for whoever asked. Nothing here
//! changes the book: the caller writes the admitted decision as an entry.
//!
//! Assumes one caller at a time (admit, then apply, then the next), so that budgets hold.

use core::time::Duration;

use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use crate::allow::{Preset, Protected, Role};
use crate::{Book, Force};

/// The longest value of a decision that names no address, in bytes.
const LONGEST_VALUE: usize = 256;
/// The longest reason that is kept, in bytes; the rest is cut.
const LONGEST_REASON: usize = 1_024;
/// The longest name of a kind that only other enforcers understand, in bytes.
const LONGEST_KIND: usize = 64;
/// How many decisions of a kind and stronger may be about exactly one address or range.
const MOST_ON_ONE: usize = 64;

/// A decision that somebody would like to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// What kind of thing `value` names.
    pub scope: Scope,
    /// The address, range, country … as text.
    pub value: String,
    /// What is to be done.
    pub kind: Kind,
    /// Who asks.
    pub origin: Origin,
    /// The scenario's name, or the operator's words; cut to 1,024 bytes.
    pub reason: String,
    /// For how long from now; [`Duration::MAX`] for ever.
    pub lasts: Duration,
}

/// What one kind of origin may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The most decisions of one origin within one calendar minute.
    pub per_minute: u32,
    /// The most decisions of one origin at once.
    pub active: u32,
    /// The widest IPv4 range, as a prefix length.
    pub widest_v4: u8,
    /// The widest IPv6 range, as a prefix length.
    pub widest_v6: u8,
    /// The longest time; longer ones are shortened to it.
    pub longest: Duration,
}

/// Budgets by kind of origin; each origin (each feed, each agent) has one of its kind to itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budgets {
    /// Our own detection.
    pub detection: Budget,
    /// People.
    pub operator: Budget,
    /// Each threat feed.
    pub feed: Budget,
    /// Each CrowdSec agent.
    pub agent: Budget,
}

impl Default for Budgets {
    /// Detection may bar 3,000 sources a minute, half of the book in total: an attack from more
    /// sources than that is for the limits and for prefixes. A feed brings its whole list at
    /// once. People are trusted with anything but barring everybody.
    fn default() -> Self {
        let automatic = Budget {
            per_minute: 3_000,
            active: 500_000,
            widest_v4: 24,
            widest_v6: 48,
            longest: Duration::from_secs(30 * 86_400),
        };
        Self {
            detection: automatic,
            operator: Budget {
                per_minute: u32::MAX,
                active: u32::MAX,
                widest_v4: 1,
                widest_v6: 1,
                longest: Duration::MAX,
            },
            feed: Budget {
                per_minute: 200_000,
                active: 200_000,
                ..automatic
            },
            agent: Budget {
                per_minute: 3_000,
                active: 50_000,
                ..automatic
            },
        }
    }
}

impl Budgets {
    /// The budget of an origin.
    #[must_use]
    pub fn of(&self, origin: &Origin) -> Budget {
        match origin {
            Origin::Detection => self.detection,
            Origin::Operator => self.operator,
            Origin::Feed(_) => self.feed,
            Origin::Agent(_) => self.agent,
        }
    }
}

/// What [`admit()`] checks against, beside the book.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdmitPolicy {
    /// Who is never barred.
    pub protected: Protected,
    /// What each kind of origin may do.
    pub budgets: Budgets,
    /// Whether local sources (private ranges, VPN, CGNAT: [`vocab::net::is_local`]) only alert.
    /// Binds every origin but people. Off for the loopback demo.
    pub local_alert_only: bool,
}

impl Default for AdmitPolicy {
    fn default() -> Self {
        Self {
            protected: Protected::default(),
            budgets: Budgets::default(),
            local_alert_only: true,
        }
    }
}

/// Why a proposal was not admitted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The value does not fit the scope, or a text is empty, too long or holds control characters.
    #[error("The proposal is malformed: {0}.")]
    Malformed(&'static str),
    /// It would bar an address that is never barred.
    #[error("{range} holds {held}, which is {role} and is never barred. Name a range without it.")]
    Protected {
        /// What was proposed.
        range: Cidr,
        /// What is protected.
        held: Cidr,
        /// Why.
        role: Role,
    },
    /// An allowlist covers it.
    #[error(
        "{range} is on the allowlist '{list}'. Remove it there first: ringwall allowlist delete {list}."
    )]
    Allowlisted {
        /// What was proposed.
        range: Cidr,
        /// The list.
        list: String,
    },
    /// The range is wider than this origin may bar.
    #[error(
        "{range} is wider than /{widest}, the widest that {origin} may bar. A person can: ringwall decision add."
    )]
    TooWide {
        /// What was proposed.
        range: Cidr,
        /// The widest allowed, as a prefix length.
        widest: u8,
        /// Who asked.
        origin: Origin,
    },
    /// The source is local, and local sources only alert.
    #[error(
        "{range} is local (private, VPN or carrier-grade NAT): local sources only alert. A person can: ringwall decision add."
    )]
    Local {
        /// What was proposed.
        range: Cidr,
    },
    /// A decision that is as strong and lasts as long covers it already.
    #[error("{id} already covers it, as strongly and until {until}.")]
    AlreadyCovered {
        /// The decision that covers it.
        id: DecisionId,
        /// Its end.
        until: Timestamp,
    },
    /// As many decisions that are as strong are about exactly this already.
    #[error(
        "{held} decisions about {range} are in force, as strong as this one; one must end before the next."
    )]
    Stacked {
        /// What was proposed.
        range: Cidr,
        /// How many there are.
        held: usize,
    },
    /// The origin made too many decisions within this minute.
    #[error(
        "{origin} has spent its budget of {budget} decisions a minute; the next minute brings a new one."
    )]
    TooFast {
        /// Who asked.
        origin: Origin,
        /// The budget.
        budget: u32,
    },
    /// The origin has too many decisions in force.
    #[error("{origin} has its {budget} decisions in force; one must end before the next.")]
    TooMany {
        /// Who asked.
        origin: Origin,
        /// The budget.
        budget: u32,
    },
    /// The book is full.
    #[error("The book is full with {0} decisions; one must end before the next.")]
    Full(usize),
}

/// Makes a proposal a decision named `id` (128 random bits from the caller), or says why not.
///
/// The order of the checks is the order of the answers: what can never be admitted is told
/// before what might be admitted later.
///
/// # Errors
/// See [`Refused`]; every variant is a sentence for whoever asked.
pub fn admit(
    proposed: &Proposed,
    id: DecisionId,
    policy: &AdmitPolicy,
    book: &Book,
    now: Timestamp,
) -> Result<Decision, Refused> {
    let range = well_formed(proposed)?;
    let budget = policy.budgets.of(&proposed.origin);
    let person = proposed.origin == Origin::Operator;
    let lasts = proposed.lasts.min(budget.longest);
    let until = if lasts == Duration::MAX {
        Timestamp::MAX
    } else {
        now.after(lasts)
    };
    if let Some(range) = range {
        not_spared(range, policy, book, now)?;
        wide_enough(range, budget, &proposed.origin)?;
        if policy.local_alert_only && !person && touches_local(range) {
            return Err(Refused::Local { range });
        }
        not_news(range, proposed, until, book, now)?;
    }
    within_budget(&proposed.origin, budget, book, now)?;
    Ok(Decision {
        id,
        scope: proposed.scope.clone(),
        value: range.map_or_else(|| proposed.value.clone(), |range| range.to_string()),
        kind: proposed.kind.clone(),
        origin: proposed.origin.clone(),
        reason: cut(&proposed.reason, LONGEST_REASON).to_owned(),
        created: now,
        until,
    })
}

/// Whether what holds already makes this needless, or one too many: a request is judged by
/// all that is held on its source.
fn not_news(
    range: Cidr,
    proposed: &Proposed,
    until: Timestamp,
    book: &Book,
    now: Timestamp,
) -> Result<(), Refused> {
    let force = Force::from(&proposed.kind);
    let held = book.covering(range, now);
    let strong = || held.iter().filter(|held| held.force() >= force);
    // People are taken at their word.
    if proposed.origin != Origin::Operator
        && let Some(covering) = strong().find(|held| held.until() >= until)
    {
        return Err(Refused::AlreadyCovered {
            id: covering.id(),
            until: covering.until(),
        });
    }
    let stacked = strong().filter(|held| held.cidr() == Some(range)).count();
    if stacked >= MOST_ON_ONE {
        return Err(Refused::Stacked {
            range,
            held: stacked,
        });
    }
    Ok(())
}

fn well_formed(proposed: &Proposed) -> Result<Option<Cidr>, Refused> {
    let clean = |text: &str| !text.chars().any(char::is_control);
    if proposed.lasts.is_zero() {
        return Err(Refused::Malformed("it would end at once"));
    }
    if !clean(&proposed.reason) {
        return Err(Refused::Malformed("the reason holds control characters"));
    }
    if let Kind::Other(name) = &proposed.kind
        && (name.is_empty() || name.len() > LONGEST_KIND || !clean(name))
    {
        return Err(Refused::Malformed(
            "the kind is empty, too long or holds control characters",
        ));
    }
    let value = proposed.value.as_str();
    match proposed.scope {
        Scope::Ip => match value.parse::<Cidr>() {
            Ok(range) if range.is_host() => Ok(Some(range)),
            _ => Err(Refused::Malformed(
                "the value is not an address such as 192.0.2.7",
            )),
        },
        Scope::Range => match value.parse() {
            Ok(range) => Ok(Some(range)),
            Err(_) => Err(Refused::Malformed(
                "the value is not a range such as 192.0.2.0/24",
            )),
        },
        _ if value.is_empty() || value.len() > LONGEST_VALUE || !clean(value) => Err(
            Refused::Malformed("the value is empty, too long or holds control characters"),
        ),
        _ => Ok(None),
    }
}

fn not_spared(
    range: Cidr,
    policy: &AdmitPolicy,
    book: &Book,
    now: Timestamp,
) -> Result<(), Refused> {
    if let Some((held, role)) = policy.protected.overlapping(range) {
        return Err(Refused::Protected { range, held, role });
    }
    match book.allowing(range, now) {
        Some(item) => Err(Refused::Allowlisted {
            range,
            list: item.list.clone(),
        }),
        None => Ok(()),
    }
}

fn wide_enough(range: Cidr, budget: Budget, origin: &Origin) -> Result<(), Refused> {
    let widest = if range.address().is_ipv4() {
        budget.widest_v4
    } else {
        budget.widest_v6
    };
    if range.prefix() < widest {
        return Err(Refused::TooWide {
            range,
            widest,
            origin: origin.clone(),
        });
    }
    Ok(())
}

/// A range that merely contains local addresses is theirs, too: barring it bars them.
fn touches_local(range: Cidr) -> bool {
    let presets = [Preset::Lan, Preset::Vpn];
    vocab::net::is_local(range.address())
        || presets
            .into_iter()
            .flat_map(Preset::known)
            .any(|local| local.overlaps(range))
}

fn within_budget(
    origin: &Origin,
    budget: Budget,
    book: &Book,
    now: Timestamp,
) -> Result<(), Refused> {
    if book.len() >= book.bounds().decisions {
        return Err(Refused::Full(book.len()));
    }
    if book.held_by(origin) >= budget.active {
        return Err(Refused::TooMany {
            origin: origin.clone(),
            budget: budget.active,
        });
    }
    if book.made_by(origin, now) >= budget.per_minute {
        return Err(Refused::TooFast {
            origin: origin.clone(),
            budget: budget.per_minute,
        });
    }
    Ok(())
}

/// The text's longest prefix of whole characters within so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut at = most.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_at(at).0
}
