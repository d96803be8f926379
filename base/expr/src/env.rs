//! What an evaluation asks of its surroundings.

use std::borrow::Cow;

use crate::error::EvalError;
use crate::schema::{SearchId, SlotId};
use crate::value::{Data, Value};

/// The surroundings of one evaluation: an event, a bucket's queue, an alert.
///
/// Only [`Env::text`] and [`Env::value`] must be written; the others refuse by default.
pub trait Env {
    /// The value of a slot of type [`Type::Text`](crate::Type::Text); empty when absent.
    fn text(&self, slot: SlotId) -> &[u8];

    /// The value of any slot. For a slot of type `Text` the same as [`Env::text`].
    fn value(&self, slot: SlotId) -> Value<'_>;

    /// Whether a slot that is a map of texts has a key; `None`: look for it in the map that
    /// [`Env::value`] gives.
    fn has_key(&self, map: SlotId, key: &[u8]) -> Option<bool> {
        let _ = (map, key);
        None
    }

    /// The lines of the data file `name` (comments and empty lines left out); `None`
    /// when it is not loaded, which evaluates as an empty list.
    fn file(&self, name: &[u8]) -> Option<&[Box<[u8]>]> {
        let _ = name;
        None
    }

    /// Whether `text` (as it is, before [`DataSearch::text_case`]) passes the test with
    /// any line of the file. `None`: not prepared, scan [`Env::file`] line by line; for
    /// [`SearchTest::Regexp`] `None` is an error, since lines are no compiled patterns.
    fn search(&self, search: &DataSearch, text: &[u8]) -> Option<bool> {
        let _ = (search, text);
        None
    }

    /// Answers what lies outside of the event.
    ///
    /// # Errors
    /// [`Unanswered`] says whether to wait or to give up.
    fn ask(&self, question: &Question<'_>) -> Result<Value<'_>, Unanswered> {
        let _ = question;
        Err(Unanswered::Unavailable)
    }

    /// Changes the event; seen by everything evaluated after it, in this expression too.
    ///
    /// # Errors
    /// [`EvalError`] when the change cannot be made; the evaluation stops.
    fn apply(&mut self, effect: Effect<'_>) -> Result<(), EvalError> {
        Err(EvalError::Unavailable(effect.function()))
    }
}

/// Why a [`Question`] has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unanswered {
    /// The answer can be had: park the event and fetch it ([`EvalError::Need`]).
    Wait,
    /// Nobody here can answer this.
    Unavailable,
}

/// What lies outside of the event. The answer's type stands beside each question.
#[derive(Clone, PartialEq, Debug)]
pub enum Question<'q> {
    /// `GetDecisionsCount(value)`: Int.
    Decisions {
        /// Address, range or whatever the decisions are about.
        value: Cow<'q, [u8]>,
    },
    /// `GetDecisionsSinceCount(value, since)`: Int.
    DecisionsSince {
        /// What the decisions are about.
        value: Cow<'q, [u8]>,
        /// How far back, in nanoseconds.
        since: i64,
    },
    /// `GetActiveDecisionsCount(value)`: Int.
    ActiveDecisions {
        /// What the decisions are about.
        value: Cow<'q, [u8]>,
    },
    /// `GetActiveDecisionsTimeLeft(value)`: Duration.
    ActiveTimeLeft {
        /// What the decisions are about.
        value: Cow<'q, [u8]>,
    },
    /// `GetFromStash(cache, key)`: Text, empty when absent.
    Stash {
        /// The stash's name.
        cache: Cow<'q, [u8]>,
        /// The key in it.
        key: Cow<'q, [u8]>,
    },
    /// `LookupFile(text, file)`: Text, the tag of the first pattern of a map file that
    /// fits `text`; empty when none does.
    LookupFile {
        /// What is looked up.
        text: Cow<'q, [u8]>,
        /// The map file's name.
        file: Cow<'q, [u8]>,
    },
    /// `RegexpInFile(text, file)` with a computed file name: Bool.
    RegexpInFile {
        /// What is matched.
        text: Cow<'q, [u8]>,
        /// The file of patterns.
        file: Cow<'q, [u8]>,
    },
    /// `LookupHost(name)`: list of Text.
    LookupHost {
        /// The host's name.
        name: Cow<'q, [u8]>,
    },
    /// `TimeNow()` and `now()`: Time.
    Now,
    /// Any other function that this crate knows by name but cannot answer itself:
    /// `JA4H`, `CrowdsecCTI`, `GeoIPEnrich`, `LogInfo`, …
    Other {
        /// The function's name.
        function: &'static str,
        /// Its arguments; objects are passed as nil.
        args: Vec<Data>,
    },
}

