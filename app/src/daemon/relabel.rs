//! The sites of labels, put in force beside the file's own.

use std::sync::{Arc, PoisonError};

use config::Config;
use config::snapshot::Site;
use host::docker::Frame;

use super::{Daemon, build};
use crate::{Error, now, translate};

impl Daemon {
    /// Takes what was heard of containers' labels and has the sites follow; `None` lets
    /// time pass. Blocks for moments; where it fails, the sites stay as they were.
    pub fn relabel(&self, frame: Option<Frame>) {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = frame {
            self.labels().hear(frame, now());
        }
        let file = self.file.load();
        let config = with_labels(&file, self.labels().sites(&file, now()));
        let before = self.config();
        if config.edge.sites == before.edge.sites {
            return;
        }
        let sites = config.edge.sites.len() - file.edge.sites.len();
        match self.follow_labels(config, file.edge.sites.len()) {
            Ok(()) => tracing::info!(sites, "sites of labels changed"),
            Err(error) => tracing::error!(%error, "sites of labels not changed, the old ones stay"),
        }
    }

    /// Puts sites of labels in force; the file's own are as they were resolved last.
    fn follow_labels(&self, config: Config, own: usize) -> Result<(), Error> {
        let mut snapshot = self
            .base
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let labelled = config.edge.sites.get(own..).unwrap_or_default();
        snapshot.sites.extend(translate::sites(labelled, |site| {
            build::volume_from(&config, &self.bookkeeper, site)
        })?);
        snapshot.check().map_err(|error| build::sentence(&error))?;
        let ground = build::ground(&config, &snapshot)?;
        self.edge()
            .reload(snapshot)
            .map_err(|error| build::sentence(&error))?;
        self.gate.replace(ground.gate);
        // No upstream of a label is spared; the address of a new network's bridge, which
        // is ours, is.
        self.bookkeeper.spare(ground.spared);
        self.watch
            .replace_sites(&build::site_policies(&config, &self.bookkeeper));
        self.config.store(Arc::new(config));
        Ok(())
    }
}

/// The configuration with the sites of labels after its own.
pub(super) fn with_labels(file: &Config, sites: Vec<Site>) -> Config {
    let mut config = file.clone();
    config.edge.sites.extend(sites);
    config
}

/// The snapshot with the file's own sites alone, which come first.
pub(super) fn without_labels(mut snapshot: edge::Snapshot, file: &Config) -> edge::Snapshot {
    snapshot.sites.truncate(file.edge.sites.len());
    snapshot
}
