//! Loading the configuration for commands.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use config::{Arguments, Config, Origins, Surroundings};
use host::{Access, FileRule};

use crate::Error;

/// Reads the configuration that the arguments and the environment ask for.
///
/// # Errors
/// All faults at once.
pub fn load(arguments: &Arguments) -> Result<(Config, Origins), Error> {
    Ok(config::load(arguments, &Surroundings::of_process())?)
}

/// How this process began; giving root up moves neither the default places nor what a
/// reload may find.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The arguments, with the configuration file that was found, in full.
    pub arguments: Arguments,
    /// Whether the process was started as root.
    pub root: bool,
}

impl Beginning {
    /// The beginning of this process, to be taken before root is given up.
    #[must_use]
    pub fn now(arguments: &Arguments) -> Self {
        let around = Surroundings::of_process();
        let mut arguments = arguments.clone();
        if arguments.config.is_none() && arguments.protect.is_none() {
            arguments.config = config::find(&around);
        }
        arguments.config = arguments
            .config
            .map(|path| std::path::absolute(&path).unwrap_or(path));
        Self {
            arguments,
            root: around.root,
        }
    }

    /// Reads the configuration again, with the hands of `access` where our own may not
    /// open it.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(&self, access: &Access) -> Result<Config, Error> {
        let mut around = Surroundings::of_process();
        around.root = self.root;
        let probe = AfterRoot(access);
        if self.root {
            around.probe = &probe;
        }
        Ok(config::load(&self.arguments, &around)?.0)
    }
}

/// The file system as somebody sees it who was root: what cannot be seen any more is left
/// to the helper, which still is and opens it.
struct AfterRoot<'a>(&'a Access);

impl config::Probe for AfterRoot<'_> {
    fn kind(&self, path: &Path) -> config::FileKind {
        match config::Disk.kind(path) {
            config::FileKind::Unreadable(_) => config::FileKind::Unchecked,
            seen => seen,
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        config::Disk.read(path)
    }

    /// A file that only root may read could be read at the start; the helper knows no
    /// other than that one.
    fn open(&self, path: &Path) -> io::Result<File> {
        config::Disk.open(path).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let opened = self.0.open(&FileRule::new(path));
                opened.map_err(|_| error)
            }
            _ => Err(error),
        })
    }
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
    Ok(of_instance(file)?.control.socket)
}

/// The configuration as the running instance has it, as far as it concerns paths: what is
/// configured, else the default places.
///
/// # Errors
/// When a configuration is named and wrong.
pub fn of_instance(file: Option<PathBuf>) -> Result<Config, Error> {
    // Only paths are wanted: whether a certificate can be seen by whoever
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
    Ok(config)
}