impl Question<'_> {
    /// The function's name as the rule wrote it.
    #[must_use]
    pub fn function(&self) -> &'static str {
        match self {
            Self::Decisions { .. } => "GetDecisionsCount",
            Self::DecisionsSince { .. } => "GetDecisionsSinceCount",
            Self::ActiveDecisions { .. } => "GetActiveDecisionsCount",
            Self::ActiveTimeLeft { .. } => "GetActiveDecisionsTimeLeft",
            Self::Stash { .. } => "GetFromStash",
            Self::LookupFile { .. } => "LookupFile",
            Self::RegexpInFile { .. } => "RegexpInFile",
            Self::LookupHost { .. } => "LookupHost",
            Self::Now => "TimeNow",
            Self::Other { function, .. } => function,
        }
    }

    /// The same question, owning its strings.
    #[must_use]
    pub fn into_owned(self) -> Question<'static> {
        fn own(text: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
            Cow::Owned(text.into_owned())
        }
        match self {
            Self::Decisions { value } => Question::Decisions { value: own(value) },
            Self::DecisionsSince { value, since } => Question::DecisionsSince {
                value: own(value),
                since,
            },
            Self::ActiveDecisions { value } => Question::ActiveDecisions { value: own(value) },
            Self::ActiveTimeLeft { value } => Question::ActiveTimeLeft { value: own(value) },
            Self::Stash { cache, key } => Question::Stash {
                cache: own(cache),
                key: own(key),
            },
            Self::LookupFile { text, file } => Question::LookupFile {
                text: own(text),
                file: own(file),
            },
            Self::RegexpInFile { text, file } => Question::RegexpInFile {
                text: own(text),
                file: own(file),
            },
            Self::LookupHost { name } => Question::LookupHost { name: own(name) },
            Self::Now => Question::Now,
            Self::Other { function, args } => Question::Other { function, args },
        }
    }
}

/// A change of the event that an expression asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect<'e> {
    /// `evt.SetMeta(key, value)`.
    SetMeta {
        /// The meta key.
        key: &'e [u8],
        /// Its new value.
        value: &'e [u8],
    },
    /// `evt.SetParsed(key, value)`.
    SetParsed {
        /// The parsed key.
        key: &'e [u8],
        /// Its new value.
        value: &'e [u8],
    },
    /// `UnmarshalJSON`, `ParseKV`, `ParseKVLax`: put `data` under `key` of the map that
    /// `target` is (`evt.Unmarshaled`). JSON replaces; for key-value pairs
    /// (`data` is a map whose missing keys are empty strings) see `merge`.
    Unmarshal {
        /// The map to change.
        target: SlotId,
        /// The key in it.
        key: &'e [u8],
        /// What to put there.
        data: Data,
        /// Whether to add to a map of pairs that is already there (ParseKV) instead of
        /// replacing (UnmarshalJSON).
        merge: bool,
    },
    /// `SetInStash(cache, key, value, ttl)`.
    Stash {
        /// The stash's name.
        cache: &'e [u8],
        /// The key in it.
        key: &'e [u8],
        /// The value.
        value: &'e [u8],
        /// How long it lives, in nanoseconds; `None`: the stash's own default.
        ttl: Option<i64>,
    },
}

impl Effect<'_> {
    /// The function's name as the rule wrote it.
    #[must_use]
    pub fn function(&self) -> &'static str {
        match self {
            Self::SetMeta { .. } => "SetMeta",
            Self::SetParsed { .. } => "SetParsed",
            Self::Unmarshal { .. } => "UnmarshalJSON",
            Self::Stash { .. } => "SetInStash",
        }
    }
}

/// How letters are changed before a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Case {
    /// Not at all.
    Exact,
    /// By `Upper(…)`.
    Upper,
    /// By `Lower(…)`.
    Lower,
}

/// How a text is held against a line of a data file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SearchTest {
    /// The text contains the line.
    Contains,
    /// The text starts with the line.
    StartsWith,
    /// The text ends with the line.
    EndsWith,
    /// The text is the line.
    Equal,
    /// The text is an address in the range that the line is (`IpInRange`).
    InRange,
    /// The line is a Go regular expression that matches the text (`RegexpInFile`).
    Regexp,
    /// The line is a Go regular expression that matches the text (`TEXT matches #`). A
    /// line that is none makes the test fail, so that a prepared search answers only where
    /// there is no such line.
    Matches,
}

/// A test of one text against every line of a data file, recognised in the source as
/// `any(File("f"), { TEXT contains # })`, `TEXT in File("f")` or
/// `RegexpInFile(TEXT, "f")`, so that the data set can answer with one automaton.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DataSearch {
    /// The file's name.
    pub file: Box<[u8]>,
    /// The test.
    pub test: SearchTest,
    /// What happens to the text before the test.
    pub text_case: Case,
    /// What happens to each line before the test.
    pub line_case: Case,
    /// The number that the [`Schema`](crate::Schema) gave it.
    pub id: Option<SearchId>,
}
