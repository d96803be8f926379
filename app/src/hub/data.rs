//! Data files that items name: from a folder of the operator's, from the current set, or
//! from where the item says they are published.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use detect::rules::{DataFile, DataKind};
use fetch::{Answer, Client, Url, Validators};
use hub::{Data, Draft, Set, digest};

use super::bring::Progress;
use super::{How, sentence};
use crate::Error;
use crate::rulebook::{self, installed_cannot as cannot};

/// The largest list, and the largest database.
const LIST_BYTES: u64 = 64 << 20;
const DATABASE_BYTES: u64 = 256 << 20;
/// The most files of one set, and the most bytes in all of them.
const MOST_FILES: usize = 1_000;
const ALL_BYTES: u64 = 1 << 30;

/// What a set has of data.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// What is there, for the manifest.
    pub(super) files: Vec<Data>,
    /// Databases that nobody supplied.
    pub(super) lacking: Vec<String>,
    /// What could not be asked for anew, and is as it was.
    pub(super) stale: Vec<String>,
    /// How many are others than before.
    pub(super) changed: usize,
}

/// What is needed to get them.
pub(super) struct Desk<'a> {
    /// `None` where nothing is fetched.
    pub(super) client: Option<&'a Client>,
    pub(super) how: &'a How,
    pub(super) current: Option<&'a Set>,
    /// Whether what is here is asked for again.
    pub(super) renew: bool,
}

