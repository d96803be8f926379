//! Grok: regular expressions with named parts.
//!
//! For: `%{NAME}` stands for a pattern of the library, `%{NAME:field}` keeps what it
//! matched. Semantics are those of CrowdSec's engine: one namespace, the first
//! definition of a name counts; a kept group that took no part in the match is the
//! empty string; an outer field hides an inner one of the same name, otherwise the
//! last one counts; a pattern that keeps nothing fails always; names that are not
//! words are not expanded. Refuses: cycles, unknown names, expansions beyond
//! [`MAX_EXPANDED`]. On failure: [`GrokError`], at compile time only.

mod walk;
mod ways;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use expr::go_regex;
use expr::needs::regex_rows;
use memchr::memmem::Finder;
use regex::bytes::{CaptureLocations, Regex};

use walk::Walk;
use ways::Ways;

/// The longest expansion in bytes.
pub const MAX_EXPANDED: usize = 64 * 1024;
/// How deep patterns may refer to patterns.
const MAX_DEPTH: usize = 32;

/// Why a grok pattern cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GrokError {
    /// A name is not in the library.
    #[error("expand the grok pattern: no pattern is named {0}")]
    Unknown(String),
    /// Patterns refer to each other in a circle, or too deeply.
    #[error("expand the grok pattern {0}: it refers to itself or is nested too deeply")]
    Deep(String),
    /// The expansion is too long.
    #[error("expand the grok pattern: it grows beyond {MAX_EXPANDED} bytes")]
    Long,
    /// The result is not a regular expression.
    #[error("compile the grok pattern")]
    Regex(#[from] go_regex::RegexError),
}

/// How many groks are shared at most; the hub has 300.
const MAX_SHARED: usize = 4_096;

/// Groks compiled once and used by several programs: compiling is what costs most when
/// many small programs are built of the same rules.
#[derive(Debug, Default)]
pub struct Shared {
    /// By expansion and fields.
    groks: Mutex<HashMap<String, Grok>>,
}

impl Shared {
    fn find(&self, key: &str) -> Option<Grok> {
        let groks = self.groks.lock().unwrap_or_else(PoisonError::into_inner);
        groks.get(key).cloned()
    }

    fn put(&self, key: String, grok: &Grok) {
        let mut groks = self.groks.lock().unwrap_or_else(PoisonError::into_inner);
        if groks.len() < MAX_SHARED {
            groks.insert(key, grok.clone());
        }
    }
}

/// Named patterns; one namespace for all rule files of a phase.
#[derive(Clone, Debug, Default)]
pub struct Library {
    patterns: HashMap<String, String>,
    shared: Option<Arc<Shared>>,
}

impl Library {
    /// An empty library that looks for compiled groks in `shared` first.
    #[must_use]
    pub fn sharing(shared: Option<&Arc<Shared>>) -> Self {
        Self {
            patterns: HashMap::new(),
            shared: shared.cloned(),
        }
    }

    /// Adds a pattern; whether the name was new. The first definition stays.
    pub fn add(&mut self, name: &str, pattern: &str) -> bool {
        let fresh = !self.patterns.contains_key(name);
        if fresh {
            self.patterns.insert(name.to_owned(), pattern.to_owned());
        }
        fresh
    }

    /// The pattern of this name, unexpanded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.patterns.get(name).map(String::as_str)
    }

    /// Compiles a pattern that is written out.
    ///
    /// # Errors
    /// [`GrokError`], see its variants.
    pub fn compile(&self, pattern: &str) -> Result<Grok, GrokError> {
        let mut expansion = Expansion {
            library: self,
            text: String::new(),
            fields: Vec::new(),
            hidden: Vec::new(),
        };
        expansion.expand(pattern, 0)?;
        let Some(shared) = &self.shared else {
            return expansion.compile();
        };
        let key = expansion.key();
        if let Some(known) = shared.find(&key) {
            return Ok(known);
        }
        let grok = expansion.compile()?;
        shared.put(key, &grok);
        Ok(grok)
    }

    /// Compiles a pattern of the library.
    ///
    /// # Errors
    /// [`GrokError`], see its variants.
    pub fn compile_named(&self, name: &str) -> Result<Grok, GrokError> {
        let unknown = || GrokError::Unknown(name.to_owned());
        self.compile(self.get(name).ok_or_else(unknown)?)
    }
}

