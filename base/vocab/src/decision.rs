//! What was decided about a source.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Cidr, Timestamp};

/// Names a decision for ever: 128 random bits, shown as 32 hex digits; the
/// first eight are enough for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DecisionId(pub u128);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for DecisionId {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

macro_rules! serialise_as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serialise_as_text!(DecisionId);
serialise_as_text!(Kind);
serialise_as_text!(Scope);

/// What is done to the source. The order is the order of strength.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Nothing is done; it is shown.
    Observe,
    /// A kind that only a bouncer understands, such as `captcha`.
    Other(String),
    /// The source's rate is cut.
    Throttle,
    /// The source must prove that it is a browser.
    Challenge,
    /// The source is refused.
    Ban,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Throttle => "throttle",
            Self::Challenge => "challenge",
            Self::Ban => "ban",
            Self::Other(name) => name,
        })
    }
}

impl FromStr for Kind {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "observe" => Self::Observe,
            "throttle" => Self::Throttle,
            "challenge" => Self::Challenge,
            "ban" => Self::Ban,
            other => Self::Other(other.to_owned()),
        })
    }
}

/// What kind of thing a decision's or a source's value names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// One address.
    Ip,
    /// An address range.
    Range,
    /// An autonomous system number.
    As,
    /// An ISO 3166 country code.
    Country,
    /// A container by name.
    Container,
    /// A DNS name.
    Domain,
    /// An application session.
    Session,
    /// A TLS client fingerprint.
    Ja4,
    /// Anything else a scenario names, such as `username`.
    Other(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "Ip",
            Self::Range => "Range",
            Self::As => "AS",
            Self::Country => "Country",
            Self::Container => "Container",
            Self::Domain => "Domain",
            Self::Session => "Session",
            Self::Ja4 => "Ja4",
            Self::Other(name) => name,
        })
    }
}

impl FromStr for Scope {
    type Err = core::convert::Infallible;

    /// Reads a scope, known names in any case, as CrowdSec normalises them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [
            Self::Ip,
            Self::Range,
            Self::As,
            Self::Country,
            Self::Container,
            Self::Domain,
            Self::Session,
            Self::Ja4,
        ];
        let found = known
            .into_iter()
            .find(|scope| scope.to_string().eq_ignore_ascii_case(text));
        Ok(found.unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

/// Who asked for a decision. Budgets are kept per origin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "by", content = "name", rename_all = "snake_case")]
pub enum Origin {
    /// Our own detection, through a profile.
    Detection,
    /// A person at the command line or the console.
    Operator,
    /// A threat feed.
    Feed(String),
    /// A CrowdSec agent over LAPI.
    Agent(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detection => f.write_str("detection"),
            Self::Operator => f.write_str("operator"),
            Self::Feed(name) => write!(f, "feed:{name}"),
            Self::Agent(name) => write!(f, "agent:{name}"),
        }
    }
}

/// What is to be done to whom, by whose word, why, and until when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// Its name.
    pub id: DecisionId,
    /// What kind of thing `value` names.
    pub scope: Scope,
    /// The address, range, country … as text.
    pub value: String,
    /// What is done.
    pub kind: Kind,
    /// Who asked.
    pub origin: Origin,
    /// The scenario's name, or the operator's words.
    pub reason: String,
    /// When it was decided.
    pub created: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}

impl Decision {
    /// The addresses this decision covers, when its scope is an address or a range.
    #[must_use]
    pub fn cidr(&self) -> Option<Cidr> {
        match self.scope {
            Scope::Ip => self.value.parse::<IpAddr>().ok().map(Cidr::host),
            Scope::Range => self.value.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is in force at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_ordered_by_strength() {
        assert!(
            Kind::Ban > Kind::Challenge
                && Kind::Challenge > Kind::Throttle
                && Kind::Throttle > Kind::Observe
        );
    }

    #[test]
    fn scopes_and_kinds_round_trip_as_text() {
        for text in ["Ip", "Range", "AS", "Country", "username"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        assert_eq!("ip".parse::<Scope>().unwrap(), Scope::Ip);
        for text in ["ban", "captcha", "throttle"] {
            assert_eq!(text.parse::<Kind>().unwrap().to_string(), text);
        }
    }
}
