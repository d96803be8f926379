//! Loading the configuration for commands.

use std::path::{Path, PathBuf};

use config::{Arguments, Config, Origins, Surroundings};

use crate::Error;

/// Reads the configuration that the arguments and the environment ask for.
///
/// # Errors
/// All faults at once.
pub fn load(arguments: &Arguments) -> Result<(Config, Origins), Error> {
    Ok(config::load(arguments, &Surroundings::of_process())?)
}

/// A configuration from a text of our own, such as the demo's.
///
/// # Errors
/// All faults at once.
pub fn from_text(name: &str, text: &str) -> Result<Config, Error> {
    let mut around = Surroundings::of_process();
    around.env.clear();
    Ok(config::parse(Path::new(name), text, &around)?.0)
}

/// The control socket to ask: the one named, else the configured one, else the
/// default place.
///
/// # Errors
/// When a configuration is named and wrong.
pub fn socket(named: Option<PathBuf>, file: Option<PathBuf>) -> Result<PathBuf, Error> {
    if let Some(socket) = named {
        return Ok(socket);
    }
    // Only the socket's path is wanted: whether a certificate can be seen by whoever
    // asks for `status` does not matter.
    let around = Surroundings {
        probe: &config::Blind,
        ..Surroundings::of_process()
    };
    let file = file.or_else(|| config::find(&around));
    let config = match file {
        Some(path) => {
            config::load(
                &Arguments {
                    config: Some(path),
                    ..Arguments::default()
                },
                &around,
            )?
            .0
        }
        // Without a file the instance was started with --protect and stands in the default places.
        None => {
            let protect = Some("http://127.0.0.1:1".to_owned());
            config::load(
                &Arguments {
                    protect,
                    ..Arguments::default()
                },
                &around,
            )?
            .0
        }
    };
    Ok(config.control.socket)
}
