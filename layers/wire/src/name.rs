//! Names that are recognised once, while parsing: headers, methods, versions.

/// An HTTP version that this codec speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

impl Version {
    /// 10 or 11.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Http10 => 10,
            Self::Http11 => 11,
        }
    }
}

/// A request method; methods are case-sensitive (RFC 9110 §9.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
    /// `CONNECT`
    Connect,
    /// `TRACE`
    Trace,
    /// Anything else; its bytes stand in the request.
    Other,
}

impl Method {
    /// The method these bytes name.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        match bytes {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// Whether repeating the request changes nothing more (RFC 9110 §9.2.2); unknown
    /// methods count as not idempotent.
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace => true,
            Self::Post | Self::Patch | Self::Connect | Self::Other => false,
        }
    }
}

macro_rules! header_ids {
    ($($variant:ident = $name:literal,)*) => {
        /// A header name that is known while parsing. Everything else is
        /// [`HeaderId::Other`].
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum HeaderId {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// Any other name.
            Other,
        }

        impl HeaderId {
            /// How many ids there are, `Other` included.
            pub(crate) const COUNT: usize = Self::Other as usize + 1;

            /// The name in its usual case; empty for `Other`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Other => "" }
            }

            /// The id of a name in any case. `name` must be a token, as all parsed names are.
            #[must_use]
            #[expect(non_upper_case_globals, reason = "each constant bears its variant's name")]
            pub fn of(name: &[u8]) -> Self {
                $(const $variant: Key = Key::of($name.as_bytes());)*
                let key = Key::of(name);
                let id = match key {
                    $($variant => Self::$variant,)*
                    _ => return Self::Other,
                };
                // The key covers the first and last eight bytes; a longer name is compared whole.
                if name.len() <= 16 || name.eq_ignore_ascii_case(id.name().as_bytes()) {
                    id
                } else {
                    Self::Other
                }
            }
        }
    };
}

header_ids! {
    Host = "Host",
    ContentLength = "Content-Length",
    TransferEncoding = "Transfer-Encoding",
    Connection = "Connection",
    Upgrade = "Upgrade",
    Expect = "Expect",
    Te = "TE",
    Trailer = "Trailer",
    KeepAlive = "Keep-Alive",
    ProxyConnection = "Proxy-Connection",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyAuthenticate = "Proxy-Authenticate",
    Http2Settings = "HTTP2-Settings",
    UserAgent = "User-Agent",
    Referer = "Referer",
    Cookie = "Cookie",
    SetCookie = "Set-Cookie",
    Authorization = "Authorization",
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    Origin = "Origin",
    ContentType = "Content-Type",
    ContentEncoding = "Content-Encoding",
    ContentRange = "Content-Range",
    Range = "Range",
    CacheControl = "Cache-Control",
    Date = "Date",
    Server = "Server",
    Location = "Location",
    MaxForwards = "Max-Forwards",
    Forwarded = "Forwarded",
    Via = "Via",
    XForwardedFor = "X-Forwarded-For",
    XForwardedProto = "X-Forwarded-Proto",
    XForwardedHost = "X-Forwarded-Host",
    XForwardedPort = "X-Forwarded-Port",
    XForwardedServer = "X-Forwarded-Server",
    XForwardedPrefix = "X-Forwarded-Prefix",
    XForwardedSsl = "X-Forwarded-Ssl",
    XRealIp = "X-Real-IP",
    XClientIp = "X-Client-IP",
    TrueClientIp = "True-Client-IP",
    CfConnectingIp = "CF-Connecting-IP",
    CfPseudoIpv4 = "Cf-Pseudo-IPv4",
    ClientIp = "Client-IP",
    FastlyClientIp = "Fastly-Client-IP",
    ForwardedFor = "Forwarded-For",
    XForwarded = "X-Forwarded",
    XClusterClientIp = "X-Cluster-Client-IP",
    XAppengineUserIp = "X-Appengine-User-IP",
    Proxy = "Proxy",
    XRequestId = "X-Request-Id",
    XOriginalUrl = "X-Original-URL",
    XRewriteUrl = "X-Rewrite-URL",
    XHttpMethodOverride = "X-HTTP-Method-Override",
    IfMatch = "If-Match",
    IfNoneMatch = "If-None-Match",
    IfModifiedSince = "If-Modified-Since",
    IfUnmodifiedSince = "If-Unmodified-Since",
    IfRange = "If-Range",
    SecWebSocketKey = "Sec-WebSocket-Key",
}

impl HeaderId {
    /// The id a name would have if every character that gateways turn into `_` were a
    /// `-`: `X_Forwarded_For` and `X.Forwarded.For` alias `X-Forwarded-For`.
    pub(crate) fn alias_of(name: &[u8]) -> Self {
        const LONGEST: usize = 32;
        let mut plain = [0_u8; LONGEST];
        let Some(plain) = plain.get_mut(..name.len()) else {
            return Self::Other;
        };
        for (to, from) in plain.iter_mut().zip(name) {
            *to = if crate::scan::is_odd(*from) {
                b'-'
            } else {
                *from
            };
        }
        Self::of(plain)
    }
}

