//! A request of the edge as an event, without a log line and without grok.
//!
//! For: filling the fields that the hub's `nginx-logs` and `http-logs` parsers make
//! of a line in combined format, so that every HTTP scenario runs on live traffic
//! unchanged. Differences from the log are listed in [`DIFFERENCES`].

use vocab::{HttpEvent, Login, LoginBy, Refusal, RefusedBy};

use crate::event::{Event, Slots, Space, slot};

/// Where a live event differs from its log line, and why.
pub const DIFFERENCES: &[(&str, &str)] = &[
    ("evt.Parsed.message", "there is no line"),
    ("evt.Line.Raw", "there is no line"),
    ("evt.Parsed.time_local", "the time is known as such"),
    ("evt.StrTime", "the time is known as such"),
    ("evt.Enriched.MarshaledTime", "the time is known as such"),
    ("evt.MarshaledTime", "the time is known as such"),
    (
        "evt.Meta.timestamp",
        "written only when a rule reads it or a bucket keeps the event; the log has whole seconds",
    ),
    (
        "evt.Parsed.target_fqdn",
        "combined format does not name the host",
    ),
    (
        "evt.Meta.target_fqdn",
        "combined format does not name the host",
    ),
    (
        "evt.Parsed.port",
        "only a log that names host and port has one",
    ),
    ("evt.Parsed.request_length", "only an ingress log has it"),
    ("evt.Parsed.request_time", "only an ingress log has it"),
    (
        "evt.Parsed.proxy_upstream_name",
        "only an ingress log has it",
    ),
    (
        "evt.Parsed.proxy_alternative_upstream_name",
        "only an ingress log has it",
    ),
    (
        "evt.Parsed.http_credentials",
        "only the edge tells one password from another",
    ),
    ("evt.Meta.account", "a log does not tell who logs in"),
    ("evt.Meta.guess", "a log does not tell what was tried"),
    ("evt.Meta.login_by", "a log does not tell how"),
    ("evt.Meta.foreign", "the log has no Sec-Fetch-Site"),
    ("evt.Line.Src", "there is no file"),
    ("evt.Line.Module", "there is no acquisition module"),
    ("evt.Line.Labels.type", "there is no acquisition label"),
    ("evt.Meta.datasource_path", "there is no file"),
    ("evt.Meta.datasource_type", "there is no acquisition module"),
];

/// Endings of files that browsers fetch by the dozen, upper case.
const STATIC: [&str; 25] = [
    ".JPG", ".CSS", ".JS", ".JPEG", ".PNG", ".SVG", ".MAP", ".ICO", ".OTF", ".GIF", ".MP3", ".MP4",
    ".WOFF", ".WOFF2", ".TTF", ".EOT", ".WEBP", ".WAV", ".GZ", ".BROTLI", ".BVR", ".TS", ".BMP",
    ".AVIF", ".MJS",
];

/// Fills a cleared event from a request.
pub(crate) fn fill(event: &mut Event, http: &HttpEvent<'_>, number: &mut Vec<u8>) {
    event.time = http.time;
    event.set(slot::META_SERVICE, b"http");
    event.set(slot::META_LOG_TYPE, b"http_access-log");
    event.set(slot::PARSED_PROGRAM, b"nginx");
    event.set(slot::PARSED_REMOTE_USER, b"-");
    address(http.client.0, number);
    event.set(slot::PARSED_REMOTE_ADDR, number);
    event.alias(slot::META_SOURCE_IP, slot::PARSED_REMOTE_ADDR);
    event.set(slot::PARSED_VERB, http.method.as_bytes());
    aliased(event, slot::META_HTTP_VERB, slot::PARSED_VERB);
    decimal(u64::from(http.status), number);
    event.set(slot::PARSED_STATUS, number);
    event.alias(slot::META_HTTP_STATUS, slot::PARSED_STATUS);
    event.set(
        slot::PARSED_HTTP_VERSION,
        if http.version == 10 { b"1.0" } else { b"1.1" },
    );
    event.set(slot::PARSED_TARGET_FQDN, http.host.as_bytes());
    aliased(event, slot::META_TARGET_FQDN, slot::PARSED_TARGET_FQDN);
    decimal(http.body_bytes.unwrap_or(0), number);
    event.set(slot::PARSED_BODY_BYTES, number);
    // An absent header stands as a dash, as in the log.
    event.set(slot::PARSED_REFERER, or_dash(&http.referer));
    event.set(slot::PARSED_USER_AGENT, or_dash(&http.user_agent));
    event.alias(slot::META_HTTP_USER_AGENT, slot::PARSED_USER_AGENT);
    match http.credentials {
        Some(credentials) => {
            decimal(credentials.get(), number);
            event.set(slot::PARSED_CREDENTIALS, number);
        }
        None => event.set(slot::PARSED_CREDENTIALS, b"none"),
    }
    let impact = !matches!(http.status, 404 | 403 | 502);
    event.set(slot::PARSED_IMPACT, if impact { b"true" } else { b"false" });
    target(event, http.target.as_bytes(), number);
}

