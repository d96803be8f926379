//! Sets on disk: numbered folders that do not change, and a link to the current one.
//!
//! ```text
//! hub/lock  hub/current -> sets/0007  hub/sets/0006/…  hub/sets/0007/manifest.json
//!                                                      hub/sets/0007/scenarios/…  …/data/…
//! ```
//!
//! **On failure** of any kind, a lost process among them, `current` leads where it led: a
//! set is written under another name, brought to the disk, and only then named and linked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::kind::Kind;
use crate::manifest::{self, Manifest};

/// How many sets are kept besides the current one.
pub const KEPT: usize = 5;
/// The largest manifest.
const MANIFEST_BYTES: u64 = 16 << 20;
/// Where a set stands while it is written.
const DRAFT: &str = ".draft";
const CURRENT: &str = "current";
const SETS: &str = "sets";

/// What went wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum SetsError {
    /// Somebody else holds the lock.
    #[error("lock {path}: somebody else holds it")]
    Busy {
        /// The lock's file.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The manifest is not one that this version reads.
    #[error("read {path}: {why}")]
    Manifest {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of a set would lie outside of it.
    #[error("write {path:?}: it leads out of the set")]
    Outside {
        /// Its path.
        path: String,
    },
    /// There is no such set.
    #[error("find set {number}: it is not there")]
    NoSet {
        /// Its number.
        number: u32,
    },
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SetsError {
    let path = path.to_owned();
    move |source| SetsError::File {
        doing,
        path,
        source,
    }
}

/// All sets of an installation.
#[derive(Clone, Debug)]
pub struct Sets {
    folder: PathBuf,
}

/// The right to write; ends when it is dropped, or with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A finished set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// Its number.
    pub number: u32,
    /// Its folder.
    pub folder: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

impl Sets {
    /// The sets below a state directory; nothing is read yet.
    #[must_use]
    pub fn of_state(directory: &Path) -> Self {
        Self {
            folder: directory.join("hub"),
        }
    }

    /// The folder of everything about the hub.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folders, takes the right to write and clears what was left behind.
    ///
    /// # Errors
    /// [`SetsError::Busy`] where somebody else holds it, [`SetsError::File`].
    pub fn lock(&self) -> Result<Lock, SetsError> {
        let sets = self.folder.join(SETS);
        fs::create_dir_all(&sets).map_err(failed("make", &sets))?;
        let path = self.folder.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SetsError::Busy { path }),
            Err(fs::TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        let draft = sets.join(DRAFT);
        match fs::remove_dir_all(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &draft)(error))
            }
            _ => Ok(Lock { _file: file }),
        }
    }

    /// The current set; `None` where nothing was installed yet.
    ///
    /// # Errors
    /// [`SetsError::File`], [`SetsError::Manifest`].
    pub fn current(&self) -> Result<Option<Set>, SetsError> {
        match self.current_number()? {
            Some(number) => self.read(number).map(Some),
            None => Ok(None),
        }
    }

    /// The folder of the current set; `None` where nothing was installed yet.
    ///
    /// # Errors
    /// [`SetsError::File`] where it cannot be told.
    pub fn current_folder(&self) -> Result<Option<PathBuf>, SetsError> {
        Ok(self.current_number()?.map(|number| self.path(number)))
    }

    /// The number that `current` leads to.
    fn current_number(&self) -> Result<Option<u32>, SetsError> {
        let link = self.folder.join(CURRENT);
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &link)(error)),
        };
        let number = target.strip_prefix(SETS).ok().and_then(numbered);
        number.map(Some).ok_or_else(|| {
            let odd = io::Error::other("it leads out of the sets");
            failed("read", &link)(odd)
        })
    }

    /// The numbers of all sets, the oldest first.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn numbers(&self) -> Result<Vec<u32>, SetsError> {
        let sets = self.folder.join(SETS);
        let entries = match fs::read_dir(&sets) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &sets)(error)),
        };
        let mut numbers: Vec<u32> = entries
            .filter_map(|entry| numbered(Path::new(&entry.ok()?.file_name())))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// One set.
    ///
    /// # Errors
    /// [`SetsError::NoSet`], [`SetsError::File`], [`SetsError::Manifest`].
    pub fn read(&self, number: u32) -> Result<Set, SetsError> {
        let folder = self.path(number);
        if !folder.is_dir() {
            return Err(SetsError::NoSet { number });
        }
        let path = folder.join(manifest::FILE);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MANIFEST_BYTES).read_to_end(&mut bytes))
            .map_err(failed("read", &path))?;
        let bad = |why: String| SetsError::Manifest {
            path: path.clone(),
            why,
        };
        let read: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if read.format != manifest::FORMAT {
            return Err(bad(format!(
                "its format is {}, this version reads {}",
                read.format,
                manifest::FORMAT
            )));
        }
        Ok(Set {
            number,
            folder,
            manifest: read,
        })
    }

    /// Begins another set.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn begin<'l>(&self, _lock: &'l Lock) -> Result<Draft<'l>, SetsError> {
        let folder = self.folder.join(SETS).join(DRAFT);
        fs::create_dir(&folder).map_err(failed("make", &folder))?;
        // A set without any item is a folder of rules, too.
        let rules = folder.join(Kind::Scenarios.folder());
        fs::create_dir(&rules).map_err(failed("make", &rules))?;
        Ok(Draft {
            sets: self.clone(),
            folder,
            finished: false,
            _lock: std::marker::PhantomData,
        })
    }

    /// Makes a set the current one, in one step.
    ///
    /// # Errors
    /// [`SetsError::NoSet`], [`SetsError::File`].
    pub fn switch(&self, _lock: &Lock, number: u32) -> Result<(), SetsError> {
        if !self.path(number).is_dir() {
            return Err(SetsError::NoSet { number });
        }
        let (link, fresh) = (self.folder.join(CURRENT), self.folder.join(".current"));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &fresh)(error));
            }
            _ => {}
        }
        let target = Path::new(SETS).join(name(number));
        std::os::unix::fs::symlink(&target, &fresh).map_err(failed("link", &fresh))?;
        fs::rename(&fresh, &link).map_err(failed("switch", &link))?;
        to_disk(&self.folder)
    }

    /// No set is current any more.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn unset(&self, _lock: &Lock) -> Result<(), SetsError> {
        let link = self.folder.join(CURRENT);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &link)(error))
            }
            _ => to_disk(&self.folder),
        }
    }

    /// Removes a set that is not the current one.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn discard(&self, _lock: &Lock, number: u32) -> Result<(), SetsError> {
        let folder = self.path(number);
        fs::remove_dir_all(&folder).map_err(failed("remove", &folder))
    }

    /// Removes the oldest sets until [`KEPT`] remain besides the current one. The one that
    /// a rollback would lead to stays.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn prune(&self, lock: &Lock) -> Result<(), SetsError> {
        let Some(current) = self.current()? else {
            return Ok(());
        };
        let mut others = self.numbers()?;
        others.retain(|number| *number != current.number);
        let surplus = others.len().saturating_sub(KEPT);
        let old = others.into_iter().take(surplus);
        for number in old.filter(|number| Some(*number) != current.manifest.previous) {
            self.discard(lock, number)?;
        }
        Ok(())
    }

    /// Writes a small file beside the sets, in one step.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn write_beside(&self, _lock: &Lock, name: &str, bytes: &[u8]) -> Result<(), SetsError> {
        let (path, fresh) = (self.folder.join(name), self.folder.join(format!(".{name}")));
        write(&fresh, bytes)?;
        fs::rename(&fresh, &path).map_err(failed("replace", &path))?;
        to_disk(&self.folder)
    }

    /// Reads a file beside the sets, of at most `limit` bytes; `None` where there is none.
    ///
    /// # Errors
    /// [`SetsError::File`].
    pub fn read_beside(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SetsError> {
        let path = self.folder.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &path))?;
        if bytes.len() as u64 > limit {
            let large = io::Error::other(format!("it has more than {limit} bytes"));
            return Err(failed("read", &path)(large));
        }
        Ok(Some(bytes))
    }

    fn path(&self, number: u32) -> PathBuf {
        self.folder.join(SETS).join(name(number))
    }
}

