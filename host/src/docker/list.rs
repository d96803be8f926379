//! From Docker's list of containers to a [`Sight`], piece by piece. Pure.
//!
//! One container at a time is held, and of a container with a description longer than
//! [`ENTRY_BYTES`] nothing: whoever gives his a million labels hides his own and
//! nobody else's.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{
    Container, Endpoint, MOST_CONTAINERS, MOST_LABELS, MOST_PLACES, NAME_BYTES, PREFIX, Sight,
    VALUE_BYTES,
};

/// The labels that say to what a container belongs, the first that is there.
const PROJECTS: [&str; 2] = ["com.docker.compose.project", "com.docker.stack.namespace"];
/// The longest description of one container, in bytes.
pub const ENTRY_BYTES: usize = 1 << 20;
/// How many digits of an id are told, as `docker ps` shows it.
const ID_DIGITS: usize = 12;

/// Docker's words; what is not named here is passed over unread.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    state: String,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
    #[serde(default)]
    host_config: Option<HostConfig>,
    #[serde(default)]
    network_settings: Option<NetworkSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    #[serde(default)]
    private_port: u16,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    network_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: Option<BTreeMap<String, Option<Seat>>>,
}

#[derive(Deserialize)]
struct Seat {
    #[serde(default, rename = "NetworkID")]
    network: String,
    #[serde(default, rename = "IPAddress")]
    v4: String,
    #[serde(default, rename = "GlobalIPv6Address")]
    v6: String,
}

/// What of a container's labels is kept.
#[derive(Default)]
struct Labels {
    ours: BTreeMap<String, String>,
    /// Whether any is ours, kept or not.
    any: bool,
    cut: bool,
    projects: [Option<String>; PROJECTS.len()],
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keeper)
    }
}

struct Keeper;

