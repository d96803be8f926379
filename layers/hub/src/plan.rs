//! What the next set holds, and where each file of it comes from.
//!
//! Pure: takes an index and what is installed, and says what would be. Collections are
//! followed to all they need; what a collection once brought and nobody needs any more
//! leaves with it. **Refuses:** names that nothing has, a collection that needs what the
//! hub does not have, and to take out what a collection here needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::closeness::nearest;
use crate::index::{Index, Item};
use crate::kind::{Id, Kind};
use crate::manifest::{Installed, Manifest};

/// Why there is no next set.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Nothing has this name.
    #[error("nothing in the hub is named {name:?}")]
    Unknown {
        /// As it was typed.
        name: String,
        /// What may have been meant.
        nearest: Vec<String>,
    },
    /// It is not installed.
    #[error("{name:?} is not installed")]
    NotInstalled {
        /// As it was typed.
        name: String,
        /// What may have been meant.
        nearest: Vec<String>,
    },
    /// Items of this kind are not run.
    #[error("{id} is of a kind that is not run yet")]
    NotRun {
        /// Which item.
        id: Id,
    },
    /// A collection names what the hub does not have.
    #[error("{by} needs {id}, which the hub does not have")]
    Lacking {
        /// The collection.
        by: Id,
        /// What it needs.
        id: Id,
    },
    /// A collection that stays needs it.
    #[error("{by} needs {id}")]
    Needed {
        /// What was to be taken out.
        id: Id,
        /// Who needs it.
        by: Id,
    },
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish<'w> {
    /// These, and all they need; what is there already stays at its version.
    Install(&'w [String]),
    /// The newest versions of these; of everything where none is named.
    Update(&'w [String]),
    /// Without these, and what only they needed.
    Remove(&'w [String]),
}

/// Where an item's file comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// From the current set, as it is there.
    Kept,
    /// From the hub, because it is new here.
    New,
    /// From the hub, instead of the version here.
    Newer,
}

/// One item of the next set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The item as it will be.
    pub item: Installed,
    /// Where its file comes from.
    pub source: Source,
    /// The version that is there now, where another one comes.
    pub before: Option<String>,
}

/// The next set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Its items, by kind and name.
    pub steps: Vec<Step>,
    /// What is there now and leaves.
    pub removed: Vec<Id>,
    /// What is there and the hub has no more; it stays.
    pub gone: Vec<Id>,
    /// What collections name that this version does not run; it is left out.
    pub not_run: BTreeSet<Id>,
}

impl Plan {
    /// Works the next set out. `touched` are items whose files were changed here: they stay
    /// as they are.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(
        wish: Wish<'_>,
        index: &Index,
        now: Option<&Manifest>,
        touched: &BTreeSet<Id>,
    ) -> Result<Self, PlanError> {
        let mut asked: BTreeSet<Id> = asked(now);
        let mut renewed = BTreeSet::new();
        match wish {
            Wish::Install(names) => {
                for name in names {
                    asked.extend(named_in_hub(index, name)?);
                }
            }
            Wish::Update([]) => renewed = ids(now),
            Wish::Update(names) => {
                for name in names {
                    let named = named_here(now, name)?;
                    // With a collection goes all that it needs.
                    renewed.extend(Walk::new(index, None, &ids(now)).all(&named)?.needed);
                    renewed.extend(named);
                }
            }
            Wish::Remove(names) => {
                for name in names {
                    for id in named_here(now, name)? {
                        asked.remove(&id);
                        still_needed(&id, &asked, index, now)?;
                    }
                }
            }
        }
        renewed.retain(|id| !touched.contains(id));
        let walk = Walk::new(index, now, &renewed).all(&asked)?;
        Ok(Self::of(&walk, &asked, index, now))
    }

    fn of(walk: &Walked, asked: &BTreeSet<Id>, index: &Index, now: Option<&Manifest>) -> Self {
        let mut plan = Self {
            not_run: walk.not_run.clone(),
            ..Self::default()
        };
        for id in &walk.needed {
            let here = now.and_then(|now| now.get(id));
            let there = index.get(id);
            if here.is_some() && there.is_none() {
                plan.gone.push(id.clone());
            }
            let step = match (here, there) {
                (Some(here), Some(there))
                    if walk.renewed.contains(id) && here.digest != there.latest.digest =>
                {
                    let before = Some(here.version.clone());
                    step(id, there, Source::Newer, before)
                }
                (Some(here), _) => Step {
                    item: here.clone(),
                    source: Source::Kept,
                    before: None,
                },
                (None, Some(there)) => step(id, there, Source::New, None),
                (None, None) => continue,
            };
            plan.steps.push(step);
        }
        for step in &mut plan.steps {
            step.item.asked = asked.contains(&step.item.id);
        }
        let stays = |id: &Id| walk.needed.contains(id);
        let here = now.into_iter().flat_map(|now| &now.items);
        let left = here.filter(|item| !stays(&item.id));
        plan.removed = left.map(|item| item.id.clone()).collect();
        plan
    }

    /// Whether the next set is the current one.
    #[must_use]
    pub fn changes_nothing(&self, now: Option<&Manifest>) -> bool {
        let same = |step: &Step| {
            let here = now.and_then(|now| now.get(&step.item.id));
            step.source == Source::Kept && here.is_some_and(|here| *here == step.item)
        };
        self.removed.is_empty() && self.steps.iter().all(same)
    }

    /// Steps whose files come from the hub.
    pub fn brought(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.source != Source::Kept)
    }
}

