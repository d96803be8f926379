//! Seeded damage to every row: nothing panics, and what still passes keeps its promises.

use wire::corpus::{Row, chunked_bodies, requests, responses};
use wire::{
    BodyFraming, HeaderId, HeaderSet, Limits, Method, Parse, RequestHead, RequestWrite,
    ResponseHead, ResponseWrite, Version, write_request, write_response,
};

use crate::{Outcome, read_body, read_request, read_response};

pub(crate) struct Xorshift(pub(crate) u64);

impl Xorshift {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap()
    }

    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        const PIECES: [&[u8]; 14] = [
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
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close, X\r\n",
            b"0\r\n\r\n",
            b"\xff",
        ];
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                1 if at < bytes.len() => bytes[at] ^= 0x20,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                4 => {
                    let from = self.below(other.len());
                    let to = (from + self.below(24)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            }
        }
    }

    fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts = vec![self.below(length + 1), self.below(length + 1), length];
        cuts.sort_unstable();
        cuts
    }
}

/// Damages short rows `rounds` times, in turn.
fn damaged(
    rows: &[Row],
    rounds: usize,
    seed: u64,
    mut look: impl FnMut(&mut Xorshift, &Row, &[u8]),
) {
    let rows: Vec<_> = rows.iter().filter(|row| row.bytes.len() < 500).collect();
    let mut random = Xorshift(seed);
    let mut bytes = Vec::new();
    for round in 0..rounds {
        let row = rows[round % rows.len()];
        bytes.clear();
        bytes.extend_from_slice(&row.bytes);
        let other = random.below(rows.len());
        random.mutate(&mut bytes, &rows[other].bytes);
        look(&mut random, row, &bytes);
    }
}

