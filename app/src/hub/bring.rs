//! From the hub to here: the index, and files of items.

use std::time::Duration;

use config::Config;
use config::raw::PUBLIC_HUB;
use fetch::{Answer, Client, FetchError, Fetched, Roots, Rules, Url, Validators};
use hub::index::INDEX_BYTES;
use hub::{Index, Lock, Sets};
use serde::{Deserialize, Serialize};

use super::sentence;
use crate::Error;
use crate::rulebook::installed_cannot as cannot;

/// The kept index, and how to ask whether it changed.
const INDEX: &str = "index.json";
const ASKED: &str = "index-asked.json";
/// The longest of the latter.
const ASKED_BYTES: u64 = 64 << 10;
/// How long one file may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the kept index came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) url: String,
    /// RFC 3339.
    pub(super) at: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// A client that may call the hub, whatever its address is, and public hosts otherwise.
pub(super) fn client(config: &Config, mmdb: &[String]) -> Result<Client, Error> {
    let mut named = Vec::new();
    // The default was named by us and not by the operator.
    if config.detection.hub_url != PUBLIC_HUB {
        named.push(self::named(&url(&config.detection.hub_url)?));
    }
    for text in mmdb {
        named.push(self::named(&url(text)?));
    }
    let rules = Rules {
        named,
        time: PATIENCE,
        agent: concat!("ringwall/", env!("CARGO_PKG_VERSION")).to_owned(),
        roots: Roots::System,
    };
    Client::new(rules).map_err(|error| sentence::fetching("anything from the hub", &error))
}

fn named(url: &Url) -> (String, u16) {
    (url.host().to_owned(), url.port())
}

/// An address that somebody typed.
pub(super) fn url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|why| {
        let text = text.chars().take(100).collect();
        sentence::fetching("what is named there", &FetchError::Url { text, why })
    })
}

/// The index that was fetched last, where one was and it can be read.
pub(super) fn kept(sets: &Sets) -> Result<Option<(Index, Asked)>, Error> {
    let read = |name, limit| {
        sets.read_beside(name, limit)
            .map_err(|error| cannot(&error))
    };
    let (Some(bytes), Some(asked)) = (read(INDEX, INDEX_BYTES)?, read(ASKED, ASKED_BYTES)?) else {
        return Ok(None);
    };
    let asked = serde_json::from_slice(&asked).ok();
    Ok(Index::read(&bytes).ok().zip(asked))
}

/// The index as it is now; asks anew for all of it where `whole`.
pub(super) fn index(
    client: &Client,
    config: &Config,
    sets: &Sets,
    lock: &Lock,
    whole: bool,
) -> Result<Index, Error> {
    let base = url(&config.detection.hub_url)?;
    let address = base.below(".index.json").map_err(|why| {
        let text = base.to_string();
        sentence::fetching("the hub's index", &FetchError::Url { text, why })
    })?;
    let kept = kept(sets)?.filter(|(_, asked)| asked.url == address.to_string() && !whole);
    let validators = kept.as_ref().map(|(_, asked)| Validators {
        etag: asked.etag.clone(),
        last_modified: asked.last_modified.clone(),
    });
    let mut progress = Progress::new("the hub's index");
    let answer = client
        .get(&address, INDEX_BYTES, validators.as_ref(), &mut |bytes| {
            progress.bytes(bytes);
        })
        .map_err(|error| sentence::fetching("the hub's index", &error));
    drop(progress);
    match (answer?, kept) {
        (Answer::Unchanged, Some((index, _))) => Ok(index),
        (Answer::Unchanged, None) => Ok(Index::default()),
        (Answer::Fresh(fetched), _) => keep(&address, &fetched, sets, lock),
    }
}

fn keep(address: &Url, fetched: &Fetched, sets: &Sets, lock: &Lock) -> Result<Index, Error> {
    let url = address.to_string();
    let index = Index::read(&fetched.bytes).map_err(|error| sentence::index(&url, &error))?;
    let asked = Asked {
        url,
        at: crate::now().to_the_second().to_string(),
        etag: fetched.validators.etag.clone(),
        last_modified: fetched.validators.last_modified.clone(),
    };
    // In this order: validators never speak of an index that is not here.
    let written = sets
        .write_beside(lock, ASKED, b"{}")
        .and_then(|()| sets.write_beside(lock, INDEX, &fetched.bytes))
        .and_then(|()| {
            let asked = serde_json::to_vec_pretty(&asked).unwrap_or_default();
            sets.write_beside(lock, ASKED, &asked)
        });
    written.map_err(|error| cannot(&error))?;
    Ok(index)
}

/// A line on a terminal that says what is going on, and goes when it is over.
pub(super) struct Progress {
    what: String,
    shown: bool,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(what: &str) -> Self {
        use std::io::IsTerminal as _;
        Self {
            what: what.to_owned(),
            shown: false,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// So many bytes came.
    pub(super) fn bytes(&mut self, bytes: u64) {
        let what = format!("{}: {} KiB", self.what, bytes >> 10);
        self.say(&what);
    }

    /// The `at`-th of so many.
    pub(super) fn step(&mut self, at: usize, of: usize, name: &str) {
        let what = format!("{} {at} of {of}: {name}", self.what);
        self.say(&what);
    }

    #[expect(clippy::print_stderr, reason = "progress on a terminal")]
    fn say(&mut self, text: &str) {
        if self.terminal {
            let text: String = crate::term::printable(text).chars().take(78).collect();
            eprint!("\r\x1b[K{text}");
            self.shown = true;
        }
    }
}

impl Drop for Progress {
    #[expect(clippy::print_stderr, reason = "progress on a terminal")]
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
