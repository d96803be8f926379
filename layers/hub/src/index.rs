//! The hub's index: which items there are, in which versions, with which digests.
//!
//! **Refuses:** the whole index where one name or path in it is odd. Who publishes a path
//! such as `../../etc/cron.d/x` has no claim to be believed about the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::kind::{Id, Kind};

/// The largest index that is read, in bytes. The hub's had 3.7 MB in 2026.
pub const INDEX_BYTES: u64 = 32 << 20;
/// The most items.
pub const MOST_ITEMS: usize = 20_000;
/// The most versions of one item.
pub const MOST_VERSIONS: usize = 2_000;
/// The most items that one collection names.
pub const MOST_MEMBERS: usize = 2_000;
/// The longest name, path or version.
const LONGEST: usize = 256;
/// The most folders that a path goes through.
const DEEPEST: usize = 6;
/// The longest description that is kept, in characters.
const DESCRIPTION: usize = 300;

/// Why an index is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IndexError {
    /// It is no JSON of the hub's shape.
    #[error("it is not in the hub's format: {0}")]
    Format(String),
    /// It is larger than allowed.
    #[error("it has too many {what}: {limit} are allowed")]
    Bounds {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A name is none.
    #[error("the {kind} {name:?} has no proper name", kind = .kind.noun())]
    Name {
        /// Of which kind.
        kind: Kind,
        /// The name, cut short.
        name: String,
    },
    /// A path leads out of its folder, or is taken.
    #[error("{id} has the path {path:?}, {why}")]
    Path {
        /// Which item.
        id: Id,
        /// The path, cut short.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no digest for the version it is at.
    #[error("{id} is at version {version:?}, for which there is no SHA-256")]
    Digest {
        /// Which item.
        id: Id,
        /// The version, cut short.
        version: String,
    },
}

/// One version of an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Such as `0.4`.
    pub version: String,
    /// The SHA-256 of its file, lower-case hex.
    pub digest: String,
    /// Whether its author advises against it.
    pub deprecated: bool,
}

/// One item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its path below the hub.
    pub path: String,
    /// The version it is at.
    pub latest: Version,
    /// All versions, the oldest first as far as they can be ordered.
    pub versions: Vec<Version>,
    /// What it is about, for people.
    pub description: String,
    /// What a collection names.
    pub members: Vec<Id>,
}

impl Item {
    /// The newest version whose file has this digest.
    #[must_use]
    pub fn version_of(&self, digest: &str) -> Option<&Version> {
        if self.latest.digest == digest {
            return Some(&self.latest);
        }
        self.versions.iter().rev().find(|one| one.digest == digest)
    }
}

/// All items of a hub.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Index {
    items: BTreeMap<Id, Item>,
}

#[derive(Deserialize)]
struct RawVersion {
    digest: String,
    #[serde(default)]
    deprecated: bool,
}

#[derive(Deserialize)]
struct RawItem {
    path: String,
    version: String,
    versions: BTreeMap<String, RawVersion>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parsers: Option<Vec<String>>,
    #[serde(default)]
    scenarios: Option<Vec<String>>,
    #[serde(default)]
    postoverflows: Option<Vec<String>>,
    #[serde(default)]
    contexts: Option<Vec<String>>,
    #[serde(default)]
    collections: Option<Vec<String>>,
    #[serde(default, rename = "appsec-rules")]
    appsec_rules: Option<Vec<String>>,
    #[serde(default, rename = "appsec-configs")]
    appsec_configs: Option<Vec<String>>,
}

impl Index {
    /// Reads an index. Kinds that are not known are left out.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn read(bytes: &[u8]) -> Result<Self, IndexError> {
        let raw: BTreeMap<String, serde_json::Value> = match bytes.len() as u64 {
            0..=INDEX_BYTES => serde_json::from_slice(bytes).map_err(|error| format(&error))?,
            _ => {
                let limit = usize::try_from(INDEX_BYTES).unwrap_or(usize::MAX);
                return Err(IndexError::Bounds {
                    what: "bytes",
                    limit,
                });
            }
        };
        let mut items = BTreeMap::new();
        let mut paths = BTreeSet::new();
        for (folder, value) in raw {
            let Some(kind) = Kind::of_folder(&folder) else {
                continue;
            };
            let found: BTreeMap<String, RawItem> =
                serde_json::from_value(value).map_err(|error| format(&error))?;
            for (name, raw) in found {
                bound("items", items.len() + 1, MOST_ITEMS)?;
                let item = item(kind, &name, raw)?;
                let id = Id::new(kind, name);
                if !paths.insert(item.path.clone()) {
                    let path = short(&item.path);
                    let why = "which is another's, too";
                    return Err(IndexError::Path { id, path, why });
                }
                items.insert(id, item);
            }
        }
        Ok(Self { items })
    }

    /// One item.
    #[must_use]
    pub fn get(&self, id: &Id) -> Option<&Item> {
        self.items.get(id)
    }

    /// All items, by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &Item)> {
        self.items.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

