//! The hub's rule files, found by name or path.

use std::collections::BTreeMap;

use detect::rules::Found;

/// What a rule file holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Nodes that make events of lines.
    Parser,
    /// Buckets.
    Scenario,
    /// Nodes that look at overflows.
    Postoverflow,
}

impl Kind {
    /// The folder of the hub in which such files lie.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Parser => "parsers",
            Self::Scenario => "scenarios",
            Self::Postoverflow => "postoverflows",
        }
    }

    fn of(folder: &str) -> Option<Self> {
        [Self::Parser, Self::Scenario, Self::Postoverflow]
            .into_iter()
            .find(|kind| kind.folder() == folder)
    }

    /// How many folders lie between the kind's and the author's.
    const fn stages(self) -> usize {
        match self {
            Self::Scenario => 0,
            Self::Parser | Self::Postoverflow => 1,
        }
    }
}

/// Rule files by name and by path.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    by_path: BTreeMap<String, Found>,
    by_name: BTreeMap<(Kind, String), String>,
}

impl Shelf {
    /// The rule files of a hub; whatever else is among them is left out.
    #[must_use]
    pub fn new(files: &[Found]) -> Self {
        let mut shelf = Self::default();
        for found in files {
            if let Some((kind, name)) = name_of(&found.path) {
                shelf.by_name.insert((kind, name), found.path.clone());
                shelf.by_path.insert(found.path.clone(), found.clone());
            }
        }
        shelf
    }

    /// The file that a case names, by name or by path.
    #[must_use]
    pub fn find(&self, kind: Kind, item: &str) -> Option<&Found> {
        let path = match self.by_name.get(&(kind, item.to_owned())) {
            Some(path) => path.as_str(),
            None => relative(item)?,
        };
        self.by_path
            .get(path)
            .filter(|_| path.starts_with(kind.folder()))
    }

    /// The name that comes closest, for whoever mistyped one.
    #[must_use]
    pub fn suggest(&self, kind: Kind, item: &str) -> Option<&str> {
        let known = self.by_name.keys().filter(|(found, _)| *found == kind);
        closest(item, known.map(|(_, name)| name.as_str()))
    }
}

/// A path as the hub writes it, below the hub's root: `./parsers/…`, `/parsers/…`.
/// `None` when it leaves the hub, or is no path of a rule file.
#[must_use]
pub fn relative(item: &str) -> Option<&str> {
    let path = item.strip_prefix("./").unwrap_or(item);
    let path = path.strip_prefix('/').unwrap_or(path);
    let yaml = path.ends_with(".yaml") || path.ends_with(".yml");
    let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (yaml && inside).then_some(path)
}

/// A case's own rule file as the hub's layout names it: `./.tests/x/parsers/…` is
/// `parsers/…` of the case `x`. Answers the path below the folder of tests, and the one in
/// the layout.
#[must_use]
pub fn own_file(kind: Kind, item: &str) -> Option<(&str, String)> {
    let path = relative(item)?.strip_prefix(".tests/")?;
    let folder = format!("/{}/", kind.folder());
    let (_, rest) = path.split_once(folder.as_str())?;
    Some((path, format!("{}/{rest}", kind.folder())))
}

fn name_of(path: &str) -> Option<(Kind, String)> {
    let stem = path
        .strip_suffix(".yaml")
        .or_else(|| path.strip_suffix(".yml"))?;
    let mut parts = stem.split('/');
    let kind = Kind::of(parts.next()?)?;
    for _ in 0..kind.stages() {
        parts.next()?;
    }
    let rest: Vec<&str> = parts.collect();
    (!rest.is_empty()).then(|| (kind, rest.join("/")))
}

/// The candidate that is typed with the fewest changes, if they are few.
#[must_use]
pub fn closest<'c>(typed: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = typed.chars().count() / 4 + 1;
    let typed: Vec<char> = typed.chars().take(128).collect();
    candidates
        .map(|candidate| (distance(&typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed or replaced.
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (at, letter) in to.chars().take(128).enumerate() {
        let mut corner = at;
        let mut left = at + 1;
        for (known, cell) in from.iter().zip(row.iter_mut().skip(1)) {
            let replaced = corner + usize::from(*known != letter);
            corner = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn shelf() -> Shelf {
        let found = |path: &str| Found {
            file: path.to_owned(),
            path: path.to_owned(),
            bytes: Arc::from(&b""[..]),
        };
        Shelf::new(&[
            found("parsers/s01-parse/a/nginx-logs.yaml"),
            found("parsers/s01-parse/a/openvpn.yml"),
            found("scenarios/a/nginx-logs.yaml"),
            found("collections/a/nginx.yaml"),
        ])
    }

    #[test]
    fn items_are_found_by_name_and_by_path_within_their_kind() {
        let shelf = shelf();
        let found = |kind, item| shelf.find(kind, item).map(|found| found.path.as_str());
        let parser = Some("parsers/s01-parse/a/nginx-logs.yaml");
        assert_eq!(found(Kind::Parser, "a/nginx-logs"), parser);
        assert_eq!(
            found(Kind::Parser, "./parsers/s01-parse/a/nginx-logs.yaml"),
            parser
        );
        assert_eq!(
            found(Kind::Parser, "parsers/s01-parse/a/openvpn.yml"),
            Some("parsers/s01-parse/a/openvpn.yml")
        );
        assert_eq!(
            found(Kind::Scenario, "/scenarios/a/nginx-logs.yaml"),
            Some("scenarios/a/nginx-logs.yaml")
        );
        // DENY
        assert_eq!(
            found(Kind::Scenario, "./parsers/s01-parse/a/nginx-logs.yaml"),
            None
        );
        assert_eq!(found(Kind::Parser, "a/nginx"), None);
        assert_eq!(found(Kind::Postoverflow, "a/nginx-logs"), None);
        assert_eq!(
            shelf.suggest(Kind::Parser, "a/ngixn-logs"),
            Some("a/nginx-logs")
        );
        assert_eq!(shelf.suggest(Kind::Parser, "something/else"), None);
    }

    #[test]
    fn no_path_leaves_the_hub() {
        for item in [
            "../x.yaml",
            "./a/../../x.yaml",
            "//x.yaml",
            "a//b.yaml",
            "/etc/passwd",
            "",
        ] {
            assert_eq!(relative(item), None, "DENY {item}");
            assert_eq!(own_file(Kind::Parser, item), None, "DENY {item}");
        }
        assert_eq!(own_file(Kind::Parser, "./.tests/x/../parsers/a.yaml"), None);
        assert_eq!(
            own_file(Kind::Parser, "./.tests/x/parsers/s02-enrich/a/b.yaml"),
            Some((
                "x/parsers/s02-enrich/a/b.yaml",
                "parsers/s02-enrich/a/b.yaml".to_owned()
            ))
        );
    }

    #[test]
    fn the_closest_name_is_found() {
        let names = ["ssh-bf", "sshd-logs", "nginx"];
        assert_eq!(closest("ssh-fb", names.into_iter()), Some("ssh-bf"));
        assert_eq!(closest("sshd-log", names.into_iter()), Some("sshd-logs"));
        assert_eq!(closest("zzzzzz", names.into_iter()), None);
        assert_eq!(closest("nginx-logs", ["bind9-logs"].into_iter()), None);
        assert_eq!(distance(&['a', 'b'], ""), 2);
        assert_eq!(distance(&[], "abc"), 3);
    }
}
