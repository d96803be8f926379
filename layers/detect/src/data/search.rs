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
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, Input, MatchKind, StartKind};
use expr::needs::regex_words;
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

/// Regular expressions behind the words they cannot do without.
#[derive(Clone, Debug)]
struct Patterns {
    /// Looks for the words, ASCII case disregarded.
    needed: Option<AhoCorasick>,
    /// The place of the expression behind each word, in the automaton's order.
    behind: Vec<usize>,
    /// Expressions that have words.
    wordy: Vec<Wordy>,
    /// Expressions without; always run.
    always: Vec<Regex>,
}

/// An expression behind its words. Most are never run, since nobody sends their words, and each
/// takes twenty kilobytes: so it is compiled when its words are first seen. That takes some
/// hundred microseconds, once; what takes longer is compiled at the start.
#[derive(Clone, Debug)]
struct Wordy {
    /// Empty where the expression was compiled at the start.
    line: Box<[u8]>,
    regex: OnceLock<Option<Regex>>,
}

impl Wordy {
    fn later(line: &[u8]) -> Self {
        Self {
            line: line.into(),
            regex: OnceLock::new(),
        }
    }

    fn now(regex: Regex) -> Self {
        Self {
            line: Box::default(),
            regex: OnceLock::from(Some(regex)),
        }
    }

    /// The expression; nothing never comes of a line that was compiled before.
    fn regex(&self) -> Option<&Regex> {
        let compiled = || go_regex::compile_quickly(&self.line).ok();
        self.regex.get_or_init(compiled).as_ref()
    }
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
            let matcher = matcher(search, file, &mut |line, what| broken(name, line, what))?;
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
) -> Option<Matcher> {
    let lines = || file.lines.iter().map(|line| cased(search.line_case, line));
    if file.lines.is_empty() {
        return Some(Matcher::Never);
    }
    let matcher = match search.test {
        SearchTest::Contains => automaton(lines(), false, false).map(Matcher::Contains),
        SearchTest::StartsWith => automaton(lines(), true, false).map(Matcher::Starts),
        SearchTest::EndsWith => {
            let longest = lines().map(|line| line.len()).max().unwrap_or(0);
            let reversed = lines().map(|line| line.iter().rev().copied().collect::<Vec<u8>>());
            automaton(reversed, true, false).map(|automaton| Matcher::Ends(automaton, longest))
        }
        SearchTest::Equal => Some(Matcher::Equal(
            lines().map(|line| Box::from(&*line)).collect(),
        )),
        SearchTest::InRange => Some(Matcher::InRange(ranges(file, broken))),
        SearchTest::Regexp => {
            let all = patterns(lines(), go_regex::compile, broken);
            Some(Matcher::Patterns(Box::new(all)))
        }
        SearchTest::Matches => {
            let mut whole = true;
            let all = patterns(lines(), go_regex::compile_small, &mut |_, _| whole = false);
            // Otherwise the expression says by itself that it fails.
            return whole.then(|| Matcher::Patterns(Box::new(all)));
        }
    };
    Some(matcher.unwrap_or(Matcher::Never))
}

/// An automaton over lines: a compact one, since few texts get as far. A table of all states
/// takes ten times as much.
fn automaton(
    lines: impl Iterator<Item = impl AsRef<[u8]>>,
    anchored: bool,
    any_case: bool,
) -> Option<AhoCorasick> {
    let lines: Vec<_> = lines.collect();
    let start = if anchored {
        StartKind::Anchored
    } else {
        StartKind::Unanchored
    };
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .start_kind(start)
        .ascii_case_insensitive(any_case)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
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

fn patterns<'l>(
    lines: impl Iterator<Item = Cow<'l, [u8]>>,
    compile: impl Fn(&[u8]) -> Result<Regex, go_regex::RegexError>,
    broken: &mut dyn FnMut(&[u8], String),
) -> Patterns {
    let mut needed: Vec<Box<[u8]>> = Vec::new();
    let mut found = Patterns {
        needed: None,
        behind: Vec::new(),
        wordy: Vec::new(),
        always: Vec::new(),
    };
    for line in lines {
        let quick = go_regex::compile_quickly(&line);
        let is_quick = quick.is_ok();
        let regex = match quick.or_else(|_| compile(&line)) {
            Ok(regex) => regex,
            Err(error) => {
                broken(&line, error.to_string());
                continue;
            }
        };
        let Some(words) = regex_words(regex.as_str()) else {
            found.always.push(regex);
            continue;
        };
        found.behind.extend(words.iter().map(|_| found.wordy.len()));
        needed.extend(words);
        found.wordy.push(if is_quick {
            Wordy::later(&line)
        } else {
            Wordy::now(regex)
        });
    }
    if !needed.is_empty() {
        found.needed = automaton(needed.iter(), false, true);
    }
    found
}

