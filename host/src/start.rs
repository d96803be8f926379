//! Starting the helper, first thing in `main`.

use std::ffi::OsString;

use host_sys::{Account, Error, account, process};

use crate::access::Access;
use crate::client::{Client, HostError};

/// How to start the helper.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// The arguments that make this program call [`serve`](crate::serve()), with
    /// what it takes to find the configuration: `["host", "--config", "F"]`.
    pub arguments: Vec<OsString>,
}

/// What the process is after [`start`].
#[derive(Debug)]
pub enum Start {
    /// It is root, with a helper; it must give root up with
    /// [`confine`](crate::confine()).
    Privileged(Access),
    /// It runs as an ordinary user and does what that user may.
    Ordinary(Access),
}

/// What keeps a start from happening.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The helper could not be started.
    #[error("Cannot start the privileged helper process: {0}.")]
    Spawn(#[source] Error),
    /// It did not answer.
    #[error("The privileged helper process did not start: {0}")]
    Greet(#[source] HostError),
    /// There is nobody to become.
    #[error(
        "Cannot find a user to run as: {0}. Create one with 'useradd --system --no-create-home ringwall', or name one in the configuration."
    )]
    Account(#[source] Error),
}

/// As root: starts the helper and greets it. Otherwise: nothing but finding out.
/// Call it before any thread exists.
///
/// # Errors
/// See [`StartError`]; root without a helper does not go on.
pub fn start(launch: &Launch) -> Result<Start, StartError> {
    if !account::is_root() {
        let uid = account::effective_uid();
        return Ok(Start::Ordinary(Access::Own {
            why: format!(
                "Started as an ordinary user (uid {uid}): there is no privileged helper. Ports below 1024 and files of other users are out of reach; start Ringwall as root to have them."
            ),
        }));
    }
    let (child, channel) = process::spawn_self(&launch.arguments).map_err(StartError::Spawn)?;
    let client = Client::greet(channel, Some(child)).map_err(StartError::Greet)?;
    Ok(Start::Privileged(Access::Helper(client)))
}

/// Whom to become: the user that the configuration names, else `ringwall`, else
/// `nobody` with a note on why that is second best.
///
/// # Errors
/// [`StartError::Account`] where a named user does not exist, or none of them does.
pub fn find_account(configured: Option<&str>) -> Result<(Account, Option<String>), StartError> {
    if let Some(name) = configured {
        let account = Account::named(name).map_err(StartError::Account)?;
        return Ok((account, None));
    }
    if let Ok(account) = Account::named("ringwall") {
        return Ok((account, None));
    }
    let account = Account::named("nobody").map_err(StartError::Account)?;
    let note = "Running as nobody, which other services may share. Create a user with 'useradd --system --no-create-home ringwall'.";
    Ok((account, Some(note.to_owned())))
}
