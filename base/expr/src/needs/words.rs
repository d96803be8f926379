//! The words that a regular expression cannot do without.
//!
//! **For.** Not running an expression on texts that lack all of them. **Refuses.** Words
//! that nearly every text has, such as single letters. **Assumes.** Letters are compared
//! without regard to ASCII case, and the text holds neither U+017F nor U+212A, which
//! stand for `s` and `k` where case does not matter. **On failure.** No words: run it.

use regex_syntax::hir::{Class, Hir, HirKind};

/// How many words stand for one regular expression at most.
const WORDS: usize = 128;
/// How many beginnings of a part are told apart.
const STARTS: usize = 64;
/// How many bytes of a beginning are enough.
const LONG: usize = 16;
/// How many parts of a row are looked at.
const PARTS: usize = 64;
/// Words of this strength are as good as stronger ones.
const STRONG: usize = 6;

/// Words of which every match of a (Rust) regular expression contains one, in lower case.
///
/// `None` when there are none, too many, or only such as nearly every text has.
#[must_use]
pub fn regex_words(pattern: &str) -> Option<Vec<Box<[u8]>>> {
    let hir = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .build()
        .parse(pattern)
        .ok()?;
    let mut words: Vec<Box<[u8]>> = required(&hir)?.words.into_iter().map(Into::into).collect();
    words.sort_unstable();
    words.dedup();
    (words.len() <= WORDS).then_some(words)
}

/// A way in which a match of a part begins.
#[derive(Clone)]
struct Start {
    text: Vec<u8>,
    /// Whether the match goes on in a way that is not known.
    open: bool,
}

fn unknown() -> Vec<Start> {
    vec![Start {
        text: Vec::new(),
        open: true,
    }]
}

fn nothing() -> Vec<Start> {
    vec![Start {
        text: Vec::new(),
        open: false,
    }]
}

fn starts(hir: &Hir) -> Vec<Start> {
    match hir.kind() {
        // Boundaries take no room.
        HirKind::Empty | HirKind::Look(_) => nothing(),
        HirKind::Literal(literal) if literal.0.is_ascii() => vec![Start {
            text: literal.0.to_ascii_lowercase(),
            open: false,
        }],
        HirKind::Literal(_) => unknown(),
        HirKind::Class(class) => match letters(class) {
            Some(letters) => letters
                .into_iter()
                .map(|letter| Start {
                    text: vec![letter],
                    open: false,
                })
                .collect(),
            None => unknown(),
        },
        HirKind::Capture(capture) => starts(&capture.sub),
        HirKind::Repetition(repetition) => {
            let once = || starts(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => union(vec![once(), nothing()]),
                (0, _) => unknown(),
                (min, max) => {
                    let mut known = nothing();
                    for _ in 0..min.min(4) {
                        known = after(known, &once());
                    }
                    if max != Some(min) || min > 4 {
                        open(&mut known);
                    }
                    known
                }
            }
        }
        HirKind::Concat(parts) => row(parts),
        HirKind::Alternation(parts) => union(parts.iter().map(starts).collect()),
    }
}

fn row(parts: &[Hir]) -> Vec<Start> {
    let mut known = nothing();
    for (at, part) in parts.iter().enumerate() {
        if at == PARTS {
            open(&mut known);
        }
        if known.iter().all(|start| start.open) {
            break;
        }
        known = after(known, &starts(part));
    }
    known
}

/// Every closed beginning goes on with every one of `next`.
fn after(known: Vec<Start>, next: &[Start]) -> Vec<Start> {
    let closed = known.iter().filter(|start| !start.open).count();
    let mut known = known;
    if known.len() - closed + closed.saturating_mul(next.len()) > STARTS {
        open(&mut known);
        return known;
    }
    let mut all = Vec::new();
    for start in known {
        if start.open {
            all.push(start);
            continue;
        }
        for more in next {
            let mut text = start.text.clone();
            text.extend_from_slice(&more.text);
            let open = more.open || text.len() > LONG;
            text.truncate(LONG);
            all.push(Start { text, open });
        }
    }
    all
}

fn union(all: Vec<Vec<Start>>) -> Vec<Start> {
    if all.iter().map(Vec::len).sum::<usize>() > STARTS {
        return unknown();
    }
    all.into_iter().flatten().collect()
}

fn open(starts: &mut [Start]) {
    starts.iter_mut().for_each(|start| start.open = true);
}

/// Words, and how much their presence says.
struct Choice {
    words: Vec<Vec<u8>>,
    strength: usize,
}