/// A set that is being written; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Draft<'l> {
    sets: Sets,
    folder: PathBuf,
    finished: bool,
    _lock: std::marker::PhantomData<&'l Lock>,
}

impl Draft<'_> {
    /// Where it stands.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes one file.
    ///
    /// # Errors
    /// [`SetsError::Outside`], [`SetsError::File`].
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<(), SetsError> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if path.is_empty() || !Path::new(path).components().all(inside) {
            let path = path.chars().take(120).collect();
            return Err(SetsError::Outside { path });
        }
        let full = self.folder.join(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent).map_err(failed("make", parent))?;
        }
        write(&full, bytes)
    }

    /// Writes the manifest, brings everything to the disk and gives the set a number. It is
    /// not current yet.
    ///
    /// # Errors
    /// [`SetsError::File`], [`SetsError::Manifest`].
    pub fn finish(mut self, manifest: &Manifest) -> Result<u32, SetsError> {
        let path = self.folder.join(manifest::FILE);
        let bytes = serde_json::to_vec_pretty(manifest).map_err(|error| SetsError::Manifest {
            path: path.clone(),
            why: error.to_string(),
        })?;
        write(&path, &bytes)?;
        folders_to_disk(&self.folder)?;
        let number = self.sets.numbers()?.last().map_or(1, |last| last + 1);
        let target = self.sets.path(number);
        fs::rename(&self.folder, &target).map_err(failed("name", &target))?;
        self.finished = true;
        to_disk(&self.sets.folder.join(SETS))?;
        Ok(number)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Whoever takes the lock next clears what this could not.
            let _left = fs::remove_dir_all(&self.folder);
        }
    }
}

fn name(number: u32) -> String {
    format!("{number:04}")
}

fn numbered(path: &Path) -> Option<u32> {
    let text = path.to_str()?;
    let number = text.parse().ok()?;
    (name(number) == text).then_some(number)
}

/// A new file of this content, on the disk.
fn write(path: &Path, bytes: &[u8]) -> Result<(), SetsError> {
    let doing = failed("write", path);
    let written = (|| {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    written.map_err(doing)
}

fn to_disk(folder: &Path) -> Result<(), SetsError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("bring to the disk", folder))
}

fn folders_to_disk(folder: &Path) -> Result<(), SetsError> {
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let entry = entry.map_err(failed("list", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders_to_disk(&entry.path())?;
        }
    }
    to_disk(folder)
}
