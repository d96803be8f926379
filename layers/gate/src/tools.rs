//! Attack tools that name themselves in their user agent.
//!
//! The list is data: one `name = literal` or bare `literal` a line, `#` starts a comment. It
//! names tools made for attacking or scanning, and nothing else: what ordinary programs and
//! libraries send (`curl`, `python-requests`, browsers …) is refused when the list is read, so
//! that a careless list cannot shut customers out. A literal matches in any ASCII case and only
//! as a word of its own. Whoever hides the name is for detection to find.
//!
//! Agents that were read and found clean are remembered by their hash in a small table, since
//! visitors send a handful of long agents over and over: reading one anew costs as much as all
//! the rest of the gate. A collision can at worst spare an agent that names a tool.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::collections::BTreeSet;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::hash::Seed;

/// Bytes of a user agent that are read; the rest is padding.
const LONGEST_READ: usize = 1_024;

/// The most literals in a list.
const MOST_LITERALS: usize = 10_000;

/// How many clean agents are remembered; a power of two.
const REMEMBERED: usize = 1_024;

/// What ordinary programs say; no literal may be found in one of these.
const ORDINARY: [&str; 23] = [
    "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome/140.0.0.0 safari/537.36 edg/140.0",
    "mozilla/5.0 (macintosh; intel mac os x 10_15_7) version/17.4 mobile/15e148 safari/604.1 firefox/140.0",
    "mozilla/5.0 (linux; android 14; pixel 8) samsungbrowser/24.0 opr/80.0 gecko/20100101",
    "mozilla/5.0 (iphone; cpu iphone os 17_4 like mac os x; compatible)",
    "curl/8.5.0",
    "wget/1.21",
    "libwww-perl/6.0",
    "python-requests/2.31 python-urllib/3.11 python-httpx/0.27 aiohttp/3.9",
    "python/3.11",
    "go-http-client/1.1",
    "okhttp/4.12 apache-httpclient/4.5 java/17",
    "node-fetch/1.0 axios/1.6 undici got",
    "ruby php guzzlehttp/7",
    "postmanruntime/7.36 insomnia/8.6 httpie/3.2",
    "googlebot/2.1 bingbot/2.0 applebot duckduckbot yandexbot",
    "facebookexternalhit/1.1 twitterbot slackbot telegrambot discordbot whatsapp",
    "dart/3.3 dalvik/2.1 cfnetwork/1410 darwin/22.6",
    "powershell/7.4 microsoft-webdav-miniredir",
    "git/2.43 docker/24.0 containerd apt-httpclient",
    "uptimerobot/2.0 prometheus/2.49 blackbox exporter pingdom uptime-kuma healthchecks",
    "nextcloud mirall/3.11 davx5 thunderbird",
    "feedly miniflux freshrss tiny tiny rss",
    "reqwest hyper rust",
];

/// A compiled list of attack tools.
pub struct Tools {
    literals: Option<AhoCorasick>,
    names: Vec<Arc<str>>,
    clean: Box<[AtomicU64]>,
    seed: Seed,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools")
            .field("names", &self.names.len())
            .finish_non_exhaustive()
    }
}

/// Why a list of tools is refused.
#[derive(Debug, thiserror::Error)]
pub enum ToolsFault {
    /// The literal is shorter than three bytes and would match by accident.
    #[error("read attack tool list: line {line}: {literal:?} is shorter than three characters")]
    TooShort {
        /// Counted from 1.
        line: usize,
        /// The literal.
        literal: String,
    },
    /// Ordinary programs send it too.
    #[error("read attack tool list: line {line}: {literal:?} is sent by ordinary programs")]
    Ordinary {
        /// Counted from 1.
        line: usize,
        /// The literal.
        literal: String,
    },
    /// There are too many.
    #[error("read attack tool list: more than {MOST_LITERALS} literals")]
    TooMany,
    /// The automaton could not be built.
    #[error("read attack tool list: compile the literals")]
    Compile(#[from] aho_corasick::BuildError),
}

impl Tools {
    /// No tools at all.
    #[must_use]
    pub fn none() -> Self {
        Self::of(None, Vec::new())
    }

    fn of(literals: Option<AhoCorasick>, names: Vec<Arc<str>>) -> Self {
        let clean = (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect();
        Self {
            literals,
            names,
            clean,
            seed: Seed::default(),
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// See [`ToolsFault`]; the first fault is told.
    pub fn parse(text: &str) -> Result<Self, ToolsFault> {
        let mut literals = BTreeSet::new();
        let mut names = Vec::new();
        let mut patterns = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            let said = line.split('#').next().unwrap_or_default().trim();
            if said.is_empty() {
                continue;
            }
            let (name, literal) = said.split_once('=').unwrap_or((said, said));
            let literal = literal.trim().to_ascii_lowercase();
            if literal.len() < 3 {
                return Err(ToolsFault::TooShort {
                    line: line_number,
                    literal,
                });
            }
            if ORDINARY.iter().any(|ordinary| ordinary.contains(&*literal)) {
                return Err(ToolsFault::Ordinary {
                    line: line_number,
                    literal,
                });
            }
            if literals.insert(literal.clone()) {
                names.push(format!("tool.{}", slug(name)).into());
                patterns.push(literal);
            }
        }
        if patterns.len() > MOST_LITERALS {
            return Err(ToolsFault::TooMany);
        }
        if patterns.is_empty() {
            return Ok(Self::none());
        }
        let literals = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&patterns)?;
        Ok(Self::of(Some(literals), names))
    }

    /// The rule name of the tool that a user agent names, such as `tool.sqlmap`.
    #[must_use]
    pub fn named_by(&self, user_agent: &[u8]) -> Option<Arc<str>> {
        let literals = self.literals.as_ref()?;
        let read = user_agent.get(..LONGEST_READ).unwrap_or(user_agent);
        let hash = self.seed.text(read);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits choose the place"
        )]
        let place = self.clean.get(hash as usize & (REMEMBERED - 1))?;
        if place.load(Relaxed) == hash {
            return None;
        }
        let named = self.search(literals, read);
        if named.is_none() {
            place.store(hash, Relaxed);
        }
        named
    }

    fn search(&self, literals: &AhoCorasick, read: &[u8]) -> Option<Arc<str>> {
        let letter = |at: Option<usize>| {
            at.and_then(|at| read.get(at))
                .is_some_and(u8::is_ascii_alphanumeric)
        };
        literals
            .find_overlapping_iter(read)
            .find(|hit| !letter(hit.start().checked_sub(1)) && !letter(Some(hit.end())))
            .and_then(|hit| self.names.get(hit.pattern().as_usize()).cloned())
    }

    /// How many literals it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// A name as part of a rule's name: lower case, words joined by `-`.
fn slug(name: &str) -> String {
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
