//! Which room may depend on which: rings don't know each other, pure rooms touch no
//! outside world, and only `app` knows them all.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata};

/// Rooms that take bytes, values and the time, and return a value.
const PURE: &[&str] = &[
    "base/vocab",
    "base/expr",
    "base/book",
    "layers/wire",
    "layers/gate",
    "layers/detect",
    "layers/hubtest",
    "layers/respond",
    "layers/network",
    "layers/container",
    "services/dnsfilter",
];

/// What a pure room may not reach, not even through others.
const OUTSIDE: &[&str] = &[
    "tokio",
    "mio",
    "async-io",
    "rustls",
    "rusqlite",
    "socket2",
    "hyper",
    "nix",
    "rustix",
    "getrandom",
    "rand",
    "tempfile",
    "tracing-subscriber",
];

/// A rim and the cores of its own ring.
const OWN_CORES: &[(&str, &[&str])] = &[
    ("layers/edge", &["layers/wire", "layers/gate"]),
    ("layers/hubtest", &["layers/detect"]),
    ("layers/acquire", &["layers/detect"]),
    ("layers/lapi", &["layers/respond"]),
    ("services/dns", &["services/dnsfilter"]),
];

/// The packages and what they depend on, by folder or by name.
#[derive(Debug, Default)]
pub(super) struct House {
    /// For each of our rooms, the rooms it names, for any purpose.
    rooms: BTreeMap<String, BTreeSet<String>>,
    /// For each room or foreign package, what it is built with.
    built_with: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    /// Reads the graph out of `cargo metadata`.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let mut folders = BTreeMap::new();
        for package in metadata.workspace_packages() {
            let folder = package.manifest_path.parent();
            let within = folder.and_then(|at| at.strip_prefix(&metadata.workspace_root).ok());
            folders.insert(
                package.id.clone(),
                within.map_or_else(String::new, ToString::to_string),
            );
        }
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (package.id.clone(), package.name.to_string()))
            .collect();
        let name = |id| {
            folders
                .get(id)
                .or_else(|| names.get(id))
                .cloned()
                .unwrap_or_default()
        };
        let mut house = Self::default();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let from = name(&node.id);
            let built_with = house.built_with.entry(from.clone()).or_default();
            for edge in &node.deps {
                let to = name(&edge.pkg);
                if folders.contains_key(&node.id) && folders.contains_key(&edge.pkg) {
                    house
                        .rooms
                        .entry(from.clone())
                        .or_default()
                        .insert(to.clone());
                }
                // Test tools stay out of the product, and build tools run before it.
                let part = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Normal;
                if edge.dep_kinds.iter().any(part) {
                    built_with.insert(to);
                }
            }
        }
        house
    }

    /// The way from a package to one of the forbidden ones, if there is any.
    fn way(&self, from: &str, forbidden: &[&str]) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            let last = way.last()?;
            for next in self.built_with.get(last).into_iter().flatten() {
                if !seen.insert(next.clone()) {
                    continue;
                }
                let mut longer = way.clone();
                longer.push(next.clone());
                if forbidden.contains(&next.as_str()) {
                    return Some(longer);
                }
                ways.push(longer);
            }
        }
        None
    }
}

/// Everything that is forbidden and there.
pub(super) fn check(house: &House) -> Vec<String> {
    let mut found = Vec::new();
    for (from, all) in &house.rooms {
        for to in all {
            if let Some(why) = forbidden(from, to) {
                found.push(format!("{from} depends on {to}: {why}."));
            }
        }
    }
    for room in PURE {
        if let Some(way) = house.way(room, OUTSIDE) {
            let way = way.join(" -> ");
            found.push(format!("{room} is pure and reaches the outside: {way}."));
        }
    }
    found
}

/// Why one room may not depend on another, if it may not.
fn forbidden(from: &str, to: &str) -> Option<&'static str> {
    let kind = |room: &str| {
        room.split('/')
            .next()
            .map(str::to_owned)
            .unwrap_or_default()
    };
    if to == "host-sys" && from != "host" {
        return Some("unsafe code is behind host, and only host may use it");
    }
    match (kind(from).as_str(), kind(to).as_str()) {
        (_, "xtask" | "bin") => Some("nothing depends on a program"),
        ("xtask", _) => Some("the developer's commands know nothing of the product"),
        ("bin", "app" | "base") => None,
        ("bin", _) => Some("the binary hands over to app and knows no ring"),
        (_, "app") => Some("only the binary knows app"),
        ("app", _) | (_, "base") => None,
        ("base", _) => Some("base knows no ring"),
        ("host-sys", _) => Some("it knows nothing of the house"),
        ("host", "host-sys") => None,
        ("host", _) => Some("it trusts nobody and knows no ring"),
        _ if OWN_CORES
            .iter()
            .any(|(rim, cores)| *rim == from && cores.contains(&to)) =>
        {
            None
        }
        _ => Some("rings don't know each other; share it in base, or join them in app"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_may_depend_as_the_design_says_and_not_otherwise() {
        for (from, to) in [
            ("bin/ringwall", "app"),
            ("bin/ringwall", "base/config"),
            ("app", "layers/detect"),
            ("app", "host"),
            ("app", "base/book"),
            ("layers/edge", "layers/wire"),
            ("layers/edge", "layers/gate"),
            ("layers/hubtest", "layers/detect"),
            ("layers/edge", "base/supervise"),
            ("layers/gate", "base/book"),
            ("base/store", "base/book"),
            ("host", "host-sys"),
            ("host", "base/vocab"),
        ] {
            assert_eq!(forbidden(from, to), None, "{from} -> {to}");
        }
        // DENY
        for (from, to) in [
            ("layers/edge", "layers/detect"),
            ("layers/detect", "layers/edge"),
            ("layers/detect", "layers/hubtest"),
            ("layers/hubtest", "layers/gate"),
            ("layers/gate", "layers/wire"),
            ("layers/respond", "layers/detect"),
            ("layers/edge", "app"),
            ("layers/edge", "host"),
            ("base/store", "layers/detect"),
            ("base/config", "app"),
            ("base/config", "host"),
            ("host", "layers/edge"),
            ("host", "app"),
            ("host-sys", "host"),
            ("app", "host-sys"),
            ("app", "bin/ringwall"),
            ("bin/ringwall", "layers/edge"),
            ("bin/ringwall", "host"),
            ("xtask", "base/config"),
            ("base/config", "xtask"),
        ] {
            assert!(forbidden(from, to).is_some(), "DENY {from} -> {to}");
        }
    }

    #[test]
    fn a_pure_room_is_caught_reaching_the_outside_through_others() {
        let mut house = House::default();
        let mut edge = |from: &str, to: &str| {
            let entry = house.built_with.entry(from.to_owned()).or_default();
            entry.insert(to.to_owned());
        };
        edge("layers/wire", "memchr");
        edge("layers/gate", "handy");
        edge("handy", "handier");
        edge("handier", "handy");
        edge("handier", "tokio");
        assert_eq!(
            check(&house),
            [
                "layers/gate is pure and reaches the outside: layers/gate -> handy -> handier -> tokio."
            ]
        );
    }
}
