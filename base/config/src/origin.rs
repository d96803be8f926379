//! Where each effective value comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line of the configuration file, counted from 1.
    File {
        /// The file as it was named.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column, counted from 1 in characters.
        column: usize,
    },
    /// An environment variable.
    Env(String),
    /// An argument of the command line, such as `--protect`.
    Argument(&'static str),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, .. } => write!(f, "{}:{line}", file.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Argument(name) => write!(f, "argument {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One effective value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// The key's path, such as `edge.site[0].to[1]`.
    pub path: String,
    /// The value as TOML writes it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.path, self.value, self.origin)
    }
}

/// Every effective value with its origin, in the order of the reference.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins(pub Vec<Effective>);

impl Origins {
    /// The values in the order of the reference.
    pub fn iter(&self) -> impl Iterator<Item = &Effective> {
        self.0.iter()
    }

    /// The value at a path such as `edge.timeouts.header`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Effective> {
        self.0.iter().find(|value| value.path == path)
    }
}
