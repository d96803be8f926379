//! What `ringwall hub` left in the state directory.

use std::io;
use std::path::PathBuf;

use config::Config;
use config::snapshot::HostPattern;
use hub::{Sets, SetsError, Tuning, tuning};

use crate::Error;

/// What was installed and tuned, and the sites that tuning may name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Installed {
    /// The folder of the current set.
    pub set: Option<PathBuf>,
    /// What was tuned.
    pub tuning: Tuning,
    /// The hosts of each site, and the name by which events know it.
    pub sites: Vec<(Vec<HostPattern>, String)>,
}

impl Installed {
    /// What the state directory of a configuration holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(config: &Config) -> Result<Self, Error> {
        let sets = Sets::of_state(&config.state.directory);
        let sites = config.edge.sites.iter();
        Ok(Self {
            set: sets.current_folder().map_err(|error| cannot(&error))?,
            tuning: tuned(&sets)?,
            sites: sites
                .map(|site| (site.hosts.clone(), site.name()))
                .collect(),
        })
    }

    /// Whether a state directory is closed to whoever asks, such as `check` of an ordinary
    /// user while the instance was started by root.
    #[must_use]
    pub fn is_closed(config: &Config) -> bool {
        let closed = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        match Sets::of_state(&config.state.directory).current_folder() {
            Err(SetsError::File { source, .. }) => closed(&source),
            _ => false,
        }
    }
}

/// What was tuned, from its file beside the sets.
pub(crate) fn tuned(sets: &Sets) -> Result<Tuning, Error> {
    let bytes = sets
        .read_beside(tuning::FILE, tuning::BYTES)
        .map_err(|error| cannot(&error))?;
    let Some(bytes) = bytes else {
        return Ok(Tuning::default());
    };
    Tuning::read(&bytes).map_err(|error| {
        Error::Operator(format!(
            "Cannot read {}: {error}. Remove the file to be without any tuning of 'ringwall hub tune'.",
            sets.folder().join(tuning::FILE).display()
        ))
    })
}

/// An error of the sets as sentences.
pub(crate) fn cannot(error: &SetsError) -> Error {
    let cause =
        std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    let advice = match error {
        SetsError::Busy { .. } => {
            return Error::Operator(
                "Another 'ringwall hub' command is at work. Wait until it is done, and say it again."
                    .to_owned(),
            );
        }
        SetsError::File { source, .. } => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "The disk is full. Make room, and say it again; what is installed stays as it is."
            }
            io::ErrorKind::PermissionDenied => "Use sudo: the state directory is not open to you.",
            io::ErrorKind::ReadOnlyFilesystem => "The file system is read-only.",
            _ => "What is installed stays as it is.",
        },
        SetsError::Manifest { .. } => "Go back to the set before it with 'ringwall hub rollback'.",
        SetsError::Outside { .. } => "Nothing was written there.",
        SetsError::NoSet { .. } => "'ringwall hub rollback --list' shows which there are.",
    };
    Error::Operator(format!("Cannot {error}{cause}. {advice}"))
}
