//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// What kind of fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The file cannot be read.
    Unreadable,
    /// It is not TOML.
    Syntax,
    /// A key that does not exist.
    UnknownKey,
    /// A value of another type than is allowed.
    WrongType,
    /// A value that is not allowed.
    BadValue,
    /// A key that must be there and is not.
    Missing,
    /// Two values that contradict each other.
    Conflict,
    /// A file that is named and is not there, or is not what it should be.
    File,
}

impl Cause {
    /// A constant name for tools.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "config::unreadable",
            Self::Syntax => "config::syntax",
            Self::UnknownKey => "config::unknown_key",
            Self::WrongType => "config::wrong_type",
            Self::BadValue => "config::bad_value",
            Self::Missing => "config::missing",
            Self::Conflict => "config::conflict",
            Self::File => "config::file",
        }
    }
}

/// Where a fault is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the file.
    File {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1 in characters.
        column: usize,
        /// The bytes it spans.
        span: Range<usize>,
    },
    /// In an environment variable.
    Env(String),
    /// In an argument of the command line.
    Argument(&'static str),
    /// Nowhere in particular: something is missing from the whole.
    Whole,
}

/// The text of a configuration file under its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    pub(crate) name: PathBuf,
    pub(crate) text: Arc<str>,
}

/// One thing that is wrong, with everything needed to put it right.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What kind of fault it is.
    pub cause: Cause,
    /// Where it is.
    pub place: Place,
    /// The key's path, such as `edge.site[0].to[1]`; empty for the whole file.
    pub key: String,
    /// The value as it was written; empty where there is none.
    pub value: String,
    /// What is wrong, without a full stop.
    pub problem: String,
    /// What is allowed, or the likely fix: a whole sentence, or empty.
    pub help: String,
    source: Option<NamedSource<Arc<str>>>,
    file: PathBuf,
}

impl Fault {
    pub(crate) fn new(cause: Cause, place: Place, source: &Source) -> Self {
        let file = source.name.clone();
        let shown = matches!(place, Place::File { .. }).then(|| {
            NamedSource::new(file.display().to_string(), Arc::clone(&source.text))
                .with_language("TOML")
        });
        Self {
            cause,
            place,
            key: String::new(),
            value: String::new(),
            problem: String::new(),
            help: String::new(),
            source: shown,
            file,
        }
    }

    /// The value as it stands in the file, its first line, cut to 60 characters.
    pub(crate) fn written(&self) -> String {
        let (Place::File { span, .. }, Some(source)) = (&self.place, &self.source) else {
            return String::new();
        };
        let text = source.inner().get(span.clone()).unwrap_or("");
        let line = text.lines().next().unwrap_or("");
        let mut shown: String = line.chars().take(60).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    }

    /// Line and column, both counted from 1, when the fault is in the file.
    #[must_use]
    pub const fn line_column(&self) -> Option<(usize, usize)> {
        match self.place {
            Place::File { line, column, .. } => Some((line, column)),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    /// `ringwall.toml:3:10: edge.listen[0]: "0.0.0.0": missing port, expected …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { line, column, .. } => {
                write!(f, "{}:{line}:{column}: ", self.file.display())?;
            }
            Place::Env(name) => write!(f, "environment {name}: ")?,
            Place::Argument(name) => write!(f, "argument {name}: ")?,
            Place::Whole => write!(f, "{}: ", self.file.display())?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        if !self.value.is_empty() {
            write!(f, "{}: ", self.value)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.cause.code()))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn fmt::Display + 'a>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place::File { span, .. } = &self.place else {
            return None;
        };
        let label = LabeledSpan::new_with_span(Some(self.problem.clone()), span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
/// Never empty.
#[derive(Clone, Debug)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.line_column().unwrap_or((usize::MAX, 0)));
        Self(faults)
    }

    /// The faults in the order of the file; those outside the file come last.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one fault"
    )]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let (faults, them) = if count == 1 {
            ("fault", "it")
        } else {
            ("faults", "them")
        };
        write!(
            f,
            "The configuration has {count} {faults}; nothing was changed. Put {them} right and run 'ringwall check'."
        )
    }
}

impl std::error::Error for Faults {}

impl Diagnostic for Faults {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(
            self.0.iter().map(|fault| fault as &dyn Diagnostic),
        ))
    }
}
