//! Names of fields and their numbers.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;

use expr::{DataSearch, SearchId, SlotId};

/// Which map a name belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Space {
    /// `evt.Meta`.
    Meta,
    /// `evt.Parsed`.
    Parsed,
    /// `evt.Enriched`.
    Enriched,
    /// `evt.Line.Labels`.
    Label,
    /// A field of the event itself, such as `evt.StrTime` or `evt.Line.Raw`.
    Field,
    /// A value that is no text, such as `evt.Time` or the map `evt.Meta`.
    Special,
}

impl Space {
    pub(crate) const COUNT: usize = 6;

    pub(crate) fn place(self) -> usize {
        self as usize
    }
}

/// Slots whose numbers are fixed, because code of this crate reads or writes them.
pub mod slot {
    use super::{SlotId, Space};

    macro_rules! fixed {
        ($($name:ident = $number:literal, $space:ident, $text:literal;)*) => {
            $(
                #[doc = concat!("`", stringify!($space), ".", $text, "`")]
                pub const $name: SlotId = SlotId($number);
            )*
            pub(super) const FIXED: &[(SlotId, Space, &str)] = &[$(($name, Space::$space, $text)),*];
        };
    }

    fixed! {
        META_SERVICE = 0, Meta, "service";
        META_LOG_TYPE = 1, Meta, "log_type";
        META_SOURCE_IP = 2, Meta, "source_ip";
        META_HTTP_STATUS = 3, Meta, "http_status";
        META_HTTP_PATH = 4, Meta, "http_path";
        META_HTTP_VERB = 5, Meta, "http_verb";
        META_HTTP_USER_AGENT = 6, Meta, "http_user_agent";
        META_HTTP_ARGS_LEN = 7, Meta, "http_args_len";
        META_TARGET_FQDN = 8, Meta, "target_fqdn";
        META_TIMESTAMP = 9, Meta, "timestamp";
        META_DATASOURCE_TYPE = 10, Meta, "datasource_type";
        META_DATASOURCE_PATH = 11, Meta, "datasource_path";
        PARSED_REQUEST = 12, Parsed, "request";
        PARSED_HTTP_ARGS = 13, Parsed, "http_args";
        PARSED_FILE_DIR = 14, Parsed, "file_dir";
        PARSED_FILE_FRAG = 15, Parsed, "file_frag";
        PARSED_FILE_EXT = 16, Parsed, "file_ext";
        PARSED_FILE_NAME = 17, Parsed, "file_name";
        PARSED_STATIC = 18, Parsed, "static_ressource";
        PARSED_IMPACT = 19, Parsed, "impact_completion";
        PARSED_TARGET_FQDN = 20, Parsed, "target_fqdn";
        PARSED_VERB = 21, Parsed, "verb";
        PARSED_HTTP_VERSION = 22, Parsed, "http_version";
        PARSED_STATUS = 23, Parsed, "status";
        PARSED_BODY_BYTES = 24, Parsed, "body_bytes_sent";
        PARSED_REFERER = 25, Parsed, "http_referer";
        PARSED_USER_AGENT = 26, Parsed, "http_user_agent";
        PARSED_REMOTE_ADDR = 27, Parsed, "remote_addr";
        PARSED_REMOTE_USER = 28, Parsed, "remote_user";
        PARSED_MESSAGE = 29, Parsed, "message";
        PARSED_PROGRAM = 30, Parsed, "program";
        ENRICHED_MARSHALED_TIME = 31, Enriched, "MarshaledTime";
        LINE_RAW = 32, Field, "Line.Raw";
        LINE_SRC = 33, Field, "Line.Src";
        LINE_MODULE = 34, Field, "Line.Module";
        STR_TIME = 35, Field, "StrTime";
        STR_TIME_FORMAT = 36, Field, "StrTimeFormat";
        MARSHALED_TIME = 37, Field, "MarshaledTime";
        WHITELIST_REASON = 38, Field, "WhitelistReason";
        LABEL_TYPE = 39, Label, "type";
        MAP_META = 40, Special, "Meta";
        MAP_PARSED = 41, Special, "Parsed";
        MAP_ENRICHED = 42, Special, "Enriched";
        MAP_LABELS = 43, Special, "Line.Labels";
        UNMARSHALED = 44, Special, "Unmarshaled";
        TIME = 45, Special, "Time";
        WHITELISTED = 46, Special, "Whitelisted";
        OVERFLOW = 47, Special, "Overflow";
        APPSEC = 48, Special, "Appsec";
        QUEUE = 49, Special, "queue";
        LEAKY = 50, Special, "leaky";
        SIGNAL = 51, Special, "signal";
        TYPE = 52, Field, "Type";
        EVENT = 53, Special, "evt";
        PARSED_CREDENTIALS = 54, Parsed, "http_credentials";
        ENRICHED_COUNTRY = 55, Enriched, "IsoCode";
        ENRICHED_IN_EU = 56, Enriched, "IsInEU";
        ENRICHED_LATITUDE = 57, Enriched, "Latitude";
        ENRICHED_LONGITUDE = 58, Enriched, "Longitude";
        ENRICHED_ASN_NUMBER = 59, Enriched, "ASNNumber";
        ENRICHED_AS_NUMBER = 60, Enriched, "ASNumber";
        ENRICHED_ASN_ORG = 61, Enriched, "ASNOrg";
        ENRICHED_RANGE = 62, Enriched, "SourceRange";
        ENRICHED_REVERSE_DNS = 63, Enriched, "reverse_dns";
        META_RANGE = 64, Meta, "SourceRange";
        MATCH = 65, Special, "match";
        REQUEST = 66, Special, "req";
    }
}

