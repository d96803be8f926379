//! Where a peer and we part, row by row, and why nothing gets through the gap.

/// A row that does not come out alike.
pub(crate) struct Known {
    /// The row's name in the table.
    pub(crate) row: &'static str,
    /// What the peer does, and why it is no way in.
    pub(crate) why: &'static str,
}

/// What nginx behind us refuses.
pub(crate) const NGINX_BEHIND: &[Known] = &[
    Known {
        row: "asterisk",
        why: "nginx serves no 'OPTIONS *' and answers 400; refusing splits nothing",
    },
    Known {
        row: "options of absolute form",
        why: "we forward it as 'OPTIONS *', which nginx answers with 400; refusing splits nothing",
    },
    Known {
        row: "longest request line",
        why: "nginx's buffer for a line is 8 KiB with the line's end in it; it answers 414",
    },
    Known {
        row: "longest header line",
        why: "nginx's buffer for a line is 8 KiB; it answers 400",
    },
];

/// What HAProxy behind us refuses.
pub(crate) const HAPROXY_BEHIND: &[Known] = &[
    Known {
        row: "raw utf-8 in target",
        why: "HAProxy wants other bytes than ASCII escaped in a target; it answers 400",
    },
    Known {
        row: "websocket",
        why: "HAProxy wants a Sec-WebSocket-Key of 24 bytes, this one has one byte; it answers 400",
    },
    Known {
        row: "longest header line",
        why: "HAProxy's buffer for a whole head is 16 KiB; it answers 400",
    },
    Known {
        row: "most headers",
        why: "HAProxy takes 101 lines, and we add ours; it answers 400",
    },
    Known {
        row: "large head",
        why: "HAProxy's buffer for a whole head is 16 KiB; it answers 400",
    },
];

/// Where nginx and we both take a row, and nginx forwards it otherwise.
pub(crate) const NGINX_ALONE: &[Known] = &[Known {
    row: "options of absolute form",
    why: "'OPTIONS http://a' asks about the server (RFC 9112 §3.2.4) and so becomes 'OPTIONS *' with us; nginx asks about '/'. Both end the request at the same byte, and OPTIONS changes nothing",
}];

/// The same for HAProxy.
pub(crate) const HAPROXY_ALONE: &[Known] = &[Known {
    row: "connect",
    why: "HAProxy forwards CONNECT; we answer it by rule, and both read the same request behind it",
}];