fn step(id: &Id, item: &Item, source: Source, before: Option<String>) -> Step {
    Step {
        item: Installed {
            id: id.clone(),
            path: item.path.clone(),
            version: item.latest.version.clone(),
            digest: item.latest.digest.clone(),
            asked: false,
            members: item.members.clone(),
        },
        source,
        before,
    }
}

fn asked(now: Option<&Manifest>) -> BTreeSet<Id> {
    let items = now.into_iter().flat_map(|now| &now.items);
    let asked = items.filter(|item| item.asked);
    asked.map(|item| item.id.clone()).collect()
}

fn ids(now: Option<&Manifest>) -> BTreeSet<Id> {
    let items = now.into_iter().flat_map(|now| &now.items);
    items.map(|item| item.id.clone()).collect()
}

/// `parsers:author/name`, or a bare name of any kind.
fn split(name: &str) -> (Option<Kind>, &str) {
    match name.split_once(':') {
        Some((folder, rest)) => match Kind::of_folder(folder) {
            Some(kind) => (Some(kind), rest),
            None => (None, name),
        },
        None => (None, name),
    }
}

/// What a bare name means: the collection of that name if there is one, since it brings the
/// others, else everything that runs and has it.
fn meant<'i>(typed: &str, ids: impl Iterator<Item = &'i Id>) -> BTreeSet<Id> {
    let (kind, name) = split(typed);
    let fits = |id: &&Id| id.name == name && kind.is_none_or(|kind| kind == id.kind);
    let found: BTreeSet<Id> = ids.filter(fits).cloned().collect();
    let collection = Id::new(Kind::Collections, name);
    if found.contains(&collection) {
        return BTreeSet::from([collection]);
    }
    let runs: BTreeSet<Id> = found.iter().filter(|id| id.kind.runs()).cloned().collect();
    if runs.is_empty() { found } else { runs }
}

fn close<'i>(typed: &str, ids: impl Iterator<Item = &'i Id>) -> Vec<String> {
    let near = nearest(split(typed).1, ids.map(|id| id.name.as_str()));
    near.into_iter().map(str::to_owned).collect()
}

fn named_in_hub(index: &Index, typed: &str) -> Result<BTreeSet<Id>, PlanError> {
    let all = || index.iter().map(|(id, _)| id);
    let found = meant(typed, all());
    if found.is_empty() {
        return Err(PlanError::Unknown {
            name: typed.to_owned(),
            nearest: close(typed, all()),
        });
    }
    match found.iter().find(|id| !id.kind.runs()) {
        Some(id) => Err(PlanError::NotRun { id: id.clone() }),
        None => Ok(found),
    }
}

fn named_here(now: Option<&Manifest>, typed: &str) -> Result<BTreeSet<Id>, PlanError> {
    let here = ids(now);
    let found = meant(typed, here.iter());
    if found.is_empty() {
        return Err(PlanError::NotInstalled {
            name: typed.to_owned(),
            nearest: close(typed, here.iter()),
        });
    }
    Ok(found)
}

/// Refuses to take out what somebody who stays needs.
fn still_needed(
    id: &Id,
    asked: &BTreeSet<Id>,
    index: &Index,
    now: Option<&Manifest>,
) -> Result<(), PlanError> {
    for root in asked {
        let alone = BTreeSet::from([root.clone()]);
        let walked = Walk::new(index, now, &BTreeSet::new()).all(&alone)?;
        if walked.needed.contains(id) {
            return Err(PlanError::Needed {
                id: id.clone(),
                by: root.clone(),
            });
        }
    }
    Ok(())
}

/// Follows collections to all they need.
struct Walk<'a> {
    index: &'a Index,
    now: Option<&'a Manifest>,
    renewed: &'a BTreeSet<Id>,
}

#[derive(Debug, Default)]
struct Walked {
    needed: BTreeSet<Id>,
    not_run: BTreeSet<Id>,
    renewed: BTreeSet<Id>,
}

impl<'a> Walk<'a> {
    fn new(index: &'a Index, now: Option<&'a Manifest>, renewed: &'a BTreeSet<Id>) -> Self {
        Self {
            index,
            now,
            renewed,
        }
    }

    /// What these need. Each item is looked at once, so that circles end.
    fn all(&self, from: &BTreeSet<Id>) -> Result<Walked, PlanError> {
        let mut walked = Walked {
            renewed: self.renewed.clone(),
            ..Walked::default()
        };
        let mut open: BTreeMap<Id, Option<Id>> = from.iter().map(|id| (id.clone(), None)).collect();
        while let Some((id, by)) = open.pop_first() {
            if !id.kind.runs() {
                walked.not_run.insert(id);
                continue;
            }
            if walked.needed.contains(&id) {
                continue;
            }
            let Some(members) = self.members(&id) else {
                match by {
                    Some(by) => return Err(PlanError::Lacking { by, id }),
                    None => continue,
                }
            };
            for member in members {
                open.entry(member.clone())
                    .or_insert_with(|| Some(id.clone()));
            }
            walked.needed.insert(id);
        }
        Ok(walked)
    }

    /// What an item needs: as the version here says, unless it is to be renewed.
    fn members(&self, id: &Id) -> Option<&'a [Id]> {
        let here = self.now.and_then(|now| now.get(id));
        let there = self.index.get(id);
        match (here, there) {
            (Some(_), Some(there)) if self.renewed.contains(id) => Some(&there.members),
            (Some(here), _) => Some(&here.members),
            (None, Some(there)) => Some(&there.members),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