/// A compiled grok.
#[derive(Clone, Debug)]
pub struct Grok {
    regex: Regex,
    /// Field names and the groups that feed them.
    fields: Vec<(String, usize)>,
    /// The same pattern for a search in two passes, made when it is first searched;
    /// nothing where that cannot be.
    walk: Arc<OnceLock<Option<Walk>>>,
    /// Texts that every match has, in this order.
    rows: Arc<OnceLock<Box<[Finder<'static>]>>>,
}

/// What became of a search.
#[derive(Debug)]
pub(crate) enum Search<'t> {
    /// It does not match.
    No,
    /// It matches this text, which is the one that was searched, or what is readable of it.
    In(Cow<'t, [u8]>),
}

/// Room for a grok's matches, one per thread; what it learns of the pattern stays.
#[derive(Debug, Default)]
pub struct Room {
    ways: Ways,
    captures: Option<CaptureLocations>,
    /// Whether the last match was found in two passes.
    walked: bool,
    plain: bool,
}

impl Room {
    /// From now on only the engine of `regex` searches: what the other search is held
    /// against.
    pub fn search_plainly(&mut self) {
        self.plain = true;
    }
}

impl Grok {
    fn new(regex: Regex, kept: &[(String, String)]) -> Self {
        let group = |name: &str| regex.capture_names().position(|found| found == Some(name));
        let mut fields: Vec<(String, usize)> = Vec::new();
        for (field, name) in kept {
            let Some(at) = group(name) else { continue };
            match fields.iter_mut().find(|(known, _)| known == field) {
                Some(known) => known.1 = at,
                None => fields.push((field.clone(), at)),
            }
        }
        Self {
            regex,
            fields,
            walk: Arc::default(),
            rows: Arc::default(),
        }
    }

    /// The names of the fields that a match sets, each once.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Room for a match, to be reused.
    #[must_use]
    pub fn room(&self) -> Room {
        Room::default()
    }

    fn walk(&self) -> Option<&Walk> {
        let make = || {
            let (limit, nest) = (go_regex::MAX_PROGRAM, go_regex::MAX_NEST);
            let groups: Vec<usize> = self.fields.iter().map(|(_, group)| *group).collect();
            Walk::new(self.regex.as_str(), &groups, limit, nest)
        };
        self.walk.get_or_init(make).as_ref()
    }

    /// Whether the text has what every match has.
    fn may_match(&self, text: &[u8]) -> bool {
        let rows = self.rows.get_or_init(|| {
            let rows = regex_rows(self.regex.as_str(), go_regex::MAX_NEST);
            let finders = rows.iter().map(|row| Finder::new(row).into_owned());
            finders.collect()
        });
        let mut rest = text;
        for row in rows {
            let found = row.find(rest);
            let after = found.and_then(|at| rest.get(at + row.needle().len()..));
            match after {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }

    /// Matches `text`: calls `set` with each field's place in [`Grok::fields`] and its
    /// value, and answers whether it matched. `room` must be this grok's own.
    pub fn run(&self, text: &[u8], room: &mut Room, mut set: impl FnMut(usize, &[u8])) -> bool {
        let Search::In(text) = self.search(text, room) else {
            return false;
        };
        for (place, range) in self.ranges(room) {
            let value = range.and_then(|(start, end)| text.get(start..end));
            set(place, value.unwrap_or(b""));
        }
        true
    }

    /// Matches `text`; [`Grok::ranges`] then tells what was kept.
    pub(crate) fn search<'t>(&self, text: &'t [u8], room: &mut Room) -> Search<'t> {
        if self.fields.is_empty() || !(room.plain || self.may_match(text)) {
            return Search::No;
        }
        let text = if text.is_ascii() {
            Cow::Borrowed(text)
        } else {
            go_regex::readable(text)
        };
        let walk = self.walk().filter(|_| !room.plain);
        let walked = walk.and_then(|walk| room.ways.search(walk, &text));
        room.walked = walked.is_some();
        let matched = walked.unwrap_or_else(|| {
            let captures = &mut room.captures;
            let captures = captures.get_or_insert_with(|| self.regex.capture_locations());
            self.regex.captures_read(captures, &text).is_some()
        });
        if matched {
            Search::In(text)
        } else {
            Search::No
        }
    }

