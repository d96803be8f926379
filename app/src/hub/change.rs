//! Installing, updating and taking out: all of it, or nothing.

use std::collections::BTreeSet;
use std::path::Path;

use detect::rules::Fault;
use fetch::{Client, Url};
use hub::plan::Wish;
use hub::{
    Draft, ITEM_BYTES, Id, Index, Lock, Manifest, Plan, Set, Source, Standing, State, Step,
    manifest, standing, verified,
};

use super::bring::{self, Progress};
use super::data::{Brought, Desk};
use super::reload::Heard;
use super::{Bench, How, rollback, sentence};
use crate::rulebook::{self, Installed, installed_cannot as cannot};
use crate::term::{Cell, Tone};
use crate::{Error, now};

/// Installs items with all they need.
pub(super) fn install(
    bench: &mut Bench<'_>,
    client: &Client,
    names: &[String],
    how: &How,
) -> Result<(), Error> {
    change(bench, Some(client), Wish::Install(names), how)
}

/// Takes the newest versions.
pub(super) fn update(
    bench: &mut Bench<'_>,
    client: &Client,
    names: &[String],
    how: &How,
) -> Result<(), Error> {
    change(bench, Some(client), Wish::Update(names), how)
}

/// Takes items out, and what only they needed.
pub(super) fn remove(bench: &mut Bench<'_>, names: &[String], how: &How) -> Result<(), Error> {
    change(bench, None, Wish::Remove(names), how)
}

/// Why one try came to nothing.
enum Failed {
    /// An item was not what the index says: the hub may have changed in between.
    Stale(Error),
    For(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::For(error)
    }
}

fn change(
    bench: &mut Bench<'_>,
    client: Option<&Client>,
    wish: Wish<'_>,
    how: &How,
) -> Result<(), Error> {
    let lock = bench.sets.lock().map_err(|error| cannot(&error))?;
    let current = bench.sets.current().map_err(|error| cannot(&error))?;
    if current.is_none() && !matches!(wish, Wish::Install(_)) {
        return Err(Error::Operator(
            "Nothing is installed yet. Begin with: ringwall hub install crowdsecurity/base-http-scenarios"
                .to_owned(),
        ));
    }
    let index = match client {
        Some(client) => bring::index(client, &bench.config, &bench.sets, &lock, false)?,
        None => bring::kept(&bench.sets)?.map_or_else(Index::default, |(index, _)| index),
    };
    let mut change = Change {
        bench,
        client,
        lock: &lock,
        current: current.as_ref(),
        index,
        wish,
        how,
    };
    match change.once() {
        Ok(()) => Ok(()),
        Err(Failed::For(error)) => Err(error),
        // Once more with an index that is asked for anew: it may have been replaced between
        // two requests. Twice is no accident.
        Err(Failed::Stale(error)) => {
            let Some(client) = client else {
                return Err(error);
            };
            let fresh = bring::index(
                client,
                &change.bench.config,
                &change.bench.sets,
                &lock,
                true,
            )?;
            if fresh == change.index {
                return Err(error);
            }
            change.index = fresh;
            change.once().map_err(|failed| match failed {
                Failed::Stale(error) | Failed::For(error) => error,
            })
        }
    }
}

struct Change<'c, 'o> {
    bench: &'c mut Bench<'o>,
    client: Option<&'c Client>,
    lock: &'c Lock,
    current: Option<&'c Set>,
    index: Index,
    wish: Wish<'c>,
    how: &'c How,
}

