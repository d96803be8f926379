//! How much a stranger may make us hold.

/// Bounds on one message's head, framing and trailers. Bytes unless said otherwise.
///
/// The defaults take what browsers and ordinary applications send (nginx allows 8 KiB
/// for a line and 32 KiB for all) and bound what one connection can pin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The request or status line without its line end. Default 8 KiB.
    pub line: usize,
    /// One header line without its line end. Default 16 KiB (long cookies).
    pub header: usize,
    /// The whole head with all line ends. Default 32 KiB.
    pub head: usize,
    /// Number of header lines. Default 100.
    pub headers: usize,
    /// All trailer lines together. Default 8 KiB.
    pub trailers: usize,
    /// Number of trailer lines. Default 32.
    pub trailer_count: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 8 << 10,
            header: 16 << 10,
            head: 32 << 10,
            headers: 100,
            trailers: 8 << 10,
            trailer_count: 32,
        }
    }
}
