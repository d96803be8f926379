//! One request, from its head to its answer.
//!
//! The order of the steps is written here and nowhere else: who asks, which rule
//! of ours or of gate refuses, which site answers, then upstream and response. The
//! observer hears of the answer before its first byte leaves.

use std::borrow::Cow;
use std::sync::Arc;

use vocab::{PeerAddr, RefusedBy};
use wire::{BodyFraming, Method, Request};

use crate::io::Stream;
use crate::local::Core;
use crate::registry::{Line, Phase};
use crate::route::{Plan, Route};
use crate::story::Story;
use crate::turn::{Turn, Word};

/// What a connection knows before a request comes.
pub(crate) struct Visitor<'a> {
    pub(crate) core: &'a Core,
    pub(crate) line: &'a Line,
    pub(crate) plan: &'a Plan,
    pub(crate) peer: PeerAddr,
    /// Whether the connection is a trusted proxy's, whose headers name the client.
    pub(crate) proxied: bool,
    pub(crate) tls: bool,
    /// The name the client gave in TLS, lower case.
    pub(crate) sni: Option<&'a str>,
    /// Whether the connection may serve another request after this one.
    pub(crate) may_stay: bool,
}

/// What becomes of the client's connection after an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    KeepAlive,
    /// Nothing more to say or hear.
    Close,
    /// The client may still be sending: let it hear the answer first.
    Linger,
    /// The answer is not complete, and only a reset says so.
    Reset,
}

/// Why a request is not forwarded.
struct Denial {
    by: RefusedBy,
    rule: Cow<'static, str>,
    status: u16,
    retry_after: Option<core::time::Duration>,
    close: bool,
}

impl Denial {
    const fn ours(by: RefusedBy, rule: &'static str, status: u16) -> Self {
        Self {
            by,
            rule: Cow::Borrowed(rule),
            status,
            retry_after: None,
            close: false,
        }
    }
}

/// Serves one request. `rest` holds what was read behind its head, and afterwards
/// what belongs to the next request.
pub(crate) async fn serve(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: Request<'_>,
    head_bytes: usize,
    rest: &mut Vec<u8>,
) -> Next {
    visitor.core.counters.requests.one();
    visitor.line.enter(Phase::Exchange, u32::MAX);
    let mut story = Story::new(visitor, &request, head_bytes);
    visitor.line.belongs_to(story.client);
    let decided = decide(visitor, &request, &mut story);
    let mut turn = Turn {
        visitor,
        client,
        request,
        story: &mut story,
        rest,
    };
    let next = match decided {
        Ok(route) => turn.forward(&route).await,
        Err(denial) => {
            let Denial { by, status, .. } = denial;
            turn.story.refused(visitor, by, &denial.rule, status, false);
            turn.story.verdict = denial.rule;
            let read_all = request.framing().is_empty();
            turn.reply(Word {
                status,
                retry_after: denial.retry_after,
                read_all,
                close: denial.close,
            })
            .await
        }
    };
    visitor.line.settle();
    story.record(visitor);
    next
}

/// The rules before the upstream is asked, in their order.
fn decide(
    visitor: &Visitor<'_>,
    request: &Request<'_>,
    story: &mut Story<'_>,
) -> Result<Arc<Route>, Denial> {
    // No site offers tunnels by CONNECT, and TRACE shows cookies to scripts.
    if matches!(request.method(), Method::Connect | Method::Trace) {
        return Err(Denial::ours(RefusedBy::Rule, "method.refused", 405));
    }
    // RFC 9110 §7.4: a name that the handshake was not for is not served on it.
    if visitor.sni.is_some_and(|name| name != story.host) {
        return Err(Denial::ours(RefusedBy::Route, "route.misdirected", 421));
    }
    let (path, flags) = match request.target() {
        // The whole server: the site of the root answers.
        b"*" => (Cow::Borrowed(&b"/"[..]), wire::PathFlags::NONE),
        _ => wire::normal_path(request.path()),
    };
    let Some(route) = visitor.plan.route(story.host.as_bytes(), &path) else {
        return Err(Denial::ours(RefusedBy::Route, "route.no-site", 404));
    };
    visitor.line.enforced.set(route.enforces);
    story.site = Some(Arc::clone(route));
    story.session = crate::session::carried(visitor, request, story);
    let foreign_exploit = || story.is_foreign_exploit(visitor);
    let facts = gate::Facts {
        site: &route.site.policy,
        client: story.client,
        naming: story.naming,
        peer_is_proxy: visitor.proxied,
        method: request.method_bytes(),
        target: request.target(),
        host: story.host.as_bytes(),
        user_agent: request
            .headers()
            .first(wire::HeaderId::UserAgent)
            .unwrap_or_default(),
        header_count: request.headers().len(),
        ambiguous_path: flags.ambiguous_path(),
        version: request.version().number(),
        is_tls: visitor.tls,
        session: story.session,
        foreign_exploit: gate::Question(&foreign_exploit),
    };
    match visitor.core.shared.gate.judge(&facts, story.started) {
        gate::Verdict::Pass { observed } => {
            for (rule, by) in observed.iter() {
                story.refused(visitor, by, rule.as_str(), 0, true);
                story.verdict = Cow::Owned(format!("observed:{rule}"));
            }
        }
        gate::Verdict::Refuse(refusal) => {
            return Err(Denial {
                by: refusal.by,
                rule: rule_name(refusal.rule),
                status: refusal.status,
                retry_after: refusal.retry_after,
                close: refusal.close,
            });
        }
    }
    let most = visitor.plan.limits.body_bytes;
    if let (BodyFraming::Length(length), Some(most)) = (request.framing(), most)
        && length > most
    {
        return Err(Denial::ours(RefusedBy::Limit, "limit.body", 413));
    }
    Ok(Arc::clone(route))
}

fn rule_name(rule: gate::Rule) -> Cow<'static, str> {
    match rule {
        gate::Rule::Fixed(name) => Cow::Borrowed(name),
        gate::Rule::Listed(name) => Cow::Owned(name.as_ref().to_owned()),
    }
}