impl Change<'_, '_> {
    fn once(&mut self) -> Result<(), Failed> {
        let now_here = self.current.map(|set| &set.manifest);
        let standings = self
            .current
            .map(|set| standing::of_set(set, Some(&self.index)))
            .unwrap_or_default();
        let touched = standing::touched(&standings);
        let spared = if self.how.force {
            BTreeSet::new()
        } else {
            touched.clone()
        };
        let plan = Plan::new(self.wish, &self.index, now_here, &spared)
            .map_err(|error| sentence::plan(&error))?;
        let renew = matches!(self.wish, Wish::Update(_));
        let whole = self.how.force || standings.iter().any(|one| one.state == State::Missing);
        if self.how.dry_run {
            return Ok(self.tell(&plan, &touched, None)?);
        }
        if plan.changes_nothing(now_here) && !renew && !whole && self.how.data.is_none() {
            return Ok(self.nothing()?);
        }
        let draft = self
            .bench
            .sets
            .begin(self.lock)
            .map_err(|error| cannot(&error))?;
        self.write(&plan, &standings, &draft)?;
        let desk = Desk {
            client: self.client,
            how: self.how,
            current: self.current,
            renew,
        };
        let wanted = rulebook::wanted(draft.folder())?;
        let brought = desk.bring(&wanted, &draft)?;
        if plan.changes_nothing(now_here) && !whole && brought.changed == 0 {
            for name in &brought.stale {
                let said = format!("{name} could not be fetched anew, and is as it was.");
                if !self.bench.out.json() {
                    self.bench.out.paragraph(&said, 0).map_err(Error::from)?;
                }
            }
            return Ok(self.nothing()?);
        }
        compiles(draft.folder(), &brought)?;
        self.runs(draft.folder())?;
        let (heard, number) = self.switch(&plan, draft, &brought)?;
        Ok(self.tell(&plan, &touched, Some((number, &heard, &brought)))?)
    }

    /// Writes the items' files, and those of the operator's own that lie among them.
    fn write(&self, plan: &Plan, standings: &[Standing], draft: &Draft<'_>) -> Result<(), Failed> {
        let mut taken = BTreeSet::new();
        for own in standings.iter().filter(|one| one.state == State::Local) {
            taken.insert(own.path.as_str());
        }
        let mut progress = Progress::new("item");
        for (at, step) in plan.steps.iter().enumerate() {
            let item = &step.item;
            if !taken.insert(&item.path) {
                return Err(Failed::For(Error::Operator(format!(
                    "{} would be the file {}, where another item or a file of yours is. Nothing was changed; \
                     files of your own have a place in detection.rules.",
                    item.id, item.path
                ))));
            }
            progress.step(at + 1, plan.steps.len(), &item.id.name);
            let bytes = self.file(step, standings)?;
            draft
                .put(&item.path, &bytes)
                .map_err(|error| cannot(&error))?;
        }
        let Some(current) = self.current else {
            return Ok(());
        };
        for own in standings.iter().filter(|one| one.state == State::Local) {
            let bytes = here(&current.folder, &own.path)?;
            draft
                .put(&own.path, &bytes)
                .map_err(|error| cannot(&error))?;
        }
        Ok(())
    }

    /// The file of one item.
    fn file(&self, step: &Step, standings: &[Standing]) -> Result<Vec<u8>, Failed> {
        let item = &step.item;
        let standing = standings.iter().find(|one| one.id == item.id);
        let missing = standing.is_some_and(|one| one.state == State::Missing);
        let tampered = standing.is_some_and(|one| one.state == State::Tampered);
        let again = missing || (tampered && self.how.force && matches!(self.wish, Wish::Update(_)));
        match (step.source, self.current) {
            (Source::Kept, Some(current)) if !again => Ok(here(&current.folder, &item.path)?),
            _ => self.fetch(step),
        }
    }

    fn fetch(&self, step: &Step) -> Result<Vec<u8>, Failed> {
        let (item, id) = (&step.item, &step.item.id);
        let published = self.index.get(id).map(|item| item.latest.digest.as_str());
        let (Some(client), true) = (self.client, published == Some(&item.digest)) else {
            return Err(Failed::For(Error::Operator(format!(
                "The file of {id} is not here, and the hub has another version by now. Say: ringwall hub update {}",
                id.name
            ))));
        };
        let base = bring::url(&self.bench.config.detection.hub_url)?;
        let address: Url = base.below(&item.path).map_err(|why| {
            let text = item.path.clone();
            sentence::fetching(&id.to_string(), &fetch::FetchError::Url { text, why })
        })?;
        let answer = client.get(&address, ITEM_BYTES, None, &mut |_| {});
        let bytes = match answer {
            Ok(fetch::Answer::Fresh(fetched)) => fetched.bytes,
            Ok(fetch::Answer::Unchanged) => Vec::new(),
            Err(error) => {
                let said = sentence::fetching(&id.to_string(), &error);
                return Err(if error.is_missing() {
                    Failed::Stale(said)
                } else {
                    Failed::For(said)
                });
            }
        };
        verified(id, &item.digest, bytes).map_err(|wrong| Failed::Stale(sentence::digest(&wrong)))
    }