/// What a log does not tell: `account`, `guess` and `login_by` of an attempt to log in,
/// `foreign` of what another site's page had a browser send. Absent otherwise.
pub(crate) fn fill_beside(event: &mut Event, slots: &Slots, http: &HttpEvent<'_>) {
    if http.foreign {
        event.set_named(slots, Space::Meta, b"foreign", b"true");
    }
    let Some(Login { account, guess, by }) = http.login else {
        return;
    };
    let account = format!("{account:016x}");
    event.set_named(slots, Space::Meta, b"account", account.as_bytes());
    if let Some(guess) = guess {
        let guess = format!("{guess:06x}");
        event.set_named(slots, Space::Meta, b"guess", guess.as_bytes());
    }
    let by: &[u8] = match by {
        LoginBy::Form => b"form",
        LoginBy::Json => b"json",
        LoginBy::Basic => b"basic",
    };
    event.set_named(slots, Space::Meta, b"login_by", by);
}

/// Fills a cleared event from a refusal of the edge: `evt.Meta.service` is `edge`,
/// `log_type` is `edge_refusal`, `refused_by` is the part that refused, `rule` its
/// rule, `http_status` what was answered.
pub(crate) fn fill_refusal(
    event: &mut Event,
    slots: &Slots,
    refusal: &Refusal<'_>,
    number: &mut Vec<u8>,
) {
    event.time = refusal.time;
    event.set(slot::META_SERVICE, b"edge");
    event.set(slot::META_LOG_TYPE, b"edge_refusal");
    address(refusal.client.0, number);
    event.set(slot::META_SOURCE_IP, number);
    decimal(u64::from(refusal.status), number);
    event.set(slot::META_HTTP_STATUS, number);
    let by: &[u8] = match refusal.by {
        RefusedBy::Codec => b"codec",
        RefusedBy::Book => b"book",
        RefusedBy::Limit => b"limit",
        RefusedBy::Rule => b"rule",
        RefusedBy::Route => b"route",
    };
    event.set_named(slots, Space::Meta, b"refused_by", by);
    event.set_named(slots, Space::Meta, b"rule", refusal.rule.as_bytes());
    if refusal.foreign {
        event.set_named(slots, Space::Meta, b"foreign", b"true");
    }
}

fn or_dash(text: &str) -> &[u8] {
    if text.is_empty() {
        b"-"
    } else {
        text.as_bytes()
    }
}

/// Statics never set a field to nothing.
fn aliased(event: &mut Event, to: expr::SlotId, from: expr::SlotId) {
    if !event.text(from).is_empty() {
        event.alias(to, from);
    }
}

/// Splits the target as `http-logs` does: arguments after the last `?`, folder up to
/// the last `/`, ending from the last dot that is not the name's first letter.
fn target(event: &mut Event, target: &[u8], number: &mut Vec<u8>) {
    event.set(slot::PARSED_REQUEST, target);
    aliased(event, slot::META_HTTP_PATH, slot::PARSED_REQUEST);
    event.set(slot::PARSED_STATIC, b"false");
    let mut path = target;
    let mut args = None;
    if let Some(at) = memchr::memrchr(b'?', target) {
        let (head, tail) = target.split_at(at);
        path = head;
        args = Some(tail.len().saturating_sub(1));
        event.alias_part(
            slot::PARSED_HTTP_ARGS,
            slot::PARSED_REQUEST,
            at + 1,
            tail.len().saturating_sub(1),
        );
        event.alias_part(slot::PARSED_REQUEST, slot::PARSED_REQUEST, 0, at);
    }
    let Some(slash) = memchr::memrchr(b'/', path) else {
        return;
    };
    decimal(args.unwrap_or(0) as u64, number);
    event.set(slot::META_HTTP_ARGS_LEN, number);
    event.alias_part(slot::PARSED_FILE_DIR, slot::PARSED_REQUEST, 0, slash + 1);
    let start = slash + 1;
    let name = path.get(start..).unwrap_or(b"");
    let frag = match memchr::memrchr(b'.', name) {
        Some(dot) if dot > 0 => dot,
        _ => name.len(),
    };
    event.alias_part(slot::PARSED_FILE_FRAG, slot::PARSED_REQUEST, start, frag);
    event.alias_part(
        slot::PARSED_FILE_EXT,
        slot::PARSED_REQUEST,
        start + frag,
        name.len() - frag,
    );
    if !name.is_empty() {
        event.alias_part(
            slot::PARSED_FILE_NAME,
            slot::PARSED_REQUEST,
            start,
            name.len(),
        );
    }
    let ending = name.get(frag..).unwrap_or(b"");
    let is_static = (2..=8).contains(&ending.len())
        && STATIC
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(ending));
    if is_static {
        event.set(slot::PARSED_STATIC, b"true");
    }
}

/// A number in decimal.
pub(crate) fn decimal(mut number: u64, into: &mut Vec<u8>) {
    into.clear();
    loop {
        into.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    into.reverse();
}

/// An address as text.
pub(crate) fn address(address: std::net::IpAddr, into: &mut Vec<u8>) {
    use std::io::Write as _;
    into.clear();
    match address {
        std::net::IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    into.push(b'.');
                }
                if octet >= 100 {
                    into.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    into.push(b'0' + octet / 10 % 10);
                }
                into.push(b'0' + octet % 10);
            }
        }
        std::net::IpAddr::V6(v6) => {
            // Writing into a Vec does not fail.
            drop(write!(into, "{v6}"));
        }
    }
}