impl<'de> Visitor<'de> for Keeper {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Labels, M::Error> {
        let mut labels = Labels::default();
        while let Some(key) = map.next_key::<String>()? {
            if let Some(name) = key.strip_prefix(PREFIX) {
                labels.keep(name, map.next_value()?);
            } else if let Some(at) = PROJECTS.iter().position(|project| *project == key) {
                let name: String = map.next_value()?;
                if let Some(place) = labels.projects.get_mut(at) {
                    *place = (!name.is_empty()).then(|| short(&name, NAME_BYTES));
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(labels)
    }
}

impl Labels {
    fn keep(&mut self, name: &str, value: String) {
        self.any = true;
        let fits = name.len() <= NAME_BYTES && value.len() <= VALUE_BYTES;
        if fits && self.ours.len() < MOST_LABELS {
            self.ours.insert(name.to_owned(), value);
        } else {
            self.cut = true;
        }
    }
}

/// Why an answer is no list.
#[derive(Debug, thiserror::Error)]
pub enum Odd {
    /// It is not an array of objects.
    #[error("it is not a list, or it broke off")]
    Shape,
    /// A container is not described as Docker documents it.
    #[error("{0}")]
    Entry(#[from] serde_json::Error),
}

/// The answer to `GET /containers/json?all=true`, as it comes in.
#[derive(Debug, Default)]
pub struct Reading {
    at: Place,
    entry: Vec<u8>,
    found: Sight,
}

/// Where in the answer the next byte is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    #[default]
    Before,
    /// Before a container; whether a comma may not come any more.
    Between {
        first: bool,
    },
    /// After a container.
    Behind,
    /// In a container, so deep, perhaps in a text, perhaps after a backslash there.
    Inside {
        depth: usize,
        text: bool,
        escaped: bool,
    },
    After,
}

impl Reading {
    /// Takes the next piece.
    ///
    /// # Errors
    /// When it is not the list that Docker documents.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), Odd> {
        for byte in piece {
            self.step(*byte)?;
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), Odd> {
        self.at = match (self.at, byte) {
            (
                Place::Inside {
                    depth,
                    text,
                    escaped,
                },
                _,
            ) => {
                // One more than fits is kept, to know that it does not.
                if self.entry.len() <= ENTRY_BYTES {
                    self.entry.push(byte);
                }
                let next = inside(depth, text, escaped, byte);
                if next == Place::Behind {
                    self.close()?;
                }
                next
            }
            (same, b' ' | b'\t' | b'\r' | b'\n') => same,
            (Place::Before, b'[') => Place::Between { first: true },
            (Place::Between { .. }, b'{') => {
                self.entry.push(byte);
                inside(0, false, false, byte)
            }
            (Place::Behind, b',') => Place::Between { first: false },
            (Place::Behind | Place::Between { first: true }, b']') => Place::After,
            _ => return Err(Odd::Shape),
        };
        Ok(())
    }

    /// A container is there as a whole.
    fn close(&mut self) -> Result<(), Odd> {
        let entry = std::mem::take(&mut self.entry);
        if entry.len() > ENTRY_BYTES {
            self.found.oversized += 1;
            return Ok(());
        }
        if let Some(container) = container(serde_json::from_slice(&entry)?) {
            self.found.containers.push(container);
        }
        if self.found.containers.len() >= 2 * MOST_CONTAINERS {
            self.oldest();
        }
        Ok(())
    }

    /// The oldest first, so that a flood of new ones pushes nobody out.
    fn oldest(&mut self) {
        let all = &mut self.found.containers;
        all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        self.found.left_out += all.len().saturating_sub(MOST_CONTAINERS);
        all.truncate(MOST_CONTAINERS);
    }

    /// The list, once all of it was taken.
    ///
    /// # Errors
    /// When it is not over.
    pub fn end(mut self) -> Result<Sight, Odd> {
        if self.at != Place::After {
            return Err(Odd::Shape);
        }
        self.oldest();
        Ok(self.found)
    }
}

/// Where a byte of a container leads.
const fn inside(depth: usize, text: bool, escaped: bool, byte: u8) -> Place {
    let (depth, text, escaped) = match (text, byte) {
        (true, _) if escaped => (depth, true, false),
        (true, b'\\') => (depth, true, true),
        (_, b'"') => (depth, !text, false),
        (false, b'{' | b'[') => (depth.saturating_add(1), false, false),
        (false, b'}' | b']') => (depth.saturating_sub(1), false, false),
        _ => (depth, text, false),
    };
    if depth == 0 {
        return Place::Behind;
    }
    Place::Inside {
        depth,
        text,
        escaped,
    }
}

/// `None` for a container without a label of ours.
fn container(entry: Entry) -> Option<Container> {
    let labels = entry.labels.filter(|labels| labels.any)?;
    let name = entry.names.unwrap_or_default().into_iter().next();
    let mode = entry.host_config.map(|config| config.network_mode);
    Some(Container {
        id: short(&entry.id, ID_DIGITS),
        name: short(name.unwrap_or_default().trim_start_matches('/'), NAME_BYTES),
        project: labels.projects.into_iter().flatten().next(),
        created: entry.created,
        running: entry.state == "running",
        host_network: mode.as_deref() == Some("host"),
        cut: labels.cut,
        labels: labels.ours,
        networks: networks(entry.network_settings),
        ports: ports(entry.ports.unwrap_or_default()),
    })
}

fn networks(settings: Option<NetworkSettings>) -> BTreeMap<String, Endpoint> {
    let all = settings.and_then(|settings| settings.networks);
    all.unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| name.len() <= NAME_BYTES)
        .filter_map(|(name, place)| {
            let endpoint = endpoint(&name, &place?)?;
            Some((name, endpoint))
        })
        .take(MOST_PLACES)
        .collect()
}

fn endpoint(name: &str, place: &Seat) -> Option<Endpoint> {
    let both = [&place.v4, &place.v6];
    Some(Endpoint {
        address: both.into_iter().find_map(|text| text.parse().ok())?,
        // The one network whose name nobody else can have.
        bridge: if name == "bridge" {
            "docker0".to_owned()
        } else {
            format!("br-{}", short(&place.network, ID_DIGITS))
        },
    })
}

fn ports(all: Vec<Port>) -> Vec<u16> {
    let tcp = all.into_iter().filter(|port| port.r#type == "tcp");
    let mut ports: Vec<u16> = tcp.map(|port| port.private_port).collect();
    // An image may say that it exposes port 0, and nobody listens there.
    ports.retain(|port| *port > 0);
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(MOST_PLACES);
    ports
}

/// The text up to that many bytes, at a boundary of characters.
fn short(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// In pieces of all lengths.
    fn read(answer: &[u8]) -> Result<Sight, Odd> {
        let mut reading = Reading::default();
        let (mut left, mut length) = (answer, 0);
        while !left.is_empty() {
            length = length % 97 + 1;
            let (piece, rest) = left.split_at(length.min(left.len()));
            reading.take(piece)?;
            left = rest;
        }
        reading.end()
    }

    fn sight(list: &serde_json::Value) -> Sight {
        read(list.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_container_is_told_by_what_our_labels_need_and_no_more() {
        let list = json!([
            {
                "Id": "9636c8eb72b0430a6cf58eaf692658e75077c660cd8e3df5c4e31a6e27e52f9d",
                "Names": ["/shop-web-1"], "Image": "web", "Command": "httpd --token=secret",
                "Created": 1_795_372_809, "State": "running", "Status": "Up 1 second",
                "Ports": [
                    { "PrivatePort": 8080, "Type": "tcp" },
                    { "IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 80, "Type": "tcp" },
                    { "PrivatePort": 443, "Type": "udp" },
                    { "PrivatePort": 0, "Type": "tcp" },
                ],
                "Labels": {
                    "ringwall.host": "shop.example.org", "org.secret": "secret",
                    "com.docker.compose.project": "shop",
                },
                "HostConfig": { "NetworkMode": "shop_default" },
                "NetworkSettings": { "Networks": {
                    "shop_default": {
                        "NetworkID": "ee6ec37e355ca8b720998c08d66ed41bad9695e1dbfc45f0ede5a4ec60e65008",
                        "IPAddress": "203.0.113.2", "GlobalIPv6Address": "2001:db8::2",
                    },
                    "bridge": { "NetworkID": "3ee4e014860b74f0", "IPAddress": "203.0.113.9" },
                    "shop_six": { "IPAddress": "", "GlobalIPv6Address": "2001:db8::3" },
                    "shop_gone": { "IPAddress": "" },
                } },
                "Mounts": [{ "Source": "/secret" }],
            },
            { "Id": "f00d", "Labels": null, "Names": null, "Ports": null },
            { "Id": "cafe", "Labels": { "traefik.enable": "true" } },
        ]);
        let sight = sight(&list);
        let told = serde_json::to_value(&sight).unwrap();
        let expected = json!({
            "containers": [{
                "id": "9636c8eb72b0", "name": "shop-web-1", "project": "shop",
                "created": 1_795_372_809, "running": true, "host_network": false,
                "labels": { "host": "shop.example.org" }, "cut": false,
                "networks": {
                    "shop_default": { "address": "203.0.113.2", "bridge": "br-ee6ec37e355c" },
                    "bridge": { "address": "203.0.113.9", "bridge": "docker0" },
                    "shop_six": { "address": "2001:db8::3", "bridge": "br-" },
                },
                "ports": [8080],
            }],
            "left_out": 0, "oversized": 0,
        });
        assert_eq!(told, expected);
        assert!(!told.to_string().contains("secret"), "DENY: {told}");
    }

    #[test]
    fn what_is_too_much_is_left_out_and_said() {
        let labels: BTreeMap<String, String> = (0..40)
            .map(|number| (format!("ringwall.x{number}"), "1".to_owned()))
            .collect();
        let long = "v".repeat(VALUE_BYTES + 1);
        let flood: Vec<_> = (0..MOST_CONTAINERS + 3)
            .map(|number| {
                json!({ "Id": format!("{number:04}"), "Created": 9_000 - number, "State": "paused",
                    "Labels": { "ringwall.host": "a.example.org" } })
            })
            .chain([
                json!({ "Id": "many", "Created": 1, "State": "running", "Labels": labels }),
                json!({ "Id": "long", "Created": 2, "State": "running",
                    "Labels": { "ringwall.host": long, "ringwall.port": "80" } }),
            ])
            .collect();
        let sight = sight(&json!(flood));
        assert_eq!(
            (sight.containers.len(), sight.left_out),
            (MOST_CONTAINERS, 5)
        );
        let [many, long, first, ..] = sight.containers.as_slice() else {
            panic!("too few");
        };
        // DENY: younger ones push nobody out, and a cut label is none
        assert_eq!((many.id.as_str(), many.labels.len()), ("many", MOST_LABELS));
        assert!(many.cut && long.cut && !first.cut);
        assert_eq!(long.labels.keys().collect::<Vec<_>>(), ["port"]);
        assert!(!first.running, "DENY: a paused container does not run");
        assert!(serde_json::to_vec(&sight).unwrap().len() < super::super::FRAME_BYTES);
    }

    #[test]
    fn a_container_with_a_flood_of_labels_hides_nobody_else() {
        let one = |id: &str, labels: serde_json::Value| json!({ "Id": id, "State": "running", "Labels": labels });
        let host = |more: (String, String)| {
            let mut labels = BTreeMap::from([more]);
            labels.insert("ringwall.host".to_owned(), "a.example.org".to_owned());
            json!(labels)
        };
        let note = |value: String| ("note".to_owned(), value);
        let odd = "]}\"{[\\".repeat(10); // neither ends anything within a text
        let many: BTreeMap<String, String> = (0..100_000)
            .map(|number| (format!("x{number}"), String::new()))
            .chain([("ringwall.host".to_owned(), "a.example.org".to_owned())])
            .collect();
        let list = json!([
            one("flood", host(note("v".repeat(ENTRY_BYTES)))),
            one("deep", host(note(odd))),
            one("none", json!(null)),
            one(
                "long key",
                host(("k".repeat(2 * ENTRY_BYTES), String::new()))
            ),
            one("many", json!(many)),
        ]);
        for text in [
            list.to_string(),
            serde_json::to_string_pretty(&list).unwrap(),
        ] {
            let sight = read(text.as_bytes()).unwrap();
            let ids: Vec<_> = sight.containers.iter().map(|one| one.id.as_str()).collect();
            // DENY: only those that are too long themselves are missing
            assert!(ids.contains(&"deep"), "DENY: {ids:?}");
            assert_eq!(ids.len() + sight.oversized, 4, "{ids:?}");
            assert!((2..=3).contains(&sight.oversized), "{}", sight.oversized);
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "[,{\"Id\":\"a\"}]",
            "[{\"Id\":\"a\"},]",
            "[{\"Id\":\"a\"}{\"Id\":\"a\"}]",
            "[{\"Id\":\"a\"}",
            "[{\"Id\":\"a\"]]",
            "[{\"Id\":\"a\"}]]",
            "[\"{\"]",
            "[[{\"Id\":\"a\"}]]",
            "",
            "{}",
            "{\"message\":\"no\"}",
            "[1]",
            "[{\"Id\":1}]",
            "[{}]",
            "[",
            "null",
        ] {
            assert!(read(text.as_bytes()).is_err(), "DENY: {text}");
        }
    }
}
