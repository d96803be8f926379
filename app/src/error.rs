//! What can go wrong in the whole, by whose hands it is mended.

use std::fmt;

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator can mend it; the text is whole sentences with the likely fix.
    #[error("{0}")]
    Operator(String),
    /// What was typed has no meaning; the text says how to write it. Exit code 64.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong; every fault is named. Exit code 64.
    #[error("{}", .0.summary())]
    Config(ConfigFaults),
    /// Checks failed or findings were made. Exit code 1; everything was printed.
    #[error("")]
    Findings,
}

impl Error {
    /// The exit code that this error ends the program with (DESIGN, command line).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Operator(_) | Self::Findings => 1,
            Self::Config(_) | Self::Usage(_) => 64,
        }
    }
}

/// How many faults a running instance names.
const MOST_TOLD: usize = 8;

/// The faults of a configuration.
pub struct ConfigFaults(pub config::Faults);

impl ConfigFaults {
    fn summary(&self) -> String {
        self.0.to_string()
    }

    /// The first faults, a line each, for whoever asked a running instance to reload.
    pub(crate) fn told(&self) -> String {
        let count = self.0.len();
        let faults = if count == 1 { "fault" } else { "faults" };
        let mut told =
            format!("The configuration has {count} {faults}; the old one stays in force.");
        for fault in self.0.iter().take(MOST_TOLD) {
            told += &format!("\n  {fault}.");
            if !fault.help.is_empty() {
                told += &format!(" {}", fault.help);
            }
        }
        if count > MOST_TOLD {
            told += "\n  … 'ringwall check' names them all.";
        }
        told
    }
}

impl fmt::Debug for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl From<config::Faults> for Error {
    fn from(faults: config::Faults) -> Self {
        Self::Config(ConfigFaults(faults))
    }
}

impl From<std::io::Error> for Error {
    /// For output that cannot be written; everything else names its deed.
    fn from(error: std::io::Error) -> Self {
        Self::Operator(format!("Cannot write the output: {error}."))
    }
}
