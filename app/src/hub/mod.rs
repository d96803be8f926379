//! `ringwall hub`: what is installed of the hub, and what of it.
//!
//! A change is made beside what is current, compiled there, and only then switched to; a
//! running instance is told, and when it refuses, everything is as it was.
//! **Refuses:** to do any of it as root: whoever starts it as root becomes the user that
//! Ringwall runs as, confined to the state directory, before a byte is fetched.
//! **On failure:** a whole sentence; what was current is current.

mod bring;
mod change;
mod data;
mod listing;
mod reload;
mod rollback;
mod sentence;
mod tune;

use std::path::{Path, PathBuf};

use config::Config;
use host::{Exec, Plan, Reach, TcpBind};
use hub::Sets;

use crate::Error;
use crate::term::Out;
pub use tune::Change as Tuned;

/// What is asked of `ringwall hub`.
#[derive(Clone, Debug)]
pub enum Order {
    /// What is installed; everything the hub has, where `all`.
    List {
        /// Whether what is not installed is listed, too.
        all: bool,
    },
    /// Items whose name or description has these words.
    Search {
        /// The words.
        words: Vec<String>,
    },
    /// Installs items with all they need.
    Install {
        /// Their names.
        names: Vec<String>,
        /// How.
        how: How,
    },
    /// Takes the newest versions.
    Update {
        /// Their names; everything when empty.
        names: Vec<String>,
        /// How.
        how: How,
    },
    /// Takes items out, and what only they needed.
    Remove {
        /// Their names.
        names: Vec<String>,
        /// How.
        how: How,
    },
    /// Goes back to the set before the current one.
    Rollback {
        /// To this one instead.
        to: Option<u32>,
        /// Only says which there are.
        list: bool,
    },
    /// Changes thresholds without touching an item.
    Tune {
        /// Which scenario; what is tuned so far where none is named.
        name: Option<String>,
        /// What about it.
        change: Tuned,
    },
}

/// How a change is made.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// A folder in which data files are looked up before they are fetched.
    pub data: Option<PathBuf>,
    /// Where databases for GeoIP come from, each by its file name.
    pub mmdb: Vec<String>,
    /// Whether files that were changed here are replaced, too.
    pub force: bool,
    /// Whether to only say what would be done.
    pub dry_run: bool,
}

/// The state directory, and whom to tell of changes.
struct Bench<'o> {
    config: Config,
    socket: PathBuf,
    sets: Sets,
    out: &'o mut Out,
}

/// Does what is asked.
///
/// # Errors
/// Whole sentences.
pub fn run(order: Order, config: Config, socket: PathBuf, out: &mut Out) -> Result<(), Error> {
    let client = match &order {
        Order::Search { .. } | Order::Install { .. } | Order::Update { .. } => {
            Some(bring::client(&config, mmdb(&order))?)
        }
        Order::List { .. } | Order::Remove { .. } | Order::Rollback { .. } | Order::Tune { .. } => {
            None
        }
    };
    let data = match &order {
        Order::Install { how, .. } | Order::Update { how, .. } | Order::Remove { how, .. } => {
            how.data.clone()
        }
        Order::List { .. } | Order::Search { .. } | Order::Rollback { .. } | Order::Tune { .. } => {
            None
        }
    };
    settle(&config, &socket, data.as_deref())?;
    let mut bench = Bench {
        sets: Sets::of_state(&config.state.directory),
        config,
        socket,
        out,
    };
    match (order, client) {
        (Order::List { all }, _) => listing::list(&mut bench, all),
        (Order::Search { words }, Some(client)) => listing::search(&mut bench, &client, &words),
        (Order::Install { names, how }, Some(client)) => {
            change::install(&mut bench, &client, &names, &how)
        }
        (Order::Update { names, how }, Some(client)) => {
            change::update(&mut bench, &client, &names, &how)
        }
        (Order::Remove { names, how }, _) => change::remove(&mut bench, &names, &how),
        (Order::Rollback { list: true, .. }, _) => rollback::list(&mut bench),
        (Order::Rollback { to, .. }, _) => rollback::back(&mut bench, to),
        (Order::Tune { name: None, .. }, _) => tune::list(&mut bench),
        (
            Order::Tune {
                name: Some(name),
                change,
            },
            _,
        ) => tune::tune(&mut bench, &name, &change),
        (Order::Search { .. } | Order::Install { .. } | Order::Update { .. }, None) => Ok(()),
    }
}

fn mmdb(order: &Order) -> &[String] {
    match order {
        Order::Install { how, .. } | Order::Update { how, .. } => &how.mmdb,
        _ => &[],
    }
}

/// As root: becomes the user that Ringwall runs as, and sees no more than this needs. Files
/// are then that user's, who has to read them; and what strangers' answers could do with
/// this process, they could do with that one.
fn settle(config: &Config, socket: &Path, data: Option<&Path>) -> Result<(), Error> {
    let state = &config.state.directory;
    if !config::Surroundings::of_process().root {
        return std::fs::create_dir_all(state).map_err(|error| {
            Error::Operator(format!(
                "Cannot make the directory {}: {error}. Use sudo, or set state.directory.",
                state.display()
            ))
        });
    }
    let sentence = |error: &dyn std::fmt::Display| Error::Operator(error.to_string());
    let (account, _) =
        host::find_account(config.process.user.as_deref()).map_err(|error| sentence(&error))?;
    std::fs::create_dir_all(state).map_err(|error| {
        Error::Operator(format!(
            "Cannot make the directory {}: {error}. Set state.directory, or make it by hand.",
            state.display()
        ))
    })?;
    host::own_directory(state, &account)
        .map_err(|error| Error::Operator(format!("Cannot hand over a directory: {error}.")))?;
    let detection = &config.detection;
    let folders = [
        &detection.hub,
        &detection.rules,
        &detection.patterns,
        &detection.data,
    ];
    let mut read: Vec<PathBuf> = folders.into_iter().flatten().cloned().collect();
    read.extend(socket.parent().map(Path::to_owned));
    read.extend(data.map(Path::to_owned));
    let plan = Plan {
        account: Some(account),
        reach: Reach {
            read,
            write: vec![state.clone()],
            bind: TcpBind::Any,
        },
        exec: Exec::Deny,
    };
    host::confine(&plan).map(drop).map_err(|error| {
        Error::Operator(format!(
            "Cannot give up privileges: {error}. Nothing was done."
        ))
    })
}
