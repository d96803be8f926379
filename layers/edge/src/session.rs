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

/// Whether nothing but its target says what is asked for.
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
        && headers.named(b"X-Requested-With").next().is_none()
}