/// Words, in lower case, of which every match of a line's regular expression contains
/// one; `None` when nothing is known.
pub(crate) fn needs(line: &[u8]) -> Option<Vec<Box<[u8]>>> {
    regex_words(&go_regex::translate(line).ok()?)
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
        self.any(&go_regex::readable(text), |regex, text| {
            regex.is_match(text)
        })
    }

    /// Runs expressions on a text until one holds, each at most once: whoever writes the
    /// text repeats the words in front of them as often as it has room.
    fn any(&self, text: &[u8], mut holds: impl FnMut(&Regex, &[u8]) -> bool) -> bool {
        if self.always.iter().any(|regex| holds(regex, text)) {
            return true;
        }
        let Some(needed) = self.needed.as_ref().filter(|_| !has_odd_letters(text)) else {
            let mut wordy = self.wordy.iter().filter_map(Wordy::regex);
            return wordy.any(|regex| holds(regex, text));
        };
        let mut tried = Tried::default();
        needed.find_overlapping_iter(text).any(|found| {
            self.behind
                .get(found.pattern().as_usize())
                .filter(|place| tried.is_first(**place))
                .and_then(|place| self.wordy.get(*place)?.regex())
                .is_some_and(|regex| holds(regex, text))
        })
    }
}

/// Which expressions were run on a text.
#[derive(Default)]
struct Tried {
    /// As many as lists have; longer lists take room of their own.
    few: [u64; 8],
    many: Vec<u64>,
}

impl Tried {
    /// Notes the expression at a place; whether that is news.
    fn is_first(&mut self, place: usize) -> bool {
        let (word, bit) = (place / 64, 1 << (place % 64));
        let held = if word < self.few.len() {
            self.few.get_mut(word)
        } else {
            let word = word - self.few.len();
            if self.many.len() <= word {
                self.many.resize(word + 1, 0);
            }
            self.many.get_mut(word)
        };
        held.is_some_and(|held| {
            let is_first = *held & bit == 0;
            *held |= bit;
            is_first
        })
    }
}

