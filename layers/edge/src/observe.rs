//! The seam through which detection, metrics and tests watch the edge.

use vocab::{HttpEvent, Refusal};

/// Watches requests as they are answered and refused.
///
/// Called on the core that serves the request, with borrowed data; an
/// implementation must not block and should not allocate for ordinary traffic.
pub trait Observer: Send + Sync + 'static {
    /// A request's final answer is known; not one byte of it was sent yet. What
    /// this call decides therefore already governs the client's next request.
    fn http(&self, core: usize, event: &HttpEvent<'_>);

    /// Whether hearing takes so much that answers are better gathered first; otherwise each
    /// is told when it is known.
    fn gathers(&self) -> bool {
        true
    }

    /// The edge refused a request or a connection, or would have (`observed`).
    fn refused(&self, core: usize, refusal: &Refusal<'_>);

    /// Whether this request, not answered yet, is one that rules would bar its source for
    /// at once. Asked of requests alone that another site's page had a browser send.
    fn is_exploit(&self, core: usize, event: &HttpEvent<'_>) -> bool {
        let _nothing_is_known = (core, event);
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn http(&self, _core: usize, _event: &HttpEvent<'_>) {}

    fn gathers(&self) -> bool {
        false
    }

    fn refused(&self, _core: usize, _refusal: &Refusal<'_>) {}
}