/// Length, first and last eight bytes of a name, with letters in lower case.
///
/// Setting bit 5 lowers letters and leaves `-` and digits alone; among token characters
/// nothing else becomes a letter, a digit or `-`, so equal keys of up to 16 bytes
/// mean equal names.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Key {
    len: usize,
    first: u64,
    last: u64,
}

impl Key {
    const fn of(name: &[u8]) -> Self {
        const LOWER: u64 = 0x2020_2020_2020_2020;
        let len = name.len();
        let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
                (Some(first), Some(last)) => (
                    u32::from_le_bytes(*first) as u64,
                    u32::from_le_bytes(*last) as u64,
                ),
                _ => match name {
                    [a] => (*a as u64, 0),
                    [a, b] => (*a as u64, *b as u64),
                    [a, b, c] => (*a as u64 | (*b as u64) << 8, *c as u64),
                    _ => (0, 0),
                },
            },
        };
        Self {
            len,
            first: first | LOWER,
            last: last | LOWER,
        }
    }
}

/// A set of known header names. Cheap to copy, can be a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeaderSet(u64);

const _: () = assert!(HeaderId::COUNT <= 64, "HeaderSet holds 64 ids");

impl HeaderSet {
    /// No header.
    pub const EMPTY: Self = Self(0);

    /// Everything by which a proxy tells the next hop who the client is, and what
    /// common libraries read for that; also `Proxy`, which CGI programs would take for
    /// their own proxy's address (CVE-2016-5385). No stranger's word may reach an
    /// application in one of these.
    pub const FORWARDED: Self = Self::of(&[
        HeaderId::Forwarded,
        HeaderId::XForwardedFor,
        HeaderId::XForwardedProto,
        HeaderId::XForwardedHost,
        HeaderId::XForwardedPort,
        HeaderId::XForwardedServer,
        HeaderId::XForwardedPrefix,
        HeaderId::XForwardedSsl,
        HeaderId::XRealIp,
        HeaderId::XClientIp,
        HeaderId::TrueClientIp,
        HeaderId::CfConnectingIp,
        HeaderId::CfPseudoIpv4,
        HeaderId::ClientIp,
        HeaderId::FastlyClientIp,
        HeaderId::ForwardedFor,
        HeaderId::XForwarded,
        HeaderId::XClusterClientIp,
        HeaderId::XAppengineUserIp,
        HeaderId::Proxy,
    ]);

    /// Hop by hop (RFC 9110 §7.6.1): never copied, written anew where needed.
    pub const HOP_BY_HOP: Self = Self::of(&[
        HeaderId::Connection,
        HeaderId::KeepAlive,
        HeaderId::ProxyConnection,
        HeaderId::ProxyAuthorization,
        HeaderId::ProxyAuthenticate,
        HeaderId::Te,
        HeaderId::Trailer,
        HeaderId::TransferEncoding,
        HeaderId::ContentLength,
        HeaderId::Upgrade,
        HeaderId::Http2Settings,
    ]);

    /// What `Connection` must not be able to strip from a message.
    pub const PROTECTED: Self = Self::of(&[
        HeaderId::Host,
        HeaderId::ContentLength,
        HeaderId::TransferEncoding,
        HeaderId::Authorization,
        HeaderId::Cookie,
        HeaderId::SetCookie,
        HeaderId::ContentType,
        HeaderId::ContentEncoding,
        HeaderId::Origin,
        HeaderId::XRequestId,
    ])
    .with(Self::FORWARDED);

    /// What a trailer must not carry (RFC 9110 §6.5.1): framing, routing,
    /// authentication, request modifiers, content format.
    pub const NOT_IN_TRAILERS: Self = Self::of(&[
        HeaderId::Host,
        HeaderId::Expect,
        HeaderId::Authorization,
        HeaderId::Cookie,
        HeaderId::SetCookie,
        HeaderId::Origin,
        HeaderId::ContentType,
        HeaderId::ContentEncoding,
        HeaderId::ContentRange,
        HeaderId::Range,
        HeaderId::CacheControl,
        HeaderId::MaxForwards,
        HeaderId::Location,
        HeaderId::Via,
        HeaderId::XOriginalUrl,
        HeaderId::XRewriteUrl,
        HeaderId::XHttpMethodOverride,
        HeaderId::IfMatch,
        HeaderId::IfNoneMatch,
        HeaderId::IfModifiedSince,
        HeaderId::IfUnmodifiedSince,
        HeaderId::IfRange,
    ])
    .with(Self::FORWARDED)
    .with(Self::HOP_BY_HOP);

    /// The set of these ids. `Other` is never in a set.
    #[must_use]
    pub const fn of(mut ids: &[HeaderId]) -> Self {
        let mut set = Self::EMPTY;
        while let [id, rest @ ..] = ids {
            set = set.and(*id);
            ids = rest;
        }
        set
    }

    /// This set and one more id.
    #[must_use]
    pub const fn and(self, id: HeaderId) -> Self {
        match id {
            HeaderId::Other => self,
            known => Self(self.0 | 1 << known as u8),
        }
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `id` is in the set; never for `Other`.
    #[must_use]
    pub const fn has(self, id: HeaderId) -> bool {
        self.0 & (1 << id as u8) != 0
    }

    /// Whether the sets have an id in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This set without what the other holds.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