    /// Each field's place and where in the text its value lies, after a search that found
    /// something.
    pub(crate) fn ranges<'r>(
        &'r self,
        room: &'r Room,
    ) -> impl Iterator<Item = (usize, Option<(usize, usize)>)> + 'r {
        let fields = self.fields.iter().enumerate();
        fields.map(|(place, (_, group))| {
            let range = if room.walked {
                room.ways.group(place)
            } else {
                room.captures.as_ref().and_then(|found| found.get(*group))
            };
            (place, range)
        })
    }
}

struct Expansion<'l> {
    library: &'l Library,
    text: String,
    /// Field and group name, in the order of the groups.
    fields: Vec<(String, String)>,
    /// Fields of the references that are being expanded.
    hidden: Vec<String>,
}

/// A reference in a pattern: `%{name}` or `%{name:field}`.
struct Reference<'p> {
    before: &'p str,
    name: &'p str,
    field: Option<&'p str>,
    after: &'p str,
}

fn word(text: &str) -> usize {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.as_bytes()
        .iter()
        .take_while(|byte| is_word(byte))
        .count()
}

/// The first reference in `pattern` whose names are words.
fn reference(pattern: &str) -> Option<Reference<'_>> {
    for (at, _) in pattern.match_indices("%{") {
        let (before, rest) = pattern.split_at_checked(at)?;
        let rest = rest.strip_prefix("%{")?;
        let (name, rest) = rest.split_at_checked(word(rest))?;
        if name.is_empty() {
            continue;
        }
        if let Some(after) = rest.strip_prefix('}') {
            return Some(Reference {
                before,
                name,
                field: None,
                after,
            });
        }
        let Some(rest) = rest.strip_prefix(':') else {
            continue;
        };
        let (field, rest) = rest.split_at_checked(word(rest))?;
        if let (false, Some(after)) = (field.is_empty(), rest.strip_prefix('}')) {
            return Some(Reference {
                before,
                name,
                field: Some(field),
                after,
            });
        }
    }
    None
}

impl Expansion<'_> {
    fn expand(&mut self, pattern: &str, depth: usize) -> Result<(), GrokError> {
        let mut rest = pattern;
        while let Some(found) = reference(rest) {
            self.push(found.before)?;
            let inner = self.library.get(found.name);
            let inner = inner.ok_or_else(|| GrokError::Unknown(found.name.to_owned()))?;
            if depth >= MAX_DEPTH {
                return Err(GrokError::Deep(found.name.to_owned()));
            }
            let field = found
                .field
                .filter(|field| !self.hidden.iter().any(|known| known == field));
            match field {
                Some(field) => {
                    let group = format!("grok{}", self.fields.len());
                    self.push("(?P<")?;
                    self.push(&group)?;
                    self.push(">")?;
                    self.fields.push((field.to_owned(), group));
                    self.hidden.push(field.to_owned());
                    self.expand(inner, depth + 1)?;
                    self.hidden.pop();
                }
                None => {
                    self.push("(?:")?;
                    self.expand(inner, depth + 1)?;
                }
            }
            self.push(")")?;
            rest = found.after;
        }
        self.push(rest)
    }

    fn compile(&self) -> Result<Grok, GrokError> {
        let regex = go_regex::compile(self.text.as_bytes())?;
        Ok(Grok::new(regex, &self.fields))
    }

    /// What a compiled grok depends on, and nothing else.
    fn key(&self) -> String {
        let mut key = self.text.clone();
        for (field, group) in &self.fields {
            key.extend(["\0", field, "\0", group]);
        }
        key
    }

    fn push(&mut self, text: &str) -> Result<(), GrokError> {
        if self.text.len() + text.len() > MAX_EXPANDED {
            return Err(GrokError::Long);
        }
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
