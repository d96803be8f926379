//! The hub's kinds of items, and an item's full name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of items; each has a folder of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Names other items.
    Collections,
    /// Reads log lines.
    Parsers,
    /// Tells attacks.
    Scenarios,
    /// Looks at what was told.
    Postoverflows,
    /// Says what alerts carry.
    Contexts,
    /// Configures the web application firewall.
    AppsecConfigs,
    /// A rule of the web application firewall.
    AppsecRules,
}

impl Kind {
    /// All of them, collections first.
    pub const ALL: [Self; 7] = [
        Self::Collections,
        Self::Parsers,
        Self::Scenarios,
        Self::Postoverflows,
        Self::Contexts,
        Self::AppsecConfigs,
        Self::AppsecRules,
    ];

    /// Its folder, which is also its key in the index and in collections.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Collections => "collections",
            Self::Parsers => "parsers",
            Self::Scenarios => "scenarios",
            Self::Postoverflows => "postoverflows",
            Self::Contexts => "contexts",
            Self::AppsecConfigs => "appsec-configs",
            Self::AppsecRules => "appsec-rules",
        }
    }

    /// The kind of a folder.
    #[must_use]
    pub fn of_folder(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }

    /// What one of them is called.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Collections => "collection",
            Self::Parsers => "parser",
            Self::Scenarios => "scenario",
            Self::Postoverflows => "postoverflow",
            Self::Contexts => "context",
            Self::AppsecConfigs => "appsec config",
            Self::AppsecRules => "appsec rule",
        }
    }

    /// Whether this version runs items of the kind; others are listed and not installed.
    #[must_use]
    pub const fn runs(self) -> bool {
        !matches!(self, Self::AppsecConfigs | Self::AppsecRules)
    }
}

/// An item's full name: items of different kinds may share their `author/name`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Id {
    /// Its kind.
    pub kind: Kind,
    /// `author/name`.
    pub name: String,
}

impl Id {
    /// The item of this kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {}", self.kind.noun(), self.name)
    }
}
