//! Where log and edge part, and why.

/// One difference.
pub(crate) struct Known {
    /// The request's name.
    pub(crate) ask: &'static str,
    /// How what is told of it begins: the field, or who refused.
    pub(crate) what: &'static str,
    /// Why it stays.
    pub(crate) why: &'static str,
}

#[rustfmt::skip] // one difference, one line
pub(crate) const KNOWN: &[Known] = &[
    Known { ask: "target /..", what: "", why: "nginx answers 400 (a path that leaves the root) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /../../etc/passwd", what: "", why: "nginx answers 400 (a path that leaves the root) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /%2e%2e/%2E%2E/etc/passwd", what: "", why: "nginx answers 400 (a path that leaves the root) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /cgi-bin/.%2e/.%2e/bin/sh", what: "", why: "nginx answers 400 (a path that leaves the root) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /a%", what: "", why: "nginx answers 400 (a broken escape) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /a%zz", what: "", why: "nginx answers 400 (a broken escape) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /a%u0041", what: "", why: "nginx answers 400 (a broken escape) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "target /a%00b", what: "", why: "nginx answers 400 (a NUL) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "method get", what: "", why: "nginx answers 400 (lower case in a method) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "asterisk", what: "", why: "nginx answers 400 ('OPTIONS *') and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "method A.B", what: "", why: "nginx answers 400 (a dot in a method) and logs no headers; we forward it, and rules see all of it" },
    Known { ask: "method M-SEARCH", what: "", why: "the hub's pattern takes letters, digits and '_' for a method, and reads this line as malformed; live the method is known" },
    Known { ask: "target http://shop.example/x.js", what: "evt.", why: "we rewrite an absolute form to its path (RFC 9112 §3.2.2), so that no rule is evaded by writing a host before it" },
    Known { ask: "target http://shop.example", what: "evt.", why: "we rewrite an absolute form to its path (RFC 9112 §3.2.2), so that no rule is evaded by writing a host before it" },
    Known { ask: "target HTTP://SHOP.EXAMPLE/a", what: "evt.", why: "we rewrite an absolute form to its path (RFC 9112 §3.2.2), so that no rule is evaded by writing a host before it" },
    Known { ask: "target https://shop.example/a/b.png?c", what: "evt.", why: "we rewrite an absolute form to its path (RFC 9112 §3.2.2), so that no rule is evaded by writing a host before it" },
    Known { ask: "User-Agent ", what: "evt.Meta.http_user_agent", why: "an empty header is to us as none" },
    Known { ask: "User-Agent ", what: "evt.Parsed.http_user_agent", why: "an empty header is to us as none" },
    Known { ask: "User-Agent  ", what: "evt.Meta.http_user_agent", why: "an empty header is to us as none" },
    Known { ask: "User-Agent  ", what: "evt.Parsed.http_user_agent", why: "an empty header is to us as none" },
    Known { ask: "Referer ", what: "evt.Parsed.http_referer", why: "an empty header is to us as none" },
    Known { ask: "streamed 1", what: "evt.Parsed.body_bytes_sent", why: "rules run before the answer is sent, when its length is not known yet" },
    Known { ask: "streamed 70000", what: "evt.Parsed.body_bytes_sent", why: "rules run before the answer is sent, when its length is not known yet" },
    Known { ask: "basic auth", what: "evt.Parsed.remote_user", why: "rules get the user of basic authentication by an account's hash, never by name (`edge::login`); no rule of the hub for HTTP asks for the name" },
    Known { ask: "target *", what: "refused by us", why: "no path" },
    Known { ask: "target ?", what: "refused by us", why: "no path" },
    Known { ask: "target no-slash", what: "refused by us", why: "no path" },
    Known { ask: "target shop.example:443", what: "refused by us", why: "no path" },
    Known { ask: "target /#", what: "refused by us", why: "a fragment is no part of a target" },
    Known { ask: "target /a#b", what: "refused by us", why: "a fragment is no part of a target" },
    Known { ask: "target /a\\x7fb", what: "refused by us", why: "a control byte" },
    Known { ask: "target ftp://shop.example/x", what: "refused by us", why: "another scheme than the web's" },
    Known { ask: "target http://other.example/x", what: "refused by us", why: "the target names another host than Host" },
    Known { ask: "target http://shop.example?q", what: "refused by us", why: "an absolute form without a path" },
    Known { ask: "0.9", what: "refused by us", why: "HTTP/0.9 has no headers" },
    Known { ask: "1.2", what: "refused by us", why: "no such version" },
    Known { ask: "1.1 without host", what: "refused by us", why: "HTTP/1.1 demands Host" },
    Known { ask: "space in target", what: "refused by us", why: "a line of four words" },
    Known { ask: "lower-case version", what: "refused by us", why: "no such version" },
    Known { ask: "both lengths", what: "refused by us", why: "a length beside chunks" },
    Known { ask: "connect", what: "refused by us", why: "we are no forward proxy" },
    Known { ask: "method TRACE", what: "refused by us", why: "TRACE answers with the visitor's cookies" },
];

/// What is seen live where there is nothing in the log to hold it against: rules must be
/// given what was asked for, as it was written.
pub(crate) struct Live {
    /// The request's name.
    pub(crate) ask: &'static str,
    /// The target, the status, and the scenarios that count it.
    pub(crate) seen: [&'static str; 3],
}

#[rustfmt::skip] // one request, one line
pub(crate) const LIVE: &[Live] = &[
    Live { ask: "target /..", seen: ["/..", "200", "crowdsecurity/http-crawl-non_statics"] },
    Live { ask: "target /../../etc/passwd", seen: ["/../../etc/passwd", "200", "crowdsecurity/http-crawl-non_statics crowdsecurity/http-path-traversal-probing"] },
    Live { ask: "target /%2e%2e/%2E%2E/etc/passwd", seen: ["/%2e%2e/%2E%2E/etc/passwd", "200", "crowdsecurity/http-crawl-non_statics crowdsecurity/http-cve-2021-41773 crowdsecurity/http-path-traversal-probing"] },
    Live { ask: "target /cgi-bin/.%2e/.%2e/bin/sh", seen: ["/cgi-bin/.%2e/.%2e/bin/sh", "200", "crowdsecurity/http-crawl-non_statics crowdsecurity/http-cve-2021-41773"] },
    Live { ask: "target /a%", seen: ["/a%", "200", "crowdsecurity/http-crawl-non_statics"] },
    Live { ask: "target /a%zz", seen: ["/a%zz", "200", "crowdsecurity/http-crawl-non_statics"] },
    Live { ask: "target /a%u0041", seen: ["/a%u0041", "200", "crowdsecurity/http-crawl-non_statics"] },
    Live { ask: "target /a%00b", seen: ["/a%00b", "200", "crowdsecurity/http-crawl-non_statics"] },
    Live { ask: "method get", seen: ["/dav/a", "200", ""] },
    Live { ask: "asterisk", seen: ["*", "200", ""] },
    Live { ask: "method A.B", seen: ["/dav/a", "200", ""] },
    Live { ask: "method M-SEARCH", seen: ["/dav/a", "200", ""] },
];
