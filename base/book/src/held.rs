//! A decision that the book holds, as it is asked about.

use core::fmt;

use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

use crate::ledger::Ledger;
use crate::record::Record;
use crate::{Change, Force};

/// A decision in the book. The book keeps what decisions have in common once, and addresses as
/// numbers; ask this for what is needed, and for the [`Decision`] where it is shown or written.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    ledger: &'a Ledger,
    slot: u32,
}

impl<'a> Held<'a> {
    pub(crate) fn new(ledger: &'a Ledger, slot: u32) -> Self {
        Self { ledger, slot }
    }

    pub(crate) fn slot(self) -> u32 {
        self.slot
    }

    fn record(self) -> Record {
        self.ledger.record(self.slot)
    }

    /// Its name.
    #[must_use]
    pub fn id(self) -> DecisionId {
        self.record().id()
    }

    /// The addresses it covers, when its scope is an address or a range.
    #[must_use]
    pub fn cidr(self) -> Option<Cidr> {
        self.record().range()
    }

    /// What is done.
    #[must_use]
    pub fn force(self) -> Force {
        self.record().force
    }

    /// What is done, with the name of a kind that only others understand.
    #[must_use]
    pub fn kind(self) -> &'a Kind {
        let manner = self.ledger.manner(self.slot);
        manner.map_or(&Kind::Observe, |manner| &manner.kind)
    }

    /// What kind of thing its value names.
    #[must_use]
    pub fn scope(self) -> &'a Scope {
        let manner = self.ledger.manner(self.slot);
        manner.map_or(&Scope::Ip, |manner| &manner.scope)
    }

    /// Who asked.
    #[must_use]
    pub fn origin(self) -> &'a Origin {
        let manner = self.ledger.manner(self.slot);
        manner.map_or(&Origin::Operator, |manner| &manner.origin)
    }

    /// The scenario's name, or the operator's words.
    #[must_use]
    pub fn reason(self) -> &'a str {
        self.ledger.reason(self.slot)
    }

    /// The address, range, country … as text.
    #[must_use]
    pub fn value(self) -> String {
        match (self.ledger.text(self.slot), self.cidr()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(range)) => range.to_string(),
            (None, None) => String::new(),
        }
    }

    /// When it was decided.
    #[must_use]
    pub fn created(self) -> Timestamp {
        self.record().created
    }

    /// When it ends by itself.
    #[must_use]
    pub fn until(self) -> Timestamp {
        self.record().until
    }

    /// Whether it is in force at `now`.
    #[must_use]
    pub fn is_active(self, now: Timestamp) -> bool {
        self.until() > now
    }

    /// What a view must learn of it; nothing when it covers no addresses.
    pub(crate) fn bar(self) -> Option<Change> {
        Some(Change::Bar {
            range: self.cidr()?,
            id: self.id().0,
            force: self.force(),
            until: self.until(),
        })
    }

    /// What a view must learn when it ends.
    pub(crate) fn lift(self) -> Option<Change> {
        let id = self.id().0;
        self.cidr().map(|range| Change::Lift { range, id })
    }

    /// The decision, as it came.
    #[must_use]
    pub fn decision(self) -> Decision {
        Decision {
            id: self.id(),
            scope: self.scope().clone(),
            value: self.value(),
            kind: self.kind().clone(),
            origin: self.origin().clone(),
            reason: self.reason().to_owned(),
            created: self.created(),
            until: self.until(),
        }
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decision().fmt(f)
    }
}