/// Tells the names of one program from those of every other, for as long as the process
/// runs: an address would come again.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Mark(u64);

impl Default for Mark {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Mark {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Every name that the rules of a program mention, with its number.
#[derive(Clone, Debug)]
pub struct Slots {
    mark: Mark,
    numbers: [HashMap<Box<[u8]>, SlotId>; Space::COUNT],
    names: Vec<(Space, Box<str>)>,
    searches: Vec<DataSearch>,
    hosts: Vec<Box<str>>,
    /// Slots that an expression reads, by number.
    read: Vec<bool>,
    /// The slots of each space in the order of their names.
    sorted: [Vec<SlotId>; Space::COUNT],
    /// The place of each slot among those of its space, in the order of their names.
    ranks: Vec<u32>,
}

impl Default for Slots {
    fn default() -> Self {
        let mut slots = Self {
            mark: Mark::default(),
            numbers: Default::default(),
            names: Vec::new(),
            searches: Vec::new(),
            hosts: Vec::new(),
            read: Vec::new(),
            sorted: Default::default(),
            ranks: Vec::new(),
        };
        for (number, space, name) in slot::FIXED {
            let got = slots.intern(*space, name);
            debug_assert_eq!(got, *number, "fixed slots are listed in order");
        }
        slots
    }
}

impl Slots {
    /// The number of a name, given out now if it is new.
    pub fn intern(&mut self, space: Space, name: &str) -> SlotId {
        if let Some(known) = self.find(space, name.as_bytes()) {
            return known;
        }
        let fresh = SlotId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        if let Some(numbers) = self.numbers.get_mut(space.place()) {
            numbers.insert(name.as_bytes().into(), fresh);
        }
        self.names.push((space, name.into()));
        self.read.push(false);
        if let Some(sorted) = self.sorted.get_mut(space.place()) {
            let names = &self.names;
            let name_of = |slot: &SlotId| names.get(slot.0 as usize).map(|(_, name)| &**name);
            let at = sorted.partition_point(|slot| name_of(slot) < Some(name));
            sorted.insert(at, fresh);
            self.ranks.push(0);
            for (rank, slot) in (0_u32..).zip(&*sorted).skip(at) {
                if let Some(known) = self.ranks.get_mut(slot.0 as usize) {
                    *known = rank;
                }
            }
        }
        fresh
    }

    /// A slot's space, and its place among those of the space, in the order of their names.
    pub(crate) fn rank(&self, slot: SlotId) -> Option<(Space, u32)> {
        let (space, _) = self.names.get(slot.0 as usize)?;
        Some((*space, *self.ranks.get(slot.0 as usize)?))
    }

    /// The same, for an expression that reads the slot.
    pub(crate) fn intern_read(&mut self, space: Space, name: &str) -> SlotId {
        let slot = self.intern(space, name);
        if let Some(read) = self.read.get_mut(slot.0 as usize) {
            *read = true;
        }
        slot
    }

    /// Says that some expression reads a fixed slot.
    pub(crate) fn mark_read(&mut self, slot: SlotId) {
        if let Some(read) = self.read.get_mut(slot.0 as usize) {
            *read = true;
        }
    }

    /// Whether some expression reads the slot by its name.
    pub(crate) fn is_read(&self, slot: SlotId) -> bool {
        self.read.get(slot.0 as usize).copied().unwrap_or(false)
    }

    /// The number of a name, if a rule mentions it.
    #[must_use]
    pub fn find(&self, space: Space, name: &[u8]) -> Option<SlotId> {
        self.numbers.get(space.place())?.get(name).copied()
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, slot: SlotId) -> Option<(Space, &str)> {
        let (space, name) = self.names.get(slot.0 as usize)?;
        Some((*space, name))
    }

    /// A number that no other names have, and that is not zero.
    pub(crate) fn mark(&self) -> u64 {
        self.mark.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: some are fixed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn search(&mut self, search: &DataSearch) -> SearchId {
        let mut search = search.clone();
        search.id = None;
        let known = self.searches.iter().position(|known| *known == search);
        let at = known.unwrap_or_else(|| {
            self.searches.push(search);
            self.searches.len() - 1
        });
        SearchId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The searches in data files that expressions make, by their number.
    pub(crate) fn searches(&self) -> &[DataSearch] {
        &self.searches
    }

    pub(crate) fn host(&mut self, name: &str) {
        if !self.hosts.iter().any(|known| **known == *name) {
            self.hosts.push(name.into());
        }
    }

    /// The hosts whose addresses rules ask for by a constant name.
    pub(crate) fn hosts(&self) -> &[Box<str>] {
        &self.hosts
    }

    /// Names of one space, for suggestions.
    pub(crate) fn of_space(&self, space: Space) -> impl Iterator<Item = &str> {
        let all = self.names.iter().filter(move |(found, _)| *found == space);
        all.map(|(_, name)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_programs_names_are_taken_for_each_other() {
        let first = Slots::default();
        let second = first.clone();
        let third = Slots::default();
        assert!(first.mark() != 0);
        assert!(first.mark() != second.mark() && second.mark() != third.mark());
    }
}