fn format(error: &serde_json::Error) -> IndexError {
    IndexError::Format(short(&error.to_string()))
}

fn bound(what: &'static str, found: usize, limit: usize) -> Result<(), IndexError> {
    if found > limit {
        return Err(IndexError::Bounds { what, limit });
    }
    Ok(())
}

fn item(kind: Kind, name: &str, raw: RawItem) -> Result<Item, IndexError> {
    if !is_name(name) {
        let name = short(name);
        return Err(IndexError::Name { kind, name });
    }
    let id = Id::new(kind, name);
    if let Some(why) = wrong_path(kind, &raw.path) {
        let path = short(&raw.path);
        return Err(IndexError::Path { id, path, why });
    }
    bound("versions of an item", raw.versions.len(), MOST_VERSIONS)?;
    let members = members(&raw)?;
    let mut versions: Vec<Version> = raw
        .versions
        .into_iter()
        .filter(|(version, found)| is_version(version) && is_digest(&found.digest))
        .map(|(version, found)| Version {
            version,
            digest: found.digest,
            deprecated: found.deprecated,
        })
        .collect();
    versions.sort_by_key(|one| numbers(&one.version));
    let Some(latest) = versions
        .iter()
        .find(|one| one.version == raw.version)
        .cloned()
    else {
        let version = short(&raw.version);
        return Err(IndexError::Digest { id, version });
    };
    let description = raw.description.unwrap_or_default();
    Ok(Item {
        path: raw.path,
        latest,
        versions,
        description: description.chars().take(DESCRIPTION).collect(),
        members,
    })
}

fn members(raw: &RawItem) -> Result<Vec<Id>, IndexError> {
    let named = [
        (Kind::Collections, &raw.collections),
        (Kind::Parsers, &raw.parsers),
        (Kind::Scenarios, &raw.scenarios),
        (Kind::Postoverflows, &raw.postoverflows),
        (Kind::Contexts, &raw.contexts),
        (Kind::AppsecConfigs, &raw.appsec_configs),
        (Kind::AppsecRules, &raw.appsec_rules),
    ];
    let mut members = Vec::new();
    for (kind, names) in named {
        for name in names.iter().flatten() {
            bound("members of a collection", members.len() + 1, MOST_MEMBERS)?;
            if !is_name(name) {
                let name = short(name);
                return Err(IndexError::Name { kind, name });
            }
            members.push(Id::new(kind, name.as_str()));
        }
    }
    Ok(members)
}

/// What is wrong with an item's path, if anything is.
fn wrong_path(kind: Kind, path: &str) -> Option<&'static str> {
    if path.len() > LONGEST {
        return Some("which is too long");
    }
    let mut parts = path.split('/');
    if parts.next() != Some(kind.folder()) {
        return Some("which lies in another folder than its kind");
    }
    let rest: Vec<&str> = parts.collect();
    let plain = |part: &&str| {
        let first = part.bytes().next();
        first.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && part.bytes().all(is_plain)
    };
    if rest.is_empty() || rest.len() > DEEPEST || !rest.iter().all(plain) || path.contains("..") {
        return Some("which leads elsewhere or has odd characters");
    }
    if !path.ends_with(".yaml") && !path.ends_with(".yml") {
        return Some("which is no YAML file");
    }
    None
}

/// Whether a text can be an item's name: nothing that a terminal or a path could take for
/// something else.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| is_plain(byte) || byte == b'/';
    !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(plain)
        && !name.contains("..")
        && !name.starts_with(['/', '.', '-'])
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(is_plain)
}

fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(hex)
}

