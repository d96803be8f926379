//! What reads bytes that others wrote, under libFuzzer: one program, the target chosen by
//! `RINGWALL_FUZZ`.
//!
//! A target does more than not panic: what is written is read back the same, what comes
//! in pieces means what it means whole, what two ways of looking find is equal. One
//! program for all of them is linked once. With `RINGWALL_FUZZ_SEEDS` it writes the
//! target's first inputs into that folder, taken from our own tables and rules, and ends.
//!
//! `cargo xtask conformance fuzz` builds it, since the instrumentation needs flags, and
//! runs each target for a bounded time.

#![no_main]

mod cases;
mod kept;
/// The protocol's answers name a view of labels; only its questions are read here.
mod labels {
    /// Stands for the view of the same name.
    #[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
    pub struct LabelsView(serde_json::Value);
}
mod messages;
/// Stands for the edge's plan: trusted are proxies in 10.0.0.0/8.
mod route {
    use std::net::IpAddr;

    pub struct Plan {
        pub client_header: crate::snapshot::ClientHeader,
        pub habit: crate::told::client::Habit,
    }

    impl Plan {
        pub fn is_trusted(&self, address: IpAddr) -> bool {
            is_trusted(address)
        }
    }

    pub fn is_trusted(address: IpAddr) -> bool {
        matches!(address.to_canonical(), IpAddr::V4(four) if four.octets()[0] == 10)
    }
}
mod rules;
/// Stands for the edge's settings.
mod snapshot {
    /// As in the module of the same name.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum ClientHeader {
        Either,
        XForwardedFor,
        Forwarded,
        Single(Box<str>),
    }
}
mod told;

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What a target is.
struct Target {
    name: &'static str,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them; `xtask` reads their names from `RINGWALL_FUZZ=list`.
const TARGETS: &[Target] = &[
    Target {
        name: "request",
        run: messages::request,
        seeds: messages::request_seeds,
    },
    Target {
        name: "response",
        run: messages::response,
        seeds: messages::response_seeds,
    },
    Target {
        name: "body",
        run: messages::body,
        seeds: messages::body_seeds,
    },
    Target {
        name: "target",
        run: messages::target,
        seeds: messages::target_seeds,
    },
    Target {
        name: "host",
        run: messages::host,
        seeds: messages::host_seeds,
    },
    Target {
        name: "proxy",
        run: messages::proxy,
        seeds: messages::proxy_seeds,
    },
    Target {
        name: "config",
        run: kept::config,
        seeds: kept::config_seeds,
    },
    Target {
        name: "entry",
        run: kept::entry,
        seeds: kept::entry_seeds,
    },
    Target {
        name: "control",
        run: kept::control,
        seeds: kept::control_seeds,
    },
    Target {
        name: "helper",
        run: kept::helper,
        seeds: kept::helper_seeds,
    },
    Target {
        name: "expression",
        run: rules::expression,
        seeds: rules::expression_seeds,
    },
    Target {
        name: "regex",
        run: rules::regex,
        seeds: rules::regex_seeds,
    },
    Target {
        name: "grok",
        run: rules::grok,
        seeds: rules::grok_seeds,
    },
    Target {
        name: "assert",
        run: cases::assert,
        seeds: cases::assert_seeds,
    },
    Target {
        name: "case",
        run: cases::case,
        seeds: cases::case_seeds,
    },
    Target {
        name: "gotime",
        run: rules::gotime,
        seeds: rules::gotime_seeds,
    },
    Target {
        name: "yaml",
        run: rules::yaml,
        seeds: rules::yaml_seeds,
    },
    Target {
        name: "line",
        run: rules::line,
        seeds: rules::line_seeds,
    },
    Target {
        name: "visit",
        run: rules::visit,
        seeds: rules::visit_seeds,
    },
    Target {
        name: "login",
        run: told::login,
        seeds: told::login_seeds,
    },
    Target {
        name: "client",
        run: told::client,
        seeds: told::client_seeds,
    },
    Target {
        name: "labels",
        run: told::labels,
        seeds: told::labels_seeds,
    },
];

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("RINGWALL_FUZZ").unwrap_or_default();
        if name == "list" {
            for target in TARGETS {
                println!("{}", target.name);
            }
            std::process::exit(0);
        }
        TARGETS
            .iter()
            .find(|target| target.name == name)
            .expect("RINGWALL_FUZZ names a target, or is 'list'")
    })
}

fuzz_target!(
    init: {
        let target = chosen();
        if let Some(folder) = std::env::var_os("RINGWALL_FUZZ_SEEDS").map(PathBuf::from) {
            std::fs::create_dir_all(&folder).expect("the folder for seeds can be made");
            for (number, seed) in (target.seeds)().iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{number:04}")), seed).expect("a seed can be written");
            }
            std::process::exit(0);
        }
    },
    |data: &[u8]| (chosen().run)(data)
);

/// The files below a folder of the project.
fn files(below: &str) -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = Vec::new();
    let mut folders = vec![root.join(below)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if let (Ok(bytes), Ok(name)) = (std::fs::read(&path), path.strip_prefix(&root)) {
                found.push((name.display().to_string(), bytes));
            }
        }
    }
    found.sort();
    found
}
