//! Writing for people at a terminal: tables that fit, colour only where it is welcome.

use std::io::{self, IsTerminal, Write};

/// What a text means; the terminal decides how that looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// A heading.
    Strong,
    /// Less important.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong, or barred.
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// Where and how a command writes.
pub struct Out {
    writer: Box<dyn Write + Send>,
    colour: bool,
    json: bool,
    width: usize,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out")
            .field("colour", &self.colour)
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Out {
    /// Standard output; colour on a terminal unless `NO_COLOR` is set (no-color.org).
    #[must_use]
    pub fn stdout(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let welcome = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(80);
        Self {
            writer: Box::new(io::stdout()),
            colour: terminal && welcome && !json,
            json,
            width: width.clamp(60, 200),
        }
    }

    /// Any writer, without colour, 80 columns wide.
    #[must_use]
    pub fn plain(writer: Box<dyn Write + Send>, json: bool) -> Self {
        Self {
            writer,
            colour: false,
            json,
            width: 80,
        }
    }

    /// Whether machines read this.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// A text in a tone, for use inside a line.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if self.colour && tone != Tone::Plain {
            format!("{}{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// One line.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.writer, "{text}")?;
        self.writer.flush()
    }

    /// One value as one line of JSON.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn value<T: serde::Serialize>(&mut self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(&text)
    }

    /// Text folded at the width, later lines indented.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn paragraph(&mut self, text: &str, indent: usize) -> io::Result<()> {
        for line in fold(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{:indent$}{line}", ""))?;
        }
        Ok(())
    }

    /// A table. The last column is cut to fit, the others are as wide as they must be.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
        let columns = head.len();
        let mut widths: Vec<usize> = head.iter().map(|title| title.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let last = columns.saturating_sub(1);
        let before: usize = widths.iter().take(last).map(|width| width + 2).sum();
        let room = self.width.saturating_sub(before).max(12);
        if let Some(width) = widths.get_mut(last) {
            *width = (*width).min(room);
        }
        let titles: Vec<Cell> = head
            .iter()
            .map(|title| Cell::toned(Tone::Faint, *title))
            .collect();
        for row in std::iter::once(&titles).chain(rows) {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let text = cut(&cell.text, *width);
                let pad = if at == last {
                    0
                } else {
                    width - text.chars().count() + 2
                };
                line.push_str(&self.paint(cell.tone, &text));
                line.extend(std::iter::repeat_n(' ', pad));
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    tone: Tone,
    text: String,
}

impl Cell {
    /// A plain cell.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            tone: Tone::Plain,
            text: printable(&text.into()),
        }
    }

    /// A cell in a tone.
    #[must_use]
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: printable(&text.into()),
        }
    }
}

/// Text that strangers chose, without the bytes that steer a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A number with its noun: `1 site`, `2 sites`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

pub(crate) fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn tables_fit_eighty_columns_and_hide_terminal_escapes() {
        let kept = Kept::default();
        let mut out = Out::plain(Box::new(kept.clone()), false);
        let long = format!("\x1b[2J{}", "a".repeat(200));
        out.table(
            &["WHO", "WHAT"],
            &[vec![Cell::new("192.0.2.1"), Cell::new(long)]],
        )
        .unwrap();
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(text.contains("192.0.2.1  \u{fffd}[2Jaaa"), "{text}");
    }

    #[test]
    fn paragraphs_fold_between_words() {
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
        assert_eq!(fold("", 7), [""]);
    }
}