/// `0.10` after `0.9`.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split('.');
    parts.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "2b821a2cbcfdd7fdfd8ada95c00a4c6fdf8ce8a3efb55b1e3cd8eacc0ed418b6";

    fn index(folder: &str, name: &str, path: &str, version: &str, digest: &str) -> Vec<u8> {
        let item = serde_json::json!({
            "path": path, "version": version, "versions": { "0.1": { "digest": digest } },
        });
        serde_json::to_vec(&serde_json::json!({ folder: { name: item } })).unwrap()
    }

    #[test]
    fn an_index_is_believed_whole_or_not_at_all() {
        let path = "parsers/s01-parse/a/b.yaml";
        let long = format!("parsers/{}.yaml", "a".repeat(300));
        for (folder, name, path, version, digest, fits) in [
            ("parsers", "a/b", path, "0.1", DIGEST, true),
            ("parsers", "a/b", "parsers/b.yml", "0.1", DIGEST, true),
            ("tomorrows", "a b", "x", "0.9", "", true), // an unknown kind is nobody's
            // DENY
            ("parsers", "../b", path, "0.1", DIGEST, false),
            ("parsers", "", path, "0.1", DIGEST, false),
            ("parsers", "a\u{1b}[2J", path, "0.1", DIGEST, false),
            ("parsers", "-rf", path, "0.1", DIGEST, false),
            (
                "parsers",
                "a/b",
                "../../etc/cron.d/x.yaml",
                "0.1",
                DIGEST,
                false,
            ),
            (
                "parsers",
                "a/b",
                "parsers/../../x.yaml",
                "0.1",
                DIGEST,
                false,
            ),
            ("parsers", "a/b", "/parsers/a/b.yaml", "0.1", DIGEST, false),
            ("parsers", "a/b", "scenarios/a/b.yaml", "0.1", DIGEST, false),
            ("parsers", "a/b", "parsers", "0.1", DIGEST, false),
            ("parsers", "a/b", "parsers//b.yaml", "0.1", DIGEST, false),
            ("parsers", "a/b", "parsers/.b.yaml", "0.1", DIGEST, false),
            ("parsers", "a/b", "parsers/a/b\0.yaml", "0.1", DIGEST, false),
            ("parsers", "a/b", "parsers/a\\b.yaml", "0.1", DIGEST, false),
            (
                "parsers",
                "a/b",
                "parsers/%2e%2e/b.yaml",
                "0.1",
                DIGEST,
                false,
            ),
            ("parsers", "a/b", "parsers/a/b.sh", "0.1", DIGEST, false),
            (
                "parsers",
                "a/b",
                "parsers/a/a/a/a/a/a/a/b.yaml",
                "0.1",
                DIGEST,
                false,
            ),
            ("parsers", "a/b", &long, "0.1", DIGEST, false),
            ("parsers", "a/b", path, "0.2", DIGEST, false),
            ("parsers", "a/b", path, "0.1", "", false),
            ("parsers", "a/b", path, "0.1", &DIGEST.to_uppercase(), false),
        ] {
            let read = Index::read(&index(folder, name, path, version, digest));
            assert_eq!(
                read.is_ok(),
                fits,
                "{folder} {name:?} {path:?} {version}: {read:?}"
            );
        }
    }

    #[test]
    fn what_is_no_index_is_refused() {
        let deep = format!("{{\"parsers\":{}", "[".repeat(100_000));
        for bytes in ["", "null", "[]", "<html>", "{\"parsers\":[]}", &deep] {
            assert!(Index::read(bytes.as_bytes()).is_err(), "{:.40}", bytes);
        }
        let item = format!(
            r#"{{"path":"P","version":"0.1","versions":{{"0.1":{{"digest":"{DIGEST}"}}}}}}"#
        );
        let two = format!(
            r#"{{"parsers":{{"a/b":{0},"a/c":{0}}}}}"#,
            item.replace('P', "parsers/s/x.yaml")
        );
        assert!(matches!(
            Index::read(two.as_bytes()),
            Err(IndexError::Path { .. })
        ));
    }

    #[test]
    fn a_digest_names_its_newest_version() {
        let version = |version: &str, digest: &str| {
            (
                version.to_owned(),
                serde_json::json!({ "digest": digest.repeat(64) }),
            )
        };
        let versions: serde_json::Map<_, _> = [
            version("0.9", "a"),
            version("0.10", "b"),
            version("0.11", "a"),
        ]
        .into_iter()
        .collect();
        let text = serde_json::json!({ "scenarios": { "a/b": {
            "path": "scenarios/a/b.yaml", "version": "0.10", "versions": versions,
        } } });
        let index = Index::read(text.to_string().as_bytes()).unwrap();
        let item = index.get(&Id::new(Kind::Scenarios, "a/b")).unwrap();
        let order: Vec<_> = item
            .versions
            .iter()
            .map(|one| one.version.as_str())
            .collect();
        assert_eq!(order, ["0.9", "0.10", "0.11"]);
        assert_eq!(item.version_of(&"b".repeat(64)).unwrap().version, "0.10");
        assert_eq!(item.version_of(&"a".repeat(64)).unwrap().version, "0.11");
        assert_eq!(item.version_of(&"c".repeat(64)), None);
    }

    #[test]
    fn no_mutation_of_an_index_panics_or_leads_out() {
        let good = index(
            "parsers",
            "a/b",
            "parsers/s01-parse/a/b.yaml",
            "0.1",
            DIGEST,
        );
        let mut state = 1_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        let pieces: [&[u8]; 8] = [
            b"..", b"/", b"\\", b"\"", b"{", b"null", b"\xff", b"\\u0000",
        ];
        let mut read = 0;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random() % 3 {
                let at = random() % bytes.len();
                let end = (at + random() % 4).min(bytes.len());
                bytes.splice(at..end, pieces[random() % pieces.len()].iter().copied());
            }
            let Ok(index) = Index::read(&bytes) else {
                continue;
            };
            read += 1;
            for (id, item) in index.iter() {
                assert!(item.path.starts_with(id.kind.folder()) && !item.path.contains(".."));
                assert!(is_name(&id.name) && is_digest(&item.latest.digest));
            }
        }
        assert!(read > 0, "some mutations leave an index");
    }
}
