//! How installed items stand.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

use crate::index::Index;
use crate::kind::{Id, Kind};
use crate::sets::Set;
use crate::{ITEM_BYTES, digest};

/// How deep a set's folders are looked through, and how many files are looked at.
const DEPTH: usize = 8;
const FILES: usize = 20_000;

/// How one item stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The newest version that the kept index knows.
    UpToDate,
    /// There is a newer version.
    UpdateAvailable,
    /// Its file is none that the hub ever published.
    Tampered,
    /// Its file is not there.
    Missing,
    /// The hub has it no more.
    Gone,
    /// Nobody knows: there is no index here.
    Unknown,
    /// A file of the operator's own.
    Local,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UpToDate => "up to date",
            Self::UpdateAvailable => "update available",
            Self::Tampered => "tampered",
            Self::Missing => "missing",
            Self::Gone => "no longer in the hub",
            Self::Unknown => "installed",
            Self::Local => "local (own file)",
        })
    }
}

/// One item of a set, and how it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Standing {
    /// Which item.
    #[serde(flatten)]
    pub id: Id,
    /// Its path below the set.
    pub path: String,
    /// The version whose digest its file has; empty where there is none.
    pub version: String,
    /// The newest version, where it is another.
    pub newest: Option<String>,
    /// How it stands.
    pub state: State,
    /// Whether the operator asked for it by name.
    pub asked: bool,
    /// Whether its author advises against this version.
    pub deprecated: bool,
}

/// How all items of a set stand, and what else lies in it.
#[must_use]
pub fn of_set(set: &Set, index: Option<&Index>) -> Vec<Standing> {
    let mut all = Vec::new();
    let mut known = BTreeSet::new();
    for item in &set.manifest.items {
        known.insert(item.path.as_str());
        let found = read(&set.folder.join(&item.path)).map(|bytes| digest(&bytes));
        let published = index.and_then(|index| index.get(&item.id));
        let version = found.as_deref().and_then(|found| {
            let version = published.and_then(|item| item.version_of(found));
            let here = (item.digest == found).then(|| (item.version.clone(), false));
            here.map(|(version, _)| {
                let same = published
                    .and_then(|item| item.versions.iter().find(|one| one.version == version));
                (version, same.is_some_and(|one| one.deprecated))
            })
            .or_else(|| version.map(|one| (one.version.clone(), one.deprecated)))
        });
        let newest = published.map(|item| &item.latest);
        let state = match (&found, &version, newest) {
            (None, ..) => State::Missing,
            (Some(_), None, _) => State::Tampered,
            (Some(_), Some(_), None) if index.is_some() => State::Gone,
            (Some(_), Some(_), None) => State::Unknown,
            (Some(found), Some(_), Some(newest)) if newest.digest == *found => State::UpToDate,
            (Some(_), Some(_), Some(_)) => State::UpdateAvailable,
        };
        let (version, deprecated) = version.unwrap_or_default();
        all.push(Standing {
            id: item.id.clone(),
            path: item.path.clone(),
            newest: newest
                .map(|newest| newest.version.clone())
                .filter(|newest| *newest != version),
            version,
            state,
            asked: item.asked,
            deprecated,
        });
    }
    all.extend(own_files(&set.folder, &known));
    all
}

/// Items whose files are none that the hub published.
#[must_use]
pub fn touched(standings: &[Standing]) -> BTreeSet<Id> {
    let touched = standings.iter().filter(|one| one.state == State::Tampered);
    touched.map(|one| one.id.clone()).collect()
}

/// Rule files of a folder in the hub's layout, besides the known ones.
#[must_use]
pub fn own_files(folder: &Path, known: &BTreeSet<&str>) -> Vec<Standing> {
    let mut found = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.runs()) {
        gather(folder, kind.folder(), DEPTH, &mut found);
    }
    let own = found
        .into_iter()
        .filter(|path| !known.contains(path.as_str()));
    own.filter_map(|path| {
        let kind = Kind::of_folder(path.split('/').next()?)?;
        let staged = matches!(kind, Kind::Parsers | Kind::Postoverflows);
        let name: Vec<&str> = path.split('/').skip(1 + usize::from(staged)).collect();
        let name = name.join("/");
        let name = name
            .strip_suffix(".yaml")
            .or_else(|| name.strip_suffix(".yml"))?;
        Some(Standing {
            id: Id::new(kind, name),
            version: String::new(),
            newest: None,
            state: State::Local,
            asked: true,
            deprecated: false,
            path,
        })
    })
    .collect()
}

fn gather(root: &Path, below: &str, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else {
        return;
    };
    let mut names: Vec<(String, bool)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let folder = entry.path().is_dir();
            Some((entry.file_name().into_string().ok()?, folder))
        })
        .collect();
    names.sort();
    for (name, folder) in names {
        let path = format!("{below}/{name}");
        if folder && depth > 0 && !name.starts_with('.') {
            gather(root, &path, depth - 1, found);
        } else if !folder
            && found.len() < FILES
            && (name.ends_with(".yaml") || name.ends_with(".yml"))
        {
            found.push(path);
        }
    }
}

/// A file of an item's size at most.
fn read(path: &Path) -> Option<Vec<u8>> {
    match files::read(path, ITEM_BYTES) {
        // Larger than any item: nothing that the hub published.
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Some(Vec::new()),
        read => read.ok(),
    }
}
