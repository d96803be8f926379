//! What the codec takes, refuses and writes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod framing;
mod meaning;
mod mutation;
mod paths;
mod proxy;
mod writing;

use wire::{
    BodyDecoder, BodyEvent, BodyFraming, Fault, Limits, Method, Parse, RequestHead, ResponseHead,
};

/// What came of a message: its framing, body and length, or the fault and whether the
/// body had it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Pass {
        framing: BodyFraming,
        body: Vec<u8>,
        used: usize,
    },
    Deny(Fault),
    DenyBody(Fault),
    Unfinished,
}

/// Feeds a body in pieces that end at `cuts` (ascending, the last at the end).
pub(crate) fn read_body(framing: BodyFraming, bytes: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = BodyDecoder::new(framing, &Limits::default());
    let (mut body, mut used) = (Vec::new(), 0);
    for cut in cuts {
        loop {
            let piece = &bytes[used..(*cut).max(used)];
            let step = decoder.step(piece);
            assert!(step.consumed <= piece.len());
            match step.event {
                BodyEvent::More => {
                    assert_eq!(step.consumed, piece.len(), "More uses everything up");
                    used += step.consumed;
                    break;
                }
                BodyEvent::Data(range) => {
                    assert!(!range.is_empty() && range.end <= step.consumed);
                    body.extend_from_slice(&piece[range]);
                }
                BodyEvent::End => {
                    return Outcome::Pass {
                        framing,
                        body,
                        used: used + step.consumed,
                    };
                }
                BodyEvent::Refuse(fault) => return Outcome::DenyBody(fault),
            }
            used += step.consumed;
        }
    }
    match (framing, decoder.end_of_stream()) {
        (BodyFraming::UntilClose, Ok(())) => Outcome::Pass {
            framing,
            body,
            used,
        },
        _ => Outcome::Unfinished,
    }
}

fn read(
    bytes: &[u8],
    cuts: &[usize],
    mut parse: impl FnMut(&[u8]) -> (Parse, BodyFraming),
) -> Outcome {
    for (number, cut) in cuts.iter().enumerate() {
        match parse(&bytes[..*cut]) {
            (Parse::Partial, _) => {}
            (Parse::Refuse(fault), _) => return Outcome::Deny(fault),
            (Parse::Done { consumed }, framing) => {
                assert!(consumed <= *cut);
                let rest: Vec<_> = cuts[number..].iter().map(|cut| cut - consumed).collect();
                return match read_body(framing, &bytes[consumed..], &rest) {
                    Outcome::Pass {
                        framing,
                        body,
                        used,
                    } => Outcome::Pass {
                        framing,
                        body,
                        used: used + consumed,
                    },
                    other => other,
                };
            }
        }
    }
    Outcome::Unfinished
}

/// Reads one request that comes in pieces.
pub(crate) fn read_request(head: &mut RequestHead, bytes: &[u8], cuts: &[usize]) -> Outcome {
    let limits = Limits::default();
    head.clear();
    read(bytes, cuts, |buf| {
        let parse = head.parse(buf, &limits);
        (parse, head.request(buf).framing())
    })
}

/// Reads one response that comes in pieces.
pub(crate) fn read_response(
    head: &mut ResponseHead,
    asked: Method,
    bytes: &[u8],
    cuts: &[usize],
) -> Outcome {
    let limits = Limits::default();
    head.clear();
    read(bytes, cuts, |buf| {
        let parse = head.parse(buf, &limits, asked);
        (parse, head.response(buf).framing())
    })
}