impl Choice {
    fn new(words: Vec<Vec<u8>>) -> Option<Self> {
        // Who has the longer word has the shorter one in it.
        let mut fewest: Vec<Vec<u8>> = Vec::new();
        for word in words {
            let within = |long: &[u8], short: &[u8]| memchr::memmem::find(long, short).is_some();
            if !fewest.iter().any(|known| within(&word, known)) {
                fewest.retain(|known| !within(known, &word));
                fewest.push(word);
            }
        }
        let words = fewest;
        let strength = words.iter().map(|word| strength(word)).min()?.min(STRONG);
        (strength >= 2 && words.len() <= WORDS).then_some(Self { words, strength })
    }

    /// The stronger words, then the fewer.
    fn better(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let worth = |choice: &Self| (choice.strength, usize::MAX - choice.words.len());
        match (&one, &other) {
            (Some(first), Some(second)) if worth(second) > worth(first) => other,
            (None, _) => other,
            _ => one,
        }
    }
}

/// One for each byte, one more for those that addresses and names hardly have.
fn strength(word: &[u8]) -> usize {
    let rare = |byte: &&u8| !byte.is_ascii_alphanumeric() && !b" /.,-_?&=%+:".contains(byte);
    word.len() + word.iter().filter(rare).count()
}

fn required(hir: &Hir) -> Option<Choice> {
    let of_starts = |starts: Vec<Start>| {
        let texts = starts.into_iter().map(|start| start.text);
        Choice::new(texts.collect())
    };
    let whole = of_starts(starts(hir));
    let part = match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => {
            let mut best = None;
            for at in 0..parts.len().min(PARTS) {
                let rest = parts.get(at..).unwrap_or_default();
                best = Choice::better(best, of_starts(row(rest)));
                best = Choice::better(best, rest.first().and_then(required));
            }
            best
        }
        HirKind::Alternation(parts) => parts
            .iter()
            .map(|part| Some(required(part)?.words))
            .collect::<Option<Vec<_>>>()
            .and_then(|words| Choice::new(words.concat())),
        HirKind::Empty
        | HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_) => None,
    };
    Choice::better(whole, part)
}

/// The few letters of a class in lower case, if it has no others beyond ASCII than
/// those that stand for `s` and `k` where case does not matter.
fn letters(class: &Class) -> Option<Vec<u8>> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => class
            .iter()
            .map(|range| (range.start().into(), range.end().into()))
            .collect(),
        Class::Bytes(class) => class
            .iter()
            .map(|range| (range.start().into(), range.end().into()))
            .collect(),
    };
    let mut found = Vec::new();
    for (start, end) in ranges {
        if start == end && (start == 0x17f || start == 0x212a) {
            continue;
        }
        for letter in start..=end {
            let letter = u8::try_from(letter).ok().filter(u8::is_ascii)?;
            let letter = letter.to_ascii_lowercase();
            if !found.contains(&letter) {
                found.push(letter);
            }
            if found.len() > 8 {
                return None;
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_contains_one_of_the_words() {
        for (pattern, want) in [
            ("abc", Some(&["abc"][..])),
            ("(?i)abc", Some(&["abc"])),
            ("(?i)SKI", Some(&["ski"])),
            ("^http[s]?://", Some(&["http://", "https://"])),
            ("/php/.*/\\.js\\.map", Some(&["/.js.map"])),
            (
                "(?i)(/wp-.*\\.php|/wp-content/plugins/.*\\.(txt|md))$",
                // The branches' common beginning stands in front of them.
                Some(&["/wp-"]),
            ),
            ("a+bcd", Some(&["bcd"])),
            ("(?:ab|cd)x*", Some(&["ab", "cd"])),
            (
                "/(api|v[23]|thumb[a-z]*)/",
                Some(&["/api/", "/thumb", "/v2/", "/v3/"]),
            ),
            ("['\"]\\s*>\\s*<", Some(&[">"])),
            ("(?:ab)?", None),
            ("^[0-9]+$", None),
            ("a|", None),
            ("a[^b]", None),
            ("\u{e4}b", None),
            ("(", None),
        ] {
            let words = regex_words(pattern);
            let words: Option<Vec<&str>> = words.as_ref().map(|words| {
                words
                    .iter()
                    .map(|word| core::str::from_utf8(word).unwrap())
                    .collect()
            });
            assert_eq!(words.as_deref(), want, "{pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let long = "\\b[ab]?".repeat(2_000);
        let deep = format!("{}x{}", "(?:a?".repeat(80), ")?".repeat(80));
        for pattern in [long, deep] {
            assert_eq!(regex_words(&pattern), None);
        }
    }
}
