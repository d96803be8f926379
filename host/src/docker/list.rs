//! From Docker's list of containers to a [`Sight`]. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Container, Endpoint, MOST_CONTAINERS, MOST_LABELS, MOST_PLACES, NAME_BYTES, PREFIX, Sight,
    VALUE_BYTES,
};

/// The labels that say to what a container belongs, the first that is there.
const PROJECTS: [&str; 2] = ["com.docker.compose.project", "com.docker.stack.namespace"];
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
    labels: Option<BTreeMap<String, String>>,
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
    networks: Option<BTreeMap<String, Option<Place>>>,
}

#[derive(Deserialize)]
struct Place {
    #[serde(default, rename = "NetworkID")]
    network: String,
    #[serde(default, rename = "IPAddress")]
    v4: String,
    #[serde(default, rename = "GlobalIPv6Address")]
    v6: String,
}

/// Reads the answer to `GET /containers/json?all=true`.
///
/// # Errors
/// When it is not the list that Docker documents.
pub fn read(answer: &[u8]) -> Result<Sight, serde_json::Error> {
    let entries: Vec<Entry> = serde_json::from_slice(answer)?;
    let mut containers: Vec<Container> = entries.into_iter().filter_map(container).collect();
    // The oldest first, so that a flood of new ones pushes nobody out.
    containers.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    let left_out = containers.len().saturating_sub(MOST_CONTAINERS);
    containers.truncate(MOST_CONTAINERS);
    Ok(Sight {
        containers,
        left_out,
    })
}

/// `None` for a container without a label of ours.
fn container(entry: Entry) -> Option<Container> {
    let all = entry.labels.unwrap_or_default();
    let project = PROJECTS
        .iter()
        .find_map(|label| all.get(*label))
        .filter(|name| !name.is_empty())
        .map(|name| short(name, NAME_BYTES));
    let ours: Vec<_> = all
        .into_iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?.to_owned(), value)))
        .collect();
    if ours.is_empty() {
        return None;
    }
    let found = ours.len();
    let labels: BTreeMap<_, _> = ours
        .into_iter()
        .filter(|(key, value)| key.len() <= NAME_BYTES && value.len() <= VALUE_BYTES)
        .take(MOST_LABELS)
        .collect();
    let name = entry.names.unwrap_or_default().into_iter().next();
    let mode = entry.host_config.map(|config| config.network_mode);
    Some(Container {
        id: short(&entry.id, ID_DIGITS),
        name: short(name.unwrap_or_default().trim_start_matches('/'), NAME_BYTES),
        project,
        created: entry.created,
        running: entry.state == "running",
        host_network: mode.as_deref() == Some("host"),
        cut: labels.len() < found,
        labels,
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

fn endpoint(name: &str, place: &Place) -> Option<Endpoint> {
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
            "left_out": 0,
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
    fn what_is_no_list_is_refused() {
        for text in [
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
