//! What loading needs to know of the machine, passed in so that tests need none.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What lies at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file (or a symbolic link to one).
    File,
    /// A directory (or a symbolic link to one).
    Directory,
    /// Something else, such as a socket or a device.
    Other,
    /// Nothing.
    Missing,
    /// It could not be looked at, because …
    Unreadable(String),
    /// Nobody looked: whatever is wanted is taken to be there.
    Unchecked,
}

/// Looks at files for validation.
pub trait Probe {
    /// What lies at an absolute path.
    fn kind(&self, path: &Path) -> FileKind;

    /// The text of a file of at most 64 KiB, for `…_FILE` variables.
    ///
    /// # Errors
    /// When it cannot be read, is larger, or is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The configuration file, opened for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, path: &Path) -> io::Result<fs::File> {
        fs::File::open(path)
    }
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

/// Looks at nothing: for commands that only need to know what is configured, such as
/// where the control socket is, as a user who may not see every file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blind;

impl Probe for Blind {
    fn kind(&self, _: &Path) -> FileKind {
        FileKind::Unchecked
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        Disk.read(path)
    }
}

/// The largest file that a `…_FILE` variable may name.
const SECRET_BYTES: u64 = 64 * 1024;

impl Probe for Disk {
    fn kind(&self, path: &Path) -> FileKind {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => FileKind::File,
            Ok(found) if found.is_dir() => FileKind::Directory,
            Ok(_) => FileKind::Other,
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileKind::Missing,
            Err(error) => FileKind::Unreadable(error.to_string()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        use io::Read as _;
        let mut text = String::new();
        let read = fs::File::open(path)?
            .take(SECRET_BYTES + 1)
            .read_to_string(&mut text)?;
        if read as u64 > SECRET_BYTES {
            return Err(io::Error::other("the file is larger than 64 KiB"));
        }
        Ok(text)
    }
}

/// What loading needs to know of the machine and the process.
pub struct Surroundings<'a> {
    /// Environment variables that start with `RINGWALL_`, and `STATE_DIRECTORY`.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub directory: PathBuf,
    /// Whether the process was started as root, which moves the default places.
    pub root: bool,
    /// Looks at files.
    pub probe: &'a dyn Probe,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("env", &self.env.keys())
            .field("directory", &self.directory)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Surroundings<'static> {
    /// The surroundings of this process. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn of_process() -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("RINGWALL_") || name == "STATE_DIRECTORY")
            .collect();
        Self {
            env,
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            // The owner of /proc/self is the effective user: no libc call is needed.
            root: fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0),
            probe: &Disk,
        }
    }
}
