//! `/metrics` for Prometheus (text format 0.0.4), on loopback.
//!
//! One request a connection, heads of 8 KiB at most, five seconds each, eight at once.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::daemon::Daemon;
use crate::visibility::{self, Place};

const PATIENCE: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 8;
const HEAD: usize = 8 * 1024;

/// Serves until dropped; at once `Ok` when it is off.
///
/// # Errors
/// When the address cannot be bound: metrics are then off and the rest goes on.
pub async fn serve(daemon: Arc<Daemon>) -> std::io::Result<()> {
    let Some(address) = daemon.config().metrics.listen else {
        return Ok(());
    };
    let listener = TcpListener::bind(address).await?;
    let mut readers = JoinSet::new();
    loop {
        if readers.len() >= AT_ONCE {
            readers.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let daemon = Arc::clone(&daemon);
                readers.spawn(async move {
                    tokio::time::timeout(PATIENCE, answer(stream, &daemon)).await
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept on metrics listener failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while readers.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, daemon: &Daemon) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if head.len() > HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let asked = head.starts_with(b"GET /metrics ") || head.starts_with(b"GET /metrics?");
    let (status, body) = if asked {
        ("200 OK", text(daemon))
    } else {
        ("404 Not Found", String::new())
    };
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

fn text(daemon: &Daemon) -> String {
    let mut page = Page::default();
    let stats = daemon.stats();
    open(&stats, &mut page);
    page.count(
        "edge_connections_total",
        "Client connections accepted",
        stats.accepted,
    );
    page.count(
        "edge_handshakes_displaced_total",
        "TLS handshakes that made room for newcomers",
        stats.handshakes_displaced,
    );
    page.count(
        "edge_requests_total",
        "Well-formed requests",
        stats.requests,
    );
    page.count(
        "edge_unnamed_total",
        "Requests of trusted proxies that named no client",
        stats.unnamed,
    );
    let hidden = visibility::hidden(&daemon.arrivals(), &Place::now(&daemon.config()));
    page.gauge(
        "edge_hidden_percent",
        "Percent of recent requests that hide their visitors' addresses",
        hidden.map_or(0, |hidden| hidden.percent),
    );
    page.head("edge_answers_total", "Answers by status class", "counter");
    let classes = [
        ("1xx", stats.status_1xx),
        ("2xx", stats.status_2xx),
        ("3xx", stats.status_3xx),
        ("4xx", stats.status_4xx),
        ("5xx", stats.status_5xx),
    ];
    for (class, value) in classes {
        page.labelled("edge_answers_total", "class", class, value);
    }
    page.head(
        "edge_refusals_total",
        "Refusals by rule, observed ones included",
        "counter",
    );
    for (rule, value) in &stats.refusals {
        page.labelled("edge_refusals_total", "rule", rule, *value);
    }
    refused(&stats, &mut page);
    page.count(
        "edge_client_aborts_total",
        "Requests whose client left before the answer was complete",
        stats.client_aborts,
    );
    page.count(
        "edge_upstream_errors_total",
        "Upstream connections that failed",
        stats.upstream_errors,
    );
    page.count(
        "edge_upstream_connects_total",
        "Upstream connections opened",
        stats.upstream_connects,
    );
    page.count(
        "edge_upstream_reused_total",
        "Requests on pooled upstream connections",
        stats.upstream_reused,
    );
    page.count("edge_bytes_in_total", "Bytes from clients", stats.bytes_in);
    page.count("edge_bytes_out_total", "Bytes to clients", stats.bytes_out);
    page.count(
        "edge_log_dropped_total",
        "Access log lines lost",
        stats.log_dropped,
    );
    page.count(
        "edge_panics_total",
        "Connections that ended in a defect",
        stats.panics,
    );
    sessions(daemon, &mut page);
    decisions(daemon, &mut page);
    page.0
}

/// What there is at this moment.
fn open(stats: &edge::Stats, page: &mut Page) {
    page.gauge(
        "edge_connections_open",
        "Client connections open",
        stats.open,
    );
    page.gauge("edge_connections_idle", "Of those, idle", stats.idle);
    page.gauge("edge_tunnels_open", "Of those, tunnels", stats.tunnels);
    page.gauge(
        "edge_tasks",
        "Tasks of the edge's cores, a second old; one for each connection",
        stats.tasks,
    );
    let control = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    page.gauge(
        "control_tasks",
        "Tasks beside the edge, the one that answers this among them",
        control as u64,
    );
}

/// What upstreams taught about who is logged in.
fn sessions(daemon: &Daemon, page: &mut Page) {
    let known = daemon.sessions();
    for (name, help, value) in [
        (
            "gate_sessions_accepted_total",
            "Credentials that opened a protected page",
            known.accepted,
        ),
        (
            "gate_sessions_pages_total",
            "Pages found to be protected",
            known.protected,
        ),
        (
            "gate_sessions_void_total",
            "Credentials that were denied",
            known.voided,
        ),
        (
            "gate_sessions_shared_total",
            "Credentials used by too many clients",
            known.shared,
        ),
        (
            "gate_sessions_over_budget_total",
            "Failing answers to sessions that counted all the same",
            known.over_budget,
        ),
        (
            "gate_sessions_forgotten_total",
            "What was forgotten early or not taken in",
            known.forgotten,
        ),
    ] {
        page.count(name, help, value);
    }
}

/// Refusals by the part that refused.
fn refused(stats: &edge::Stats, page: &mut Page) {
    page.head(
        "edge_refused_total",
        "Refusals by the part that refused, observed ones included",
        "counter",
    );
    let parts = [
        ("codec", stats.refused_codec),
        ("book", stats.refused_book),
        ("limit", stats.refused_limit),
        ("rule", stats.refused_rule),
        ("route", stats.refused_route),
    ];
    for (part, value) in parts {
        page.labelled("edge_refused_total", "by", part, value);
    }
}

/// What detection, the book and the store did.
fn decisions(daemon: &Daemon, page: &mut Page) {
    let counts = daemon.watch().counts();
    let (events, failed) = daemon.watch().looked_at();
    page.count("detect_events_total", "Events looked at", events);
    page.count("detect_errors_total", "Expressions that failed", failed);
    page.count("detect_alerts_total", "Alerts raised", counts.alerts);
    page.count(
        "detect_evicted_total",
        "Buckets dropped because a bound was reached",
        counts.evicted,
    );
    page.count(
        "detect_crowded_total",
        "Buckets dropped because their source held its share of the table",
        counts.crowded,
    );
    page.gauge("detect_buckets", "Buckets held", counts.buckets);
    page.count(
        "detect_exempt_total",
        "Alerts that a postoverflow exempts",
        daemon.bookkeeper().exempted(),
    );
    let asked = daemon.watch().inquiries();
    page.count(
        "detect_questions_total",
        "Overflows that waited for a name",
        asked.parked,
    );
    page.count(
        "detect_questions_late_total",
        "Of those, overflows that went on without an answer",
        asked.late,
    );
    page.count(
        "detect_questions_crowded_total",
        "Overflows that did not wait, because too many did",
        asked.crowded,
    );
    let book = daemon.bookkeeper().numbers();
    let (ranges, forgotten) = daemon.bookkeeper().neighbourhoods();
    page.gauge(
        "book_prefixes",
        "Ranges remembered for their barred addresses",
        ranges as u64,
    );
    page.count(
        "book_prefixes_forgotten_total",
        "Such ranges forgotten for want of room",
        forgotten,
    );
    page.gauge("book_decisions", "Decisions in force", book.active as u64);
    page.gauge(
        "book_volatile",
        "Decisions not on disk yet",
        book.volatile as u64,
    );
    page.count(
        "book_entries_total",
        "Entries written to the log since the start",
        daemon.bookkeeper().written(),
    );
    page.count(
        "book_refused_total",
        "Proposals that were not admitted",
        book.refused,
    );
    let health = daemon.bookkeeper().store().health();
    page.gauge(
        "store_healthy",
        "Whether the store can write",
        u64::from(health.is_healthy()),
    );
    page.gauge("store_queued", "Writes that wait", health.queued as u64);
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string does not fail.
        let _written = writeln!(
            self.0,
            "# HELP ringwall_{name} {help}.\n# TYPE ringwall_{name} {kind}"
        );
    }

    fn one(&mut self, name: &str, help: &str, kind: &str, value: u64) {
        self.head(name, help, kind);
        let _written = writeln!(self.0, "ringwall_{name} {value}");
    }

    fn count(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, help, "counter", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, help, "gauge", value);
    }

    fn labelled(&mut self, name: &str, label: &str, text: &str, value: u64) {
        let safe = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _written = writeln!(self.0, "ringwall_{name}{{{label}=\"{safe}\"}} {value}");
    }
}