    /// Refuses a set that the configuration would not run, whether an instance runs or not.
    fn runs(&self, folder: &Path) -> Result<(), Error> {
        let config = &self.bench.config;
        let installed = Installed {
            set: Some(folder.to_owned()),
            ..Installed::of(config)?
        };
        rulebook::load(&config.detection, &installed).map(drop)
    }

    /// Gives the draft a number, switches to it and tells a running instance.
    fn switch(
        &mut self,
        plan: &Plan,
        draft: Draft<'_>,
        brought: &Brought,
    ) -> Result<(Heard, u32), Error> {
        let mut items: Vec<_> = plan.steps.iter().map(|step| step.item.clone()).collect();
        items.sort_by(|one, other| one.id.cmp(&other.id));
        let manifest = Manifest {
            format: manifest::FORMAT,
            made: now().to_the_second().to_string(),
            previous: self.current.map(|set| set.number),
            hub: self.bench.config.detection.hub_url.clone(),
            items,
            data: brought.files.clone(),
        };
        let number = draft.finish(&manifest).map_err(|error| cannot(&error))?;
        let from = self.current.map(|set| set.number);
        let heard = rollback::switch(self.bench, self.lock, from, number);
        if heard.is_err() {
            self.bench
                .sets
                .discard(self.lock, number)
                .map_err(|error| cannot(&error))?;
        }
        let heard = heard?;
        self.bench
            .sets
            .prune(self.lock)
            .map_err(|error| cannot(&error))?;
        Ok((heard, number))
    }

    fn nothing(&mut self) -> Result<(), Error> {
        let said = match self.wish {
            Wish::Update(_) => "Everything is up to date.",
            Wish::Install(_) => {
                "All of it is installed. 'ringwall hub update' looks for newer versions."
            }
            Wish::Remove(_) => "There was nothing to take out.",
        };
        if self.bench.out.json() {
            return Ok(self
                .bench
                .out
                .value(&serde_json::json!({ "set": null, "message": said }))?);
        }
        Ok(self.bench.out.line(said)?)
    }

    /// Says what was done, or would be.
    fn tell(
        &mut self,
        plan: &Plan,
        touched: &BTreeSet<Id>,
        done: Option<(u32, &Heard, &Brought)>,
    ) -> Result<(), Error> {
        let said = summary(plan, done);
        let notes = notes(self, plan, touched, done.map(|(.., brought)| brought));
        let out = &mut *self.bench.out;
        if out.json() {
            let names = |source: Source| -> Vec<&Id> {
                let steps = plan.steps.iter().filter(|step| step.source == source);
                steps.map(|step| &step.item.id).collect()
            };
            return Ok(out.value(&serde_json::json!({
                "set": done.map(|(number, ..)| number), "message": said, "notes": notes,
                "new": names(Source::New), "newer": names(Source::Newer), "removed": plan.removed,
                "not_run": plan.not_run, "dry_run": done.is_none(),
            }))?);
        }
        let rows: Vec<Vec<Cell>> = plan
            .brought()
            .map(row)
            .chain(plan.removed.iter().map(gone))
            .collect();
        if !rows.is_empty() {
            out.table(&["", "VERSION", "ITEM"], &rows)?;
        }
        for note in notes {
            let note = out.paint(Tone::Warn, &note);
            out.paragraph(&note, 0)?;
        }
        Ok(out.paragraph(&said, 0)?)
    }
}

fn row(step: &Step) -> Vec<Cell> {
    let version = match &step.before {
        Some(before) => format!("{before} → {}", step.item.version),
        None => step.item.version.clone(),
    };
    vec![
        Cell::toned(
            Tone::Good,
            if step.before.is_some() {
                "newer"
            } else {
                "new"
            },
        ),
        Cell::new(version),
        Cell::new(named(&step.item.id)),
    ]
}

