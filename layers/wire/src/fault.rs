//! Every reason for which a message is refused.

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $why:literal;)*) => {
        /// Why a message is refused. Closed: each has a constant name for logs and
        /// signals, the status a client is answered, and one sentence.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub enum Fault {
            $(#[doc = $why] $(#[$doc])* $variant,)*
        }

        impl Fault {
            /// All faults, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The constant name, such as `framing.cl-te`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status to answer a client with. When an *upstream's* message has the
            /// fault, the client is answered [`Fault::UPSTREAM_STATUS`] instead.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One sentence that says what was wrong.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $why,)* }
            }
        }
    };
}

impl Fault {
    /// What a client is answered when its upstream's message is at fault.
    pub const UPSTREAM_STATUS: u16 = 502;
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Fault {}

faults! {
    // the first line
    LineMethod = "line.method", 400, "The method is empty or holds a character that no method may hold.";
    LineShape = "line.shape", 400, "The first line is not exactly three parts with one space between them.";
    LineVersion = "line.version", 400, "The first line ends in something that is not an HTTP version.";
    LineHttp09 = "line.http09", 400, "A request without a version is HTTP/0.9, which is not spoken here.";
    LineUnknownVersion = "line.unknown-version", 505, "Only HTTP/1.0 and HTTP/1.1 are spoken on this connection.";
    LineTooLong = "line.too-long", 414, "The first line is longer than the limit.";
    LineControl = "line.control", 400, "The first line holds a control character.";
    LineEmpty = "line.empty", 400, "More than one empty line stands before the first line.";
    LineStatus = "line.status", 502, "The status code is not three digits from 100 to 599.";
    // the target
    TargetForm = "target.form", 400, "The request target is none of the forms that its method allows.";
    TargetFragment = "target.fragment", 400, "The request target holds a fragment, which a client must not send.";
    TargetHost = "target.host", 400, "The absolute target names another host than the Host header.";
    // the host
    HostMissing = "host.missing", 400, "An HTTP/1.1 request must carry a Host header.";
    HostDuplicate = "host.duplicate", 400, "A request must not carry more than one Host header.";
    HostInvalid = "host.invalid", 400, "The Host header is not a host name or an address.";
    HostPort = "host.port", 400, "The port in the Host header is not a number from 1 to 65535.";
    // line ends
    BareCr = "framing.bare-cr", 400, "A carriage return stands without a line feed.";
    BareLf = "framing.bare-lf", 400, "A line ends in a line feed without a carriage return.";
    // header lines
    HeaderName = "header.name", 400, "A header name is empty or holds a character that no name may hold.";
    HeaderSpace = "header.space-before-colon", 400, "White space stands between a header name and its colon.";
    HeaderFold = "header.fold", 400, "A header line begins with white space (an obsolete fold).";
    HeaderColon = "header.no-colon", 400, "A header line has no colon.";
    HeaderControl = "header.control", 400, "A header value holds a control character.";
    HeaderTooLong = "header.too-long", 431, "A header line is longer than the limit.";
    HeadTooLong = "head.too-long", 431, "The head is longer than the limit.";
    HeadTooMany = "head.too-many", 431, "The head has more header lines than the limit.";
    // framing
    LengthAndEncoding = "framing.cl-te", 400, "Content-Length and Transfer-Encoding stand in one message.";
    LengthDuplicate = "framing.cl-duplicate", 400, "Content-Length stands more than once.";
    LengthInvalid = "framing.cl-invalid", 400, "Content-Length is not a plain decimal number.";
    EncodingDuplicate = "framing.te-duplicate", 400, "Transfer-Encoding stands more than once.";
    EncodingUnknown = "framing.te-unknown", 400, "Transfer-Encoding is something else than exactly chunked.";
    EncodingOldVersion = "framing.te-http10", 400, "Transfer-Encoding stands in an HTTP/1.0 message.";
    FramingAlias = "framing.alias", 400, "A header name differs from a framing header only in an odd character.";
    BodyForbidden = "framing.body-forbidden", 400, "CONNECT and TRACE requests carry no body.";
    // connection
    ConnectionToken = "connection.token", 400, "The Connection header holds something that is not a token.";
    ConnectionProtected = "connection.protected", 400, "The Connection header names a header that must not be removed.";
    ExpectUnknown = "expect.unknown", 417, "The Expect header asks for something else than 100-continue.";
    // chunks, trailers, bodies
    ChunkSize = "chunk.size", 400, "A chunk size is not one to sixteen hexadecimal digits, or too large.";
    ChunkExtension = "chunk.extension", 400, "A chunk carries an extension.";
    ChunkLineEnd = "chunk.line-end", 400, "A chunk size or its data is not followed by CR LF.";
    TrailerName = "trailer.name", 400, "A trailer line is not a valid header line.";
    TrailerForbidden = "trailer.forbidden", 400, "A trailer carries a field that is only allowed in a head.";
    TrailerTooLong = "trailer.too-long", 431, "The trailers are longer or more than the limit.";
    BodyTruncated = "body.truncated", 400, "The connection ended before the message did.";
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn names_are_unique_and_statuses_are_errors() {
        let mut names: Vec<_> = Fault::ALL.iter().map(|f| f.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert!((400..600).contains(&fault.status()), "{fault}");
            assert!(fault.explanation().ends_with('.'), "{fault}");
        }
    }
}
