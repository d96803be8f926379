//! Whether somebody is logged in, as the upstream's own answers show it.
//!
//! Here the parts of a request and its answer are only handed to [`gate::Sessions`], which
//! says what they mean. Answers of our own teach nothing and never come here.

use wire::{HeaderId, Request, Response};

use crate::exchange::Visitor;
use crate::story::Story;

/// Before the request is judged: whether it carries a session that was accepted.
pub(crate) fn carried(visitor: &Visitor<'_>, request: &Request<'_>, story: &Story<'_>) -> bool {
    let credentials = credentials(request);
    if credentials.authorization.is_none() && credentials.cookies.clone().next().is_none() {
        return false;
    }
    let sessions = visitor.core.shared.gate.sessions();
    sessions.carried(&place(story), &credentials, story.started)
}

/// When the upstream has answered: whether the request counts as a session's.
pub(crate) fn learn(
    visitor: &Visitor<'_>,
    request: &Request<'_>,
    response: &Response<'_>,
    story: &Story<'_>,
) -> bool {
    let headers = request.headers();
    let first = |id| headers.first(id).unwrap_or_default();
    let answered = gate::Answered {
        method: request.method_bytes(),
        target: request.target(),
        is_tls: visitor.tls,
        accept: first(HeaderId::Accept),
        referer: first(HeaderId::Referer),
        status: response.status(),
        location: response
            .headers()
            .first(HeaderId::Location)
            .unwrap_or_default(),
    };
    visitor.core.shared.gate.sessions().learn(
        &place(story),
        &credentials(request),
        &answered,
        story.session,
        || is_plain(request),
        story.started,
    )
}

fn place<'s>(story: &'s Story<'_>) -> gate::Whereabouts<'s> {
    gate::Whereabouts {
        site: story.site_name(),
        host: &story.host,
        client: story.client,
    }
}

fn credentials<'a>(
    request: &Request<'a>,
) -> gate::Credentials<'a, impl Iterator<Item = &'a [u8]> + Clone + use<'a>> {
    let headers = request.headers();
    gate::Credentials {
        authorization: headers.first(HeaderId::Authorization),
        cookies: headers.all(HeaderId::Cookie),
    }
}

/// Whether nothing but its target says what is asked for, and nothing but one
/// `Authorization` and its cookies who asks.
fn is_plain(request: &Request<'_>) -> bool {
    const BENDS: [HeaderId; 4] = [
        HeaderId::Range,
        HeaderId::XHttpMethodOverride,
        HeaderId::XOriginalUrl,
        HeaderId::XRewriteUrl,
    ];
    let headers = request.headers();
    request.framing().is_empty()
        && !BENDS.into_iter().any(|id| headers.first(id).is_some())
        && headers.all(HeaderId::Authorization).nth(1).is_none()
        && !headers
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case(b"X-Requested-With") || is_key(&header))
}

/// Whether a header may say who asks, in some application's own way (`X-Api-Key`).
fn is_key(header: &wire::Header<'_>) -> bool {
    const PARTS: [&[u8]; 5] = [b"auth", b"token", b"key", b"session", b"secret"];
    let speaks_of = |part: &&[u8]| {
        header
            .name
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
    };
    header.id != HeaderId::Authorization && PARTS.iter().any(speaks_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Parse, RequestHead};

    #[test]
    fn what_bends_an_answer_or_says_who_asks_in_another_way_proves_nothing() {
        for (fields, plain) in [
            ("Cookie: sid=1\r\nAccept: */*\r\nKeep-Alive: 5\r\n", true),
            ("Authorization: Basic eDp5\r\nUser-Agent: curl/8\r\n", true),
            (
                "Upgrade-Insecure-Requests: 1\r\nX-Forwarded-For: 192.0.2.7\r\n",
                true,
            ),
            ("X-Requested-With: XMLHttpRequest\r\n", false), // DENY, all of these
            ("X-Api-Key: k\r\n", false),
            ("X-Auth-Token: t\r\n", false),
            ("PRIVATE-TOKEN: t\r\n", false),
            ("Proxy-Authorization: Basic eDp5\r\n", false),
            (
                "Authorization: made-up\r\nAuthorization: Basic eDp5\r\n",
                false,
            ),
            ("X-HTTP-Method-Override: PUT\r\n", false),
            ("Range: bytes=0-1\r\n", false),
            ("Content-Length: 1\r\n", false),
        ] {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let mut head = RequestHead::new();
            let done = head.parse(text.as_bytes(), &wire::Limits::default());
            assert!(matches!(done, Parse::Done { .. }), "{text}");
            assert_eq!(is_plain(&head.request(text.as_bytes())), plain, "{fields}");
        }
    }
}
