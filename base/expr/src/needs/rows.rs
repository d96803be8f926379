//! The texts that every match of a regular expression has, one after the other.
//!
//! **For.** Not searching texts that lack one of them. **Refuses.** Short texts, which
//! nearly every text has, and more than a few. **Assumes.** Nothing: letters whose case does
//! not matter are none of these texts. **On failure.** No texts: run the expression.

use core::cmp::Reverse;

use regex_syntax::hir::{Hir, HirKind};

/// The shortest text that is worth looking for.
const SHORTEST: usize = 4;
/// How many texts are looked for at most.
const MOST: usize = 4;

/// ASCII texts that every match of a (Rust) regular expression contains, in this order and
/// without overlap; none where nothing is known.
#[must_use]
pub fn regex_rows(pattern: &str, nest: u32) -> Vec<Box<[u8]>> {
    let parsed = regex_syntax::ParserBuilder::new()
        .utf8(false)
        .nest_limit(nest)
        .build()
        .parse(pattern);
    let Ok(hir) = parsed else {
        return Vec::new();
    };
    let mut rows = Rows::default();
    rows.add(&hir);
    rows.end();
    // The longest are the rarest; they stay in their order.
    let mut done: Vec<_> = rows.done.into_iter().enumerate().collect();
    done.sort_by_key(|(at, row)| (Reverse(row.len()), Reverse(*at)));
    done.truncate(MOST);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, row)| row).collect()
}

#[derive(Default)]
struct Rows {
    done: Vec<Box<[u8]>>,
    open: Vec<u8>,
}

impl Rows {
    /// What came so far is followed by something that is not known.
    fn end(&mut self) {
        if self.open.len() >= SHORTEST {
            self.done.push(self.open.as_slice().into());
        }
        self.open.clear();
    }

    fn add(&mut self, hir: &Hir) {
        match hir.kind() {
            // Boundaries take no room.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) if literal.0.is_ascii() => {
                self.open.extend_from_slice(&literal.0);
            }
            HirKind::Capture(capture) => self.add(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.add(part)),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                self.end();
                self.add(&repetition.sub);
                self.end();
            }
            HirKind::Literal(_)
            | HirKind::Class(_)
            | HirKind::Repetition(_)
            | HirKind::Alternation(_) => self.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_has_the_texts_in_their_order() {
        for (pattern, want) in [
            (
                "Failed (\\w+) for (x|y)z? from",
                &["Failed ", " for ", " from"][..],
            ),
            ("^(?P<a>pam_)(?P<b>unix)\\b: ", &["pam_unix: "]),
            ("(?:abcd)+efgh", &["abcd", "efgh"]),
            ("(?:abcd)*efgh", &["efgh"]),
            ("(?i)abcd-1234", &["-1234"]),
            ("abcd|abce", &[]),
            ("(abcdef)?", &[]),
            ("abc", &[]),
            ("\u{e4}abcd\u{e4}", &[]),
            ("(", &[]),
            (
                "aaaa.bbbbb.cccccc.dddddd.eeeeee",
                &["bbbbb", "cccccc", "dddddd", "eeeeee"],
            ),
        ] {
            let rows = regex_rows(pattern, 50);
            let rows: Vec<&str> = rows
                .iter()
                .map(|row| core::str::from_utf8(row).unwrap())
                .collect();
            assert_eq!(rows, want, "{pattern}");
        }
    }
}
