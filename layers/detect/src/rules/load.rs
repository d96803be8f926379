//! From files to the set of rules that runs: choosing items, reading documents,
//! gathering pattern libraries and the names of data files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::doc::{self, DataFile, Fields, ParserDoc, ScenarioDoc, Text};
use super::yaml::{Broken, documents};
use super::{Bounds, Fault, Node};

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// How faults name it.
    pub file: String,
    /// Its path below the root, with `/`: `parsers/s01-parse/author/name.yaml`.
    pub path: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// Everything that was read from disk, before anything was understood.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Rule files in the hub's layout.
    pub rules: Vec<Found>,
    /// Grok libraries, lines of `NAME pattern`; the first definition of a name counts.
    pub patterns: Vec<Found>,
}

/// Which items run.
#[derive(Clone, Debug, Default)]
pub struct Items {
    /// Names of parsers, scenarios, postoverflows or collections; all when empty.
    pub names: Vec<String>,
    /// Whether the line parsers that every installation has (`syslog-logs`,
    /// `dateparse-enrich`) stay out unless named.
    pub exact: bool,
}

/// Rules that were read and whose shape is right.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Parser nodes in the order in which they run: by stage, then by file name.
    pub parsers: Vec<ParserDoc>,
    /// Postoverflow nodes, in the same order.
    pub postoverflows: Vec<ParserDoc>,
    /// Scenarios, in the order in which they see an event.
    pub scenarios: Vec<ScenarioDoc>,
    /// Context that alerts carry: key and expressions.
    pub contexts: Vec<(String, Vec<Text>)>,
    /// The grok library: names and patterns.
    pub patterns: Vec<(String, String)>,
    /// Data files that the items name, each once.
    pub data: Vec<DataFile>,
    /// What is wrong; the files named here are left out.
    pub faults: Vec<Fault>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Folder {
    Parsers,
    Scenarios,
    Postoverflows,
    Contexts,
    Collections,
}

/// The kinds of items a collection names, as its keys.
const FOLDERS: [(&str, Folder); 5] = [
    ("parsers", Folder::Parsers),
    ("scenarios", Folder::Scenarios),
    ("postoverflows", Folder::Postoverflows),
    ("contexts", Folder::Contexts),
    ("collections", Folder::Collections),
];

/// Parsers that every installation has, without which no line gets anywhere.
const GROUND: [&str; 2] = [
    "crowdsecurity/syslog-logs",
    "crowdsecurity/dateparse-enrich",
];

struct Entry<'s> {
    found: &'s Found,
    folder: Folder,
    stage: &'s str,
    stem: &'s str,
    /// `author/stem`, or the stem where files lie without authors.
    name: String,
}

impl<'s> Entry<'s> {
    fn of(found: &'s Found) -> Option<Self> {
        let stemmed = found
            .path
            .strip_suffix(".yaml")
            .or_else(|| found.path.strip_suffix(".yml"))?;
        let mut parts = stemmed.split('/');
        let top = parts.next()?;
        let folder = FOLDERS.iter().find(|(name, _)| *name == top)?.1;
        let stage = match folder {
            Folder::Parsers | Folder::Postoverflows => parts.next()?,
            Folder::Scenarios | Folder::Contexts | Folder::Collections => "",
        };
        let rest: Vec<&str> = parts.collect();
        let stem = rest.last().copied()?;
        Some(Self {
            found,
            folder,
            stage,
            stem,
            name: rest.join("/"),
        })
    }
}

/// Reads what `items` name, and what those depend on.
#[must_use]
pub fn load(sources: &Sources, items: &Items, bounds: &Bounds) -> RuleSet {
    let mut entries: Vec<Entry<'_>> = sources.rules.iter().filter_map(Entry::of).collect();
    entries.sort_by(|a, b| {
        (a.folder, a.stage, a.stem, &a.found.path).cmp(&(b.folder, b.stage, b.stem, &b.found.path))
    });
    let mut set = RuleSet::default();
    let chosen = Choice::of(&entries, items, bounds, &mut set.faults);
    for (at, entry) in entries.iter().enumerate() {
        let wanted = chosen.as_ref().is_none_or(|chosen| chosen.contains(&at));
        if wanted && let Err(broken) = take(entry, bounds, &mut set) {
            set.faults.push(fault(entry.found, broken));
        }
    }
    gather_data(&mut set);
    library(&sources.patterns, bounds, &mut set);
    set
}

