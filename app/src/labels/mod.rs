//! Sites from the labels of Docker's containers.
//!
//! For: `ringwall.host` and its companions, as `docs/labels.md` describes them.
//! Containers come and go; the edge's sites follow without a restart.
//! Refuses: what the configuration names or serves by a wildcard, what another project
//! has, `*`, and any upstream but a container's own address behind Docker's own bridge. Labels are the word of whoever starts
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

use crate::surroundings::{self, Routes};
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

/// What becomes of hosts whose containers were removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// They are held for their time.
    Held,
    /// They are free at once: the operator asked.
    Freed,
}

/// What labels come to with one configuration; `None` where nothing was heard of them
/// or nobody asks.
#[derive(Debug)]
pub struct Plan(Option<(Claims, Outcome)>);

impl Plan {
    /// Its sites.
    #[must_use]
    pub fn sites(&self) -> Vec<Site> {
        let outcome = self.0.as_ref().map(|(_, outcome)| outcome);
        outcome.map_or_else(Vec::new, |outcome| outcome.sites.clone())
    }
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
    /// Containers whose description is too long to be read.
    #[serde(default)]
    pub oversized: usize,
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

    /// Whether hosts are held that time alone sets free.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.lock().claims.waits()
    }

    /// The sites that labels declare beside those of `file`, which has none of them.
    #[must_use]
    pub fn sites(&self, file: &Config, now: Timestamp) -> Vec<Site> {
        let plan = self.plan(file, now, Absent::Held);
        let sites = plan.sites();
        self.adopt(plan);
        sites
    }

    /// What labels come to beside `file`, without anything being changed yet.
    #[must_use]
    pub fn plan(&self, file: &Config, now: Timestamp, absent: Absent) -> Plan {
        let known = self.lock();
        let Some(sight) = known.sight.as_ref().filter(|_| file.docker.labels) else {
            return Plan(None);
        };
        let (own, routes) = (surroundings::own_addresses(), Routes::now());
        let ground = Ground {
            file: &file.edge.sites,
            allowed: &file.docker.hosts,
            mode: file.docker.mode,
            may_observe: file.docker.may_observe,
            tls: file.edge.listeners.iter().any(|listener| listener.tls),
            own: &own,
            routes: &routes,
        };
        // While Docker is away, time stands still: nobody could claim anything.
        let time = match known.link {
            Link::Lost { since, .. } => since,
            Link::Silent | Link::Told { .. } => now,
        };
        let mut claims = known.claims.clone();
        if absent == Absent::Freed {
            claims.release_absent();
        }
        let outcome = claims.settle(sight, &ground, time);
        Plan(Some((claims, outcome)))
    }

    /// Takes a plan, once its configuration is in force.
    pub fn adopt(&self, plan: Plan) {
        let Plan(Some((claims, outcome))) = plan else {
            return;
        };
        let mut known = self.lock();
        if outcome.faults != known.outcome.faults
            && let Some(first) = outcome.faults.first()
        {
            tracing::warn!(wrong = outcome.wrong, %first, "labels are wrong");
        }
        (known.claims, known.outcome) = (claims, outcome);
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
            oversized: known.sight.as_ref().map_or(0, |sight| sight.oversized),
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
