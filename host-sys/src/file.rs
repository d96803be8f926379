//! Opening a file that the configuration names, and preparing a directory, without
//! being led astray by somebody who can write somewhere along the path.
//!
//! The path is walked directory by directory on open descriptors, so that nothing
//! can be exchanged between a check and its use. A symbolic link is followed only
//! where every directory up to it belongs to root and nobody else may write there:
//! `/etc/letsencrypt/live/…` works, a link that the unprivileged process put into
//! its own directory does not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::{Account, Error};

/// Links followed before a path counts as circular, as in the kernel.
const MOST_LINKS: u32 = 40;

/// Opens a regular file for reading.
///
/// # Errors
/// [`Error::Relative`], [`Error::UntrustedLink`] (also for a file with several
/// names in a directory that is not root's alone), [`Error::WrongKind`] for
/// anything but a regular file, [`Error::Call`] for the kernel's refusals.
pub fn open_regular(path: &Path) -> Result<File, Error> {
    let mut walk = Walk::start(path)?;
    while let Some(name) = walk.left.pop() {
        if name == ".." {
            walk.enter(&name)?;
            continue;
        }
        let kind = walk.look(&name)?;
        match FileType::from_raw_mode(kind.st_mode) {
            FileType::Symlink => walk.follow(&name)?,
            FileType::Directory => walk.enter(&name)?,
            FileType::RegularFile if walk.left.is_empty() => return walk.open(&name),
            _ => {
                return Err(Error::WrongKind {
                    path: path.to_owned(),
                    wanted: "regular file",
                });
            }
        }
    }
    Err(Error::WrongKind {
        path: path.to_owned(),
        wanted: "regular file",
    })
}

/// Opens a file for reading with the process's own rights, links followed as the
/// kernel does.
///
/// # Errors
/// [`Error::WrongKind`] for anything but a regular file, [`Error::Call`] for the
/// kernel's refusals.
pub fn open_plain(path: &Path) -> Result<File, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let failed = |errno: Errno| Error::call(format!("open {}", path.display()), errno);
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&opened).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::WrongKind {
            path: path.to_owned(),
            wanted: "regular file",
        });
    }
    Ok(File::from(opened))
}

/// A way along a path: where we are, and the names still to go, last one first.
struct Walk<'a> {
    path: &'a Path,
    here: OwnedFd,
    left: Vec<OsString>,
    /// Whether every directory so far is root's alone.
    trusted: bool,
    links: u32,
}

impl<'a> Walk<'a> {
    fn start(path: &'a Path) -> Result<Self, Error> {
        if !path.is_absolute() {
            return Err(Error::Relative {
                path: path.to_owned(),
            });
        }
        let mut walk = Self {
            path,
            here: root(path)?,
            left: Vec::new(),
            trusted: true,
            links: 0,
        };
        walk.queue(path);
        walk.judge()?;
        Ok(walk)
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::call(format!("open {}", self.path.display()), errno)
    }

    /// Puts a path's names in front of what is left.
    fn queue(&mut self, path: &Path) {
        let names = path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        self.left.extend(names);
    }

    /// Takes the directory we are in into account.
    fn judge(&mut self) -> Result<(), Error> {
        let stat = rustix::fs::fstat(&self.here).map_err(|errno| self.failed(errno))?;
        let others = Mode::from_raw_mode(stat.st_mode) & (Mode::WGRP | Mode::WOTH);
        self.trusted &= stat.st_uid == 0 && others.is_empty();
        Ok(())
    }

    fn look(&self, name: &OsStr) -> Result<Stat, Error> {
        rustix::fs::statat(&self.here, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| self.failed(errno))
    }

