//! Rows of the table, damaged by a seeded hand.

/// A generator of damage (xorshift), the same on every run.
pub(crate) struct Damage(pub(crate) u64);

/// What readers quarrel about.
const PIECES: [&[u8]; 18] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b",",
    b"_",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Connection: close, X\r\n",
    b"0\r\n\r\n",
    b"\xff",
    b"%00",
    b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n",
];

impl Damage {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap()
    }

    /// The row of this number with one to three wounds.
    pub(crate) fn of(&mut self, rows: &[&[u8]], number: usize) -> Vec<u8> {
        let mut bytes = rows[number % rows.len()].to_vec();
        let other = rows[self.below(rows.len())];
        for _ in 0..=self.below(2) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                1 if at < bytes.len() => bytes[at] ^= 0x20,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => {
                    let from = self.below(other.len());
                    let to = (from + self.below(24)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            }
        }
        bytes
    }
}
