//! The functions a rule may call: names, argument types, result types.
//!
//! Argument codes: `t` string, `i` int, `n` number, `l` list, `m` map, `a` anything; `?`
//! after a code makes it and all behind it optional, `*` lets it repeat from none on.

use crate::schema::Type;

macro_rules! functions {
    ($($function:ident: $($name:literal)+, $args:literal, $result:ident;)*) => {
        /// A function, whatever name it was called by.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Function {
            $(#[doc = concat!("Arguments: `", $args, "`")] $function,)*
            /// Known by name, answered by the surroundings.
            Other(&'static str),
        }

        impl Function {
            /// The name it is called by in messages.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$function => first(&[$($name),+]),)*
                    Self::Other(name) => name,
                }
            }
        }

        const TABLE: &[Signature] = &[
            $($(Signature { name: $name, function: Function::$function, args: $args, result: Type::$result },)+)*
        ];
    };
}

const fn first(names: &[&'static str]) -> &'static str {
    match names {
        [name, ..] => name,
        [] => "",
    }
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(crate) function: Function,
    pub(crate) args: &'static str,
    pub(crate) result: Type,
}

functions! {
    Upper: "Upper" "upper", "t", Text;
    Lower: "Lower" "lower", "t", Text;
    TrimSpace: "TrimSpace", "t", Text;
    Trim: "Trim" "trim", "tt?", Text;
    TrimLeft: "TrimLeft", "tt", Text;
    TrimRight: "TrimRight", "tt", Text;
    TrimPrefix: "TrimPrefix" "trimPrefix", "tt?", Text;
    TrimSuffix: "TrimSuffix" "trimSuffix", "tt?", Text;
    HasPrefix: "hasPrefix", "tt", Bool;
    HasSuffix: "hasSuffix", "tt", Bool;
    Split: "Split" "split" "SplitN", "tti?", Texts;
    SplitAfter: "SplitAfter" "splitAfter" "SplitAfterN", "tti?", Texts;
    Words: "Fields", "t", Texts;
    IndexOf: "Index" "indexOf", "tt", Int;
    IndexAny: "IndexAny", "tt", Int;
    LastIndexOf: "lastIndexOf", "tt", Int;
    Join: "Join" "join", "lt?", Text;
    Replace: "Replace" "ReplaceAll" "replace", "ttti?", Text;
    Repeat: "repeat", "ti", Text;
    PathUnescape: "PathUnescape", "t", Text;
    QueryUnescape: "QueryUnescape", "t", Text;
    PathEscape: "PathEscape", "t", Text;
    QueryEscape: "QueryEscape", "t", Text;
    ParseUri: "ParseUri", "t", Map;
    ParseQuery: "ParseQuery", "t", Map;
    ExtractQueryParam: "ExtractQueryParam", "tt", Texts;
    Base64Decode: "B64Decode" "fromBase64", "t", Text;
    Base64Encode: "toBase64", "t", Text;
    Basename: "basename", "t", Text;
    Glob: "Match", "tt", Bool;
    Sprintf: "Sprintf", "ta*", Text;
    ToText: "ToString", "a", Text;
    Text: "string", "a", Text;
    Int: "int", "a", Int;
    Float: "float", "a", Float;
    Atof: "Atof", "t", Float;
    Len: "len", "a", Int;
    TypeName: "type", "a", Text;
    Abs: "abs", "n", Any;
    Ceil: "ceil", "n", Float;
    Floor: "floor", "n", Float;
    Round: "round", "n", Float;
    Max: "max", "a*", Any;
    Min: "min", "a*", Any;
    Mean: "mean", "a*", Any;
    Median: "median", "a*", Any;
    BitAnd: "bitand", "ii", Int;
    BitOr: "bitor", "ii", Int;
    BitXor: "bitxor", "ii", Int;
    BitNot: "bitnot", "i", Int;
    ApproxEqual: "FloatApproxEqual", "nn", Bool;
    JsonExtract: "JsonExtract", "tt", Text;
    JsonExtractUnescape: "JsonExtractUnescape", "tt*", Text;
    JsonExtractLib: "JsonExtractLib", "tt*", Text;
    JsonExtractSlice: "JsonExtractSlice", "tt", Any;
    JsonExtractObject: "JsonExtractObject", "tt", Any;
    ToJson: "ToJsonString" "toJSON", "a", Text;
    FromJson: "fromJSON", "t", Any;
    XmlNode: "XMLGetNodeValue", "tt", Text;
    XmlAttribute: "XMLGetAttributeValue", "ttt", Text;
    IpInRange: "IpInRange", "tt", Bool;
    IsIp: "IsIP", "t", Bool;
    IsIpv4: "IsIPV4", "t", Bool;
    IsIpv6: "IsIPV6", "t", Bool;
    IpToRange: "IpToRange", "tt", Text;
    Distance: "Distance", "tttt", Float;
    MedianInterval: "MedianInterval", "l", Duration;
    AverageInterval: "AverageInterval", "l", Duration;
    Duration: "duration", "t", Duration;
    Date: "date", "t", Time;
    ParseUnix: "ParseUnix", "t", Text;
    Get: "get", "aa", Any;
    GetText: "Get", "li", Text;
    KeyExists: "KeyExists", "ta", Bool;
    First: "first", "l", Any;
    Last: "last", "l", Any;
    Take: "take", "li", List;
    Keys: "keys", "m", List;
    Values: "values", "m", List;
    Reverse: "reverse", "l", List;
    Distinct: "uniq" "Distinct", "l", List;
    Concat: "concat", "l*", List;
    Flatten: "flatten" "Flatten", "a*", List;
    FlattenDistinct: "FlattenDistinct", "a*", List;
    Sort: "sort", "lt?", List;
    File: "File", "t", Texts;
    RegexpInFile: "RegexpInFile", "tt", Bool;
    LookupFile: "LookupFile", "tt", Text;
    LookupHost: "LookupHost", "t", Any;
    DecisionsCount: "GetDecisionsCount", "t", Int;
    DecisionsSince: "GetDecisionsSinceCount", "tt", Int;
    ActiveDecisions: "GetActiveDecisionsCount", "t", Int;
    ActiveTimeLeft: "GetActiveDecisionsTimeLeft", "t", Duration;
    GetFromStash: "GetFromStash", "tt", Text;
    TimeNow: "TimeNow", "", Text;
    Now: "now", "", Time;
    SetInStash: "SetInStash", "ttta?", Any;
    UnmarshalJson: "UnmarshalJSON", "tmt", Any;
    ParseKv: "ParseKV", "tmt", Any;
    ParseKvLax: "ParseKVLax", "tmt", Any;
}

/// Functions that only the surroundings can answer ([`crate::Question::Other`]).
const OTHERS: &[(&str, &str, Type)] = &[
    ("JA4H", "a", Type::Text),
    ("CrowdsecCTI", "t", Type::Any),
    ("GeoIPEnrich", "t", Type::Any),
    ("GeoIPASNEnrich", "t", Type::Any),
    ("GeoIPRangeEnrich", "t", Type::Any),
    ("IPToCountry", "t", Type::Text),
    ("LibInjectionIsSQLI", "t", Type::Bool),
    ("LibInjectionIsXSS", "t", Type::Bool),
    ("FileMap", "t", Type::List),
    ("MatchKnownBot", "tttt*", Type::Bool),
    ("LogInfo", "ta*", Type::Bool),
    ("Hostname", "", Type::Text),
    ("SendAlert", "", Type::Any),
    ("CancelAlert", "", Type::Any),
    ("SendEvent", "", Type::Any),
    ("CancelEvent", "", Type::Any),
    ("DropRequest", "t", Type::Any),
    ("SetRemediation", "t", Type::Any),
    ("SetReturnCode", "i", Type::Any),
];

/// The signature of the function called `name`.
pub(crate) fn find(name: &str) -> Option<Signature> {
    let known = TABLE.iter().find(|signature| signature.name == name);
    known.copied().or_else(|| {
        let (name, args, result) = OTHERS.iter().find(|(other, ..)| *other == name)?;
        Some(Signature {
            name,
            function: Function::Other(name),
            args,
            result: *result,
        })
    })
}

/// Every name that can be called.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .map(|signature| signature.name)
        .chain(OTHERS.iter().map(|(name, ..)| *name))
        .chain(crate::parser::PREDICATE_BUILTINS)
}

impl Function {
    /// Whether equal arguments always give equal results, so that constants fold.
    pub(crate) const fn foldable(self) -> bool {
        !matches!(
            self,
            Self::Other(_)
                | Self::File
                | Self::RegexpInFile
                | Self::LookupFile
                | Self::LookupHost
                | Self::DecisionsCount
                | Self::DecisionsSince
                | Self::ActiveDecisions
                | Self::ActiveTimeLeft
                | Self::GetFromStash
                | Self::TimeNow
                | Self::Now
        ) && !self.changes()
    }

    /// Whether calling it changes the event or a stash.
    pub(crate) const fn changes(self) -> bool {
        matches!(
            self,
            Self::SetInStash | Self::UnmarshalJson | Self::ParseKv | Self::ParseKvLax
        )
    }

    /// Whether it takes one string and gives one, and so can pass a borrow through.
    pub(crate) const fn maps_text(self) -> bool {
        matches!(
            self,
            Self::Upper
                | Self::Lower
                | Self::TrimSpace
                | Self::PathUnescape
                | Self::QueryUnescape
                | Self::PathEscape
                | Self::QueryEscape
        )
    }
}

impl Signature {
    /// The code of the argument at `index`, and whether it may be left out.
    pub(crate) fn arg(&self, index: usize) -> Option<(u8, bool)> {
        let mut at = 0;
        let mut optional = false;
        let codes = self.args.as_bytes();
        let mut bytes = codes.iter().copied().enumerate();
        let mut last = None;
        while let Some((place, code)) = bytes.next() {
            match codes.get(place + 1) {
                Some(b'?') => {
                    optional = true;
                    bytes.next();
                }
                Some(b'*') => {
                    return if index >= at {
                        Some((code, true))
                    } else {
                        last
                    };
                }
                _ => {}
            }
            last = Some((code, optional));
            if at == index {
                return last;
            }
            at += 1;
        }
        None
    }

    /// What is wrong with `given` arguments, as a sentence.
    pub(crate) fn arity_fault(&self, given: usize) -> Option<String> {
        let missing = self.arg(given).is_some_and(|(_, optional)| !optional);
        let extra = given > 0 && self.arg(given - 1).is_none();
        if !missing && !extra {
            return None;
        }
        let least = (0..)
            .take_while(|at| self.arg(*at).is_some_and(|(_, free)| !free))
            .count();
        Some(format!(
            "'{}' takes {}{least} argument{}, but is given {given}.",
            self.name,
            if self.arg(least).is_some() {
                "at least "
            } else {
                ""
            },
            if least == 1 { "" } else { "s" },
        ))
    }
}
