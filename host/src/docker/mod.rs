//! What containers' labels say, told as typed and bounded values.
//!
//! For: a stream of [`Frame`]s, each a whole list of the containers that carry a
//! label beginning with `ringwall.`, sent when something changed.
//! Refuses: to be asked anything. Whoever reads the stream holds the end of a pipe
//! and has no way to Docker's socket, which is as good as root. Of a container
//! nothing is told but its name, project, addresses, exposed ports and our labels:
//! no environment, no command, no mounts.
//! Assumes: labels were written by somebody who may be an enemy of the other
//! containers; every count and length is bounded, the oldest containers go first.
//! On failure: [`Frame::Lost`] says why, and the list is asked for again, later and
//! later up to [`LONGEST_REST`](watch::LONGEST_REST). What was told before stands.
//!
//! | module | for |
//! |---|---|
//! | `call` | one GET over the socket, and no other method |
//! | [`list`] | pure: Docker's list of containers → [`Sight`] |
//! | [`watch`] | the thread that lists, waits for events and lists again |

mod call;
pub mod list;
pub mod watch;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use watch::{Stream, Watch, watch};

/// The most containers in a list; the oldest stay.
pub const MOST_CONTAINERS: usize = 512;
/// The most of our labels on one container.
pub const MOST_LABELS: usize = 16;
/// The longest name of a label, a container, a project or a network, in bytes.
pub const NAME_BYTES: usize = 128;
/// The longest value of a label, in bytes.
pub const VALUE_BYTES: usize = 1_024;
/// The most networks and ports told of one container.
pub const MOST_PLACES: usize = 32;
/// The longest frame with its line feed, in bytes: what the bounds above allow.
pub const FRAME_BYTES: usize = 64 << 20;
/// What our labels begin with.
pub const PREFIX: &str = "ringwall.";

/// Where Docker answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DockerRule {
    /// The socket's path, as the configuration has it.
    pub socket: PathBuf,
}

/// One line of the stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Frame {
    /// The whole list as it is now.
    Sight(Sight),
    /// Docker does not answer; what was told before is all that is known.
    Lost {
        /// Why, as a clause.
        why: String,
    },
}

/// The containers that carry labels of ours, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sight {
    /// The containers.
    pub containers: Vec<Container>,
    /// How many more there are than [`MOST_CONTAINERS`].
    pub left_out: usize,
    /// How many were not read for a description longer than
    /// [`ENTRY_BYTES`](list::ENTRY_BYTES), with labels of ours or without.
    pub oversized: usize,
}

/// One container.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The first twelve digits of its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The Compose project or Swarm stack it belongs to.
    pub project: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Whether it runs and is not paused.
    pub running: bool,
    /// Whether it uses the host's own network.
    pub host_network: bool,
    /// Our labels, without [`PREFIX`].
    pub labels: BTreeMap<String, String>,
    /// Whether labels of ours were left out for their number or length.
    pub cut: bool,
    /// The networks it has an address in, by name.
    pub networks: BTreeMap<String, Endpoint>,
    /// The TCP ports that it exposes, in order.
    pub ports: Vec<u16>,
}

/// Where a container is in a network.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The address that Docker gave out, or that whoever made the network chose.
    pub address: IpAddr,
    /// The device that leads there where the network is a bridge that Docker made and
    /// named: `docker0`, or `br-` and the network's id, which nobody chooses. Whether
    /// there is such a device is for the kernel to say.
    pub bridge: String,
}