impl Desk<'_> {
    /// Writes all files that are wanted into a draft.
    ///
    /// # Errors
    /// Where one cannot be had, or would take the place of one of ours.
    pub(super) fn bring(&self, wanted: &[DataFile], draft: &Draft<'_>) -> Result<Brought, Error> {
        let mut brought = Brought::default();
        let mut progress = Progress::new("data file");
        // Each name once: a second item that names another source gets the first's.
        let mut files = BTreeMap::new();
        for file in wanted {
            files.entry(file.dest_file.as_str()).or_insert(file);
        }
        let mut all = 0;
        for (at, (name, file)) in files.iter().enumerate() {
            if rulebook::is_own_data(name) {
                return Err(Error::Operator(format!(
                    "An item names a data file {name:?}, which is the name of one of Ringwall's own. Nothing was changed."
                )));
            }
            progress.step(at + 1, files.len(), name);
            match self.one(file, &mut brought.stale)? {
                None => brought.lacking.push(file.dest_file.clone()),
                Some((data, bytes)) => {
                    all += bytes.len() as u64;
                    if all > ALL_BYTES || at >= MOST_FILES {
                        return Err(Error::Operator(format!(
                            "The items name more data than a set may hold: {MOST_FILES} files, {} MiB in all. Nothing was changed.",
                            ALL_BYTES >> 20
                        )));
                    }
                    let path = format!("data/{name}");
                    draft.put(&path, &bytes).map_err(|error| cannot(&error))?;
                    let before = self.kept(name).map(|kept| kept.digest.as_str());
                    brought.changed += usize::from(before != Some(data.digest.as_str()));
                    brought.files.push(data);
                }
            }
        }
        Ok(brought)
    }

    fn kept(&self, name: &str) -> Option<&Data> {
        let data = &self.current?.manifest.data;
        data.iter().find(|data| data.file == name)
    }

    fn one(
        &self,
        file: &DataFile,
        stale: &mut Vec<String>,
    ) -> Result<Option<(Data, Vec<u8>)>, Error> {
        let name = file.dest_file.as_str();
        if let Some(bytes) = self.of_the_operator(file)? {
            let data = Data {
                file: name.to_owned(),
                url: String::new(),
                digest: digest(&bytes),
                etag: None,
                last_modified: None,
            };
            return Ok(Some((data, bytes)));
        }
        let here = self
            .kept(name)
            .and_then(|data| Some((data, self.here(name)?)));
        // What the operator supplied stays until the operator supplies another.
        let supplied = here.as_ref().is_some_and(|(data, _)| data.url.is_empty());
        let renew = self.renew && (!supplied || self.how.force);
        let (client, true) = (self.client, renew || here.is_none()) else {
            return Ok(here.map(|(data, bytes)| (data.clone(), bytes)));
        };
        let database = file.is_database() || file.kind == DataKind::Other;
        let (address, limit) = match (self.database(name), database) {
            (Some(url), _) => (url?, DATABASE_BYTES),
            // Large, licensed, and at addresses that want a key: only from where the operator says.
            (None, true) => return Ok(here.map(|(data, bytes)| (data.clone(), bytes))),
            (None, false) => (super::bring::url(&file.source_url)?, LIST_BYTES),
        };
        let Some(client) = client else {
            return Err(Error::Operator(format!(
                "The data file {name} is not here. Fetch it with 'ringwall hub update', or name its folder with --data."
            )));
        };
        match (
            self.fetch(client, name, &address, limit, here.clone()),
            here,
        ) {
            // Lists of yesterday are better than no update at all.
            (Err(_), Some((data, bytes))) => {
                stale.push(name.to_owned());
                Ok(Some((data.clone(), bytes)))
            }
            (brought, _) => brought.map(Some),
        }
    }

    fn fetch(
        &self,
        client: &Client,
        name: &str,
        address: &Url,
        limit: u64,
        here: Option<(&Data, Vec<u8>)>,
    ) -> Result<(Data, Vec<u8>), Error> {
        let same = here.filter(|(data, _)| data.url == address.to_string());
        let validators = same.as_ref().map(|(data, _)| Validators {
            etag: data.etag.clone(),
            last_modified: data.last_modified.clone(),
        });
        let mut progress = Progress::new(name);
        let answer = client
            .get(address, limit, validators.as_ref(), &mut |bytes| progress.bytes(bytes))
            .map_err(|error| {
                let what = format!("the data file {name}, without which rules are blind (or name its folder with --data)");
                sentence::fetching(&what, &error)
            })?;
        match (answer, same) {
            (Answer::Unchanged, Some((data, bytes))) => Ok((data.clone(), bytes)),
            (Answer::Unchanged, None) => Err(Error::Operator(format!(
                "The server of the data file {name} says that it did not change, and it was never here."
            ))),
            (Answer::Fresh(fetched), _) => {
                let data = Data {
                    file: name.to_owned(),
                    url: address.to_string(),
                    digest: digest(&fetched.bytes),
                    etag: fetched.validators.etag,
                    last_modified: fetched.validators.last_modified,
                };
                Ok((data, fetched.bytes))
            }
        }
    }

    /// The address that the operator gave for a database of this name.
    fn database(&self, name: &str) -> Option<Result<Url, Error>> {
        let read = self.how.mmdb.iter().map(|text| super::bring::url(text));
        read.into_iter().find(|url| match url {
            Ok(url) => url.path().rsplit('/').next() == Some(name),
            Err(_) => true,
        })
    }

    fn here(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.current?.folder.join("data").join(name);
        read(&path, DATABASE_BYTES).ok()
    }

    /// From the operator's folder: by its name, then by the path in its address.
    fn of_the_operator(&self, file: &DataFile) -> Result<Option<Vec<u8>>, Error> {
        let Some(folder) = &self.how.data else {
            return Ok(None);
        };
        let published = Url::parse(&file.source_url).ok();
        let published = published
            .as_ref()
            .map(|url| url.path().trim_start_matches('/'));
        let names = [Some(file.dest_file.as_str()), published];
        let inside = |name: &&str| {
            let normal = |part| matches!(part, std::path::Component::Normal(_));
            !name.is_empty() && Path::new(name).components().all(normal)
        };
        for name in names.into_iter().flatten().filter(inside) {
            let path = folder.join(name);
            if path.is_file() {
                return read(&path, DATABASE_BYTES).map(Some).map_err(|error| {
                    Error::Operator(format!(
                        "Cannot read the data file {}: {error}. The user that Ringwall runs as has to be able to.",
                        path.display()
                    ))
                });
            }
        }
        Ok(None)
    }
}

fn read(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::other(format!(
            "it has more than {limit} bytes"
        )));
    }
    Ok(bytes)
}