/// Whether a text has letters that stand for `s` or `k` where case does not matter.
fn has_odd_letters(text: &[u8]) -> bool {
    let has = |letter: &str| memchr::memmem::find(text, letter.as_bytes()).is_some();
    !text.is_ascii() && (has("\u{17f}") || has("\u{212a}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::DataKind;
    use expr::SearchId;

    fn test(lines: &str, how: SearchTest, text_case: Case, line_case: Case, text: &str) -> bool {
        tester(lines, how, text_case, line_case)(text)
    }

    fn tester(
        lines: &str,
        test: SearchTest,
        text_case: Case,
        line_case: Case,
    ) -> impl Fn(&str) -> bool {
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
        move |text| searches.test(&search, text.as_bytes()).unwrap()
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
    fn a_pattern_is_compiled_when_its_words_are_seen_and_one_that_takes_long_at_the_start() {
        let lines = "alpha[0-9]z\nbeta[0-9]z\ngamma[a-z]{3000}";
        let mut data = DataSet::default();
        data.add("f", DataKind::Lines, lines);
        let file = data.get("f").unwrap();
        let lines = file.lines.iter().map(|line| Cow::Borrowed(&**line));
        let found = patterns(lines, go_regex::compile, &mut |_, what| panic!("{what}"));
        let compiled = || -> Vec<bool> {
            let wordy = found.wordy.iter();
            wordy.map(|one| one.regex.get().is_some()).collect()
        };
        assert_eq!(compiled(), [false, false, true]);
        assert!(!found.test(b"nothing of it"));
        assert_eq!(compiled(), [false, false, true]);
        assert!(!found.test(b"beta"));
        assert_eq!(compiled(), [false, true, true]);
        assert!(found.test(b"BETA or beta5z"));
        assert!(found.test(b"alpha1z"));
        assert_eq!(compiled(), [true, true, true]);
    }

    #[test]
    fn computed_patterns_are_prepared_unless_one_is_none() {
        use SearchTest::Matches;
        let lines = "/a[0-9]+$\n/b(c|d)";
        for (text, want) in [
            ("/A12", true),
            ("/a12x", false),
            ("/bd", true),
            ("/be", false),
        ] {
            let got = test(lines, Matches, Case::Upper, Case::Upper, text);
            assert_eq!(got, want, "{text}");
        }
        let mut data = DataSet::default();
        data.add("f", DataKind::Lines, "/a\n(");
        let search = DataSearch {
            file: b"f".as_slice().into(),
            test: Matches,
            text_case: Case::Exact,
            line_case: Case::Exact,
            id: Some(SearchId(0)),
        };
        let searches = Searches::prepare(std::slice::from_ref(&search), &data, |_, _, what| {
            panic!("the expression says so itself: {what}")
        });
        assert_eq!(searches.test(&search, b"/a"), None, "asked line by line");
    }

    #[test]
    fn letters_beyond_ascii_hide_nothing() {
        use SearchTest::Regexp;
        for (text, want) in [
            ("\u{e4} SQLMAP", true),
            ("\u{17f}qlmap", true),
            ("nu\u{212a}e", true),
            ("\u{e4} qlmap", false),
        ] {
            let got = test(
                "(?i)sqlmap\n(?i)nuke",
                Regexp,
                Case::Exact,
                Case::Exact,
                text,
            );
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn no_text_makes_an_expression_run_twice() {
        // Words of several expressions by turns, and of six hundred by turns.
        let few = "(?i)select[0-9]x\n(?i)select[0-9]y\n(?i)select[0-9]z\n(?i)union[0-9]x";
        let many: Vec<String> = (0..600).map(|at| format!("word{at:03}[0-9]z")).collect();
        let by_turns: Vec<String> = (0..600).map(|at| format!("word{at:03}")).collect();
        for (lines, text) in [
            (few, "selectunion".repeat(800)),
            (few, "select".repeat(1_360)),
            (&many.join("\n"), by_turns.concat().repeat(3)),
        ] {
            let mut data = DataSet::default();
            data.add("f", DataKind::Lines, lines);
            let file = data.get("f").unwrap();
            let lines = file.lines.iter().map(|line| Cow::Borrowed(&**line));
            let found = patterns(lines, go_regex::compile, &mut |_, what| panic!("{what}"));
            let mut runs = 0;
            let matched = found.any(text.as_bytes(), |regex, text| {
                runs += 1;
                regex.is_match(text)
            });
            assert!(!matched, "every expression is to be run");
            assert!(runs <= found.wordy.len(), "{runs} runs on one text");
            assert!(runs >= 3, "the words were found: {runs}");
        }
    }

    #[test]
    fn patterns_that_ever_match_are_found_on_random_texts() {
        // The same lines asked one by one, without the words in front of them.
        let lines = "(?i)\\bunion\\b[\\s+]+select\n['\"]\\s*(?:or|and)\\s\n/(v[23]|thumb[a-z]*)/\n<\\s*img\n^ab?c$";
        let alone: Vec<Regex> = lines
            .lines()
            .map(|line| go_regex::compile(line.as_bytes()).unwrap())
            .collect();
        let pieces = [
            "union", "SELECT", "+", " ", "'", "or", "/v2/", "/thumb", "s/", "<", "img", "a", "b",
            "c", "\u{17f}",
        ];
        let tested = tester(lines, SearchTest::Regexp, Case::Exact, Case::Exact);
        let mut state = 7_u64;
        let mut hits = 0;
        for _ in 0..5_000 {
            let mut text = String::new();
            for _ in 0..6 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                text += pieces[(state >> 33) as usize % pieces.len()];
                let want = alone.iter().any(|regex| regex.is_match(text.as_bytes()));
                assert_eq!(tested(&text), want, "{text}");
                hits += u32::from(want);
            }
        }
        assert!(hits > 1_000, "the texts are not empty of matches: {hits}");
    }
}