fn fault(found: &Found, broken: Broken) -> Fault {
    Fault {
        file: found.file.clone(),
        line: broken.line,
        what: broken.what,
        help: broken.help.to_owned(),
    }
}

/// Follows names through collections to files.
struct Choice<'e, 's> {
    entries: &'e [Entry<'s>],
    /// Entries by the names of their files.
    outer: BTreeMap<&'e str, Vec<usize>>,
    /// Entries by the names inside.
    inner: BTreeMap<String, Vec<usize>>,
    chosen: BTreeSet<usize>,
}

impl<'e, 's> Choice<'e, 's> {
    fn of(
        entries: &'e [Entry<'s>],
        items: &Items,
        bounds: &Bounds,
        faults: &mut Vec<Fault>,
    ) -> Option<BTreeSet<usize>> {
        if items.names.is_empty() {
            return None;
        }
        let mut choice = Self {
            entries,
            outer: outer_names(entries),
            inner: inner_names(entries),
            chosen: BTreeSet::new(),
        };
        for name in &items.names {
            if !choice.choose(name, None, bounds, faults) {
                faults.push(Fault {
                    file: "items".to_owned(),
                    line: 0,
                    what: format!("no parser, scenario or collection is named {name:?}"),
                    help: "Check the name, or update the hub checkout.".to_owned(),
                });
            }
        }
        if !items.exact {
            choice.add_ground(bounds, faults);
        }
        Some(choice.chosen)
    }

    fn add_ground(&mut self, bounds: &Bounds, faults: &mut Vec<Fault>) {
        let parsers = |entry: &Entry<'_>| entry.folder == Folder::Parsers;
        let picked = |at: &usize| self.entries.get(*at).is_some_and(parsers);
        if self.chosen.iter().any(picked) {
            for name in GROUND {
                self.choose(name, Some(Folder::Parsers), bounds, faults);
            }
        }
    }

    /// Chooses what `name` stands for, and all that it names in turn; whether there is any.
    fn choose(
        &mut self,
        name: &str,
        folder: Option<Folder>,
        bounds: &Bounds,
        faults: &mut Vec<Fault>,
    ) -> bool {
        let first = self.named(name, folder);
        let any = !first.is_empty();
        // No recursion: a chain of collections may be as long as there are files.
        let mut waiting = first;
        while let Some(at) = waiting.pop() {
            let Some(entry) = self.entries.get(at) else {
                continue;
            };
            let fresh = self.chosen.insert(at);
            if !fresh || entry.folder != Folder::Collections {
                continue;
            }
            let members = match members(entry.found, bounds) {
                Ok(members) => members,
                Err(broken) => {
                    faults.push(fault(entry.found, broken));
                    continue;
                }
            };
            for (folder, member) in members {
                let named = self.named(&member.text, Some(folder));
                if named.is_empty() {
                    let what = format!("the collection names {:?}, which is not here", member.text);
                    let broken = Broken::new(member.line, what, "Update the hub checkout.");
                    faults.push(fault(entry.found, broken));
                }
                waiting.extend(named.into_iter().filter(|at| !self.chosen.contains(at)));
            }
        }
        any
    }

    /// The entries of this name: by their files, or else by the names inside.
    fn named(&self, name: &str, folder: Option<Folder>) -> Vec<usize> {
        let fits = |at: &usize| {
            let entry = self.entries.get(*at);
            entry.is_some_and(|entry| folder.is_none_or(|folder| entry.folder == folder))
        };
        let of = |names: Option<&Vec<usize>>| -> Vec<usize> {
            let all = names.into_iter().flatten().copied();
            all.filter(fits).collect()
        };
        let found = of(self.outer.get(name));
        if found.is_empty() {
            return of(self.inner.get(name));
        }
        found
    }
}

fn outer_names<'e>(entries: &'e [Entry<'_>]) -> BTreeMap<&'e str, Vec<usize>> {
    let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        names.entry(&entry.name).or_default().push(at);
    }
    names
}

/// The `name:` lines inside files, found without reading the YAML: a hub checkout
/// has a thousand files of which a few are wanted.
fn inner_names(entries: &[Entry<'_>]) -> BTreeMap<String, Vec<usize>> {
    let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        for line in entry.found.bytes.split(|byte| *byte == b'\n') {
            let Some(rest) = line.strip_prefix(b"name:") else {
                continue;
            };
            let Ok(text) = core::str::from_utf8(rest) else {
                continue;
            };
            let text = text.trim().trim_matches(['"', '\'']);
            names.entry(text.to_owned()).or_default().push(at);
        }
    }
    names
}

