//! The attackers: tools from Debian, each as it comes and once more with a browser's
//! headers and a modest rate.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::house::PORT;
use crate::network::{EDGE, inside};
use crate::support::Folder;
use crate::{ACCEPT, BROWSER};

/// How a tool appears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dress {
    /// With its own name, as fast as it goes by default.
    Plain,
    /// With a browser's headers, at four to seven requests a second.
    Browser,
}

impl Dress {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "as it comes",
            Self::Browser => "as a browser",
        }
    }
}

/// What becomes of an attack while a site is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstWeek {
    /// It is barred as ever: for what it does, not for how much.
    Barred,
    /// It goes by numbers: rules only watch.
    Watched,
}

/// One attack, and what must become of it.
#[derive(Debug)]
pub struct Attack {
    pub tool: &'static str,
    pub dress: Dress,
    /// The command line, with places for what differs from run to run.
    pub line: &'static [&'static str],
    /// The rules one of which must bar it.
    pub by: &'static [&'static str],
    /// At most so many of its requests may reach the site.
    pub most: usize,
}

impl Attack {
    /// Names, holes and files that nobody links to are what somebody does; pages that are
    /// not there and passwords are guesses, of which anybody makes a few.
    pub fn first_week(&self) -> FirstWeek {
        if [MISSING, FORM, BASIC].contains(&self.by) {
            FirstWeek::Watched
        } else {
            FirstWeek::Barred
        }
    }
}

const NAMED: &[&str] = &["ringwall/edge-refusals"];
const LOOKING: &[&str] = &[
    "ringwall/http-probing",
    "ringwall/http-admin-probing",
    "ringwall/http-sensitive-files",
    "ringwall/http-backdoors",
];
const MISSING: &[&str] = &["ringwall/http-probing"];
const FORM: &[&str] = &["ringwall/http-form-bruteforce"];
const BASIC: &[&str] = &["ringwall/http-auth-bruteforce"];
const SQL: &[&str] = &["ringwall/http-sql-injection"];
const HOLES: &[&str] = &[
    "ringwall/http-sql-injection",
    "ringwall/http-xss",
    "ringwall/http-path-traversal",
    "ringwall/http-exploit",
    "ringwall/http-command-injection",
];

/// Every attack of the field.
#[rustfmt::skip]
pub const ATTACKS: &[Attack] = &[
    Attack { tool: "gobuster", dress: Dress::Plain, by: NAMED, most: 0, line: &[
        "gobuster", "dir", "-q", "-z", "--no-error", "-b", "404,403", "-u", "{url}", "-w", "{list}",
    ] },
    Attack { tool: "gobuster", dress: Dress::Browser, by: LOOKING, most: 20, line: &[
        "gobuster", "dir", "-q", "-z", "--no-error", "-b", "404,403", "-u", "{url}", "-w", "{list}",
        "-t", "1", "--delay", "150ms", "-a", "{browser}", "-H", "{accept}", "-H", "{language}",
    ] },
    Attack { tool: "ffuf", dress: Dress::Plain, by: NAMED, most: 0, line: &[
        "ffuf", "-s", "-u", "{url}FUZZ", "-w", "{names}",
    ] },
    Attack { tool: "ffuf", dress: Dress::Browser, by: MISSING, most: 20, line: &[
        "ffuf", "-s", "-u", "{url}FUZZ", "-w", "{names}",
        "-t", "1", "-p", "0.15", "-H", "{agent}", "-H", "{accept}", "-H", "{language}",
    ] },
    Attack { tool: "hydra, form", dress: Dress::Plain, by: NAMED, most: 0, line: &[
        "hydra", "-I", "-q", "-l", "ada", "-P", "{passwords}", "-s", "{port}", "{host}", "http-post-form",
        "/login:user=^USER^&password=^PASS^:F=Wrong user name",
    ] },
    Attack { tool: "hydra, form", dress: Dress::Browser, by: FORM, most: 40, line: &[
        "hydra", "-I", "-q", "-l", "ada", "-P", "{passwords}", "-t", "4", "-W", "1",
        "-s", "{port}", "{host}", "http-post-form",
        // Optional headers come before the sign of failure, and hydra wants colons escaped.
        "/login:user=^USER^&password=^PASS^:H={agent\\}:H={accept\\}:F=Wrong user name",
    ] },
    Attack { tool: "hydra, basic", dress: Dress::Plain, by: NAMED, most: 0, line: &[
        "hydra", "-I", "-q", "-l", "ada", "-P", "{passwords}", "-s", "{port}", "{host}", "http-get", "/members/",
    ] },
    // Here it says its name whatever it is told, so the name was taken out of the program.
    Attack { tool: "hydra, basic", dress: Dress::Browser, by: BASIC, most: 20, line: &[
        "{renamed hydra}", "-I", "-q", "-l", "ada", "-P", "{passwords}", "-t", "4", "-W", "1",
        "-s", "{port}", "{host}", "http-get", "/members/:H={agent\\}:H={accept\\}",
    ] },
    Attack { tool: "sqlmap", dress: Dress::Plain, by: NAMED, most: 0, line: &[
        "sqlmap", "-u", "{url}item?id=1", "--batch", "--flush-session", "--output-dir={folder}/sqlmap",
    ] },
    Attack { tool: "sqlmap", dress: Dress::Browser, by: SQL, most: 40, line: &[
        "sqlmap", "-u", "{url}item?id=1", "--batch", "--flush-session", "--output-dir={folder}/sqlmap",
        "--delay=0.2", "--user-agent={browser}", "--headers={accept}\n{language}",
    ] },
    Attack { tool: "wapiti", dress: Dress::Plain, by: HOLES, most: 60, line: &[
        "wapiti", "-u", "{url}", "--flush-session", "--no-bugreport", "-f", "txt", "-o", "{folder}/wapiti.txt",
        "--store-session", "{folder}/wapiti", "--store-config", "{folder}/wapiti",
    ] },
    // It knows no pace of its own; `pace.py` gives it one.
    Attack { tool: "wapiti", dress: Dress::Browser, by: HOLES, most: 60, line: &[
        "PACE=0.15", "wapiti", "-u", "{url}", "--flush-session", "--no-bugreport", "-f", "txt",
        "-o", "{folder}/wapiti.txt", "--store-session", "{folder}/wapiti", "--store-config", "{folder}/wapiti",
        "-A", "{browser}", "-H", "{accept}", "-H", "{language}",
    ] },
];