    fn enter(&mut self, name: &OsStr) -> Result<(), Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.here = rustix::fs::openat(&self.here, name, flags, Mode::empty())
            .map_err(|errno| self.failed(errno))?;
        self.judge()
    }

    fn follow(&mut self, name: &OsStr) -> Result<(), Error> {
        self.links += 1;
        if !self.trusted {
            return Err(Error::UntrustedLink {
                path: self.path.to_owned(),
            });
        }
        if self.links > MOST_LINKS {
            return Err(self.failed(Errno::LOOP));
        }
        let target = rustix::fs::readlinkat(&self.here, name, Vec::new())
            .map_err(|errno| self.failed(errno))?;
        let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
        if target.is_absolute() {
            self.here = root(self.path)?;
        }
        self.queue(&target);
        Ok(())
    }

    fn open(&self, name: &OsStr) -> Result<File, Error> {
        // Not blocking: between look and open it may have become a named pipe.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = rustix::fs::openat(&self.here, name, flags, Mode::empty())
            .map_err(|errno| self.failed(errno))?;
        let stat = rustix::fs::fstat(&opened).map_err(|errno| self.failed(errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::WrongKind {
                path: self.path.to_owned(),
                wanted: "regular file",
            });
        }
        // A hard link is a link too.
        if stat.st_nlink > 1 && !self.trusted {
            return Err(Error::UntrustedLink {
                path: self.path.to_owned(),
            });
        }
        Ok(File::from(opened))
    }
}

fn root(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/", flags, Mode::empty())
        .map_err(|errno| Error::call(format!("open {}", path.display()), errno))
}

/// Makes `path` a directory of mode 0700 that belongs to `owner`, with the files
/// directly in it that were root's so far. For the state directory, by root,
/// before it becomes `owner`.
///
/// # Errors
/// [`Error::WrongKind`] where `path` is a link or no directory, [`Error::Shared`]
/// where it belongs to somebody else than root or `owner`, or is a directory of
/// root's that others enter and that holds something already (`/run`, `/var/log`),
/// [`Error::Call`] for the kernel's refusals (a read-only file system).
pub fn own_directory(path: &Path, owner: &Account) -> Result<(), Error> {
    let failed = |errno: Errno| Error::call(format!("prepare {}", path.display()), errno);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::call(format!("create {}", path.display()), error))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP => Error::WrongKind {
            path: path.to_owned(),
            wanted: "directory",
        },
        other => failed(other),
    })?;
    let stat = rustix::fs::fstat(&directory).map_err(failed)?;
    let entries: Vec<_> = rustix::fs::Dir::read_from(&directory)
        .map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let inside = |name: &&rustix::fs::DirEntry| ![c".", c".."].contains(&name.file_name());
    let others = Mode::from_raw_mode(stat.st_mode) & (Mode::RWXG | Mode::RWXO);
    let in_use = !others.is_empty() && entries.iter().any(|entry| inside(&entry));
    if stat.st_uid != owner.uid && (stat.st_uid != 0 || in_use) {
        return Err(Error::Shared {
            path: path.to_owned(),
        });
    }
    give(&directory, owner).map_err(failed)?;
    rustix::fs::fchmod(&directory, Mode::RWXU).map_err(failed)?;
    for entry in entries {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(&directory, entry.file_name(), flags, Mode::empty())
        else {
            continue; // a link or a socket: not ours to give away
        };
        let stat = rustix::fs::fstat(&file).map_err(failed)?;
        let plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if plain && stat.st_nlink == 1 && stat.st_uid == 0 {
            give(&file, owner).map_err(failed)?;
        }
    }
    Ok(())
}

/// Lets `owner`'s group through the directory at `path` to what it can name in there
/// (mode 0710), and not list it. For the folder of the control socket, by root, after
/// [`own_directory`].
///
/// # Errors
/// [`Error::WrongKind`] where `path` is no directory of `owner`'s, [`Error::Call`] for the
/// kernel's refusals.
pub fn let_group_through(path: &Path, owner: &Account) -> Result<(), Error> {
    let failed = |errno: Errno| Error::call(format!("prepare {}", path.display()), errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&directory).map_err(failed)?;
    if stat.st_uid != owner.uid || stat.st_gid != owner.gid {
        return Err(Error::WrongKind {
            path: path.to_owned(),
            wanted: "directory of the user that Ringwall becomes",
        });
    }
    rustix::fs::fchmod(&directory, Mode::RWXU | Mode::XGRP).map_err(failed)
}

fn give(what: impl AsFd, owner: &Account) -> Result<(), Errno> {
    rustix::fs::fchown(
        what,
        Some(Uid::from_raw(owner.uid)),
        Some(Gid::from_raw(owner.gid)),
    )
}