/// What a request means to an upstream: what must survive being written anew.
#[derive(PartialEq, Debug)]
struct Meaning {
    method: Vec<u8>,
    target: Vec<u8>,
    host: Option<Vec<u8>>,
    framing: BodyFraming,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

fn meaning(head: &RequestHead, buf: &[u8]) -> Meaning {
    let request = head.request(buf);
    let gone = HeaderSet::HOP_BY_HOP
        .and(HeaderId::Host)
        .and(HeaderId::Expect);
    Meaning {
        method: request.method_bytes().to_vec(),
        target: request.target().to_vec(),
        host: request.headers().first(HeaderId::Host).map(<[u8]>::to_vec),
        framing: request.framing(),
        headers: request
            .headers()
            .iter()
            .filter(|h| !gone.has(h.id))
            .map(|h| (h.name.to_vec(), h.value.to_vec()))
            .collect(),
    }
}

#[test]
fn damaged_requests_never_panic_and_what_passes_is_stable_when_written_anew() {
    let limits = Limits::default();
    let how = RequestWrite {
        upgrades: &[b"websocket"],
        ..RequestWrite::default()
    };
    let (mut head, mut again) = (RequestHead::new(), RequestHead::new());
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut passed = 0;
    damaged(&requests(), 300_000, 0x5eed_0001, |random, _, bytes| {
        let whole = read_request(&mut head, bytes, &[bytes.len()]);
        let cut = read_request(&mut head, bytes, &random.cuts(bytes.len()));
        assert_eq!(whole, cut, "cut apart: {}", bytes.escape_ascii());
        head.clear();
        let Parse::Done { consumed } = head.parse(bytes, &limits) else {
            return;
        };
        if head.request(bytes).host().is_none() {
            return; // HTTP/1.0 without Host: the caller must name one
        }
        passed += 1;
        let meant = meaning(&head, bytes);
        assert!(bytes[..consumed].ends_with(b"\r\n\r\n"));
        assert!(
            meant
                .headers
                .iter()
                .all(|(name, value)| !name.is_empty() && !value.contains(&b'\r'))
        );
        first.clear();
        write_request(&mut first, &head.request(bytes), &how);
        again.clear();
        let parsed = again.parse(&first, &limits);
        let text = first.escape_ascii();
        assert_eq!(
            parsed,
            Parse::Done {
                consumed: first.len()
            },
            "{text}"
        );
        let anew = meaning(&again, &first);
        assert_eq!(
            (&anew.method, &anew.target, &anew.host, anew.framing),
            (&meant.method, &meant.target, &meant.host, meant.framing),
            "{text}"
        );
        assert!(
            anew.headers
                .iter()
                .all(|header| meant.headers.contains(header)),
            "nothing appears: {text}"
        );
        second.clear();
        write_request(&mut second, &again.request(&first), &how);
        assert_eq!(first, second, "writing is idempotent");
    });
    assert!(
        passed > 10_000,
        "only {passed} damaged requests passed: the test sees too little"
    );
}

#[test]
fn damaged_responses_never_panic_and_what_passes_parses_again() {
    let limits = Limits::default();
    let (mut head, mut again) = (ResponseHead::new(), ResponseHead::new());
    let mut out = Vec::new();
    let mut passed = 0;
    damaged(&responses(), 160_000, 0x5eed_0002, |random, row, bytes| {
        let whole = read_response(&mut head, row.asked, bytes, &[bytes.len()]);
        let cut = read_response(&mut head, row.asked, bytes, &random.cuts(bytes.len()));
        assert_eq!(whole, cut, "cut apart: {}", bytes.escape_ascii());
        head.clear();
        if !matches!(head.parse(bytes, &limits, row.asked), Parse::Done { .. }) {
            return;
        }
        passed += 1;
        let response = head.response(bytes);
        let framing = response.framing().towards(Version::Http11);
        out.clear();
        write_response(
            &mut out,
            &response,
            &ResponseWrite {
                framing,
                client: Version::Http11,
                persistent: true,
                drop: HeaderSet::EMPTY,
                drop_names: &[],
                add: &[],
            },
        );
        again.clear();
        let parsed = again.parse(&out, &limits, row.asked);
        assert_eq!(
            parsed,
            Parse::Done {
                consumed: out.len()
            },
            "{}",
            out.escape_ascii()
        );
        let anew = again.response(&out);
        assert_eq!(
            (anew.status(), anew.framing()),
            (response.status(), framing),
            "{}",
            out.escape_ascii()
        );
    });
    assert!(passed > 10_000, "only {passed} damaged responses passed");
}

#[test]
fn damaged_chunks_never_panic_and_cutting_changes_nothing() {
    damaged(
        &chunked_bodies(),
        80_000,
        0x5eed_0003,
        |random, _, bytes| {
            let whole = read_body(BodyFraming::Chunked, bytes, &[bytes.len()]);
            let cut = read_body(BodyFraming::Chunked, bytes, &random.cuts(bytes.len()));
            assert_eq!(whole, cut, "{}", bytes.escape_ascii());
            if let Outcome::Pass { used, body, .. } = whole {
                assert!(used <= bytes.len() && body.len() <= bytes.len());
            }
        },
    );
}

#[test]
fn noise_never_panics() {
    let mut random = Xorshift(0x5eed_0004);
    let (mut request, mut response) = (RequestHead::new(), ResponseHead::new());
    for _ in 0..40_000 {
        let length = random.below(80);
        let bytes: Vec<u8> = (0..length)
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        read_request(&mut request, &bytes, &[bytes.len()]);
        read_response(&mut response, Method::Get, &bytes, &[bytes.len()]);
        let _unrooted = wire::normal_path(&bytes);
        let rooted = [b"/", &bytes[..]].concat();
        let (path, _) = wire::normal_path(&rooted);
        assert!(path.starts_with(b"/") && !path.split(|b| *b == b'/').any(|s| s == b".."));
        assert!(!wire::text::readable(&bytes).chars().any(char::is_control));
        let _normal = wire::host::normal_host(&bytes);
    }
}