/// The list of names that wapiti brings along, in its order: the most usual first.
const LIST: &str = "/usr/lib/python3/dist-packages/wapitiCore/data/attacks/busterPayloads.txt";

/// A copy of hydra that does not say its name where it asks for protected paths.
fn rename_hydra(folder: &Folder) {
    const NAME: &[u8] = b"User-Agent: Mozilla/4.0 (Hydra)";
    const OTHER: &[u8] = b"Accept-Language: en-GB,en;q=0.5";
    const { assert!(NAME.len() == OTHER.len(), "a program keeps its places") };
    let Ok(mut program) = std::fs::read("/usr/bin/hydra") else {
        return;
    };
    let mut from = 0;
    while let Some(at) = program[from..]
        .windows(NAME.len())
        .position(|piece| piece == NAME)
    {
        program[from + at..][..NAME.len()].copy_from_slice(OTHER);
        from += at + NAME.len();
    }
    let file = folder.0.join("hydra");
    std::fs::write(&file, program).expect("a program can be written");
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&file, runs).expect("a program can be made to run");
}

/// What the attackers bring along.
pub struct Kit {
    folder: PathBuf,
}

impl Kit {
    /// Lays out word lists in a folder.
    pub fn pack(folder: &Folder) -> Self {
        // Names that stand in no list: only that they are not there speaks against them.
        let names: String = (0..20_000)
            .map(|number| format!("page{number}\n"))
            .collect();
        let passwords: String = (0..5_000)
            .map(|number| format!("summer{number}\n"))
            .collect();
        rename_hydra(folder);
        folder.file("names.txt", &names);
        folder.file("passwords.txt", &passwords);
        std::fs::create_dir(folder.0.join("pace")).expect("a folder can be made");
        folder.file("pace/sitecustomize.py", include_str!("pace.py"));
        Self {
            folder: folder.0.clone(),
        }
    }

    /// One word of a command line with its places filled in.
    fn fill(&self, word: &str) -> String {
        let folder = self.folder.display().to_string();
        let agent = format!("User-Agent: {BROWSER}");
        let escaped = |text: &str| text.replace(':', "\\:");
        let places = [
            ("{renamed hydra}", format!("{folder}/hydra")),
            ("{url}", format!("http://{EDGE}:{PORT}/")),
            ("{host}", EDGE.to_owned()),
            ("{port}", PORT.to_owned()),
            ("{list}", LIST.to_owned()),
            ("{names}", format!("{folder}/names.txt")),
            ("{passwords}", format!("{folder}/passwords.txt")),
            ("{browser}", BROWSER.to_owned()),
            ("{agent}", agent.clone()),
            ("{agent\\}", escaped(&agent)),
            ("{accept}", ACCEPT.to_owned()),
            ("{accept\\}", escaped(ACCEPT)),
            ("{language}", "Accept-Language: en-GB,en;q=0.5".to_owned()),
            ("{folder}", folder.clone()),
        ];
        places.iter().fold(word.to_owned(), |word, (place, text)| {
            word.replace(place, text)
        })
    }

    /// The attack as a command in a namespace, bounded to `seconds`.
    pub fn command(&self, attack: &Attack, namespace: &str, seconds: u64) -> Command {
        let mut command = inside(namespace, "timeout");
        command.arg(seconds.to_string());
        let mut line = attack.line;
        if let [first, rest @ ..] = line
            && let Some(pace) = first.strip_prefix("PACE=")
        {
            command.env("PACE", pace);
            command.env("PYTHONPATH", self.folder.join("pace"));
            line = rest;
        }
        command
            .args(line.iter().map(|word| self.fill(word)))
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}
