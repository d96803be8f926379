//! Searches of one text in a whole data file, prepared once.
//!
//! For: `any(File("f"), { TEXT contains # })` and `RegexpInFile(TEXT, "f")` in one
//! pass over the text. Refuses: to hold one automaton over hundreds of regular
//! expressions, which costs hundreds of megabytes; each pattern is looked for by the
//! longest text it cannot do without, and only candidates are run. Assumes: texts are
//! short. On failure: a line that is no pattern or no range never matches and is
//! reported when it is prepared.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind, StartKind};
use expr::{Case, DataSearch, SearchTest, go_regex};
use regex::bytes::Regex;
use vocab::Cidr;

use super::{DataLines, DataSet};

/// Every prepared search of a program, by its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Searches {
    prepared: Vec<Option<Prepared>>,
}

#[derive(Clone, Debug)]
struct Prepared {
    case: Case,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Never,
    Contains(AhoCorasick),
    /// Anchored at the start of the text.
    Starts(AhoCorasick),
    /// Over reversed lines, anchored at the start of the reversed text.
    Ends(AhoCorasick, usize),
    Equal(HashSet<Box<[u8]>>),
    InRange(Vec<Cidr>),
    Patterns(Box<Patterns>),
}

/// Regular expressions behind the texts they cannot do without.
#[derive(Clone, Debug)]
struct Patterns {
    needed: Option<AhoCorasick>,
    /// The expression behind each needed text, in the automaton's order.
    behind: Vec<Regex>,
    /// Expressions without one; always run.
    always: Vec<Regex>,
}

impl Searches {
    /// Prepares every search whose file is there; `broken` hears of lines that are not
    /// what they should be: file, line's text, what is wrong.
    pub(crate) fn prepare(
        searches: &[DataSearch],
        data: &DataSet,
        mut broken: impl FnMut(&str, &[u8], String),
    ) -> Self {
        let prepare = |search: &DataSearch| {
            let name = core::str::from_utf8(&search.file).ok()?;
            let file = data.get(name)?;
            let matcher = matcher(search, file, &mut |line, what| broken(name, line, what));
            Some(Prepared {
                case: search.text_case,
                matcher,
            })
        };
        Self {
            prepared: searches.iter().map(prepare).collect(),
        }
    }

    /// Whether `text` passes; `None` when the file is not there.
    pub(crate) fn test(&self, search: &DataSearch, text: &[u8]) -> Option<bool> {
        let prepared = self.prepared.get(search.id?.0 as usize)?.as_ref()?;
        Some(prepared.matcher.test(&cased(prepared.case, text)))
    }
}

/// A text with its letters changed as Go's `strings.ToUpper` and `ToLower` do.
pub(crate) fn cased(case: Case, text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return match case {
            Case::Upper if text.iter().any(u8::is_ascii_lowercase) => {
                Cow::Owned(text.to_ascii_uppercase())
            }
            Case::Lower if text.iter().any(u8::is_ascii_uppercase) => {
                Cow::Owned(text.to_ascii_lowercase())
            }
            _ => Cow::Borrowed(text),
        };
    }
    // Letter by letter, as Go does: no letter becomes two.
    let one = |first: char, mut rest: Vec<char>| {
        if rest.len() == 1 {
            rest.remove(0)
        } else {
            first
        }
    };
    let change = |letter: char| match case {
        Case::Exact => letter,
        Case::Upper => one(letter, letter.to_uppercase().collect()),
        Case::Lower => one(letter, letter.to_lowercase().collect()),
    };
    if case == Case::Exact {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        String::from_utf8_lossy(text)
            .chars()
            .map(change)
            .collect::<String>()
            .into_bytes(),
    )
}

fn matcher(
    search: &DataSearch,
    file: &DataLines,
    broken: &mut dyn FnMut(&[u8], String),
) -> Matcher {
    let lines = || file.lines.iter().map(|line| cased(search.line_case, line));
    if file.lines.is_empty() {
        return Matcher::Never;
    }
    match search.test {
        SearchTest::Contains => automaton(lines(), false).map(Matcher::Contains),
        SearchTest::StartsWith => automaton(lines(), true).map(Matcher::Starts),
        SearchTest::EndsWith => {
            let longest = lines().map(|line| line.len()).max().unwrap_or(0);
            let reversed = lines().map(|line| line.iter().rev().copied().collect::<Vec<u8>>());
            automaton(reversed, true).map(|automaton| Matcher::Ends(automaton, longest))
        }
        SearchTest::Equal => Some(Matcher::Equal(
            lines().map(|line| Box::from(&*line)).collect(),
        )),
        SearchTest::InRange => Some(Matcher::InRange(ranges(file, broken))),
        SearchTest::Regexp => Some(Matcher::Patterns(Box::new(patterns(file, broken)))),
    }
    .unwrap_or(Matcher::Never)
}

