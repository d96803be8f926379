//! Telling a running instance.

use std::path::Path;

use crate::Error;
use crate::control::client;
use crate::control::protocol::Ask;

/// What a running instance made of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It took it up; its words.
    Taken(String),
    /// There is none.
    Nobody,
}

impl Heard {
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Taken(said) => format!("The running instance took it up. {said}"),
            Self::Nobody => "No instance is running; the next start takes it up.".to_owned(),
        }
    }
}

/// Has a running instance read everything again.
///
/// # Errors
/// Its sentence, where it refuses: it then goes on with what it had.
pub(super) fn reload(socket: &Path) -> Result<Heard, Error> {
    if !client::is_there(socket) {
        return Ok(Heard::Nobody);
    }
    client::ask(socket, Ask::Reload).map(Heard::Taken)
}