fn gone(id: &Id) -> Vec<Cell> {
    vec![
        Cell::toned(Tone::Warn, "removed"),
        Cell::new(""),
        Cell::new(named(id)),
    ]
}

fn named(id: &Id) -> String {
    format!("{} ({})", id.name, id.kind.noun())
}

fn summary(plan: &Plan, done: Option<(u32, &Heard, &Brought)>) -> String {
    let count = |source| {
        plan.steps
            .iter()
            .filter(|step| step.source == source)
            .count()
    };
    let counts = format!(
        "{} items ({} new, {} newer, {} removed)",
        plan.steps.len(),
        count(Source::New),
        count(Source::Newer),
        plan.removed.len()
    );
    match done {
        None => format!("Nothing was done: the next set would hold {counts}."),
        Some((number, heard, brought)) => format!(
            "Set {number} is in force: {counts}, {} data files. {}",
            brought.files.len(),
            heard.sentence()
        ),
    }
}

/// What the operator should know besides.
fn notes(
    change: &Change<'_, '_>,
    plan: &Plan,
    touched: &BTreeSet<Id>,
    brought: Option<&Brought>,
) -> Vec<String> {
    let mut notes = Vec::new();
    let names = |ids: &mut dyn Iterator<Item = &Id>| -> String {
        let names: Vec<&str> = ids.map(|id| id.name.as_str()).collect();
        names.join(", ")
    };
    let updating = matches!(change.wish, Wish::Update(_));
    if updating && !touched.is_empty() && !change.how.force {
        notes.push(format!(
            "Tampered, and left as they are: {}. --force replaces them by the hub's.",
            names(&mut touched.iter())
        ));
    }
    if updating && !plan.gone.is_empty() {
        let gone = names(&mut plan.gone.iter());
        notes.push(format!("No longer in the hub, and kept: {gone}."));
    }
    if !plan.not_run.is_empty() {
        notes.push(format!(
            "{} appsec items belong to it and are not run yet; they were left out.",
            plan.not_run.len()
        ));
    }
    for name in brought.into_iter().flat_map(|brought| &brought.lacking) {
        notes.push(format!(
            "{name} is not fetched by itself; what needs it is without it. Give --mmdb URL, or --data with its folder."
        ));
    }
    for name in brought.into_iter().flat_map(|brought| &brought.stale) {
        notes.push(format!(
            "{name} could not be fetched anew, and is as it was."
        ));
    }
    let detection = &change.bench.config.detection;
    if detection.hub_url.starts_with("http://") && change.client.is_some() {
        notes.push(
            "The hub was asked by plain http: whoever is on the way can change its index."
                .to_owned(),
        );
    }
    if let Some(hub) = &detection.hub {
        notes.push(format!(
            "detection.hub names {}: while it does, that is loaded and not what is installed.",
            hub.display()
        ));
    }
    notes
}

/// Refuses a set in which something is broken.
fn compiles(folder: &Path, brought: &Brought) -> Result<(), Error> {
    let mut faults = rulebook::inspect(folder)?.faults;
    faults.retain(|fault| !brought.lacking.contains(&fault.file));
    if faults.is_empty() {
        return Ok(());
    }
    let prefix = format!("{}/", folder.display());
    for fault in &mut faults {
        if let Some(inside) = fault.file.strip_prefix(&prefix) {
            fault.file = inside.to_owned();
        }
    }
    Err(Error::Operator(broken(&faults)))
}

fn broken(faults: &[Fault]) -> String {
    format!(
        "The set does not compile, and nothing was changed:\n{}",
        rulebook::named(faults)
    )
}

/// A file of the current set.
fn here(folder: &Path, path: &str) -> Result<Vec<u8>, Error> {
    let full = folder.join(path);
    files::read(&full, ITEM_BYTES).map_err(|error| {
        Error::Operator(format!(
            "Cannot read {}: {error}. Nothing was changed.",
            full.display()
        ))
    })
}
