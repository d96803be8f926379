//! The command line: what can be typed, and nothing of what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A layered defence for a Docker or Compose host, in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "ringwall",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Arguments {
    /// The configuration file [default: ./ringwall.toml, else /etc/ringwall/ringwall.toml]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The control socket of the running instance [default: as configured]
    #[arg(long, global = true, value_name = "SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON, one object a line for lists
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run what is configured, or protect one service without a configuration
    Up(Up),
    /// The privileged helper process; 'up' starts it
    #[command(hide = true)]
    Host(Up),
    /// Drain and stop the running instance
    Down,
    /// Proxy everything and enforce nothing, for a while (30m, 2h) or until 'resume'
    Pause {
        /// How long; until 'resume' when left out
        span: Option<String>,
    },
    /// Enforce again after 'pause'
    Resume,
    /// Read the configuration again: all of it, or nothing when it is wrong
    Reload,
    /// A small site, visitors, attackers and the defence, narrated
    Demo {
        /// End after one round; exit 0 only if every attacker was stopped and no visitor hurt
        #[arg(long)]
        once: bool,
    },
    /// Validate the configuration and name every fault
    Check,
    /// Print the effective configuration and where each value comes from
    Show {
        /// Print the JSON Schema of the configuration file instead
        #[arg(long)]
        schema: bool,
    },
    /// The posture of every ring and control
    Status,
    /// Why an address is barred, or is not, and how to undo it
    Why {
        /// An address, the reference that a refused visitor was told, or a decision's id
        subject: String,
    },
    /// Who is barred, throttled or challenged
    #[command(subcommand)]
    Decision(Decision),
    /// What detection raised
    #[command(subcommand)]
    Alert(Alert),
    /// Who is let through whatever happens
    #[command(subcommand)]
    Allowlist(Allowlist),
    /// Rules of the CrowdSec hub: find, install, update, tune, go back
    #[command(subcommand)]
    Hub(Hub),
    /// Run log files through the rules; alerts come out, one JSON object a line
    Replay(Replay),
    /// How a line travels through parsers and scenarios
    Explain(Explain),
    /// Run the test cases of a hub checkout; exit 0 only if all pass
    Hubtest(Hubtest),
    /// Print shell completions
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Protect this one service (http://127.0.0.1:3000) without a configuration file
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    pub(crate) protect: Option<String>,
    /// Where to listen with --protect
    #[arg(long, value_name = "ADDRESS:PORT", requires = "protect")]
    pub(crate) listen: Option<String>,
    /// Watch only: enforce nothing on any site
    #[arg(long)]
    pub(crate) observe: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Decision {
    /// List decisions in force
    List {
        /// Only those that cover this address or range
        value: Option<String>,
    },
    /// Bar (or challenge, throttle, observe) an address or a range by hand
    Add {
        /// An address or a range
        value: String,
        /// ban, challenge, throttle or observe
        #[arg(long, default_value = "ban")]
        kind: String,
        /// How long: 30m, 4h, 7d
        #[arg(long = "for", default_value = "4h", value_name = "SPAN")]
        span: String,
        /// Why, for whoever asks later
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Undo a decision by its id (or first eight digits), or all that cover an address
    Delete {
        /// An id, an address or a range
        subject: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// List alerts, newest first
    List {
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Only about this address
        value: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Allowlist {
    /// List who is allowed
    List,
    /// Allow an address, a range, a host name, lan, vpn or wan; bans that cover it end at once
    Add {
        /// Who
        value: String,
        /// Why, for whoever asks later
        #[arg(long, default_value = "by hand")]
        reason: String,
        /// How long; for ever when left out
        #[arg(long = "for", value_name = "SPAN")]
        span: Option<String>,
    },
    /// Take an allowance back
    Delete {
        /// As it is listed
        value: String,
    },
}

/// Which rules to load.
#[derive(Debug, Args)]
pub(crate) struct Items {
    /// A checkout or install of the CrowdSec hub [default: our own rules]
    #[arg(long, value_name = "DIR")]
    pub(crate) hub: Option<PathBuf>,
    /// A parser, scenario or collection, dependencies included; all when none is named
    #[arg(long = "item", value_name = "NAME")]
    pub(crate) items: Vec<String>,
    /// A directory of rules of your own, besides those
    #[arg(long, value_name = "DIR")]
    pub(crate) rules: Option<PathBuf>,
    /// A directory of grok patterns
    #[arg(long, value_name = "DIR")]
    pub(crate) patterns: Option<PathBuf>,
    /// A directory of data files
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// What kind of log this is, such as nginx or syslog
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: String,
    #[command(flatten)]
    pub(crate) items: Items,
    /// How many threads parse
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Log files
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// What kind of log this is, such as nginx or syslog
    #[arg(
        long = "type",
        value_name = "TYPE",
        required_unless_present = "decision"
    )]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) items: Items,
    /// One log line
    #[arg(long, value_name = "LINE", conflicts_with = "file")]
    pub(crate) log: Option<String>,
    /// A file of log lines
    #[arg(required_unless_present_any = ["log", "decision"])]
    pub(crate) file: Option<PathBuf>,
    /// Also the scenarios that did not take it, with the reason
    #[arg(long)]
    pub(crate) all: bool,
    /// Only scenarios with this in their name, with the reason
    #[arg(long, value_name = "NAME")]
    pub(crate) scenario: Option<String>,
    /// How a decision of the running instance came about: an address, the decision's id, or
    /// the reference that a refused visitor was told
    #[arg(
        long,
        value_name = "WHO",
        conflicts_with_all = ["kind", "log", "file", "all", "scenario", "hub", "items", "rules", "patterns", "data"]
    )]
    pub(crate) decision: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Hubtest {
    /// A checkout of the CrowdSec hub
    pub(crate) hub: PathBuf,
    /// Cases by the names of their folders [default: all]
    #[arg(value_name = "CASE")]
    pub(crate) cases: Vec<String>,
    /// Where the cases lie [default: HUB/.tests]
    #[arg(long, value_name = "DIR")]
    pub(crate) tests: Option<PathBuf>,
    /// A directory of grok patterns; may be repeated [default: our own]
    #[arg(long, value_name = "DIR")]
    pub(crate) patterns: Vec<PathBuf>,
    /// A directory of data files; may be repeated [default: sec-lists beside HUB, if it is
    /// there]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,
    /// The day on which logs are read, whose year dates without one get
    /// [default: the newest day that the cases' asserts name]
    #[arg(long, value_name = "DATE")]
    pub(crate) now: Option<String>,
    /// How many cases run at a time [default: one a processor]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hub {
    /// What is installed, and how it stands
    List {
        /// What the hub has besides, too, as it was when it was asked last
        #[arg(long)]
        all: bool,
    },
    /// Ask the hub for items whose name or description has these words
    Search {
        /// Words
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Install collections, scenarios, parsers … with all they need
    Install {
        /// Names, such as crowdsecurity/nginx; parsers:crowdsecurity/modsecurity says of which kind
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        how: How,
    },
    /// Take the newest versions of everything, or of what is named
    Update {
        /// Names
        names: Vec<String>,
        /// Replace files that were changed here, too
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        how: How,
    },
    /// Take items out, and what only they needed
    Remove {
        /// Names
        #[arg(required = true)]
        names: Vec<String>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Go back to the set of items before the current one
    Rollback {
        /// To this set instead
        set: Option<u32>,
        /// Only say which sets there are
        #[arg(long, conflicts_with = "set")]
        list: bool,
    },
    /// Change a scenario's thresholds, or switch it off, without touching it
    Tune(Tune),
}

/// Where data files come from.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// A directory in which data files are looked up before they are fetched
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where a GeoIP database is fetched from; its file name says which one it is
    #[arg(long, value_name = "URL")]
    pub(crate) mmdb: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tune {
    /// A scenario; what is tuned so far when none is named
    pub(crate) name: Option<String>,
    /// Events that its bucket holds before it overflows
    #[arg(long, value_name = "NUMBER", requires = "name")]
    pub(crate) capacity: Option<u32>,
    /// The time in which one event leaks out, such as 10s
    #[arg(long, value_name = "SPAN", requires = "name")]
    pub(crate) leakspeed: Option<String>,
    /// How long the same source stays unheard of after an alert, such as 5m
    #[arg(long, value_name = "SPAN", requires = "name")]
    pub(crate) blackhole: Option<String>,
    /// Switch it off, everywhere or at --site
    #[arg(long, requires = "name")]
    pub(crate) off: bool,
    /// Switch it on again, everywhere or at --site
    #[arg(long, requires = "name", conflicts_with = "off")]
    pub(crate) on: bool,
    /// Where --off or --on is meant: a site, by one of its hosts
    #[arg(long = "site", value_name = "HOST", requires = "name")]
    pub(crate) sites: Vec<String>,
    /// Alert only: bar nobody
    #[arg(long, requires = "name")]
    pub(crate) simulate: bool,
    /// Bar again after --simulate
    #[arg(long, requires = "name", conflicts_with = "simulate")]
    pub(crate) enforce: bool,
    /// Forget what was tuned before
    #[arg(long, requires = "name")]
    pub(crate) reset: bool,
}
