//! Attackers, each with the habits of a kind of tool and the headers of a browser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::client::Client;

/// The most requests one attacker makes before it gives up unbarred.
const PATIENCE: usize = 400;
/// How often it tries again after the first refusal; what the edge refuses by itself
/// is barred when it comes ten times.
const RETRIES: usize = 12;

/// One kind of attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attack {
    /// What it does, in a few words.
    pub(super) what: &'static str,
    request: fn(&mut Client, usize) -> std::io::Result<u16>,
}

/// What became of an attacker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Where it called from.
    pub(super) source: IpAddr,
    /// Requests that reached the shop.
    pub(super) let_through: usize,
    /// Whether it was refused at last, and every further time.
    pub(super) stopped: bool,
    /// From its first request to its first refusal.
    pub(super) took: Duration,
}

/// Every attack of the demo.
pub(super) const ATTACKS: [Attack; 6] = [
    Attack {
        what: "guesses page names from a word list",
        request: guess_pages,
    },
    Attack {
        what: "looks for forgotten files",
        request: fetch_secrets,
    },
    Attack {
        what: "tries passwords on the login form",
        request: guess_password,
    },
    Attack {
        what: "injects SQL into the search",
        request: inject_sql,
    },
    Attack {
        what: "injects scripts into the search",
        request: inject_script,
    },
    Attack {
        what: "climbs out of the web root",
        request: climb,
    },
];

impl Attack {
    /// Attacks from an address of its own until refused, then tries a few times more.
    pub(super) fn run(self, number: u8, edge: SocketAddr) -> Outcome {
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 2, number));
        let mut client = Client::new(source, edge);
        let began = Instant::now();
        let refused = (0..PATIENCE).find(|turn| is_refusal(&(self.request)(&mut client, *turn)));
        let took = began.elapsed();
        let Some(let_through) = refused else {
            return Outcome {
                source,
                let_through: PATIENCE,
                stopped: false,
                took,
            };
        };
        let stopped = (0..RETRIES)
            .all(|turn| is_refusal(&(self.request)(&mut client, PATIENCE + turn)))
            && is_refusal(&client.get("/"));
        Outcome {
            source: client.source(),
            let_through,
            stopped,
            took,
        }
    }
}

/// A refusal is a 400, a 403, a 429 or a closed door; the shop itself never answers so.
fn is_refusal(answer: &std::io::Result<u16>) -> bool {
    matches!(answer, Err(_) | Ok(400 | 403 | 429))
}

fn guess_pages(client: &mut Client, turn: usize) -> std::io::Result<u16> {
    const WORDS: [&str; 8] = [
        "old", "test", "intranet", "staging", "reports", "portal", "office", "beta",
    ];
    let word = WORDS.get(turn % WORDS.len()).copied().unwrap_or("old");
    client.get(&format!("/{word}{}", turn / WORDS.len()))
}

fn fetch_secrets(client: &mut Client, turn: usize) -> std::io::Result<u16> {
    const FILES: [&str; 8] = [
        "/.env",
        "/.git/config",
        "/backup.sql",
        "/wp-config.php.bak",
        "/.aws/credentials",
        "/id_rsa",
        "/.svn/entries",
        "/dump.sql.gz",
    ];
    client.get(FILES.get(turn % FILES.len()).copied().unwrap_or("/.env"))
}

fn guess_password(client: &mut Client, turn: usize) -> std::io::Result<u16> {
    client.post("/login", &format!("user=admin&password=summer{turn}"))
}

fn inject_sql(client: &mut Client, turn: usize) -> std::io::Result<u16> {
    client.get(&format!(
        "/search?q=tea%27%20UNION%20SELECT%20{turn},user,password%20FROM%20users--%20"
    ))
}

fn inject_script(client: &mut Client, turn: usize) -> std::io::Result<u16> {
    client.get(&format!("/search?q=%3Cscript%3Ealert({turn})%3C/script%3E"))
}

fn climb(client: &mut Client, turn: usize) -> std::io::Result<u16> {
    let up = "..%2f".repeat(turn % 6 + 3);
    client.get(&format!("/item/{up}etc/passwd"))
}