/// An automaton over lines. The choice of a full table is left to small sets.
fn automaton(lines: impl Iterator<Item = impl AsRef<[u8]>>, anchored: bool) -> Option<AhoCorasick> {
    let lines: Vec<_> = lines.collect();
    let bytes: usize = lines.iter().map(|line| line.as_ref().len()).sum();
    let kind = if bytes <= 4_096 {
        AhoCorasickKind::DFA
    } else {
        AhoCorasickKind::ContiguousNFA
    };
    let start = if anchored {
        StartKind::Anchored
    } else {
        StartKind::Unanchored
    };
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .start_kind(start)
        .kind(Some(kind))
        .build(&lines)
        .ok()
}

fn ranges(file: &DataLines, broken: &mut dyn FnMut(&[u8], String)) -> Vec<Cidr> {
    let mut ranges = Vec::with_capacity(file.lines.len());
    for line in file.lines.iter() {
        match core::str::from_utf8(line)
            .ok()
            .and_then(|text| text.trim().parse().ok())
        {
            Some(range) => ranges.push(range),
            None => broken(line, "this is not an address range".to_owned()),
        }
    }
    ranges
}

fn patterns(file: &DataLines, broken: &mut dyn FnMut(&[u8], String)) -> Patterns {
    let mut needed = Vec::new();
    let mut behind = Vec::new();
    let mut always = Vec::new();
    for line in file.lines.iter() {
        match go_regex::compile(line) {
            Err(error) => broken(line, error.to_string()),
            Ok(regex) => match needs(line) {
                Some(literal) => {
                    needed.push(literal);
                    behind.push(regex);
                }
                None => always.push(regex),
            },
        }
    }
    Patterns {
        needed: if needed.is_empty() {
            None
        } else {
            automaton(needed.iter(), false)
        },
        behind,
        always,
    }
}

/// The longest run of letters that every match of a pattern contains; `None` when
/// that is shorter than three, or when the pattern is more than letters, escapes,
/// classes and repetitions.
pub(crate) fn needs(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut best: Vec<u8> = Vec::new();
    let mut run: Vec<u8> = Vec::new();
    let mut bytes = pattern.iter().copied();
    let mut end = |run: &mut Vec<u8>| {
        if run.len() > best.len() {
            best = core::mem::take(run);
        }
        run.clear();
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' | b')' | b'|' | b'{' => return None,
            b'[' => {
                end(&mut run);
                // Up to the first bracket that can close the class; a class that
                // holds one is left to the slow way.
                let mut inside = bytes.by_ref().take_while(|byte| *byte != b']');
                if inside.next().is_none_or(|first| first == b'^')
                    || inside.any(|byte| byte == b'[' || byte == b'\\')
                {
                    return None;
                }
            }
            b'\\' => match bytes.next() {
                Some(b'b') => {}
                Some(escaped) if escaped.is_ascii_punctuation() || escaped == b' ' => {
                    run.push(escaped);
                }
                Some(b'd' | b'w' | b's' | b'D' | b'W' | b'S' | b'B') => end(&mut run),
                _ => return None,
            },
            b'?' | b'*' => {
                run.pop();
                end(&mut run);
            }
            b'+' | b'.' | b'^' | b'$' => end(&mut run),
            byte if byte.is_ascii() => run.push(byte),
            _ => return None,
        }
    }
    end(&mut run);
    (best.len() >= 3).then_some(best)
}

impl Matcher {
    fn test(&self, text: &[u8]) -> bool {
        match self {
            Self::Never => false,
            Self::Contains(automaton) => automaton.is_match(text),
            Self::Starts(automaton) => automaton.is_match(Input::new(text).anchored(Anchored::Yes)),
            Self::Ends(automaton, longest) => {
                let mut reversed = [0_u8; 256];
                let count = text.len().min(*longest);
                let tail = text.iter().rev().take(count);
                if count <= reversed.len() {
                    for (to, from) in reversed.iter_mut().zip(tail) {
                        *to = *from;
                    }
                    let reversed = reversed.get(..count).unwrap_or(b"");
                    automaton.is_match(Input::new(reversed).anchored(Anchored::Yes))
                } else {
                    let reversed: Vec<u8> = tail.copied().collect();
                    automaton.is_match(Input::new(&reversed).anchored(Anchored::Yes))
                }
            }
            Self::Equal(lines) => lines.contains(text),
            Self::InRange(ranges) => core::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<IpAddr>().ok())
                .is_some_and(|address| ranges.iter().any(|range| range.contains(address))),
            Self::Patterns(patterns) => patterns.test(text),
        }
    }
}

