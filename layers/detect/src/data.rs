//! Data files that expressions ask for by name: word lists, regex lists, maps; and
//! address databases.
//!
//! For: holding their bytes and their lines, split once. Assumes: the files were
//! read with the configuration and do not change; a reload builds a new set.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::geo::Geo;
use crate::geo::mmdb::{Broken, Database};
use crate::rules::{DataFile, DataKind};

mod search;
mod table;

pub(crate) use search::{Searches, cased, needs};
pub(crate) use table::Table;

/// The lines of one data file, without comments and empty lines.
#[derive(Clone, Debug)]
pub struct DataLines {
    /// How the file is to be read.
    pub kind: DataKind,
    /// Its lines.
    pub lines: Arc<[Box<[u8]>]>,
}

impl DataFile {
    /// Whether it is an address database.
    #[must_use]
    pub fn is_database(&self) -> bool {
        self.dest_file.ends_with(".mmdb")
    }
}

/// Data files by the name under which expressions ask for them.
#[derive(Clone, Debug, Default)]
pub struct DataSet {
    files: BTreeMap<String, DataLines>,
    databases: BTreeMap<String, Result<Arc<Database>, Broken>>,
}

impl DataSet {
    /// Adds a file. Empty lines and those that start with `#` are left out; other
    /// lines count as they stand, spaces included.
    pub fn add(&mut self, name: &str, kind: DataKind, bytes: impl AsRef<[u8]>) {
        let lines = bytes.as_ref().split(|byte| *byte == b'\n');
        let lines = lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .map(Box::from)
            .collect();
        self.files
            .insert(name.to_owned(), DataLines { kind, lines });
    }

    /// Adds an address database; one that is broken is remembered as such, and
    /// enriches nothing.
    pub fn add_database(&mut self, name: &str, bytes: Arc<[u8]>) {
        let database = Database::open(bytes).map(Arc::new);
        self.databases.insert(name.to_owned(), database);
    }

    /// The address database of this name, or what is wrong with it.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Result<Arc<Database>, Broken>> {
        self.databases.get(name)
    }

    /// The address databases that are whole, by name.
    #[must_use]
    pub fn geo(&self) -> Geo {
        let whole = self.databases.iter();
        Geo::of(whole.filter_map(|(name, file)| Some((name.as_str(), file.as_ref().ok()?))))
    }

    /// Takes over the files of another set; of two of one name the one here stays.
    pub fn extend(&mut self, other: Self) {
        for (name, file) in other.databases {
            self.databases.entry(name).or_insert(file);
        }
        for (name, file) in other.files {
            self.files.entry(name).or_insert(file);
        }
    }

    /// The file of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&DataLines> {
        self.files.get(name)
    }

    /// Names and files, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DataLines)> {
        self.files.iter().map(|(name, file)| (name.as_str(), file))
    }
}
