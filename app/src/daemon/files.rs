//! Files whose change means something: the configuration and certificates.
//!
//! Looked at by time and length. What our own user cannot see, such as a certificate in
//! a folder of root's, is opened by the helper now and then and looked at through that.

use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use host::FileRule;

use super::Daemon;

/// The rest between two looks through the helper.
const REST: Duration = Duration::from_secs(10);
/// And for each file: the helper opens no more than a few in a second.
const REST_EACH: Duration = Duration::from_millis(250);

/// Which watched file changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Changed {
    Configuration,
    Certificate,
}

/// When a file was written last, and its length.
pub(super) type Stamp = (SystemTime, u64);

/// The files, and how they were when they were seen last.
pub(super) struct Files {
    configuration: Option<PathBuf>,
    known: HashMap<PathBuf, Stamp>,
    /// Those that the last look could not see.
    hidden: Vec<PathBuf>,
    due: Instant,
}

impl Files {
    /// As they are now. May ask the helper: blocks.
    pub(super) fn new(daemon: &Daemon, configuration: Option<PathBuf>) -> Self {
        let now = Instant::now();
        let mut files = Self {
            configuration,
            known: HashMap::new(),
            hidden: Vec::new(),
            due: now,
        };
        files.changed(daemon);
        if let Some(asked) = files.unseen(now) {
            files.take(through(daemon, asked));
        }
        files
    }

    /// What changed since the last look. Files that are new to the configuration in
    /// force were read with it.
    pub(super) fn changed(&mut self, daemon: &Daemon) -> Option<Changed> {
        let config = daemon.config();
        let sites = config.edge.sites.iter();
        let pairs = sites.filter_map(|site| site.certificate.as_ref());
        let named = pairs.flat_map(|pair| [&pair.chain, &pair.key]);
        let mut all: Vec<PathBuf> = self.configuration.iter().chain(named).cloned().collect();
        all.sort();
        all.dedup();
        self.known.retain(|path, _| all.binary_search(path).is_ok());
        let (mut seen, mut hidden) = (HashMap::new(), Vec::new());
        for path in all {
            match std::fs::metadata(&path).ok().as_ref().and_then(stamp) {
                Some(stamp) => drop(seen.insert(path, stamp)),
                None => hidden.push(path),
            }
        }
        self.hidden = hidden;
        self.take(seen)
    }

    /// The files to be looked at through the helper, when it is time again.
    pub(super) fn unseen(&mut self, now: Instant) -> Option<Vec<PathBuf>> {
        if self.hidden.is_empty() || now < self.due {
            return None;
        }
        let files = u32::try_from(self.hidden.len()).unwrap_or(u32::MAX);
        self.due = now + REST + REST_EACH.saturating_mul(files);
        Some(self.hidden.clone())
    }

    /// Takes how files are now; the configuration's change goes first.
    pub(super) fn take(&mut self, seen: HashMap<PathBuf, Stamp>) -> Option<Changed> {
        let mut changed = None;
        for (path, stamp) in seen {
            let ours = self.configuration.as_ref() == Some(&path);
            let before = self.known.insert(path, stamp);
            if before.is_none_or(|before| before == stamp) {
                continue;
            }
            if ours {
                changed = Some(Changed::Configuration);
            } else {
                changed = changed.or(Some(Changed::Certificate));
            }
        }
        changed
    }
}

/// Looks at files through the helper, where there is one. Blocks.
pub(super) fn through(daemon: &Daemon, asked: Vec<PathBuf>) -> HashMap<PathBuf, Stamp> {
    let access = &daemon.hands().access;
    if !access.is_helped() {
        return HashMap::new();
    }
    let look = |path: &Path| {
        let file = access.open(&FileRule::new(path)).ok()?;
        stamp(&file.metadata().ok()?)
    };
    let seen = asked.into_iter().filter_map(|path| {
        let stamp = look(&path)?;
        Some((path, stamp))
    });
    seen.collect()
}

fn stamp(found: &Metadata) -> Option<Stamp> {
    Some((found.modified().ok()?, found.len()))
}