impl Patterns {
    fn test(&self, text: &[u8]) -> bool {
        let text = &*go_regex::readable(text);
        let candidate = |needed: &AhoCorasick| {
            needed.find_overlapping_iter(text).any(|found| {
                let regex = self.behind.get(found.pattern().as_usize());
                regex.is_some_and(|regex| regex.is_match(text))
            })
        };
        self.needed.as_ref().is_some_and(candidate)
            || self.always.iter().any(|regex| regex.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::DataKind;
    use expr::SearchId;

    fn test(lines: &str, test: SearchTest, text_case: Case, line_case: Case, text: &str) -> bool {
        let mut data = DataSet::default();
        data.add("f", DataKind::Lines, lines);
        let search = DataSearch {
            file: b"f".as_slice().into(),
            test,
            text_case,
            line_case,
            id: Some(SearchId(0)),
        };
        let searches = Searches::prepare(std::slice::from_ref(&search), &data, |_, _, what| {
            panic!("{what}")
        });
        searches.test(&search, text.as_bytes()).unwrap()
    }

    #[test]
    fn lines_are_found_as_the_test_says() {
        use SearchTest::{Contains, EndsWith, Equal, InRange, StartsWith};
        for (lines, how, text, want) in [
            ("# no\n\n/.env\n.git/", Contains, "/a/.env.bak", true),
            ("/.env", Contains, "/a/.en", false),
            ("/.env\n/x", EndsWith, "/a/.env", true),
            ("/.env\n/x", EndsWith, "/a/.env?", false),
            ("/.env\n/x", EndsWith, "env", false),
            ("/a\n/b", StartsWith, "/b/c", true),
            ("/a\n/b", StartsWith, "/c/b", false),
            ("c99.php", Equal, "c99.php", true),
            ("c99.php", Equal, "xc99.php", false),
            ("192.0.2.0/24\n2001:db8::/32", InRange, "2001:db8::1", true),
            ("192.0.2.0/24", InRange, "198.51.100.1", false),
            ("192.0.2.0/24", InRange, "no address", false),
        ] {
            let got = test(lines, how, Case::Exact, Case::Exact, text);
            assert_eq!(got, want, "{how:?} {lines:?} in {text:?}");
        }
        let long = "x".repeat(5_000) + "/.env";
        assert!(test("/.env", EndsWith, Case::Exact, Case::Exact, &long));
        assert!(test(&long, EndsWith, Case::Exact, Case::Exact, &long));
    }

    #[test]
    fn letters_are_changed_on_the_side_that_says_so() {
        use SearchTest::Contains;
        assert!(test(
            "Union Select",
            Contains,
            Case::Upper,
            Case::Upper,
            "1 uNION select"
        ));
        assert!(!test(
            "Union Select",
            Contains,
            Case::Upper,
            Case::Exact,
            "1 union select"
        ));
        assert!(
            test("ı:", Contains, Case::Upper, Case::Upper, "xI:"),
            "as Go, ı becomes I"
        );
    }

    #[test]
    fn patterns_are_found_behind_what_they_need() {
        use SearchTest::Regexp;
        let lines =
            "\\bNikto\\b\n\\bQueryN\\ Metasearch\\b\nab*c+[xyz]sqlmap\n(?i)zgrab|masscan\nx.y\n";
        for (text, want) in [
            ("Mozilla (Nikto/2.1)", true),
            ("Niktos", false),
            ("QueryN Metasearch", true),
            ("abbcczsqlmap", true),
            ("acxsqlmap", true),
            ("sqlmap", false),
            ("ZGRAB", true),
            ("x-y", true),
            ("Mozilla/5.0", false),
        ] {
            assert_eq!(
                test(lines, Regexp, Case::Exact, Case::Exact, text),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn what_a_pattern_needs_is_never_too_much() {
        for (pattern, want) in [
            (r"\bNikto\b", Some("Nikto")),
            ("colou?r", Some("colo")),
            ("abcd+", Some("abcd")),
            ("abcx*defgh", Some("defgh")),
            ("abc[0-9]de", Some("abc")),
            ("abc[]]de", None),
            ("(?i)abcd", None),
            ("abcd|x", None),
            ("abcd{0,1}", None),
            (r"\x41bcd", None),
            ("ab", None),
        ] {
            let got = needs(pattern.as_bytes());
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{pattern}");
        }
    }
}
