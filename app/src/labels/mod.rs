//! Sites from the labels of Docker's containers.
//!
//! For: `ringwall.host` and its companions, as `docs/labels.md` describes them.
//! Containers come and go; the edge's sites follow without a restart.
//! Refuses: what the configuration names, what another project has, `*`, and any
//! upstream but a container's own address. Labels are the word of whoever starts
//! containers, and he may be nobody's friend.
//! Assumes: the list of containers is Docker's; [`host::docker`] bounds it.
//! On failure: without Docker the sites stay as they were. A wrong label is one
//! [`wish::Fault`], named in `status`, and touches no other site.
//!
//! | module | for |
//! |---|---|
//! | [`wish`] | pure: one container's labels → what it asks for |
//! | [`claims`] | pure: who gets which host → the sites |
//! | [`follow`] | the task that hears what changes |

pub mod claims;
pub mod follow;
pub mod wish;

use std::sync::{Mutex, MutexGuard, PoisonError};

use config::Config;
use config::snapshot::Site;
use host::docker::{Frame, Sight};
use serde::{Deserialize, Serialize};
use vocab::Timestamp;

use crate::surroundings;
use claims::{Claims, Ground, Outcome};
use wish::Fault;

/// What is known from labels.
#[derive(Debug, Default)]
pub struct Labels {
    state: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    claims: Claims,
    sight: Option<Sight>,
    link: Link,
    outcome: Outcome,
}

/// How the way to Docker stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Link {
    /// Nothing was heard yet.
    #[default]
    Silent,
    /// The list is as it was told last.
    Told {
        /// Since when without a break.
        since: Timestamp,
    },
    /// It broke off; the sites stay as they were.
    Lost {
        /// When.
        since: Timestamp,
        /// Why, as a clause.
        why: String,
    },
}

/// What `status` says of labels.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LabelsView {
    /// Whether Docker answers.
    pub connected: bool,
    /// Since when that is so; `None` when nothing was heard yet.
    pub since: Option<Timestamp>,
    /// Why it does not answer.
    pub why: Option<String>,
    /// Containers that ask for a site.
    pub containers: usize,
    /// Containers beyond the most that are looked at.
    pub left_out: usize,
    /// Sites declared by labels.
    pub sites: usize,
    /// What is wrong, the first of it.
    pub faults: Vec<Fault>,
    /// How much is wrong in all.
    pub wrong: usize,
}

impl Labels {
    /// Takes a frame of the stream; [`Labels::sites`] is then to be asked again.
    pub fn hear(&self, frame: Frame, now: Timestamp) {
        let mut known = self.lock();
        match frame {
            Frame::Sight(sight) => {
                known.sight = Some(sight);
                if !matches!(known.link, Link::Told { .. }) {
                    known.link = Link::Told { since: now };
                }
            }
            Frame::Lost { why } => {
                let since = match known.link {
                    Link::Lost { since, .. } => since,
                    Link::Silent | Link::Told { .. } => now,
                };
                known.link = Link::Lost { since, why };
            }
        }
    }

    /// Whether anything was heard, good or bad.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.lock().link != Link::Silent
    }

    /// Forgets everything, once the configuration asks for labels no more.
    pub fn forget(&self) {
        *self.lock() = Known::default();
    }

    /// Frees hosts whose containers were removed.
    pub fn release_absent(&self) {
        self.lock().claims.release_absent();
    }

    /// Whether hosts are held that time alone sets free.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.lock().claims.waits()
    }

    /// The sites that labels declare beside those of `file`, which has none of them.
    #[must_use]
    pub fn sites(&self, file: &Config, now: Timestamp) -> Vec<Site> {
        if !file.docker.labels {
            return Vec::new();
        }
        let mut known = self.lock();
        let Known {
            claims,
            sight: Some(sight),
            link,
            outcome,
        } = &mut *known
        else {
            return Vec::new();
        };
        let own = surroundings::own_addresses();
        let ground = Ground {
            file: &file.edge.sites,
            allowed: &file.docker.hosts,
            mode: file.docker.mode,
            tls: file.edge.listeners.iter().any(|listener| listener.tls),
            own: &own,
        };
        // While Docker is away, time stands still: nobody could claim anything.
        let time = match link {
            Link::Lost { since, .. } => *since,
            Link::Silent | Link::Told { .. } => now,
        };
        let found = claims.settle(sight, &ground, time);
        if found.faults != outcome.faults
            && let Some(first) = found.faults.first()
        {
            tracing::warn!(wrong = found.wrong, %first, "labels are wrong");
        }
        *outcome = found;
        outcome.sites.clone()
    }

    /// For `status`.
    #[must_use]
    pub fn view(&self) -> LabelsView {
        let known = self.lock();
        let (connected, since, why) = match &known.link {
            Link::Silent => (false, None, None),
            Link::Told { since } => (true, Some(*since), None),
            Link::Lost { since, why } => (false, Some(*since), Some(why.clone())),
        };
        LabelsView {
            connected,
            since,
            why,
            containers: known.outcome.containers,
            left_out: known.sight.as_ref().map_or(0, |sight| sight.left_out),
            sites: known.outcome.sites.len(),
            faults: known.outcome.faults.clone(),
            wrong: known.outcome.wrong,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
