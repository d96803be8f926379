//! What only the world outside knows: host names, and what the book decided before.
//!
//! For: expressions and methods that ask for it. The core asks ([`Query`]); whoever runs
//! it answers at once, later, or never. Refuses: to look anything up itself. Assumes:
//! answers come from the network, where strangers write: they are data like any other.
//! On failure: what has no answer is empty, and counted.

use core::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use expr::{Data, Question, Unanswered, Value};

/// A question to the network.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Query {
    /// The name of an address (`reverse_dns`): the answer ends in a dot.
    Reverse(IpAddr),
    /// The addresses of a name (`LookupHost`).
    Host(Box<str>),
}

/// An answer: names or addresses, none when there are none.
pub type Answer = Vec<Box<str>>;

/// What the book knows of whom decisions are about. Answered at once.
pub trait BookView: Send + Sync + core::fmt::Debug {
    /// How many decisions there were about this value, those that ended included, of the
    /// last `within` nanoseconds or of all time.
    fn decisions(&self, value: &str, within: Option<i64>) -> i64;
    /// How many of them are in force.
    fn active(&self, value: &str) -> i64;
    /// How long the last of those in force lasts, in nanoseconds.
    fn time_left(&self, value: &str) -> i64;
}

/// The addresses of hosts that were looked up beforehand.
pub trait HostsView: Send + Sync + core::fmt::Debug {
    /// A host's addresses; `None` when it was not looked up (yet).
    fn addresses(&self, name: &str) -> Option<Arc<Answer>>;
}

/// How one thread's events see the world outside.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// Answers to what the event under work asked before.
    pub(crate) known: Vec<(Query, Answer)>,
    /// The first question that has no answer yet.
    pub(crate) wanted: Option<Query>,
    /// Whether questions to the network are put at all; otherwise the answer is nothing.
    pub(crate) asks: bool,
    /// Whether what is under work can wait: an overflow can, an event cannot.
    pub(crate) waits: bool,
    pub(crate) book: Option<Arc<dyn BookView>>,
    pub(crate) hosts: Option<Arc<dyn HostsView>>,
    /// Questions that nobody was there to answer.
    pub(crate) unanswered: u64,
}

impl Outside {
    /// The answer; `None` when it is not here yet.
    pub(crate) fn answer(&mut self, query: &Query) -> Option<&Answer> {
        static NOTHING: Answer = Vec::new();
        let known = self.known.iter().position(|(known, _)| known == query);
        if let Some(at) = known {
            return self.known.get(at).map(|(_, answer)| answer);
        }
        if !(self.asks && self.waits) {
            self.unanswered += 1;
            return Some(&NOTHING);
        }
        if self.wanted.is_none() {
            self.wanted = Some(query.clone());
        }
        None
    }

    /// Answers what expressions ask.
    pub(crate) fn ask(&mut self, question: &Question<'_>) -> Result<Value<'static>, Unanswered> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        match question {
            Question::LookupHost { name } => {
                let Ok(name) = core::str::from_utf8(name) else {
                    return Ok(Value::List(Rc::default()));
                };
                let list = |answer: &Answer| {
                    let names = answer.iter();
                    let list = names.map(|name| Data::text(name.as_bytes())).collect();
                    Value::Tree(Rc::new(Data::List(list)))
                };
                let looked_up = self.hosts.as_ref().and_then(|hosts| hosts.addresses(name));
                if let Some(answer) = looked_up {
                    return Ok(list(&answer));
                }
                let answer = self.answer(&Query::Host(name.into()));
                answer.map(list).ok_or(Unanswered::Wait)
            }
            Question::Decisions { value } => Ok(Value::Int(
                self.book(|book| book.decisions(&text(value), None)),
            )),
            Question::DecisionsSince { value, since } => Ok(Value::Int(
                self.book(|book| book.decisions(&text(value), Some(*since))),
            )),
            Question::ActiveDecisions { value } => {
                Ok(Value::Int(self.book(|book| book.active(&text(value)))))
            }
            Question::ActiveTimeLeft { value } => Ok(Value::Duration(
                self.book(|book| book.time_left(&text(value))),
            )),
            _ => Err(Unanswered::Unavailable),
        }
    }

    /// What the book says; nothing where there is none.
    fn book(&mut self, of: impl Fn(&dyn BookView) -> i64) -> i64 {
        match &self.book {
            Some(book) => of(&**book),
            None => {
                self.unanswered += 1;
                0
            }
        }
    }

    /// The question that has no answer yet; from here on nothing waits.
    pub(crate) fn end(&mut self) -> Option<Query> {
        self.waits = false;
        self.known.clear();
        self.wanted.take()
    }

    /// Begins anew with these answers.
    pub(crate) fn begin(&mut self, known: &[(Query, Answer)]) {
        self.known.clear();
        self.known.extend_from_slice(known);
        self.wanted = None;
        self.waits = true;
    }
}
