//! Logs as servers write them, made up from a seed: ordinary visitors, attackers of every
//! kind that the hub's collections know, lines that are broken.
//!
//! Assumes: what a rule must see is taken from the rules' own lists, which are handed in.
//! Addresses are of the ranges for documentation and benchmarks; nothing is called.
//! Lines are in the order of their times, since servers write them so.

mod shell;
mod web;
mod write;

use vocab::Timestamp;

/// Whose log it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Server {
    Nginx,
    Apache,
    Sshd,
    Haproxy,
    /// An nginx that robots and crawlers alone visit, more quickly than the others' visitors.
    Crawled,
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Sshd => "sshd",
            Self::Haproxy => "haproxy",
            Self::Crawled => "crawled",
        }
    }

    /// What its lines are labelled.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Nginx | Self::Crawled => "nginx",
            Self::Apache => "apache2",
            Self::Sshd | Self::Haproxy => "syslog",
        }
    }
}

/// The words that rules look for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) backdoors: Vec<String>,
    /// Names that only look like those of robots.
    pub(crate) agents: Vec<String>,
    /// Names of robots.
    pub(crate) robots: Vec<String>,
    pub(crate) sensitive: Vec<String>,
    pub(crate) traversal: Vec<String>,
    pub(crate) sqli: Vec<String>,
    pub(crate) xss: Vec<String>,
    pub(crate) log4j: Vec<String>,
    pub(crate) jira: Vec<String>,
}

/// A repeatable source of chance.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to `end`, without `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    /// True this often in a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.index(from.len())]
    }

    /// A stranger's address; a few are whitelisted, a few are spelt as a dual-stack
    /// socket spells them.
    pub(crate) fn address(&mut self) -> String {
        let (b, c, d) = (self.below(2), self.below(256), self.below(256));
        match self.below(50) {
            0..6 => format!("2001:db8:{:x}:{b}::{d:x}", self.below(0x1_0000)),
            6 => format!("10.{b}.{c}.{d}"),
            7 => format!("::ffff:203.0.113.{d}"),
            8..12 => format!("198.51.100.{d}"),
            _ => format!("198.{}.{c}.{d}", 18 + b),
        }
    }
}

/// What somebody does, with milliseconds since the log's beginning.
#[derive(Debug)]
pub(crate) struct Script<'d, T> {
    pub(crate) dice: &'d mut Dice,
    pub(crate) address: String,
    at: i64,
    done: Vec<(i64, T)>,
}

impl<T> Script<'_, T> {
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        self.at += i64::try_from(milliseconds).unwrap();
    }

    pub(crate) fn act(&mut self, what: T) {
        self.done.push((self.at, what));
    }

    /// Waits as somebody whose bucket leaks every `leak` milliseconds and holds so many:
    /// mostly quickly, now and then just before and just after the leak or the bucket's life.
    pub(crate) fn pace(&mut self, leak: u64, capacity: u64) {
        let life = leak * (capacity + 1);
        let wait = match self.dice.below(60) {
            0..36 => self.dice.below(leak / 6 + 1),
            36..46 => leak / 2,
            46..50 => leak,
            50..54 => leak + 1_000,
            54 => life - 1_000.min(life),
            55 => life,
            56 => life + 1_000,
            57 => 60_000,
            58 => 125_000,
            _ => 310_000,
        };
        self.wait(wait);
    }
}

/// Makes a log of so many lines, the last of which is no older than `end`.
pub(crate) fn log(
    server: Server,
    lines: usize,
    seed: u64,
    begin: Timestamp,
    lists: &Lists,
) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(seed ^ server.label().len() as u64 ^ server as u64);
    match server {
        Server::Sshd => {
            let acts = stage(&mut dice, lines, shell::visit);
            write::shell(&mut dice, begin, &acts)
        }
        Server::Crawled => {
            let acts = stage(&mut dice, lines, |script| web::crawl(script, lists));
            write::web(server, &mut dice, begin, &acts)
        }
        Server::Nginx | Server::Apache | Server::Haproxy => {
            let acts = stage(&mut dice, lines, |script| web::visit(script, lists));
            write::web(server, &mut dice, begin, &acts)
        }
    }
}

/// Lets people and machines come, in bursts with idle times between them, about three acts
/// a second all in all.
fn stage<T>(dice: &mut Dice, lines: usize, visit: impl Fn(&mut Script<'_, T>)) -> Vec<(i64, T)> {
    let span = (lines as u64 * 333).max(600_000);
    let mut bursts: Vec<u64> = (0..span / 400_000 + 1).map(|_| dice.below(span)).collect();
    bursts.sort_unstable();
    let mut acts: Vec<(i64, T)> = Vec::with_capacity(lines + 4_096);
    while acts.len() < lines {
        let begin = *dice.pick(&bursts) + dice.below(240_000);
        let address = dice.address();
        let mut script = Script {
            at: i64::try_from(begin).unwrap(),
            address,
            done: Vec::new(),
            dice,
        };
        visit(&mut script);
        acts.append(&mut script.done);
    }
    acts.sort_by_key(|(at, _)| *at);
    acts.truncate(lines);
    acts
}
