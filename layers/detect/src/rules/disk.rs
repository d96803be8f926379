//! Reads rule files, pattern libraries and data files from directories.
//!
//! The one place of this crate that touches the file system: configuration is read
//! here once, before anything runs. Refuses: links out of nowhere are followed only
//! by the operating system's rules; directories nested deeper than [`DEPTH`] and more
//! files than [`FILES`] are not read. On failure: an unreadable directory is an
//! [`Unreadable`]; an unreadable single file too, since a rule that silently is not
//! there is worse than a start that fails.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DataFile, DataKind, Found, Sources};
use crate::data::DataSet;

/// How deep directories are followed.
pub const DEPTH: usize = 8;
/// How many files are read at most.
pub const FILES: usize = 20_000;
/// The largest file that is read.
const BYTES: u64 = 64 << 20;
/// The largest address database that is read; GeoLite2-City has some 60 MiB.
const DATABASE_BYTES: u64 = 256 << 20;

/// A directory or file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read rules from {path}")]
pub struct Unreadable {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Where rules lie.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// A hub checkout, or a folder of the same layout.
    pub root: PathBuf,
    /// Folders with grok libraries, searched before the root's own `patterns`.
    pub patterns: Vec<PathBuf>,
    /// Folders with data files, searched before the root's own `data`.
    pub data: Vec<PathBuf>,
}

impl Place {
    /// A folder of the hub's layout, nothing beside it.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            ..Self::default()
        }
    }

    /// Reads rule files and pattern libraries.
    ///
    /// # Errors
    /// When the root or a named folder cannot be read.
    pub fn sources(&self) -> Result<Sources, Unreadable> {
        let mut sources = Sources::default();
        let mut any = false;
        for folder in [
            "parsers",
            "scenarios",
            "postoverflows",
            "collections",
            "contexts",
        ] {
            let path = self.root.join(folder);
            if path.is_dir() {
                any = true;
                let wanted = |name: &str| name.ends_with(".yaml") || name.ends_with(".yml");
                gather(&path, folder, &wanted, 0, &mut sources.rules)?;
            }
        }
        if !any {
            let why = "no parsers, scenarios or collections folder is in it";
            return Err(Unreadable {
                path: self.root.clone(),
                source: io::Error::new(io::ErrorKind::NotFound, why),
            });
        }
        for path in &self.patterns {
            gather(path, "patterns", &|_| true, 0, &mut sources.patterns)?;
        }
        let own = self.root.join("patterns");
        if own.is_dir() {
            gather(&own, "patterns", &|_| true, 0, &mut sources.patterns)?;
        }
        Ok(sources)
    }

    /// Reads the data files that rules name: each by its `dest_file`, then by the
    /// path in its source URL. What is not found is left out; the program reports it.
    ///
    /// # Errors
    /// When a file exists and cannot be read.
    pub fn data(&self, wanted: &[DataFile]) -> Result<DataSet, Unreadable> {
        let mut set = DataSet::default();
        let own = self.root.join("data");
        let folders: Vec<&Path> = self
            .data
            .iter()
            .map(PathBuf::as_path)
            .chain([own.as_path()])
            .collect();
        let wanted = wanted.iter();
        for file in wanted.filter(|file| file.kind != DataKind::Other || file.is_database()) {
            let names = [Some(file.dest_file.as_str()), url_path(&file.source_url)];
            let mut places = names.into_iter().flatten().filter(|name| is_inside(name));
            let found = places.find_map(|name| {
                folders
                    .iter()
                    .map(|folder| folder.join(name))
                    .find(|path| path.is_file())
            });
            match found {
                Some(path) if file.is_database() => {
                    set.add_database(&file.dest_file, read(&path, DATABASE_BYTES)?);
                }
                Some(path) => set.add(&file.dest_file, file.kind, read(&path, BYTES)?),
                None => {}
            }
        }
        Ok(set)
    }
}

/// The path of a URL without its leading slash.
fn url_path(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let path = rest.split_once('/')?.1;
    Some(path.split(['?', '#']).next().unwrap_or(path))
}

/// Whether a relative name stays below the folder it is joined to.
fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn read(path: &Path, most: u64) -> Result<Arc<[u8]>, Unreadable> {
    let failed = |source| Unreadable {
        path: path.to_owned(),
        source,
    };
    files::read(path, most).map(Arc::from).map_err(failed)
}

fn gather(
    folder: &Path,
    below: &str,
    wanted: &dyn Fn(&str) -> bool,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<(), Unreadable> {
    let failed = |source| Unreadable {
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = entry.path();
        let inner = format!("{below}/{name}");
        if path.is_dir() {
            if depth < DEPTH && !name.starts_with('.') {
                gather(&path, &inner, wanted, depth + 1, found)?;
            }
        } else if wanted(&name) && found.len() < FILES {
            found.push(Found {
                file: path.display().to_string(),
                path: inner,
                bytes: read(&path, BYTES)?,
            });
        }
    }
    Ok(())
}