/// What a collection names, by kind.
fn members(found: &Found, bounds: &Bounds) -> Result<Vec<(Folder, Text)>, Broken> {
    let mut members = Vec::new();
    for yaml in documents(&found.bytes, bounds)? {
        let mut fields = Fields::of(yaml, "a collection")?;
        for (key, folder) in FOLDERS {
            let texts = fields.texts(key)?.into_iter();
            members.extend(texts.map(|text| (folder, text)));
        }
        fields.ignore(&[
            "name",
            "description",
            "author",
            "labels",
            "tags",
            "references",
            "appsec-rules",
            "appsec-configs",
        ]);
        fields.finish()?;
    }
    Ok(members)
}

/// Reads one file into the set; all of its documents or none.
fn take(entry: &Entry<'_>, bounds: &Bounds, set: &mut RuleSet) -> Result<(), Broken> {
    let file = &entry.found.file;
    match entry.folder {
        Folder::Collections => members(entry.found, bounds).map(|_| ()),
        Folder::Contexts => {
            set.contexts.extend(contexts(entry.found, bounds)?);
            Ok(())
        }
        Folder::Scenarios => {
            let hash = hex(&Sha256::digest(&entry.found.bytes));
            let read = |yaml| doc::scenario(yaml, file, &hash);
            let scenarios = documents(&entry.found.bytes, bounds)?.into_iter().map(read);
            set.scenarios
                .extend(scenarios.collect::<Result<Vec<_>, _>>()?);
            Ok(())
        }
        Folder::Parsers | Folder::Postoverflows => {
            let read = |yaml| -> Result<ParserDoc, Broken> {
                Ok(ParserDoc {
                    file: file.clone(),
                    stage: entry.stage.to_owned(),
                    node: doc::node(yaml)?,
                })
            };
            let nodes = documents(&entry.found.bytes, bounds)?.into_iter().map(read);
            let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
            match entry.folder {
                Folder::Parsers => set.parsers.extend(nodes),
                _ => set.postoverflows.extend(nodes),
            }
            Ok(())
        }
    }
}

fn contexts(found: &Found, bounds: &Bounds) -> Result<Vec<(String, Vec<Text>)>, Broken> {
    let mut contexts = Vec::new();
    for yaml in documents(&found.bytes, bounds)? {
        let mut fields = Fields::of(yaml, "a context")?;
        if let Some(map) = fields.take("context") {
            for (key, value) in Fields::of(map, "context")?.into_pairs() {
                contexts.push((key.name, doc::texts_of(value, "context")?));
            }
        }
        fields.finish()?;
    }
    Ok(contexts)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names each data file once, scenarios' and parsers' alike.
fn gather_data(set: &mut RuleSet) {
    fn of_node<'n>(node: &'n Node, data: &mut Vec<&'n DataFile>) {
        data.extend(&node.data);
        for child in &node.nodes {
            of_node(child, data);
        }
    }
    let mut data = Vec::new();
    for doc in set.parsers.iter().chain(&set.postoverflows) {
        of_node(&doc.node, &mut data);
    }
    data.extend(set.scenarios.iter().flat_map(|scenario| &scenario.data));
    let mut seen = BTreeSet::new();
    set.data = data
        .into_iter()
        .filter(|file| seen.insert(file.dest_file.clone()))
        .cloned()
        .collect();
}

/// Reads grok libraries: a name, white space, a pattern; `#` starts a comment line.
fn library(files: &[Found], bounds: &Bounds, set: &mut RuleSet) {
    let mut seen = BTreeSet::new();
    for found in files {
        if found.bytes.len() > bounds.file_bytes {
            let what = "the pattern file is too large";
            set.faults
                .push(fault(found, Broken::new(0, what, "Split it.")));
            continue;
        }
        let Ok(text) = core::str::from_utf8(&found.bytes) else {
            let what = "the pattern file is not UTF-8";
            set.faults
                .push(fault(found, Broken::new(0, what, "Save it as UTF-8.")));
            continue;
        };
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, pattern)) = line.split_once([' ', '\t']) else {
                let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
                let broken = Broken::new(
                    line,
                    "a pattern name without a pattern",
                    "Write `NAME pattern`.",
                );
                set.faults.push(fault(found, broken));
                continue;
            };
            if seen.insert(name.to_owned()) {
                set.patterns
                    .push((name.to_owned(), pattern.trim_start().to_owned()));
            }
        }
    }
}
